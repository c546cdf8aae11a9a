#include "trireme/ops/declare.h"

namespace trireme {

OpDecl ceil_decl{
    .name = "ceil",
    .doc = "Smallest integer not below each element.",
    .tier = Tier::kMandatory,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback(ops::zero_gradient),
    .meaning = elementwise([](double x) { return std::ceil(x); }),
    .accuracy = exact,
    .cost = flops_per_element(1),
    .cases = {"[2,3]", "[]", "[0]", "[33]", "f32[33]:-1e9..1e9"},
    .rejects = {},
};

}  // namespace trireme
