#include "trireme/ops/declare.h"

namespace trireme {

namespace {
struct Power {
  template <class T>
  T operator()(T base, T exponent) const {
    if constexpr (std::is_floating_point_v<T>) {
      return std::pow(base, exponent);
    } else {
      if constexpr (std::is_signed_v<T>) {
        if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 != 0 ? -1 : 1) : 0;
      }
      uint64_t result = 1, square = static_cast<uint64_t>(base);
      for (auto left = static_cast<uint64_t>(exponent); left != 0; left /= 2) {
        if (left % 2 != 0) result *= square;
        square *= square;
      }
      return static_cast<T>(result);
    }
  }
};
}  // namespace

OpDecl pow_decl{
    .name = "pow",
    .doc = "Power of each element, y = x^w. Integers wrap; a negative integer exponent gives 0 unless x is 1 or -1.",
    .tier = Tier::kMandatory,
    .kind = Kind::kElementwise,
    .inputs = {{"x", numbers, {0.2, 3.0}}, {"w", same_as_first}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) {
      // x^0 is constant, also at x = 0, where w x^(w-1) would be 0 * inf; and 0^w does not move with w.
      const Value &x = p.x(0), &w = p.x(1);
      const Value flat = ops::compare(w, 0.0, "eq"), at_zero = ops::compare(x, 0.0, "eq");
      p.dx(0) = p.dy() * ops::select(flat, 0.0, w * ops::pow(x, ops::select(flat, 1.0, w - 1.0)));
      p.dx(1) = p.dy() * ops::select(at_zero, 0.0, p.y() * ops::log(ops::select(at_zero, 1.0, x)));
    }),
    .meaning = elementwise(Power{}),
    .accuracy = ulps(32),
    .cost = flops_per_element(30),
    .cases = {"[2,3] [2,3]", "[] []", "[0] [0]", "[33] [33]", "i32[33]:-3..3 i32[33]:-3..9", "u8[33]:0..9 u8[33]:0..9"},
    .rejects = {"1: [2,3] [3,2]"},
};

}  // namespace trireme
