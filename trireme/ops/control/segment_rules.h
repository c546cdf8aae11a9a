// What the ops segment and segment_gradient share.
#pragma once

#include <algorithm>
#include <vector>

#include "trireme/ir/graph.h"
#include "trireme/ir/op_decl.h"

namespace trireme {

// The graph's inputs have the types of the node's inputs.
inline bool takes_operands(const Graph& graph, const Infer& i) {
  if (static_cast<int>(graph.inputs().size()) != i.inputs()) return false;
  for (int k = 0; k < i.inputs(); ++k) {
    if (graph.inputs()[static_cast<size_t>(k)].type() != TensorType{i.dtype(k), i.shape(k)}) return false;
  }
  return true;
}

inline size_t count_floats(const std::vector<Value>& values) {
  return static_cast<size_t>(
      std::count_if(values.begin(), values.end(), [](const Value& v) { return is_float(v.dtype()); }));
}

}  // namespace trireme
