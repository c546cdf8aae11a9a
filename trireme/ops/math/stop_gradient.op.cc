#include "trireme/ops/declare.h"

namespace trireme {

OpDecl stop_gradient_decl{
    .name = "stop_gradient",
    .doc = "The same values; the gradient ends here.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback(ops::zero_gradient),
    .meaning = decompose([](const Decompose& d) -> Values { return d.x(0); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] surrogate", "[] surrogate", "[0] surrogate", "[17] surrogate"},
    .rejects = {},
};

}  // namespace trireme
