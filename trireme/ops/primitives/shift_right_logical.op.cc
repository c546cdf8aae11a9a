#include "trireme/ops/declare.h"

namespace trireme {

OpDecl shift_right_logical_decl{
    .name = "shift_right_logical",
    .doc =
        "Bits of x moved to lower places by the amount in w, zeros follow; 0 where the amount is negative or not below "
        "the bits.",
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
        [](uint64_t x, uint64_t amount, const Evaluation& e) -> uint64_t {
          const size_t bits = 8 * size_of(e.x(0).type.dtype);
          return amount < bits ? x << (64 - bits) >> (64 - bits) >> amount : 0;
        },
        [](const Decompose& d) -> Values {
          const DType type = d.x(0).dtype(), plain = ops::unsigned_type(type);
          const auto [power, inside] = ops::shift_factor(d.x(1), plain);
          return ops::select(inside, ops::convert(ops::convert(d.x(0), plain) / power, type), 0.0);
        }),
    .accuracy = exact,
    .cost = flops_per_element(1),
    .cases = {"[2,3] [2,3]", "[] []", "[0] [0]", "i32[65]:-2e9..2e9 i32[65]:-3..35", "u64[65]:0..1e18 u64[65]:0..70",
              "i8[33]:-128..127 i8[33]:-2..9"},
    .rejects = {"1: [2,3] [3,2]"},
};

}  // namespace trireme
