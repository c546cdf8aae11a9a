#include "trireme/ops/declare.h"

namespace trireme {

OpDecl rsqrt_decl{
    .name = "rsqrt",
    .doc = "Reciprocal square root of each element, y = 1 / sqrt(x); rsqrt(0) = inf, of negative numbers NaN.",
    .tier = Tier::kBringUp,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats, {0.1, 4.0}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() * p.y() / p.x(0) * -0.5; }),
    .meaning = elementwise([](double x) { return 1.0 / std::sqrt(x); }),
    .accuracy = ulps(4),
    .cost = flops_per_element(4),
    .cases = {"[2,3]", "[]", "[0]", "[33]", "f32[33]:1e-20..1e20"},
    .rejects = {},
};

}  // namespace trireme
