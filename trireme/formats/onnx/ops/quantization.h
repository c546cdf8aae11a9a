// What the families of quantised operators share.
#pragma once

#include "trireme/formats/onnx/call.h"

namespace trireme::formats::onnx {

// A scalar, or one number per row (the last but one axis) or column of matrices of the given rank, made to broadcast.
inline Value per_row(const Value& v, int rank) {
  if (v.shape().elements() == 1) return ops::reshape(v, {});
  return v.shape().rank() == 1 && rank >= 2 ? ops::reshape(v, {v.shape()[0], 1}) : v;
}
inline Value per_column(const Value& v, int) { return v.shape().elements() == 1 ? ops::reshape(v, {}) : v; }

// Least and greatest number of an integer type.
struct Limits {
  double low, high;
};
Limits limits_of(Elem elem);

// Whole numbers in a floating type, as integers of `elem`, cut at its limits.
Value saturated(const Value& whole, Elem elem);

}  // namespace trireme::formats::onnx
