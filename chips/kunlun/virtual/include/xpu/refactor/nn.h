// Operators of XDNN for networks: activations, softmax, normalisation, pooling, optimizers.
// Types are the float types (float, float16, bfloat16) where it is not said otherwise; scales, biases, statistics and
// optimizer moments are float. xpu/xdnn.h has the rules for all of them.
#ifndef TRIREME_XPU_REFACTOR_NN_H
#define TRIREME_XPU_REFACTOR_NN_H

#include <cstdint>
#include <vector>

#include "context.h"

namespace baidu::xpu::api {

// NOLINTBEGIN(readability-identifier-naming): the public names of the vendor's interface

// ---- activations; max_x is not needed, max_y as in xdnn.h

#define XDNN_ACTIVATION(name) \
  template <class T>          \
  int name(Context* ctx, const T* x, T* y, int64_t len, const float* max_x = nullptr, float* max_y = nullptr);
XDNN_ACTIVATION(relu)
XDNN_ACTIVATION(relu6)
XDNN_ACTIVATION(sigmoid)
XDNN_ACTIVATION(log_sigmoid)
XDNN_ACTIVATION(tanh)
XDNN_ACTIVATION(gelu)              // with erf
XDNN_ACTIVATION(approximate_gelu)  // with tanh
XDNN_ACTIVATION(quick_gelu)        // x * sigmoid(1.702 x)
XDNN_ACTIVATION(swish)             // x * sigmoid(x), also called silu
XDNN_ACTIVATION(hard_swish)        // x * relu6(x + 3) / 6
XDNN_ACTIVATION(softsign)          // x / (1 + |x|)
XDNN_ACTIVATION(tanh_shrink)       // x - tanh(x)
#undef XDNN_ACTIVATION

template <class T>
int leaky_relu(Context* ctx, const T* x, T* y, int64_t len, float alpha, const float* max_x = nullptr,
               float* max_y = nullptr);
template <class T>
int elu(Context* ctx, const T* x, T* y, int64_t len, float alpha = 1.0f, const float* max_x = nullptr,
        float* max_y = nullptr);
// x * tanh(softplus(x)), where softplus is x itself beyond the threshold.
template <class T>
int mish(Context* ctx, const T* x, T* y, int64_t len, float threshold = 20.0f, const float* max_x = nullptr,
         float* max_y = nullptr);
template <class T>
int selu(Context* ctx, const T* x, T* y, int64_t len, float scale = 1.0507010f, float alpha = 1.6732632f,
         const float* max_x = nullptr, float* max_y = nullptr);

template <class T>
int softmax(Context* ctx, const T* x, T* y, const std::vector<int64_t>& xshape, int64_t axis);
template <class T>
int log_softmax(Context* ctx, const T* x, T* y, const std::vector<int64_t>& xshape, int64_t axis);

// ---- normalisation; variances are those of the whole (divided by the count)

// Over n, h, w for each of c channels. batch_mean and batch_inv_std (1 / sqrt(var + eps)) are written; global_mean and
// global_var become momentum * themselves + (1 - momentum) * those of the batch, and may be null.
template <class T>
int batch_norm(Context* ctx, const T* x, T* y, int64_t n, int64_t c, int64_t h, int64_t w, float eps, float momentum,
               const float* scale, const float* bias, float* batch_mean, float* batch_inv_std, float* global_mean,
               float* global_var, bool is_nchw);
template <class T>
int batch_norm_infer(Context* ctx, const T* x, T* y, int64_t n, int64_t c, int64_t h, int64_t w, float eps,
                     const float* scale, const float* bias, const float* mean, const float* var, bool is_nchw);
// Over each of m rows of n. scale and bias (n) may be null, mean and var (m) as well; is_rstd writes 1 / sqrt(var +
// eps) in place of the variance.
template <class T>
int layer_norm(Context* ctx, const T* x, T* y, int64_t m, int64_t n, float eps, const float* scale, const float* bias,
               float* mean, float* var, bool is_rstd = false);
// x / sqrt(mean(x * x) + eps) * scale + bias. `var` is the mean of squares.
template <class T>
int rms_layer_norm(Context* ctx, const T* x, T* y, int64_t m, int64_t n, float eps, const float* scale,
                   const float* bias, float* var, bool is_rstd = false);
// For each n and group of channels. Scale and bias have c values, the statistics n * groups; all may be null.
template <class T>
int group_norm(Context* ctx, const T* x, T* y, int64_t n, int64_t c, int64_t h, int64_t w, int64_t groups, float eps,
               const float* scale, const float* bias, float* mean, float* var, bool is_nchw);

// ---- pooling; x is n x c x h x w or n x h x w x c. pad: {height, width} or {top, bottom, left, right};
// extents round down: (h + pads - k) / stride + 1. Windows must hold at least one element of x.

// indices (may be null): the place of the maximum in its h x w plane. The gradient needs them, or x and y, and goes
// to the first element of a window that equals y.
template <class T, class TID = int>
int max_pool2d(Context* ctx, const T* x, T* y, TID* indices, int64_t n, int64_t c, int64_t h, int64_t w,
               const std::vector<int64_t>& ksize, const std::vector<int64_t>& stride, const std::vector<int64_t>& pad,
               bool is_nchw, const float* x_maxptr = nullptr, float* y_maxptr = nullptr);
template <class T, class TID = int>
int max_pool2d_grad(Context* ctx, const T* x, const T* y, const TID* indices, const T* dy, T* dx, int64_t n, int64_t c,
                    int64_t h, int64_t w, const std::vector<int64_t>& ksize, const std::vector<int64_t>& stride,
                    const std::vector<int64_t>& pad, bool is_nchw);
template <class T>
int avg_pool2d(Context* ctx, const T* x, T* y, int64_t n, int64_t c, int64_t h, int64_t w,
               const std::vector<int64_t>& ksize, const std::vector<int64_t>& stride, const std::vector<int64_t>& pad,
               bool count_include_pad, bool is_nchw, const float* x_maxptr = nullptr, float* y_maxptr = nullptr);
// To yh x yw windows, from floor(i * xh / yh) to before ceil((i + 1) * xh / yh).
template <class T>
int adaptive_avg_pool2d(Context* ctx, const T* x, T* y, int64_t n, int64_t c, int64_t xh, int64_t xw, int64_t yh,
                        int64_t yw, bool is_nchw, const float* x_maxptr = nullptr, float* y_maxptr = nullptr);

// ---- optimizer steps; n elements, outputs may be the inputs. lr is one float on the device.

template <class T>
int sgd(Context* ctx, const T* grad, const T* param, const float* lr, T* param_out, int64_t n);
// velocity = mu * velocity + grad + l2_weight_decay * param; param -= lr * velocity, with use_nesterov lr * (grad + mu
// * velocity).
template <class T>
int momentum(Context* ctx, const T* param, const T* velocity, const T* grad, T* param_out, T* velocity_out, int64_t len,
             const float* lr, int use_nesterov, float mu, float l2_weight_decay = 0.0f);

// NOLINTEND(readability-identifier-naming)

}  // namespace baidu::xpu::api

#endif
