// Going through strided views of the same shape side by side, row by row.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "chips/kunlun/virtual/xdnn/launch.h"

namespace baidu::xpu::api::detail {

using Strides = std::vector<int64_t>;

// Of a dense tensor.
inline Strides dense_strides(const std::vector<int64_t>& shape) {
  Strides strides(shape.size());
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

// Of a dense tensor of `shape` that is read as if it had the shape `to`; an extent of 1 repeats. Empty when it does not
// broadcast to it.
inline bool broadcast_strides(const std::vector<int64_t>& shape, const std::vector<int64_t>& to, Strides* strides) {
  if (shape.size() > to.size()) return false;
  const Strides own = dense_strides(shape);
  const size_t missing = to.size() - shape.size();
  strides->assign(to.size(), 0);
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] != to[missing + i] && shape[i] != 1) return false;
    if (shape[i] != 1) (*strides)[missing + i] = own[i];
  }
  return true;
}

// The common shape of two; false when there is none.
inline bool broadcast_shape(const std::vector<int64_t>& x, const std::vector<int64_t>& y, std::vector<int64_t>* z) {
  z->assign(std::max(x.size(), y.size()), 1);
  for (size_t i = 0; i < z->size(); ++i) {
    const size_t from_end = z->size() - i;
    const int64_t a = from_end <= x.size() ? x[x.size() - from_end] : 1;
    const int64_t b = from_end <= y.size() ? y[y.size() - from_end] : 1;
    if (a != b && a != 1 && b != 1) return false;
    (*z)[i] = a == 1 ? b : a;
  }
  return true;
}

// N views. row(offsets, steps, count) handles `count` elements that are `steps` apart, from `offsets` on.
template <size_t N>
class Walk {
 public:
  using Offsets = std::array<int64_t, N>;

  Walk(const std::vector<int64_t>& shape, const std::array<Strides, N>& strides) {
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      if (shape[axis] == 1) continue;
      Offsets steps;
      for (size_t i = 0; i < N; ++i) steps[i] = strides[i][axis];
      bool merges = !extents_.empty();  // with the axis before, where both are as one
      for (size_t i = 0; merges && i < N; ++i) merges = steps_.back()[i] == steps[i] * shape[axis];
      if (merges) {
        extents_.back() *= shape[axis];
        steps_.back() = steps;
      } else {
        extents_.push_back(shape[axis]);
        steps_.push_back(steps);
      }
    }
    if (extents_.empty()) {
      extents_.push_back(1);
      steps_.push_back({});
    }
  }

  template <class Row>
  void operator()(Row row) const {
    const int64_t inner = extents_.back();
    int64_t rows = 1;
    for (size_t i = 0; i + 1 < extents_.size(); ++i) rows *= extents_[i];
    if (rows == 0 || inner == 0) return;
    constexpr int64_t kGrain = 16384;
    if (rows == 1) {
      parallel(inner, kGrain, [&](int64_t begin, int64_t end) {
        Offsets offsets;
        for (size_t i = 0; i < N; ++i) offsets[i] = begin * steps_.back()[i];
        row(offsets, steps_.back(), end - begin);
      });
      return;
    }
    parallel(rows, std::max<int64_t>(1, kGrain / inner), [&](int64_t begin, int64_t end) { rows_of(begin, end, row); });
  }

  // The same in row-major order, on this thread.
  template <class Row>
  void in_order(Row row) const {
    int64_t rows = 1;
    for (size_t i = 0; i + 1 < extents_.size(); ++i) rows *= extents_[i];
    if (rows > 0 && extents_.back() > 0) rows_of(0, rows, row);
  }

 private:
  template <class Row>
  void rows_of(int64_t begin, int64_t end, const Row& row) const {
    std::vector<int64_t> index(extents_.size() - 1);
    Offsets offsets{};
    int64_t rest = begin;
    for (size_t axis = index.size(); axis-- > 0;) {
      index[axis] = rest % extents_[axis];
      rest /= extents_[axis];
      for (size_t i = 0; i < N; ++i) offsets[i] += index[axis] * steps_[axis][i];
    }
    for (int64_t r = begin; r < end; ++r) {
      row(offsets, steps_.back(), extents_.back());
      for (size_t axis = index.size(); axis-- > 0;) {
        const bool carry = ++index[axis] == extents_[axis];
        const int64_t by = carry ? 1 - extents_[axis] : 1;
        for (size_t i = 0; i < N; ++i) offsets[i] += by * steps_[axis][i];
        if (!carry) break;
        index[axis] = 0;
      }
    }
  }

  std::vector<int64_t> extents_;
  std::vector<Offsets> steps_;
};

}  // namespace baidu::xpu::api::detail
