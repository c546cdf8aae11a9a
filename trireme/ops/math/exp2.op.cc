#include "trireme/ops/declare.h"

namespace trireme {

OpDecl exp2_decl{
    .name = "exp2",
    .doc = "Power of two, y = 2^x; exact for whole x.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() * p.y() * std::numbers::ln2; }),
    .meaning = decompose([](const Decompose& d) -> Values { return ops::pow(ops::filled_like(d.x(0), 2.0), d.x(0)); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
