#include "trireme/ops/declare.h"
#include "trireme/ops/optimizer/step_rules.h"

namespace trireme {

OpDecl lars_step_decl{
    .name = "lars_step",
    .doc =
        "Momentum whose step keeps to the length of the parameter: rate = learning_rate coefficient |param| / "
        "(|grad| + weight_decay |param| + epsilon), or learning_rate where either length is 0; velocity = "
        "momentum velocity + rate (grad + weight_decay param), param - velocity.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"param", floats}, {"grad", floats}, {"velocity", floats}, {"learning_rate", only(f32), {0.01, 0.1}}},
    .outputs = {"param", "velocity"},
    .attributes = {{"momentum", 0.9, "share of the velocity that stays"},
                   {"coefficient", 0.001, "length of a step in lengths of param"},
                   {"epsilon", 0.0, "added to the divisor"},
                   {"weight_decay", 0.0, "L2 penalty: decay times param is added to grad"}},
    .coerce = Coerce::kNone,
    .rules = {kStepShapes, kStepScalars},
    .infer = [](Infer& i) { infer_step(i, 1); },
    .gradient = none(kStepEnds),
    .meaning = decompose([](const Decompose& d) -> Values {
      const StepInputs in(d);
      const Value param = in(0), g = in(1), rate = in(3);
      const double decay = d.number("weight_decay");
      const Value length = ops::sqrt(ops::reduce_sum(param * param)), slope = ops::sqrt(ops::reduce_sum(g * g));
      const Value both = ops::and_(ops::compare(length, 0.0, "gt"), ops::compare(slope, 0.0, "gt"));
      const Value divisor = ops::select(both, slope + length * decay + d.number("epsilon"), 1.0);
      const Value local = ops::select(both, length * d.number("coefficient") / divisor, 1.0);
      const Value velocity = in(2) * d.number("momentum") + rate * local * (g + param * decay);
      return step_results(d, {param - velocity, velocity});
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3] [2,3] f32[]", "[5] f32[5] f32[5] f32[] weight_decay=0.1", "[0] [0] [0] f32[]"},
    .rejects = {"1: [2,3] [2,3] [3] f32[]", "2: [2] [2] [2] f32[1]"},
};

}  // namespace trireme
