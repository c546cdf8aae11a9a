// Lines of 8-bit numbers times weights on the right, in pieces for the threads, with the epilogue behind each finished
// piece: what matrix products and convolutions of images with channels last share.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "chips/cpu/epilogue.h"
#include "chips/cpu/gemm_int8.h"

namespace trireme::cpu {

class Int8Product {
 public:
  // `batch` products of m x k by k x n. In the result the next one of the batch is so many rows and columns further.
  struct Sizes {
    int64_t batch, m, n, k;
    int64_t rows, columns;
    int64_t width() const { return n + (batch - 1) * columns; }  // of the result
  };
  struct Weights {
    Int8Weights panels;
    std::vector<int32_t> start;
  };
  // Numbers [p, p + inner) of the lines [row, row + rows) of one of the batch, as a panel on the left.
  using Lines = std::function<void(const uint8_t* x, int64_t batch, int64_t row, int64_t rows, int64_t p, int64_t inner,
                                   int32_t* panel)>;

  // `out`: the value of the result; TRM_ABSENT: its sums go to the epilogue only.
  Int8Product(const Int8Kernel& kernel, const XForm& form, const Sizes& sizes, std::shared_ptr<const Epilogue> epilogue,
              uint32_t out, Lines lines);

  // A matrix of k x n.
  std::shared_ptr<const Weights> pack(const int8_t* w, int64_t k_stride, int64_t n_stride) const;
  // `weights`: one for each of the batch, or one for all.
  void run(void* const* values, const uint8_t* x, std::span<const std::shared_ptr<const Weights>> weights) const;

 private:
  const int32_t* left_panels(const uint8_t* x, int64_t batch, int64_t row, int64_t rows, int64_t p,
                             int64_t inner) const;

  const Int8Kernel& kernel_;
  XForm form_;
  Sizes sizes_;
  std::shared_ptr<const Epilogue> epilogue_;
  uint32_t out_;
  Lines lines_;
  bool by_rows_ = true;
  int64_t step_ = 1, pieces_ = 1;  // rows or columns of a piece
};

}  // namespace trireme::cpu
