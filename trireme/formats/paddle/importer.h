// The import of one model for one set of input types. Internal to formats/paddle.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "trireme/formats/known_values.h"
#include "trireme/formats/paddle/call.h"
#include "trireme/formats/paddle/model.h"
#include "trireme/formats/paddle/parameters.h"
#include "trireme/formats/paddle/program.h"

namespace trireme::formats::paddle {

struct Model::Impl {
  Program program;
  Parameters parameters;
  std::string source;
  std::vector<Declared> inputs, outputs;
  std::vector<std::string> input_variables, output_variables;
};

// Variables of one block, on top of those of the block around it.
class Scope {
 public:
  explicit Scope(Scope* parent = nullptr) : parent_(parent) {}
  // Empty when there is none. With a capture, what comes from outside and is no constant becomes a parameter.
  Value find(const std::string& name);
  // Only of this block.
  Value own(const std::string& name) const;
  void set(const std::string& name, const Value& value) { values_[name] = value; }

  Capture* capture = nullptr;

 private:
  Scope* parent_;
  std::unordered_map<std::string, Value> values_;
};

class Importer : public KnownValues {
 public:
  Importer(std::shared_ptr<const Model::Impl> model, const Evaluate& evaluate)
      : KnownValues(evaluate), model_(std::move(model)) {}

  Imported import(const std::vector<Binding>& inputs);
  // Runs the block's operations; its results.
  std::vector<Value> build(int64_t block, Scope& scope);
  // Throws kDataLoss when nothing before made the variable.
  Value lookup(Scope& scope, const std::string& name);

 private:
  void build_operation(const Operation& operation, int64_t block, Scope& scope);

  std::shared_ptr<const Model::Impl> model_;
  std::unordered_map<std::string, Value> constants_;  // parameters in use
  int depth_ = 0;
  int64_t built_ = 0;
};

}  // namespace trireme::formats::paddle
