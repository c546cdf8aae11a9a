// Rules that many declarations share.
#pragma once

#include <limits>

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

// The shape rule and the truth of scatters (x, indices, updates; axis). Rule 1: axis in range; rule 2: kScatterShapes.
// combine(old, update) is called for every update in row-major order of the indices; those out of range are skipped.
void infer_scatter(Infer& i);
template <class F>
void evaluate_scatter(Evaluation& e, F combine);

// y = x in row-major order.
void evaluate_copy(Evaluation& e);
// y[i, j, ...] = x.elements[offset + i strides[0] + j strides[1] + ...].
void copy_strided(Evaluated& y, const Evaluated& x, int64_t offset, const Strides& strides);
// Every element `value`, converted to the type as the op convert does.
void fill_with(Evaluated& y, double value);

// argmax and argmin (x; axis, keepdims). Rule 1: axis in range; rule 2: it has an element. better(x, best) says that x
// replaces the best so far; the first NaN beats everything.
void infer_arg_extreme(Infer& i);
template <class F>
void evaluate_arg_extreme(Evaluation& e, F better);

// Position in x.elements of a box of shape `box` at `start`, clamped along each axis so that the box fits.
int64_t clamped_offset(const Evaluated& start, const Shape& shape, const Shape& box);

// The identity of max: -inf, or the lowest integer; and of min.
template <class T>
T lowest_of(DType type);
template <class T>
T highest_of(DType type);

inline constexpr std::string_view kEqualShapes = "the inputs have equal shapes";
inline constexpr std::string_view kAxesInRange = "axes are distinct and within -rank .. rank-1";
inline constexpr std::string_view kAxisInRange = "axis is within -rank .. rank-1";
inline constexpr std::string_view kScatterShapes =
    "the shape of updates is x.shape[:axis] + indices.shape + x.shape[axis+1:]";

// Wrapping integer arithmetic without undefined behaviour.
template <class T>
constexpr T wrapping(auto f, T a, T b) {
  if constexpr (std::is_floating_point_v<T>) return f(a, b);
  else return static_cast<T>(f(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
}

// Larger and smaller of two elements; NaN wins over any number.
inline constexpr auto larger = []<class T>(T a, T b) -> T {
  if constexpr (std::is_floating_point_v<T>) return a != a || a > b ? a : b;
  else return a > b ? a : b;
};
inline constexpr auto smaller = []<class T>(T a, T b) -> T {
  if constexpr (std::is_floating_point_v<T>) return a != a || a < b ? a : b;
  else return a < b ? a : b;
};

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

template <class T>
T highest_of(DType type) {
  if constexpr (std::is_floating_point_v<T>) return std::numeric_limits<T>::infinity();
  else return static_cast<T>(std::numeric_limits<T>::max() >> (64 - 8 * size_of(type)));
}

template <class T>
T lowest_of(DType type) {
  if constexpr (std::is_floating_point_v<T>) return -std::numeric_limits<T>::infinity();
  else if constexpr (std::is_unsigned_v<T>) return 0;
  else return -highest_of<T>(type) - 1;
}

// Folds for evaluate_reduction.
struct Largest {
  template <class T>
  T start(DType type) const {
    return lowest_of<T>(type);
  }
  template <class T>
  T operator()(T a, T b) const {
    return larger(a, b);
  }
};
struct Smallest {
  template <class T>
  T start(DType type) const {
    return highest_of<T>(type);
  }
  template <class T>
  T operator()(T a, T b) const {
    return smaller(a, b);
  }
};

template <class F>
void evaluate_arg_extreme(Evaluation& e, F better) {
  const Evaluated& x = e.x(0);
  const auto [outer, size, inner] = around_axis(x.shape(), e.integer("axis"));
  const auto run = [&]<class T>(const auto& from) {
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t j = 0; j < inner; ++j) {
        const auto at = [&](int64_t k) {
          return static_cast<T>(from[static_cast<size_t>((o * size + k) * inner + j)]);
        };
        int64_t best = 0;
        for (int64_t k = 1; k < size && at(best) == at(best); ++k) {
          if (at(k) != at(k) || better(at(k), at(best))) best = k;
        }
        e.y().integer[static_cast<size_t>(o * inner + j)] = best;
      }
    }
  };
  if (x.floating()) run.template operator()<double>(x.real);
  else if (is_unsigned_int(x.type.dtype)) run.template operator()<uint64_t>(x.integer);
  else run.template operator()<int64_t>(x.integer);
}

template <class F>
void evaluate_scatter(Evaluation& e, F combine) {
  const Evaluated &indices = e.x(1), &updates = e.x(2);
  Evaluated& y = e.y();
  evaluate_copy(e);
  const auto [outer, size, inner] = around_axis(y.shape(), e.integer("axis"));
  const int64_t count = indices.elements();
  const auto run = [&]<class T>(auto& to, const auto& from) {
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t k = 0; k < count; ++k) {
        const int64_t index = indices.integer[static_cast<size_t>(k)];
        if (index < 0 || index >= size) continue;
        for (int64_t j = 0; j < inner; ++j) {
          auto& slot = to[static_cast<size_t>((o * size + index) * inner + j)];
          const auto update = from[static_cast<size_t>((o * count + k) * inner + j)];
          slot = static_cast<std::decay_t<decltype(slot)>>(combine(static_cast<T>(slot), static_cast<T>(update)));
        }
      }
    }
  };
  if (y.floating()) run.template operator()<double>(y.real, updates.real);
  else if (is_unsigned_int(y.type.dtype)) run.template operator()<uint64_t>(y.integer, updates.integer);
  else run.template operator()<int64_t>(y.integer, updates.integer);
  if (!y.floating()) y.round();
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
