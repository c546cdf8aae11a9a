#include "trireme/ops/declare.h"

namespace trireme {

OpDecl addcmul_decl{
    .name = "addcmul",
    .doc = "Scaled product added, y = x + value a b.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}, {"a", same_as_first}, {"b", same_as_first}},
    .outputs = {"y"},
    .attributes = {{"value", 1.0, "factor"}},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes},
    .infer = infer_same,
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values { return d.x(0) + d.x(1) * d.x(2) * d.number("value"); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3] [2,3]", "[] [] []", "[0] [0] [0]", "[9] [9] [9] value=0.5"},
    .rejects = {"1: [2] [2] [3]"},
};

}  // namespace trireme
