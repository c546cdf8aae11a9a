#include "trireme/ops/declare.h"

namespace trireme {

OpDecl floor_divide_decl{
    .name = "floor_divide",
    .doc =
        "Quotient rounded toward -inf, y = floor(x / w), so that x = w y + remainder(x, w). Integers: x / "
        "0 = 0.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", numbers}, {"w", same_as_first, {0.5, 3}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes},
    .infer = infer_same,
    .gradient = pullback(ops::zero_gradient),
    .meaning = decompose([](const Decompose& d) -> Values {
      // Exactly representable: x - r is a multiple of w up to one rounding, which round_even takes back.
      const Value &x = d.x(0), &w = d.x(1);
      const Value r = ops::rem(x, w);
      const Value apart =
          ops::and_(ops::compare(r, 0.0, "ne"), ops::xor_(ops::compare(r, 0.0, "lt"), ops::compare(w, 0.0, "lt")));
      const Value correction = ops::select(apart, ops::filled_like(x, 1.0), 0.0);
      if (!is_float(x.dtype())) return ops::div(x, w) - correction;
      return ops::select(ops::compare(w, 0.0, "eq"), x / w, ops::round_even((x - r) / w) - correction);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[] []", "[0,4] [0,4]", "[17] [17]", "i32[9]:-9..9 i32[9]:-3..3", "u8[9]:0..9 u8[9]:0..3"},
    .rejects = {"1: [2,3] [3,2]"},
};

}  // namespace trireme
