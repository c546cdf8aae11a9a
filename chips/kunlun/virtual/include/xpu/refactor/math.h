// Operators of XDNN on numbers and shapes: elementwise, reductions, data movement, indexing, sorting, random numbers.
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

// dx[i] = dy[i] * f'(x[i]). The input that the derivative does not need may be null: those of exp, sqrt, rsqrt and
// reciprocal are told from y, the others from x.
#define XDNN_UNARY_GRAD(name) \
  template <class T>          \
  int name(Context* ctx, const T* x, const T* y, const T* dy, T* dx, int64_t len);
XDNN_UNARY_GRAD(exp_grad)
XDNN_UNARY_GRAD(sqrt_grad)
XDNN_UNARY_GRAD(rsqrt_grad)
XDNN_UNARY_GRAD(reciprocal_grad)
XDNN_UNARY_GRAD(square_grad)
XDNN_UNARY_GRAD(abs_grad)
XDNN_UNARY_GRAD(log_grad)
#undef XDNN_UNARY_GRAD
#define XDNN_UNARY_GRAD(name) \
  template <class T>          \
  int name(Context* ctx, const T* x, const T* dy, T* dx, int64_t len);
XDNN_UNARY_GRAD(sin_grad)
XDNN_UNARY_GRAD(cos_grad)
XDNN_UNARY_GRAD(tan_grad)
XDNN_UNARY_GRAD(arcsin_grad)
XDNN_UNARY_GRAD(arccos_grad)
XDNN_UNARY_GRAD(arctan_grad)
#undef XDNN_UNARY_GRAD

// y = scale * x + bias, or scale * (x + bias). Number types.
template <class T>
int scale(Context* ctx, const T* x, T* y, int64_t len, bool bias_after_scale, float scale, float bias);
// Number types; NaN stays NaN. The gradient passes where min <= x <= max.
template <class T>
int clip(Context* ctx, const T* x, T* y, int64_t len, T min, T max);
template <class T>
int clip_grad(Context* ctx, const T* x, const T* dy, T* dx, int64_t len, T min, T max);
// x to the power of one exponent, and its gradient. Float types.
template <class T>
int pow(Context* ctx, const T* x, T* y, int64_t len, float exponent);
template <class T>
int pow_grad(Context* ctx, const T* x, const T* dy, T* dx, int64_t len, float exponent);
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

// Gradients of z = f(x, y); dx or dy may be null. Float types. Beware: without broadcast dx comes before dy, with it
// after. Those of max and min give to x where both are equal. x, y, z may be null for add and sub.
#define XDNN_BINARY_GRAD(name)                                                                               \
  template <class T>                                                                                         \
  int name##_grad(Context* ctx, const T* x, const T* y, const T* z, const T* dz, T* dx, T* dy, int64_t len); \
  template <class T>                                                                                         \
  int broadcast_##name##_grad(Context* ctx, const T* x, const T* y, const T* z, const T* dz, T* dy, T* dx,   \
                              const Shape& xshape, const Shape& yshape);
XDNN_BINARY_GRAD(add)
XDNN_BINARY_GRAD(sub)
XDNN_BINARY_GRAD(mul)
XDNN_BINARY_GRAD(div)
XDNN_BINARY_GRAD(max)
XDNN_BINARY_GRAD(min)
#undef XDNN_BINARY_GRAD

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
// dx = condition ? dz : 0, dy the other way round; either may be null. Float types.
template <class T>
int select_grad(Context* ctx, const bool* condition, const T* dz, T* dx, T* dy, const Shape& condition_shape,
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
XDNN_REDUCE(reduce_L2)    // float types: square root of the sum of squares
XDNN_REDUCE(logsumexp)    // float types
XDNN_REDUCE(reduce_all)   // bool
XDNN_REDUCE(reduce_any)   // bool
#undef XDNN_REDUCE
// dx = dy / len everywhere. Float types.
template <class T>
int mean_all_grad(Context* ctx, const T* dy, T* dx, int64_t len);
// Running sums and products along one axis; `exclusive` leaves out the element itself. Number types.
template <class T>
int cumsum(Context* ctx, const T* x, T* y, const Shape& xshape, bool reverse, bool exclusive, int64_t axis);
template <class T>
int cumprod(Context* ctx, const T* x, T* y, const Shape& xshape, int64_t axis);
// The position of the first greatest or least along an axis, which falls away; NaN is greatest and least. Number types.
template <class T, class TY = int64_t>
int argmax(Context* ctx, const T* x, TY* y, const Shape& xshape, int64_t axis);
template <class T, class TY = int64_t>
int argmin(Context* ctx, const T* x, TY* y, const Shape& xshape, int64_t axis);

// ---- data movement; all types

// x repeated `expand` times along each axis.
template <class T>
int tile(Context* ctx, const T* x, T* y, const Shape& xshape, const Shape& expand);
template <class T>
int broadcast(Context* ctx, const T* x, T* y, const Shape& xshape, const Shape& yshape);
// Axis i of y is axis permute[i] of x.
template <class T>
int transpose(Context* ctx, const T* x, T* y, const Shape& xshape, const Shape& permute);
template <class T>
int concat(Context* ctx, const std::vector<const T*>& x_list, T* y, const std::vector<Shape>& xshape_list,
           int64_t axis);
template <class T>
int split(Context* ctx, const T* x, const std::vector<T*>& y_list, const Shape& xshape, const Shape& split_list,
          int64_t axis);
// From starts to before ends on every axis; 0 <= start <= end <= extent.
template <class T>
int slice(Context* ctx, const T* x, T* y, const Shape& xshape, const Shape& starts, const Shape& ends);
// With steps, which may be negative: then starts > ends, and -1 as the end means through the first element.
template <class T>
int strided_slice(Context* ctx, const T* x, T* y, const Shape& xshape, const Shape& starts, const Shape& ends,
                  const Shape& strides);
// dx = 0, except for dy where the slice was.
template <class T>
int strided_slice_grad(Context* ctx, const T* dy, T* dx, const Shape& xshape, const Shape& starts, const Shape& ends,
                       const Shape& strides);
// Writes x (of the slice's shape xshape) into the slice of y; the rest of y stays.
template <class T>
int strided_slice_view_update(Context* ctx, const T* x, T* y, const Shape& xshape, const Shape& yshape,
                              const Shape& starts, const Shape& ends, const Shape& strides);
// y[index] = x[offset + sum of index * strides]; strides in elements, 0 and negative ones allowed. x is as long as the
// farthest element that is reached.
template <class T>
int as_strided(Context* ctx, const T* x, T* y, const Shape& yshape, const Shape& strides, int64_t offset);
// Element by element from a strided view to another of the same number of elements, both in row-major order of their
// shapes. x and y point to the element of index 0; strides may be 0 (x only) and negative. An element of y must not be
// reached twice.
template <class T>
int strided_copy(Context* ctx, const T* x, T* y, const Shape& xshape, const Shape& yshape, const Shape& xstrides,
                 const Shape& ystrides);
template <class T>
int pad(Context* ctx, const T* x, T* y, const Shape& xshape, const Shape& pad_left, const Shape& pad_right,
        T value = T(0));
template <class T>
int flip(Context* ctx, const T* x, T* y, const Shape& xshape, const Shape& axis);
template <class T>
int roll(Context* ctx, const T* x, T* y, const Shape& xshape, const Shape& shifts, const Shape& axis);
// The lower or upper triangle of the last two axes, the rest 0.
template <class T>
int tril(Context* ctx, const T* x, T* y, const Shape& xshape, int64_t diagonal);
template <class T>
int triu(Context* ctx, const T* x, T* y, const Shape& xshape, int64_t diagonal);
template <class T>
int eye(Context* ctx, T* x, int64_t rows, int64_t columns);

// ---- indexing; all types, TID int or int64_t

// An index out of range is a fault of the device when the kernel runs (XPUERR_KEXCEPTION); negative ones count from the
// end.

// Axis `axis` of x gives way to one of index_len.
template <class T, class TID>
int gather(Context* ctx, const T* x, const TID* index, T* y, const Shape& xshape, int64_t index_len, int64_t axis);
// dx = 0, then adds dy at the indices (or sets it). Number types.
template <class T, class TID>
int gather_grad(Context* ctx, const T* dy, const TID* index, T* dx, const Shape& xshape, int64_t index_len,
                int64_t axis, bool overwrite = false);
// y has index's shape: y[i][j] = x[i][index[i][j]] for axis 1. All extents but the axis' must be those of x or less.
template <class T, class TID>
int gather_element(Context* ctx, const T* x, const TID* index, T* y, const Shape& xshape, const Shape& idxshape,
                   int64_t axis);
// The last axis of index holds positions of the first axes of x.
template <class T, class TID>
int gather_nd(Context* ctx, const T* x, const TID* index, T* y, const VectorParam<int64_t>& xshape,
              const Shape& index_shape);
// y = x, then updates (xshape with index.len at `axis`) go to the indices: set, the last one wins, or added to x, as
// often as they come. Adding: number types. y may be x.
template <class T, class TID>
int scatter(Context* ctx, const T* x, const T* updates, T* y, const VectorParam<TID>& index, const Shape& xshape,
            int64_t axis, bool is_overwrite);
// reduction: 0 set, 1 add, 2 multiply, 3 max, 4 min (1 to 4: number types). The reverse of gather_element.
template <class T, class TID>
int scatter_element(Context* ctx, const T* x, const T* updates, const TID* index, T* y, const Shape& xyshape,
                    const Shape& updshape, const Shape& idxshape, int64_t axis, int64_t reduction = 0);
template <class T, class TID>
int scatter_nd(Context* ctx, const T* x, const T* updates, T* y, const VectorParam<TID>& index,
               const VectorParam<int64_t>& xshape, const Shape& index_shape, bool is_overwrite);
// How many elements are not zero. Number types and bool.
template <class T, class TID = int>
int nonzero_count(Context* ctx, const T* x, TID* y, int64_t len);
// The index of each element that is not zero, a row of xshape.size() positions each, in order. Number types and bool.
template <class T, class TY = int64_t>
int where(Context* ctx, const T* x, TY* y, const Shape& xshape, int64_t nonzero_size);
// The elements where the mask (which broadcasts to x_shape) is set, in order.
template <class T>
int masked_select(Context* ctx, const T* x, const bool* mask, T* y, const Shape& x_shape, const Shape& mask_shape,
                  int64_t true_count);
// y[i] = a row of `depth`. x: int, int64_t.
template <class T>
int one_hot(Context* ctx, const T* x, float* y, int64_t len, int depth, float on_value = 1.0f, float off_value = 0.0f);
// Rows of the table x (xm rows of n) by ym indices; rows of padding_idx are 0 (-1: there are none). Float types.
template <class T, class TID>
int embedding(Context* ctx, const T* x, const TID* indices, T* y, int64_t xm, int64_t n, int64_t ym,
              int64_t padding_idx, TID start_index = 0);
template <class T, class TID>
int embedding_grad(Context* ctx, const T* dy, const TID* indices, T* dx, int64_t xm, int64_t n, int64_t ym,
                   int64_t padding_idx, TID start_index = 0);

// ---- order; number types

// m rows of n each, ascending or descending, and where each element came from (index may be null). NaN is greatest.
// sort is stable as well.
template <class T, class TID>
int sort(Context* ctx, const T* x, T* y, TID* index, int64_t m, int64_t n, bool descending = false);
template <class T, class TID>
int stable_sort(Context* ctx, const T* x, T* y, TID* index, int64_t m, int64_t n, bool descending = false);
// The k greatest (or least) of each row, in order; of equal ones the first.
template <class T, class TID = int>
int sorted_topk(Context* ctx, const T* x, T* y, TID* index, int64_t m, int64_t n, int64_t k, bool largest = true);
// For each of the yn values in a row the first position in the ascending row of xn where it could stand (after equal
// ones when is_rightside).
template <class T, class TID>
int search_sorted(Context* ctx, const T* x, const T* values, TID* y, int64_t m, int64_t xn, int64_t yn,
                  bool is_rightside);

// ---- random numbers: Philox 4x32-10 with the seed as the key; element i depends on seed and i only. Float types.

// From min to before max.
template <class T>
int random(Context* ctx, T* x, int64_t len, T min, T max, int64_t seed);
template <class T>
int normal(Context* ctx, T* x, T mean, T std, int64_t len, int64_t seed);
// Normal, drawn again where it is beyond two standard deviations.
template <class T>
int truncated_normal(Context* ctx, T* x, T mean, T std, int64_t len, int64_t seed);
// Integers from min to before max. int, int64_t.
template <class T>
int randint(Context* ctx, T* x, int64_t len, int64_t min, int64_t max, int64_t seed);
// The numbers 0 to len - 1 in an order told by the seed. int, int64_t.
template <class T>
int randperm(Context* ctx, T* x, int64_t len, int64_t seed);
// Raw words: word i of Philox with key {key0, key1} and counter {i / 4 low, i / 4 high, stream0, stream1}.
int philox_words(Context* ctx, int* y, int64_t len, const uint32_t state[4]);
// y[i] = 1 with the probability p[i].
template <class T>
int bernoulli(Context* ctx, const T* p, T* y, int64_t len, int64_t seed);

// ---- quantisation

// The absolute maximum into ctx->max_ptr_size() floats (each unit has seen a part; the greatest counts). Float types.
template <class T>
int findmax(Context* ctx, const T* x, float* maxptr, int64_t len);
// y = round(x * limit / max), ties to even; limit 127 for int8_t, 32767 for int16_t. maxptr null: finds the maximum.
// TX float types, TY int8_t, int16_t.
template <class TX, class TY>
int quantization(Context* ctx, const TX* x, TY* y, int64_t len, const float* maxptr);
// y = x * max / limit. The other way round; maxptr must be given.
template <class TX, class TY>
int dequantization(Context* ctx, const TX* x, TY* y, int64_t len, const float* maxptr);

// *y = whether there is any NaN or infinity. Float types.
template <class T>
int check_nan_or_inf(Context* ctx, const T* x, bool* y, int64_t len);
// y = x * scale, *found_inf = whether any x is NaN or infinite. `scale` is of the host. Float types.
template <class T>
int check_finite_unscale(Context* ctx, const T* x, T* y, int64_t len, float scale, bool* found_inf);

// NOLINTEND(readability-identifier-naming)

}  // namespace baidu::xpu::api

#endif
