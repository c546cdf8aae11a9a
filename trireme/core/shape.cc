#include "trireme/core/shape.h"

#include <algorithm>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme {

Shape::Shape(std::span<const int64_t> sizes) {
  if (sizes.size() > static_cast<size_t>(kMaxRank)) {
    throw Error(Code::kInvalidArgument,
                cat("a shape has at most ", kMaxRank, " axes; given ", sizes.size(), ": reshape to fewer axes"));
  }
  rank_ = static_cast<uint8_t>(sizes.size());
  int64_t elements = 1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < 0) {
      throw Error(Code::kInvalidArgument, cat("axis ", i, " of shape ", sizes, " is negative; sizes are 0 or more"));
    }
    if (sizes[i] > 0 && elements > kMaxElements / sizes[i]) {
      throw Error(Code::kInvalidArgument, cat("shape ", sizes, " has more than 2^48 elements"));
    }
    elements *= std::max<int64_t>(sizes[i], 1);
    sizes_[i] = sizes[i];
  }
}

int64_t Shape::elements() const {
  int64_t product = 1;
  for (int64_t size : *this) product *= size;
  return product;
}

bool Shape::operator==(const Shape& other) const { return std::equal(begin(), end(), other.begin(), other.end()); }

std::string Shape::text() const { return cat(sizes()); }

Shape Shape::with(int axis, int64_t size) const {
  auto sizes = vector();
  sizes[static_cast<size_t>(axis)] = size;
  return sizes;
}

Shape Shape::inserted(int axis, int64_t size) const {
  auto sizes = vector();
  sizes.insert(sizes.begin() + axis, size);
  return sizes;
}

Shape Shape::without(int axis) const {
  auto sizes = vector();
  sizes.erase(sizes.begin() + axis);
  return sizes;
}

Strides dense_strides(const Shape& shape) {
  Strides strides{};
  int64_t step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[static_cast<size_t>(axis)] = step;
    step *= std::max<int64_t>(shape[axis], 1);
  }
  return strides;
}

bool is_dense(const Shape& shape, const Strides& strides) {
  const Strides dense = dense_strides(shape);
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] > 1 && strides[static_cast<size_t>(axis)] != dense[static_cast<size_t>(axis)]) return false;
  }
  return true;
}

bool broadcast_shapes(const Shape& a, const Shape& b, Shape* out) {
  const int rank = std::max(a.rank(), b.rank());
  std::vector<int64_t> sizes(static_cast<size_t>(rank), 1);
  for (int i = 0; i < rank; ++i) {
    const int axis_a = a.rank() - 1 - i, axis_b = b.rank() - 1 - i;
    const int64_t size_a = axis_a >= 0 ? a[axis_a] : 1, size_b = axis_b >= 0 ? b[axis_b] : 1;
    if (size_a != size_b && size_a != 1 && size_b != 1) return false;
    sizes[static_cast<size_t>(rank - 1 - i)] = size_a == 1 ? size_b : size_a;
  }
  *out = Shape(sizes);
  return true;
}

}  // namespace trireme
