#include "trireme/ops/declare.h"
#include "trireme/ops/optimizer/step_rules.h"

namespace trireme {

OpDecl lamb_step_decl{
    .name = "lamb_step",
    .doc =
        "Adam whose step has the length of the parameter: with r = m' / (sqrt(v') + epsilon) + weight_decay "
        "param, param - learning_rate |param| / |r| r; the ratio is 1 where either length is 0.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"param", floats},
               {"grad", floats},
               {"m", floats},
               {"v", floats, {0.0, 2.0}},
               {"step", only(f32), {1, 20}},
               {"learning_rate", only(f32), {0.01, 0.1}}},
    .outputs = {"param", "m", "v"},
    .attributes = {{"beta1", 0.9, "decay of the mean of gradients"},
                   {"beta2", 0.999, "decay of the mean of their squares"},
                   {"epsilon", 1e-6, "added to the root of v"},
                   {"weight_decay", 0.0, "share of param that is added to the direction"}},
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
      const Value param = in(0), r = a.direction + param * d.number("weight_decay");
      const Value length = ops::reduce_sum(param * param), step_length = ops::reduce_sum(r * r);
      const Value both = ops::and_(ops::compare(length, 0.0, "gt"), ops::compare(step_length, 0.0, "gt"));
      const Value ratio = ops::sqrt(length) * ops::rsqrt(ops::select(both, step_length, 1.0));
      return step_results(d, {param - in(5) * ops::select(both, ratio, 1.0) * r, a.m, a.v});
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3] [2,3] [2,3] f32[] f32[]", "[5] f32[5] f32[5] f32[5] f32[] f32[] weight_decay=0.1",
              "[] [] [] [] f32[] f32[] beta1=0.0", "[0] [0] [0] [0] f32[] f32[]"},
    .rejects = {"1: [2,3] [2,3] [2,3] [3] f32[] f32[]", "2: [2] [2] [2] [2] f32[1] f32[]",
                "3: [2] [2] [2] [2] f32[] f32[] beta2=1.0"},
};

}  // namespace trireme
