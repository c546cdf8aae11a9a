#include "trireme/ops/declare.h"

namespace trireme {

OpDecl silu_decl{
    .name = "silu",
    .doc = "Sigmoid-weighted linear unit (swish), y = x / (1 + e^-x).",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values { return d.x(0) * ops::logistic(d.x(0)); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
