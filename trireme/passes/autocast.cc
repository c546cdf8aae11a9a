#include "trireme/passes/autocast.h"

#include <algorithm>
#include <unordered_map>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/ir/op_decl.h"
#include "trireme/ops/ops.h"

namespace trireme::passes {

namespace {

struct ValueHash {
  size_t operator()(const Value& v) const { return std::hash<const Node*>()(&v.node()) * 31 + v.index(); }
};

class Casting {
 public:
  explicit Casting(DType type) : type_(type) {}

  Graph operator()(const Graph& graph) {
    for (const Node* node : graph.nodes()) {
      if (node->op().kind.value == Kind::kContraction && node->inputs()[0].dtype() == f32) contraction(*node);
      if (node->op().kind.value == Kind::kControl) control(*node);
    }
    return rewrite_(graph);
  }

 private:
  void contraction(const Node& node) {
    const SourceScope source(node.source());
    const auto& specs = node.op().inputs.list;
    std::vector<Value> inputs;
    for (size_t i = 0; i < node.inputs().size(); ++i) {
      const Value& v = node.inputs()[i];
      const bool follows = i == 0 || (specs[std::min(i, specs.size() - 1)].types.bits & same_as_first.bits) != 0;
      inputs.push_back(v && follows ? narrowed(rewrite_(v)) : rewrite_(v));
    }
    const Values results = all_outputs(make_node(node.op(), std::move(inputs), node.attributes()));
    for (size_t k = 0; k < results.size(); ++k) {
      Value back = results[k];
      if (back.dtype() != node.outputs()[k].dtype) {
        back = ops::convert(results[k], node.outputs()[k].dtype);
        narrow_[back] = results[k];  // its values are exact in the narrow type
      }
      rewrite_.replace(Value(node, static_cast<uint32_t>(k)), back);
    }
  }

  void control(const Node& node) {
    const SourceScope source(node.source());
    std::vector<Attribute> attributes = node.attributes();
    for (Attribute& attribute : attributes) {
      if (const auto* body = std::get_if<std::shared_ptr<const Graph>>(&attribute)) {
        attribute = std::make_shared<const Graph>(autocast(**body, type_));
      }
    }
    std::vector<Value> inputs;
    for (const Value& v : node.inputs()) inputs.push_back(rewrite_(v));
    const Values results = all_outputs(make_node(node.op(), std::move(inputs), std::move(attributes)));
    for (size_t k = 0; k < results.size(); ++k) rewrite_.replace(Value(node, static_cast<uint32_t>(k)), results[k]);
  }

  // The source of a view that works on elements of any type. One with a type among its attributes reads bytes.
  static Value viewed(const Value& v) {
    const Node& node = v.node();
    if (node.op().kind.value != Kind::kView || node.inputs()[0].dtype() != v.dtype()) return {};
    const auto names_a_type = [](const Attribute& a) { return std::holds_alternative<DType>(a); };
    const auto& attributes = node.attributes();
    return std::any_of(attributes.begin(), attributes.end(), names_a_type) ? Value{} : node.inputs()[0];
  }

  bool is_narrowed(const Value& v) const {
    if (narrow_.contains(v)) return true;
    const Value source = viewed(v);
    return source && is_narrowed(source);
  }

  // The value in the narrow type; a view becomes a view of the narrowed source, unless it would narrow more than it
  // shows.
  Value narrowed(const Value& v) {
    if (const auto at = narrow_.find(v); at != narrow_.end()) return at->second;
    const Value source = viewed(v);
    Value out;
    if (source && (source.shape().elements() <= v.shape().elements() || is_narrowed(source))) {
      std::vector<Value> inputs = v.node().inputs();
      inputs[0] = narrowed(source);
      out = Value(make_node(v.node().op(), std::move(inputs), v.node().attributes()).node(), v.index());
    } else {
      out = ops::convert(v, type_);
    }
    return narrow_[v] = out;
  }

  DType type_;
  Rewriter rewrite_;
  std::unordered_map<Value, Value, ValueHash> narrow_;  // f32 values, by their images, and the same in 16 bits
};

}  // namespace

Graph autocast(const Graph& graph, DType type) {
  if (type != bf16 && type != f16) {
    throw Error(Code::kInvalidArgument, cat("autocast to ", type, "; it takes bf16 or f16"));
  }
  return Casting(type)(graph);
}

}  // namespace trireme::passes
