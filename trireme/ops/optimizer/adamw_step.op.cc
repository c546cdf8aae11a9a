#include "trireme/ops/declare.h"
#include "trireme/ops/optimizer/step_rules.h"

namespace trireme {

OpDecl adamw_step_decl{
    .name = "adamw_step",
    .doc =
        "Adam with decoupled weight decay: param (1 - learning_rate weight_decay) - learning_rate m' / (sqrt(v') "
        "+ epsilon), m' and v' as in adam_step from the bare gradient.",
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
                   {"weight_decay", 0.01, "share of param, times learning_rate, that is taken away"}},
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
      const AdamMoments a(in, in(1));
      const Value rate = in(5);
      return step_results(d, {in(0) * (1.0 - rate * d.number("weight_decay")) - rate * a.direction, a.m, a.v});
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3] [2,3] [2,3] f32[] f32[]", "[5] f32[5] f32[5] f32[5] f32[] f32[] weight_decay=0.1",
              "[] [] [] [] f32[] f32[] beta1=0.0", "[0] [0] [0] [0] f32[] f32[]"},
    .rejects = {"1: [2,3] [2,3] [2,3] [3] f32[] f32[]", "2: [2] [2] [2] [2] f32[1] f32[]",
                "3: [2] [2] [2] [2] f32[] f32[] beta2=1.0"},
};

}  // namespace trireme
