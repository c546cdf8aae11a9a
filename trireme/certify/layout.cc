#include "trireme/certify/layout.h"

#include <cstring>

namespace trireme::certify {
namespace {

// Row-major index of an element to its place under other strides, in elements.
int64_t place(const Shape& shape, const Strides& strides, int64_t index) {
  const Strides from = dense_strides(shape);
  int64_t to = 0;
  for (int a = 0; a < shape.rank(); ++a) {
    const auto axis = static_cast<size_t>(a);
    to += index / from[axis] % shape[a] * strides[axis];
  }
  return to;
}

Layout placed(const Literal& values, const Strides& strides, size_t origin) {
  Layout out{values, strides, std::vector<char>(values.bytes()), origin};
  const auto item = static_cast<int64_t>(size_of(values.dtype()));
  for (int64_t i = 0; i < values.elements(); ++i) {
    std::memcpy(out.memory.data() + origin + place(values.shape(), strides, i) * item,
                static_cast<const char*>(values.data()) + i * item, static_cast<size_t>(item));
  }
  return out;
}

Layout broadcast(const Literal& values, int axis) {
  const Shape& shape = values.shape();
  if (shape.rank() == 0 || shape.elements() == 0) return dense(values);
  const auto item = static_cast<int64_t>(size_of(values.dtype()));
  const Shape slice = shape.without(axis);
  Layout out{Literal(), {}, std::vector<char>(static_cast<size_t>(slice.elements() * item)), 0};
  const Strides inner = dense_strides(slice);
  for (int a = 0, b = 0; a < shape.rank(); ++a) {
    out.strides[static_cast<size_t>(a)] = a == axis ? 0 : inner[static_cast<size_t>(b++)];
  }
  Literal repeated = Literal::zeros(values.dtype(), shape);
  const Strides from = dense_strides(shape);
  const auto* source = static_cast<const char*>(values.data());
  auto* target = static_cast<char*>(repeated.mutable_data());
  for (int64_t i = 0; i < shape.elements(); ++i) {
    const int64_t along = i / from[static_cast<size_t>(axis)] % shape[axis];
    const int64_t first = i - along * from[static_cast<size_t>(axis)];  // the same element of the first slice
    std::memcpy(target + i * item, source + first * item, static_cast<size_t>(item));
    std::memcpy(out.memory.data() + place(shape, out.strides, i) * item, source + first * item,
                static_cast<size_t>(item));
  }
  out.values = repeated;
  return out;
}

}  // namespace

Layout dense(const Literal& values) {
  Layout out{values, dense_strides(values.shape()), std::vector<char>(values.bytes()), 0};
  if (values.bytes() > 0) std::memcpy(out.memory.data(), values.data(), values.bytes());
  return out;
}

Layout column_major(const Literal& values) {
  Strides strides{};
  int64_t step = 1;
  for (int a = 0; a < values.shape().rank(); ++a) {
    strides[static_cast<size_t>(a)] = step;
    step *= values.shape()[a];
  }
  return placed(values, strides, 0);
}

Layout broadcast_first(const Literal& values) { return broadcast(values, 0); }
Layout broadcast_last(const Literal& values) { return broadcast(values, values.shape().rank() - 1); }

Layout reversed(const Literal& values) {
  const Shape& shape = values.shape();
  if (shape.elements() == 0) return dense(values);
  Strides strides = dense_strides(shape);
  for (int64_t& step : strides) step = -step;
  return placed(values, strides, (static_cast<size_t>(shape.elements()) - 1) * size_of(values.dtype()));
}

std::span<const NamedLayout> all_layouts() {
  static constexpr NamedLayout all[] = {{"dense", dense},
                                        {"column-major", column_major},
                                        {"broadcast along the first axis", broadcast_first},
                                        {"broadcast along the last axis", broadcast_last},
                                        {"reversed", reversed}};
  return all;
}

}  // namespace trireme::certify
