// Optimizer steps, of xpu/refactor/nn.h. Outputs may be the inputs: each element is read before it is written.
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

#define XDNN_OPTIMIZERS(T)                                                      \
  template int sgd<T>(Context*, const T*, const T*, const float*, T*, int64_t); \
  template int momentum<T>(Context*, const T*, const T*, const T*, T*, T*, int64_t, const float*, int, float, float);
XDNN_FOR_FLOATS(XDNN_OPTIMIZERS)

}  // namespace baidu::xpu::api
