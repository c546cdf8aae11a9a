// Activations, of xpu/refactor/nn.h.
#include <algorithm>

#include "chips/kunlun/virtual/xdnn/elementwise.h"
#include "xpu/refactor/nn.h"

namespace baidu::xpu::api {

using namespace detail;

namespace {

// NaN stays NaN.
float clipped(float v, float low, float high) { return smaller(larger(v, low), high); }

// tanh(log(1 + e^v)) without the cancellation of small results: with u = e^v it is (u^2 + 2u) / (u^2 + 2u + 2).
float tanh_of_softplus(float v) {
  const float u = std::exp(v), t = u * (u + 2);
  return t / (t + 2);
}

float approximate_gelu_of(float v) {
  // (1 + tanh z) / 2 is the logistic function of 2z, which keeps small results exact.
  constexpr float kTwiceRootOfTwoOverPi = 1.5957691216f;
  return v / (1 + std::exp(-kTwiceRootOfTwoOverPi * (v + 0.044715f * v * v * v)));
}

}  // namespace

#define XDNN_ACTIVATION(name, cost, expression)                                                      \
  template <class T>                                                                                 \
  int name(Context* ctx, const T* x, T* y, int64_t len, const float*, float* max_y) {                \
    return map<T, T>(                                                                                \
        ctx, #name, x, y, len, cost, [](float v) { return static_cast<float>(expression); }, max_y); \
  }
XDNN_ACTIVATION(relu, kCheap, larger(v, 0.0f))
XDNN_ACTIVATION(relu6, kCheap, clipped(v, 0, 6))
XDNN_ACTIVATION(sigmoid, kFunction, sigmoid_of(v))
XDNN_ACTIVATION(log_sigmoid, kFunction, smaller(v, 0.0f) - std::log1p(std::exp(-std::fabs(v))))
XDNN_ACTIVATION(tanh, kFunction, std::tanh(v))
XDNN_ACTIVATION(gelu, kFunction, 0.5f * v * std::erfc(v * -0.70710678118f))
XDNN_ACTIVATION(approximate_gelu, kFunction, approximate_gelu_of(v))
XDNN_ACTIVATION(quick_gelu, kFunction, v* sigmoid_of(1.702f * v))
XDNN_ACTIVATION(swish, kFunction, v* sigmoid_of(v))
XDNN_ACTIVATION(hard_swish, kCheap, v* clipped(v + 3, 0, 6) / 6)
XDNN_ACTIVATION(softsign, kDivision, v / (1 + std::fabs(v)))
XDNN_ACTIVATION(tanh_shrink, kFunction, v - std::tanh(v))
#undef XDNN_ACTIVATION

template <class T>
int leaky_relu(Context* ctx, const T* x, T* y, int64_t len, float alpha, const float*, float* max_y) {
  return map<T, T>(
      ctx, "leaky_relu", x, y, len, kCheap, [=](float v) { return v > 0 ? v : alpha * v; }, max_y);
}

template <class T>
int elu(Context* ctx, const T* x, T* y, int64_t len, float alpha, const float*, float* max_y) {
  return map<T, T>(
      ctx, "elu", x, y, len, kFunction, [=](float v) { return v > 0 ? v : alpha * std::expm1(v); }, max_y);
}

template <class T>
int mish(Context* ctx, const T* x, T* y, int64_t len, float threshold, const float*, float* max_y) {
  const auto f = [=](float v) { return v * (v > threshold ? std::tanh(v) : tanh_of_softplus(v)); };
  return map<T, T>(ctx, "mish", x, y, len, kFunction, f, max_y);
}

template <class T>
int selu(Context* ctx, const T* x, T* y, int64_t len, float scale, float alpha, const float*, float* max_y) {
  return map<T, T>(
      ctx, "selu", x, y, len, kFunction, [=](float v) { return scale * (v > 0 ? v : alpha * std::expm1(v)); }, max_y);
}

#define XDNN_ONE(name, T) template int name<T>(Context*, const T*, T*, int64_t, const float*, float*)
#define XDNN_ACTIVATIONS(T)                                                                 \
  XDNN_ONE(relu, T);                                                                        \
  XDNN_ONE(relu6, T);                                                                       \
  XDNN_ONE(sigmoid, T);                                                                     \
  XDNN_ONE(log_sigmoid, T);                                                                 \
  XDNN_ONE(tanh, T);                                                                        \
  XDNN_ONE(gelu, T);                                                                        \
  XDNN_ONE(approximate_gelu, T);                                                            \
  XDNN_ONE(quick_gelu, T);                                                                  \
  XDNN_ONE(swish, T);                                                                       \
  XDNN_ONE(hard_swish, T);                                                                  \
  XDNN_ONE(softsign, T);                                                                    \
  XDNN_ONE(tanh_shrink, T);                                                                 \
  template int mish<T>(Context*, const T*, T*, int64_t, float, const float*, float*);       \
  template int leaky_relu<T>(Context*, const T*, T*, int64_t, float, const float*, float*); \
  template int elu<T>(Context*, const T*, T*, int64_t, float, const float*, float*);        \
  template int selu<T>(Context*, const T*, T*, int64_t, float, float, const float*, float*);
XDNN_FOR_FLOATS(XDNN_ACTIVATIONS)

}  // namespace baidu::xpu::api
