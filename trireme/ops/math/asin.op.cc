#include "trireme/ops/declare.h"

namespace trireme {

OpDecl asin_decl{
    .name = "asin",
    .doc = "Inverse sine in radians, y = atan2(x, sqrt((1 - x)(1 + x))); NaN beyond -1 .. 1.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats, {-0.9, 0.9}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() * ops::rsqrt((1.0 - p.x(0)) * (1.0 + p.x(0))); }),
    .meaning = decompose(
        [](const Decompose& d) -> Values { return ops::atan2(d.x(0), ops::sqrt((1.0 - d.x(0)) * (1.0 + d.x(0)))); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
