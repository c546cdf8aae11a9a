// The 8-bit products of the cpu chip against plain loops over the definition, bit for bit: odd and empty sizes,
// operands that lie at odd addresses or have gaps, weights known ahead and not, extreme numbers, epilogues.
//
// ctest: each-isa
#include <array>
#include <cmath>
#include <deque>
#include <random>

#include "tests/chip_compute.h"
#include "trireme/base/strings.h"
#include "trireme/ops/value.h"
#include "trireme/runtime/host.h"

extern "C" int32_t trm_chip_entry_v1_cpu(const TrmHost* host, TrmChip* chip);

namespace trireme::testing {
namespace {

using chip_test::node;

struct Cpu {
  TrmChip chip = chip::sized<TrmChip>();
  TrmDev* dev = nullptr;
  Cpu() {
    TrmErr err = chip::sized<TrmErr>();
    EXPECT_EQ(trm_chip_entry_v1_cpu(&runtime::host_services(), &chip), TRM_OK);
    EXPECT_EQ(chip.device->open(0, nullptr, 0, &dev, &err), TRM_OK) << err.text;
  }
  ~Cpu() { chip.device->close(dev); }
};

// Numbers of 8 bits at an address that is a multiple of nothing.
struct Bytes {
  std::vector<std::byte> storage;
  explicit Bytes(size_t count) : storage(count + 3) {}
  std::byte* data() { return storage.data() + 3; }
};
void fill(Bytes& bytes, size_t count, bool extreme, uint64_t seed) {
  std::mt19937_64 random(seed);
  for (size_t i = 0; i < count; ++i) {
    const uint64_t r = random();
    bytes.data()[i] = static_cast<std::byte>(extreme ? (r & 1 ? 0x80 : r & 2 ? 0xFF : 0x7F) : r);
  }
}
// Weights up to `largest` either way; half of them are as large as that.
void fill_weights(Bytes& bytes, size_t count, int64_t largest, uint64_t seed) {
  std::mt19937_64 random(seed);
  for (size_t i = 0; i < count; ++i) {
    const auto r = static_cast<int64_t>(random() >> 1);
    const int64_t size = r & 1 ? largest : r / 4 % (largest + 1);
    bytes.data()[i] = static_cast<std::byte>(r & 2 ? size : -size);
  }
}
int64_t number(Bytes& bytes, int64_t at, DType type) {
  const std::byte b = bytes.data()[at];
  return type == i8 ? static_cast<int8_t>(b) : static_cast<int64_t>(b);
}

// What lies in row-major memory, in the order that a chip asks for, and back; with a guard behind it.
struct Moved {
  const TrmValue type;
  std::array<int64_t, TRM_MAX_RANK> strides{};
  std::byte* given;
  std::vector<std::byte> bytes;

  Moved(const TrmValue& v, const uint8_t* order, void* memory) : type(v), given(static_cast<std::byte*>(memory)) {
    int64_t stride = 1;
    for (uint32_t k = v.rank; k-- > 0; stride *= v.dims[order[k]]) strides[order[k]] = stride;
    bytes.assign(static_cast<size_t>(chip::elements(v)) * chip::size_of(v.dtype) + 8, std::byte{0xB3});
    copy(true);
  }
  void copy(bool in) {
    const auto item = chip::size_of(type.dtype);
    int64_t index[TRM_MAX_RANK] = {};
    for (size_t i = 0; i < static_cast<size_t>(chip::elements(type)); ++i) {
      int64_t at = 0;
      for (uint32_t a = 0; a < type.rank; ++a) at += index[a] * strides[a];
      std::byte *one = bytes.data() + static_cast<size_t>(at) * item, *other = given + i * item;
      std::memcpy(in ? one : other, in ? other : one, item);
      for (uint32_t a = type.rank; a-- > 0;) {
        if (++index[a] < type.dims[a]) break;
        index[a] = 0;
      }
    }
    for (size_t i = bytes.size() - 8; i < bytes.size(); ++i) ASSERT_EQ(bytes[i], std::byte{0xB3});
  }
};

// Runs a graph on the chip, its operands laid out as it asks; `strides` of the inputs.
void run(const Graph& graph, std::span<const Strides> strides, std::vector<void*> memory) {
  const Cpu cpu;
  auto program = runtime::make_program(graph, strides);
  TrmErr err = chip::sized<TrmErr>();
  TrmAnswer answer = chip::sized<TrmAnswer>();
  ASSERT_EQ(cpu.chip.compute->query(cpu.dev, program.get(), &answer, &err), TRM_OK) << err.text;
  ASSERT_EQ(answer.runs_on_host, 0U);
  std::deque<Moved> moved;
  if (answer.verdict == TRM_NATIVE_AFTER_CONVERSION) {
    const chip::Program view(&runtime::program_reader(), program.get());
    std::vector<Strides> laid(view.operand_count());
    for (uint32_t i = 0; i < view.operand_count(); ++i) {
      std::copy_n(view.operand(i).strides, view.operand(i).rank, laid[i].begin());
    }
    for (uint32_t i = 0; i < answer.conversion_count; ++i) {
      const TrmConversion& conversion = answer.conversions[i];
      const uint32_t operand = conversion.operand;
      moved.emplace_back(view.operand(operand), conversion.order, memory[operand]);
      std::copy_n(moved.back().strides.begin(), laid[operand].size(), laid[operand].begin());
      memory[operand] = moved.back().bytes.data();
    }
    const auto inputs = std::span(laid).first(view.input_count()), outputs = std::span(laid).subspan(inputs.size());
    program = runtime::make_program(graph, inputs, outputs);
    ASSERT_EQ(cpu.chip.compute->query(cpu.dev, program.get(), &answer, &err), TRM_OK) << err.text;
  }
  ASSERT_EQ(answer.verdict, static_cast<uint32_t>(TRM_NATIVE)) << answer.text;
  TrmKernel* kernel = nullptr;
  ASSERT_EQ(cpu.chip.compute->prepare(cpu.dev, program.get(), &kernel, &err), TRM_OK) << err.text;
  std::vector<TrmMem> mems;
  for (void* each : memory) mems.push_back({reinterpret_cast<uint64_t>(each), 0, 1U << 30, 1, 0});
  for (int round = 0; round < 2; ++round) {  // nothing is left over from the first
    ASSERT_EQ(cpu.chip.compute->enqueue(cpu.dev, kernel, mems.data(), static_cast<uint32_t>(mems.size()), nullptr,
                                        nullptr, 1, &err),
              TRM_OK)
        << err.text;
  }
  cpu.chip.compute->release(cpu.dev, kernel);
  for (Moved& each : moved) each.copy(false);
}

Value constant_of(Bytes& bytes, const Shape& shape) {
  auto literal = Literal::zeros(i8, shape);
  std::memcpy(literal.mutable_data(), bytes.data(), literal.bytes());
  return node("constant", {}, {{"value", std::make_shared<const Literal>(literal)}});
}

struct Matrix {
  int64_t batch, m, k, n;
};

void check_product(const Matrix& s, DType type, int64_t zero, bool known, bool extreme, int64_t largest_weight = 128) {
  SCOPED_TRACE(cat(s.batch, " x ", s.m, " x ", s.k, " x ", s.n, " ", type, " zero ", zero, known ? " known" : "",
                   extreme ? " extreme" : "", " weights up to ", largest_weight));
  const auto x_count = static_cast<size_t>(s.batch * s.m * s.k), w_count = static_cast<size_t>(s.batch * s.k * s.n);
  Bytes x(x_count), w(w_count);
  fill(x, x_count, extreme, 1);
  if (largest_weight < 128) fill_weights(w, w_count, largest_weight, 2);
  else fill(w, w_count, extreme, 2);
  std::vector<int32_t> y(static_cast<size_t>(s.batch * s.m * s.n) + 1, -77);
  const Value a = parameter(type, {s.batch, s.m, s.k});
  const Shape w_shape{s.batch, s.k, s.n};
  const Value b = known ? constant_of(w, w_shape) : parameter(i8, w_shape);
  const Value c = node("integer_dot_general", {a, b}, {{"x_zero_point", zero}});
  std::vector<void*> memory = {x.data()};
  if (!known) memory.push_back(w.data());
  memory.push_back(y.data());
  run(known ? Graph({a}, {c}) : Graph({a, b}, {c}), {}, memory);
  for (int64_t i = 0; i < s.batch * s.m * s.n; ++i) {
    const int64_t row = i / s.n, column = i % s.n, batch = row / s.m;
    int64_t sum = 0;
    for (int64_t k = 0; k < s.k; ++k) {
      sum += (number(x, row * s.k + k, type) - zero) * number(w, (batch * s.k + k) * s.n + column, i8);
    }
    ASSERT_EQ(y[static_cast<size_t>(i)], sum) << "element " << i;
  }
  EXPECT_EQ(y.back(), -77);  // nothing is written behind
}

TEST(Int8Kernels, ProductsOfEverySizeAreExact) {
  const Matrix sizes[] = {{1, 1, 1, 1},   {1, 1, 3, 5},     {1, 3, 2, 1},    {1, 12, 4, 32},
                          {1, 13, 5, 33}, {1, 7, 511, 9},   {1, 5, 513, 31}, {2, 3, 7, 4},
                          {3, 2, 64, 16}, {1, 150, 70, 40}, {1, 2, 65, 530}, {1, 290, 1030, 65}};
  for (const Matrix& s : sizes) {
    for (const bool known : {false, true}) {
      check_product(s, u8, 0, known, false);
      check_product(s, u8, 131, known, false);
      check_product(s, i8, 0, known, false);
      check_product(s, i8, -128, known, false);
    }
  }
}

TEST(Int8Kernels, ExtremeNumbersDoNotSaturate) {
  for (const DType type : {u8, i8}) {
    for (const int64_t zero : {int64_t{0}, type == u8 ? int64_t{255} : int64_t{-128}, int64_t{127}}) {
      check_product({1, 14, 1200, 37}, type, zero, true, true);
    }
  }
}

// Weights that may stay bytes where pairs of products are added in 16 bits, and those one beyond.
TEST(Int8Kernels, WeightsOfSevenBits) {
  for (const int64_t largest : {64, 65}) {
    for (const DType type : {u8, i8}) {
      for (const int64_t zero : {int64_t{0}, type == u8 ? int64_t{255} : int64_t{-128}}) {
        for (const bool extreme : {false, true}) {
          check_product({1, 14, 1201, 37}, type, zero, true, extreme, largest);
          check_product({2, 9, 6, 5}, type, zero, true, extreme, largest);
          check_product({1, 1, 515, 70}, type, zero, true, extreme, largest);
        }
      }
    }
  }
}

TEST(Int8Kernels, EmptyProducts) {
  for (const Matrix& s : {Matrix{1, 0, 3, 4}, Matrix{1, 3, 0, 4}, Matrix{1, 3, 4, 0}, Matrix{0, 3, 4, 5}}) {
    check_product(s, u8, 3, false, false);
  }
}

TEST(Int8Kernels, OperandsWithGaps) {
  constexpr int64_t kM = 9, kK = 21, kN = 19;
  Bytes x(kM * kK * 2 + 50), w(kN * kK);
  fill(x, kM * kK * 2 + 50, false, 3);
  fill(w, kN * kK, false, 4);
  const Value a = parameter(u8, {1, kM, kK}), b = parameter(i8, {1, kK, kN});
  const std::array<Strides, 2> strides = {Strides{0, 2 * kK + 1, 2}, Strides{0, 1, kK}};  // w is a turned matrix
  std::vector<int32_t> y(kM * kN);
  run(Graph({a, b}, {node("integer_dot_general", {a, b}, {{"x_zero_point", int64_t{5}}})}), strides,
      {x.data(), w.data(), y.data()});
  for (int64_t i = 0; i < kM * kN; ++i) {
    int64_t sum = 0;
    for (int64_t k = 0; k < kK; ++k) {
      sum += (number(x, i / kN * (2 * kK + 1) + 2 * k, u8) - 5) * number(w, i % kN * kK + k, i8);
    }
    ASSERT_EQ(y[static_cast<size_t>(i)], sum);
  }
}

struct Image {
  int64_t n, c, height, width, o, kernel_h, kernel_w, stride, low, high, dilation, spread, groups;
};

void check_convolution(const Image& s, DType type, int64_t zero, bool known, int64_t largest_weight = 128) {
  SCOPED_TRACE(cat("image ", s.n, "x", s.c, "x", s.height, "x", s.width, " to ", s.o, " kernel ", s.kernel_h, "x",
                   s.kernel_w, " stride ", s.stride, " low ", s.low, " high ", s.high, " dilation ", s.dilation,
                   " spread ", s.spread, " groups ", s.groups, " ", type, " zero ", zero, " weights up to ",
                   largest_weight));
  const int64_t inputs = s.c / s.groups;
  const auto x_count = static_cast<size_t>(s.n * s.c * s.height * s.width),
             w_count = static_cast<size_t>(s.o * inputs * s.kernel_h * s.kernel_w);
  Bytes x(x_count), w(w_count);
  fill(x, x_count, largest_weight < 128, 5);
  if (largest_weight < 128) fill_weights(w, w_count, largest_weight, 6);
  else fill(w, w_count, false, 6);
  const Value a = parameter(type, {s.n, s.c, s.height, s.width});
  const Shape w_shape{s.o, inputs, s.kernel_h, s.kernel_w};
  const Value b = known ? constant_of(w, w_shape) : parameter(i8, w_shape);
  const Value c = node("integer_convolution", {a, b},
                       {{"strides", Ints{s.stride, s.stride}},
                        {"low", Ints{s.low, s.low}},
                        {"high", Ints{s.high, s.high}},
                        {"dilation", Ints{s.dilation, s.dilation}},
                        {"input_dilation", Ints{s.spread, s.spread}},
                        {"groups", s.groups},
                        {"x_zero_point", zero}});
  const Shape& to = c.shape();
  std::vector<int32_t> y(static_cast<size_t>(to.elements()) + 1, -77);
  std::vector<void*> memory = {x.data()};
  if (!known) memory.push_back(w.data());
  memory.push_back(y.data());
  run(known ? Graph({a}, {c}) : Graph({a, b}, {c}), {}, memory);
  for (int64_t i = 0; i < to.elements(); ++i) {
    const int64_t q = i % to[3], p = i / to[3] % to[2], o = i / to[3] / to[2] % s.o, n = i / to[3] / to[2] / s.o;
    int64_t sum = 0;
    for (int64_t channel = 0; channel < inputs; ++channel) {
      for (int64_t h = 0; h < s.kernel_h; ++h) {
        for (int64_t v = 0; v < s.kernel_w; ++v) {
          const int64_t row = p * s.stride - s.low + h * s.dilation, column = q * s.stride - s.low + v * s.dilation;
          if (row < 0 || column < 0 || row % s.spread != 0 || column % s.spread != 0) continue;
          if (row / s.spread >= s.height || column / s.spread >= s.width) continue;
          const int64_t from = o / (s.o / s.groups) * inputs + channel;
          sum +=
              (number(x, ((n * s.c + from) * s.height + row / s.spread) * s.width + column / s.spread, type) - zero) *
              number(w, ((o * inputs + channel) * s.kernel_h + h) * s.kernel_w + v, i8);
        }
      }
    }
    ASSERT_EQ(y[static_cast<size_t>(i)], sum) << "element " << i;
  }
  EXPECT_EQ(y.back(), -77);
}

TEST(Int8Kernels, ConvolutionsOfEveryFormAreExact) {
  const Image images[] = {{1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1},     {1, 3, 9, 7, 5, 3, 3, 1, 1, 1, 1, 1, 1},
                          {2, 5, 11, 13, 14, 3, 3, 2, 1, 0, 1, 1, 1},  {1, 64, 14, 14, 40, 1, 1, 1, 0, 0, 1, 1, 1},
                          {1, 8, 10, 10, 6, 5, 5, 1, 2, 2, 1, 1, 2},   {1, 4, 9, 9, 4, 3, 3, 1, 2, 2, 2, 1, 1},
                          {1, 4, 5, 6, 7, 3, 2, 1, 2, 1, 1, 2, 1},     {2, 6, 8, 8, 6, 3, 3, 1, 1, 1, 1, 1, 6},
                          {1, 2, 3, 3, 3, 7, 7, 1, 5, 5, 1, 1, 1},     {1, 70, 23, 27, 150, 3, 3, 1, 1, 1, 1, 1, 1},
                          {3, 2, 4, 60, 2, 1, 9, 1, 0, 8, 1, 1, 1},    {1, 3, 40, 40, 16, 3, 3, 2, 1, 1, 1, 1, 1},
                          {1, 130, 7, 7, 30, 3, 3, 1, 1, 1, 1, 1, 1},  {1, 600, 5, 7, 13, 1, 1, 1, 0, 0, 1, 1, 1},
                          {1, 600, 2, 17, 13, 1, 1, 1, 0, 0, 1, 1, 1}, {1, 520, 4, 5, 40, 1, 1, 1, 0, 0, 1, 1, 1},
                          {1, 8, 6, 5, 13, 3, 3, 1, 2, 2, 2, 1, 1},    {1, 4, 4, 4, 5, 3, 3, 1, 0, 2, 1, 1, 1},
                          {1, 4, 4, 4, 5, 3, 3, 1, 4, 0, 2, 1, 1},     {1, 12, 19, 18, 9, 3, 3, 2, 1, 1, 1, 1, 1},
                          {2, 8, 21, 23, 8, 5, 5, 3, 2, 1, 1, 1, 2},   {1, 64, 29, 28, 9, 1, 1, 2, 0, 0, 1, 1, 1},
                          {1, 12, 21, 30, 6, 5, 5, 1, 2, 2, 1, 1, 3},  {2, 16, 33, 17, 8, 3, 3, 1, 1, 1, 1, 1, 2},
                          {1, 8, 3, 2, 30, 5, 5, 1, 4, 4, 2, 1, 1},    {2, 530, 1, 1, 100, 1, 1, 1, 0, 0, 1, 1, 1},
                          {1, 530, 6, 8, 100, 1, 1, 1, 0, 0, 1, 1, 1}};
  for (const Image& s : images) {
    check_convolution(s, u8, 0, true);
    check_convolution(s, u8, 200, false);
    check_convolution(s, i8, 0, false);
    check_convolution(s, i8, -7, true);
    check_convolution(s, u8, 3, true, 64);
    check_convolution(s, i8, 0, true, 64);
  }
}

// Requantised in the epilogue: sums scaled and shifted per channel, rounded and clipped, as the definition says in f32.
TEST(Int8Kernels, RequantisedInTheEpilogue) {
  constexpr int64_t kM = 37, kK = 130, kN = 70;
  Bytes x(kM * kK), w(kN * kK), y(kM * kN);
  fill(x, kM * kK, false, 7);
  fill(w, kN * kK, false, 8);
  std::vector<double> scale(kN), shift(kN);
  for (size_t i = 0; i < kN; ++i)
    scale[i] = 1e-3 * static_cast<double>(i + 1), shift[i] = static_cast<double>(i) - 30.5;
  const auto along = [&](const std::vector<double>& v) {
    return ops::broadcast_to(ops::constant(Literal::from_doubles(f32, {1, 1, kN}, v)), {1, kM, kN});
  };
  const Value a = parameter(u8, {1, kM, kK});
  const Value sums = node("integer_dot_general", {a, constant_of(w, {1, kK, kN})}, {{"x_zero_point", int64_t{100}}});
  const Value real = ops::convert(sums, f32) * along(scale) + along(shift);
  run(Graph({a}, {ops::convert(ops::round_even(real), u8)}), {}, {x.data(), y.data()});
  for (int64_t i = 0; i < kM * kN; ++i) {
    int64_t sum = 0;
    for (int64_t k = 0; k < kK; ++k) sum += (number(x, i / kN * kK + k, u8) - 100) * number(w, k * kN + i % kN, i8);
    const auto c = static_cast<size_t>(i % kN);
    volatile float product = static_cast<float>(sum) * static_cast<float>(scale[c]);  // two roundings
    const float shifted = product + static_cast<float>(shift[c]);
    ASSERT_EQ(number(y, i, u8), static_cast<int64_t>(std::clamp(std::nearbyint(shifted), 0.0F, 255.0F)));
  }
}

// A block of a quantised network: the sums of a convolution scaled and shifted per channel, another image added,
// rectified, kept in f32 and in 8 bits. `chain`: by a maximum, as SumChain does; else by an op beyond it.
void check_residual(int64_t channels, int64_t outputs, int64_t side, int64_t images, DType type, bool keeps,
                    bool chain) {
  SCOPED_TRACE(cat(images, "x", channels, "x", side, "x", side, " to ", outputs, " ", type, keeps ? " kept" : "",
                   chain ? "" : " abs"));
  const auto pixels = static_cast<size_t>(side * side);
  const auto x_count = static_cast<size_t>(images * channels) * pixels,
             count = static_cast<size_t>(images * outputs) * pixels;
  Bytes x(x_count), w(static_cast<size_t>(outputs * channels)), y(count);
  fill(x, x_count, false, 9);
  fill(w, static_cast<size_t>(outputs * channels), false, 10);
  std::vector<float> other(count), kept(count);
  for (size_t i = 0; i < count; ++i) other[i] = static_cast<float>(static_cast<int>(i * 7 % 301) - 150) * 0.37F;
  other[count / 2] = NAN;
  std::vector<double> scale, shift;
  for (int64_t i = 0; i < outputs; ++i) {
    scale.push_back(1e-3 * static_cast<double>(i % 50 + 1));
    shift.push_back(static_cast<double>(i) * 0.3 - 3.1);
  }
  const Shape shape{images, outputs, side, side};
  const auto along = [&](const std::vector<double>& v) {
    return ops::broadcast_to(ops::constant(Literal::from_doubles(f32, {1, outputs, 1, 1}, v)), shape.vector());
  };
  const Value a = parameter(u8, {images, channels, side, side}), b = parameter(f32, shape);
  const Value sums = node("integer_convolution", {a, constant_of(w, {outputs, channels, 1, 1})},
                          {{"strides", Ints{1, 1}},
                           {"low", Ints{0, 0}},
                           {"high", Ints{0, 0}},
                           {"dilation", Ints{1, 1}},
                           {"input_dilation", Ints{1, 1}},
                           {"groups", int64_t{1}},
                           {"x_zero_point", int64_t{128}}});
  const Value linear = b + (ops::convert(sums, f32) * along(scale) + along(shift));
  const Value real = chain ? ops::max(linear, 0.0) : ops::abs(linear);
  const Value narrow = ops::convert(ops::round_even(real * 3.7 + 9.0), type);
  std::vector<void*> memory = {x.data(), other.data()};
  if (keeps) memory.push_back(kept.data());
  memory.push_back(y.data());
  run(Graph({a, b}, keeps ? Values{real, narrow} : Values{narrow}), {}, memory);
  const float low = type == u8 ? 0.0F : -128.0F, high = type == u8 ? 255.0F : 127.0F;
  for (size_t i = 0; i < count; ++i) {
    const auto o = i / pixels % static_cast<size_t>(outputs), n = i / pixels / static_cast<size_t>(outputs);
    int64_t sum = 0;
    for (int64_t k = 0; k < channels; ++k) {
      const auto from =
          static_cast<int64_t>((n * static_cast<size_t>(channels) + static_cast<size_t>(k)) * pixels + i % pixels);
      sum += (number(x, from, u8) - 128) * number(w, static_cast<int64_t>(o) * channels + k, i8);
    }
    volatile float scaled = static_cast<float>(sum) * static_cast<float>(scale[o]);  // each step is rounded
    volatile float shifted = scaled + static_cast<float>(shift[o]);
    volatile float added = other[i] + shifted;
    volatile float rectified = added < 0.0F ? (chain ? 0.0F : -added) : added;
    volatile float again = rectified * 3.7F;
    const float last = again + 9.0F;
    const auto expected = std::isnan(last) ? 0 : static_cast<int64_t>(std::clamp(std::nearbyint(last), low, high));
    ASSERT_EQ(number(y, static_cast<int64_t>(i), type), expected) << "element " << i;
    if (!keeps) continue;
    ASSERT_EQ(std::isnan(kept[i]), std::isnan(last)) << "element " << i;
    ASSERT_TRUE(std::isnan(last) || kept[i] == rectified) << "element " << i;
  }
}

TEST(Int8Kernels, ResidualsInTheEpilogue) {
  for (const DType type : {u8, i8}) {
    for (const auto& [keeps, chain] : {std::pair{false, true}, {true, true}, {false, false}, {true, false}}) {
      check_residual(16, 24, 14, 1, type, keeps, chain);
      check_residual(7, 3, 5, 3, type, keeps, chain);
      check_residual(9, 290, 7, 2, type, keeps, chain);
      check_residual(5, 13, 29, 1, type, keeps, chain);
      check_residual(4, 1, 3, 1, type, keeps, chain);
    }
  }
}

// Every conversion between numbers of 8 bits and f32, at the ends, between them and beyond.
TEST(Int8Kernels, ConversionsRoundAndClip) {
  std::vector<float> x;
  for (int i = -3000; i <= 3000; ++i) x.push_back(static_cast<float>(i) * 0.1F);
  for (const float each : {1e9F, -1e9F, 3e38F, -3e38F, INFINITY, -INFINITY, NAN, -0.0F, 255.5F, 127.5F, -128.5F}) {
    x.push_back(each);
  }
  const auto count = static_cast<int64_t>(x.size());
  for (const DType type : {u8, i8}) {
    Bytes y(x.size());
    const Value a = parameter(f32, {count});
    run(Graph({a}, {ops::convert(ops::round_even(a), type)}), {}, {x.data(), y.data()});
    const float low = type == u8 ? 0.0F : -128.0F, high = type == u8 ? 255.0F : 127.0F;
    for (int64_t i = 0; i < count; ++i) {
      const float given = x[static_cast<size_t>(i)];
      const auto expected = std::isnan(given) ? 0 : static_cast<int64_t>(std::clamp(std::nearbyint(given), low, high));
      ASSERT_EQ(number(y, i, type), expected) << given << " to " << name(type);
    }
    std::vector<float> back(x.size());
    const Value b = parameter(type, {count});
    run(Graph({b}, {ops::convert(b, f32)}), {}, {y.data(), back.data()});
    for (int64_t i = 0; i < count; ++i) {
      ASSERT_EQ(back[static_cast<size_t>(i)], static_cast<float>(number(y, i, type)));
    }
  }
}

}  // namespace
}  // namespace trireme::testing
