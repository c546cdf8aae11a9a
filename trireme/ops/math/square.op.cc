#include "trireme/ops/declare.h"

namespace trireme {

OpDecl square_decl{
    .name = "square",
    .doc = "Square, y = x^2.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", numbers}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values { return d.x(0) * d.x(0); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
