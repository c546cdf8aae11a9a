// The micro kernel of bf16 products on the tiles of AMX (x86-64): 32 x 32 blocks of C in four tiles, f32 sums.
//
// A slot of a panel holds two neighbours along k, and slices along k are padded to 32. A panel of A is
// [k / 32][32 rows][32 of k], a panel of B [k / 2][32 columns][2 of k]: what the tile product reads. The tiles take
// denormals for zero.
#include <algorithm>
#include <array>
#include <cstring>

#include "chips/cpu/features.h"
#include "chips/cpu/gemm.h"
#include "chips/cpu/targets.h"

#include <hwy/highway.h>

#if HWY_ARCH_X86_64 && defined(__linux__)
#include <immintrin.h>
#define TRIREME_AMX __attribute__((target("avx512f,amx-tile,amx-bf16")))

namespace trireme::cpu {
namespace {

constexpr int64_t kSide = 32;   // rows and columns of a block
constexpr int64_t kDepth = 32;  // elements along k of one tile product
constexpr int64_t kPairs = kDepth / 2;

// Tiles 0 to 3 are C, 4 and 5 rows of A, 6 and 7 columns of B; all 16 rows of 64 bytes.
TRIREME_AMX void begin() {
  struct alignas(64) Shape {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } const shape;
  // The intrinsic tells the compiler of 8 bytes only.
  asm volatile("ldtilecfg %0" : : "m"(shape));
}
TRIREME_AMX void end() { _tile_release(); }

TRIREME_AMX void run(int64_t used_rows, int64_t inner, const float* a, const float* b, float* c, int64_t c_stride,
                     bool add) {
  alignas(64) float edge[kSide * kSide];
  const bool whole = used_rows == kSide;
  float* to = whole ? c : edge;
  const int64_t step = whole ? c_stride : kSide, stride = step * 4;
  if (!whole && add) {
    std::fill_n(edge, kSide * kSide, 0.0F);
    for (int64_t r = 0; r < used_rows; ++r) std::copy_n(c + r * c_stride, kSide, edge + r * kSide);
    asm volatile("" : : : "memory");  // the compiler does not know that loading a tile reads memory
  }
  if (add) {
    _tile_loadd(0, to, stride);
    _tile_loadd(1, to + 16, stride);
    _tile_loadd(2, to + 16 * step, stride);
    _tile_loadd(3, to + 16 * step + 16, stride);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t k = 0; k < inner; k += kDepth, a += kSide * kPairs, b += kSide * kPairs) {
    _tile_loadd(4, a, kPairs * 4);
    _tile_loadd(6, b, kSide * 4);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + 16, kSide * 4);
    _tile_dpbf16ps(1, 4, 7);
    if (used_rows <= 16) continue;
    _tile_loadd(5, a + 16 * kPairs, kPairs * 4);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, to, stride);
  _tile_stored(1, to + 16, stride);
  _tile_stored(2, to + 16 * step, stride);
  _tile_stored(3, to + 16 * step + 16, stride);
  for (int64_t r = 0; !whole && r < used_rows; ++r) std::copy_n(edge + r * kSide, kSide, c + r * c_stride);
}

const uint16_t* items(const MatrixView& v) { return static_cast<const uint16_t*>(v.data); }

// `a` is seen transposed, k x n.
void pack_a(const MatrixView& a, int64_t k, int64_t n, float* panels) {
  for (int64_t row = 0; row < n; row += kSide) {
    for (int64_t p = 0; p < k; p += kDepth, panels += kSide * kPairs) {
      const int64_t rows = std::min(kSide, n - row), depth = std::min(kDepth, k - p);
      std::array<uint16_t, kSide * kDepth> block{};
      for (int64_t r = 0; r < rows; ++r) {
        const uint16_t* from = items(a) + p * a.row_stride + (row + r) * a.column_stride;
        uint16_t* to = block.data() + r * kDepth;
        if (a.row_stride == 1) std::copy_n(from, depth, to);
        else
          for (int64_t i = 0; i < depth; ++i) to[i] = from[i * a.row_stride];
      }
      std::memcpy(panels, block.data(), sizeof(block));
    }
  }
}

TRIREME_AMX void pack_b(const MatrixView& b, int64_t k, int64_t n, float* panels) {
  for (int64_t column = 0; column < n; column += kSide) {
    for (int64_t p = 0; p < k; p += kDepth, panels += kSide * kPairs) {
      const int64_t columns = std::min(kSide, n - column), depth = std::min(kDepth, k - p);
      const uint16_t* from = items(b) + p * b.row_stride + column * b.column_stride;
      std::array<uint32_t, kSide * kPairs> block{};
      if (b.column_stride == 1 && columns == kSide) {
        for (int64_t i = 0; i < depth; ++i, from += b.row_stride) {
          uint32_t* to = block.data() + i / 2 * kSide;
          if (i % 2 == 0) std::copy_n(from, kSide, to);
          else
            for (int64_t s = 0; s < kSide; ++s) to[s] |= static_cast<uint32_t>(from[s]) << 16;
        }
      } else {
        for (int64_t s = 0; s < columns; ++s) {
          for (int64_t i = 0; i < depth; ++i) {
            const uint32_t item = from[i * b.row_stride + s * b.column_stride];
            block[static_cast<size_t>(i / 2 * kSide + s)] |= item << (16 * (i % 2));
          }
        }
      }
      std::memcpy(panels, block.data(), sizeof(block));
    }
  }
}

}  // namespace

const MicroKernel<float>* tile_kernel() {
  static const MicroKernel<float> kernel = [] {
    MicroKernel<float> k = micro_kernel<float>();
    k.rows = k.columns = kSide;
    k.run = run;
    k.unit = kDepth;
    k.per_slot = 2;
    k.begin = begin;
    k.end = end;
    k.pack_a = pack_a;
    k.pack_b = pack_b;
    return k;
  }();
  static const bool usable_here = has_bf16_tiles();
  return usable_here ? &kernel : nullptr;
}

}  // namespace trireme::cpu

#else

namespace trireme::cpu {
const MicroKernel<float>* tile_kernel() { return nullptr; }
}  // namespace trireme::cpu

#endif
