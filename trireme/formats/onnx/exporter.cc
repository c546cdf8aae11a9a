#include "trireme/formats/onnx/exporter.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/formats/onnx/emit.h"
#include "trireme/formats/onnx/onnx.pb.h"
#include "trireme/formats/value.h"
#include "trireme/ops/ops.h"
#include "trireme/passes/recompute.h"

namespace trireme::formats::onnx {

namespace {

constexpr int64_t kOpset = 21, kIrVersion = 10;

const ExportRule* rule_of(std::string_view op) {
  static const auto* rules = [] {
    auto* out = new std::unordered_map<std::string_view, const ExportRule*>;
    for (const auto family : all_export_rules()) {
      for (const ExportRule& rule : family) out->emplace(rule.op, &rule);
    }
    return out;
  }();
  const auto at = rules->find(op);
  return at == rules->end() ? nullptr : at->second;
}

// The type itself or the narrowest wider one that ONNX takes, if there is one.
std::optional<DType> working_type(DType given, DTypeSet taken) {
  if (taken.has(given)) return given;
  for (const DType wider : {f32, f64, i32, i64}) {
    const bool holds = given == boolean || size_of(given) < size_of(wider);
    if (taken.has(wider) && holds && is_float(wider) == is_float(given)) return wider;
  }
  return std::nullopt;
}

DType given_type(const Node& node) {
  return node.inputs().empty() ? node.outputs()[0].dtype : node.inputs()[0].dtype();
}

void declare(proto::ValueInfo* info, const std::string& name, const TensorType& type) {
  info->set_name(name);
  auto* tensor = info->mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(static_cast<int32_t>(elem_of(type.dtype)));
  auto* shape = tensor->mutable_shape();
  for (const int64_t size : type.shape) shape->add_dim()->set_dim_value(size);
}

}  // namespace

class Exporter {
 public:
  explicit Exporter(const Graph& graph) {
    model_.set_ir_version(kIrVersion);
    model_.set_producer_name("trireme");
    auto* opset = model_.add_opset_import();
    opset->set_domain("");
    opset->set_version(kOpset);
    main_ = graph_ = model_.mutable_graph();
    main_->set_name("trireme");
    scopes_.emplace_back();
    for (const auto* list : {&graph.input_names(), &graph.output_names()}) used_.insert(list->begin(), list->end());
    for (size_t i = 0; i < graph.inputs().size(); ++i) {
      const Value& v = graph.inputs()[i];
      const std::string name = graph.input_names().empty() ? unused(cat("input_", i)) : graph.input_names()[i];
      declare(main_->add_input(), name, v.type());
      set(v, name);
    }
    write(graph.nodes());
    for (size_t k = 0; k < graph.outputs().size(); ++k) {
      const std::string name = graph.output_names().empty() ? unused(cat("output_", k)) : graph.output_names()[k];
      add_node("Identity", {name_of(graph.outputs()[k])}, {name});
      declare(main_->add_output(), name, graph.outputs()[k].type());
    }
    name_outputs();
    drop_unused();
  }

  std::string bytes() {
    if (weights_bytes_ > kMostInOneFile) {
      throw Error(Code::kInvalidArgument,
                  cat("the weights take ", weights_bytes_, " bytes, and one ONNX file holds at most ", kMostInOneFile,
                      " here; write to a file, which gets a second one for them"));
    }
    for (auto& [tensor, literal] : weights_) tensor->set_raw_data(literal.data(), literal.bytes());
    return model_.SerializeAsString();
  }

  void save(const std::string& path, uint64_t most) {
    if (weights_bytes_ > most) {
      const std::string data_path = path + ".data";
      AtomicFile data(data_path);
      for (auto& [tensor, literal] : weights_) {
        const auto add = [tensor = tensor](const char* key, const std::string& value) {
          auto* entry = tensor->add_external_data();
          entry->set_key(key);
          entry->set_value(value);
        };
        add("location", data_path.substr(data_path.find_last_of('/') + 1));
        add("offset", cat(data.bytes_written()));
        add("length", cat(literal.bytes()));
        tensor->set_data_location(1);
        data.write({static_cast<const std::byte*>(literal.data()), literal.bytes()});
      }
      data.commit();
      weights_.clear();
      weights_bytes_ = 0;
    }
    write_file_atomically(path, bytes());
  }

  // --- for Emit ---

  std::string unused(const std::string& wanted) {
    std::string name = wanted;
    while (!used_.insert(name).second) name = cat(wanted, "_", ++counter_);
    return name;
  }
  std::string fresh() {
    std::string name;
    do name = cat(current_ != nullptr ? current_->name() : "value", "_", ++counter_);
    while (!used_.insert(name).second);
    return name;
  }

  std::string name_of(const Value& v) {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      if (const auto at = scope->find(&v.node()); at != scope->end()) return at->second.at(v.index());
    }
    internal_error(__FILE__, __LINE__, "operands come first", "an exported node reads a value that was not written");
  }
  void set(const Value& v, const std::string& name) {
    Names& names = scopes_.back()[&v.node()];
    names.resize(v.node().outputs().size());
    names[v.index()] = name;
  }

  proto::Node* add_node(std::string_view op, const Names& inputs, const Names& outputs) {
    proto::Node* node = graph_->add_node();
    node->set_op_type(std::string(op));
    node->set_name(outputs[0]);
    size_t count = inputs.size();
    while (count > 0 && inputs[count - 1].empty()) --count;  // what is left out at the end is not written
    for (size_t i = 0; i < count; ++i) node->add_input(inputs[i]);
    for (const std::string& output : outputs) node->add_output(output);
    return node;
  }

  static void add_property(proto::Node* node, const Property& property) {
    auto* attribute = node->add_attribute();
    attribute->set_name(std::string(property.first));
    std::visit(
        [&](const auto& value) {
          using T = std::decay_t<decltype(value)>;
          if constexpr (std::is_same_v<T, int64_t>) {
            attribute->set_i(value);
            attribute->set_type(2);
          } else if constexpr (std::is_same_v<T, double>) {
            attribute->set_f(static_cast<float>(value));
            attribute->set_type(1);
          } else if constexpr (std::is_same_v<T, std::string>) {
            attribute->set_s(value);
            attribute->set_type(3);
          } else {
            for (const int64_t each : value) attribute->add_ints(each);
            attribute->set_type(7);
          }
        },
        property.second);
  }

  // Initializers are the whole model's, whichever graph asks for them.
  std::string constant(const Literal& literal, const std::string& wanted) {
    const std::string key(static_cast<const char*>(literal.data()), literal.bytes() <= 64 ? literal.bytes() : 0);
    std::string* known = nullptr;
    if (literal.bytes() <= 64) {
      known = &small_[cat(name(literal.dtype()), literal.shape(), ":") + key];
      if (!known->empty()) return *known;
    }
    const std::string tensor_name = unused(wanted);
    proto::Tensor* tensor = main_->add_initializer();
    tensor->set_name(tensor_name);
    tensor->set_data_type(static_cast<int32_t>(elem_of(literal.dtype())));
    for (const int64_t size : literal.shape()) tensor->add_dims(size);
    weights_.emplace_back(tensor, literal);
    weights_bytes_ += literal.bytes();
    if (known != nullptr) *known = tensor_name;
    return tensor_name;
  }

  Names inlined(const Graph& graph, const Names& inputs) {
    scopes_.emplace_back();
    for (size_t i = 0; i < inputs.size(); ++i) set(graph.inputs()[i], inputs[i]);
    const Node* outer = current_;
    write(graph.nodes());
    current_ = outer;
    Names out;
    for (const Value& v : graph.outputs()) out.push_back(name_of(v));
    scopes_.pop_back();
    return out;
  }

  void write_branch(Emit& emit, proto::Node* node, const Emit::Branch& branch) {
    auto* attribute = node->add_attribute();
    attribute->set_name(std::string(branch.attribute));
    attribute->set_type(5);
    proto::Graph* outer = std::exchange(graph_, attribute->mutable_g());
    graph_->set_name(cat(node->name(), ".", branch.attribute));
    for (const auto& [input, type] : branch.inputs) declare(graph_->add_input(), input, type);
    scopes_.emplace_back();
    const Names results = branch.write(emit);
    for (size_t k = 0; k < results.size(); ++k) {
      // An output is made inside the branch and is no other output.
      const std::string output = fresh();
      add_node("Identity", {results[k]}, {output});
      declare(graph_->add_output(), output, branch.outputs[k]);
    }
    scopes_.pop_back();
    graph_ = outer;
  }

 private:
  void write(const std::vector<const Node*>& nodes) {
    for (const Node* node : nodes) {
      const bool known = std::any_of(scopes_.begin(), scopes_.end(), [&](const auto& s) { return s.contains(node); });
      if (!known) write(*node);
    }
  }

  void write(const Node& node) {
    if (node.is("constant")) {
      const Literal& literal = AttributeReader(node.op(), node.attributes()).literal("value");
      return set(Value(node), constant(literal, cat("weight_", ++counter_)));
    }
    if (std::none_of(node.outputs().begin(), node.outputs().end(),
                     [](const auto& t) { return t.shape.elements() > 0; })) {
      for (size_t k = 0; k < node.outputs().size(); ++k) {  // runtimes differ in what they take without elements
        const TensorType& type = node.outputs()[k];
        set(Value(node, static_cast<uint32_t>(k)), constant(Literal::zeros(type.dtype, type.shape), "nothing"));
      }
      return;
    }
    const Node* outer = std::exchange(current_, &node);
    const ExportRule* rule = rule_of(node.name());
    if (const auto type = rule != nullptr ? working_type(given_type(node), rule->types) : std::nullopt) {
      Emit emit(*this, node, *type);
      if (rule->write != nullptr ? rule->write(emit) : plain(emit, *rule)) {
        current_ = outer;
        return;
      }
    }
    if (node.op().meaning.decompose == nullptr) {
      throw Error(Code::kUnsupported, cat("cannot export the op ", node.name(), " on ",
                                          node.inputs().empty() ? node.outputs()[0] : node.inputs()[0].type(), " (at ",
                                          node.source(), "): ONNX opset ", kOpset, " has no operator for it"));
    }
    const Values parts = decomposition_of(node);
    alive_.insert(alive_.end(), parts.begin(), parts.end());
    write(nodes_between(node.inputs(), parts));
    for (size_t k = 0; k < parts.size(); ++k) set(Value(node, static_cast<uint32_t>(k)), name_of(parts[k]));
    current_ = outer;
  }

  static bool plain(Emit& emit, const ExportRule& rule) {
    Names operands;
    for (int i = 0; i < emit.inputs(); ++i) operands.push_back(emit.has(i) ? emit.in(i) : std::string());
    emit.give(rule.onnx, operands);
    return true;
  }

  // Outputs were written as copies so that each has its name: where the copied value is made by a node and wanted once,
  // the node takes the name instead.
  void name_outputs() {
    std::unordered_map<std::string, int> made;  // by which node
    for (int n = 0; n < main_->node_size(); ++n) {
      for (const std::string& output : main_->node(n).output()) made[output] = n;
    }
    std::map<std::string, std::string> renamed;
    auto* nodes = main_->mutable_node();
    for (int k = 0; k < main_->output_size(); ++k) {
      const int copy = made.at(main_->output(k).name());
      const std::string source = nodes->Get(copy).input(0);
      if (!made.contains(source) || renamed.contains(source) || is_output(source)) continue;
      renamed[source] = main_->output(k).name();
      nodes->Mutable(copy)->clear_op_type();
    }
    for (int n = nodes->size() - 1; n >= 0; --n) {
      if (nodes->Get(n).op_type().empty()) nodes->DeleteSubrange(n, 1);
    }
    rename(main_, renamed);
  }

  // Nodes written for operands that were then taken otherwise.
  void drop_unused() {
    std::unordered_set<std::string> used;
    for (const auto& output : main_->output()) used.insert(output.name());
    auto* nodes = main_->mutable_node();
    int kept = nodes->size();
    for (int n = nodes->size() - 1; n >= 0; --n) {
      const auto& outputs = nodes->Get(n).output();
      if (std::any_of(outputs.begin(), outputs.end(), [&](const std::string& each) { return used.contains(each); })) {
        note_used(nodes->Get(n), used);
        nodes->SwapElements(n, --kept);
      }
    }
    nodes->DeleteSubrange(0, kept);
    auto* weights = main_->mutable_initializer();
    for (int k = weights->size() - 1; k >= 0; --k) {
      if (used.contains(weights->Get(k).name())) continue;
      weights_bytes_ -= weights_[static_cast<size_t>(k)].second.bytes();
      weights_.erase(weights_.begin() + k);
      weights->DeleteSubrange(k, 1);
    }
  }

  static void note_used(const proto::Node& node, std::unordered_set<std::string>& used) {
    used.insert(node.input().begin(), node.input().end());
    for (const auto& attribute : node.attribute()) {
      for (const auto& inner : attribute.g().node()) note_used(inner, used);
    }
  }

  bool is_output(const std::string& name) const {
    return std::any_of(main_->output().begin(), main_->output().end(), [&](const auto& o) { return o.name() == name; });
  }

  static void rename(proto::Graph* graph, const std::map<std::string, std::string>& names) {
    const auto replace = [&](std::string* name) {
      if (const auto at = names.find(*name); at != names.end()) *name = at->second;
    };
    for (proto::Node& node : *graph->mutable_node()) {
      for (std::string& input : *node.mutable_input()) replace(&input);
      for (std::string& output : *node.mutable_output()) replace(&output);
      for (proto::Attribute& attribute : *node.mutable_attribute()) {
        if (attribute.has_g()) rename(attribute.mutable_g(), names);
      }
    }
  }

  proto::Model model_;
  proto::Graph* main_;
  proto::Graph* graph_;                                         // being written: the main one or a branch
  std::vector<std::unordered_map<const Node*, Names>> scopes_;  // what is visible, innermost last
  std::vector<Value> alive_;                                    // scopes know nodes by address
  std::unordered_set<std::string> used_;
  std::map<std::string, std::string> small_;  // constants of a few bytes, each written once
  std::vector<std::pair<proto::Tensor*, Literal>> weights_;
  uint64_t weights_bytes_ = 0;
  uint64_t counter_ = 0;
  const Node* current_ = nullptr;
};

// --- Emit -----------------------------------------------------------------------------------------------------------

// What the value is a repetition of, along axes aligned at the last, as ONNX's operators repeat their operands.
static const Value& unrepeated(const Value& v) { return v.node().is("broadcast_to") ? v.node().inputs()[0] : v; }

Emit::Emit(Exporter& exporter, const Node& node, DType type)
    : OpView(node), exporter_(&exporter), given_(given_type(node)), work_(type) {
  if (node.op().kind.value != trireme::Kind::kElementwise || node.op().is_composite()) return;
  Shape together;
  for (const Value& v : node.inputs()) {
    Shape wider;
    if (!broadcast_shapes(together, unrepeated(v).shape(), &wider)) return;
    together = wider;
  }
  repeats_ = together == node.outputs()[0].shape;
}

std::string Emit::in(int i) {
  const std::string given = exporter_->name_of(repeats_ ? unrepeated(x(i)) : x(i));
  return x(i).dtype() == given_ ? cast(given, given_, work_) : given;
}

std::string Emit::add(std::string_view op, const Names& inputs, const Properties& properties) {
  return add(op, inputs, properties, 1)[0];
}

Names Emit::add(std::string_view op, const Names& inputs, const Properties& properties, size_t outputs) {
  Names made;
  for (size_t k = 0; k < outputs; ++k) made.push_back(exporter_->fresh());
  proto::Node* node = exporter_->add_node(op, inputs, made);
  for (const Property& property : properties) Exporter::add_property(node, property);
  return made;
}

void Emit::give(const std::string& value, int k) {
  const bool converted = y(k).dtype() == given_ && work_ != given_;
  exporter_->set(y(k), converted ? cast(value, work_, given_) : value);
}

std::string Emit::constant(const Literal& literal) { return exporter_->constant(literal, "constant"); }
std::string Emit::scalar(DType dtype, double value) { return constant(Literal::filled(dtype, {}, value)); }
std::string Emit::list(const Ints& numbers) {
  return constant(Literal::from(std::span<const int64_t>(numbers), {static_cast<int64_t>(numbers.size())}));
}

std::string Emit::cast(const std::string& value, DType from, DType to) {
  if (from == to) return value;
  return add("Cast", {value}, {{"to", static_cast<int64_t>(elem_of(to))}});
}

std::string Emit::reshape(const std::string& value, const Shape& shape) {
  // A size of 0 would otherwise mean "as it was".
  const bool empty = shape.elements() == 0;
  return add("Reshape", {value, list(shape.vector())}, empty ? Properties{{"allowzero", int64_t{1}}} : Properties{});
}

std::optional<Literal> Emit::known(int i) const {
  const Node* node = &x(i).node();
  while (node->is("broadcast_to") || node->is("reshape")) node = &node->inputs()[0].node();
  const AttributeReader attributes(node->op(), node->attributes());
  if (node->is("constant")) return attributes.literal("value");
  if (node->is("fill")) return Literal::filled(node->outputs()[0].dtype, {}, attributes.number("value"));
  return std::nullopt;
}

bool Emit::known_within(int i, double low, double high) const {
  const auto literal = known(i);
  if (!literal) return false;
  const auto values = literal->to_doubles();
  return std::all_of(values.begin(), values.end(), [&](double each) { return each >= low && each <= high; });
}

bool Emit::holds(double number) const {
  return work_ != f64 || static_cast<double>(static_cast<float>(number)) == number;
}

Names Emit::inlined(const Graph& graph, const Names& inputs) { return exporter_->inlined(graph, inputs); }

Names Emit::add_with_branches(std::string_view op, const Names& inputs, std::span<const Branch> branches,
                              size_t outputs) {
  Names made;
  for (size_t k = 0; k < outputs; ++k) made.push_back(exporter_->fresh());
  proto::Node* node = exporter_->add_node(op, inputs, made);
  for (const Branch& branch : branches) exporter_->write_branch(*this, node, branch);
  return made;
}

std::string Emit::fresh_name() { return exporter_->fresh(); }

// --------------------------------------------------------------------------------------------------------------------

std::string to_onnx(const Graph& graph) { return Exporter(passes::recompute(graph)).bytes(); }

void save_onnx(const Graph& graph, const std::string& path, uint64_t most) {
  Exporter(passes::recompute(graph)).save(path, most);
}

}  // namespace trireme::formats::onnx
