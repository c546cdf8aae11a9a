#include "trireme/ops/declare.h"

namespace trireme {

OpDecl atanh_decl{
    .name = "atanh",
    .doc = "Inverse hyperbolic tangent, y = log((1 + x) / (1 - x)) / 2; NaN beyond -1 .. 1.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats, {-0.9, 0.9}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() / ((1.0 - p.x(0)) * (1.0 + p.x(0))); }),
    .meaning = decompose([](const Decompose& d) -> Values { return (ops::log1p(d.x(0)) - ops::log1p(-d.x(0))) * 0.5; }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
