#include "trireme/ops/declare.h"

namespace trireme {

OpDecl logit_decl{
    .name = "logit",
    .doc = "Log-odds, y = log(x / (1 - x)): the inverse of sigmoid.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats, {0.05, 0.95}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() / (p.x(0) * (1.0 - p.x(0))); }),
    .meaning = decompose([](const Decompose& d) -> Values { return ops::log(d.x(0)) - ops::log1p(-d.x(0)); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
