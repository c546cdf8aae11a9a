#include "trireme/formats/stablehlo/importer.h"

#include <algorithm>
#include <set>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/formats/stablehlo/literal.h"
#include "trireme/reference/evaluator.h"

namespace trireme::formats::stablehlo {

namespace {

// A file of a few bytes can ask for endless work by functions that call one another.
constexpr int kMaxDepth = 64;
constexpr int64_t kMaxOperations = 100'000;
// Values are computed while importing only if all that leads to them has fewer elements.
constexpr int64_t kMaxKnown = int64_t{1} << 16;

using Table = std::map<std::string, const Mapping*, std::less<>>;

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

const Mapping& find_mapping(const Operation& operation) {
  const auto at = table().find(operation.name);
  if (at != table().end()) return *at->second;
  std::vector<std::string> names;
  for (const auto& [name, mapping] : table()) names.push_back(name);
  const std::string near = nearest_name(operation.name, names);
  throw Error(Code::kUnsupported, cat(operation.where(), ": the op is not supported",
                                      near.empty() ? "" : cat("; the nearest one that is: ", near)));
}

// True when a value has the type that was written; where it stands for a scalar of a region, the element type.
bool fits(const TensorType& actual, const Type& written, bool elementwise) {
  if (actual.dtype != dtype_of(written)) return false;
  if (elementwise) return true;
  bool same = written.sizes.size() == static_cast<size_t>(actual.shape.rank());
  for (int a = 0; same && a < actual.shape.rank(); ++a) {
    const int64_t size = written.sizes[static_cast<size_t>(a)];
    same = size < 0 || size == actual.shape[a];
  }
  return same;
}

void require_fit(const Value& value, const Type& written, bool elementwise, const std::string& what) {
  if (fits(value.type(), written, elementwise)) return;
  throw Error(Code::kInvalidArgument, cat(what, " is ", value.type(), ", written is ", written.text));
}

bool holds_test_together(const std::string& op) {
  static const std::set<std::string> names = {"return", "stablehlo.return", "call", "stablehlo.constant",
                                              "stablehlo.custom_call"};
  return names.contains(op) || op.starts_with("check.");
}

void collect(const Module& module, const Region& region, std::set<std::string>& names, std::set<std::string>& called) {
  for (const Operation& operation : region.operations) {
    if (!holds_test_together(operation.name)) names.insert(operation.name);
    for (const Region& inner : operation.regions) collect(module, inner, names, called);
    for (const std::string& word : operation.words) {
      const Function* function = operation.name == "call" ? module.find(word) : nullptr;
      if (function != nullptr && called.insert(word).second) collect(module, function->body, names, called);
    }
  }
}

}  // namespace

// --- the file ---

Program Program::parse(std::string text) {
  Program out;
  out.file_ = stablehlo::parse(std::move(text));
  return out;
}

Program Program::load(const std::string& path) {
  try {
    return parse(read_file(path));
  } catch (const Error& error) {
    if (error.code() != Code::kDataLoss) throw;
    throw Error(error.code(), cat(path, ": ", error.what()));
  }
}

const Function& Program::entry(const Module& module) {
  if (const Function* main = module.find("main")) return *main;
  const auto at = std::find_if(module.functions.begin(), module.functions.end(),
                               [](const Function& each) { return !each.is_private; });
  return at == module.functions.end() ? module.functions.front() : *at;
}

std::vector<std::string> Program::operators(const Module& module, const Function& function) {
  std::set<std::string> names, called;
  collect(module, function.body, names, called);
  return {names.begin(), names.end()};
}

Imported Program::import(const Module& module, const Function& function, const std::vector<TensorType>& arguments) {
  return Importer(module).import(function, arguments);
}

std::vector<std::string> supported_ops() {
  std::vector<std::string> out;
  for (const auto& [name, mapping] : table()) out.push_back(name);
  return out;
}

// --- scopes ---

const std::vector<Value>* Scope::find(const std::string& name) {
  const auto at = names_.find(name);
  if (at != names_.end()) return &at->second;
  if (parent_ == nullptr) return nullptr;
  const std::vector<Value>* found = parent_->find(name);
  if (found == nullptr || capture == nullptr) return found;
  std::vector<Value> inside;
  for (const Value& value : *found) {
    if (value.node().is("constant")) {
      inside.push_back(value);
      continue;
    }
    const auto place = std::find(capture->outside.begin(), capture->outside.end(), value);
    if (place == capture->outside.end()) {
      capture->outside.push_back(value);
      capture->parameters.push_back(parameter(value.dtype(), value.shape()));
      inside.push_back(capture->parameters.back());
    } else {
      inside.push_back(capture->parameters[static_cast<size_t>(place - capture->outside.begin())]);
    }
  }
  return &(names_[name] = std::move(inside));
}

// --- values ---

Value Importer::lookup(Scope& scope, const Operand& operand, const std::string& who) {
  const std::vector<Value>* found = scope.find(operand.name);
  if (found == nullptr) {
    throw Error(Code::kDataLoss, cat(who, " uses ", operand.name, ", which nothing before it makes"));
  }
  if (operand.result >= static_cast<int64_t>(found->size())) {
    throw Error(Code::kDataLoss,
                cat(who, " uses ", operand.name, "#", operand.result, " of ", found->size(), " results"));
  }
  return (*found)[static_cast<size_t>(operand.result)];
}

std::optional<Literal> Importer::constant(const Value& value) {
  if (value.node().is("constant")) return values_.fold(value);
  if (values_.depends(value)) return std::nullopt;
  int64_t elements = 0;
  const Graph graph({}, {value});
  for (const Node* node : graph.nodes()) {
    for (const TensorType& type : node->outputs()) elements += node->is("constant") ? 0 : type.shape.elements();
    // A loop could run for ever.
    if (elements > kMaxKnown || node->is("while_loop")) return std::nullopt;
  }
  if (!reference::can_evaluate(graph)) return std::nullopt;
  return values_.fold(value);
}

// --- operations ---

std::vector<Value> Importer::build(const Region& region, Scope& scope) {
  struct Depth {
    int* depth;
    explicit Depth(int* d) : depth(d) { ++*depth; }
    ~Depth() { --*depth; }
  };
  const Depth guard(&depth_);
  if (depth_ > kMaxDepth) {
    throw Error(Code::kUnsupported, cat("functions or regions lie more than ", kMaxDepth,
                                        " deep in one another; a function that calls itself cannot be imported"));
  }
  for (const Operation& operation : region.operations) {
    if (operation.name == "return" || operation.name == "stablehlo.return") {
      std::vector<Value> out;
      for (const Operand& operand : operation.operands) out.push_back(lookup(scope, operand, operation.where()));
      return out;
    }
    build_operation(operation, scope);
  }
  throw Error(Code::kDataLoss, "a region does not end with a return");
}

void Importer::build_operation(const Operation& operation, Scope& scope) {
  if (++built_ > kMaxOperations) {
    throw Error(Code::kUnsupported, cat("more than ", kMaxOperations, " operations once calls are expanded"));
  }
  try {
    // A type that Trireme lacks is the reason, whatever the op.
    for (const auto* types : {&operation.operand_types, &operation.result_types}) {
      for (const Type& type : *types) dtype_of(type);
    }
    const Mapping& mapping = find_mapping(operation);
    if (scope.elementwise && !mapping.elementwise) {
      throw Error(Code::kUnsupported, "a region with this op is not supported; those that compute with scalars are");
    }
    Call call(*this, scope, operation);
    const std::vector<Value>& inputs = call.all();
    if (operation.functional) {
      if (operation.operand_types.size() != inputs.size()) {
        throw Error(Code::kDataLoss,
                    cat("has ", inputs.size(), " operands and types of ", operation.operand_types.size()));
      }
      for (size_t i = 0; i < inputs.size(); ++i) {
        require_fit(inputs[i], operation.operand_types[i], scope.elementwise,
                    cat("operand ", operation.operands[i].name));
      }
    }
    if (operation.result_types.size() != static_cast<size_t>(operation.result_count())) {
      throw Error(Code::kDataLoss,
                  cat("has ", operation.result_count(), " results and types of ", operation.result_types.size()));
    }
    mapping.build(call);
    size_t next = 0;
    for (const auto& result : operation.results) {
      std::vector<Value> values;
      for (int64_t k = 0; k < result.count; ++k, ++next) {
        if (!call.made()[next]) {
          throw Error(Code::kInvalidArgument, cat("gives fewer than the ", operation.result_count(), " results named"));
        }
        require_fit(call.made()[next], operation.result_types[next], scope.elementwise,
                    cat("the result ", result.name));
        values.push_back(call.made()[next]);
      }
      scope.set(result.name, std::move(values));
    }
  } catch (const Error& error) {
    if (std::string_view(error.what()).starts_with("line ")) throw;  // of a region: it names the inner operation
    throw Error(error.code(), cat(operation.where(), ": ", error.what()), error.rule());
  }
}

std::vector<Value> Importer::call(const std::string& name, const std::vector<Value>& arguments, bool elementwise) {
  const Function* function = module_->find(name);
  if (function == nullptr) throw Error(Code::kDataLoss, cat("there is no function @", name));
  if (function->body.arguments.size() != arguments.size()) {
    throw Error(Code::kInvalidArgument,
                cat("@", name, " takes ", function->body.arguments.size(), " arguments; given ", arguments.size()));
  }
  Scope scope;
  scope.elementwise = elementwise;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Argument& argument = function->body.arguments[i];
    require_fit(arguments[i], argument.type, elementwise, cat("argument ", argument.name, " of @", name));
    scope.set(argument.name, {arguments[i]});
  }
  std::vector<Value> results = build(function->body, scope);
  if (results.size() != function->results.size()) {
    throw Error(Code::kInvalidArgument,
                cat("@", name, " returns ", results.size(), " values and declares ", function->results.size()));
  }
  for (size_t i = 0; i < results.size(); ++i) {
    require_fit(results[i], function->results[i], elementwise, cat("result ", i, " of @", name));
  }
  return results;
}

Imported Importer::import(const Function& function, const std::vector<TensorType>& arguments) {
  const auto& declared = function.body.arguments;
  if (!arguments.empty() && arguments.size() != declared.size()) {
    throw Error(Code::kInvalidArgument,
                cat("@", function.name, " takes ", declared.size(), " arguments; given ", arguments.size()));
  }
  std::vector<Value> inputs;
  std::vector<std::string> names;
  for (size_t i = 0; i < declared.size(); ++i) {
    inputs.push_back(arguments.empty() ? parameter(dtype_of(declared[i].type), shape_of(declared[i].type))
                                       : parameter(arguments[i].dtype, arguments[i].shape));
    names.push_back(declared[i].name.substr(1));
  }
  Imported out;
  const std::vector<Value> outputs = call(function.name, inputs);
  out.graph = Graph(inputs, outputs, names);
  out.checks = std::move(checks_);
  return out;
}

}  // namespace trireme::formats::stablehlo
