#include "trireme/formats/paddle/importer.h"

#include <algorithm>

#include "trireme/base/strings.h"

namespace trireme::formats::paddle {

namespace {

// A file of a few bytes can ask for endless work by branches in branches.
constexpr int kMaxDepth = 64;
constexpr int64_t kMaxOperations = 1'000'000;

using Table = std::map<std::string_view, const Mapping*>;

const Table& table() {
  static const Table built = [] {
    Table out;
    for (const auto family : all_mappings()) {
      for (const Mapping& mapping : family) out.emplace(mapping.op, &mapping);
    }
    return out;
  }();
  return built;
}

// "block 0, op 3 (conv2d, makes 'y')".
std::string describe(int64_t block, const Operation& operation) {
  std::string out = cat("block ", block, ", op ", operation.index, " (", operation.type);
  for (const Arguments& each : operation.outputs) {
    if (each.variables.empty()) continue;
    append(out, cat(", makes '", each.variables[0], "'"));
    break;
  }
  return out + ")";
}

}  // namespace

std::vector<std::string> supported_operators() {
  std::vector<std::string> out;
  for (const auto& [name, mapping] : table()) out.emplace_back(name);
  return out;
}

// --- scopes ---

Value Scope::own(const std::string& name) const {
  const auto at = values_.find(name);
  return at == values_.end() ? Value() : at->second;
}

Value Scope::find(const std::string& name) {
  Value found = own(name);
  if (found || parent_ == nullptr) return found;
  found = parent_->find(name);
  if (!found || capture == nullptr || found.node().is("constant")) return found;
  const auto at = std::find(capture->outside.begin(), capture->outside.end(), found);
  const auto index = static_cast<size_t>(at - capture->outside.begin());
  if (at == capture->outside.end()) {
    capture->outside.push_back(found);
    capture->parameters.push_back(parameter(found.dtype(), found.shape()));
  }
  return capture->parameters[index];
}

Value Importer::lookup(Scope& scope, const std::string& name) {
  if (const Value found = scope.find(name)) return found;
  Value& constant = constants_[name];
  if (!constant) {
    const auto at = model_->parameters.find(name);
    if (at == model_->parameters.end()) {
      throw Error(Code::kDataLoss, cat("it uses '", name,
                                       "', which is no parameter and which nothing before it makes "
                                       "(the operations are out of order, form a cycle, or the name is wrong)"));
    }
    constant = ops::constant(at->second);
  }
  return constant;
}

// --- operations ---

void Importer::build_operation(const Operation& operation, int64_t block, Scope& scope) {
  if (operation.type == "feed" || operation.type == "fetch") return;
  const std::string where = describe(block, operation);
  if (++built_ > kMaxOperations) {
    throw Error(Code::kUnsupported, cat("the program has more than ", kMaxOperations, " operations"));
  }
  const auto at = table().find(operation.type);
  if (at == table().end()) {
    const std::string near = nearest_name(operation.type, supported_operators());
    throw Error(Code::kUnsupported, cat(where, ": the operator is not supported; ",
                                        near.empty() ? "" : cat("the nearest one that is: ", near, "; "),
                                        table().size(), " are supported, docs/guide/paddle.md lists them"));
  }
  Call call(*this, scope, operation);
  try {
    at->second->build(call);
  } catch (const Error& error) {
    if (std::string_view(error.what()).starts_with("block ")) throw;  // of a branch: it names the inner operation
    throw Error(error.code(), cat(where, ": ", error.what()), error.rule());
  }
}

std::vector<Value> Importer::build(int64_t index, Scope& scope) {
  struct Depth {
    int* depth;
    explicit Depth(int* d) : depth(d) { ++*depth; }
    ~Depth() { --*depth; }
  };
  const Depth guard(&depth_);
  if (depth_ > kMaxDepth)
    throw Error(Code::kUnsupported, cat("blocks lie more than ", kMaxDepth, " deep in one another"));
  const Block& block = model_->program.blocks[static_cast<size_t>(index)];
  for (const Operation& each : block.operations) build_operation(each, index, scope);
  std::vector<Value> results;
  for (const std::string& name : block.results) results.push_back(lookup(scope, name));
  return results;
}

// --- the whole model ---

Imported Importer::import(const std::vector<Binding>& inputs) {
  Scope scope;
  for (size_t i = 0; i < model_->inputs.size(); ++i) {
    const Declared& declared = model_->inputs[i];
    if (i >= inputs.size() || !inputs[i].given || inputs[i].kind != Kind::kTensor) {
      throw Error(Code::kInvalidArgument,
                  cat(model_->source, ": input '", declared.name, "' ", declared.text(), " is missing"));
    }
    const Value input = parameter(carrier(inputs[i].elem), inputs[i].shape);
    add_input(declared.name, input, inputs[i].tensor);
    scope.set(model_->input_variables[i], input);
  }
  try {
    build(0, scope);
  } catch (const Error& error) {
    throw Error(error.code(), cat(model_->source, ": ", error.what()), error.rule());
  }
  Imported out;
  std::vector<Value> outputs;
  std::vector<std::string> names;
  for (size_t k = 0; k < model_->outputs.size(); ++k) {
    Layout layout;
    layout.kind = Kind::kTensor;
    layout.output = k;
    outputs.push_back(lookup(scope, model_->output_variables[k]));
    layout.elem = elem_of(outputs.back().dtype());
    names.push_back(model_->outputs[k].name);
    out.layouts.push_back(layout);
  }
  out.graph = Graph(parameters(), outputs, KnownValues::names(), names);
  out.guards = take_guards();
  return out;
}

}  // namespace trireme::formats::paddle
