// Inclusive scans of any associative function, built of slices.
#pragma once

#include "trireme/ops/declare.h"

namespace trireme::ops {

// y[i] = combine(combine(x[0], x[1]) ..., x[i]) along an axis, in log2(size) rounds (Hillis and Steele, 1986): after
// the round with shift s, an element holds the fold of the 2s elements that end at it.
template <class Combine>
Value prefix_scan(const Value& x, int64_t axis, Combine combine) {
  const int at = static_cast<int>(normal_axis(axis, x.shape().rank()));
  const int64_t size = x.shape()[at];
  Value y = x;
  for (int64_t shift = 1; shift < size; shift *= 2) {
    const Value done = slice_axis(y, at, 0, shift);
    const Value joined = combine(slice_axis(y, at, 0, size - shift), slice_axis(y, at, shift, size));
    y = concat({done, joined}, at);
  }
  return y;
}

}  // namespace trireme::ops
