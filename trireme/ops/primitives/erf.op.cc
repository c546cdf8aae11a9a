#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

namespace {
// Two ranges meet at |x| = 1. Below: erf(x) = x P(x^2). Above: erf(x) = 1 - exp(-x^2) Q(t), t = (x - 4) / (x + 4),
// where Q interpolates exp(x^2) erfc(x) and x is held at 6 because erf(6) = 1 - 2e-17. P and Q are Chebyshev
// interpolants, off by less than 1e-16.
Values erf_by_parts(const Decompose& d) {
  const Value x = ops::widen(d.x(0));
  const Value square = x * x;
  const Value inner =
      x * ops::polynomial(
              square, {1.1283791670955126, -0.3761263890318354, 0.11283791670945006, -0.02686617064323777,
                       0.0052239776071164227, -0.00085483259753896921, 0.00012055294904839708, -1.492473690741966e-5,
                       1.6447424703317362e-6, -1.6208483801871706e-7, 1.3720064546777686e-8, -7.7958988270021422e-10});
  const Value size = ops::min(ops::abs(x), ops::scalar(x.dtype(), 6.0));
  const Value t = (size - 4.0) / (size + 4.0);
  const Value tail =
      ops::exp(-(size * size)) *
      ops::polynomial(
          t, {0.13699945762506139, -0.25906804876017182, 0.21871967891826714, -0.16425781669724076, 0.10896317739865745,
              -0.063107815647382796, 0.031299056515832771, -0.012843945687071453, 0.0040602646601511515,
              -0.00079913220763904389, -2.1795681664187958e-5, 7.8956949277132077e-5, -2.2294712208280906e-5,
              -9.3800043372964441e-7, 4.4600091083638921e-6, 7.4231642511169652e-7});
  const Value outer = ops::sign(x) * (1.0 - tail);
  return ops::as_type(ops::select(ops::compare(square, 1.0, "lt"), inner, outer), d.x(0).dtype());
}
}  // namespace

OpDecl erf_decl{
    .name = "erf",
    .doc = "Error function of each element, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.",
    .tier = Tier::kExpected,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats, {-3.0, 3.0}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback(
        [](Pullback& p) { p.dx(0) = p.dy() * ops::exp(-(p.x(0) * p.x(0))) * (2.0 / std::sqrt(std::numbers::pi)); }),
    .meaning = elementwise([](double x) { return std::erf(x); }, erf_by_parts),
    .accuracy = ulps(16),
    .cost = flops_per_element(30),
    .cases = {"[2,3]", "[]", "[0]", "[33]", "f32[33]:-20..20", "f64[33]:-1e-3..1e-3", "f64[65]:-7..7"},
    .rejects = {},
};

}  // namespace trireme
