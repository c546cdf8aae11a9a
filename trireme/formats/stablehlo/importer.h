// The import of one function. Internal to formats/stablehlo.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "trireme/formats/known_values.h"
#include "trireme/formats/stablehlo/call.h"

namespace trireme::formats::stablehlo {

// Names of values in one region, on top of those of the region around it.
class Scope {
 public:
  explicit Scope(Scope* parent = nullptr) : parent_(parent) {}
  // Null when there is none.
  const std::vector<Value>* find(const std::string& name);
  void set(const std::string& name, std::vector<Value> values) { names_[name] = std::move(values); }

  // For Call::close: values from outside that are no constants become parameters, recorded here.
  struct Capture {
    std::vector<Value> outside, parameters;
  };
  Capture* capture = nullptr;
  // The region is applied to whole tensors, see Call::apply.
  bool elementwise = false;

 private:
  Scope* parent_;
  std::unordered_map<std::string, std::vector<Value>> names_;
};

class Importer {
 public:
  explicit Importer(const Module& module) : module_(&module) {}

  Imported import(const Function& function, const std::vector<TensorType>& arguments);

  Value lookup(Scope& scope, const Operand& operand, const std::string& who);
  std::vector<Value> build(const Region& region, Scope& scope);
  std::vector<Value> call(const std::string& function, const std::vector<Value>& arguments, bool elementwise = false);
  void check(Check check) { checks_.push_back(std::move(check)); }
  // Empty when the value depends on a parameter or takes too much to compute.
  std::optional<Literal> constant(const Value& value);

 private:
  void build_operation(const Operation& operation, Scope& scope);

  const Module* module_;
  std::vector<Check> checks_;
  const Evaluate no_values_;  // arguments have none at hand
  KnownValues values_{no_values_};
  int depth_ = 0;
  int64_t built_ = 0;
};

}  // namespace trireme::formats::stablehlo
