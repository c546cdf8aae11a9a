#include "trireme/ops/declare.h"

namespace trireme {

OpDecl frac_decl{
    .name = "frac",
    .doc = "Fraction with the sign of x, y = x - trunc(x).",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy(); }),
    .meaning = decompose([](const Decompose& d) -> Values { return d.x(0) - ops::trunc(d.x(0)); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
