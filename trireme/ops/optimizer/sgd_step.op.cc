#include "trireme/ops/declare.h"
#include "trireme/ops/optimizer/step_rules.h"

namespace trireme {

OpDecl sgd_step_decl{
    .name = "sgd_step",
    .doc = "Gradient descent: param - learning_rate (grad + weight_decay param).",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"param", floats}, {"grad", floats}, {"learning_rate", only(f32), {0.01, 0.1}}},
    .outputs = {"param"},
    .attributes = {{"weight_decay", 0.0, "L2 penalty: decay times param is added to grad"}},
    .coerce = Coerce::kNone,
    .rules = {kStepShapes, kStepScalars},
    .infer = [](Infer& i) { infer_step(i, 0); },
    .gradient = none(kStepEnds),
    .meaning = decompose([](const Decompose& d) -> Values {
      const StepInputs in(d);
      return step_results(d, {in(0) - in(2) * in.decayed_gradient()});
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3] f32[]", "[5] f32[5] f32[] weight_decay=0.1", "[] [] f32[]", "[0] [0] f32[]"},
    .rejects = {"1: [2,3] [3] f32[]", "2: [2] [2] f32[1]"},
};

}  // namespace trireme
