// An exported model: a folder with model.graph (the inference graph as text, its weights as named inputs) and
// model.safetensors (the weights by those names).
#pragma once

#include <string>
#include <vector>

#include "trireme/nn/module.h"

namespace trireme::checkpoint {

// The graph from `inputs` to `outputs`; tensors of `state` that it uses become weights under their names.
void export_model(const std::string& folder, const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs,
                  const std::vector<std::string>& input_names, const std::vector<std::string>& output_names,
                  const std::vector<nn::NamedTensor>& state);

// A graph with its weights as constants: those of more than a few elements become weights called weight_<n>. Throws
// kInvalidArgument for an input or output without a name.
void export_graph(const std::string& folder, const Graph& graph);

// The graph with its weights as constants. Throws kNotFound, kDataLoss naming file and tensor.
Graph import_model(const std::string& folder);

}  // namespace trireme::checkpoint
