#include "trireme/ops/declare.h"

namespace trireme {

OpDecl tan_decl{
    .name = "tan",
    .doc = "Tangent of each element; angle in radians.",
    .tier = Tier::kExpected,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats, {-1.4, 1.4}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() * (1.0 + p.y() * p.y()); }),
    .meaning = elementwise([](double x) { return std::tan(x); },
                           [](const Decompose& d) -> Values { return ops::sin(d.x(0)) / ops::cos(d.x(0)); }),
    .accuracy = ulps(4),
    .cost = flops_per_element(20),
    .cases = {"[2,3]", "[]", "[0]", "[33]"},
    .rejects = {},
};

}  // namespace trireme
