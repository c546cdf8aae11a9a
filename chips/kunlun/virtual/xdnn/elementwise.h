// Elementwise operators as one line each: map, zip and their kind take the function of the elements.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "chips/kunlun/virtual/xdnn/arithmetic.h"
#include "chips/kunlun/virtual/xdnn/launch.h"
#include "chips/kunlun/virtual/xdnn/walk.h"

namespace baidu::xpu::api::detail {

// What numbers of a type are computed in.
template <class T>
using Compute = std::conditional_t<is_float_type<T>, float, T>;

// Lane instructions an element takes.
constexpr double kCheap = 1, kDivision = 8, kFunction = 20;

// y[i] = f(x[i]), with the absolute maximum of y when it is wanted.
template <class T, class TY, class F>
int map(Context* ctx, const char* op, const T* x, TY* y, int64_t len, double cost, F f, float* max_y = nullptr) {
  const int64_t maxima = ctx ? ctx->max_ptr_size() : 0;
  const auto run = [=](const T* x, TY* y, float* max_y) {
    parallel(len, 8192, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) y[i] = TY(f(static_cast<Compute<T>>(x[i])));
    });
    if constexpr (is_float_type<TY>) write_maximum(y, len, max_y, maxima);
  };
  return launch(ctx, op, {.vector_ops = cost * static_cast<double>(len)}, run, In<T>{x, len}, Out<TY>{y, len},
                Out<float>{max_y, maxima, true});
}

// z[i] = f(x[i], y[i]).
template <class T, class TZ, class F>
int zip(Context* ctx, const char* op, const T* x, const T* y, TZ* z, int64_t len, double cost, F f) {
  const auto run = [=](const T* x, const T* y, TZ* z) {
    parallel(len, 8192, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) z[i] = TZ(f(static_cast<Compute<T>>(x[i]), static_cast<Compute<T>>(y[i])));
    });
  };
  return launch(ctx, op, {.vector_ops = cost * static_cast<double>(len)}, run, In<T>{x, len}, In<T>{y, len},
                Out<TZ>{z, len});
}

// w[i] = f(x[i], y[i], z[i]).
template <class T, class F>
int zip3(Context* ctx, const char* op, const T* x, const T* y, const T* z, T* w, int64_t len, double cost, F f) {
  const auto run = [=](const T* x, const T* y, const T* z, T* w) {
    parallel(len, 8192, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        w[i] = T(f(static_cast<Compute<T>>(x[i]), static_cast<Compute<T>>(y[i]), static_cast<Compute<T>>(z[i])));
      }
    });
  };
  return launch(ctx, op, {.vector_ops = cost * static_cast<double>(len)}, run, In<T>{x, len}, In<T>{y, len},
                In<T>{z, len}, Out<T>{w, len});
}

// z = f(x, y) with broadcasting.
template <class T, class TZ, class F>
int broadcast_zip(Context* ctx, const char* op, const T* x, const T* y, TZ* z, const std::vector<int64_t>& xshape,
                  const std::vector<int64_t>& yshape, double cost, F f) {
  const int64_t x_count = count_of(xshape), y_count = count_of(yshape);
  std::vector<int64_t> zshape;
  XDNN_CHECK(x_count >= 0 && y_count >= 0, "shapes ", text(xshape), " and ", text(yshape), " are no shapes");
  XDNN_CHECK(broadcast_shape(xshape, yshape, &zshape), "shapes ", text(xshape), " and ", text(yshape),
             " do not broadcast to a common one");
  const int64_t z_count = count_of(zshape);
  XDNN_CHECK(z_count >= 0, "shapes ", text(xshape), " and ", text(yshape), " make a result that is too large");
  Strides x_strides, y_strides;
  broadcast_strides(xshape, zshape, &x_strides);
  broadcast_strides(yshape, zshape, &y_strides);
  const Walk<3> walk(zshape, {x_strides, y_strides, dense_strides(zshape)});
  const auto run = [=](const T* x, const T* y, TZ* z) {
    walk([&](const auto& at, const auto& step, int64_t count) {
      const T *a = x + at[0], *b = y + at[1];
      TZ* c = z + at[2];
      const int64_t a_step = step[0], b_step = step[1];
      if (a_step == 1 && b_step == 1) {
        for (int64_t i = 0; i < count; ++i) c[i] = TZ(f(static_cast<Compute<T>>(a[i]), static_cast<Compute<T>>(b[i])));
      } else {
        for (int64_t i = 0; i < count; ++i) {
          c[i] = TZ(f(static_cast<Compute<T>>(a[i * a_step]), static_cast<Compute<T>>(b[i * b_step])));
        }
      }
    });
  };
  if (z_count == 0) return launch(ctx, op, {}, run, In<T>{x, 0}, In<T>{y, 0}, Out<TZ>{z, 0});
  return launch(ctx, op, {.vector_ops = cost * static_cast<double>(z_count)}, run, In<T>{x, x_count}, In<T>{y, y_count},
                Out<TZ>{z, z_count});
}

// ---- functions of elements that several operators share

// Of a large negative x it is e^x, which 1 / (1 + e^-x) would lose.
inline float sigmoid_of(float x) {
  const float e = std::exp(-std::fabs(x));
  return x < 0 ? e / (1 + e) : 1 / (1 + e);
}
inline float softplus_of(float x) { return x > 20 ? x : std::log1p(std::exp(x)); }  // log(1 + e^x)

template <class C>
C larger(C x, C y) {
  if constexpr (std::is_floating_point_v<C>) {
    if (x != x) return x;
  }
  return x > y || x == y ? x : y;
}
template <class C>
C smaller(C x, C y) {
  if constexpr (std::is_floating_point_v<C>) {
    if (x != x) return x;
  }
  return x < y || x == y ? x : y;
}

// Integers wrap; these do so without undefined behaviour.
template <class C>
C wrapping(auto f, C x, C y) {
  if constexpr (std::is_integral_v<C>) {
    using U = std::make_unsigned_t<decltype(x + y)>;
    return static_cast<C>(f(static_cast<U>(x), static_cast<U>(y)));
  } else {
    return f(x, y);
  }
}
template <class C>
C sum_of(C x, C y) {
  return wrapping<C>([](auto a, auto b) { return a + b; }, x, y);
}
template <class C>
C difference_of(C x, C y) {
  return wrapping<C>([](auto a, auto b) { return a - b; }, x, y);
}
template <class C>
C product_of(C x, C y) {
  return wrapping<C>([](auto a, auto b) { return a * b; }, x, y);
}

// To an integer type: cuts off, the nearest value where it does not fit, 0 for NaN.
template <class TY, class C>
TY converted(C x) {
  if constexpr (std::is_same_v<TY, bool>) {
    return x != C(0);
  } else if constexpr (std::is_integral_v<TY> && std::is_floating_point_v<C>) {
    constexpr auto kLeast = std::numeric_limits<TY>::min(), kGreatest = std::numeric_limits<TY>::max();
    if (x != x) return 0;
    if (x <= static_cast<C>(kLeast)) return kLeast;
    return x >= static_cast<C>(kGreatest) ? kGreatest : static_cast<TY>(x);
  } else if constexpr (std::is_same_v<TY, float16> || std::is_same_v<TY, bfloat16>) {
    return TY(static_cast<float>(x));
  } else {
    return static_cast<TY>(x);
  }
}

}  // namespace baidu::xpu::api::detail
