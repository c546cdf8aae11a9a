#include "trireme/ops/declare.h"

namespace trireme {

OpDecl copysign_decl{
    .name = "copysign",
    .doc = "Magnitude of x with the sign of w; -0 counts as negative.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}, {"w", same_as_first}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() * ops::sign(p.x(0)) * ops::sign(p.y()); }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value zero = ops::compare(d.x(1), 0.0, "eq");
      const Value negative_zero = ops::and_(zero, ops::compare(1.0 / d.x(1), 0.0, "lt"));
      const Value negative = ops::or_(ops::compare(d.x(1), 0.0, "lt"), negative_zero);
      const Value magnitude = ops::abs(d.x(0));
      return ops::select(negative, -magnitude, magnitude);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[] []", "[0,4] [0,4]", "[17] [17]"},
    .rejects = {"1: [2,3] [3,2]"},
};

}  // namespace trireme
