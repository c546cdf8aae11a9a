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

// The elements by their places, neighbours joined. Elements that share a place are the same.
std::map<uint64_t, std::vector<char>> pieces_of(const Literal& values, const Strides& strides) {
  const size_t item = size_of(values.dtype());
  std::map<uint64_t, const char*> elements;
  for (int64_t i = 0; i < values.elements(); ++i) {
    elements[static_cast<uint64_t>(place(values.shape(), strides, i)) * item] =
        static_cast<const char*>(values.data()) + static_cast<size_t>(i) * item;
  }
  std::map<uint64_t, std::vector<char>> out;
  for (const auto& [at, bytes] : elements) {
    if (out.empty() || out.rbegin()->first + out.rbegin()->second.size() != at) out[at];
    std::vector<char>& last = out.rbegin()->second;
    last.insert(last.end(), bytes, bytes + item);
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

Layout far_apart(const Literal& values) {
  const Shape& shape = values.shape();
  int axis = 0;
  while (axis < shape.rank() && shape[axis] < 2) ++axis;
  if (axis == shape.rank() || shape.elements() == 0) return dense(values);
  const Strides inner = dense_strides(shape.without(axis));
  const auto item = static_cast<int64_t>(size_of(values.dtype()));
  const int64_t slice = shape.without(axis).elements();
  // Cut to 32 bits the last slice lies just behind the first.
  const int64_t wanted = (int64_t{1} << 32) + 64 + slice * item, steps = item * (shape[axis] - 1);
  const int64_t step = (wanted + steps - 1) / steps;
  Layout out{values, {}, {}, 0};
  for (int a = 0, b = 0; a < shape.rank(); ++a) {
    out.strides[static_cast<size_t>(a)] = a == axis ? step : inner[static_cast<size_t>(b++)];
  }
  out.pieces = pieces_of(values, out.strides);
  out.reach = out.pieces.rbegin()->first + out.pieces.rbegin()->second.size();
  return out;
}

Layout far_apart_repeated(const Literal& values) {
  const int last = values.shape().rank() - 1;
  if (last < 1 || values.shape().elements() == 0) return far_apart(values);
  const Layout repeated = broadcast_last(values);
  Layout out = far_apart(repeated.values);
  if (out.reach == 0 || out.strides[static_cast<size_t>(last)] > values.shape().elements()) return out;
  out.strides[static_cast<size_t>(last)] = 0;
  out.pieces = pieces_of(out.values, out.strides);
  out.reach = out.pieces.rbegin()->first + out.pieces.rbegin()->second.size();
  return out;
}

std::span<const NamedLayout> far_layouts() {
  static constexpr NamedLayout all[] = {{"far apart, behind 2^32 bytes", far_apart},
                                        {"far apart, behind 2^32 bytes, and repeated", far_apart_repeated}};
  return all;
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
