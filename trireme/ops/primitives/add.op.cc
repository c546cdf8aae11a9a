#include "trireme/ops/declare.h"

namespace trireme {

OpDecl add_decl{
    .name = "add",
    .doc = "Sum of two tensors, y = x + w, element by element. Integers wrap around.",
    .tier = Tier::kBringUp,
    .kind = Kind::kElementwise,
    .inputs = {{"x", numbers}, {"w", same_as_first}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) {
      p.dx(0) = p.dy();
      p.dx(1) = p.dy();
    }),
    .meaning = elementwise([](auto x, auto w) { return wrapping([](auto a, auto b) { return a + b; }, x, w); }),
    .accuracy = correctly_rounded,
    .cost = flops_per_element(1),
    .cases = {"[2,3] [2,3]", "[] []", "[0,4] [0,4]", "[1] [1]", "[17] [17]"},
    .rejects = {"1: [2,3] [3,2]"},
};

}  // namespace trireme
