// The steps of attention between its products, on panels: rows of W = MicroKernel<float>::columns numbers, one column
// per query. Softmax then runs down the columns, and a panel of probabilities is the right operand of the next product
// as it lies.
#pragma once

#include <cstdint>

namespace trireme::cpu {

struct AttentionKernel {
  // Softmax over keys that come in pieces: scores[k][q] becomes exp(scores - top[q]), where top[q] is the largest score
  // so far, starting at -infinity. sum[q] is the sum of the weights so far, starting at 0; factor[q] is what the
  // results of earlier pieces are to be multiplied by, because top has risen.
  void (*weigh)(int64_t keys, float* scores, float* top, float* sum, float* factor);
  // factor[q] = 1 / sum[q]; 0 where the sum is 0.
  void (*invert)(const float* sum, float* factor);
  // values[r][q] *= factor[q].
  void (*scale)(int64_t rows, const float* factor, float* values);
  // sums[q] = the sum over r of x[r][q] y[r][q].
  void (*dot)(int64_t rows, const float* x, const float* y, float* sums);
  // gradients[k][q] becomes scale weights[k][q] (gradients[k][q] - mean[q]): from the gradients of the probabilities to
  // those of the scores.
  void (*score_gradient)(int64_t keys, float scale, const float* weights, const float* mean, float* gradients);
};
// The best one this machine runs.
const AttentionKernel& attention_kernel();

}  // namespace trireme::cpu
