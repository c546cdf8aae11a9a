#include "trireme/ops/declare.h"

namespace trireme {

OpDecl lerp_decl{
    .name = "lerp",
    .doc = "Linear interpolation, y = x + weight (w - x).",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}, {"w", same_as_first}, {"weight", same_as_first, {0, 1}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes},
    .infer = infer_same,
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values { return d.x(0) + d.x(2) * (d.x(1) - d.x(0)); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3] [2,3]", "[] [] []", "[0] [0] [0]"},
    .rejects = {"1: [2] [2] [3]"},
};

}  // namespace trireme
