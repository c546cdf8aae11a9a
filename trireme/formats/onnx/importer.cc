#include "trireme/formats/onnx/importer.h"

#include <algorithm>
#include <functional>

#include "trireme/base/strings.h"

namespace trireme::formats::onnx {

namespace {

// A file of a few bytes can ask for endless work by functions in functions and loops in loops.
constexpr int kMaxDepth = 64;
constexpr int64_t kMaxNodes = 2'000'000;

std::string domain_of(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

std::string full_name(const std::string& domain, const std::string& op) {
  return domain.empty() ? op : cat(domain, "::", op);
}

std::string describe(const proto::Node& node, int64_t opset) {
  return cat("node '", node.name(), "' (", full_name(domain_of(node.domain()), node.op_type()), ", opset ", opset, ")");
}

using Table = std::multimap<std::string, const Mapping*>;

const Table& table() {
  static const Table built = [] {
    Table out;
    for (const auto family : all_mappings()) {
      for (const Mapping& mapping : family) {
        out.emplace(full_name(std::string(mapping.domain), std::string(mapping.op)), &mapping);
      }
    }
    return out;
  }();
  return built;
}

std::string range_text(const Mapping& mapping) { return cat(mapping.since, "-", mapping.until); }

const Mapping& find_mapping(const proto::Node& node, int64_t opset) {
  const std::string op = full_name(domain_of(node.domain()), node.op_type());
  const auto [begin, end] = table().equal_range(op);
  if (begin == end) {
    std::vector<std::string> names;
    for (const auto& [known, mapping] : table()) names.push_back(known);
    const std::string near = nearest_name(op, names);
    throw Error(Code::kUnsupported, cat(describe(node, opset), ": the operator is not supported",
                                        near.empty() ? "" : cat("; the nearest one that is: ", near)));
  }
  std::vector<std::string> ranges;
  for (auto at = begin; at != end; ++at) {
    if (at->second->since <= opset && opset <= at->second->until) return *at->second;
    ranges.push_back(range_text(*at->second));
  }
  throw Error(Code::kUnsupported, cat(describe(node, opset), ": opset ", opset, " of ", op,
                                      " is not supported; supported: ", join(ranges, ", ")));
}

// The attributes of a function's node that refer to the function's own attributes, filled in.
void substitute(proto::Node* node, const std::function<const proto::Attribute*(const std::string&)>& find) {
  for (int i = node->attribute_size() - 1; i >= 0; --i) {
    proto::Attribute* attribute = node->mutable_attribute(i);
    if (!attribute->ref_attr_name().empty()) {
      const proto::Attribute* given = find(attribute->ref_attr_name());
      if (given == nullptr) {  // an optional attribute that was not given stays away
        node->mutable_attribute()->DeleteSubrange(i, 1);
        continue;
      }
      const std::string name = attribute->name();
      *attribute = *given;
      attribute->set_name(name);
      continue;
    }
    if (attribute->has_g()) {
      for (auto& inner : *attribute->mutable_g()->mutable_node()) substitute(&inner, find);
    }
    for (auto& graph : *attribute->mutable_graphs()) {
      for (auto& inner : *graph.mutable_node()) substitute(&inner, find);
    }
  }
}

}  // namespace

std::vector<std::string> supported_operators() {
  std::vector<std::string> out;
  for (const auto& [name, mapping] : table()) out.push_back(cat(name, " ", range_text(*mapping)));
  std::sort(out.begin(), out.end());
  return out;
}

// --- scopes ---

Item Scope::captured(const Item& item) {
  Item out = item;
  if (item.kind == Kind::kSequence) {
    for (Item& each : out.items) each = captured(each);
  } else if (item.kind == Kind::kTensor && !item.value.node().is("constant")) {
    const auto at = std::find(capture->outside.begin(), capture->outside.end(), item.value);
    if (at == capture->outside.end()) {
      capture->outside.push_back(item.value);
      capture->parameters.push_back(parameter(item.value.dtype(), item.value.shape()));
      out.value = capture->parameters.back();
    } else {
      out.value = capture->parameters[static_cast<size_t>(at - capture->outside.begin())];
    }
  }
  return out;
}

const Item* Scope::find(const std::string& name) {
  const auto at = items_.find(name);
  if (at != items_.end()) return &at->second;
  if (parent_ == nullptr) return nullptr;
  const Item* found = parent_->find(name);
  if (found == nullptr || capture == nullptr) return found;
  return &(items_[name] = captured(*found));
}

// --- values ---

const Item& Importer::lookup(Scope& scope, const std::string& name, const std::string& who) {
  const Item* found = scope.find(name);
  if (found == nullptr) {
    throw Error(Code::kDataLoss,
                cat(model_->source, ": ", who, " uses '", name,
                    "', which nothing makes before it (the nodes form a cycle, or the name is wrong)"));
  }
  return *found;
}

Value Importer::random_key(double seed) {
  random_ = true;
  const auto bits = static_cast<uint64_t>(std::hash<double>()(seed));
  const std::vector<uint32_t> words = {static_cast<uint32_t>(bits), static_cast<uint32_t>(bits >> 32),
                                       static_cast<uint32_t>(keys_), static_cast<uint32_t>(keys_ >> 32)};
  ++keys_;
  return ops::constant(Literal::from(std::span<const uint32_t>(words), Shape{4}));
}

// --- nodes ---

int64_t Importer::opset_of(const std::string& domain, const Scope& scope) const {
  const std::map<std::string, int64_t>* opsets = &model_->opsets;
  for (const Scope* s = &scope; s != nullptr; s = s->parent()) {
    if (s->opsets != nullptr) {
      opsets = s->opsets;
      break;
    }
  }
  const auto at = opsets->find(domain);
  return at == opsets->end() ? 1 : at->second;
}

namespace {

using Nodes = google::protobuf::RepeatedPtrField<proto::Node>;

// The names a node uses, also inside its graphs.
template <class F>
void each_use(const proto::Node& node, F use) {
  for (const std::string& name : node.input()) use(name);
  for (const auto& attribute : node.attribute()) {
    for (const auto& inner : attribute.g().node()) each_use(inner, use);
    for (const auto& output : attribute.g().output()) use(output.name());
  }
}

// The order in which nodes are built: makers before users. The format asks for files in such an order; some are not.
// Nodes in a circle come in some order, and the first that misses an operand is refused.
std::vector<int> run_order(const Nodes& nodes) {
  std::unordered_map<std::string_view, int> maker;
  for (int n = 0; n < nodes.size(); ++n) {
    for (const std::string& output : nodes.Get(n).output()) maker.emplace(output, n);
  }
  std::vector<int> order, stack;
  std::vector<bool> entered(static_cast<size_t>(nodes.size()), false), done = entered;
  for (int root = 0; root < nodes.size(); ++root) {
    stack.push_back(root);
    while (!stack.empty()) {
      const int n = stack.back();
      if (done[static_cast<size_t>(n)]) {
        stack.pop_back();
        continue;
      }
      if (entered[static_cast<size_t>(n)]) {
        stack.pop_back();
        done[static_cast<size_t>(n)] = true;
        order.push_back(n);
        continue;
      }
      entered[static_cast<size_t>(n)] = true;
      each_use(nodes.Get(n), [&](const std::string& name) {
        const auto at = maker.find(name);
        if (at != maker.end() && !entered[static_cast<size_t>(at->second)]) stack.push_back(at->second);
      });
    }
  }
  return order;
}

}  // namespace

std::vector<Item> Importer::build_nodes(const Nodes& nodes, Scope& scope) {
  struct Depth {
    int* depth;
    explicit Depth(int* d) : depth(d) { ++*depth; }
    ~Depth() { --*depth; }
  };
  const Depth guard(&depth_);
  if (depth_ > kMaxDepth) {
    throw Error(Code::kUnsupported, cat(model_->source, ": functions or subgraphs lie more than ", kMaxDepth,
                                        " deep in one another; a function that calls itself cannot be imported"));
  }
  for (const int n : run_order(nodes)) build_node(nodes.Get(n), scope);
  return {};
}

std::vector<Item> Importer::build(const proto::Graph& graph, Scope& scope) {
  add_initializers(graph, scope, {});
  build_nodes(graph.node(), scope);
  std::vector<Item> outputs;
  for (const auto& output : graph.output()) {
    outputs.push_back(lookup(scope, output.name(), cat("the output of graph '", graph.name(), "'")));
  }
  return outputs;
}

void Importer::fold_small(Scope& scope, const proto::Node& node) {
  for (const std::string& name : node.output()) {
    if (name.empty()) continue;
    const Item* item = scope.find(name);
    if (item == nullptr || item->kind != Kind::kTensor) continue;
    scope.set(name, Item(item->elem, folded_if_small(item->value)));
  }
}

void Importer::build_node(const proto::Node& node, Scope& scope) {
  const std::string domain = domain_of(node.domain());
  const int64_t opset = opset_of(domain, scope);
  if (++built_ > kMaxNodes) {
    throw Error(Code::kUnsupported,
                cat(model_->source, ": more than ", kMaxNodes, " nodes once its loops are unrolled"));
  }
  const std::string name = full_name(domain, node.op_type());
  const auto function = model_->functions.find(node.overload().empty() ? name : cat(name, ":", node.overload()));
  if (function != model_->functions.end()) {
    expand(*function->second, node, scope);
    return;
  }
  const Mapping& mapping = find_mapping(node, opset);
  Call call(*this, scope, node, opset);
  try {
    mapping.build(call);
  } catch (const Error& error) {
    if (std::string_view(error.what()).starts_with("node '")) throw;  // of a subgraph: it names the inner node
    throw Error(error.code(), cat(describe(node, opset), ": ", error.what()), error.rule());
  }
  fold_small(scope, node);
}

void Importer::expand(const proto::Function& function, const proto::Node& node, Scope& scope) {
  if (node.input_size() > function.input_size() || node.output_size() > function.output_size()) {
    throw Error(Code::kDataLoss, cat(describe(node, 0), ": function '", function.name(), "' takes ",
                                     function.input_size(), " inputs and gives ", function.output_size(), " outputs"));
  }
  std::map<std::string, int64_t> opsets;
  for (const auto& each : function.opset_import()) opsets[domain_of(each.domain())] = each.version();
  Scope inner;
  inner.opsets = &opsets;
  for (int i = 0; i < function.input_size(); ++i) {
    const bool named = i < node.input_size() && !node.input(i).empty();
    inner.set(function.input(i), named ? lookup(scope, node.input(i), describe(node, 0)) : Item());
  }
  const auto find = [&](const std::string& name) -> const proto::Attribute* {
    for (const auto& attribute : node.attribute()) {
      if (attribute.name() == name) return &attribute;
    }
    for (const auto& attribute : function.attribute_proto()) {
      if (attribute.name() == name) return &attribute;
    }
    return nullptr;
  };
  proto::Graph body;
  *body.mutable_node() = function.node();
  for (auto& each : *body.mutable_node()) substitute(&each, find);
  build_nodes(body.node(), inner);
  for (int k = 0; k < node.output_size(); ++k) {
    if (!node.output(k).empty()) {
      scope.set(node.output(k),
                lookup(inner, function.output(k), cat("the output of function '", function.name(), "'")));
    }
  }
}

// --- the whole model ---

void Importer::add_initializers(const proto::Graph& graph, Scope& scope, const std::map<std::string, bool>& skip) {
  for (const auto& each : graph.initializer()) {
    if (skip.contains(each.name())) continue;
    scope.set(each.name(), constant_item(model_->initializer(each, origin())));
  }
  for (const auto& each : graph.sparse_initializer()) {
    scope.set(each.values().name(), constant_item(to_value(each, origin())));
  }
}

Item Importer::bind(const Binding& binding, const std::string& name) {
  Item item;
  item.kind = binding.kind;
  item.elem = binding.elem;
  item.text = binding.text;
  item.optional = binding.kind == Kind::kNothing;
  if (binding.kind == Kind::kTensor) {
    item.value = parameter(carrier(binding.elem), binding.shape);
    add_input(name, item.value, binding.tensor);
  }
  for (size_t i = 0; i < binding.items.size(); ++i) {
    item.items.push_back(bind(binding.items[i], cat(name, "[", i, "]")));
  }
  return item;
}

Layout Importer::lay_out(const Item& item, std::vector<Value>& outputs) {
  Layout layout;
  layout.kind = item.kind;
  layout.elem = item.elem;
  layout.text = item.text;
  if (item.kind == Kind::kTensor) {
    layout.output = outputs.size();
    outputs.push_back(item.value);
  }
  for (const Item& each : item.items) layout.items.push_back(lay_out(each, outputs));
  return layout;
}

Imported Importer::import(const std::vector<Binding>& inputs) {
  const proto::Graph& graph = model_->file.graph();
  Scope scope;
  std::map<std::string, bool> bound;
  for (size_t i = 0; i < model_->inputs.size(); ++i) {
    const Declared& declared = model_->inputs[i];
    if (i >= inputs.size() || !inputs[i].given) {
      if (declared.optional) continue;
      throw Error(Code::kInvalidArgument,
                  cat(model_->source, ": input '", declared.name, "' ", declared.text(), " is missing"));
    }
    scope.set(declared.name, bind(inputs[i], declared.name));
    bound[declared.name] = true;
  }
  add_initializers(graph, scope, bound);
  build_nodes(graph.node(), scope);
  Imported out;
  std::vector<Value> outputs;
  std::vector<std::string> output_names;
  for (const auto& output : graph.output()) {
    const Item& item = lookup(scope, output.name(), "an output of the model");
    out.layouts.push_back(lay_out(item, outputs));
    while (output_names.size() < outputs.size()) {
      const size_t first = item.kind == Kind::kTensor ? outputs.size() : output_names.size() + 1;
      output_names.push_back(first == outputs.size() && item.kind == Kind::kTensor
                                 ? output.name()
                                 : cat(output.name(), "[", output_names.size(), "]"));
    }
  }
  out.graph = Graph(parameters(), outputs, names(), output_names);
  out.guards = take_guards();
  out.random = random_;
  return out;
}

}  // namespace trireme::formats::onnx
