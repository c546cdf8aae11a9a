#include "trireme/ops/declare.h"

namespace trireme {

OpDecl log1p_decl{
    .name = "log1p",
    .doc = "log(1 + x) of each element, without loss of digits near 0; log1p(-1) = -inf, below it NaN.",
    .tier = Tier::kExpected,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats, {-0.9, 3.0}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() / (p.x(0) + 1.0); }),
    .meaning = elementwise([](double x) { return std::log1p(x); },
                           [](const Decompose& d) -> Values {
                             // log(u) x / (u - 1) with u = 1 + x rounded: the error of u cancels (Higham, as in expm1).
                             const Value& x = d.x(0);
                             const Value u = x + 1.0;
                             const Value kept =
                                 ops::or_(ops::compare(u, 1.0, "eq"), ops::compare(u, ops::highest_like(u), "eq"));
                             return ops::select(kept, x, ops::log(u) * (x / (u - 1.0)));
                           }),
    .accuracy = ulps(16),
    .cost = flops_per_element(15),
    .cases = {"[2,3]", "[]", "[0]", "[33]", "f32[33]:-1e-5..1e-5", "f32[33]:0..1e30"},
    .rejects = {},
};

}  // namespace trireme
