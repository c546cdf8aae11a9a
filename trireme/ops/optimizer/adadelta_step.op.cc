#include "trireme/ops/declare.h"
#include "trireme/ops/optimizer/step_rules.h"

namespace trireme {

OpDecl adadelta_step_decl{
    .name = "adadelta_step",
    .doc =
        "Gradient scaled by the ratio of past steps to past gradients: average = decay average + (1-decay) g^2, "
        "step = sqrt((steps + epsilon) / (average + epsilon)) g, steps = decay steps + (1-decay) step^2, param - "
        "learning_rate step, g = grad + weight_decay param.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"param", floats},
               {"grad", floats},
               {"average", floats, {0.0, 2.0}},
               {"steps", floats, {0.0, 2.0}},
               {"learning_rate", only(f32), {0.01, 0.1}}},
    .outputs = {"param", "average", "steps"},
    .attributes = {{"decay", 0.9, "decay of both means of squares"},
                   {"epsilon", 1e-6, "added to both means"},
                   {"weight_decay", 0.0, "L2 penalty: decay times param is added to grad"}},
    .coerce = Coerce::kNone,
    .rules = {kStepShapes, kStepScalars},
    .infer = [](Infer& i) { infer_step(i, 2); },
    .gradient = none(kStepEnds),
    .meaning = decompose([](const Decompose& d) -> Values {
      const StepInputs in(d);
      const double decay = d.number("decay"), epsilon = d.number("epsilon");
      const Value g = in.decayed_gradient(), average = in(2) * decay + g * g * (1.0 - decay);
      const Value step = ops::sqrt((in(3) + epsilon) / (average + epsilon)) * g;
      return step_results(d, {in(0) - in(4) * step, average, in(3) * decay + step * step * (1.0 - decay)});
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3] [2,3] [2,3] f32[]", "[5] f32[5] f32[5] f32[5] f32[] weight_decay=0.1",
              "[0] [0] [0] [0] f32[]"},
    .rejects = {"1: [2,3] [2,3] [2,3] [3] f32[]", "2: [2] [2] [2] [2] f32[1]"},
};

}  // namespace trireme
