#include "trireme/ops/declare.h"

namespace trireme {

OpDecl tanh_decl{
    .name = "tanh",
    .doc = "Hyperbolic tangent of each element.",
    .tier = Tier::kBringUp,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats, {-3.0, 3.0}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() * (1.0 - p.y() * p.y()); }),
    .meaning = elementwise([](double x) { return std::tanh(x); }),
    .accuracy = ulps(8),
    .cost = flops_per_element(15),
    .cases = {"[2,3]", "[]", "[0]", "[33]", "f32[33]:-20..20", "f32[33]:-1e-3..1e-3"},
    .rejects = {},
};

}  // namespace trireme
