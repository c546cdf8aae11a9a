// Emit: one node of a Trireme graph as the rule that exports it sees it; and the table of rules. It hides the protobuf
// classes, so that the families in export/ compile without them.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "trireme/ir/op_decl.h"

namespace trireme::formats::onnx {

class Exporter;

// Attributes of an ONNX node.
using Property = std::pair<std::string_view, std::variant<int64_t, double, std::string, Ints>>;
using Properties = std::vector<Property>;
using Names = std::vector<std::string>;  // of values in the ONNX graph; an empty one is an input left out

class Emit : public OpView {
 public:
  Emit(Exporter& exporter, const Node& node, DType type);

  // Operand i, in the working type.
  std::string in(int i);
  // The type the node is computed in: that of its first operand or, where ONNX does not take it, a wider one. Operands
  // and results of the first operand's type are converted.
  DType type() const { return work_; }
  const Shape& shape(int i) const { return x(i).shape(); }

  // Adds a node and gives its first output, or its first `outputs`.
  std::string add(std::string_view op, const Names& inputs, const Properties& properties = {});
  Names add(std::string_view op, const Names& inputs, const Properties& properties, size_t outputs);
  // The node's result k, in the working type where the first operand's type is due.
  void give(const std::string& value, int k = 0);
  void give(std::string_view op, const Names& inputs, const Properties& properties = {}) {
    give(add(op, inputs, properties));
  }

  std::string constant(const Literal& literal);
  std::string scalar(DType dtype, double value);
  std::string scalar(double value) { return scalar(type(), value); }
  std::string list(const Ints& numbers);  // i64[n]
  std::string cast(const std::string& value, DType from, DType to);
  std::string reshape(const std::string& value, const Shape& shape);

  // The elements of operand i, not all of its repetitions, where they are known.
  std::optional<Literal> known(int i) const;
  // True when all elements of operand i are known and within [low, high].
  bool known_within(int i, double low, double high) const;
  // True when ONNX, whose attributes are 32-bit floats, can hold the number as precisely as the working type needs.
  bool holds(double number) const;

  // For control flow: the names of a graph's outputs, its nodes written here with these values for its inputs.
  Names inlined(const Graph& graph, const Names& inputs);
  // A node with graphs as attributes. Each takes `inputs` values and its nodes may use what is visible here.
  struct Branch {
    std::string_view attribute;
    std::vector<std::pair<std::string, TensorType>> inputs;
    std::vector<TensorType> outputs;
    // Writes the branch's nodes and gives the names of its outputs.
    std::function<Names(Emit&)> write;
  };
  Names add_with_branches(std::string_view op, const Names& inputs, std::span<const Branch> branches, size_t outputs);
  std::string fresh_name();

 private:
  Exporter* exporter_;
  DType given_, work_;
  bool repeats_ = false;  // operands go in as they are, and ONNX repeats them
};

struct ExportRule {
  std::string_view op;
  // The ONNX op with the same operands and no attributes; or empty, and then `write`.
  std::string_view onnx = {};
  // Types of the first operand that ONNX takes. Of narrower ones it is converted; an op of wider ones is decomposed.
  DTypeSet types = any_dtype;
  // False: not this time (nothing was written); the op is decomposed.
  bool (*write)(Emit&) = nullptr;
};

// Types most operators of ONNX share.
inline constexpr DTypeSet floats_but_bf16 = only(f64) | only(f32) | only(f16);
inline constexpr DTypeSet wide_numbers = floats | only(i32) | only(i64) | only(u32) | only(u64);

// Generated.
std::vector<std::span<const ExportRule>> all_export_rules();

}  // namespace trireme::formats::onnx
