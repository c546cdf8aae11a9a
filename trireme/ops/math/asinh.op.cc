#include "trireme/ops/declare.h"

namespace trireme {

OpDecl asinh_decl{
    .name = "asinh",
    .doc =
        "Inverse hyperbolic sine, y = sign(x) log(|x| + sqrt(x^2 + 1)), accurate near 0 and free of "
        "overflow.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() / ops::hypot(p.x(0), ops::filled_like(p.x(0), 1.0)); }),
    .meaning = decompose([](const Decompose& d) -> Values {
      // log(a + h) with h = sqrt(a^2 + 1), a = |x|, is log1p(a + a^2 / (1 + h)).
      const Value a = ops::abs(d.x(0));
      const Value h = ops::hypot(a, ops::filled_like(a, 1.0));
      return ops::sign(d.x(0)) * ops::log1p(a + a * (a / (1.0 + h)));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
