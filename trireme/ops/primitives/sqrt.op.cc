#include "trireme/ops/declare.h"

namespace trireme {

OpDecl sqrt_decl{
    .name = "sqrt",
    .doc = "Square root of each element; of negative numbers NaN.",
    .tier = Tier::kMandatory,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats, {0.1, 4.0}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() * 0.5 / p.y(); }),
    .meaning = elementwise([](double x) { return std::sqrt(x); }),
    .accuracy = ulps(3),
    .cost = flops_per_element(4),
    .cases = {"[2,3]", "[]", "[0]", "[33]", "f32[33]:0..1e30"},
    .rejects = {},
};

}  // namespace trireme
