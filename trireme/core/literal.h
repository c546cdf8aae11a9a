// Literal: an immutable value on the host, dense and row-major. Copies share the bytes.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "trireme/core/dtype.h"
#include "trireme/core/shape.h"

namespace trireme {

class Literal {
 public:
  Literal() = default;  // no value; dtype() and shape() must not be asked
  // Takes bytes somebody else keeps alive (a mapped file): `owner` lives as long as the literal.
  Literal(DType dtype, const Shape& shape, std::shared_ptr<const void> owner, const void* data);

  // Fresh zeroed storage; fill through `mutable_data` before sharing the literal.
  static Literal zeros(DType dtype, const Shape& shape);
  // Converts each value to `dtype` (floats round to nearest even; integers wrap; bool is value != 0).
  static Literal from_doubles(DType dtype, const Shape& shape, std::span<const double> values);
  template <class T>
  static Literal from(std::span<const T> values, const Shape& shape);
  template <class T>
  static Literal scalar(T value) {
    return from(std::span<const T>(&value, 1), Shape{});
  }
  // One value of any type, repeated.
  static Literal filled(DType dtype, const Shape& shape, double value);

  explicit operator bool() const { return data_ != nullptr; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t elements() const { return shape_.elements(); }
  size_t bytes() const { return static_cast<size_t>(elements()) * size_of(dtype_); }
  const void* data() const { return data_; }
  // Only before the literal is shared: throws kInternal afterwards or when the bytes are not our own.
  void* mutable_data();
  template <class T>
  std::span<const T> values() const;
  // Every element as double (64-bit integers beyond 2^53 lose low bits).
  std::vector<double> to_doubles() const;
  double at(int64_t index) const;
  bool same_bytes(const Literal& other) const;
  // "f32[2, 2] {1, 2, 3, 4}"; long ones are cut after `limit` elements.
  std::string text(int64_t limit = 16) const;

 private:
  DType dtype_ = f32;
  Shape shape_;
  std::shared_ptr<const void> owner_;
  const void* data_ = nullptr;
  bool own_ = false;  // allocated here, therefore writable while not shared
};

template <class T>
std::span<const T> Literal::values() const {
  TRIREME_CHECK(dtype_of<T>() == dtype_, "literal read as another type than it has");
  return {static_cast<const T*>(data_), static_cast<size_t>(elements())};
}

template <class T>
Literal Literal::from(std::span<const T> values, const Shape& shape) {
  if (static_cast<int64_t>(values.size()) != shape.elements()) {
    throw Error(Code::kInvalidArgument, "shape " + shape.text() + " needs " + std::to_string(shape.elements()) +
                                            " values; given " + std::to_string(values.size()));
  }
  Literal out = zeros(dtype_of<T>(), shape);
  T* to = static_cast<T*>(out.mutable_data());
  for (size_t i = 0; i < values.size(); ++i) to[i] = values[i];
  return out;
}

// Element conversion used everywhere on the host: floats round to nearest even, integers wrap modulo 2^bits,
// float to integer truncates toward zero and saturates (NaN gives 0), anything to bool is != 0.
void convert_elements(DType from, const void* source, DType to, void* target, int64_t count);

}  // namespace trireme
