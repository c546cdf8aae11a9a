#include "trireme/ops/declare.h"

namespace trireme {

OpDecl log10_decl{
    .name = "log10",
    .doc = "Logarithm to base 10.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats, {0.1, 4}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values { return ops::log(d.x(0)) / std::numbers::ln10; }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
