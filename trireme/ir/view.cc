#include "trireme/ir/view.h"

#include <vector>

#include "trireme/base/strings.h"
#include "trireme/ir/op_decl.h"

namespace trireme {

namespace {

// Splits and merges axes without moving elements: groups of old and new axes with equal products must each be
// contiguous runs in memory.
std::optional<View> reshape_view(const View& input, const Shape& shape) {
  View out{shape, {}, input.offset};
  if (shape.elements() == 0) {
    out.strides = dense_strides(shape);
    return out;
  }
  std::vector<int64_t> sizes, strides;  // the input without axes of size 1
  for (int a = 0; a < input.shape.rank(); ++a) {
    if (input.shape[a] == 1) continue;
    sizes.push_back(input.shape[a]);
    strides.push_back(input.strides[static_cast<size_t>(a)]);
  }
  size_t from = 0;
  int to = 0;
  while (to < shape.rank()) {
    if (shape[to] == 1) {
      out.strides[static_cast<size_t>(to++)] = 1;
      continue;
    }
    int64_t old_product = sizes[from], new_product = shape[to];
    size_t from_end = from + 1;
    int to_end = to + 1;
    while (old_product != new_product) {
      if (old_product < new_product) old_product *= sizes[from_end++];
      else new_product *= shape[to_end++];
    }
    for (size_t k = from; k + 1 < from_end; ++k) {
      if (strides[k] != sizes[k + 1] * strides[k + 1]) return std::nullopt;
    }
    int64_t step = strides[from_end - 1];
    for (int k = to_end - 1; k >= to; --k) {
      out.strides[static_cast<size_t>(k)] = step;
      step *= shape[k];
    }
    from = from_end;
    to = to_end;
  }
  return out;
}

}  // namespace

bool is_view(const Node& node) { return node.op().kind.value == Kind::kView && !node.op().is_composite(); }

std::optional<View> apply_view(const Node& node, const View& input) {
  const AttributeReader attributes(node.op(), node.attributes());
  TRIREME_CHECK(input.shape == node.inputs()[0].shape(),
                cat("view ", node.name(), " of ", node.inputs()[0].type(), " given a source of shape ", input.shape));
  View out{node.outputs()[0].shape, {}, input.offset};
  const auto stride = [&](int64_t axis) -> int64_t { return input.strides[static_cast<size_t>(axis)]; };
  if (node.is("reshape")) return reshape_view(input, out.shape);
  if (node.is("transpose")) {
    const Ints& order = attributes.integers("order");
    for (size_t a = 0; a < order.size(); ++a) out.strides[a] = stride(order[a]);
    return out;
  }
  if (node.is("slice")) {
    const Ints &begin = attributes.integers("begin"), &step = attributes.integers("step");
    for (size_t a = 0; a < begin.size(); ++a) {
      out.strides[a] = stride(static_cast<int64_t>(a)) * step[a];
      if (out.shape.elements() > 0) out.offset += stride(static_cast<int64_t>(a)) * begin[a];
    }
    return out;
  }
  if (node.is("broadcast_to")) {
    const int extra = out.shape.rank() - input.shape.rank();
    for (int a = 0; a < input.shape.rank(); ++a) {
      const bool stretched = input.shape[a] == 1 && out.shape[a + extra] != 1;
      out.strides[static_cast<size_t>(a + extra)] = stretched ? 0 : stride(a);
    }
    return out;
  }
  if (node.is("reverse")) {
    out.strides = input.strides;
    Ints axes = attributes.integers("axes");
    for (int64_t a = 0; a < input.shape.rank() && attributes.integers("axes").empty(); ++a) axes.push_back(a);
    for (int64_t a : axes) {
      const int64_t axis = a < 0 ? a + input.shape.rank() : a;
      if (out.shape.elements() > 0) out.offset += stride(axis) * (out.shape[static_cast<int>(axis)] - 1);
      out.strides[static_cast<size_t>(axis)] = -stride(axis);
    }
    return out;
  }
  if (node.is("bitcast") || node.is("optimization_barrier")) {
    out.strides = input.strides;
    return out;
  }
  return std::nullopt;
}

}  // namespace trireme
