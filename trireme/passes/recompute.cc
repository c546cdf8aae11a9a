#include "trireme/passes/recompute.h"

#include <algorithm>
#include <set>
#include <utility>

#include "trireme/ir/op_decl.h"
#include "trireme/ops/ops.h"
#include "trireme/passes/pass.h"

namespace trireme::passes {

namespace {

using Used = std::set<std::pair<const Node*, uint32_t>>;

Value after_all(Value x, const std::vector<Value>& others) {
  for (const Value& other : others) x = ops::optimization_barrier(x, other);
  return x;
}

// The gradients of a segment (node) from its operands: arguments, values of outside, gradients of the results.
Values computed_again(const Node& node, std::vector<Value> operands, const Used& used) {
  const OpView view(node);
  const Graph& backward = view.graph("backward");
  const auto arguments = static_cast<size_t>(view.integer("arguments"));
  const std::vector<Value> dy(operands.end() - view.integer("results"), operands.end());
  const bool order = enabled("recompute");
  size_t leading = 0;  // gradients of arguments, which come before those of values from outside
  for (size_t i = 0; i < arguments; ++i) {
    leading += is_float(operands[i].dtype()) ? 1 : 0;
    if (order) operands[i] = after_all(operands[i], dy);
  }
  Values dx = inline_graph(backward, operands);
  if (!order) return dx;
  std::vector<Value> own;
  for (size_t k = leading; k < dx.size(); ++k) {
    if (used.contains({&node, static_cast<uint32_t>(k)})) own.push_back(dx[k]);
  }
  for (size_t k = 0; k < leading; ++k) {
    if (used.contains({&node, static_cast<uint32_t>(k)})) dx[k] = after_all(dx[k], own);
  }
  return dx;
}

}  // namespace

Graph recompute(const Graph& graph) {
  const auto nodes = graph.nodes();
  const auto is_segment = [](const Node* node) { return node->is("segment") || node->is("segment_gradient"); };
  if (std::none_of(nodes.begin(), nodes.end(), is_segment)) return graph;
  Used used;
  const auto use = [&](const Value& v) {
    if (v) used.emplace(&v.node(), v.index());
  };
  for (const Node* node : nodes) std::for_each(node->inputs().begin(), node->inputs().end(), use);
  std::for_each(graph.outputs().begin(), graph.outputs().end(), use);
  Rewriter rewrite;
  for (const Node* node : nodes) {
    if (!is_segment(node)) continue;
    const SourceScope source(node->source());
    std::vector<Value> operands;
    for (const Value& v : node->inputs()) operands.push_back(rewrite(v));
    const Values results = node->is("segment") ? inline_graph(OpView(*node).graph("body"), operands)
                                               : computed_again(*node, std::move(operands), used);
    for (size_t k = 0; k < results.size(); ++k) rewrite.replace(Value(*node, static_cast<uint32_t>(k)), results[k]);
  }
  const Graph result = recompute(rewrite(graph));  // segments within segments
  if (verify_enabled()) verify(result, "recompute");
  return result;
}

}  // namespace trireme::passes
