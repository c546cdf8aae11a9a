#include "trireme/ops/declare.h"
#include "trireme/ops/optimizer/step_rules.h"

namespace trireme {

OpDecl adamax_step_decl{
    .name = "adamax_step",
    .doc =
        "Adam with the largest gradient in place of the root: m = beta1 m + (1-beta1) g, u = max(beta2 u, |g| + "
        "epsilon), param - learning_rate m / ((1 - beta1^step) u), g = grad + weight_decay param.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"param", floats},
               {"grad", floats},
               {"m", floats},
               {"u", floats, {0.0, 2.0}},
               {"step", only(f32), {1, 20}},
               {"learning_rate", only(f32), {0.01, 0.1}}},
    .outputs = {"param", "m", "u"},
    .attributes = {{"beta1", 0.9, "decay of the mean of gradients"},
                   {"beta2", 0.999, "decay of the largest gradient"},
                   {"epsilon", 1e-8, "added to the magnitude"},
                   {"weight_decay", 0.0, "L2 penalty: decay times param is added to grad"}},
    .coerce = Coerce::kNone,
    .rules = {kStepShapes, kStepScalars, kDecays},
    .infer =
        [](Infer& i) {
          infer_step(i, 2);
          i.require(3, are_decays(i));
        },
    .gradient = none(kStepEnds),
    .meaning = decompose([](const Decompose& d) -> Values {
      const StepInputs in(d);
      const double beta1 = d.number("beta1");
      const Value g = in.decayed_gradient(), m = in(2) * beta1 + g * (1.0 - beta1);
      const Value u = ops::max(in(3) * d.number("beta2"), ops::abs(g) + d.number("epsilon"));
      return step_results(d, {in(0) - in(5) * m / (bias_correction(beta1, in(4)) * u), m, u});
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3] [2,3] [2,3] f32[] f32[]", "[5] f32[5] f32[5] f32[5] f32[] f32[] weight_decay=0.1",
              "[] [] [] [] f32[] f32[] beta1=0.0", "[0] [0] [0] [0] f32[] f32[]"},
    .rejects = {"1: [2,3] [2,3] [2,3] [3] f32[] f32[]", "2: [2] [2] [2] [2] f32[1] f32[]",
                "3: [2] [2] [2] [2] f32[] f32[] beta2=1.0"},
};

}  // namespace trireme
