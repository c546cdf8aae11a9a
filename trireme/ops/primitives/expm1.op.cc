#include "trireme/ops/declare.h"

namespace trireme {

OpDecl expm1_decl{
    .name = "expm1",
    .doc = "exp(x) - 1 of each element, without loss of digits near 0.",
    .tier = Tier::kExpected,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() * (p.y() + 1.0); }),
    .meaning = elementwise([](double x) { return std::expm1(x); },
                           [](const Decompose& d) -> Values {
                             // (u - 1) x / log(u) with u = exp(x) rounded: the errors of u - 1 and log(u) cancel
                             // (Higham, Accuracy and Stability of Numerical Algorithms, section 1.14.1). u = 1, inf and
                             // u - 1 = -1 are their own cases.
                             const Value& x = d.x(0);
                             const Value u = ops::exp(x), less = u - 1.0;
                             const Value near_zero = ops::compare(u, 1.0, "eq");
                             const Value far =
                                 ops::or_(ops::compare(u, ops::highest_like(u), "eq"), ops::compare(less, -1.0, "eq"));
                             return ops::select(near_zero, x, ops::select(far, less, less * (x / ops::log(u))));
                           }),
    .accuracy = ulps(16),
    .cost = flops_per_element(25),
    .cases = {"[2,3]", "[]", "[0]", "[33]", "f32[33]:-1e-5..1e-5", "f32[33]:-80..80"},
    .rejects = {},
};

}  // namespace trireme
