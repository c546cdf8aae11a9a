// Gradients of weights, which are sums over pixels: of outer products of two rows each, and for depthwise convolutions
// of the products of two planes.
#pragma once

#include <cstdint>

namespace trireme::cpu {

struct OuterKernel {
  int64_t rows, columns;  // of the largest block
  int64_t lanes;          // lines of sums are padded to a multiple of it
  // sums[r padded + s] += the sum over k < count of left[k][first + r] right[k step + s], where `padded` is
  // used_columns rounded up to `lanes`. used_rows <= rows, used_columns <= columns; count should not be above
  // kOuterCount, so that long sums keep their digits.
  void (*block)(int64_t used_rows, int64_t used_columns, int64_t count, const float* const* left, int64_t first,
                const float* right, int64_t step, float* sums);
  // The sum over r < rows, i < count of left[r step + i] right[r count + i].
  float (*inner)(int64_t rows, int64_t count, const float* left, int64_t step, const float* right);
};
constexpr int64_t kOuterCount = 128;
// The best one this machine runs.
const OuterKernel& outer_kernel();

}  // namespace trireme::cpu
