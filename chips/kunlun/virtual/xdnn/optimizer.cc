// Optimizer steps, of xpu/refactor/nn.h. Outputs may be the inputs: each element is read before it is written.
#include <cmath>

#include "chips/kunlun/virtual/xdnn/elementwise.h"
#include "xpu/refactor/nn.h"

namespace baidu::xpu::api {

using namespace detail;

template <class T>
int sgd(Context* ctx, const T* grad, const T* param, const float* lr, T* param_out, int64_t n) {
  const auto run = [=](const T* grad, const T* param, const float* lr, T* out) {
    for (int64_t i = 0; i < n; ++i) out[i] = T(static_cast<float>(param[i]) - *lr * static_cast<float>(grad[i]));
  };
  return launch(ctx, "sgd", {.vector_ops = 2 * static_cast<double>(n)}, run, In<T>{grad, n}, In<T>{param, n},
                In<float>{lr, 1}, Out<T>{param_out, n});
}

template <class T>
int momentum(Context* ctx, const T* param, const T* velocity, const T* grad, T* param_out, T* velocity_out, int64_t len,
             const float* lr, int use_nesterov, float mu, float l2_weight_decay) {
  const auto run = [=](const T* param, const T* velocity, const T* grad, T* param_out, T* velocity_out,
                       const float* lr) {
    for (int64_t i = 0; i < len; ++i) {
      const auto p = static_cast<float>(param[i]);
      const float g = static_cast<float>(grad[i]) + l2_weight_decay * p;
      const float v = mu * static_cast<float>(velocity[i]) + g;
      velocity_out[i] = T(v);
      param_out[i] = T(p - *lr * (use_nesterov ? g + mu * v : v));
    }
  };
  return launch(ctx, "momentum", {.vector_ops = 6 * static_cast<double>(len)}, run, In<T>{param, len},
                In<T>{velocity, len}, In<T>{grad, len}, Out<T>{param_out, len}, Out<T>{velocity_out, len},
                In<float>{lr, 1});
}

namespace {

// Adam, and AdamW with a decay of `shrink` = lr_ratio * coeff.
template <class T>
int adam_step(Context* ctx, const char* op, const T* g, const float* mom1, const float* mom2, const T* param,
              const float* beta1_pow, const float* beta2_pow, const float* lr, float* mom1_out, float* mom2_out,
              T* param_out, float beta1, float beta2, float epsilon, float lr_ratio, float coeff, int64_t n) {
  const auto run = [=](const T* g, const float* mom1, const float* mom2, const T* param, const float* beta1_pow,
                       const float* beta2_pow, const float* lr, float* mom1_out, float* mom2_out, T* param_out) {
    const float rate = *lr * lr_ratio, root = std::sqrt(1 - *beta2_pow), step = rate * root / (1 - *beta1_pow);
    for (int64_t i = 0; i < n; ++i) {
      const auto gradient = static_cast<float>(g[i]);
      const float m = beta1 * mom1[i] + (1 - beta1) * gradient;
      const float v = beta2 * mom2[i] + (1 - beta2) * gradient * gradient;
      const float p = static_cast<float>(param[i]) * (1 - rate * coeff);
      mom1_out[i] = m;
      mom2_out[i] = v;
      param_out[i] = T(p - step * m / (std::sqrt(v) + epsilon * root));
    }
  };
  return launch(ctx, op, {.vector_ops = 24 * static_cast<double>(n)}, run, In<T>{g, n}, In<float>{mom1, n},
                In<float>{mom2, n}, In<T>{param, n}, In<float>{beta1_pow, 1}, In<float>{beta2_pow, 1}, In<float>{lr, 1},
                Out<float>{mom1_out, n}, Out<float>{mom2_out, n}, Out<T>{param_out, n});
}

}  // namespace

template <class T>
int adam(Context* ctx, const T* g, const float* mom1, const float* mom2, const T* param, const float* beta1_pow,
         const float* beta2_pow, const float* lr, float* mom1_out, float* mom2_out, T* param_out, float beta1,
         float beta2, float epsilon, int64_t n) {
  return adam_step(ctx, "adam", g, mom1, mom2, param, beta1_pow, beta2_pow, lr, mom1_out, mom2_out, param_out, beta1,
                   beta2, epsilon, 1, 0, n);
}

template <class T>
int adamw(Context* ctx, const T* g, const float* mom1, const float* mom2, const T* param, const float* beta1_pow,
          const float* beta2_pow, const float* lr, float* mom1_out, float* mom2_out, T* param_out, float beta1,
          float beta2, float epsilon, float coeff, int64_t n, float lr_ratio) {
  return adam_step(ctx, "adamw", g, mom1, mom2, param, beta1_pow, beta2_pow, lr, mom1_out, mom2_out, param_out, beta1,
                   beta2, epsilon, lr_ratio, coeff, n);
}

#define XDNN_OPTIMIZERS(T)                                                                                            \
  template int sgd<T>(Context*, const T*, const T*, const float*, T*, int64_t);                                       \
  template int momentum<T>(Context*, const T*, const T*, const T*, T*, T*, int64_t, const float*, int, float, float); \
  template int adam<T>(Context*, const T*, const float*, const float*, const T*, const float*, const float*,          \
                       const float*, float*, float*, T*, float, float, float, int64_t);                               \
  template int adamw<T>(Context*, const T*, const float*, const float*, const T*, const float*, const float*,         \
                        const float*, float*, float*, T*, float, float, float, float, int64_t, float);
XDNN_FOR_FLOATS(XDNN_OPTIMIZERS)

}  // namespace baidu::xpu::api
