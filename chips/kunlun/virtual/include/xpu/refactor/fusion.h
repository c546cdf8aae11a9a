// Matrix products and convolutions of XDNN, on the SDNN units, with what can follow them in the same kernel; attention
// and other fused operators.
//
// TGEMM is the arithmetic. Inputs are brought to it, products are summed in it, and the sum is rounded to TY once,
// after alpha, beta, bias, branch and activation, which are in float:
//   int16_t        each tensor is made fixed-point: round(x * 32767 / absmax), ties to even; sums of the integer
//                  products are exact. The default for float data.
//   int8_t         the same with 127
//   int32_t        the same with 2147483647 ("int31"); sums in double
//   int_with_ll_t  as int16_t, with an absmax for each row of x and each column of w
//   float16        inputs are rounded to float16, sums in float
//   tfloat32       inputs are rounded to 11 bits of significand, sums in float; third generation only
//   float          sums in float
// A tensor that is int16_t or int8_t itself holds such fixed-point numbers already and needs its max-pointer.
//
// <TX, TW, TY, TGEMM>: TX and TY float, float16, bfloat16, both the same; TW the same type with any TGEMM, or int16_t
// with TGEMM int16_t, or int8_t with TGEMM int8_t. Also <int8_t, int8_t, float, int8_t>: with max-pointers of 127 the
// result is the sum of the products themselves, rounded to float once. Other uses of int8_t and int16_t are not there.
#ifndef TRIREME_XPU_REFACTOR_FUSION_H
#define TRIREME_XPU_REFACTOR_FUSION_H

#include <cstdint>
#include <vector>

#include "context.h"

namespace baidu::xpu::api {

// NOLINTBEGIN(readability-identifier-naming): the public names of the vendor's interface

// ---- products

// y = act(alpha * x w + beta * y + bias): y is m x n with rows of ldy, x m x k (or k x m when x_trans) with rows of
// ldx, w k x n (or n x k when w_trans) with rows of ldw. bias: n floats or null.
template <class TX, class TW, class TY, class TGEMM>
int fc_fusion(Context* ctx, const TX* x, const TW* w, TY* y, int64_t m, int64_t n, int64_t k, bool x_trans,
              bool w_trans, const float* x_maxptr, const float* w_maxptr, float* y_maxptr, int64_t ldx, int64_t ldw,
              int64_t ldy, float alpha, float beta, const float* bias, const Activation_t& act);
// Without the rest: y = x w, dense.
template <class TX, class TW, class TY, class TGEMM>
int fc(Context* ctx, const TX* x, const TW* w, TY* y, int64_t m, int64_t n, int64_t k, bool x_trans, bool w_trans,
       const float* x_maxptr, const float* w_maxptr, float* y_maxptr);
// batch_size products of dense matrices, stride_a, stride_b, stride_c elements apart (0: the same one again). One
// absolute maximum each for all of x and all of w.
template <class TX, class TW, class TY, class TGEMM>
int fc_batched(Context* ctx, int64_t batch_size, bool x_trans, bool w_trans, int64_t m, int64_t n, int64_t k,
               float alpha, const TX* x, int64_t stride_a, const TW* w, int64_t stride_b, float beta, TY* y,
               int64_t stride_c, const float* x_maxptr, const float* w_maxptr);

// ---- convolutions
//
// x is n x c x h x w (is_nchw) or n x h x w x c; the weight f x c / group x kh x kw, or f x kh x kw x c / group.
// ksize, stride, dilation: {height, width}. pad: {height, width} on both sides, or {top, bottom, left, right}.
// A convolution with group == c is depthwise.

template <class TX, class TW, class TY, class TGEMM>
int conv2d(Context* ctx, const TX* x, const TW* weight, TY* y, int64_t n, int64_t c, int64_t h, int64_t w, int64_t f,
           const std::vector<int64_t>& ksize, const std::vector<int64_t>& stride, const std::vector<int64_t>& pad,
           const std::vector<int64_t>& dilation, int64_t group, const float* x_maxptr, const float* weight_maxptr,
           float* y_maxptr, bool is_nchw);
// y = act(conv + bias + branch) + addend. bias: f floats; branch and addend: as y; all may be null. The addend is a
// guess: no published header shows it, but the published latency of DarkNet53, whose sums stand behind its activations,
// leaves no time for a launch for each of them.
template <class TX, class TW, class TY, class TGEMM>
int conv2d_fusion(Context* ctx, const TX* x, const TW* weight, TY* y, int64_t n, int64_t c, int64_t h, int64_t w,
                  int64_t f, const std::vector<int64_t>& ksize, const std::vector<int64_t>& stride,
                  const std::vector<int64_t>& pad, const std::vector<int64_t>& dilation, int64_t group,
                  const float* x_maxptr, const float* weight_maxptr, float* y_maxptr, bool is_nchw, const float* bias,
                  const TY* branch, const Activation_t& act, const TY* addend = nullptr);
// The transposed convolution: y (n x yc x yh x yw) to x (n x xc x xh x xw), where yh is (xh + pads - dilation * (kh -
// 1) - 1) / stride + 1, rounded down. The weight is yc x xc / group x kh x kw, or yc x kh x kw x xc / group.
template <class TY, class TW, class TX, class TGEMM>
int conv2d_transpose_v2(Context* ctx, const TY* y, const TW* weight, TX* x, int64_t n, int64_t yc, int64_t xh,
                        int64_t xw, int64_t xc, const std::vector<int64_t>& ksize, const std::vector<int64_t>& stride,
                        const std::vector<int64_t>& pad, const std::vector<int64_t>& dilation, int64_t group,
                        const float* y_maxptr, const float* weight_maxptr, float* x_maxptr, bool is_nchw);
// With a third extent, depth, before the others: x n x c x d x h x w. pad: 3 or 6 values.
template <class TX, class TW, class TY, class TGEMM>
int conv3d(Context* ctx, const TX* x, const TW* weight, TY* y, int64_t n, int64_t c, int64_t d, int64_t h, int64_t w,
           int64_t f, const std::vector<int64_t>& ksize, const std::vector<int64_t>& stride,
           const std::vector<int64_t>& pad, const std::vector<int64_t>& dilation, int64_t group, const float* x_maxptr,
           const float* weight_maxptr, float* y_maxptr, bool is_ncdhw);

// ---- attention

// How q, k, v lie: q is batch x q_len x head_num x head_dim ("BLHD"), k and v batch x kv_len x
// kv_head_num x head_dim, where kv_head_num divides head_num. `causal`: query i sees keys up to i + kv_len - q_len.
struct AttentionParam {
  int64_t batch, q_len, kv_len, head_num, kv_head_num, head_dim;
  bool causal = false;
  float alpha = 0;  // of q k; 0: 1 / sqrt(head_dim)
};
// qkv = softmax(alpha * q k^T + mask) v, as q. Both products in TGEMM, the softmax in float. mask: batch or 1 x
// head_num or 1 x q_len x kv_len floats, by mask_shape, or null. A row in which everything is masked out with -inf
// becomes 0. T and TGEMM as in products.
template <class T, class TGEMM>
int qkv_attention(Context* ctx, const T* q, const T* k, const T* v, T* qkv, const float* max_q, const float* max_k,
                  const float* max_v, float* max_qkv, const AttentionParam& param, const float* mask = nullptr,
                  const std::vector<int64_t>& mask_shape = {});

// NOLINTEND(readability-identifier-naming)

}  // namespace baidu::xpu::api

#endif
