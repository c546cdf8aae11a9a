// Operators of XDNN on numbers and shapes: elementwise, reductions, data movement, indexing, quantisation.
// xpu/xdnn.h has the rules for all of them.
//
// Types, where it is not said otherwise:
//   float types      float, float16, bfloat16
//   number types     the float types, int, int64_t
//   all types        the number types, double, int16_t, int8_t, uint8_t, bool
//   TID (indices)    int, int64_t
#ifndef TRIREME_XPU_REFACTOR_MATH_H
#define TRIREME_XPU_REFACTOR_MATH_H

#include <cstdint>
#include <vector>

#include "context.h"

namespace baidu::xpu::api {

// NOLINTBEGIN(readability-identifier-naming): the public names of the vendor's interface

using Shape = std::vector<int64_t>;

// ---- elementwise, one input: y[i] = f(x[i]), len elements

#define XDNN_UNARY(name) \
  template <class T>     \
  int name(Context* ctx, const T* x, T* y, int64_t len);

// Float types.
XDNN_UNARY(exp)
XDNN_UNARY(exp2)
XDNN_UNARY(expm1)
XDNN_UNARY(log)
XDNN_UNARY(log2)
XDNN_UNARY(log10)
XDNN_UNARY(log1p)
XDNN_UNARY(sqrt)
XDNN_UNARY(rsqrt)
XDNN_UNARY(cbrt)
XDNN_UNARY(reciprocal)
XDNN_UNARY(erf)
XDNN_UNARY(floor)
XDNN_UNARY(ceil)
XDNN_UNARY(trunc)
XDNN_UNARY(round_half_even)
XDNN_UNARY(sin)
XDNN_UNARY(cos)
XDNN_UNARY(tan)
XDNN_UNARY(arcsin)
XDNN_UNARY(arccos)
XDNN_UNARY(arctan)
XDNN_UNARY(sinh)
XDNN_UNARY(cosh)
XDNN_UNARY(asinh)
XDNN_UNARY(acosh)
XDNN_UNARY(atanh)
// Number types.
XDNN_UNARY(abs)
XDNN_UNARY(neg)
XDNN_UNARY(sign)
XDNN_UNARY(square)
// bool, int, int64_t, int16_t, int8_t, uint8_t; logical_not: bool only.
XDNN_UNARY(bitwise_not)
XDNN_UNARY(logical_not)
#undef XDNN_UNARY

// Half away from zero, at `decimals` places after the point.
template <class T>
int round(Context* ctx, const T* x, T* y, int64_t len, int64_t decimals = 0);

// y = scale * x + bias, or scale * (x + bias). Number types.
template <class T>
int scale(Context* ctx, const T* x, T* y, int64_t len, bool bias_after_scale, float scale, float bias);
// Number types; NaN stays NaN.
template <class T>
int clip(Context* ctx, const T* x, T* y, int64_t len, T min, T max);
// x to the power of one exponent. Float types.
template <class T>
int pow(Context* ctx, const T* x, T* y, int64_t len, float exponent);
template <class T>
int isnan(Context* ctx, const T* x, bool* y, int64_t len);
template <class T>
int isinf(Context* ctx, const T* x, bool* y, int64_t len);
template <class T>
int isfinite(Context* ctx, const T* x, bool* y, int64_t len);

// All pairs of all types. Float to integer cuts off the fraction; what does not fit becomes the nearest value, NaN 0.
template <class TX, class TY>
int cast(Context* ctx, const TX* x, TY* y, int64_t len);
// All types.
template <class T>
int copy(Context* ctx, const T* x, T* y, int64_t len);
template <class T>
int constant(Context* ctx, T* x, int64_t len, T value);
// y[i] = begin + i * step, the first `len`; linspace: `num` values from start to stop. Number types.
template <class T>
int range(Context* ctx, T* y, T begin, T step, int64_t len);
template <class T>
int linspace(Context* ctx, T* y, T start, T stop, int64_t num);

// ---- elementwise, two inputs

// z[i] = f(x[i], y[i]), and the same with shapes that broadcast as usual: aligned at the last axis, an extent of 1
// repeats. At most 8 axes.
#define XDNN_BINARY(name, TZ)                                         \
  template <class T>                                                  \
  int name(Context* ctx, const T* x, const T* y, TZ* z, int64_t len); \
  template <class T>                                                  \
  int broadcast_##name(Context* ctx, const T* x, const T* y, TZ* z, const Shape& xshape, const Shape& yshape);
// Number types. Integer division by zero gives 0. div of integers cuts off; floordiv and mod go with the floor (the
// remainder has the sign of the divisor), fmod with the cut (the sign of the dividend). max and min hand on NaN.
XDNN_BINARY(add, T)
XDNN_BINARY(sub, T)
XDNN_BINARY(mul, T)
XDNN_BINARY(div, T)
XDNN_BINARY(max, T)
XDNN_BINARY(min, T)
XDNN_BINARY(pow, T)
XDNN_BINARY(mod, T)
XDNN_BINARY(fmod, T)
XDNN_BINARY(floordiv, T)
// Float types: the angle of the point (y, x), in that order of arguments: arctan2(a, b) = atan(a / b) by quadrant.
XDNN_BINARY(arctan2, T)
// Number types and bool, int16_t, int8_t, uint8_t.
XDNN_BINARY(equal, bool)
XDNN_BINARY(not_equal, bool)
XDNN_BINARY(less_than, bool)
XDNN_BINARY(less_equal, bool)
XDNN_BINARY(greater_than, bool)
XDNN_BINARY(greater_equal, bool)
// bool.
XDNN_BINARY(logical_and, T)
XDNN_BINARY(logical_or, T)
XDNN_BINARY(logical_xor, T)
// bool, int, int64_t, int16_t, int8_t, uint8_t.
XDNN_BINARY(bitwise_and, T)
XDNN_BINARY(bitwise_or, T)
XDNN_BINARY(bitwise_xor, T)
// int, int64_t, int16_t, int8_t, uint8_t; a count that is negative or too large shifts everything out. right_shift
// keeps the sign, right_shift_logical fills with zeros.
XDNN_BINARY(left_shift, T)
XDNN_BINARY(right_shift, T)
XDNN_BINARY(right_shift_logical, T)
#undef XDNN_BINARY

// z = w + scalar * x * y, and w + scalar * x / y. Float types.
template <class T>
int addcmul(Context* ctx, const T* w, const T* x, const T* y, T* z, float scalar, int64_t len);
template <class T>
int addcdiv(Context* ctx, const T* w, const T* x, const T* y, T* z, float scalar, int64_t len);
// y = the sum of all x. Number types.
template <class T>
int sum(Context* ctx, const std::vector<const T*>& x_list, T* y, int64_t len);

// z = condition ? x : y. x, y, z have xshape, the condition broadcasts to it. All types.
template <class T>
int select(Context* ctx, const bool* condition, const T* x, const T* y, T* z, const Shape& condition_shape,
           const Shape& xshape);
template <class T>
int masked_fill_scalar(Context* ctx, const bool* condition, const T* x, T value, T* z, const Shape& condition_shape,
                       const Shape& xshape);

// ---- reductions

// Over the axes rdims; the rest keep their order. All axes when rdims is empty. Over nothing: 0, 1, -inf, inf, NaN for
// the mean, the least and greatest value for integers.
#define XDNN_REDUCE(name) \
  template <class T>      \
  int name(Context* ctx, const T* x, T* y, const Shape& xshape, const Shape& rdims);
XDNN_REDUCE(reduce_sum)   // number types
XDNN_REDUCE(reduce_prod)  // number types
XDNN_REDUCE(reduce_max)   // number types; NaN wins
XDNN_REDUCE(reduce_min)
XDNN_REDUCE(reduce_mean)  // float types
XDNN_REDUCE(logsumexp)    // float types
XDNN_REDUCE(reduce_all)   // bool
XDNN_REDUCE(reduce_any)   // bool
#undef XDNN_REDUCE
// Running sums along one axis; `exclusive` leaves out the element itself. Number types.
template <class T>
int cumsum(Context* ctx, const T* x, T* y, const Shape& xshape, bool reverse, bool exclusive, int64_t axis);
// The position of the first greatest or least along an axis, which falls away; NaN is greatest and least. Number types.
template <class T, class TY = int64_t>
int argmax(Context* ctx, const T* x, TY* y, const Shape& xshape, int64_t axis);
template <class T, class TY = int64_t>
int argmin(Context* ctx, const T* x, TY* y, const Shape& xshape, int64_t axis);

// ---- data movement; all types

// From a strided view to another of the same shape. x and y point to the element of index 0; strides may be 0 (x only)
// and negative. An element of y must not be reached twice.
template <class T>
int strided_copy(Context* ctx, const T* x, T* y, const Shape& xshape, const Shape& yshape, const Shape& xstrides,
                 const Shape& ystrides);

// Tensors of one rank side by side along an axis; their other extents are the same.
template <class T>
int concat(Context* ctx, const std::vector<const T*>& x_list, T* y, const std::vector<Shape>& xshape_list,
           int64_t axis);
// x with `value` around: so many elements before and after each axis.
template <class T>
int pad(Context* ctx, const T* x, T* y, const Shape& xshape, const Shape& pad_left, const Shape& pad_right,
        T value = T(0));

// An index out of range is a fault of the device when the kernel runs (XPUERR_KEXCEPTION); negative ones count from the
// end.

// Axis `axis` of x gives way to one of index_len.
template <class T, class TID>
int gather(Context* ctx, const T* x, const TID* index, T* y, const Shape& xshape, int64_t index_len, int64_t axis);

// ---- quantisation

// The absolute maximum into ctx->max_ptr_size() floats (each unit has seen a part; the greatest counts). Float types.
template <class T>
int findmax(Context* ctx, const T* x, float* maxptr, int64_t len);
// y = round(x * limit / max), ties to even; limit 127 for int8_t, 32767 for int16_t. maxptr null: finds the maximum.
// TX float types, TY int8_t, int16_t.
template <class TX, class TY>
int quantization(Context* ctx, const TX* x, TY* y, int64_t len, const float* maxptr);

// NOLINTEND(readability-identifier-naming)

}  // namespace baidu::xpu::api

#endif
