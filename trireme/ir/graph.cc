#include "trireme/ir/graph.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory_resource>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "trireme/base/strings.h"
#include "trireme/ir/op_decl.h"
#include "trireme/ir/registry.h"

namespace trireme {

Graph::Graph(std::vector<Value> inputs, std::vector<Value> outputs, std::vector<std::string> input_names,
             std::vector<std::string> output_names)
    : inputs_(std::move(inputs)),
      outputs_(std::move(outputs)),
      input_names_(std::move(input_names)),
      output_names_(std::move(output_names)) {}

namespace {

// Memory for the tables of one pass over a graph: the stack, while the graph is small.
class Scratch {
 public:
  std::pmr::memory_resource* memory() { return &memory_; }

 private:
  alignas(std::max_align_t) std::byte first_[16 << 10];
  std::pmr::monotonic_buffer_resource memory_{first_, sizeof first_};
};

// Appends to `order` the nodes that `values` reach and that `places` does not have, inputs first. A place is the number
// of nodes before.
using Places = std::pmr::unordered_map<const Node*, size_t>;
void walk(std::span<const Value> values, Places& places, std::vector<const Node*>& order) {
  struct Visit {
    const Node* node;
    size_t next;    // input
    size_t* place;  // in `places`, whose elements stay where they are
  };
  std::vector<Visit> stack;
  const auto push = [&](const Value& v) {
    if (!v) return;
    const auto [at, is_new] = places.try_emplace(&v.node(), 0);
    if (is_new) stack.push_back({&v.node(), 0, &at->second});
  };
  const auto drain = [&] {
    while (!stack.empty()) {
      Visit& visit = stack.back();
      if (visit.next < visit.node->inputs().size()) {
        push(visit.node->inputs()[visit.next++]);
      } else {
        *visit.place = order.size();
        order.push_back(visit.node);
        stack.pop_back();
      }
    }
  };
  for (const Value& v : values) {
    push(v);
    drain();
  }
}

// The nodes of a graph in run order, and where each stands: what values of two graphs are compared by.
class Order {
 public:
  explicit Order(const Graph& graph) {
    walk(graph.inputs(), places_, nodes);
    walk(graph.outputs(), places_, nodes);
  }
  size_t place(const Value& v) const { return places_.at(&v.node()); }

  std::vector<const Node*> nodes;

 private:
  Scratch scratch_;
  Places places_{scratch_.memory()};
};

}  // namespace

std::vector<const Node*> Graph::nodes() const { return std::move(Order(*this).nodes); }

std::vector<const Node*> nodes_between(std::span<const Value> outer, std::span<const Value> outputs) {
  std::vector<const Node*> order;
  Scratch scratch;
  Places places(scratch.memory());
  for (const Value& v : outer) {
    if (v) places.try_emplace(&v.node(), 0);
  }
  walk(outputs, places, order);
  return order;
}

uint64_t Graph::structural_hash() const {
  const Order order(*this);
  uint64_t h = mix_hash(inputs_.size(), outputs_.size());
  for (const Node* node : order.nodes) {
    const OpDecl& op = node->op();
    h = hash_bytes(op.id().data(), op.id().size(), h);
    const bool is_parameter = op.id() == "parameter";
    for (const Value& v : node->inputs()) h = mix_hash(h, v ? order.place(v) * 8 + v.index() : ~0ull);
    if (is_parameter) {
      h = mix_hash(h, static_cast<uint64_t>(node->outputs()[0].dtype));
      for (int64_t size : node->outputs()[0].shape) h = mix_hash(h, static_cast<uint64_t>(size));
    } else {
      for (const Attribute& a : node->attributes()) h = mix_hash(h, trireme::hash(a));
    }
  }
  for (const auto* list : {&inputs_, &outputs_}) {
    for (const Value& v : *list) h = mix_hash(h, order.place(v) * 8 + v.index());
  }
  return h;
}

bool same_structure(const Graph& a, const Graph& b) {
  if (a.inputs().size() != b.inputs().size() || a.outputs().size() != b.outputs().size()) return false;
  const Order order_a(a), order_b(b);
  if (order_a.nodes.size() != order_b.nodes.size()) return false;
  const auto same_values = [&](const std::vector<Value>& x, const std::vector<Value>& y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), [&](const Value& v, const Value& w) {
      if (!v || !w) return !v && !w;
      return v.index() == w.index() && order_a.place(v) == order_b.place(w);
    });
  };
  for (size_t i = 0; i < order_a.nodes.size(); ++i) {
    const Node &x = *order_a.nodes[i], &y = *order_b.nodes[i];
    if (&x.op() != &y.op() || x.outputs() != y.outputs() || !same_values(x.inputs(), y.inputs())) return false;
    if (x.is("parameter")) continue;
    for (size_t k = 0; k < x.attributes().size(); ++k) {
      if (!same(x.attributes()[k], y.attributes()[k])) return false;
    }
  }
  return same_values(a.inputs(), b.inputs()) && same_values(a.outputs(), b.outputs());
}

Value parameter(DType dtype, const Shape& shape) {
  static std::atomic<int64_t> next{0};
  return make_node(get_op("parameter"), {}, {dtype, shape.vector(), next.fetch_add(1)});
}

Value Rewriter::operator()(const Value& value) {
  if (!value) return value;
  if (const auto at = map_.find(key(value)); at != map_.end()) return at->second;
  // Depth first without recursion: graphs can be thousands of nodes deep.
  std::vector<const Node*> stack{&value.node()};
  while (!stack.empty()) {
    const Node& node = *stack.back();
    // All outputs, since some of them may be replaced while others follow the node's inputs.
    bool done = true;
    for (uint32_t i = 0; i < node.outputs().size(); ++i) done = done && map_.contains({&node, i});
    if (done) {
      stack.pop_back();
      continue;
    }
    bool ready = true, changed = false;
    for (const Value& v : node.inputs()) {
      if (!v) continue;
      const auto at = map_.find(key(v));
      if (at == map_.end()) {
        stack.push_back(&v.node());
        ready = false;
      } else {
        changed |= !(at->second == v);
      }
    }
    if (!ready) continue;
    stack.pop_back();
    Value first(node, 0);
    if (changed) {
      std::vector<Value> inputs;
      for (const Value& v : node.inputs()) inputs.push_back(v ? map_.at(key(v)) : Value{});
      const SourceScope source(node.source());
      first = make_node(node.op(), std::move(inputs), node.attributes());
    }
    for (uint32_t i = 0; i < node.outputs().size(); ++i) {
      map_.try_emplace({&node, i}, Value(first.node(), first.index() + i));
    }
  }
  return map_.at(key(value));
}

Graph Rewriter::operator()(const Graph& graph) {
  std::vector<Value> inputs, outputs;
  for (const Value& v : graph.inputs()) inputs.push_back((*this)(v));
  for (const Value& v : graph.outputs()) outputs.push_back((*this)(v));
  return {std::move(inputs), std::move(outputs), graph.input_names(), graph.output_names()};
}

bool verify_enabled() {
#ifdef NDEBUG
  static const bool enabled = [] {
    const char* set = std::getenv("TRIREME_VERIFY");
    return set != nullptr && std::string_view(set) == "1";
  }();
  return enabled;
#else
  return true;
#endif
}

void verify(const Graph& graph, std::string_view after) {
  std::unordered_set<const Node*> parameters;
  for (const Value& v : graph.inputs()) {
    TRIREME_CHECK(v && v.node().is("parameter"), cat("after ", after, ": a graph input is not a parameter"));
    TRIREME_CHECK(parameters.insert(&v.node()).second, cat("after ", after, ": a parameter is an input twice"));
  }
  for (const Value& v : graph.outputs()) TRIREME_CHECK(v, cat("after ", after, ": a graph output is empty"));
  const auto check_names = [&](const std::vector<std::string>& names, size_t count) {
    TRIREME_CHECK(names.empty() || names.size() == count, cat("after ", after, ": names and values differ in number"));
    std::unordered_set<std::string> seen;
    for (const auto& n : names) TRIREME_CHECK(seen.insert(n).second, cat("after ", after, ": name '", n, "' twice"));
  };
  check_names(graph.input_names(), graph.inputs().size());
  check_names(graph.output_names(), graph.outputs().size());
  for (const Node* node : graph.nodes()) {
    if (node->is("parameter")) {
      TRIREME_CHECK(parameters.contains(node), cat("after ", after, ": a parameter is reached that is no input"));
      continue;
    }
    std::vector<TensorType> outputs;
    Infer infer(node->op(), node->inputs(), node->attributes(), outputs);
    node->op().infer.rule(infer);
    TRIREME_CHECK(outputs == node->outputs(),
                  cat("after ", after, ": types of ", node->name(), " differ from its rule"));
  }
}

Values decomposition_of(const Node& node) {
  TRIREME_CHECK(node.op().meaning.decompose != nullptr, cat("op ", node.name(), " has no decomposition"));
  const SourceScope source(node.source());
  Values out = node.op().meaning.decompose(OpView(node));
  TRIREME_CHECK(out.size() == node.outputs().size(),
                cat("decomposition of ", node.name(), " gives ", out.size(), " values for ", node.outputs().size()));
  for (size_t i = 0; i < out.size(); ++i) {
    TRIREME_CHECK(out[i].type() == node.outputs()[i], cat("decomposition of ", node.name(), " gives ",
                                                          out[i].type().text(), " for ", node.outputs()[i].text()));
  }
  return out;
}

Values inline_graph(const Graph& graph, const std::vector<Value>& arguments) {
  TRIREME_CHECK(arguments.size() == graph.inputs().size(), "inline_graph: wrong number of arguments");
  Rewriter rewrite;
  for (size_t i = 0; i < arguments.size(); ++i) rewrite.replace(graph.inputs()[i], arguments[i]);
  Values out;
  for (const Value& v : graph.outputs()) out.push_back(rewrite(v));
  return out;
}

}  // namespace trireme
