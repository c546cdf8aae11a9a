#include "trireme/ops/declare.h"
#include "trireme/ops/optimizer/step_rules.h"

namespace trireme {

OpDecl adam_step_decl{
    .name = "adam_step",
    .doc =
        "Adam: m = beta1 m + (1-beta1) g, v = beta2 v + (1-beta2) g^2 with g = grad + weight_decay param; param - "
        "learning_rate m' / (sqrt(v') + epsilon) with m' = m / (1 - beta1^step), v' = v / (1 - beta2^step). Steps "
        "count from 1.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"param", floats},
               {"grad", floats},
               {"m", floats},
               {"v", floats, {0.0, 2.0}},
               {"step", only(f32), {1, 20}},
               {"learning_rate", only(f32), {0.01, 0.1}}},
    .outputs = {"param", "m", "v"},
    .attributes = {{"beta1", 0.9, "decay of the mean of gradients"},
                   {"beta2", 0.999, "decay of the mean of their squares"},
                   {"epsilon", 1e-8, "added to the root of v"},
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
      const AdamMoments a(in, in.decayed_gradient());
      return step_results(d, {in(0) - in(5) * a.direction, a.m, a.v});
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3] [2,3] [2,3] f32[] f32[]", "[5] f32[5] f32[5] f32[5] f32[] f32[] weight_decay=0.1",
              "[] [] [] [] f32[] f32[] beta1=0.0", "[0] [0] [0] [0] f32[] f32[]"},
    .rejects = {"1: [2,3] [2,3] [2,3] [3] f32[] f32[]", "2: [2] [2] [2] [2] f32[1] f32[]",
                "3: [2] [2] [2] [2] f32[] f32[] beta2=1.0"},
};

}  // namespace trireme
