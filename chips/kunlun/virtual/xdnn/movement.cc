// What moves data without computing: strided copies and reading by index, of xpu/refactor/math.h.
#include <algorithm>
#include <cstdlib>

#include "chips/kunlun/virtual/xdnn/walk.h"
#include "xpu/refactor/math.h"

namespace baidu::xpu::api {

using namespace detail;

namespace {

// From the lowest to the highest element of a view, relative to its element of index 0.
struct Reach {
  int64_t low = 0, high = 0;
};
Reach reach_of(const Shape& shape, const Shape& strides) {
  Reach reach;
  for (size_t i = 0; i < shape.size(); ++i) {
    (strides[i] < 0 ? reach.low : reach.high) += (shape[i] - 1) * strides[i];
  }
  return reach;
}

}  // namespace

template <class T>
int strided_copy(Context* ctx, const T* x, T* y, const Shape& xshape, const Shape& yshape, const Shape& xstrides,
                 const Shape& ystrides) {
  const char* op = "strided_copy";
  const int64_t count = count_of(xshape);
  XDNN_CHECK(xshape == yshape, "the shapes ", text(xshape), " and ", text(yshape), " must be the same");
  XDNN_CHECK(count >= 0, text(xshape), " is no shape");
  XDNN_CHECK(xstrides.size() == xshape.size() && ystrides.size() == xshape.size(), text(xshape), " needs ",
             xshape.size(), " strides");
  if (count == 0) return SUCCESS;
  constexpr int64_t kMost = int64_t{1} << 48;
  for (size_t i = 0; i < xshape.size(); ++i) {
    XDNN_CHECK(
        xshape[i] == 1 || (std::abs(xstrides[i]) < kMost / xshape[i] && std::abs(ystrides[i]) < kMost / xshape[i]),
        "strides ", text(xstrides), " and ", text(ystrides), " are too large");
    XDNN_CHECK(xshape[i] == 1 || ystrides[i] != 0, "stride 0 of axis ", i, " writes an element twice");
  }
  const Reach read = reach_of(xshape, xstrides), write = reach_of(xshape, ystrides);
  const Walk<2> walk(xshape, {xstrides, ystrides});
  const auto run = [=](const T* x, T* y) {
    walk([&](const auto& at, const auto& step, int64_t length) {
      const T* from = x - read.low + at[0];
      T* to = y - write.low + at[1];
      if (step[0] == 1 && step[1] == 1) {
        std::copy_n(from, length, to);
      } else if (step[1] == 1) {
        for (int64_t i = 0; i < length; ++i) to[i] = from[i * step[0]];
      } else {
        for (int64_t i = 0; i < length; ++i) to[i * step[1]] = from[i * step[0]];
      }
    });
  };
  const auto moved = static_cast<double>(count);
  return launch(ctx, op, {.vector_ops = moved}, run,
                In<T>{x ? x + read.low : nullptr, read.high - read.low + 1, false, false, moved},
                Out<T>{y ? y + write.low : nullptr, write.high - write.low + 1, false, moved});
}

template <class T>
int concat(Context* ctx, const std::vector<const T*>& x_list, T* y, const std::vector<Shape>& xshape_list,
           int64_t axis) {
  const char* op = "concat";
  XDNN_CHECK(!x_list.empty() && x_list.size() == xshape_list.size(), x_list.size(), " tensors and ", xshape_list.size(),
             " shapes: there must be as many, and one at least");
  Shape yshape = xshape_list[0];
  XDNN_CHECK(normalize_axis(&axis, yshape.size()), "there is no axis ", axis, " of ", text(yshape));
  std::vector<Cut> cuts;
  std::vector<int64_t> counts;
  yshape[axis] = 0;
  for (const Shape& shape : xshape_list) {
    Shape same = shape;
    if (same.size() == yshape.size()) same[axis] = yshape[axis];
    XDNN_CHECK(same == yshape && count_of(shape) >= 0, text(shape), " does not go beside ", text(xshape_list[0]),
               " along axis ", axis);
    yshape[axis] += shape[axis];
    cuts.push_back(cut_at(shape, axis));
    counts.push_back(count_of(shape));
  }
  const int64_t total = count_of(yshape);
  XDNN_CHECK(total >= 0, "the result ", text(yshape), " is too large");
  const Cut whole = cut_at(yshape, axis);
  const auto run = [=](const std::vector<const T*>& list, T* y) {
    parallel(whole.outer, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, whole.extent * whole.inner)),
             [&](int64_t begin, int64_t end) {
               for (int64_t row = begin; row < end; ++row) {
                 T* to = y + row * whole.extent * whole.inner;
                 for (size_t i = 0; i < list.size(); ++i) {
                   const int64_t length = cuts[i].extent * cuts[i].inner;
                   to = std::copy_n(list[i] + row * length, length, to);
                 }
               }
             });
  };
  return launch(ctx, op, {.vector_ops = static_cast<double>(total)}, run, Many<const T>{x_list, counts},
                Out<T>{y, total});
}

template <class T>
int pad(Context* ctx, const T* x, T* y, const Shape& xshape, const Shape& pad_left, const Shape& pad_right, T value) {
  const char* op = "pad";
  const int64_t count = count_of(xshape);
  XDNN_CHECK(count >= 0, text(xshape), " is no shape");
  XDNN_CHECK(pad_left.size() == xshape.size() && pad_right.size() == xshape.size(), "pads ", text(pad_left), " and ",
             text(pad_right), ": ", text(xshape), " needs one for each axis");
  Shape yshape = xshape;
  for (size_t i = 0; i < xshape.size(); ++i) {
    constexpr int64_t kMost = int64_t{1} << 40;
    XDNN_CHECK(pad_left[i] >= 0 && pad_right[i] >= 0 && pad_left[i] < kMost && pad_right[i] < kMost, "pads ",
               text(pad_left), " and ", text(pad_right), " must be from 0 to 2^40");
    yshape[i] += pad_left[i] + pad_right[i];
  }
  const int64_t total = count_of(yshape);
  XDNN_CHECK(total >= 0, "the result ", text(yshape), " is too large");
  const Strides to = dense_strides(yshape);
  int64_t first = 0;
  for (size_t i = 0; i < to.size(); ++i) first += pad_left[i] * to[i];
  const Walk<2> walk(xshape, {dense_strides(xshape), to});
  const auto run = [=](const T* x, T* y) {
    std::fill_n(y, total, value);
    if (count == 0) return;
    walk([&](const auto& at, const auto& step, int64_t length) {
      for (int64_t i = 0; i < length; ++i) y[first + at[1] + i * step[1]] = x[at[0] + i * step[0]];
    });
  };
  return launch(ctx, op, {.vector_ops = static_cast<double>(total)}, run, In<T>{x, count}, Out<T>{y, total});
}

template <class T, class TID>
int gather(Context* ctx, const T* x, const TID* index, T* y, const Shape& xshape, int64_t index_len, int64_t axis) {
  const char* op = "gather";
  const int64_t count = count_of(xshape);
  XDNN_CHECK(count >= 0, text(xshape), " is no shape");
  XDNN_CHECK(normalize_axis(&axis, xshape.size()), "there is no axis ", axis, " of ", text(xshape));
  const Cut cut = cut_at(xshape, axis);
  const int64_t result = count_of({cut.outer, index_len, cut.inner});
  XDNN_CHECK(result >= 0, "index_len ", index_len, " is no length, or makes a result that is too large");
  if (result == 0) return SUCCESS;
  const auto run = [=](const T* x, const TID* index, T* y) {
    for (int64_t i = 0; i < index_len; ++i) {
      const int64_t given = index[i];
      if (given < -cut.extent || given >= cut.extent) {
        throw Fault(cat("gather: index ", given, " is out of the range of an axis of ", cut.extent));
      }
    }
    parallel(cut.outer * index_len, std::max<int64_t>(1, 16384 / cut.inner), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t given = index[row % index_len], at = given < 0 ? given + cut.extent : given;
        std::copy_n(x + (row / index_len * cut.extent + at) * cut.inner, cut.inner, y + row * cut.inner);
      }
    });
  };
  const auto moved = static_cast<double>(result);
  return launch(ctx, op, {.vector_ops = moved}, run, In<T>{x, count, false, false, moved}, In<TID>{index, index_len},
                Out<T>{y, result});
}

#define XDNN_SHAPES(T)                                                                                    \
  template int concat<T>(Context*, const std::vector<const T*>&, T*, const std::vector<Shape>&, int64_t); \
  template int pad<T>(Context*, const T*, T*, const Shape&, const Shape&, const Shape&, T);
XDNN_FOR_ALL(XDNN_SHAPES)

#define XDNN_MOVES(T)                                                                                           \
  template int strided_copy<T>(Context*, const T*, T*, const Shape&, const Shape&, const Shape&, const Shape&); \
  template int gather<T, int>(Context*, const T*, const int*, T*, const Shape&, int64_t, int64_t);              \
  template int gather<T, int64_t>(Context*, const T*, const int64_t*, T*, const Shape&, int64_t, int64_t);
XDNN_FOR_ALL(XDNN_MOVES)

}  // namespace baidu::xpu::api
