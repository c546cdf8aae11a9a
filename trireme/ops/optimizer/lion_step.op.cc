#include "trireme/ops/declare.h"
#include "trireme/ops/optimizer/step_rules.h"

namespace trireme {

OpDecl lion_step_decl{
    .name = "lion_step",
    .doc =
        "Step by the sign of a blend: param (1 - learning_rate weight_decay) - learning_rate sign(beta1 m + "
        "(1-beta1) grad); m = beta2 m + (1-beta2) grad.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"param", floats}, {"grad", floats}, {"m", floats}, {"learning_rate", only(f32), {0.01, 0.1}}},
    .outputs = {"param", "m"},
    .attributes = {{"beta1", 0.9, "share of m in the direction"},
                   {"beta2", 0.99, "decay of m"},
                   {"weight_decay", 0.0, "share of param, times learning_rate, that is taken away"}},
    .coerce = Coerce::kNone,
    .rules = {kStepShapes, kStepScalars, kDecays},
    .infer =
        [](Infer& i) {
          infer_step(i, 1);
          i.require(3, are_decays(i));
        },
    .gradient = none(kStepEnds),
    .meaning = decompose([](const Decompose& d) -> Values {
      const StepInputs in(d);
      const double beta1 = d.number("beta1"), beta2 = d.number("beta2");
      const Value g = in(1), m = in(2), rate = in(3);
      const Value direction = ops::sign(m * beta1 + g * (1.0 - beta1));
      const Value param = in(0) * (1.0 - rate * d.number("weight_decay")) - rate * direction;
      return step_results(d, {param, m * beta2 + g * (1.0 - beta2)});
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3] [2,3] f32[]", "[5] f32[5] f32[5] f32[] weight_decay=0.1", "[0] [0] [0] f32[]"},
    .rejects = {"1: [2,3] [2,3] [3] f32[]", "2: [2] [2] [2] f32[1]", "3: [2] [2] [2] f32[] beta1=1.5"},
};

}  // namespace trireme
