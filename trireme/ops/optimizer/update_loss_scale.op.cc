#include "trireme/ops/declare.h"
#include "trireme/ops/optimizer/step_rules.h"

namespace trireme {

OpDecl update_loss_scale_decl{
    .name = "update_loss_scale",
    .doc =
        "Next loss scale: times backoff after a step with gradients that are not finite; times growth after "
        "`interval` good steps in a row.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"scale", only(f32), {1, 100}}, {"good_steps", only(i32), {0, 3}}, {"all_finite", bools}},
    .outputs = {"scale", "good_steps"},
    .attributes = {{"growth", 2.0, "factor after enough good steps"},
                   {"backoff", 0.5, "factor after a bad step"},
                   {"interval", 2000, "good steps in a row before the scale grows"}},
    .coerce = Coerce::kNone,
    .rules = {"all inputs have shape []",
              "growth is at least 1, backoff is positive and at most 1, interval is 1 or more"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 0 && i.rank(1) == 0 && i.rank(2) == 0);
          const double growth = i.number("growth"), backoff = i.number("backoff");
          i.require(2, growth >= 1 && backoff > 0 && backoff <= 1 && i.integer("interval") >= 1);
          i.output(f32, Shape{});
          i.output(i32, Shape{});
        },
    .gradient = none("a loss scale is not trained"),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value scale = d.x(0), steps = d.x(1) + 1.0, finite = d.x(2);
      const Value full = ops::compare(steps, static_cast<double>(d.integer("interval")), "ge");
      const Value grown = scale * d.number("growth");
      // A scale that would overflow stays.
      const Value good = ops::select(ops::and_(full, ops::is_finite(grown)), grown, scale);
      return {ops::select(finite, good, scale * d.number("backoff")),
              ops::select(finite, ops::select(full, 0.0, steps), 0.0)};
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"f32[] i32[]:0..3 bool[]", "f32[] i32[]:0..3 bool[] interval=2 growth=4.0 backoff=0.25"},
    .rejects = {"1: f32[1] i32[]:0..3 bool[]", "2: f32[] i32[]:0..3 bool[] backoff=0.0"},
};

}  // namespace trireme
