#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl cbrt_decl{
    .name = "cbrt",
    .doc = "Cube root of each element, with its sign.",
    .tier = Tier::kExpected,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats, {0.1, 8.0}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() / (p.y() * p.y() * 3.0); }),
    .meaning = elementwise([](double x) { return std::cbrt(x); },
                           [](const Decompose& d) -> Values {
                             // exp(log|x| / 3), then one Newton step on y^3 = |x|, which squares the error.
                             const Value x = ops::widen(d.x(0));
                             const Value size = ops::abs(x);
                             const Value guess = ops::exp(ops::log(size) * (1.0 / 3.0));
                             const Value root = guess - (guess - size / (guess * guess)) * (1.0 / 3.0);
                             const Value kept =
                                 ops::or_(ops::compare(x, 0.0, "eq"), ops::compare(size, ops::highest_like(x), "eq"));
                             return ops::as_type(ops::select(kept, x, ops::sign(x) * root), d.x(0).dtype());
                           }),
    .accuracy = ulps(6),
    .cost = flops_per_element(25),
    .cases = {"[2,3]", "[]", "[0]", "[33]", "f32[33]:-1000..1000", "f64[33]:-1e-3..1e-3"},
    .rejects = {},
};

}  // namespace trireme
