#include "trireme/ops/declare.h"

namespace trireme {

OpDecl erfinv_decl{
    .name = "erfinv",
    .doc = "Inverse of the error function: erf(y) = x for -1 < x < 1; +-inf at the ends, NaN beyond.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats, {-0.9, 0.9}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient =
        pullback([](Pullback& p) { p.dx(0) = p.dy() * ops::exp(p.y() * p.y()) * (0.5 / std::numbers::inv_sqrtpi); }),
    .meaning = decompose([](const Decompose& d) -> Values {
      // Winitzki's closed approximation, then two Halley steps on erf (near 0) or erfc (in the tails, where erf
      // saturates).
      const Value a = ops::abs(d.x(0));
      const Value inside = ops::min(a, 1.0 - unit_roundoff(a.dtype()));
      const double k = 0.147, c = 2.0 * std::numbers::inv_pi / k;
      const Value log_term = ops::log1p(-(inside * inside));
      const Value half = log_term * 0.5 + c;
      Value y = ops::sqrt(-log_term / k / (ops::sqrt(half * half - log_term / k) + half));
      for (int step = 0; step < 2; ++step) {
        const Value excess =
            ops::select(ops::compare(inside, 0.5, "lt"), ops::erf(y) - inside, (1.0 - inside) - ops::erfc(y));
        const Value newton = excess * ops::exp(y * y) * (0.5 / std::numbers::inv_sqrtpi);
        y = y - newton / (1.0 + newton * y);
      }
      const Value infinite = ops::filled_like(a, std::numeric_limits<double>::infinity());
      const Value nan = ops::filled_like(a, std::numeric_limits<double>::quiet_NaN());
      y = ops::select(ops::compare(a, 1.0, "lt"), y, ops::select(ops::compare(a, 1.0, "eq"), infinite, nan));
      return ops::select(ops::compare(d.x(0), 0.0, "lt"), -y, y);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
