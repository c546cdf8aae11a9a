#include "trireme/ops/declare.h"

namespace trireme {

OpDecl hard_swish_decl{
    .name = "hard_swish",
    .doc = "Piecewise swish, y = x min(max(x + 3, 0), 6) / 6.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats, {-5, 5}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values { return d.x(0) * ops::relu6(d.x(0) + 3.0) / 6.0; }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
