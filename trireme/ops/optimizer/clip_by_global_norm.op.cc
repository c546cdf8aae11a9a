#include "trireme/ops/declare.h"
#include "trireme/ops/optimizer/step_rules.h"

namespace trireme {

OpDecl clip_by_global_norm_decl{
    .name = "clip_by_global_norm",
    .doc =
        "Scales gradients together to a length of at most max_norm: grad min(1, max_norm / (global_norm(grads) + "
        "1e-6)).",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"grads", floats, {}, Arity::kVariadic}},
    .outputs = {"clipped..."},
    .attributes = {{"max_norm", 1.0, "longest length that stays"}},
    .coerce = Coerce::kNone,
    .rules = {"max_norm is positive"},
    .infer =
        [](Infer& i) {
          i.require(1, i.number("max_norm") > 0);
          for (int k = 0; k < i.inputs(); ++k) i.output(i.dtype(k), i.shape(k));
        },
    .gradient = none("clipped gradients go to an optimizer step, which ends the graph"),
    .meaning = decompose([](const Decompose& d) -> Values {
      std::vector<Value> grads;
      for (int k = 0; k < d.inputs(); ++k) grads.push_back(d.x(k));
      const Value norm = ops::global_norm(grads);
      const Value factor = ops::min(d.number("max_norm") / (norm + 1e-6), 1.0);
      Values out;
      for (const Value& g : grads) {
        const Value wide = ops::widen(g);
        out.push_back(ops::as_type(wide * ops::as_type(factor, wide.dtype()), g.dtype()));
      }
      return out;
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[2,3] [5] max_norm=0.5", "[2] f32[3] [] max_norm=100.0"},
    .rejects = {"1: [2] max_norm=0.0"},
};

}  // namespace trireme
