#include <bit>

#include "trireme/ops/declare.h"

namespace trireme {

OpDecl clz_decl{
    .name = "clz",
    .doc = "Number of zero bits above the highest one bit of each element, in the type of x; of 0 all bits count.",
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
          const int bits = static_cast<int>(8 * size_of(e.x(0).type.dtype));
          return std::min(bits, std::countl_zero(x << (64 - bits)));
        },
        [](const Decompose& d) -> Values {
          // Copies the highest one bit into all lower places; what is left zero is counted.
          const DType plain = ops::unsigned_type(d.x(0).dtype());
          const int bits = static_cast<int>(8 * size_of(plain));
          Value x = ops::convert(d.x(0), plain);
          for (int shift = 1; shift < bits; shift *= 2) {
            x = ops::or_(x, x / ops::bit_pattern(plain, uint64_t{1} << shift));
          }
          return ops::convert(ops::popcount(ops::not_(x)), d.x(0).dtype());
        }),
    .accuracy = exact,
    .cost = flops_per_element(20),
    .cases = {"[2,3]", "[]", "[0]", "i32[33]:-2e9..2e9", "i32[33]:0..9", "u64[33]:0..1e18", "i8[33]:-128..127",
              "u16[33]:0..65535"},
    .rejects = {},
};

}  // namespace trireme
