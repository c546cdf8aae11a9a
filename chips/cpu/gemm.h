// Matrix products of floats: C = A B in blocks that fit the caches.
//
// Both operands are packed into panels first: A into [panel of R rows][k][R], B into [panel of W columns][k][W], in
// slices of kInner along k. A micro kernel keeps an R x W block of C in registers and walks along k. Panels are zero
// beyond the matrix, so only the stores care about edges. R and W belong to the instruction set.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "chips/cpu/large_memory.h"
#include "chips/cpu/tile_program.h"

namespace trireme::cpu {

constexpr int64_t kInner = 256;      // k slice: a panel of B stays in the first-level cache
constexpr int64_t kBlockRows = 144;  // rows of A packed at once; with the slice, a third of a megabyte at most
constexpr int64_t kBlockColumns = 512;

inline int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// A matrix in memory of type f64, f32, f16 or bf16.
struct MatrixView {
  const void* data;
  DType type;
  int64_t row_stride, column_stride;  // in elements
  MatrixView at(int64_t row, int64_t column) const {
    const int64_t offset = row * row_stride + column * column_stride;
    return {static_cast<const std::byte*>(data) + offset * static_cast<int64_t>(size_of(type)), type, row_stride,
            column_stride};
  }
  MatrixView transposed() const { return {data, type, column_stride, row_stride}; }
};

// Packs `k` x `n` of b into panels of `width` columns, zero-padded: [panel][k][width]. For A, pass its transpose.
// 16-bit floats are widened.
template <class T>
void pack_panels(const MatrixView& b, int64_t k, int64_t n, int64_t width, T* panels);

template <class T>
struct MicroKernel {
  int64_t rows, columns;  // R, W
  // c[0..used_rows) x [0..W) = or += a b; c has row stride `c_stride`.
  void (*run)(int64_t used_rows, int64_t inner, const T* a, const T* b, T* c, int64_t c_stride, bool add);
  // y[0..n) += sum over i < k of x[i x_stride] b[i b_stride + 0..n): a row times a matrix with contiguous rows.
  void (*row_times)(int64_t k, int64_t n, const T* x, int64_t x_stride, const T* b, int64_t b_stride, T* y);
  T (*dot)(int64_t k, const T* x, const T* y);  // both contiguous
  // y[i] = sum over t of w[t] x[i + offsets[t]], i < n rounded up to whole vectors: x and y must reach that far.
  void (*correlate)(int64_t n, int64_t taps, const T* w, const int64_t* offsets, const T* x, T* y);
  void (*scale)(int64_t n, T factor, T* values);
  // One full panel of `width` = R or W from T in memory: to[p width + s] = from[p k_stride + s n_stride], where one of
  // the strides is 1.
  void (*pack_rows)(const T* from, int64_t k_stride, int64_t k, int64_t width, T* to);  // n_stride 1
  // k_stride 1; here `width` may be any number.
  void (*pack_columns)(const T* from, int64_t n_stride, int64_t k, int64_t width, T* to);

  // Kernels on 16-bit floats keep `per_slot` neighbours along k in the place of one T, and pad slices to `unit`.
  int64_t unit = 1, per_slot = 1;
  int64_t slots(int64_t k) const { return round_up(k, unit) / per_slot; }
  void (*begin)() = nullptr;  // around all the calls of `run` in one thread
  void (*end)() = nullptr;
  // Into panels of `rows` (a, seen transposed) and of `columns` (b); null: pack_panels.
  void (*pack_a)(const MatrixView& a, int64_t k, int64_t n, T* panels) = nullptr;
  void (*pack_b)(const MatrixView& b, int64_t k, int64_t n, T* panels) = nullptr;

  void pack_left(const MatrixView& a, int64_t k, int64_t n, T* panels) const {
    pack_a ? pack_a(a, k, n, panels) : pack_panels(a, k, n, rows, panels);
  }
  void pack_right(const MatrixView& b, int64_t k, int64_t n, T* panels) const {
    pack_b ? pack_b(b, k, n, panels) : pack_panels(b, k, n, columns, panels);
  }
};
// The best one this machine runs.
template <class T>
const MicroKernel<T>& micro_kernel();
// The ones for bf16 on matrix tiles and by AVX512-BF16, where the machine has them; else null.
const MicroKernel<float>* tile_kernel();
const MicroKernel<float>* pair_kernel();
// The best one for products of that type.
template <class T>
const MicroKernel<T>& micro_kernel(DType type) {
  if constexpr (std::is_same_v<T, float>) {
    if (type == bf16 && tile_kernel()) return *tile_kernel();
    if (type == bf16 && pair_kernel()) return *pair_kernel();
  }
  return micro_kernel<T>();
}

// A whole matrix packed ahead, slice by slice along k.
template <class T>
class PackedMatrix {
 public:
  enum class Side { kLeft, kRight };
  // `k` x `n`; a left matrix is seen transposed.
  PackedMatrix(const MicroKernel<T>& kernel, Side side, const MatrixView& b, int64_t k, int64_t n)
      : kernel_(kernel),
        k_(k),
        padded_(round_up(n, side == Side::kLeft ? kernel.rows : kernel.columns)),
        values_(static_cast<size_t>(kernel.slots(k) * padded_)) {
    parallel_for((k_ + kInner - 1) / kInner, grain_for(kInner * n), [&](int64_t begin, int64_t end) {
      for (int64_t p = begin * kInner; p < std::min(k_, end * kInner); p += kInner) {
        T* panels = values_.data() + kernel_.slots(p) * padded_;
        if (side == Side::kLeft) kernel_.pack_left(b.at(p, 0), std::min(kInner, k_ - p), n, panels);
        else kernel_.pack_right(b.at(p, 0), std::min(kInner, k_ - p), n, panels);
      }
    });
  }
  PackedMatrix(const PackedMatrix&) = delete;
  PackedMatrix& operator=(const PackedMatrix&) = delete;
  // Panels from column `n` (a multiple of the width) of the slice that starts at `p`.
  const T* slice(int64_t p, int64_t n) const {
    return values_.data() + kernel_.slots(p) * padded_ + n * kernel_.slots(std::min(kInner, k_ - p));
  }

 private:
  const MicroKernel<T>& kernel_;
  int64_t k_, padded_;
  LargeVector<T> values_;
};

// One thread's product into c (m x n, row stride c_stride). Sources give packed panels:
//   a(row, rows, p, inner)       rows [row, row + rows) of the slice of A at p
//   b(column, columns, p, inner) the same for B
// done(row, rows, column, columns) tells of each finished block.
template <class T, class SourceA, class SourceB, class Done>
void multiply_blocks(const MicroKernel<T>& kernel, int64_t m, int64_t n, int64_t k, const SourceA& a, const SourceB& b,
                     T* c, int64_t c_stride, const Done& done) {
  const int64_t block_rows = round_up(kBlockRows, kernel.rows);
  if (kernel.begin) kernel.begin();
  alignas(64) T edge[32 * 64];
  for (int64_t column = 0; column < n; column += kBlockColumns) {
    const int64_t columns = std::min(kBlockColumns, n - column);
    for (int64_t p = 0; p < k; p += kInner) {
      const int64_t inner = std::min(kInner, k - p);
      const T* b_panels = b(column, columns, p, inner);
      for (int64_t row = 0; row < m; row += block_rows) {
        const int64_t rows = std::min(block_rows, m - row);
        const T* a_panels = a(row, rows, p, inner);
        for (int64_t j = 0; j < columns; j += kernel.columns) {
          const int64_t used_columns = std::min(kernel.columns, columns - j);
          for (int64_t i = 0; i < rows; i += kernel.rows) {
            const int64_t used_rows = std::min(kernel.rows, rows - i);
            T* target = c + (row + i) * c_stride + column + j;
            const T* a_panel = a_panels + i * kernel.slots(inner);
            const T* b_panel = b_panels + j * kernel.slots(inner);
            if (used_columns == kernel.columns) {
              kernel.run(used_rows, inner, a_panel, b_panel, target, c_stride, p > 0);
              continue;
            }
            kernel.run(used_rows, inner, a_panel, b_panel, edge, kernel.columns, false);
            for (int64_t r = 0; r < used_rows; ++r) {
              for (int64_t s = 0; s < used_columns; ++s) {
                const T value = edge[r * kernel.columns + s];
                target[r * c_stride + s] = p > 0 ? target[r * c_stride + s] + value : value;
              }
            }
          }
        }
        if (p + inner == k) done(row, rows, column, columns);
      }
    }
  }
  if (kernel.end) kernel.end();
}

}  // namespace trireme::cpu
