// Tensor: what a user holds. A handle to a lazy value: operations check types and shapes at once, on the user's line,
// but nothing computes until a value is read, eval() is called, or a compiled function returns.
//
// Copies of a Tensor are the same variable: assign() through one of them is seen by all. Operations make new tensors
// and never change their arguments.
#pragma once

#include <memory>
#include <source_location>
#include <vector>

#include "trireme/core/literal.h"
#include "trireme/ir/node.h"

namespace trireme {

class Tensor {
 public:
  Tensor() = default;            // holds nothing
  explicit Tensor(Value value);  // a lazy value
  // A value from the host, placed on the current device (set_device).
  explicit Tensor(const Literal& literal);
  // A scalar of type f32.
  explicit Tensor(double value) : Tensor(Literal::scalar(static_cast<float>(value))) {}

  explicit operator bool() const { return state_ != nullptr; }
  const Shape& shape() const;
  DType dtype() const;
  int rank() const { return shape().rank(); }
  // Size of an axis; negative axes count from the back.
  int64_t size(int axis) const;

  // Computes what is needed, waits, and copies the value to the host.
  Literal literal() const;
  // The one element of a tensor of one element.
  double item() const;
  // "f32[2, 2] {1, 2, 3, 4}".
  std::string text(int64_t limit = 16) const { return literal().text(limit); }

  // This variable's new value; type and shape must stay (kInvalidArgument). Inside a compiled function the assignment
  // happens each time the function runs, which is how optimizers update parameters in place.
  void assign(const Tensor& value, std::source_location where = std::source_location::current());
  // The same bytes, cut from the graph: gradients stop here.
  Tensor detach() const;

  // The graph value behind this tensor.
  Value value() const;

  struct State;
  const std::shared_ptr<State>& state() const { return state_; }
  explicit Tensor(std::shared_ptr<State> state) : state_(std::move(state)) {}

 private:
  std::shared_ptr<State> state_;
};

// For generated code: the values behind tensors and back. An empty tensor is an empty value.
Value value_of(const Tensor& tensor);
std::vector<Value> values_of(const std::vector<Tensor>& tensors);
std::vector<Tensor> tensors_of(const std::vector<Value>& values);

}  // namespace trireme
