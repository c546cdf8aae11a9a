// Matrix products of 8-bit integers with sums in i32, C = (X - zero) W: one factor is x (u8 or i8, with a zero point),
// the other is the weights (i8). Sums are exact, or wrap.
//
// As in gemm.h both factors are packed into panels and a micro kernel keeps an R x W block of C in registers. What a
// panel holds along k are slots of 32 bits: four neighbours as they are (unsigned times signed bytes: i8 of x get 128
// added), or two as i16, from which the zero point is taken at once. Where it is not, the sums start at -zero times the
// sum of the weights. Machines without AVX512-VNNI add two products of bytes in 16 bits, and would clip the sum: there
// only weights within kInt8PairBound stay bytes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "chips/cpu/large_memory.h"
#include "chips/cpu/tile_program.h"

namespace trireme::cpu {

constexpr int64_t kInt8Inner = 512;      // k slice: with a panel of W columns half of a first-level cache
constexpr int64_t kInt8BlockRows = 144;  // of the left matrix, packed at once
constexpr int64_t kInt8BlockColumns = 512;

constexpr int64_t kInt8PairBound = 64;  // 255 (64 + 64) < 2^15

// Which factor stands on the left, where each of its numbers is repeated along a vector.
enum class Int8Left : uint8_t { kX, kWeights };

// How numbers of x become parts of a slot.
struct XForm {
  bool is_signed;                                                 // i8, else u8
  int32_t zero;                                                   // the zero point
  uint8_t padding() const { return static_cast<uint8_t>(zero); }  // the byte that stands for 0
};

struct Int8Kernel {
  int64_t rows = 0, columns = 0;  // R, W
  int64_t per_slot = 1;           // neighbours along k in one slot
  // c[0..used_rows) x [0..W) = start + a b, or += a b where `start` is null; c has row stride `c_stride`. a is a panel
  // [slots / depth][R][depth], b [slots][W]. `start` has one number per column where x is on the left, else one per
  // row. Columns from `used_columns` on may be left out.
  using Run = void (*)(int64_t used_rows, int64_t used_columns, int64_t slots, const int32_t* a, const int32_t* b,
                       int32_t* c, int64_t c_stride, const int32_t* start);
  Run run_x_left = nullptr, run_weights_left = nullptr;
  // What int8_slots does, with the highest bits flipped if `flips`; null: nothing faster than plain loops.
  void (*slots_of_x)(const uint8_t* const* rows, bool flips, int64_t panels, int64_t step, int32_t* to) = nullptr;
  // Slots along k that lie side by side in panels on the left. Of slots there are multiples of it: the weights of those
  // behind k are 0, whatever stands for x.
  int64_t depth = 1;
  // Panels of x on the left are [R][slots] instead, whose lines are put together from pieces: numbers [at, at + count)
  // of one, or as many that stand for 0 where `from` is null. Null: the panels are as above.
  void (*put)(const XForm& x, const uint8_t* from, int64_t at, int64_t count, int32_t* line) = nullptr;
  void (*begin)() = nullptr;  // around all the calls of `run` in one thread
  void (*end)() = nullptr;

  // What the sums must have taken off, times the sum of the weights.
  int32_t correction(const XForm& x) const { return per_slot == 4 ? x.zero + (x.is_signed ? 128 : 0) : 0; }
  Run run(Int8Left left) const { return left == Int8Left::kX ? run_x_left : run_weights_left; }
  int64_t slots(int64_t k) const {
    const int64_t step = per_slot * depth;
    return (k + step - 1) / step * depth;
  }
};
// The best one this machine runs for any weights, and for those of `w`, which may be known.
const Int8Kernel& int8_kernel();
const Int8Kernel& int8_kernel_for(const TrmValue& w);
// The ones on matrix tiles and of AVX512-VNNI, where the machine has them; else null.
const Int8Kernel* int8_tile_kernel();
const Int8Kernel* vnni_kernel();

// One line of slots in each of `panels` panels, `step` apart: to[j] holds rows[0][j], rows[1][j], ... (`per_slot` of
// them).
void int8_slots(const Int8Kernel& kernel, const XForm& x, const uint8_t* const* rows, int64_t panels, int64_t step,
                int32_t* to);
// `count` slots of weights.
void int8_weight_slots(const Int8Kernel& kernel, const int8_t* const* rows, int64_t count, int32_t* to);

// A panel of x on the left, `width` = R, from `used` lines of k contiguous bytes, `stride` apart.
void pack_int8_lines(const Int8Kernel& kernel, const XForm& x, const uint8_t* from, int64_t stride, int64_t k,
                     int64_t used, int64_t width, int32_t* to);

// The weights, packed ahead or for one run, as panels of R rows (left) or W columns (right); and their sums along k.
class Int8Weights {
 public:
  // A matrix of k x n where the left one is seen transposed.
  Int8Weights(const Int8Kernel& kernel, Int8Left left, const int8_t* w, int64_t k_stride, int64_t n_stride, int64_t k,
              int64_t n);
  Int8Weights(const Int8Weights&) = delete;
  Int8Weights& operator=(const Int8Weights&) = delete;
  // Panels from number `n` (a multiple of the width) of the slice that starts at `p`.
  const int32_t* slice(int64_t p, int64_t n) const {
    return values_.data() + kernel_.slots(p) * padded_ + n * kernel_.slots(std::min(kInt8Inner, k_ - p));
  }
  // Where the sums start: -correction times the sum of the weights, for each of the padded n.
  std::vector<int32_t> start(int32_t correction) const;

 private:
  const Int8Kernel& kernel_;
  int64_t k_, padded_;
  LargeVector<int32_t> values_;
  std::vector<int32_t> sums_;
};

// One thread's product into c (m x n, row stride c_stride), all of k. Sources give packed panels:
//   a(row, rows, p, inner)       rows [row, row + rows) of the slice of the left matrix at p
//   b(column, columns, p, inner) the same for the right one
// `start` belongs to row or column 0 of this product. `roomy`: the rows of c have room for whole panels. done(row,
// rows, column, columns) tells of each finished block.
template <class SourceA, class SourceB, class Done>
void multiply_int8(const Int8Kernel& kernel, Int8Left left, int64_t m, int64_t n, int64_t k, const SourceA& a,
                   const SourceB& b, const int32_t* start, int32_t* c, int64_t c_stride, bool roomy, const Done& done) {
  const Int8Kernel::Run run = kernel.run(left);
  const int64_t block_rows = (kInt8BlockRows + kernel.rows - 1) / kernel.rows * kernel.rows;
  if (kernel.begin) kernel.begin();
  alignas(64) int32_t edge[16 * 64];
  for (int64_t column = 0; column < n; column += kInt8BlockColumns) {
    const int64_t columns = std::min(kInt8BlockColumns, n - column);
    for (int64_t p = 0; p < k; p += kInt8Inner) {
      const int64_t inner = std::min(kInt8Inner, k - p), slots = kernel.slots(inner);
      const int32_t* b_panels = b(column, columns, p, inner);
      for (int64_t row = 0; row < m; row += block_rows) {
        const int64_t rows = std::min(block_rows, m - row);
        const int32_t* a_panels = a(row, rows, p, inner);
        for (int64_t j = 0; j < columns; j += kernel.columns) {
          const int64_t used_columns = std::min(kernel.columns, columns - j);
          for (int64_t i = 0; i < rows; i += kernel.rows) {
            const int64_t used_rows = std::min(kernel.rows, rows - i);
            const int32_t* begin = p > 0 ? nullptr : start + (left == Int8Left::kX ? column + j : row + i);
            int32_t* target = c + (row + i) * c_stride + column + j;
            const int32_t *a_panel = a_panels + i * slots, *b_panel = b_panels + j * slots;
            if (roomy || used_columns == kernel.columns) {
              run(used_rows, used_columns, slots, a_panel, b_panel, target, c_stride, begin);
              continue;
            }
            for (int64_t r = 0; p > 0 && r < used_rows; ++r) {
              std::copy_n(target + r * c_stride, used_columns, edge + r * kernel.columns);
            }
            run(used_rows, used_columns, slots, a_panel, b_panel, edge, kernel.columns, begin);
            for (int64_t r = 0; r < used_rows; ++r) {
              std::copy_n(edge + r * kernel.columns, used_columns, target + r * c_stride);
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
