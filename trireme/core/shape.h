// Shape: the sizes of a tensor's axes, outermost first. At most kMaxRank axes; each size >= 0; the product of the
// sizes stays below 2^48 elements. A shape that breaks this cannot be made: the constructor throws kInvalidArgument.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace trireme {

inline constexpr int kMaxRank = 8;
inline constexpr int64_t kMaxElements = int64_t{1} << 48;

class Shape {
 public:
  Shape() = default;  // a scalar: rank 0, one element
  Shape(std::initializer_list<int64_t> sizes) : Shape(std::span<const int64_t>(sizes.begin(), sizes.size())) {}
  explicit Shape(std::span<const int64_t> sizes);
  Shape(const std::vector<int64_t>& sizes) : Shape(std::span<const int64_t>(sizes)) {}  // NOLINT: meant to be implicit

  int rank() const { return rank_; }
  int64_t operator[](int axis) const { return sizes_[static_cast<size_t>(axis)]; }
  int64_t elements() const;
  std::span<const int64_t> sizes() const { return {sizes_.data(), static_cast<size_t>(rank_)}; }
  const int64_t* begin() const { return sizes_.data(); }
  const int64_t* end() const { return sizes_.data() + rank_; }
  std::vector<int64_t> vector() const { return {begin(), end()}; }
  bool operator==(const Shape& other) const;

  // "[2, 3]"; a scalar is "[]".
  std::string text() const;
  // The same shape with one axis replaced, inserted or removed.
  Shape with(int axis, int64_t size) const;
  Shape inserted(int axis, int64_t size) const;
  Shape without(int axis) const;

 private:
  std::array<int64_t, kMaxRank> sizes_{};
  uint8_t rank_ = 0;
};

// Distance in elements between neighbours along each axis. Row-major dense strides of a shape: last axis 1.
using Strides = std::array<int64_t, kMaxRank>;
Strides dense_strides(const Shape& shape);
bool is_dense(const Shape& shape, const Strides& strides);

// Shape of a and b after NumPy broadcasting (sizes equal, or one of them 1, aligned at the last axis).
// Returns false when they do not fit.
bool broadcast_shapes(const Shape& a, const Shape& b, Shape* out);

}  // namespace trireme
