// Elementwise operators with two inputs, of xpu/refactor/math.h.
#include <algorithm>

#include "chips/kunlun/virtual/xdnn/elementwise.h"
#include "xpu/refactor/math.h"

namespace baidu::xpu::api {

using namespace detail;

namespace {

template <class C>
C quotient(C x, C y) {
  if constexpr (std::is_integral_v<C>) {
    if (y == 0) return 0;
    return y == C(-1) ? difference_of<C>(0, x) : static_cast<C>(x / y);
  } else {
    return x / y;
  }
}

template <class C>
C floored_quotient(C x, C y) {
  if constexpr (std::is_integral_v<C>) {
    const C cut = quotient(x, y);
    return y != 0 && y != C(-1) && x % y != 0 && (x < 0) != (y < 0) ? cut - 1 : cut;
  } else {
    return std::floor(x / y);
  }
}

template <class C>
C cut_remainder(C x, C y) {
  if constexpr (std::is_integral_v<C>) {
    return y == 0 || y == C(-1) ? 0 : x % y;
  } else {
    return std::fmod(x, y);
  }
}

template <class C>
C floored_remainder(C x, C y) {
  const C rest = cut_remainder(x, y);
  return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}

template <class C>
C power(C x, C y) {
  if constexpr (std::is_integral_v<C>) {
    if (y < 0) return x == 1 ? 1 : x == C(-1) ? (y % 2 == 0 ? 1 : -1) : 0;
    C result = 1;
    for (C base = x; y > 0; y /= 2) {
      if (y % 2 != 0) result = product_of<C>(result, base);
      base = product_of<C>(base, base);
    }
    return result;
  } else {
    return std::pow(x, y);
  }
}

template <class T>
T shifted(T x, T count, bool left, bool arithmetic) {
  using U = std::make_unsigned_t<T>;
  constexpr int kBits = static_cast<int>(8 * sizeof(T));
  const bool out = count < T(0) || static_cast<U>(count) >= static_cast<U>(kBits);
  if (left) return out ? T(0) : static_cast<T>(static_cast<U>(x) << count);
  if (arithmetic) return static_cast<T>(x >> (out ? kBits - 1 : static_cast<int>(count)));
  return out ? T(0) : static_cast<T>(static_cast<U>(x) >> count);
}

}  // namespace

// Both forms of an operator; a and b are the elements.
#define XDNN_BINARY(name, TZ, cost, expression)                                                                 \
  template <class T>                                                                                            \
  int broadcast_##name(Context* ctx, const T* x, const T* y, TZ* z, const Shape& xshape, const Shape& yshape) { \
    using C = Compute<T>;                                                                                       \
    return broadcast_zip<T, TZ>(ctx, "broadcast_" #name, x, y, z, xshape, yshape, cost,                         \
                                [](C a, C b) { return expression; });                                           \
  }                                                                                                             \
  template <class T>                                                                                            \
  int name(Context* ctx, const T* x, const T* y, TZ* z, int64_t len) {                                          \
    return broadcast_##name<T>(ctx, x, y, z, {len}, {len});                                                     \
  }
XDNN_BINARY(add, T, kCheap, sum_of<C>(a, b))
XDNN_BINARY(sub, T, kCheap, difference_of<C>(a, b))
XDNN_BINARY(mul, T, kCheap, product_of<C>(a, b))
XDNN_BINARY(div, T, kDivision, quotient<C>(a, b))
XDNN_BINARY(max, T, kCheap, larger<C>(a, b))
XDNN_BINARY(min, T, kCheap, smaller<C>(a, b))
XDNN_BINARY(pow, T, 2 * kFunction, power<C>(a, b))
XDNN_BINARY(mod, T, kDivision, floored_remainder<C>(a, b))
XDNN_BINARY(fmod, T, kDivision, cut_remainder<C>(a, b))
XDNN_BINARY(floordiv, T, kDivision, floored_quotient<C>(a, b))
XDNN_BINARY(arctan2, T, kFunction, std::atan2(a, b))
XDNN_BINARY(equal, bool, kCheap, a == b)
XDNN_BINARY(not_equal, bool, kCheap, a != b)
XDNN_BINARY(less_than, bool, kCheap, a < b)
XDNN_BINARY(less_equal, bool, kCheap, a <= b)
XDNN_BINARY(greater_than, bool, kCheap, a > b)
XDNN_BINARY(greater_equal, bool, kCheap, a >= b)
XDNN_BINARY(bitwise_and, T, kCheap, static_cast<T>(a& b))
XDNN_BINARY(bitwise_or, T, kCheap, static_cast<T>(a | b))
XDNN_BINARY(bitwise_xor, T, kCheap, static_cast<T>(a ^ b))
XDNN_BINARY(left_shift, T, kCheap, shifted<T>(a, b, true, false))
XDNN_BINARY(right_shift, T, kCheap, shifted<T>(a, b, false, true))
XDNN_BINARY(right_shift_logical, T, kCheap, shifted<T>(a, b, false, false))
#undef XDNN_BINARY

// ---- select

template <class T>
int select(Context* ctx, const bool* condition, const T* x, const T* y, T* z, const Shape& condition_shape,
           const Shape& xshape) {
  const char* op = "select";
  const int64_t count = count_of(xshape), conditions = count_of(condition_shape);
  Strides strides;
  XDNN_CHECK(count >= 0 && broadcast_strides(condition_shape, xshape, &strides), "the condition ",
             text(condition_shape), " does not broadcast to ", text(xshape));
  const Walk<2> walk(xshape, {strides, dense_strides(xshape)});
  const auto run = [=](const bool* condition, const T* x, const T* y, T* z) {
    walk([&](const auto& at, const auto& step, int64_t length) {
      const bool* c = condition + at[0];
      for (int64_t i = 0; i < length; ++i) z[at[1] + i] = c[i * step[0]] ? x[at[1] + i] : y[at[1] + i];
    });
  };
  return launch(ctx, op, {.vector_ops = static_cast<double>(count)}, run,
                In<bool>{condition, count == 0 ? 0 : conditions}, In<T>{x, count}, In<T>{y, count}, Out<T>{z, count});
}

// ---- instantiations

#define XDNN_TWO(name, T, TZ)                                       \
  template int name<T>(Context*, const T*, const T*, TZ*, int64_t); \
  template int broadcast_##name<T>(Context*, const T*, const T*, TZ*, const Shape&, const Shape&)
#define XDNN_NUMBERS(T) \
  XDNN_TWO(add, T, T);  \
  XDNN_TWO(sub, T, T);  \
  XDNN_TWO(mul, T, T);  \
  XDNN_TWO(div, T, T);  \
  XDNN_TWO(max, T, T);  \
  XDNN_TWO(min, T, T);  \
  XDNN_TWO(pow, T, T);  \
  XDNN_TWO(mod, T, T);  \
  XDNN_TWO(fmod, T, T); \
  XDNN_TWO(floordiv, T, T);
XDNN_FOR_NUMBERS(XDNN_NUMBERS)

#define XDNN_COMPARES(T)           \
  XDNN_TWO(equal, T, bool);        \
  XDNN_TWO(not_equal, T, bool);    \
  XDNN_TWO(less_than, T, bool);    \
  XDNN_TWO(less_equal, T, bool);   \
  XDNN_TWO(greater_than, T, bool); \
  XDNN_TWO(greater_equal, T, bool);
XDNN_FOR_FLOATS(XDNN_COMPARES)
XDNN_FOR_INTEGERS(XDNN_COMPARES)
XDNN_COMPARES(bool)

#define XDNN_BITS(T)           \
  XDNN_TWO(bitwise_and, T, T); \
  XDNN_TWO(bitwise_or, T, T);  \
  XDNN_TWO(bitwise_xor, T, T);
XDNN_FOR_INTEGERS(XDNN_BITS)
XDNN_BITS(bool)
#define XDNN_SHIFTS(T)         \
  XDNN_TWO(left_shift, T, T);  \
  XDNN_TWO(right_shift, T, T); \
  XDNN_TWO(right_shift_logical, T, T);
XDNN_FOR_INTEGERS(XDNN_SHIFTS)

#define XDNN_FLOATS(T) XDNN_TWO(arctan2, T, T);
XDNN_FOR_FLOATS(XDNN_FLOATS)

#define XDNN_SELECT(T) \
  template int select<T>(Context*, const bool*, const T*, const T*, T*, const Shape&, const Shape&);
XDNN_FOR_ALL(XDNN_SELECT)

}  // namespace baidu::xpu::api
