#include "trireme/ops/declare.h"

namespace trireme {

OpDecl exp_decl{
    .name = "exp",
    .doc = "Exponential of each element, y = e^x.",
    .tier = Tier::kBringUp,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats, {-4.0, 4.0}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() * p.y(); }),
    .meaning = elementwise([](double x) { return std::exp(x); }),
    .accuracy = ulps(4),
    .cost = flops_per_element(10),
    .cases = {"[2,3]", "[]", "[0]", "[33]", "f32[33]:-80..80"},
    .rejects = {},
};

}  // namespace trireme
