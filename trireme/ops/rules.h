// Rules that many declarations share.
#pragma once

#include "trireme/ir/op_decl.h"

namespace trireme {

// One output with the type and shape of the first input. Rule 1, where the op has several inputs: equal shapes.
inline void infer_same(Infer& i) {
  for (int k = 1; k < i.inputs(); ++k) i.require(1, i.shape(k) == i.shape(0));
  i.output(i.dtype(0), i.shape(0));
}

// A reduction with attributes `axes` and `keepdims`; rule 1: axes are distinct and in range.
Shape reduced_shape(const Infer& i);
inline void infer_reduction(Infer& i) { i.output(i.dtype(0), reduced_shape(i)); }

// A shape cut at an axis (which may count from the back): sizes before, at and after it.
struct AroundAxis {
  int64_t outer = 1, size = 1, inner = 1;
};
AroundAxis around_axis(const Shape& shape, int64_t axis);
inline int64_t normal_axis(int64_t axis, int rank) { return axis < 0 ? axis + rank : axis; }

// Folds the reduced axes of input 0 in row-major order: step(accumulator, element), started from `start`.
// T is double for floating types, else int64_t or uint64_t.
template <class F>
void evaluate_reduction(Evaluation& e, F f);

inline constexpr std::string_view kEqualShapes = "the inputs have equal shapes";
inline constexpr std::string_view kAxesInRange = "axes are distinct and within -rank .. rank-1";
inline constexpr std::string_view kAxisInRange = "axis is within -rank .. rank-1";

// Wrapping integer arithmetic without undefined behaviour.
template <class T>
constexpr T wrapping(auto f, T a, T b) {
  if constexpr (std::is_floating_point_v<T>) return f(a, b);
  else return static_cast<T>(f(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
}

// Walks a row-major index space: calls body(position, index) for each element of `shape`.
template <class F>
void for_each_index(const Shape& shape, F body) {
  int64_t index[kMaxRank] = {};
  const int64_t count = shape.elements();
  for (int64_t at = 0; at < count; ++at) {
    body(at, static_cast<const int64_t*>(index));
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}

template <class F>
void evaluate_reduction(Evaluation& e, F f) {
  const Evaluated& x = e.x(0);
  Evaluated& y = e.y();
  const Shape& shape = x.shape();
  bool reduced[kMaxRank] = {};
  for (int a = 0; a < shape.rank(); ++a) reduced[a] = e.integers("axes").empty();
  for (int64_t a : e.integers("axes")) reduced[a < 0 ? a + shape.rank() : a] = true;
  int64_t strides[kMaxRank] = {};
  int64_t step = 1;
  for (int a = shape.rank() - 1; a >= 0; --a) {
    if (reduced[a]) continue;
    strides[a] = step;
    step *= shape[a];
  }
  const auto run = [&]<class T>(auto& from, auto& to) {
    for (auto& v : to) v = static_cast<std::decay_t<decltype(v)>>(f.template start<T>(x.type.dtype));
    for_each_index(shape, [&](int64_t at, const int64_t* index) {
      int64_t target = 0;
      for (int a = 0; a < shape.rank(); ++a) target += index[a] * strides[a];
      auto& slot = to[static_cast<size_t>(target)];
      slot = static_cast<std::decay_t<decltype(slot)>>(
          f(static_cast<T>(slot), static_cast<T>(from[static_cast<size_t>(at)])));
    });
  };
  if (x.floating()) run.template operator()<double>(x.real, y.real);
  else if (is_unsigned_int(x.type.dtype)) run.template operator()<uint64_t>(x.integer, y.integer);
  else run.template operator()<int64_t>(x.integer, y.integer);
  if (!x.floating()) y.round();
}

}  // namespace trireme
