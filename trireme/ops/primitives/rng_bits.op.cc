#include "trireme/core/philox.h"
#include "trireme/ops/declare.h"

namespace trireme {

namespace {
// The two halves of the 64-bit product of each u32 element with a constant, by 16-bit digits:
// x m = (x1 2^16 + x0) (m1 2^16 + m0).
struct Halves {
  Value high, low;
};
Halves wide_product(const Value& x, uint32_t m) {
  const double m0 = m & 0xffffu, m1 = m >> 16;
  const Value mask = ops::bit_pattern(u32, 0xffff);
  const auto low_digit = [&](const Value& v) { return ops::and_(v, mask); };
  const auto high_digit = [&](const Value& v) { return v / 65536.0; };
  const Value x0 = low_digit(x), x1 = high_digit(x);
  const Value middle0 = x1 * m0, middle1 = x0 * m1;
  const Value carry = high_digit(x0 * m0) + low_digit(middle0) + low_digit(middle1);
  return {x1 * m1 + high_digit(middle0) + high_digit(middle1) + high_digit(carry), x * static_cast<double>(m)};
}

Values philox_by_digits(const Decompose& d) {
  const Shape& shape = d.y().shape();
  const int64_t count = shape.elements(), blocks = (count + 3) / 4;
  const auto word = [&](int i) { return ops::broadcast_to(ops::slice_axis(d.x(0), 0, i, i + 1), {blocks}); };
  Value key0 = word(0), key1 = word(1);
  Value counter[4] = {ops::iota({blocks}, u32, 0), ops::filled(u32, {blocks}, 0.0), word(2), word(3)};
  for (int round = 0; round < 10; ++round) {
    const Halves product0 = wide_product(counter[0], 0xD2511F53u), product1 = wide_product(counter[2], 0xCD9E8D57u);
    counter[0] = ops::xor_(ops::xor_(product1.high, counter[1]), key0);
    counter[1] = product1.low;
    counter[2] = ops::xor_(ops::xor_(product0.high, counter[3]), key1);
    counter[3] = product0.low;
    key0 = key0 + static_cast<double>(0x9E3779B9u);
    key1 = key1 + static_cast<double>(0xBB67AE85u);
  }
  std::vector<Value> columns;
  for (const Value& c : counter) columns.push_back(ops::reshape(c, {blocks, 1}));
  const Value words = ops::reshape(ops::concat(columns, 1), {blocks * 4});
  return ops::reshape(ops::slice_axis(words, 0, 0, count), shape.vector());
}
}  // namespace

OpDecl rng_bits_decl{
    .name = "rng_bits",
    .doc =
        "Random words, a pure function of the state: element i is word i of the Philox 4x32-10 stream of state = "
        "{key0, "
        "key1, stream0, stream1}; every chip gives the same bits.",
    .tier = Tier::kExpected,
    .kind = Kind::kRandom,
    .inputs = {{"state", only(u32), {0, 4e9}}},
    .outputs = {"bits"},
    .attributes = {{"shape", required_ints, "sizes of the result"}},
    .coerce = Coerce::kNone,
    .rules = {"state has 4 elements", "shape has no negative size and fewer than 2^34 elements"},
    .infer =
        [](Infer& i) {
          const Ints& sizes = i.integers("shape");
          i.require(1, i.shape(0) == Shape{4});
          i.require(2, std::all_of(sizes.begin(), sizes.end(), [](int64_t n) { return n >= 0; }));
          i.require(2, Shape(sizes).elements() < int64_t{1} << 34, "draw in parts, each with its own stream");
          i.output(u32, sizes);
        },
    .gradient = none("random bits do not depend smoothly on the state"),
    .meaning = evaluate(
        [](Evaluation& e) {
          std::array<uint32_t, 4> state;
          for (size_t k = 0; k < 4; ++k) state[k] = static_cast<uint32_t>(e.x(0).integer[k]);
          for (int64_t at = 0; at < e.y().elements(); ++at) {
            e.y().integer[static_cast<size_t>(at)] = philox_word(state, static_cast<uint64_t>(at));
          }
        },
        philox_by_digits),
    .accuracy = exact,
    .cost = flops_per_element(30),
    .cases = {"[4] shape=[2,3]", "[4] shape=[]", "[4] shape=[0]", "[4] shape=[33]"},
    .rejects = {"1: [3] shape=[2]", "2: [4] shape=[-1]", "2: [4] shape=[131072,131072]"},
};

}  // namespace trireme
