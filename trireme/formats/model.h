// Models of other formats (formats/onnx, formats/paddle), and how they become Trireme graphs.
//
// A graph of Trireme has fixed shapes, so a model becomes a graph for one set of input types. Where a shape depends on
// what an input holds (a reshape whose target comes in as a tensor), that value is fixed too: the graph is right for
// inputs that agree with the `guards`. Session (session.h) keeps one graph per input types and guards.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "trireme/formats/known_values.h"
#include "trireme/formats/value.h"
#include "trireme/ir/graph.h"

namespace trireme::formats {

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
  virtual ~Model() = default;

  virtual const std::vector<Declared>& inputs() const = 0;
  virtual const std::vector<Declared>& outputs() const = 0;
  // The distinct operators, in order of appearance.
  virtual std::vector<std::string> operators() const = 0;

  // The graph for these inputs, one binding per declared input. `evaluate` computes a graph on the bindings' values
  // when a shape depends on it; without it such a model is refused.
  Imported import(const std::vector<Binding>& inputs, const Evaluate& evaluate = {}) const {
    return import_graph(inputs, evaluate);
  }
  // Free sizes become `free`; no value is at hand.
  Imported import_with(int64_t free) const;

 protected:
  Model() = default;
  Model(const Model&) = default;
  Model& operator=(const Model&) = default;

 private:
  virtual Imported import_graph(const std::vector<Binding>& inputs, const Evaluate& evaluate) const = 0;
};

}  // namespace trireme::formats
