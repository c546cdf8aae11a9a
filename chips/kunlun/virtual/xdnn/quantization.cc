// Absolute maxima and fixed-point numbers, of xpu/refactor/math.h.
#include "chips/kunlun/virtual/xdnn/arithmetic.h"
#include "xpu/refactor/math.h"

namespace baidu::xpu::api {

using namespace detail;

template <class T>
int findmax(Context* ctx, const T* x, float* maxptr, int64_t len) {
  const int64_t maxima = ctx ? ctx->max_ptr_size() : 0;
  const auto run = [=](const T* x, float* maxptr) { write_maximum(x, len, maxptr, maxima); };
  return launch(ctx, "findmax", {.vector_ops = static_cast<double>(len)}, run, In<T>{x, len},
                Out<float>{maxptr, maxima});
}

template <class TX, class TY>
int quantization(Context* ctx, const TX* x, TY* y, int64_t len, const float* maxptr) {
  const int64_t maxima = ctx ? ctx->max_ptr_size() : 0;
  const auto run = [=](const TX* x, TY* y, const float* maxptr) {
    const double scale = scale_of<TY>(maxptr ? maximum_of(maxptr, maxima) : absolute_maximum(x, len));
    for (int64_t i = 0; i < len; ++i) {  // a given maximum may be too small
      y[i] = static_cast<TY>(std::clamp(operand<TY>(x[i], scale), -limit_of<TY>, limit_of<TY>));
    }
  };
  Work work{.vector_ops = 4 * static_cast<double>(len)};
  add_pass<TY, TX>(&work, maxptr, len);
  return launch(ctx, "quantization", work, run, In<TX>{x, len}, Out<TY>{y, len}, In<float>{maxptr, maxima, true});
}

#define XDNN_QUANTIZATION(T)                                                                \
  template int findmax<T>(Context*, const T*, float*, int64_t);                             \
  template int quantization<T, int8_t>(Context*, const T*, int8_t*, int64_t, const float*); \
  template int quantization<T, int16_t>(Context*, const T*, int16_t*, int64_t, const float*);
XDNN_FOR_FLOATS(XDNN_QUANTIZATION)

}  // namespace baidu::xpu::api
