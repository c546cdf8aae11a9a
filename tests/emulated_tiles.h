// The matrix tiles of AMX in plain C++, as the operations of Intel's manual define them (palette 1): a machine for the
// kernels of chips/cpu/gemm_amx.h where there is none. What would raise an exception fails the test.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "chips/cpu/gemm_amx.h"

namespace trireme::testing {

// A tile register.
struct Tile {
  int rows = 0, row_bytes = 0;  // 0: not shaped
  std::array<std::array<uint8_t, 64>, 16> bytes{};

  template <class T>
  T get(int row, int index) const {
    T value;
    std::memcpy(&value, bytes[static_cast<size_t>(row)].data() + static_cast<size_t>(index) * sizeof(T), sizeof(T));
    return value;
  }
  template <class T>
  void set(int row, int index, T value) {
    std::memcpy(bytes[static_cast<size_t>(row)].data() + static_cast<size_t>(index) * sizeof(T), &value, sizeof(T));
  }
};

// Fused multiply-add in f32, to nearest even, denormals in and out taken for zero.
inline float flushed(float x) { return std::fabs(x) < FLT_MIN ? std::copysign(0.0F, x) : x; }
inline float multiply_add(float a, float b, float sum) {
  return flushed(std::fma(flushed(a), flushed(b), flushed(sum)));
}
inline float widened(uint16_t x) {
  const uint32_t bits = static_cast<uint32_t>(x) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

// TDPBF16PS: even and odd numbers along k are summed apart, then both sums are added to the destination.
inline void add_bf16_products(const Tile& left, const Tile& right, Tile& sums) {
  for (int m = 0; m < sums.rows; ++m) {
    float even[16] = {}, odd[16] = {};
    for (int k = 0; k < left.row_bytes / 4; ++k) {
      for (int n = 0; n < sums.row_bytes / 4; ++n) {
        even[n] = multiply_add(widened(left.get<uint16_t>(m, 2 * k)), widened(right.get<uint16_t>(k, 2 * n)), even[n]);
        odd[n] =
            multiply_add(widened(left.get<uint16_t>(m, 2 * k + 1)), widened(right.get<uint16_t>(k, 2 * n + 1)), odd[n]);
      }
    }
    for (int n = 0; n < sums.row_bytes / 4; ++n) {
      sums.set(m, n, flushed(flushed(sums.get<float>(m, n)) + flushed(even[n] + odd[n])));
    }
  }
}

// TDPBUSD and TDPBSUD: four products of bytes per slot, sums that wrap.
template <class Left, class Right>
void add_byte_products(const Tile& left, const Tile& right, Tile& sums) {
  for (int m = 0; m < sums.rows; ++m) {
    for (int k = 0; k < left.row_bytes / 4; ++k) {
      for (int n = 0; n < sums.row_bytes / 4; ++n) {
        auto sum = sums.get<uint32_t>(m, n);
        for (int t = 0; t < 4; ++t) {
          sum += static_cast<uint32_t>(int32_t{left.get<Left>(m, 4 * k + t)} * int32_t{right.get<Right>(k, 4 * n + t)});
        }
        sums.set(m, n, sum);
      }
    }
  }
}

// The eight tiles of a thread. Kernels are told to take two column halves at once, or one.
template <bool kTwoAcross>
class EmulatedTiles {
 public:
  static bool two_across() { return kTwoAcross; }
  static bool shaped() { return tile<0>().rows > 0; }

  template <cpu::TileProduct>
  static void begin() {
    const cpu::TileShapes shapes;
    configure(&shapes);
  }
  static void end() {
    for (Tile& each : tiles()) each = {};
  }

  template <int kTile>
  static void load(const void* from, int64_t stride) {
    Tile& to = shaped_tile<kTile>();
    to.bytes = {};
    for (int r = 0; r < to.rows; ++r) {
      std::memcpy(to.bytes[static_cast<size_t>(r)].data(), static_cast<const std::byte*>(from) + r * stride,
                  static_cast<size_t>(to.row_bytes));
    }
  }
  template <int kTile>
  static void store(void* to, int64_t stride) {
    const Tile& from = shaped_tile<kTile>();
    for (int r = 0; r < from.rows; ++r) {
      std::memcpy(static_cast<std::byte*>(to) + r * stride, from.bytes[static_cast<size_t>(r)].data(),
                  static_cast<size_t>(from.row_bytes));
    }
  }
  template <int kTile>
  static void clear() {
    shaped_tile<kTile>().bytes = {};
  }
  template <cpu::TileProduct kProduct, int kSums, int kLeft, int kRight>
  static void multiply() {
    static_assert(kSums != kLeft && kSums != kRight && kLeft != kRight);
    Tile& sums = shaped_tile<kSums>();
    const Tile &left = shaped_tile<kLeft>(), &right = shaped_tile<kRight>();
    ASSERT_EQ(sums.rows, left.rows);
    ASSERT_EQ(sums.row_bytes, right.row_bytes);
    ASSERT_EQ(left.row_bytes, 4 * right.rows);
    if constexpr (kProduct == cpu::TileProduct::kBf16) add_bf16_products(left, right, sums);
    else if constexpr (kProduct == cpu::TileProduct::kUnsignedSigned)
      add_byte_products<uint8_t, int8_t>(left, right, sums);
    else add_byte_products<int8_t, uint8_t>(left, right, sums);
  }

  // LDTILECFG: 64 bytes.
  static void configure(const void* shapes) {
    std::array<uint8_t, 64> bytes;
    std::memcpy(bytes.data(), shapes, 64);
    ASSERT_EQ(bytes[0], 1);  // the palette
    for (size_t i = 1; i < 16; ++i) ASSERT_EQ(bytes[i], 0);
    for (size_t t = 0; t < 16; ++t) {
      const int row_bytes = bytes[16 + 2 * t] | bytes[17 + 2 * t] << 8, rows = bytes[48 + t];
      ASSERT_LE(row_bytes, t < 8 ? 64 : 0);
      ASSERT_LE(rows, t < 8 ? 16 : 0);
      ASSERT_EQ(rows == 0, row_bytes == 0);
      if (t < 8) tiles()[t] = {rows, row_bytes, {}};
    }
  }

 private:
  static std::array<Tile, 8>& tiles() {
    static thread_local std::array<Tile, 8> all;
    return all;
  }
  template <int kTile>
  static Tile& tile() {
    static_assert(kTile >= 0 && kTile < 8);
    return tiles()[kTile];
  }
  template <int kTile>
  static Tile& shaped_tile() {
    EXPECT_GT(tile<kTile>().rows, 0) << "tile " << kTile << " has no shape";
    return tile<kTile>();
  }
};

}  // namespace trireme::testing
