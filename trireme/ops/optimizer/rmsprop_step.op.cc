#include "trireme/ops/declare.h"
#include "trireme/ops/optimizer/step_rules.h"

namespace trireme {

OpDecl rmsprop_step_decl{
    .name = "rmsprop_step",
    .doc =
        "Gradient over its root mean square: average = decay average + (1-decay) g^2, velocity = momentum "
        "velocity + g / (sqrt(average) + epsilon), param - learning_rate velocity, g = grad + weight_decay param.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"param", floats},
               {"grad", floats},
               {"average", floats, {0.0, 2.0}},
               {"velocity", floats},
               {"learning_rate", only(f32), {0.01, 0.1}}},
    .outputs = {"param", "average", "velocity"},
    .attributes = {{"decay", 0.99, "decay of the mean of squares"},
                   {"momentum", 0.0, "share of the velocity that stays"},
                   {"epsilon", 1e-8, "added to the root"},
                   {"weight_decay", 0.0, "L2 penalty: decay times param is added to grad"}},
    .coerce = Coerce::kNone,
    .rules = {kStepShapes, kStepScalars},
    .infer = [](Infer& i) { infer_step(i, 2); },
    .gradient = none(kStepEnds),
    .meaning = decompose([](const Decompose& d) -> Values {
      const StepInputs in(d);
      const double decay = d.number("decay");
      const Value g = in.decayed_gradient(), average = in(2) * decay + g * g * (1.0 - decay);
      const Value velocity = in(3) * d.number("momentum") + g / (ops::sqrt(average) + d.number("epsilon"));
      return step_results(d, {in(0) - in(4) * velocity, average, velocity});
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3] [2,3] [2,3] f32[]", "[5] f32[5] f32[5] f32[5] f32[] weight_decay=0.1 momentum=0.9",
              "[0] [0] [0] [0] f32[]"},
    .rejects = {"1: [2,3] [2,3] [2,3] [3] f32[]", "2: [2] [2] [2] [2] f32[1]"},
};

}  // namespace trireme
