// What stands behind a Tensor. Private to this folder.
#pragma once

#include <memory>
#include <vector>

#include "trireme/ir/graph.h"
#include "trireme/runtime/buffer.h"
#include "trireme/runtime/ledger.h"
#include "trireme/tensor/handle.h"

namespace trireme {

// A variable: the graph value it holds now. A value that has been computed is a leaf, a parameter node that carries its
// buffer.
struct Tensor::State {
  Value value;
  uint64_t trace = 0;  // of the compiled function being traced when it was made; 0: outside
};

namespace detail {

// Hung on graph nodes (Node::attach).
struct Attachment {
  runtime::BufferRef leaf;                              // of a leaf
  std::weak_ptr<Tensor::State> owner;                   // the variable this leaf is the value of
  std::vector<std::weak_ptr<runtime::Buffer>> results;  // of another node: outputs already computed and still alive
};

// The buffer of a value, if it is there already.
runtime::BufferRef buffer_of(const Value& value);
// Makes `buffer` the value of a variable.
void set_leaf(const std::shared_ptr<Tensor::State>& state, runtime::BufferRef buffer);
Value make_leaf(runtime::BufferRef buffer, const std::shared_ptr<Tensor::State>& owner);
// The variable's buffer; computes it first when it is lazy.
runtime::BufferRef ready_buffer(const std::shared_ptr<Tensor::State>& state);

// The graph that computes `wanted` from what is there already.
struct Pending {
  Graph graph;
  std::vector<runtime::BufferRef> inputs;
  std::vector<Value> leaves;  // the values the inputs stand for
};
Pending pending_graph(const std::vector<Value>& wanted, const std::vector<Value>& arguments = {});

runtime::Device& target_device();
runtime::Fallback fallback_mode();

// The trace in progress on this thread; 0: none.
uint64_t current_trace();
// Called when a variable is assigned while tracing.
void note_assignment(const std::shared_ptr<Tensor::State>& state, const Value& before);
// True when the value the variable has now was assigned by the function being traced.
bool assigned_in_trace(const std::shared_ptr<Tensor::State>& state);
// Variables from outside that the function being traced has assigned so far.
std::vector<std::shared_ptr<Tensor::State>> assigned_variables();

}  // namespace detail
}  // namespace trireme
