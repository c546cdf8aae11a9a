// ONNX models: read, and turned into Trireme graphs.
//
// A graph of Trireme has fixed shapes, so a model becomes a graph for one set of input types. Where a shape depends on
// what an input holds (a Reshape whose target comes in as a tensor), that value is fixed too: the graph is right for
// inputs that agree with the `guards`. Session (session.h) keeps one graph per input types and guards.
//
// A damaged, hostile or unknown file is an Error: kDataLoss where the file is wrong, kUnsupported where it is sound but
// asks for something Trireme lacks (the message names the op, the node, the opset and what is supported). External data
// is read only from the folder of the model.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/formats/onnx/value.h"
#include "trireme/ir/graph.h"

namespace trireme::formats::onnx {

// What a model declares about an input or output. A size of -1 is free.
struct Declared {
  std::string name;
  Kind kind = Kind::kTensor;  // kNothing: an optional, of whatever
  Elem elem = Elem::kNone;
  bool has_shape = false;
  std::vector<int64_t> sizes;
  std::vector<std::string> size_names;  // "batch" for a free size, else empty
  bool optional = false;                // may be left out: it has a default
  // "float[batch, 3, 224, 224]".
  std::string text() const;
};

// An input as the graph is to take it: its structure and types, and its value where one is at hand.
struct Binding {
  Kind kind = Kind::kNothing;
  Elem elem = Elem::kNone;
  Shape shape;     // of a tensor
  Literal tensor;  // may be empty: then nothing may depend on the value
  std::shared_ptr<const Text> text;
  std::vector<Binding> items;  // of a sequence
  bool given = false;          // false: the model's default is taken

  Binding() = default;
  explicit Binding(const HostValue& value);
  static Binding of_type(Elem elem, const Shape& shape);
};

// How an output is put together from the graph's outputs.
struct Layout {
  Kind kind = Kind::kNothing;
  Elem elem = Elem::kNone;
  size_t output = 0;                 // of a tensor: which output of the graph
  std::shared_ptr<const Text> text;  // of text, which no chip computes
  std::vector<Layout> items;         // of a sequence
};

struct Guard {
  Graph graph;    // of the imported graph's inputs
  Literal value;  // what it must give
};

struct Imported {
  // Inputs: the tensors of the given bindings in order, sequences flattened. Outputs: those that layouts point to.
  Graph graph;
  std::vector<Layout> layouts;  // one per output of the model
  std::vector<Guard> guards;
  // Draws random numbers, so that values differ from run to run.
  bool random = false;
};

class Model {
 public:
  // Reads the file. Tensors are not copied again: literals point into the model's memory.
  static Model load(const std::string& path);
  // The same for bytes in memory; `folder` is where external data may lie (empty: nowhere).
  static Model parse(std::span<const std::byte> bytes, const std::string& source, const std::string& folder = {});

  const std::vector<Declared>& inputs() const;
  const std::vector<Declared>& outputs() const;
  // The opset of the main domain, and the distinct operators ("Conv", "ai.onnx.ml::Scaler") in order of appearance.
  int64_t opset() const;
  std::vector<std::string> operators() const;

  // The graph for these inputs, one binding per declared input. `evaluate` computes a graph on the bindings' values
  // when a shape depends on it; without it such a model is refused.
  using Evaluate = std::function<std::vector<Literal>(const Graph& graph, std::span<const Literal> inputs)>;
  Imported import(const std::vector<Binding>& inputs, const Evaluate& evaluate = {}) const;
  // Free sizes become `free`; no value is at hand.
  Imported import_with(int64_t free) const;

  struct Impl;

 private:
  std::shared_ptr<const Impl> impl_;
};

// Names of the mapped operators, each with its opset range: "Add 1-27", sorted.
std::vector<std::string> supported_operators();

// A file holding one value: a tensor, or where `declared` says so a sequence or an optional.
HostValue read_value(const std::string& path, const Declared& declared);
HostValue parse_value(std::string_view bytes, const std::string& source, const Declared& declared);

}  // namespace trireme::formats::onnx
