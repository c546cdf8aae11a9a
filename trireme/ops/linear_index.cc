#include "trireme/ops/linear_index.h"

#include <limits>

#include "trireme/ops/ops.h"
#include "trireme/ops/rules.h"
#include "trireme/ops/value.h"

namespace trireme::ops {

namespace {

DType position_type(const Shape& shape, const Value& indices) {
  return shape.elements() > std::numeric_limits<int32_t>::max() ? i64 : indices.dtype();
}

// Sums index times stride, axis by axis, and keeps account of indices out of range.
class Position {
 public:
  Position(DType type, OutOfRange rule) : type_(type), rule_(rule) {}

  void add(Value index, int64_t size, int64_t stride) {
    if (rule_ == OutOfRange::kClamp) {
      index = min(max(index, 0.0), static_cast<double>(size - 1));
    } else {
      const Value inside = and_(compare(index, 0.0, "ge"), compare(index, static_cast<double>(size), "lt"));
      inside_ = inside_ ? and_(inside_, inside) : inside;
    }
    add_in_range(index, stride);
  }
  void add_in_range(const Value& index, int64_t stride) {
    const Value term = (index.dtype() == type_ ? index : convert(index, type_)) * static_cast<double>(stride);
    sum_ = sum_ ? sum_ + term : term;
  }
  Value result() const { return inside_ ? select(inside_, sum_, -1.0) : sum_; }

 private:
  DType type_;
  OutOfRange rule_;
  Value sum_, inside_;
};

}  // namespace

Value flat_along_axis(const Shape& shape, const Value& indices, int64_t axis, OutOfRange rule) {
  const int at = static_cast<int>(normal_axis(axis, shape.rank()));
  const DType type = position_type(shape, indices);
  const Strides strides = dense_strides(shape);
  Position position(type, rule);
  position.add(indices, shape[at], strides[static_cast<size_t>(at)]);
  for (int a = 0; a < shape.rank(); ++a) {
    if (a != at) position.add_in_range(iota(indices.shape().vector(), type, a), strides[static_cast<size_t>(a)]);
  }
  return position.result();
}

Value flat_of_coordinates(const Shape& shape, const Value& coordinates, OutOfRange rule) {
  const int last = coordinates.shape().rank() - 1;
  const int64_t depth = coordinates.shape()[last];
  const Shape named(shape.sizes().first(static_cast<size_t>(depth)));
  const Strides strides = dense_strides(named);
  const Ints result = coordinates.shape().without(last).vector();
  Position position(position_type(named, coordinates), rule);
  for (int64_t k = 0; k < depth; ++k) {
    const int axis = static_cast<int>(k);
    position.add(reshape(slice_axis(coordinates, last, k, k + 1), result), named[axis],
                 strides[static_cast<size_t>(k)]);
  }
  return position.result();
}

}  // namespace trireme::ops
