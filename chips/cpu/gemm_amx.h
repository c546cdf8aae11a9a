// The micro kernels on matrix tiles (AMX, x86-64), of bf16 with sums in f32 and of 8-bit integers with sums in i32: 32
// x 32 blocks of C.
//
// A tile is 16 rows of 16 slots of 32 bits. One step of a product takes 16 slots along k, each of two bf16 or four
// bytes. A panel of A is [steps][32 rows][16 slots], a panel of B [steps][16 slots][32 columns]: what a tile product
// reads. It takes bf16 denormals for zero.
//
// `Tiles` are the tiles of the machine (gemm_amx.cc) or, for tests on machines without them, a model of them
// (tests/emulated_tiles.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "chips/cpu/gemm.h"
#include "chips/cpu/gemm_int8.h"

namespace trireme::cpu {

constexpr int64_t kTileSide = 16;                       // rows of a tile, and slots in a row
constexpr int64_t kBlockSide = 2 * kTileSide;           // rows and columns of a block of C
constexpr int64_t kBf16Depth = 2 * kTileSide;           // numbers along k of one step
constexpr int64_t kPanelStep = kBlockSide * kTileSide;  // slots of a panel in one step

// The types of what stands on the left and on the right.
enum class TileProduct : uint8_t { kBf16, kUnsignedSigned, kSignedUnsigned };

// What the instruction that shapes the tiles reads. All eight have all their rows.
struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// One block. Tile 2 i + j has the sums of row half i and column half j, tiles 4 and 5 are rows of A, 6 and 7 columns of
// B. With half of the columns at a time five tiles do, and each row of A is loaded twice: slower, but where something
// else on the same core needs tile registers (gemm_amx.cc).
template <class Tiles, class T>
struct TileBlock {
  bool upper_only;  // nobody wants rows from 16 on
  int64_t steps;
  const T *a, *b;
  const T* start;  // of the sums; null: 0
  int64_t start_stride;
  T* c;
  int64_t c_stride;

  // All columns: both halves at once, or the left half and then the right one.
  template <TileProduct kProduct>
  void multiply(bool two_across) const {
    if (two_across) return multiply_halves<kProduct, 2>();
    multiply_halves<kProduct, 1>();
    TileBlock right = *this;
    right.b += kTileSide;
    right.c += kTileSide;
    if (start) right.start += kTileSide;
    right.template multiply_halves<kProduct, 1>();
  }

  template <TileProduct kProduct, int kAcross>
  void multiply_halves() const {
    start_sums<0>();
    if (kAcross == 2) start_sums<1>();
    if (!upper_only) start_sums<2>();
    if (!upper_only && kAcross == 2) start_sums<3>();
    const T *rows = a, *columns = b;
    for (int64_t step = 0; step < steps; ++step, rows += kPanelStep, columns += kPanelStep) {
      Tiles::template load<4>(rows, kTileSide * sizeof(T));
      Tiles::template load<6>(columns, kBlockSide * sizeof(T));
      Tiles::template multiply<kProduct, 0, 4, 6>();
      if (kAcross == 2) {
        Tiles::template load<7>(columns + kTileSide, kBlockSide * sizeof(T));
        Tiles::template multiply<kProduct, 1, 4, 7>();
      }
      if (upper_only) continue;
      Tiles::template load<5>(rows + kTileSide * kTileSide, kTileSide * sizeof(T));
      Tiles::template multiply<kProduct, 2, 5, 6>();
      if (kAcross == 2) Tiles::template multiply<kProduct, 3, 5, 7>();
    }
    store_sums<0>();
    if (kAcross == 2) store_sums<1>();
    if (!upper_only) store_sums<2>();
    if (!upper_only && kAcross == 2) store_sums<3>();
  }

 private:
  template <int kTile>
  void start_sums() const {
    constexpr int64_t kRow = kTile / 2 * kTileSide, kColumn = kTile % 2 * kTileSide;
    if (start) Tiles::template load<kTile>(start + kRow * start_stride + kColumn, start_stride * sizeof(T));
    else Tiles::template clear<kTile>();
  }
  template <int kTile>
  void store_sums() const {
    constexpr int64_t kRow = kTile / 2 * kTileSide, kColumn = kTile % 2 * kTileSide;
    Tiles::template store<kTile>(c + kRow * c_stride + kColumn, c_stride * sizeof(T));
  }
};

// What `run` of a micro kernel does: rows from `used_rows` on are neither read nor written. Where `start` is c, this
// adds to it.
template <class Tiles, TileProduct kProduct, class T>
void multiply_block(int64_t used_rows, int64_t used_columns, int64_t steps, const T* a, const T* b, const T* start,
                    int64_t start_stride, T* c, int64_t c_stride) {
  alignas(64) T edge[kBlockSide * kBlockSide];
  const bool whole = used_rows == kBlockSide;
  const int64_t columns = used_columns > kTileSide ? kBlockSide : kTileSide;
  if (!whole && start == c) {
    for (int64_t r = 0; r < used_rows; ++r) std::copy_n(c + r * c_stride, columns, edge + r * kBlockSide);
    std::fill(edge + used_rows * kBlockSide, std::end(edge), T{0});
    start = edge;
    start_stride = kBlockSide;
  }
  const TileBlock<Tiles, T> block = {used_rows <= kTileSide,       steps, a, b, start, start_stride, whole ? c : edge,
                                     whole ? c_stride : kBlockSide};
  if (columns == kTileSide) block.template multiply_halves<kProduct, 1>();
  else block.template multiply<kProduct>(Tiles::two_across());
  for (int64_t r = 0; !whole && r < used_rows; ++r) std::copy_n(edge + r * kBlockSide, columns, c + r * c_stride);
}

// ---- bf16

template <class Tiles>
void run_bf16_tiles(int64_t used_rows, int64_t inner, const float* a, const float* b, float* c, int64_t c_stride,
                    bool add) {
  multiply_block<Tiles, TileProduct::kBf16>(used_rows, kBlockSide, (inner + kBf16Depth - 1) / kBf16Depth, a, b,
                                            add ? c : nullptr, c_stride, c, c_stride);
}

inline const uint16_t* bf16_items(const MatrixView& v) { return static_cast<const uint16_t*>(v.data); }

// `a` is seen transposed, k x n.
inline void pack_bf16_rows(const MatrixView& a, int64_t k, int64_t n, float* panels) {
  for (int64_t row = 0; row < n; row += kBlockSide) {
    for (int64_t p = 0; p < k; p += kBf16Depth, panels += kPanelStep) {
      const int64_t rows = std::min(kBlockSide, n - row), depth = std::min(kBf16Depth, k - p);
      uint16_t block[kBlockSide * kBf16Depth] = {};
      for (int64_t r = 0; r < rows; ++r) {
        const uint16_t* from = bf16_items(a) + p * a.row_stride + (row + r) * a.column_stride;
        uint16_t* to = block + r * kBf16Depth;
        if (a.row_stride == 1) std::copy_n(from, depth, to);
        else
          for (int64_t i = 0; i < depth; ++i) to[i] = from[i * a.row_stride];
      }
      std::memcpy(panels, block, sizeof(block));
    }
  }
}

// Into code of the caller's instruction set, whose vectors it wants.
[[gnu::always_inline]] inline void pack_bf16_columns(const MatrixView& b, int64_t k, int64_t n, float* panels) {
  for (int64_t column = 0; column < n; column += kBlockSide) {
    for (int64_t p = 0; p < k; p += kBf16Depth, panels += kPanelStep) {
      const int64_t columns = std::min(kBlockSide, n - column), depth = std::min(kBf16Depth, k - p);
      const uint16_t* from = bf16_items(b) + p * b.row_stride + column * b.column_stride;
      uint32_t block[kPanelStep] = {};
      if (b.column_stride == 1 && columns == kBlockSide) {
        for (int64_t i = 0; i < depth; ++i, from += b.row_stride) {
          uint32_t* to = block + i / 2 * kBlockSide;
          if (i % 2 == 0) std::copy_n(from, kBlockSide, to);
          else
            for (int64_t s = 0; s < kBlockSide; ++s) to[s] |= static_cast<uint32_t>(from[s]) << 16;
        }
      } else {
        for (int64_t s = 0; s < columns; ++s) {
          for (int64_t i = 0; i < depth; ++i) {
            const uint32_t item = from[i * b.row_stride + s * b.column_stride];
            block[i / 2 * kBlockSide + s] |= item << (16 * (i % 2));
          }
        }
      }
      std::memcpy(panels, block, sizeof(block));
    }
  }
}

template <class Tiles>
MicroKernel<float> bf16_tile_kernel() {
  MicroKernel<float> kernel = micro_kernel<float>();
  kernel.rows = kernel.columns = kBlockSide;
  kernel.run = run_bf16_tiles<Tiles>;
  kernel.unit = kBf16Depth;
  kernel.per_slot = 2;
  kernel.begin = Tiles::template begin<TileProduct::kBf16>;
  kernel.end = Tiles::end;
  kernel.pack_a = pack_bf16_rows;
  kernel.pack_b = [](const MatrixView& b, int64_t k, int64_t n, float* panels) { pack_bf16_columns(b, k, n, panels); };
  return kernel;
}

// ---- 8-bit integers

template <class Tiles>
void run_int8_tiles_x_left(int64_t used_rows, int64_t used_columns, int64_t slots, const int32_t* a, const int32_t* b,
                           int32_t* c, int64_t c_stride, const int32_t* start) {
  // Rows 0 apart: all start alike.
  multiply_block<Tiles, TileProduct::kUnsignedSigned>(used_rows, used_columns, slots / kTileSide, a, b,
                                                      start ? start : c, start ? 0 : c_stride, c, c_stride);
}

template <class Tiles>
void run_int8_tiles_weights_left(int64_t used_rows, int64_t used_columns, int64_t slots, const int32_t* a,
                                 const int32_t* b, int32_t* c, int64_t c_stride, const int32_t* start) {
  alignas(64) int32_t rows[kBlockSide * kBlockSide];
  for (int64_t r = 0; start && r < kBlockSide; ++r) {
    std::fill_n(rows + r * kBlockSide, kBlockSide, r < used_rows ? start[r] : 0);
  }
  multiply_block<Tiles, TileProduct::kSignedUnsigned>(used_rows, used_columns, slots / kTileSide, a, b,
                                                      start ? rows : c, start ? kBlockSide : c_stride, c, c_stride);
}

template <class Tiles>
Int8Kernel int8_tile_kernel_on() {
  Int8Kernel kernel;
  kernel.rows = kernel.columns = kBlockSide;
  kernel.per_slot = 4;
  kernel.depth = kTileSide;
  kernel.run_x_left = run_int8_tiles_x_left<Tiles>;
  kernel.run_weights_left = run_int8_tiles_weights_left<Tiles>;
  kernel.begin = Tiles::template begin<TileProduct::kUnsignedSigned>;
  kernel.end = Tiles::end;
  return kernel;
}

}  // namespace trireme::cpu
