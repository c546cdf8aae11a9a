#include "trireme/ops/declare.h"

namespace trireme {

OpDecl cosh_decl{
    .name = "cosh",
    .doc = "Hyperbolic cosine, y = (e^x + e^-x) / 2.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() * ops::sinh(p.x(0)); }),
    .meaning = decompose([](const Decompose& d) -> Values { return (ops::exp(d.x(0)) + ops::exp(-d.x(0))) * 0.5; }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
