#include <bit>

#include "trireme/ops/declare.h"

namespace trireme {

OpDecl popcount_decl{
    .name = "popcount",
    .doc = "Number of one bits of each element, in the type of x.",
    .tier = Tier::kExpected,
    .kind = Kind::kElementwise,
    .inputs = {{"x", ints}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = none("integers have no derivative"),
    .meaning = elementwise(
        [](uint64_t x, const Evaluation& e) -> int64_t {
          return std::popcount(x << (64 - 8 * size_of(e.x(0).type.dtype)));
        },
        [](const Decompose& d) -> Values {
          // Sums of neighbouring 1-, 2- and 4-bit fields, then of the bytes by one product.
          const DType plain = ops::unsigned_type(d.x(0).dtype());
          const int bits = static_cast<int>(8 * size_of(plain));
          const auto pattern = [&](uint64_t word) { return ops::bit_pattern(plain, word); };
          Value x = ops::convert(d.x(0), plain);
          x = x - ops::and_(x / 2.0, pattern(0x5555555555555555));
          x = ops::and_(x, pattern(0x3333333333333333)) + ops::and_(x / 4.0, pattern(0x3333333333333333));
          x = ops::and_(x + x / 16.0, pattern(0x0f0f0f0f0f0f0f0f));
          if (bits > 8) x = x * pattern(0x0101010101010101) / pattern(uint64_t{1} << (bits - 8));
          return ops::convert(x, d.x(0).dtype());
        }),
    .accuracy = exact,
    .cost = flops_per_element(12),
    .cases = {"[2,3]", "[]", "[0]", "i32[33]:-2e9..2e9", "u64[33]:0..1e18", "i8[33]:-128..127", "u16[33]:0..65535"},
    .rejects = {},
};

}  // namespace trireme
