#include "trireme/ops/declare.h"
#include "trireme/ops/optimizer/step_rules.h"

namespace trireme {

OpDecl scale_loss_decl{
    .name = "scale_loss",
    .doc = "Loss times the loss scale, in f32, so that small gradients of 16-bit values do not vanish.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"loss", floats}, {"scale", floats}},
    .outputs = {"scaled"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {"scale has shape []"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(1) == 0);
          i.output(ops::wide_type(i.dtype(0)), i.shape(0));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value loss = ops::widen(d.x(0));
      return loss * ops::as_type(d.x(1), loss.dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[] []", "[3] []", "bf16[] f32[]"},
    .rejects = {"1: [] [1]"},
};

}  // namespace trireme
