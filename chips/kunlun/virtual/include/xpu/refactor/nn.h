// Operators of XDNN for networks: activations, softmax, normalisation, pooling, resizing, dropout, losses, optimizers.
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

// dx = dy * f'. relu, relu6, sigmoid and tanh need y (x may be null), the others x (y may be null).
#define XDNN_ACTIVATION_GRAD(name) \
  template <class T>               \
  int name(Context* ctx, const T* x, const T* y, const T* dy, T* dx, int64_t len);
XDNN_ACTIVATION_GRAD(relu_grad)
XDNN_ACTIVATION_GRAD(relu6_grad)
XDNN_ACTIVATION_GRAD(sigmoid_grad)
XDNN_ACTIVATION_GRAD(tanh_grad)
XDNN_ACTIVATION_GRAD(gelu_grad)
XDNN_ACTIVATION_GRAD(approximate_gelu_grad)
XDNN_ACTIVATION_GRAD(hard_swish_grad)
XDNN_ACTIVATION_GRAD(softsign_grad)
#undef XDNN_ACTIVATION_GRAD
#define XDNN_ACTIVATION_GRAD(name) \
  template <class T>               \
  int name(Context* ctx, const T* x, const T* dy, T* dx, int64_t len);
XDNN_ACTIVATION_GRAD(swish_grad)
XDNN_ACTIVATION_GRAD(log_sigmoid_grad)
XDNN_ACTIVATION_GRAD(tanh_shrink_grad)
#undef XDNN_ACTIVATION_GRAD

template <class T>
int leaky_relu(Context* ctx, const T* x, T* y, int64_t len, float alpha, const float* max_x = nullptr,
               float* max_y = nullptr);
template <class T>
int leaky_relu_grad(Context* ctx, const T* x, const T* y, const T* dy, T* dx, int64_t len, float alpha);
template <class T>
int elu(Context* ctx, const T* x, T* y, int64_t len, float alpha = 1.0f, const float* max_x = nullptr,
        float* max_y = nullptr);
template <class T>
int elu_grad(Context* ctx, const T* x, const T* dy, T* dx, int64_t len, float alpha);
// max(0, min(1, slope * x + 0.5)); its gradient needs y.
template <class T>
int hard_sigmoid(Context* ctx, const T* x, T* y, int64_t len, float slope, const float* max_x = nullptr,
                 float* max_y = nullptr);
template <class T>
int hard_sigmoid_grad(Context* ctx, const T* x, const T* y, const T* dy, T* dx, int64_t len, float slope);
template <class T>
int hard_tanh(Context* ctx, const T* x, T* y, int64_t len, float minval, float maxval, const float* max_x = nullptr,
              float* max_y = nullptr);
template <class T>
int hard_tanh_grad(Context* ctx, const T* x, const T* dy, T* dx, int64_t len, float minval, float maxval);
// log(1 + exp(beta x)) / beta, x itself where beta x > threshold.
template <class T>
int softplus(Context* ctx, const T* x, T* y, int64_t len, float beta = 1.0f, float threshold = 20.0f,
             const float* max_x = nullptr, float* max_y = nullptr);
template <class T>
int softplus_grad(Context* ctx, const T* x, const T* y, const T* dy, T* dx, int64_t len, float beta = 1.0f,
                  float threshold = 20.0f);
// x * tanh(softplus(x)).
template <class T>
int mish(Context* ctx, const T* x, T* y, int64_t len, float threshold = 20.0f, const float* max_x = nullptr,
         float* max_y = nullptr);
template <class T>
int mish_grad(Context* ctx, const T* x, const T* y, const T* dy, T* dx, int64_t len, float threshold = 20.0f);
template <class T>
int selu(Context* ctx, const T* x, T* y, int64_t len, float scale = 1.0507010f, float alpha = 1.6732632f,
         const float* max_x = nullptr, float* max_y = nullptr);
template <class T>
int selu_grad(Context* ctx, const T* x, const T* dy, T* dx, int64_t len, float scale, float alpha);
// x > 0 ? x : slope * x; the slope broadcasts to xshape. Its gradient: dslope may be null.
template <class T>
int prelu(Context* ctx, const T* x, const T* slope, T* y, const std::vector<int64_t>& xshape,
          const std::vector<int64_t>& slope_shape);
// The axis (even extent 2e) is cut in halves a, b: y = swish(a) * b; `turn`: a * swish(b). The _grad is of x.
template <class T>
int swiglu(Context* ctx, const T* x, T* y, const std::vector<int64_t>& xshape, int64_t axis, bool turn = false);
template <class T>
int swiglu_grad(Context* ctx, const T* x, const T* dy, T* dx, const std::vector<int64_t>& xshape, int64_t axis,
                bool turn = false);

template <class T>
int softmax(Context* ctx, const T* x, T* y, const std::vector<int64_t>& xshape, int64_t axis);
template <class T>
int softmax_grad(Context* ctx, const T* y, const T* dy, T* dx, const std::vector<int64_t>& xshape, int64_t axis);
template <class T>
int log_softmax(Context* ctx, const T* x, T* y, const std::vector<int64_t>& xshape, int64_t axis);
template <class T>
int log_softmax_grad(Context* ctx, const T* y, const T* dy, T* dx, const std::vector<int64_t>& xshape, int64_t axis);

// ---- normalisation; variances are those of the whole (divided by the count)

// Over n, h, w for each of c channels. batch_mean and batch_inv_std (1 / sqrt(var + eps)) are written; global_mean and
// global_var become momentum * themselves + (1 - momentum) * those of the batch, and may be null.
template <class T>
int batch_norm(Context* ctx, const T* x, T* y, int64_t n, int64_t c, int64_t h, int64_t w, float eps, float momentum,
               const float* scale, const float* bias, float* batch_mean, float* batch_inv_std, float* global_mean,
               float* global_var, bool is_nchw, bool unbiased_global_var = false);
// With global_mean and global_var given, of batch_norm_infer, where they are constants. dx, or dscale with dbias, may
// be null.
template <class T>
int batch_norm_grad(Context* ctx, const T* x, const T* dy, T* dx, int64_t n, int64_t c, int64_t h, int64_t w,
                    const float* scale, const float* batch_mean, const float* batch_inv_std, float* dscale,
                    float* dbias, bool is_nchw, const float* global_mean = nullptr, const float* global_var = nullptr,
                    float epsilon = 1e-5f);
template <class T>
int batch_norm_infer(Context* ctx, const T* x, T* y, int64_t n, int64_t c, int64_t h, int64_t w, float eps,
                     const float* scale, const float* bias, const float* mean, const float* var, bool is_nchw);
// Over each of m rows of n. scale and bias (n) may be null, mean and var (m) as well; is_rstd writes 1 / sqrt(var +
// eps) in place of the variance. The gradient: mean and var must be given, dscale and dbias may be null, dx too.
template <class T>
int layer_norm(Context* ctx, const T* x, T* y, int64_t m, int64_t n, float eps, const float* scale, const float* bias,
               float* mean, float* var, bool is_rstd = false);
template <class T>
int layer_norm_grad(Context* ctx, const T* x, const T* dy, T* dx, int64_t m, int64_t n, float eps, const float* scale,
                    const float* mean, const float* var, float* dscale, float* dbias, bool is_rstd = false);
// x / sqrt(mean(x * x) + eps) * scale + bias. `var` is the mean of squares.
template <class T>
int rms_layer_norm(Context* ctx, const T* x, T* y, int64_t m, int64_t n, float eps, const float* scale,
                   const float* bias, float* var, bool is_rstd = false);
template <class T>
int rms_layer_norm_grad(Context* ctx, const T* x, const T* dy, T* dx, int64_t m, int64_t n, float eps,
                        const float* scale, const float* var, float* dscale, float* dbias, bool is_rstd = false);
// For each n and c (instance) or each n and group of channels (group). Scale and bias have c values, statistics n * c
// or n * groups; all may be null, but not the statistics of a gradient.
template <class T>
int instance_norm(Context* ctx, const T* x, T* y, int64_t n, int64_t c, int64_t h, int64_t w, float eps,
                  const float* scale, const float* bias, float* mean, float* var, bool is_nchw);
template <class T>
int instance_norm_grad(Context* ctx, const T* x, const T* dy, T* dx, const float* scale, const float* mean,
                       const float* var, float* dscale, float* dbias, int64_t n, int64_t c, int64_t h, int64_t w,
                       float eps, bool is_nchw);
template <class T>
int group_norm(Context* ctx, const T* x, T* y, int64_t n, int64_t c, int64_t h, int64_t w, int64_t groups, float eps,
               const float* scale, const float* bias, float* mean, float* var, bool is_nchw);
template <class T>
int group_norm_grad(Context* ctx, const T* x, const T* y, const T* dy, T* dx, int64_t n, int64_t c, int64_t h,
                    int64_t w, int64_t groups, float eps, const float* scale, const float* bias, const float* mean,
                    const float* var, float* dscale, float* dbias, bool is_nchw);
// x scaled down where its 2-norm over rdims (all when empty) is greater than max_norm.
template <class T>
int clip_by_norm(Context* ctx, const T* x, T* y, float max_norm, const std::vector<int64_t>& xshape,
                 const std::vector<int64_t>& rdims);

// ---- pooling, resizing; x is n x c x h x w or n x h x w x c. pad: {height, width} or {top, bottom, left, right};
// extents round down: (h + pads - k) / stride + 1. Windows must hold at least one element of x.

// indices (may be null): the place of the maximum in its h x w plane. The gradient needs them, or x and y.
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
// x and y may be null.
template <class T>
int avg_pool2d_grad(Context* ctx, const T* x, const T* y, const T* dy, T* dx, int64_t n, int64_t c, int64_t h,
                    int64_t w, const std::vector<int64_t>& ksize, const std::vector<int64_t>& stride,
                    const std::vector<int64_t>& pad, bool count_include_pad, bool is_nchw);
// To yh x yw windows, from floor(i * xh / yh) to before ceil((i + 1) * xh / yh).
template <class T>
int adaptive_avg_pool2d(Context* ctx, const T* x, T* y, int64_t n, int64_t c, int64_t xh, int64_t xw, int64_t yh,
                        int64_t yw, bool is_nchw, const float* x_maxptr = nullptr, float* y_maxptr = nullptr);
template <class T>
int adaptive_avg_pool2d_grad(Context* ctx, const T* dy, T* dx, int64_t n, int64_t c, int64_t xh, int64_t xw, int64_t yh,
                             int64_t yw, bool is_nchw);
template <class T, class TID = int>
int adaptive_max_pool2d(Context* ctx, const T* x, T* y, TID* indices, int64_t n, int64_t c, int64_t xh, int64_t xw,
                        int64_t yh, int64_t yw, bool is_nchw, const float* x_maxptr = nullptr,
                        float* y_maxptr = nullptr);
template <class T, class TID = int>
int adaptive_max_pool2d_grad(Context* ctx, const T* x, const T* y, const TID* indices, const T* dy, T* dx, int64_t n,
                             int64_t c, int64_t xh, int64_t xw, int64_t yh, int64_t yw, bool is_nchw);
// trans_mode: 0 half pixels, 1 corners aligned, 2 asymmetric (i * xh / yh).
template <class T>
int interpolate2d(Context* ctx, const T* x, T* y, int64_t n, int64_t c, int64_t xh, int64_t xw, int64_t yh, int64_t yw,
                  bool is_nearest, int64_t trans_mode, bool is_nchw);
template <class T>
int interpolate2d_grad(Context* ctx, const T* dy, T* dx, int64_t n, int64_t c, int64_t xh, int64_t xw, int64_t yh,
                       int64_t yw, bool is_nearest, int64_t trans_mode, bool is_nchw);

// ---- dropout: mask is 1 where the element stays; is_upscale divides those by 1 - dropout_prob. The mask is Philox of
// seed and place.

template <class T>
int dropout(Context* ctx, const T* x, T* y, T* mask, unsigned int seed, int64_t len, bool is_upscale,
            float dropout_prob);
template <class T>
int dropout_grad(Context* ctx, const T* mask, const T* dy, T* dx, float dropout_prob, int64_t len);

// ---- losses, elementwise or by row; their gradients multiply by dy (one value for each of the loss)

template <class T>
int bce_loss(Context* ctx, const T* x, const T* label, T* y, int64_t len);
template <class T>
int bce_loss_grad(Context* ctx, const T* x, const T* label, const T* dy, T* dx, int64_t len);
template <class T>
int bce_with_logits_loss(Context* ctx, const T* x, const T* label, T* y, int64_t len);
template <class T>
int bce_with_logits_loss_grad(Context* ctx, const T* x, const T* label, const T* dy, T* dx, int64_t len);
// Of log-probabilities x: label * (log(label) - x), 0 where label <= 0.
template <class T>
int kldiv_loss(Context* ctx, const T* x, const T* label, T* y, int64_t len);
template <class T>
int kldiv_loss_grad(Context* ctx, const T* label, const T* dy, T* dx, int64_t len);
template <class T>
int l1_loss(Context* ctx, const T* x, const T* label, T* y, int64_t len);
template <class T>
int l1_loss_grad(Context* ctx, const T* x, const T* label, const T* dy, T* dx, int64_t len);
// reduction 0: each square; 1: their mean (dy then is one value).
template <class T>
int mse_loss(Context* ctx, const T* x, const T* label, T* y, int64_t len, int64_t reduction = 1);
template <class T>
int mse_loss_grad(Context* ctx, const T* x, const T* label, const T* dy, T* dx, int64_t len, int64_t reduction = 1);
// diff = y - x; out = diff^2 / 2 where |diff| <= delta, else delta * (|diff| - delta / 2). batch_size x pos_num
// elements. dx or dy may be null.
template <class T>
int huber_loss(Context* ctx, const T* x, const T* y, T* diff, T* out, int64_t batch_size, int64_t pos_num, float delta);
template <class T>
int huber_loss_grad(Context* ctx, const T* diff, const T* dout, T* dx, T* dy, int64_t batch_size, int64_t pos_num,
                    float delta);
// m rows of n logits; y[m]. Rows labelled ignore_index give 0. softmax (m x n) is written; the gradient is
// (softmax - label) * dy. softmax_switch must be false: the other form is not there.
template <class T, class TID>
int hard_softmax_with_cross_entropy(Context* ctx, const T* x, const TID* label, T* softmax, T* y, int64_t ignore_index,
                                    int64_t m, int64_t n);
template <class T, class TID>
int hard_softmax_with_cross_entropy_grad(Context* ctx, const T* dy, const TID* label, const T* softmax, T* dx,
                                         int64_t ignore_index, bool softmax_switch, int64_t m, int64_t n);
template <class T>
int soft_softmax_with_cross_entropy(Context* ctx, const T* x, const T* label, T* softmax, T* y, int64_t m, int64_t n);
template <class T>
int soft_softmax_with_cross_entropy_grad(Context* ctx, const T* dy, const T* label, const T* softmax, T* dx,
                                         bool softmax_switch, int64_t m, int64_t n);
// Of m rows of n probabilities: -log x[label].
template <class T, class TID>
int hard_cross_entropy(Context* ctx, const T* x, const TID* label, T* y, T* match_x, int64_t m, int64_t n,
                       int64_t ignore_index);
// Of rows of log-probabilities, x_shape {m, n}: reduction 0 y[m], 1 their weighted mean, 2 their sum. weight (n) may be
// null; total_weight (one) is written.
template <class T, class TID = int>
int nll_loss(Context* ctx, const T* x, T* y, T* total_weight, const std::vector<int64_t>& x_shape, const TID* target,
             const T* weight = nullptr, int64_t reduction = 1, int64_t ignore_index = -100);
template <class T, class TID = int>
int nll_loss_grad(Context* ctx, const T* dy, T* dx, const std::vector<int64_t>& x_shape, const TID* target,
                  const T* weight = nullptr, int64_t reduction = 1, int64_t ignore_index = -100,
                  const T* total_weight = nullptr);
// y = (1 - epsilon) * x + epsilon / label_dim, n elements.
template <class T>
int label_smooth(Context* ctx, const T* x, T* y, int64_t n, float epsilon, int64_t label_dim);

// ---- optimizer steps; n elements, outputs may be the inputs. lr, beta1_pow, beta2_pow are one float on the device.

template <class T>
int sgd(Context* ctx, const T* grad, const T* param, const float* lr, T* param_out, int64_t n);
// velocity = mu * velocity + grad + l2_weight_decay * param; param -= lr * velocity, with use_nesterov lr * (grad + mu
// * velocity).
template <class T>
int momentum(Context* ctx, const T* param, const T* velocity, const T* grad, T* param_out, T* velocity_out, int64_t len,
             const float* lr, int use_nesterov, float mu, float l2_weight_decay = 0.0f);
// m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; param -= lr sqrt(1 - beta2_pow) / (1 - beta1_pow) * m /
// (sqrt(v) + epsilon * sqrt(1 - beta2_pow)).
template <class T>
int adam(Context* ctx, const T* g, const float* mom1, const float* mom2, const T* param, const float* beta1_pow,
         const float* beta2_pow, const float* lr, float* mom1_out, float* mom2_out, T* param_out, float beta1,
         float beta2, float epsilon, int64_t n);
// First param *= 1 - lr * lr_ratio * coeff. The powers times beta go to the _out ones unless these are null.
template <class T>
int adamw(Context* ctx, const T* g, const float* mom1, const float* mom2, const T* param, const float* beta1_pow,
          const float* beta2_pow, const float* lr, float* mom1_out, float* mom2_out, T* param_out, float beta1,
          float beta2, float epsilon, float coeff, int64_t n, float lr_ratio = 1.0f, float* beta1_pow_out = nullptr,
          float* beta2_pow_out = nullptr);
// Adam's direction with weight decay, scaled by |param| / |direction|.
template <class T>
int lamb(Context* ctx, const T* g, const float* mom1, const float* mom2, const T* param, const float* beta1_pow,
         const float* beta2_pow, float* mom1_out, float* mom2_out, T* param_out, float* beta1_pow_out,
         float* beta2_pow_out, float beta1, float beta2, float epsilon, float weight_decay, const float* lr, int64_t n);
// ms = rho ms + (1 - rho) g^2; mom = momentum * mom + lr g / sqrt(ms + epsilon), with `centered` ms - mg^2 in its
// place; param -= mom.
template <class T>
int rmsprop(Context* ctx, const T* g, const T* p, const float* ms, const float* mom, T* p_out, float* ms_out,
            float* mom_out, float epsilon, float rho, float momentum, float lr, int64_t n, bool centered = false,
            const float* mg = nullptr, float* mg_out = nullptr);
template <class T>
int adagrad(Context* ctx, const T* param, const T* grad, const float* moment, const float* lr, T* param_out,
            float* moment_out, int64_t len, float epsilon = 1e-6f);
template <class T>
int adadelta(Context* ctx, const T* param, const T* g, const float* eg, const float* edx, T* param_out, float* eg_out,
             float* edx_out, int64_t len, float rho = 0.95f, float epsilon = 1e-6f);

// NOLINTEND(readability-identifier-naming)

}  // namespace baidu::xpu::api

#endif
