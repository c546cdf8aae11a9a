#include "trireme/ops/declare.h"

namespace trireme {

OpDecl swiglu_decl{
    .name = "swiglu",
    .doc = "Gate of a transformer block, y = silu(gate) up.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"gate", floats}, {"up", same_as_first}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes},
    .infer = infer_same,
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values { return ops::silu(d.x(0)) * d.x(1); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[] []", "[0,4] [0,4]", "[17] [17]"},
    .rejects = {"1: [2,3] [3,2]"},
};

}  // namespace trireme
