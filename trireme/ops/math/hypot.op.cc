#include "trireme/ops/declare.h"

namespace trireme {

OpDecl hypot_decl{
    .name = "hypot",
    .doc =
        "Length of a vector, y = sqrt(x^2 + w^2), without overflow or underflow. The gradient at the "
        "origin is 0.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}, {"w", same_as_first}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) {
      const Value length = ops::select(ops::compare(p.y(), 0.0, "gt"), p.y(), 1.0);
      p.dx(0) = p.dy() * (p.x(0) / length);
      p.dx(1) = p.dy() * (p.x(1) / length);
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      // Scaled by the larger side; 0 and inf cannot divide.
      const Value larger_side = ops::max(ops::abs(d.x(0)), ops::abs(d.x(1)));
      const Value usable = ops::and_(ops::compare(larger_side, 0.0, "gt"), ops::is_finite(larger_side));
      const Value scale = ops::select(usable, larger_side, 1.0);
      const Value x = d.x(0) / scale, w = d.x(1) / scale;
      return scale * ops::sqrt(x * x + w * w);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[] []", "[0,4] [0,4]", "[17] [17]"},
    .rejects = {"1: [2,3] [3,2]"},
};

}  // namespace trireme
