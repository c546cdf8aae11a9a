// The micro kernels on matrix tiles (AMX): whole products, with their packing, against plain loops. Kernels run on
// emulated tiles everywhere, and on the machine's own where it has them.
#include <array>
#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "chips/cpu/gemm_amx.h"
#include "tests/emulated_tiles.h"
#include "trireme/base/strings.h"
#include "trireme/chip/chip.hpp"
#include "trireme/runtime/host.h"

extern "C" int32_t trm_chip_entry_v1_cpu(const TrmHost* host, TrmChip* chip);

namespace trireme::testing {
namespace {

using cpu::Int8Kernel;
using cpu::Int8Left;
using cpu::MicroKernel;

using WideTiles = EmulatedTiles<true>;
using NarrowTiles = EmulatedTiles<false>;

class CpuTiles : public ::testing::Test {
 protected:
  void SetUp() override {
    TrmChip chip = chip::sized<TrmChip>();
    ASSERT_EQ(trm_chip_entry_v1_cpu(&runtime::host_services(), &chip), TRM_OK);
  }
  void TearDown() override {
    EXPECT_FALSE(WideTiles::shaped());  // every product let go of the tiles
    EXPECT_FALSE(NarrowTiles::shaped());
  }
};

// ---- the emulated instructions

template <class T>
T product_of_slots(uint32_t a, uint32_t b, T start, cpu::TileProduct product) {
  Tile left{1, 4, {}}, right{1, 4, {}}, sums{1, 4, {}};
  left.set(0, 0, a);
  right.set(0, 0, b);
  sums.set(0, 0, start);
  if (product == cpu::TileProduct::kBf16) add_bf16_products(left, right, sums);
  else if (product == cpu::TileProduct::kUnsignedSigned) add_byte_products<uint8_t, int8_t>(left, right, sums);
  else add_byte_products<int8_t, uint8_t>(left, right, sums);
  return sums.get<T>(0, 0);
}

TEST(EmulatedTiles, BytesAreUnsignedOrSignedAndSumsWrap) {
  const auto unsigned_signed = cpu::TileProduct::kUnsignedSigned, signed_unsigned = cpu::TileProduct::kSignedUnsigned;
  // 255 x 127 + 1 x -128 + 2 x 3 + 128 x -1
  EXPECT_EQ(product_of_slots<int32_t>(0x800201FF, 0xFF03807F, 10, unsigned_signed), 32385 - 128 + 6 - 128 + 10);
  // -1 x 127 + 1 x 128 + 2 x 3 + -128 x 255
  EXPECT_EQ(product_of_slots<int32_t>(0x800201FF, 0xFF03807F, 10, signed_unsigned), -127 + 128 + 6 - 32640 + 10);
  EXPECT_EQ(product_of_slots<int32_t>(1, 1, INT32_MAX, unsigned_signed), INT32_MIN);
}

uint32_t pair_of(float low, float high) {
  return std::bit_cast<uint32_t>(low) >> 16 | (std::bit_cast<uint32_t>(high) & 0xFFFF0000U);
}
TEST(EmulatedTiles, DenormalsAreZeroAndHalvesGoToEven) {
  const auto sum = [](uint32_t a, uint32_t b, float start) {
    return product_of_slots<float>(a, b, start, cpu::TileProduct::kBf16);
  };
  const float denormal = std::ldexp(1.0F, -130), tiny = std::ldexp(1.0F, -70), infinite = INFINITY;
  EXPECT_EQ(sum(pair_of(1.5F, -2), pair_of(3, 0.25F), 7), 11);
  EXPECT_EQ(sum(pair_of(denormal, 0), pair_of(std::ldexp(1.0F, 100), 0), 0), 0);
  EXPECT_EQ(sum(pair_of(tiny, 0), pair_of(tiny, 0), 0), 0);
  EXPECT_EQ(sum(pair_of(0, 0), pair_of(0, 0), denormal), 0);
  EXPECT_TRUE(std::signbit(sum(pair_of(-tiny, -tiny), pair_of(tiny, tiny), -0.0F)));
  EXPECT_EQ(sum(pair_of(1, 0), pair_of(1, 0), std::ldexp(1.0F, 24)), std::ldexp(1.0F, 24));
  EXPECT_EQ(sum(pair_of(3, 0), pair_of(1, 0), std::ldexp(1.0F, 24)), std::ldexp(1.0F, 24) + 4);
  // The pair is summed before the destination: 1 + 1 is not lost.
  EXPECT_EQ(sum(pair_of(1, 1), pair_of(1, 1), std::ldexp(1.0F, 24)), std::ldexp(1.0F, 24) + 2);
  EXPECT_EQ(sum(pair_of(infinite, 0), pair_of(1, 0), 0), infinite);
  EXPECT_TRUE(std::isnan(sum(pair_of(infinite, 0), pair_of(0, 0), 0)));
}

// ---- 8-bit integers

struct Int8Case {
  int64_t m, n, k;
  bool is_signed = false;
  int32_t zero = 0;
  bool extreme = false, roomy = false;
};

// Memory that starts at a multiple of 64 bytes and ends where it says, in ones.
struct Panels {
  std::vector<int32_t> storage;
  int32_t* data;
  explicit Panels(int64_t size) : storage(static_cast<size_t>(size) + 16, 0x01010101) {
    data = storage.data() + (64 - reinterpret_cast<uintptr_t>(storage.data()) % 64) % 64 / sizeof(int32_t);
  }
};

std::vector<uint8_t> random_bytes(int64_t count, bool extreme, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<uint8_t> bytes(static_cast<size_t>(count));
  for (uint8_t& each : bytes) {
    const uint64_t r = random();
    each = static_cast<uint8_t>(extreme ? (r & 1 ? 0x80 : r & 2 ? 0xFF : 0x7F) : r);
  }
  return bytes;
}

// The rows [p, p + inner) of x, k x n, as panels on the right.
void columns_of_x(const Int8Kernel& kernel, const cpu::XForm& form, const uint8_t* x, int64_t n, int64_t column,
                  int64_t columns, int64_t inner, int32_t* to) {
  const int64_t wide = cpu::round_up(columns, kernel.columns), step = kernel.columns * kernel.slots(inner);
  for (int64_t k = 0; k < inner; k += kernel.per_slot) {
    std::array<std::vector<uint8_t>, 4> lines;
    std::array<const uint8_t*, 4> rows;
    for (size_t t = 0; t < 4; ++t) {
      lines[t].assign(static_cast<size_t>(wide), form.padding());
      if (k + static_cast<int64_t>(t) < inner) {
        std::copy_n(x + (k + static_cast<int64_t>(t)) * n + column, columns, lines[t].begin());
      }
      rows[t] = lines[t].data();
    }
    int8_slots(kernel, form, rows.data(), wide / kernel.columns, step, to + k / kernel.per_slot * kernel.columns);
  }
}

void check_int8(const Int8Kernel& kernel, Int8Left left, const Int8Case& s) {
  SCOPED_TRACE(cat(s.m, " x ", s.k, " x ", s.n, s.is_signed ? " i8" : " u8", " zero ", s.zero,
                   left == Int8Left::kX ? " x left" : " weights left", s.roomy ? " roomy" : ""));
  const bool x_left = left == Int8Left::kX;
  const cpu::XForm form{s.is_signed, s.zero};
  const int64_t x_lines = x_left ? s.m : s.n, w_lines = x_left ? s.n : s.m;
  const std::vector<uint8_t> x = random_bytes(x_lines * s.k, s.extreme, 1),
                             w = random_bytes(w_lines * s.k, s.extreme, 2);
  const auto* weights = reinterpret_cast<const int8_t*>(w.data());
  // On the left, matrices are m x k; on the right, k x n.
  const cpu::Int8Weights packed(kernel, left, weights, x_left ? s.n : 1, x_left ? 1 : s.k, s.k, w_lines);
  const std::vector<int32_t> start = packed.start(kernel.correction(form));
  const int64_t stride = (s.roomy ? cpu::round_up(s.n, kernel.columns) : s.n) + 3;
  std::vector<int32_t> c(static_cast<size_t>((s.m + 1) * stride), -77);

  std::vector<Panels> live;  // of x
  const auto left_panels = [&](int64_t row, int64_t rows, int64_t p, int64_t inner) -> const int32_t* {
    if (!x_left) return packed.slice(p, row);
    const int64_t slots = kernel.slots(inner);
    live.emplace_back(cpu::round_up(rows, kernel.rows) * slots);
    for (int64_t r = 0; r < rows; r += kernel.rows) {
      pack_int8_lines(kernel, form, x.data() + (row + r) * s.k + p, s.k, inner, std::min(kernel.rows, rows - r),
                      kernel.rows, live.back().data + r * slots);
    }
    return live.back().data;
  };
  const auto right_panels = [&](int64_t column, int64_t columns, int64_t p, int64_t inner) -> const int32_t* {
    if (x_left) return packed.slice(p, column);
    live.emplace_back(cpu::round_up(columns, kernel.columns) * kernel.slots(inner));
    columns_of_x(kernel, form, x.data() + p * s.n, s.n, column, columns, inner, live.back().data);
    return live.back().data;
  };
  int64_t finished = 0;
  const auto done = [&](int64_t, int64_t rows, int64_t, int64_t columns) { finished += rows * columns; };
  multiply_int8(kernel, left, s.m, s.n, s.k, left_panels, right_panels, start.data(), c.data(), stride, s.roomy, done);
  EXPECT_EQ(finished, s.k > 0 ? s.m * s.n : 0);
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t j = 0; j < s.n && s.k > 0; ++j) {
      int64_t sum = 0;
      for (int64_t p = 0; p < s.k; ++p) {
        const uint8_t byte = x[static_cast<size_t>(x_left ? i * s.k + p : p * s.n + j)];
        const int64_t number = s.is_signed ? int64_t{static_cast<int8_t>(byte)} : int64_t{byte};
        sum += (number - s.zero) * weights[x_left ? p * s.n + j : i * s.k + p];
      }
      ASSERT_EQ(c[static_cast<size_t>(i * stride + j)], sum) << "element " << i << ", " << j;
    }
    for (int64_t j = s.n; j < stride && !s.roomy; ++j) ASSERT_EQ(c[static_cast<size_t>(i * stride + j)], -77);
  }
  for (int64_t j = 0; j < stride; ++j) ASSERT_EQ(c[static_cast<size_t>(s.m * stride + j)], -77);
}

void check_int8_sizes(const Int8Kernel& kernel) {
  std::vector<Int8Case> cases;
  for (int64_t s = 1; s <= 70; ++s) {
    const bool is_signed = s % 2 == 0, roomy = s % 3 == 0;
    const int32_t zero = is_signed ? -128 : 131;
    cases.push_back({s, 33, 65, is_signed, zero, false, roomy});
    cases.push_back({17, s, 70, is_signed, zero, false, roomy});
    cases.push_back({31, 40, s, is_signed, zero, false, roomy});
    cases.push_back({s, s, s, is_signed, 0, true, !roomy});
  }
  for (const bool roomy : {false, true}) {  // of several slices and blocks
    cases.push_back({165, 41, 70, true, 127, false, roomy});
    cases.push_back({5, 530, 65, false, 255, false, roomy});
    cases.push_back({35, 70, 1100, true, -128, true, roomy});
    cases.push_back({1, 1, 513, false, 3, true, roomy});
    cases.push_back({3, 4, 0, false, 3, false, roomy});
  }
  for (const Int8Case& each : cases) {
    check_int8(kernel, Int8Left::kX, each);
    check_int8(kernel, Int8Left::kWeights, each);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST_F(CpuTiles, Int8ProductsAreExact) { check_int8_sizes(cpu::int8_tile_kernel_on<WideTiles>()); }
TEST_F(CpuTiles, Int8ProductsAreExactOneColumnHalfAtATime) {
  check_int8_sizes(cpu::int8_tile_kernel_on<NarrowTiles>());
}
TEST_F(CpuTiles, Int8ProductsOfTheMachinesTilesAreExact) {
  if (!cpu::int8_tile_kernel()) GTEST_SKIP() << "this machine has no AMX-INT8, or this process may not use it";
  check_int8_sizes(*cpu::int8_tile_kernel());
}
TEST_F(CpuTiles, Int8ProductsOfVectorsAreExact) {
  if (!cpu::vnni_kernel()) GTEST_SKIP() << "this machine has no AVX512-VNNI";
  check_int8_sizes(*cpu::vnni_kernel());  // where tiles push it aside, nobody else would
}
TEST_F(CpuTiles, Int8ProductsOfTheBestKernelAreExact) { check_int8_sizes(cpu::int8_kernel()); }

// ---- bf16

struct Bf16Case {
  int64_t m, n, k;
  bool a_turned = false, b_turned = false;
};

std::vector<uint16_t> random_bf16(int64_t count, double denormals, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<uint16_t> out(static_cast<size_t>(count));
  for (uint16_t& each : out) {
    const uint64_t r = random();
    // Sign and significand as they come, magnitudes from 1/16 to 2.
    each = static_cast<uint16_t>((r & 0x807F) | (123 + (r >> 16) % 5) << 7);
    if (static_cast<double>(r >> 40) < denormals * 0x1p24) each &= 0x807F;
  }
  return out;
}

std::vector<float> product_of(const MicroKernel<float>& kernel, const Bf16Case& s, const std::vector<uint16_t>& x,
                              const std::vector<uint16_t>& y) {
  const cpu::MatrixView a = s.a_turned ? cpu::MatrixView{x.data(), bf16, 1, s.m}
                                       : cpu::MatrixView{x.data(), bf16, s.k, 1},
                        b = s.b_turned ? cpu::MatrixView{y.data(), bf16, 1, s.k}
                                       : cpu::MatrixView{y.data(), bf16, s.n, 1};
  const int64_t stride = s.n + 3;
  std::vector<float> c(static_cast<size_t>((s.m + 1) * stride), -77);
  const cpu::PackedMatrix<float> right(kernel, cpu::PackedMatrix<float>::Side::kRight, b, s.k, s.n);
  Panels left(cpu::round_up(cpu::kBlockRows, kernel.rows) * cpu::kInner);
  const auto left_panels = [&](int64_t row, int64_t rows, int64_t p, int64_t inner) {
    auto* panels = reinterpret_cast<float*>(left.data);
    kernel.pack_left(a.at(row, p).transposed(), inner, rows, panels);
    return panels;
  };
  const auto right_panels = [&](int64_t column, int64_t, int64_t p, int64_t) { return right.slice(p, column); };
  const auto done = [](int64_t, int64_t, int64_t, int64_t) {};
  multiply_blocks(kernel, s.m, s.n, s.k, left_panels, right_panels, c.data(), stride, done);
  for (int64_t i = 0; i <= s.m; ++i) {
    for (int64_t j = i < s.m && s.k > 0 ? s.n : 0; j < stride; ++j) {
      EXPECT_EQ(c[static_cast<size_t>(i * stride + j)], -77);
    }
  }
  return c;
}

// Each sum is of k products, which are exact, and of a pair for every step of 32, and is rounded after each addition;
// so is the sum over slices. Every rounding is off by 2^-24 of a partial sum at most, and that by the sum of
// magnitudes.
void check_bf16(const MicroKernel<float>& kernel, const Bf16Case& s, double denormals) {
  SCOPED_TRACE(cat(s.m, " x ", s.k, " x ", s.n, s.a_turned ? " a turned" : "", s.b_turned ? " b turned" : ""));
  const std::vector<uint16_t> x = random_bf16(s.m * s.k, denormals, 3), y = random_bf16(s.k * s.n, denormals, 4);
  const std::vector<float> c = product_of(kernel, s, x, y);
  const int64_t steps = s.k / 32 + 1, slices = s.k / cpu::kInner + 1;
  const auto roundings = static_cast<double>(s.k + 2 * steps + slices);
  const double bound = roundings * 0x1p-24 / (1 - roundings * 0x1p-24);
  const auto number = [](uint16_t bits) { return (bits & 0x7F80) == 0 ? 0.0 : static_cast<double>(widened(bits)); };
  for (int64_t i = 0; i < s.m && s.k > 0; ++i) {
    for (int64_t j = 0; j < s.n; ++j) {
      double sum = 0, magnitude = 0;
      for (int64_t p = 0; p < s.k; ++p) {
        const double product = number(x[static_cast<size_t>(s.a_turned ? p * s.m + i : i * s.k + p)]) *
                               number(y[static_cast<size_t>(s.b_turned ? j * s.k + p : p * s.n + j)]);
        sum += product;
        magnitude += std::fabs(product);
      }
      ASSERT_LE(std::fabs(c[static_cast<size_t>(i * (s.n + 3) + j)] - sum), bound * magnitude)
          << "element " << i << ", " << j;
    }
  }
}

std::vector<Bf16Case> bf16_cases() {
  std::vector<Bf16Case> cases;
  for (int64_t s = 1; s <= 70; ++s) {
    const bool a_turned = s % 2 == 0, b_turned = s % 3 == 0;
    cases.push_back({s, 33, 40, a_turned, b_turned});
    cases.push_back({17, s, 65, a_turned, b_turned});
    cases.push_back({31, 40, s, a_turned, b_turned});
    cases.push_back({s, s, s, a_turned, b_turned});
  }
  // Of several slices and blocks.
  for (const Bf16Case& each : {Bf16Case{165, 41, 70}, Bf16Case{5, 530, 33}, Bf16Case{35, 70, 600}, Bf16Case{3, 4, 0}}) {
    cases.push_back(each);
  }
  return cases;
}

void check_bf16_sizes(const MicroKernel<float>& kernel) {
  for (const Bf16Case& each : bf16_cases()) {
    check_bf16(kernel, each, each.m % 2 == 0 ? 0.2 : 0);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST_F(CpuTiles, Bf16ProductsAreWithinTheBound) { check_bf16_sizes(cpu::bf16_tile_kernel<WideTiles>()); }
TEST_F(CpuTiles, Bf16ProductsOfTheMachinesTilesAreWithinTheBound) {
  if (!cpu::tile_kernel()) GTEST_SKIP() << "this machine has no AMX-BF16, or this process may not use it";
  check_bf16_sizes(*cpu::tile_kernel());
}

// Which way a thread takes depends on the time it took before; results must not.
TEST_F(CpuTiles, BothWaysGiveTheSameBits) {
  const MicroKernel<float> wide = cpu::bf16_tile_kernel<WideTiles>(), narrow = cpu::bf16_tile_kernel<NarrowTiles>();
  for (const Bf16Case& s : bf16_cases()) {
    const std::vector<uint16_t> x = random_bf16(s.m * s.k, 0.1, 5), y = random_bf16(s.k * s.n, 0.1, 6);
    const std::vector<float> expected = product_of(wide, s, x, y);
    ASSERT_EQ(product_of(narrow, s, x, y), expected) << s.m << " x " << s.k << " x " << s.n;
    if (cpu::tile_kernel()) {
      ASSERT_EQ(product_of(*cpu::tile_kernel(), s, x, y), expected) << s.m << " x " << s.k << " x " << s.n;
    }
  }
}

}  // namespace
}  // namespace trireme::testing
