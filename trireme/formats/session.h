// Running an imported model on the current device: graphs are imported at first use and kept per input types and
// guards.
#pragma once

#include <concepts>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "trireme/formats/model.h"
#include "trireme/tensor/tensor.h"

namespace trireme::formats {

class Session {
 public:
  explicit Session(std::shared_ptr<const Model> model) : model_(std::move(model)) {}
  template <std::derived_from<Model> M>
  explicit Session(M model) : Session(std::make_shared<const M>(std::move(model))) {}
  const Model& model() const { return *model_; }

  // One value per declared output. Inputs by name; one that the model has a default for may be left out. Throws
  // kInvalidArgument for a missing input, an unknown name, or a type or shape the model does not declare.
  std::vector<HostValue> run(const std::map<std::string, HostValue>& inputs);
  // The graph used last.
  const Imported& imported() const;
  // Number of graphs imported so far.
  int imports() const { return imports_; }

 private:
  // A graph of the model, and the functions that run it and its guards without planning again.
  struct Kept {
    Imported imported;
    Compiled graph;
    std::vector<Compiled> guards;
    explicit Kept(Imported i);
    bool holds(const std::vector<Literal>& tensors) const;
  };
  const Kept& find_or_import(const std::vector<HostValue>& values, const std::vector<bool>& given,
                             const std::vector<Literal>& tensors);

  std::shared_ptr<const Model> model_;
  std::map<std::string, std::list<Kept>> graphs_;  // by the types of the inputs
  const Kept* last_ = nullptr;
  int imports_ = 0;
};

// A graph computed once on the current device: a value for each input, and one of each output.
std::vector<Literal> compute(const Graph& graph, std::span<const Literal> inputs);

// A value for an input: uniform numbers, floats in [-1, 1), integers in [0, 8), flags. Free sizes become `free`. Throws
// kUnsupported where a value cannot be made up: text, sequences, an input of undeclared shape.
HostValue random_input(const Declared& declared, int64_t free, uint64_t seed, uint32_t stream);

}  // namespace trireme::formats
