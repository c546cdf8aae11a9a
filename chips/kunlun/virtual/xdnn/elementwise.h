// Elementwise operators as one line each: map, zip and their kind take the function of the elements.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
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

// Operators are many and their functions small: what is around a row of elements is compiled once for each pair of
// types.

// y[i] = f(x[i]), with the absolute maximum of y when it is wanted. row(x, y, count) does it for elements side by side.
template <class T, class TY>
int map_rows(Context* ctx, const char* op, const T* x, TY* y, int64_t len, double cost,
             std::function<void(const T* x, TY* y, int64_t count)> row, float* max_y) {
  const int64_t maxima = ctx ? ctx->max_ptr_size() : 0;
  const auto run = [=](const T* x, TY* y, float* max_y) {
    parallel(len, 8192, [&](int64_t begin, int64_t end) { row(x + begin, y + begin, end - begin); });
    if constexpr (is_float_type<TY>) write_maximum(y, len, max_y, maxima);
  };
  return launch(ctx, op, {.vector_ops = cost * static_cast<double>(len)}, run, In<T>{x, len}, Out<TY>{y, len},
                Out<float>{max_y, maxima, true});
}

template <class T, class TY, class F>
int map(Context* ctx, const char* op, const T* x, TY* y, int64_t len, double cost, F f, float* max_y = nullptr) {
  return map_rows<T, TY>(
      ctx, op, x, y, len, cost,
      [f](const T* x, TY* y, int64_t count) {
        for (int64_t i = 0; i < count; ++i) y[i] = TY(f(static_cast<Compute<T>>(x[i])));
      },
      max_y);
}

// z = f(x, y) with broadcasting. row(x, x_step, y, y_step, z, count) does it for elements of z side by side.
template <class T, class TZ>
int broadcast_rows(
    Context* ctx, const char* op, const T* x, const T* y, TZ* z, const std::vector<int64_t>& xshape,
    const std::vector<int64_t>& yshape, double cost,
    std::function<void(const T* x, int64_t x_step, const T* y, int64_t y_step, TZ* z, int64_t count)> row) {
  const int64_t x_count = count_of(xshape), y_count = count_of(yshape);
  std::vector<int64_t> zshape;
  XDNN_CHECK(x_count >= 0 && y_count >= 0, "shapes ", text(xshape), " and ", text(yshape), " are no shapes");
  XDNN_CHECK(broadcast_shape(xshape, yshape, &zshape), "shapes ", text(xshape), " and ", text(yshape),
             " do not broadcast to a common one");
  const int64_t z_count = count_of(zshape);
  XDNN_CHECK(z_count >= 0, "shapes ", text(xshape), " and ", text(yshape), " make a result that is too large");
  if (z_count == 0) return SUCCESS;
  Strides x_strides, y_strides;
  broadcast_strides(xshape, zshape, &x_strides);
  broadcast_strides(yshape, zshape, &y_strides);
  const Walk<3> walk(zshape, {x_strides, y_strides, dense_strides(zshape)});
  const auto run = [=](const T* x, const T* y, TZ* z) {
    walk([&](const auto& at, const auto& step, int64_t count) {
      row(x + at[0], step[0], y + at[1], step[1], z + at[2], count);
    });
  };
  return launch(ctx, op, {.vector_ops = cost * static_cast<double>(z_count)}, run, In<T>{x, x_count}, In<T>{y, y_count},
                Out<TZ>{z, z_count});
}

template <class T, class TZ, class F>
int broadcast_zip(Context* ctx, const char* op, const T* x, const T* y, TZ* z, const std::vector<int64_t>& xshape,
                  const std::vector<int64_t>& yshape, double cost, F f) {
  return broadcast_rows<T, TZ>(ctx, op, x, y, z, xshape, yshape, cost,
                               [f](const T* x, int64_t x_step, const T* y, int64_t y_step, TZ* z, int64_t count) {
                                 using C = Compute<T>;
                                 if (x_step == 1 && y_step == 1) {
                                   for (int64_t i = 0; i < count; ++i)
                                     z[i] = TZ(f(static_cast<C>(x[i]), static_cast<C>(y[i])));
                                 } else {
                                   for (int64_t i = 0; i < count; ++i) {
                                     z[i] = TZ(f(static_cast<C>(x[i * x_step]), static_cast<C>(y[i * y_step])));
                                   }
                                 }
                               });
}

// ---- functions of elements that several operators share

// Of a large negative x it is e^x, which 1 / (1 + e^-x) would lose.
inline float sigmoid_of(float x) {
  const float e = std::exp(-std::fabs(x));
  return x < 0 ? e / (1 + e) : 1 / (1 + e);
}

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
