#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

namespace {
// (1 + 2a) e^(a^2) erfc(a) as a polynomial in t, lowest power first: the Chebyshev fit of degree 20, whose error is
// below 1e-14 of the value.
constexpr double kTail[] = {1.2375126308378264,      -0.1402405985855061,    0.003585415485781718,
                            0.08227673848712364,     -0.10880393015455231,   0.09230432122630407,
                            -0.058693398387769276,   0.028362276757789878,   -0.009746581194305737,
                            0.0017556295098350434,   0.0002937214295671746,  -0.00029016629854870584,
                            5.162601622259853e-05,   2.2410019228612918e-05, -1.1399726074447365e-05,
                            -1.0083452170479683e-06, 1.6959958079430478e-06, -2.7749611122883763e-08,
                            -2.143069227582364e-07,  8.526359817483033e-09,  1.7552176307433927e-08};
}  // namespace

OpDecl erfc_decl{
    .name = "erfc",
    .doc = "Complement of the error function, y = 1 - erf(x), with full relative accuracy for large x.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback(
        [](Pullback& p) { p.dx(0) = p.dy() * ops::exp(-(p.x(0) * p.x(0))) * (-2.0 * std::numbers::inv_sqrtpi); }),
    .meaning = decompose([](const Decompose& d) -> Values {
      // For a = |x|: erfc(a) = e^(-a^2) P(t) / (1 + 2a), t = (a - 3.75) / (a + 3.75); erfc(-a) = 2 - erfc(a).
      const Value x = ops::widen(d.x(0));          // in 16 bits, a^2 would lose what e^(-a^2) needs
      const Value a = ops::min(ops::abs(x), 1e4);  // e^(-a^2) is 0 long before; inf / inf would be NaN
      const Value t = (a - 3.75) / (a + 3.75);
      Value sum = ops::filled_like(a, kTail[std::size(kTail) - 1]);
      for (size_t k = std::size(kTail) - 1; k-- > 0;) sum = sum * t + kTail[k];
      const Value tail = ops::exp(-(a * a)) * sum / (1.0 + a * 2.0);
      return ops::as_type(ops::select(ops::compare(x, 0.0, "lt"), 2.0 - tail, tail), d.x(0).dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
