#include "trireme/ops/declare.h"

namespace trireme {

OpDecl sin_decl{
    .name = "sin",
    .doc = "Sine of each element; angle in radians.",
    .tier = Tier::kMandatory,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats, {-6.0, 6.0}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() * ops::cos(p.x(0)); }),
    .meaning = elementwise([](double x) { return std::sin(x); }),
    .accuracy = ulps(4),
    .cost = flops_per_element(15),
    .cases = {"[2,3]", "[]", "[0]", "[33]", "f32[33]:-1000..1000"},
    .rejects = {},
};

}  // namespace trireme
