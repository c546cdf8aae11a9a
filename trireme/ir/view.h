// Views: a tensor seen through sizes, strides and an offset over somebody else's elements. Ops of Kind::kView never
// reach a chip; the planner turns them into this.
#pragma once

#include <cstdint>
#include <optional>

#include "trireme/core/shape.h"
#include "trireme/ir/node.h"

namespace trireme {

struct View {
  Shape shape;
  Strides strides{};   // in elements of the view's type; 0: broadcast, negative: reversed
  int64_t offset = 0;  // of element [0, 0, ...], in elements

  static View dense(const Shape& shape) { return {shape, dense_strides(shape), 0}; }
  bool is_dense() const { return trireme::is_dense(shape, strides); }
};

// A primitive of Kind::kView. (A composite of that kind, such as flatten, becomes one when it is decomposed.)
bool is_view(const Node& node);

// The output of a view op whose input is seen as `input`; nothing when only a copy can do it (a reshape that would
// have to merge axes that do not follow one another in memory; a bitcast).
std::optional<View> apply_view(const Node& view_node, const View& input);

}  // namespace trireme
