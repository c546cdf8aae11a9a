// Sums of products whose left rows are found through pointers: convolutions on channels-last images need no gathered
// columns then, because the channels of a pixel are neighbours in memory.
#pragma once

#include <cstdint>
#include <limits>

namespace trireme::cpu {

// What happens to a finished sum: scaled, a bias and another image added, held within [low, high] (NaN stays).
struct Finish {
  const float* scale = nullptr;  // one per column; null: 1
  const float* bias = nullptr;   // one per column; null: 0
  float low = -std::numeric_limits<float>::infinity(), high = std::numeric_limits<float>::infinity();
};

// Row r, column s of a block: the sum over taps t and k < run of left[t R + r][k] right[(t run + k) padded + s], where
// R is IndirectKernel::rows and `padded` is `columns` rounded up to `lanes`. It goes to to[r][at + s], after
// added[r][at + s] was added unless `added` is null. The scale and the bias of a column are those at at + s, and can be
// read as far as `padded` goes.
struct IndirectBlock {
  int64_t rows, columns;
  int64_t taps, run;
  const float* const* left;
  const float* right;
  float* const* to;
  const float* const* added;
  int64_t at;
  Finish finish;
};

struct IndirectKernel {
  int64_t rows, columns;  // of the largest block
  int64_t lanes;          // columns are padded to a multiple of it
  // A block of one row may have as many columns as row_panels blocks: their `right` lie one after the other then.
  int64_t row_panels;
  void (*block)(const IndirectBlock& block);
  // Channel by channel: to[r][c] = sum over t of left[r][t][shift[r] + c] weights[t channels + c], for each of the
  // `pixels` rows r; after added[r][c] was added unless `added` is null. Null where floats are pairs.
  void (*depthwise)(int64_t pixels, int64_t taps, int64_t channels, const float* const* const* left,
                    const int64_t* shift, const float* weights, float* const* to, const float* const* added,
                    const Finish& finish);
};
// The best one this machine runs.
const IndirectKernel& indirect_kernel();
// The one for bf16, where the machine has instructions for it; else null. What is a float in `left` and `right` is a
// pair of bf16 to it, neighbours along k.
const IndirectKernel* pair_indirect_kernel();

}  // namespace trireme::cpu
