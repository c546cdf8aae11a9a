// Random bits.
#include "trireme/base/strings.h"
#include "trireme/formats/stablehlo/call.h"
#include "trireme/formats/stablehlo/literal.h"

namespace trireme::formats::stablehlo {

namespace {

// Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw 2011): key and counter are pairs of u32.
std::pair<Value, Value> threefry(const Value (&key)[2], Value x0, Value x1) {
  constexpr int kRotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
  const auto word = [](uint64_t bits) { return ops::bit_pattern(u32, bits); };
  const Value keys[3] = {key[0], key[1], ops::xor_(ops::xor_(key[0], key[1]), word(0x1BD11BDA))};
  x0 = x0 + keys[0];
  x1 = x1 + keys[1];
  for (int group = 0; group < 5; ++group) {
    for (int rotation : kRotations[group % 2]) {
      x0 = x0 + x1;
      const auto left = static_cast<uint64_t>(rotation);
      const Value turned = ops::or_(ops::shift_left(x1, word(left)), ops::shift_right_logical(x1, word(32 - left)));
      x1 = ops::xor_(turned, x0);
    }
    x0 = x0 + keys[(group + 1) % 3];
    x1 = x1 + ops::add(keys[(group + 2) % 3], word(static_cast<uint64_t>(group) + 1));
  }
  return {x0, x1};
}

// The state is a key and a counter, u64 each; element i takes counter + i.
void rng_bit_generator(Call& c) {
  const std::string algorithm = c.string(c.given("algorithm") ? "algorithm" : "rng_algorithm");
  if (algorithm != "THREE_FRY") c.unsupported(cat("the algorithm ", algorithm, " is not supported; THREE_FRY is"));
  c.require(c.inputs() == 1 && c.x(0).type() == TensorType{u64, Shape{2}}, "the state is no tensor<2xui64>");
  if (c.result_dtype(1) != u64) c.unsupported("other results than of ui64 are not supported");
  const Shape shape = shape_of(c.type(1));
  const Value half = ops::bit_pattern(u64, 32);
  const auto low = [](const Value& x) { return ops::convert(x, u32); };
  const auto high = [&](const Value& x) { return ops::convert(ops::shift_right_logical(x, half), u32); };
  const Value key = ops::slice_axis(c.x(0), 0, 0, 1), counter = ops::slice_axis(c.x(0), 0, 1, 2);
  const Value numbers = ops::iota({shape.elements()}, u64) + counter;
  const auto [x0, x1] = threefry({low(key), high(key)}, low(numbers), high(numbers));
  const Value bits = ops::or_(ops::convert(x0, u64), ops::shift_left(ops::convert(x1, u64), half));
  const Value next = counter + ops::bit_pattern(u64, static_cast<uint64_t>(shape.elements()));
  c.result(0, ops::concat({key, next}, 0));
  c.result(1, ops::reshape(bits, shape.vector()));
}

constexpr Mapping kMappings[] = {
    {"stablehlo.rng_bit_generator", rng_bit_generator},
};

}  // namespace

std::span<const Mapping> random_mappings() { return kMappings; }

}  // namespace trireme::formats::stablehlo
