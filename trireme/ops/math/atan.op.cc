#include "trireme/ops/declare.h"

namespace trireme {

OpDecl atan_decl{
    .name = "atan",
    .doc = "Inverse tangent in radians, -pi/2 .. pi/2.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() / (1.0 + p.x(0) * p.x(0)); }),
    .meaning =
        decompose([](const Decompose& d) -> Values { return ops::atan2(d.x(0), ops::filled_like(d.x(0), 1.0)); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
