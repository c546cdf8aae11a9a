#include "trireme/ops/declare.h"

namespace trireme {

OpDecl log_decl{
    .name = "log",
    .doc = "Natural logarithm of each element; log(0) = -inf, of negative numbers NaN.",
    .tier = Tier::kBringUp,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats, {0.1, 4.0}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() / p.x(0); }),
    .meaning = elementwise([](double x) { return std::log(x); }),
    .accuracy = ulps(4),
    .cost = flops_per_element(10),
    .cases = {"[2,3]", "[]", "[0]", "[33]", "f32[33]:1e-30..1e30"},
    .rejects = {},
};

}  // namespace trireme
