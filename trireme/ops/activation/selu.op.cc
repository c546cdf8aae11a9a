#include "trireme/ops/declare.h"

namespace trireme {

OpDecl selu_decl{
    .name = "selu",
    .doc =
        "Self-normalising unit, y = s elu(x, a) with s = 1.0507009873554805, a = 1.6732632423543772 (mean "
        "0 and variance 1 are a fixed point).",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = gradient_of_decomposition,
    .meaning = decompose(
        [](const Decompose& d) -> Values { return ops::elu(d.x(0), 1.6732632423543772) * 1.0507009873554805; }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
