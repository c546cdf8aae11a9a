#include "trireme/passes/gradient.h"

#include <unordered_map>
#include <unordered_set>

#include "trireme/base/strings.h"
#include "trireme/ir/graph.h"
#include "trireme/ir/op_decl.h"
#include "trireme/ops/value.h"

namespace trireme::passes {

namespace {

class Backward {
 public:
  explicit Backward(const std::vector<Value>& wrt) {
    for (const Value& v : wrt) wanted_.insert(&v.node());
  }

  void seed(const Value& y, const Value& dy) { accumulate(y, dy); }

  // Walks from the outputs to the inputs; a node is visited when all of its readers have been.
  void run(const std::vector<Value>& outputs) {
    const Graph graph({}, outputs);
    const auto order = graph.nodes();
    for (const Node* node : order) {
      bool needed = wanted_.contains(node);
      for (const Value& v : node->inputs()) needed = needed || (v && needed_.contains(&v.node()));
      if (needed) needed_.insert(node);
    }
    for (auto node = order.rbegin(); node != order.rend(); ++node) {
      if (needed_.contains(*node)) visit(**node);
    }
  }

  Value gradient_of(const Value& x) const {
    const auto at = gradients_.find(&x.node());
    if (at == gradients_.end() || !at->second[x.index()]) return ops::filled_like(x, 0.0);
    return at->second[x.index()];
  }

 private:
  void accumulate(const Value& x, const Value& dx) {
    TRIREME_CHECK(dx.type() == x.type(),
                  cat("gradient of type ", dx.type(), " for a value of type ", x.type(), " made by ", x.node().name()));
    auto& slots = gradients_[&x.node()];
    slots.resize(x.node().outputs().size());
    Value& slot = slots[x.index()];
    slot = slot ? slot + dx : dx;
  }

  void visit(const Node& node) {
    const auto at = gradients_.find(&node);
    if (at == gradients_.end()) return;
    bool reaches = false;  // a wanted leaf has nothing behind it to go on to
    for (const Value& v : node.inputs()) reaches = reaches || (v && needed_.contains(&v.node()));
    if (!reaches) return;
    const SourceScope source(node.source());
    const std::vector<Value> dy = at->second;
    const Gradient& rule = node.op().gradient;
    if (rule.way == Gradient::Way::kNone) {
      if (!is_float(node.outputs()[0].dtype)) return;  // integers and booleans carry no gradient
      throw Error(Code::kUnsupported, cat("no gradient of ", node.name(), " (at ", node.source(), "): ", rule.reason,
                                          "; cut the path with stop_gradient(x) if none is meant"));
    }
    std::vector<Value> dx;
    if (rule.way == Gradient::Way::kPullback) {
      Pullback pullback(node, dy);
      rule.pullback(pullback);
      dx = pullback.result();
    } else {
      dx = through_body(node, dy);
    }
    for (size_t i = 0; i < dx.size(); ++i) {
      const Value& x = node.inputs()[i];
      if (dx[i] && x && needed_.contains(&x.node())) accumulate(x, dx[i]);
    }
  }

  // Differentiates the decomposition. Inputs and seeds are replaced by fresh parameters meanwhile, so that the work
  // stays inside the body whatever lies around it.
  std::vector<Value> through_body(const Node& node, const std::vector<Value>& dy) const {
    Rewriter to_leaves, from_leaves;
    const auto leaf_for = [&](const Value& v) {
      const Value leaf = parameter(v.dtype(), v.shape());
      from_leaves.replace(leaf, v);
      return leaf;
    };
    std::vector<Value> wrt, leaves;
    std::vector<size_t> positions;
    for (size_t i = 0; i < node.inputs().size(); ++i) {
      const Value& v = node.inputs()[i];
      bool repeated = !v;
      for (size_t k = 0; k < i; ++k) repeated = repeated || node.inputs()[k] == v;
      if (repeated) continue;  // the body's gradient counts every use of a value already
      const Value leaf = leaf_for(v);
      leaves.push_back(leaf);
      to_leaves.replace(v, leaf);
      if (!needed_.contains(&v.node()) || !is_float(v.dtype())) continue;
      wrt.push_back(leaf);
      positions.push_back(i);
    }
    std::vector<Value> outputs, seeds;
    const Values body = decomposition_of(node);
    for (size_t i = 0; i < body.size(); ++i) {
      if (!dy[i]) continue;
      outputs.push_back(to_leaves(body[i]));
      seeds.push_back(leaf_for(dy[i]));
    }
    std::vector<Value> dx(node.inputs().size());
    const auto inner = gradient(outputs, wrt, seeds);
    for (size_t i = 0; i < positions.size(); ++i) dx[positions[i]] = from_leaves(inner[i]);
    return dx;
  }

  std::unordered_set<const Node*> wanted_, needed_;
  std::unordered_map<const Node*, std::vector<Value>> gradients_;
};

}  // namespace

std::vector<Value> gradient(const std::vector<Value>& y, const std::vector<Value>& wrt,
                            const std::vector<Value>& seeds) {
  for (const Value& x : wrt) {
    if (!is_float(x.dtype())) {
      throw Error(Code::kInvalidArgument,
                  cat("gradient with respect to a value of type ", x.type(), "; only floating types have gradients"));
    }
  }
  Backward backward(wrt);
  for (size_t i = 0; i < y.size(); ++i) {
    const Value seed = i < seeds.size() && seeds[i] ? seeds[i] : ops::filled(y[i].dtype(), y[i].shape(), 1.0);
    backward.seed(y[i], seed);
  }
  backward.run(y);
  std::vector<Value> out;
  for (const Value& x : wrt) out.push_back(backward.gradient_of(x));
  return out;
}

}  // namespace trireme::passes
