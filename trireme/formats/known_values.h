// What values are while a model is imported, where a shape or a branch depends on them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "trireme/core/literal.h"
#include "trireme/ir/graph.h"

namespace trireme::formats {

// A graph is right only for inputs for which this holds.
struct Guard {
  Graph graph;    // of the imported graph's inputs
  Literal value;  // what it must give
};

// Computes a graph on values of its inputs.
using Evaluate = std::function<std::vector<Literal>(const Graph& graph, std::span<const Literal> inputs)>;

class KnownValues {
 public:
  // With an empty `evaluate` the reference evaluator computes what depends on inputs.
  explicit KnownValues(const Evaluate& evaluate) : evaluate_(evaluate) {}

  // A graph input, a `parameter` node. The value may be empty: then nothing may depend on it.
  void add_input(const std::string& name, const Value& input, const Literal& value);
  const std::vector<Value>& parameters() const { return parameters_; }
  const std::vector<std::string>& names() const { return names_; }

  // What the value is: folded, or computed from the values of the inputs and then guarded. Throws kUnsupported when it
  // depends on a value that is not at hand, or takes too much to compute.
  Literal known(const Value& value);
  // True when the value depends on a parameter.
  bool depends(const Value& value);
  // What a value is that depends on none.
  Literal fold(const Value& value);
  // The value as a constant where it depends on no parameter and is small, else itself.
  Value folded_if_small(const Value& value);
  std::vector<Guard> take_guards() { return std::move(guards_); }

 private:
  bool affordable(const Value& value) const;
  void require_affordable(const Value& value) const;

  const Evaluate& evaluate_;
  std::vector<Value> parameters_;
  std::vector<Literal> values_;  // of the parameters; empty ones are not at hand
  std::vector<std::string> names_;
  std::unordered_map<const Node*, std::pair<Value, bool>> depends_;
  struct Known {
    Value value;
    Literal literal;
  };
  std::vector<Guard> guards_;
  std::map<std::pair<const Node*, uint32_t>, Known> known_;
};

}  // namespace trireme::formats
