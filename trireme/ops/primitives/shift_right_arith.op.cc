#include "trireme/ops/declare.h"

namespace trireme {

OpDecl shift_right_arith_decl{
    .name = "shift_right_arith",
    .doc =
        "Bits of x moved to lower places by the amount in w, copies of the sign follow; all sign where the amount is "
        "negative or not below the bits. The sign of an unsigned type is 0.",
    .tier = Tier::kExpected,
    .kind = Kind::kElementwise,
    .inputs = {{"x", ints, {-99, 99}}, {"w", same_as_first, {-1, 9}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes},
    .infer = infer_same,
    .gradient = none("integers have no derivative"),
    .meaning = elementwise(
        []<class T>(T x, T amount, const Evaluation&) -> T {
          if constexpr (std::is_integral_v<T>) {
            const bool inside = static_cast<uint64_t>(amount) < 64;
            if (std::is_unsigned_v<T> && !inside) return 0;
            return x >> (inside ? static_cast<int>(amount) : 63);
          } else {
            return x;
          }
        },
        [](const Decompose& d) -> Values {
          // Of a negative number: the complement of the logical shift of the complement.
          const Value& x = d.x(0);
          const Value plain = ops::shift_right_logical(x, d.x(1));
          if (is_unsigned_int(x.dtype())) return plain;
          const Value flipped = ops::not_(ops::shift_right_logical(ops::not_(x), d.x(1)));
          return ops::select(ops::compare(x, 0.0, "lt"), flipped, plain);
        }),
    .accuracy = exact,
    .cost = flops_per_element(1),
    .cases = {"[2,3] [2,3]", "[] []", "[0] [0]", "i32[65]:-2e9..2e9 i32[65]:-3..35", "u64[65]:0..1e18 u64[65]:0..70",
              "i8[33]:-128..127 i8[33]:-2..9"},
    .rejects = {"1: [2,3] [3,2]"},
};

}  // namespace trireme
