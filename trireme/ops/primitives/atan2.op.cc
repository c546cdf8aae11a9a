#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

namespace {
// Sign bit of each element, seen by comparison: 1/-0 is below 0.
Value is_negative(const Value& x) {
  return ops::or_(ops::compare(x, 0.0, "lt"), ops::and_(ops::compare(x, 0.0, "eq"), ops::compare(1.0 / x, 0.0, "lt")));
}

// The angle is folded to t = smaller / larger side in 0 .. 1 and, above tan(pi/8), once more by
// atan(t) = pi/4 + atan((t - 1) / (t + 1)); then atan(t) = t P(t^2), P a Chebyshev interpolant off by less than 1e-16.
Values atan2_by_parts(const Decompose& d) {
  const Value y = ops::widen(d.x(0)), x = ops::widen(d.x(1));
  const Value height = ops::abs(y), width = ops::abs(x);
  const Value small = ops::min(height, width), large = ops::max(height, width);
  // Equal sides (both may be infinite) have t = 1; at the origin t = 0.
  const Value ratio = ops::select(ops::compare(large, 0.0, "eq"), 0.0,
                                  ops::select(ops::compare(small, large, "eq"), 1.0, small / large));
  const Value steep = ops::compare(ratio, std::numbers::sqrt2 - 1.0, "gt");
  const Value t = ops::select(steep, (ratio - 1.0) / (ratio + 1.0), ratio);
  const Value fan = t * ops::polynomial(t * t, {1.0, -0.33333333333328434, 0.19999999998854167, -0.14285714180900645,
                                                0.11111106177375227, -0.090907730032408278, 0.076899524882330162,
                                                -0.066402251735395008, 0.056883034036332498, -0.04347919839046537,
                                                0.021133752033748363});
  constexpr double pi = std::numbers::pi;
  Value angle = ops::select(steep, fan + pi / 4.0, fan);
  angle = ops::select(ops::compare(height, width, "gt"), pi / 2.0 - angle, angle);
  angle = ops::select(is_negative(x), pi - angle, angle);
  angle = ops::select(is_negative(y), -angle, angle);
  return ops::as_type(angle, d.x(0).dtype());
}
}  // namespace

OpDecl atan2_decl{
    .name = "atan2",
    .doc = "Angle of the point (x, y), in -pi .. pi: the arc tangent of y / x in the right quadrant.",
    .tier = Tier::kExpected,
    .kind = Kind::kElementwise,
    .inputs = {{"y", floats, {0.2, 2.0}}, {"x", same_as_first}},
    .outputs = {"angle"},
    .attributes = {},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) {
      const Value scale = p.dy() / (p.x(0) * p.x(0) + p.x(1) * p.x(1));
      p.dx(0) = scale * p.x(1);
      p.dx(1) = -(scale * p.x(0));
    }),
    .meaning = elementwise([](double y, double x) { return std::atan2(y, x); }, atan2_by_parts),
    .accuracy = ulps(12),
    .cost = flops_per_element(40),
    .cases = {"[2,3] [2,3]", "[] []", "[0] [0]", "[33] [33]", "f32[65]:-3..3 f32[65]:-3..3",
              "f64[65]:-3..3 f64[65]:-3..3", "f32[5]:0..0 f32[5]:-1..1"},
    .rejects = {"1: [2,3] [3,2]"},
};

}  // namespace trireme
