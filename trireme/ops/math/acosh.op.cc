#include "trireme/ops/declare.h"

namespace trireme {

OpDecl acosh_decl{
    .name = "acosh",
    .doc = "Inverse hyperbolic cosine, y = log(x + sqrt(x^2 - 1)), accurate near 1; NaN below 1.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats, {1.1, 4}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() * ops::rsqrt(p.x(0) - 1.0) * ops::rsqrt(p.x(0) + 1.0); }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value above = d.x(0) - 1.0;
      return ops::log1p(above + ops::sqrt(above) * ops::sqrt(above + 2.0));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
