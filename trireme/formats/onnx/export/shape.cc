// What moves elements without arithmetic, and what makes them out of nothing.
#include "trireme/formats/onnx/emit.h"
#include "trireme/ops/declare.h"

namespace trireme::formats::onnx {

namespace {

bool same(Emit& e) {
  e.give(e.in(0));
  return true;
}

bool reshape(Emit& e) {
  e.give(e.reshape(e.in(0), e.y().shape()));
  return true;
}

bool transpose(Emit& e) {
  e.give("Transpose", {e.in(0)}, {{"perm", e.integers("order")}});
  return true;
}

bool broadcast_to(Emit& e) {
  e.give("Expand", {e.in(0), e.list(e.y().shape().vector())});
  return true;
}

bool slice(Emit& e) {
  if (e.shape(0).rank() == 0) return same(e);
  e.give("Slice", {e.in(0), e.list(e.integers("begin")), e.list(e.integers("end")),
                   e.list(ops::iota_axes(e.shape(0).rank())), e.list(e.integers("step"))});
  return true;
}

bool reverse(Emit& e) {
  const int rank = e.shape(0).rank();
  Ints axes = ops::normal_axes(e.integers("axes"), rank);
  if (axes.empty()) axes = ops::iota_axes(rank);
  if (axes.empty()) return same(e);
  // From the last element to before the first: an end far enough below zero is clamped there.
  e.give("Slice", {e.in(0), e.list(Ints(axes.size(), -1)), e.list(Ints(axes.size(), -kMaxElements)), e.list(axes),
                   e.list(Ints(axes.size(), -1))});
  return true;
}

bool concat(Emit& e) {
  Names parts;
  for (int i = 0; i < e.inputs(); ++i) parts.push_back(e.in(i));
  e.give("Concat", parts, {{"axis", e.integer("axis")}});
  return true;
}

bool pad(Emit& e) {
  const Ints &low = e.integers("low"), &high = e.integers("high"), &interior = e.integers("interior");
  const std::string value = e.scalar(e.number("value"));
  std::string x = e.in(0);
  Shape shape = e.shape(0);
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const int64_t between = interior[static_cast<size_t>(axis)], size = shape[axis];
    if (between == 0 || size < 2) continue;
    // Each element gets an axis of its own, which is padded; what follows the last element is cut off again.
    const Shape spread = shape.inserted(axis + 1, 1);
    Ints pads(2 * static_cast<size_t>(spread.rank()), 0);
    pads[static_cast<size_t>(spread.rank() + axis) + 1] = between;
    x = e.add("Pad", {e.reshape(x, spread), e.list(pads), value});
    shape = shape.with(axis, size * (between + 1));
    x = e.reshape(x, shape);
    shape = shape.with(axis, shape[axis] - between);
    x = e.add("Slice", {x, e.list({0}), e.list({shape[axis]}), e.list({axis})});
  }
  Ints pads = low;
  pads.insert(pads.end(), high.begin(), high.end());
  if (pads.empty()) return same(e);
  e.give("Pad", {x, e.list(pads), value});
  return true;
}

bool tile(Emit& e) {
  const Ints& repeats = e.integers("repeats");
  if (repeats.size() != static_cast<size_t>(e.shape(0).rank()) || repeats.empty()) return false;
  e.give("Tile", {e.in(0), e.list(repeats)});
  return true;
}

bool fill(Emit& e) {
  e.give("Expand", {e.scalar(e.y().dtype(), e.number("value")), e.list(e.y().shape().vector())});
  return true;
}

bool iota(Emit& e) {
  const Shape& shape = e.y().shape();
  const auto axis = static_cast<int>(normal_axis(e.integer("axis"), shape.rank()));
  Ints numbers(static_cast<size_t>(shape[axis]));
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<int64_t>(i);
  Literal along = Literal::zeros(e.y().dtype(), {shape[axis]});
  convert_elements(i64, numbers.data(), along.dtype(), along.mutable_data(), shape[axis]);
  Ints sizes(static_cast<size_t>(shape.rank()), 1);
  sizes[static_cast<size_t>(axis)] = shape[axis];
  e.give("Expand", {e.reshape(e.constant(along), sizes), e.list(shape.vector())});
  return true;
}

template <const char* kOp>
bool blocks(Emit& e) {
  e.give(kOp, {e.in(0)}, {{"blocksize", e.integer("block")}});
  return true;
}
constexpr char kDepthToSpace[] = "DepthToSpace", kSpaceToDepth[] = "SpaceToDepth";

}  // namespace

std::span<const ExportRule> shape_export_rules() {
  static const ExportRule rules[] = {
      {"broadcast_to", {}, any_dtype, broadcast_to},
      {"concat", {}, any_dtype, concat},
      {"depth_to_space", {}, any_dtype, blocks<kDepthToSpace>},
      {"fill", {}, any_dtype, fill},
      {"iota", {}, any_dtype, iota},
      {"optimization_barrier", {}, any_dtype, same},
      {"pad", {}, any_dtype, pad},
      {"reshape", {}, any_dtype, reshape},
      {"reverse", {}, any_dtype, reverse},
      {"slice", {}, any_dtype, slice},
      {"space_to_depth", {}, any_dtype, blocks<kSpaceToDepth>},
      {"strided_copy", {}, any_dtype, same},
      {"tile", {}, any_dtype, tile},
      {"transpose", {}, any_dtype, transpose},
  };
  return rules;
}

}  // namespace trireme::formats::onnx
