#include "trireme/ops/declare.h"
#include "trireme/ops/optimizer/step_rules.h"

namespace trireme {

OpDecl adagrad_step_decl{
    .name = "adagrad_step",
    .doc =
        "Gradient over the root of all squares so far: sum = sum + g^2, param - learning_rate g / (sqrt(sum) + "
        "epsilon), g = grad + weight_decay param.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"param", floats},
               {"grad", floats},
               {"sum", floats, {0.0, 2.0}},
               {"learning_rate", only(f32), {0.01, 0.1}}},
    .outputs = {"param", "sum"},
    .attributes = {{"epsilon", 1e-10, "added to the root"},
                   {"weight_decay", 0.0, "L2 penalty: decay times param is added to grad"}},
    .coerce = Coerce::kNone,
    .rules = {kStepShapes, kStepScalars},
    .infer = [](Infer& i) { infer_step(i, 1); },
    .gradient = none(kStepEnds),
    .meaning = decompose([](const Decompose& d) -> Values {
      const StepInputs in(d);
      const Value g = in.decayed_gradient(), sum = in(2) + g * g;
      return step_results(d, {in(0) - in(3) * g / (ops::sqrt(sum) + d.number("epsilon")), sum});
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3] [2,3] f32[]", "[5] f32[5] f32[5] f32[] weight_decay=0.1", "[0] [0] [0] f32[]"},
    .rejects = {"1: [2,3] [2,3] [3] f32[]", "2: [2] [2] [2] f32[1]"},
};

}  // namespace trireme
