#include "trireme/passes/simplify.h"

#include <limits>
#include <optional>
#include <unordered_map>

#include "trireme/ir/op_decl.h"
#include "trireme/ir/view.h"
#include "trireme/ops/ops.h"
#include "trireme/passes/pass.h"
#include "trireme/reference/evaluator.h"

namespace trireme::passes {

namespace {

constexpr int64_t kFoldedElements = 1024;  // larger results would only make the graph heavy

// The value every element of a constant, or of a broadcast constant, has.
std::optional<double> uniform_value(const Value& v) {
  const Node* node = &v.node();
  while (node->is("broadcast_to") || node->is("reshape")) node = &node->inputs()[0].node();
  if (!node->is("constant")) return std::nullopt;
  const Literal& literal = AttributeReader(node->op(), node->attributes()).literal("value");
  if (literal.elements() != 1 || (literal.dtype() == i64 || literal.dtype() == u64)) return std::nullopt;
  return literal.at(0);
}

bool is_uniform(const Value& v, double value) {
  const auto found = uniform_value(v);
  return found && *found == value;
}

using Rule = Value (*)(const Node& node);  // an equal value, or an empty one

Value same_view(const Node& node) {
  if (!node.is("reshape") && !node.is("broadcast_to")) return {};
  return node.inputs()[0].shape() == node.outputs()[0].shape ? node.inputs()[0] : Value{};
}

Value view_of_view(const Node& node) {
  if (node.inputs().empty() || !node.inputs()[0] || !(&node.inputs()[0].node().op() == &node.op())) return {};
  const Node& inner = node.inputs()[0].node();
  if (node.is("reshape")) return ops::reshape(inner.inputs()[0], node.outputs()[0].shape.vector());
  if (node.is("transpose")) {
    const Ints &outer_order = OpView(node).integers("order"), &inner_order = OpView(inner).integers("order");
    Ints order;
    for (int64_t a : outer_order) order.push_back(inner_order[static_cast<size_t>(a)]);
    return ops::transpose(inner.inputs()[0], order);
  }
  if (node.is("broadcast_to")) return ops::broadcast_to(inner.inputs()[0], node.outputs()[0].shape.vector());
  return {};
}

Value identity_transpose(const Node& node) {
  if (!node.is("transpose")) return {};
  const Ints& order = OpView(node).integers("order");
  for (size_t a = 0; a < order.size(); ++a) {
    if (order[a] != static_cast<int64_t>(a)) return {};
  }
  return node.inputs()[0];
}

Value same_type(const Node& node) {
  if (!node.is("convert")) return {};
  return node.inputs()[0].dtype() == node.outputs()[0].dtype ? node.inputs()[0] : Value{};
}

// x + 0 would turn -0 into +0, so a sum keeps its zero unless the zero is negative or the type has no -0.
Value neutral_operand(const Node& node) {
  if (node.inputs().size() != 2) return {};
  const Value &x = node.inputs()[0], &y = node.inputs()[1];
  if (node.is("mul")) return is_uniform(y, 1.0) ? x : is_uniform(x, 1.0) ? y : Value{};
  if (node.is("div")) return is_uniform(y, 1.0) ? x : Value{};
  if (node.is("sub")) return is_uniform(y, 0.0) ? x : Value{};
  if (node.is("add") && !is_float(x.dtype())) return is_uniform(y, 0.0) ? x : is_uniform(x, 0.0) ? y : Value{};
  return {};
}

Value folded_constant(const Node& node) {
  const Kind kind = node.op().kind.value;
  if (node.outputs().size() != 1 || node.inputs().empty() || kind == Kind::kControl || is_view(node)) return {};
  if (node.op().meaning.truth == nullptr || node.is("optimization_barrier")) return {};
  // Weights in a narrower type take less memory and need not be converted again in each run.
  const bool narrower = node.is("convert") && size_of(node.outputs()[0].dtype) < size_of(node.inputs()[0].dtype());
  const int64_t most = narrower ? std::numeric_limits<int64_t>::max() : kFoldedElements;
  if (node.outputs()[0].shape.elements() > most) return {};
  for (const Value& v : node.inputs()) {
    const Node* base = v ? &v.node() : nullptr;
    while (base != nullptr && is_view(*base)) base = &base->inputs()[0].node();
    if (base == nullptr || !base->is("constant") || v.shape().elements() > most) return {};
  }
  return ops::constant(reference::evaluate(Graph({}, {Value(node)}), {})[0]);
}

constexpr struct {
  std::string_view name;
  Rule rule;
} kRules[] = {
    {"same_view", same_view}, {"view_of_view", view_of_view},       {"identity_transpose", identity_transpose},
    {"same_type", same_type}, {"neutral_operand", neutral_operand}, {"folded_constant", folded_constant}};

}  // namespace

Graph simplify(const Graph& graph) {
  Rewriter rewrite;
  for (const Node* node : graph.nodes()) {
    if (node->is("parameter")) continue;
    Value now = rewrite(Value(*node, 0));
    for (bool changed = true; changed;) {
      changed = false;
      for (const auto& [name, rule] : kRules) {
        const SourceScope source(now.node().source());
        const Value better = rule(now.node());
        if (!better || better == now) continue;
        now = better;
        changed = true;
        if (now.node().is("parameter") || now.node().outputs().size() != 1) changed = false;
        break;
      }
    }
    // Rules apply to single results; nodes with several outputs only had their inputs rewritten.
    if (node->outputs().size() == 1) rewrite.replace(Value(*node, 0), now);
  }
  return rewrite(graph);
}

}  // namespace trireme::passes
