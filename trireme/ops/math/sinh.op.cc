#include "trireme/ops/declare.h"

namespace trireme {

OpDecl sinh_decl{
    .name = "sinh",
    .doc = "Hyperbolic sine, y = (e^x - e^-x) / 2, accurate near 0.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() * ops::cosh(p.x(0)); }),
    .meaning = decompose([](const Decompose& d) -> Values { return (ops::expm1(d.x(0)) - ops::expm1(-d.x(0))) * 0.5; }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
