#include "trireme/ops/declare.h"
#include "trireme/ops/optimizer/step_rules.h"

namespace trireme {

OpDecl unscale_and_check_decl{
    .name = "unscale_and_check",
    .doc =
        "Gradients divided by the loss scale, as f32 (f64 stays), and whether every element of all of them is "
        "finite.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"scale", only(f32), {1, 100}}, {"grads", floats, {}, Arity::kVariadic}},
    .outputs = {"all_finite", "unscaled..."},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {"scale has shape []"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 0);
          i.output(boolean, Shape{});
          for (int k = 1; k < i.inputs(); ++k) i.output(ops::wide_type(i.dtype(k)), i.shape(k));
        },
    .gradient = none("unscaled gradients go to an optimizer step, which ends the graph"),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value inverse = 1.0 / d.x(0);
      Value finite;
      Values out = {Value()};
      for (int k = 1; k < d.inputs(); ++k) {
        const Value g = ops::widen(d.x(k));
        const Value all = ops::reduce_and(ops::is_finite(g));
        finite = finite ? ops::and_(finite, all) : all;
        out.push_back(g * ops::as_type(inverse, g.dtype()));
      }
      out[0] = finite;
      return out;
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"f32[]:1..100 [2,3]", "f32[]:1..100 f16[2] f32[3]", "f32[]:1..100 [0]"},
    .rejects = {"1: f32[1] [2]"},
};

}  // namespace trireme
