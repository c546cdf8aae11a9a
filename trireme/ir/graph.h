// Graph: a function from inputs to outputs. Inputs are nodes of the op "parameter"; everything the outputs reach is
// part of the graph. Cheap to copy (values share nodes).
#pragma once

#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "trireme/ir/node.h"

namespace trireme {

class Graph {
 public:
  Graph() = default;
  Graph(std::vector<Value> inputs, std::vector<Value> outputs, std::vector<std::string> input_names = {},
        std::vector<std::string> output_names = {});

  const std::vector<Value>& inputs() const { return inputs_; }
  const std::vector<Value>& outputs() const { return outputs_; }
  // Empty, or one name per input / output.
  const std::vector<std::string>& input_names() const { return input_names_; }
  const std::vector<std::string>& output_names() const { return output_names_; }

  // Every node once, producers before consumers; the order depends on the graph only.
  std::vector<const Node*> nodes() const;
  // Equal for graphs of the same structure whatever their parameters are numbered.
  uint64_t structural_hash() const;

 private:
  std::vector<Value> inputs_, outputs_;
  std::vector<std::string> input_names_, output_names_;
};

// True when both graphs compute the same by the same operations in the same places.
bool same_structure(const Graph& a, const Graph& b);

// Every node that `outputs` reach, inputs first, without the nodes of `outer` and what is only behind them.
std::vector<const Node*> nodes_between(std::span<const Value> outer, std::span<const Value> outputs);

// A fresh graph input. `parameter` nodes carry a number that no other node has.
Value parameter(DType dtype, const Shape& shape);

// Replaces values while copying a graph: nodes whose inputs did not change stay the same node.
class Rewriter {
 public:
  void replace(const Value& from, const Value& to) { map_[key(from)] = to; }
  // The image of a value: rebuilt on demand with replaced inputs.
  Value operator()(const Value& value);
  Graph operator()(const Graph& graph);

 private:
  struct Key {
    const Node* node;
    uint32_t index;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& k) const { return std::hash<const Node*>()(k.node) * 31 + k.index; }
  };
  static Key key(const Value& v) { return {&v.node(), v.index()}; }
  std::unordered_map<Key, Value, KeyHash> map_;
};

// The law of a legal graph; throws kInternal naming the pass and the node that breaks it. Run after every pass in debug
// builds and CI (environment TRIREME_VERIFY=1 turns it on anywhere).
//   every parameter reached is an input; types and shapes agree with the op's rule; inputs are distinct parameters;
//   names, where given, are unique and as many as the values.
void verify(const Graph& graph, std::string_view after);
bool verify_enabled();

// Calls the body of a composite with the node's inputs. Throws kInternal when the op has none.
Values decomposition_of(const Node& node);
// Evaluates a graph on other inputs: the graph's nodes with its parameters replaced.
Values inline_graph(const Graph& graph, const std::vector<Value>& arguments);

}  // namespace trireme
