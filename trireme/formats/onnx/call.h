// Call: one ONNX node as the function that maps it sees it: inputs, attributes, opset, and where outputs go. It hides
// the protobuf classes, so that the families in ops/ compile without them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/formats/onnx/mapping.h"
#include "trireme/formats/value.h"
#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"
#include "trireme/ops/sizes.h"

namespace trireme::formats::onnx {

namespace proto {
class Node;
class Attribute;
class Graph;
}  // namespace proto

class Importer;
class Scope;

// A value of the model while it is imported: as HostValue, with nodes in the place of numbers.
struct Item {
  Kind kind = Kind::kNothing;
  Elem elem = Elem::kNone;
  Value value;
  std::shared_ptr<const Text> text;
  std::vector<Item> items;
  bool optional = false;  // came out of Optional: it may be asked whether it holds something

  Item() = default;
  explicit Item(const Value& v) : kind(Kind::kTensor), elem(elem_of(v.dtype())), value(v) {}
  Item(Elem e, const Value& v) : kind(Kind::kTensor), elem(e), value(v) {}
  static Item sequence(Elem elem, std::vector<Item> items);
  static Item of_text(Text text);
};

// A graph attribute (a branch, a body), built by Call::build or Call::close.
struct Subgraph {
  const proto::Graph* graph = nullptr;
  int inputs = 0, outputs = 0;
};

// A subgraph as a graph of its own: what it uses from outside became further inputs.
struct Closure {
  Graph graph;
  std::vector<Value> captured;  // the values of the further inputs
  std::vector<Elem> elems;      // of the outputs
};

class Call {
 public:
  Call(Importer& importer, Scope& scope, const proto::Node& node, int64_t opset)
      : importer_(&importer), scope_(&scope), node_(&node), opset_(opset) {}

  const std::string& op() const;
  int64_t opset() const { return opset_; }
  // "node 'conv1' (Conv, opset 11)".
  std::string text() const;
  // Sound, but not supported here.
  [[noreturn]] void unsupported(const std::string& why) const;
  // Breaks a rule of the format.
  [[noreturn]] void invalid(const std::string& why) const;
  void require(bool holds, const std::string& why) const {
    if (!holds) invalid(why);
  }

  // --- inputs ---
  int inputs() const;
  // The input is named and, if it is an optional, holds something.
  bool has(int input) const;
  const Item& item(int input) const;
  // A tensor input.
  const Value& x(int input) const;
  // The same, or an empty Value.
  Value maybe(int input) const { return has(input) ? x(input) : Value(); }
  Elem elem(int input) const { return item(input).elem; }
  const Shape& shape(int input) const { return x(input).shape(); }
  DType dtype(int input) const { return x(input).dtype(); }
  int rank(int input) const { return shape(input).rank(); }
  // An axis counted from the front; throws when it is out of range.
  int64_t axis(int64_t axis, int64_t rank) const;
  Ints axes(const Ints& axes, int64_t rank) const;

  // What a value is, where a shape depends on it: a constant is folded; otherwise it is computed from the values of the
  // model's inputs, and the graph is right only while it stays the same.
  Literal known(const Value& value) const;
  Literal known(int input) const { return known(x(input)); }
  Ints known_ints(int input) const;
  int64_t known_int(int input) const;
  std::vector<double> known_numbers(int input) const;
  // The value, if it needs no inputs of the model.
  std::optional<Literal> constant(const Value& value) const;

  // --- attributes ---
  bool given(std::string_view name) const;
  int64_t integer(std::string_view name, int64_t missing) const;
  int64_t integer(std::string_view name) const;
  double number(std::string_view name, double missing) const;
  double number(std::string_view name) const;
  std::string string(std::string_view name, std::string_view missing) const;
  Ints integers(std::string_view name, const Ints& missing = {}) const;
  std::vector<double> numbers(std::string_view name) const;
  std::vector<std::string> strings(std::string_view name) const;
  HostValue tensor(std::string_view name) const;
  Subgraph subgraph(std::string_view name) const;
  // The element type of a type attribute's tensors.
  Elem type_elem(std::string_view name) const;

  // --- subgraphs ---
  // The outputs of a subgraph for these inputs, as part of the graph that is being made.
  std::vector<Item> build(const Subgraph& graph, const std::vector<Item>& inputs) const;
  // The subgraph as a graph of its own; nothing inside may depend on values that come from outside. Empty where that
  // cannot be: a shape depends on such a value, or something is no tensor.
  std::optional<Closure> close(const Subgraph& graph, const std::vector<Item>& inputs) const;
  // The graph draws random numbers; a fresh key, u32[4].
  Value random_key(double seed) const;

  // --- outputs ---
  int outputs() const;
  bool wants(int output) const;
  void result(int output, Item item);
  void result(int output, const Value& value) { result(output, Item(value)); }
  void result(const Value& value) { result(0, value); }
  // The output has the element type of an input.
  void result_like(int input, const Value& value) { result(0, Item(elem(input), value)); }

 private:
  void check(const Subgraph& graph, const std::vector<Item>& inputs) const;
  const proto::Attribute* find(std::string_view name) const;
  const proto::Attribute& attribute(std::string_view name, int type) const;

  Importer* importer_;
  Scope* scope_;
  const proto::Node* node_;
  int64_t opset_;
};

// --- what many families use ---

// The value of a host tensor as a constant.
Item constant_item(const HostValue& value);
inline Value int64s(const Ints& values) {
  return ops::constant(Literal::from(std::span<const int64_t>(values), Shape{static_cast<int64_t>(values.size())}));
}
// Broadcast to one shape, as + does.
Shape broadcast_shape(const Call& call, std::initializer_list<Shape> shapes);
inline Value broadcast(const Value& x, const Shape& shape) {
  return x.shape() == shape ? x : ops::broadcast_to(x, shape.vector());
}
// Indices counted from the end made such from the front: i < 0 ? i + size : i; i64 or i32.
Value wrapped_indices(const Value& indices, int64_t size);
// A cast as ONNX defines it: `saturate` for 8-bit floats, `round_mode` for float8e8m0 ("up", "down", "nearest").
Item cast(const Call& call, const Item& from, Elem to, bool saturate = true, std::string_view round_mode = "up");

}  // namespace trireme::formats::onnx
