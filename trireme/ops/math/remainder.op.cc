#include "trireme/ops/declare.h"

namespace trireme {

OpDecl remainder_decl{
    .name = "remainder",
    .doc = "Remainder with the sign of the divisor, y = x - w floor(x / w). Integers: remainder(x, 0) = 0.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", numbers}, {"w", same_as_first, {0.5, 3}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) {
      p.dx(0) = p.dy();
      p.dx(1) = -(p.dy() * ops::floor_divide(p.x(0), p.x(1)));
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value r = ops::rem(d.x(0), d.x(1));
      const Value apart =
          ops::and_(ops::compare(r, 0.0, "ne"), ops::xor_(ops::compare(r, 0.0, "lt"), ops::compare(d.x(1), 0.0, "lt")));
      return ops::select(apart, r + d.x(1), r);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[] []", "[0,4] [0,4]", "[17] [17]", "i32[9]:-9..9 i32[9]:-3..3", "u8[9]:0..9 u8[9]:0..3"},
    .rejects = {"1: [2,3] [3,2]"},
};

}  // namespace trireme
