#include "trireme/ops/declare.h"

namespace trireme {

OpDecl ones_like_decl{
    .name = "ones_like",
    .doc = "Ones in the shape and type of x.",
    .tier = Tier::kComposite,
    .kind = Kind::kSource,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback(ops::zero_gradient),
    .meaning = decompose([](const Decompose& d) -> Values { return ops::filled_like(d.x(0), 1.0); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]"},
    .rejects = {},
};

}  // namespace trireme
