// Elementwise operators with one input, of xpu/refactor/math.h.
#include <algorithm>

#include "chips/kunlun/virtual/xdnn/elementwise.h"
#include "xpu/refactor/math.h"

namespace baidu::xpu::api {

using namespace detail;

#define XDNN_UNARY(name, cost, expression)                                                  \
  template <class T>                                                                        \
  int name(Context* ctx, const T* x, T* y, int64_t len) {                                   \
    return map<T, T>(ctx, #name, x, y, len, cost, [](Compute<T> v) { return expression; }); \
  }
XDNN_UNARY(exp, kFunction, std::exp(v))
XDNN_UNARY(exp2, kFunction, std::exp2(v))
XDNN_UNARY(expm1, kFunction, std::expm1(v))
XDNN_UNARY(log, kFunction, std::log(v))
XDNN_UNARY(log2, kFunction, std::log2(v))
XDNN_UNARY(log10, kFunction, std::log10(v))
XDNN_UNARY(log1p, kFunction, std::log1p(v))
XDNN_UNARY(sqrt, kDivision, std::sqrt(v))
XDNN_UNARY(rsqrt, kDivision, 1 / std::sqrt(v))
XDNN_UNARY(cbrt, kFunction, std::cbrt(v))
XDNN_UNARY(reciprocal, kDivision, 1 / v)
XDNN_UNARY(erf, kFunction, std::erf(v))
XDNN_UNARY(floor, kCheap, std::floor(v))
XDNN_UNARY(ceil, kCheap, std::ceil(v))
XDNN_UNARY(trunc, kCheap, std::trunc(v))
XDNN_UNARY(round_half_even, kCheap, std::nearbyint(v))
XDNN_UNARY(sin, kFunction, std::sin(v))
XDNN_UNARY(cos, kFunction, std::cos(v))
XDNN_UNARY(tan, kFunction, std::tan(v))
XDNN_UNARY(arcsin, kFunction, std::asin(v))
XDNN_UNARY(arccos, kFunction, std::acos(v))
XDNN_UNARY(arctan, kFunction, std::atan(v))
XDNN_UNARY(sinh, kFunction, std::sinh(v))
XDNN_UNARY(cosh, kFunction, std::cosh(v))
XDNN_UNARY(asinh, kFunction, std::asinh(v))
XDNN_UNARY(acosh, kFunction, std::acosh(v))
XDNN_UNARY(atanh, kFunction, std::atanh(v))
XDNN_UNARY(neg, kCheap, difference_of<Compute<T>>(Compute<T>(is_float_type<T> ? -0.0f : 0.0f), v))
XDNN_UNARY(abs, kCheap, v < Compute<T>(0) ? difference_of<Compute<T>>(0, v) : v == Compute<T>(0) ? Compute<T>(0) : v)
XDNN_UNARY(sign, kCheap, v > Compute<T>(0) ? Compute<T>(1) : v < Compute<T>(0) ? Compute<T>(-1) : v)
XDNN_UNARY(square, kCheap, product_of<Compute<T>>(v, v))
XDNN_UNARY(logical_not, kCheap, !v)
#undef XDNN_UNARY

template <class T>
int bitwise_not(Context* ctx, const T* x, T* y, int64_t len) {
  return map<T, T>(ctx, "bitwise_not", x, y, len, kCheap, [](T v) {
    if constexpr (std::is_same_v<T, bool>) return !v;
    else return static_cast<T>(~v);
  });
}

template <class T>
int round(Context* ctx, const T* x, T* y, int64_t len, int64_t decimals) {
  const float factor = static_cast<float>(std::pow(10.0, static_cast<double>(decimals)));
  return map<T, T>(ctx, "round", x, y, len, kDivision, [=](float v) { return std::round(v * factor) / factor; });
}

template <class T>
int scale(Context* ctx, const T* x, T* y, int64_t len, bool bias_after_scale, float scale, float bias) {
  return map<T, T>(ctx, "scale", x, y, len, kCheap, [=](Compute<T> v) {
    if constexpr (is_float_type<T>) {
      return bias_after_scale ? v * scale + bias : (v + bias) * scale;
    } else {
      const double value = static_cast<double>(v);
      return converted<T>(bias_after_scale ? value * scale + bias : (value + bias) * scale);
    }
  });
}

template <class T>
int clip(Context* ctx, const T* x, T* y, int64_t len, T min, T max) {
  using C = Compute<T>;
  const C low = static_cast<C>(min), high = static_cast<C>(max);
  return map<T, T>(ctx, "clip", x, y, len, kCheap, [=](C v) { return smaller<C>(larger<C>(v, low), high); });
}
template <class T>
int pow(Context* ctx, const T* x, T* y, int64_t len, float exponent) {
  return map<T, T>(ctx, "pow", x, y, len, 2 * kFunction, [=](float v) { return std::pow(v, exponent); });
}
template <class T>
int isnan(Context* ctx, const T* x, bool* y, int64_t len) {
  return map<T, bool>(ctx, "isnan", x, y, len, kCheap, [](float v) { return v != v; });
}
template <class T>
int isinf(Context* ctx, const T* x, bool* y, int64_t len) {
  return map<T, bool>(ctx, "isinf", x, y, len, kCheap, [](float v) { return std::isinf(v); });
}
template <class T>
int isfinite(Context* ctx, const T* x, bool* y, int64_t len) {
  return map<T, bool>(ctx, "isfinite", x, y, len, kCheap, [](float v) { return std::isfinite(v); });
}

template <class TX, class TY>
int cast(Context* ctx, const TX* x, TY* y, int64_t len) {
  return map<TX, TY>(ctx, "cast", x, y, len, kCheap, [](Compute<TX> v) { return converted<TY>(v); });
}

template <class T>
int copy(Context* ctx, const T* x, T* y, int64_t len) {
  return launch(
      ctx, "copy", {}, [=](const T* x, T* y) { std::copy_n(x, len, y); }, In<T>{x, len}, Out<T>{y, len});
}
template <class T>
int constant(Context* ctx, T* x, int64_t len, T value) {
  return launch(
      ctx, "constant", {}, [=](T* x) { std::fill_n(x, len, value); }, Out<T>{x, len});
}
template <class T>
int range(Context* ctx, T* y, T begin, T step, int64_t len) {
  const auto run = [=](T* y) {
    for (int64_t i = 0; i < len; ++i) {
      if constexpr (is_float_type<T>) {
        y[i] = T(static_cast<float>(begin) + static_cast<float>(i) * static_cast<float>(step));
      } else {
        y[i] = sum_of<T>(begin, product_of<T>(static_cast<T>(i), step));
      }
    }
  };
  return launch(ctx, "range", {.vector_ops = static_cast<double>(len)}, run, Out<T>{y, len});
}
template <class T>
int linspace(Context* ctx, T* y, T start, T stop, int64_t num) {
  const auto run = [=](T* y) {
    const double first = static_cast<double>(start), last = static_cast<double>(stop);
    const double step = num > 1 ? (last - first) / static_cast<double>(num - 1) : 0;
    for (int64_t i = 0; i < num; ++i) {
      y[i] = converted<T>(2 * i < num ? first + step * static_cast<double>(i)
                                      : last - step * static_cast<double>(num - 1 - i));
    }
    if (num == 1) y[0] = start;
  };
  return launch(ctx, "linspace", {.vector_ops = static_cast<double>(num)}, run, Out<T>{y, num});
}

template <class T>
int sum(Context* ctx, const std::vector<const T*>& x_list, T* y, int64_t len) {
  const char* op = "sum";
  XDNN_CHECK(!x_list.empty(), "there is nothing to add");
  const auto run = [=](const std::vector<const T*>& list, T* y) {
    for (int64_t i = 0; i < len; ++i) {
      Compute<T> total = static_cast<Compute<T>>(list[0][i]);
      for (size_t j = 1; j < list.size(); ++j) total = sum_of<Compute<T>>(total, static_cast<Compute<T>>(list[j][i]));
      y[i] = T(total);
    }
  };
  const Many<const T> inputs{x_list, std::vector<int64_t>(x_list.size(), len)};
  return launch(ctx, op, {.vector_ops = static_cast<double>(len) * static_cast<double>(x_list.size())}, run, inputs,
                Out<T>{y, len});
}

template <class T>
int addcmul(Context* ctx, const T* w, const T* x, const T* y, T* z, float scalar, int64_t len) {
  return zip3<T>(ctx, "addcmul", w, x, y, z, len, 2 * kCheap,
                 [=](float a, float b, float c) { return a + scalar * b * c; });
}
template <class T>
int addcdiv(Context* ctx, const T* w, const T* x, const T* y, T* z, float scalar, int64_t len) {
  return zip3<T>(ctx, "addcdiv", w, x, y, z, len, kDivision,
                 [=](float a, float b, float c) { return a + scalar * b / c; });
}

// ---- instantiations

#define XDNN_ONE(name, T) template int name<T>(Context*, const T*, T*, int64_t)
#define XDNN_FLOATS(T)                                                                 \
  XDNN_ONE(exp, T);                                                                    \
  XDNN_ONE(exp2, T);                                                                   \
  XDNN_ONE(expm1, T);                                                                  \
  XDNN_ONE(log, T);                                                                    \
  XDNN_ONE(log2, T);                                                                   \
  XDNN_ONE(log10, T);                                                                  \
  XDNN_ONE(log1p, T);                                                                  \
  XDNN_ONE(sqrt, T);                                                                   \
  XDNN_ONE(rsqrt, T);                                                                  \
  XDNN_ONE(cbrt, T);                                                                   \
  XDNN_ONE(reciprocal, T);                                                             \
  XDNN_ONE(erf, T);                                                                    \
  XDNN_ONE(floor, T);                                                                  \
  XDNN_ONE(ceil, T);                                                                   \
  XDNN_ONE(trunc, T);                                                                  \
  XDNN_ONE(round_half_even, T);                                                        \
  XDNN_ONE(sin, T);                                                                    \
  XDNN_ONE(cos, T);                                                                    \
  XDNN_ONE(tan, T);                                                                    \
  XDNN_ONE(arcsin, T);                                                                 \
  XDNN_ONE(arccos, T);                                                                 \
  XDNN_ONE(arctan, T);                                                                 \
  XDNN_ONE(sinh, T);                                                                   \
  XDNN_ONE(cosh, T);                                                                   \
  XDNN_ONE(asinh, T);                                                                  \
  XDNN_ONE(acosh, T);                                                                  \
  XDNN_ONE(atanh, T);                                                                  \
  template int round<T>(Context*, const T*, T*, int64_t, int64_t);                     \
  template int pow<T>(Context*, const T*, T*, int64_t, float);                         \
  template int isnan<T>(Context*, const T*, bool*, int64_t);                           \
  template int isinf<T>(Context*, const T*, bool*, int64_t);                           \
  template int isfinite<T>(Context*, const T*, bool*, int64_t);                        \
  template int addcmul<T>(Context*, const T*, const T*, const T*, T*, float, int64_t); \
  template int addcdiv<T>(Context*, const T*, const T*, const T*, T*, float, int64_t);
XDNN_FOR_FLOATS(XDNN_FLOATS)

#define XDNN_NUMBERS(T)                                                       \
  XDNN_ONE(abs, T);                                                           \
  XDNN_ONE(neg, T);                                                           \
  XDNN_ONE(sign, T);                                                          \
  XDNN_ONE(square, T);                                                        \
  template int scale<T>(Context*, const T*, T*, int64_t, bool, float, float); \
  template int clip<T>(Context*, const T*, T*, int64_t, T, T);                \
  template int range<T>(Context*, T*, T, T, int64_t);                         \
  template int linspace<T>(Context*, T*, T, T, int64_t);                      \
  template int sum<T>(Context*, const std::vector<const T*>&, T*, int64_t);
XDNN_FOR_NUMBERS(XDNN_NUMBERS)

#define XDNN_NOT(T) XDNN_ONE(bitwise_not, T);
XDNN_FOR_INTEGERS(XDNN_NOT)
XDNN_NOT(bool)
XDNN_ONE(logical_not, bool);

#define XDNN_CASTS(TX)                                                      \
  template int cast<TX, float>(Context*, const TX*, float*, int64_t);       \
  template int cast<TX, float16>(Context*, const TX*, float16*, int64_t);   \
  template int cast<TX, bfloat16>(Context*, const TX*, bfloat16*, int64_t); \
  template int cast<TX, double>(Context*, const TX*, double*, int64_t);     \
  template int cast<TX, int>(Context*, const TX*, int*, int64_t);           \
  template int cast<TX, int64_t>(Context*, const TX*, int64_t*, int64_t);   \
  template int cast<TX, int16_t>(Context*, const TX*, int16_t*, int64_t);   \
  template int cast<TX, int8_t>(Context*, const TX*, int8_t*, int64_t);     \
  template int cast<TX, uint8_t>(Context*, const TX*, uint8_t*, int64_t);   \
  template int cast<TX, bool>(Context*, const TX*, bool*, int64_t);         \
  template int copy<TX>(Context*, const TX*, TX*, int64_t);                 \
  template int constant<TX>(Context*, TX*, int64_t, TX);
XDNN_FOR_ALL(XDNN_CASTS)

}  // namespace baidu::xpu::api
