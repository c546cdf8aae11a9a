#include "trireme/ops/declare.h"

namespace trireme {

OpDecl max_decl{
    .name = "max",
    .doc = "Larger of two tensors, y = max(x, w), element by element; NaN wins over any number.",
    .tier = Tier::kBringUp,
    .kind = Kind::kElementwise,
    .inputs = {{"x", numbers}, {"w", same_as_first}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { ops::share_of_extreme(p, "gt"); }),
    .meaning = elementwise(larger),
    .accuracy = exact,
    .cost = flops_per_element(1),
    .cases = {"[2,3] [2,3]", "[] []", "[0,4] [0,4]", "[1] [1]", "[17] [17]"},
    .rejects = {"1: [2,3] [3,2]"},
};

}  // namespace trireme
