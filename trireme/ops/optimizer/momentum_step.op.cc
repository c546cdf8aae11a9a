#include "trireme/ops/declare.h"
#include "trireme/ops/optimizer/step_rules.h"

namespace trireme {

OpDecl momentum_step_decl{
    .name = "momentum_step",
    .doc =
        "Gradient descent with momentum: velocity = momentum velocity + g with g = grad + weight_decay param; "
        "param - learning_rate velocity, or with nesterov param - learning_rate (g + momentum velocity).",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"param", floats}, {"grad", floats}, {"velocity", floats}, {"learning_rate", only(f32), {0.01, 0.1}}},
    .outputs = {"param", "velocity"},
    .attributes = {{"momentum", 0.9, "share of the velocity that stays"},
                   {"nesterov", false, "look ahead by one step"},
                   {"weight_decay", 0.0, "L2 penalty: decay times param is added to grad"}},
    .coerce = Coerce::kNone,
    .rules = {kStepShapes, kStepScalars},
    .infer = [](Infer& i) { infer_step(i, 1); },
    .gradient = none(kStepEnds),
    .meaning = decompose([](const Decompose& d) -> Values {
      const StepInputs in(d);
      const double momentum = d.number("momentum");
      const Value g = in.decayed_gradient(), velocity = in(2) * momentum + g;
      const Value direction = d.flag("nesterov") ? g + velocity * momentum : velocity;
      return step_results(d, {in(0) - in(3) * direction, velocity});
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3] [2,3] f32[]", "[5] f32[5] f32[5] f32[] nesterov=true weight_decay=0.1",
              "[] [] [] f32[] momentum=0.5", "[0] [0] [0] f32[]"},
    .rejects = {"1: [2,3] [2,3] [3] f32[]", "2: [2] [2] [2] f32[1]"},
};

}  // namespace trireme
