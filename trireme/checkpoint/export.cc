#include "trireme/checkpoint/export.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/formats/safetensors.h"
#include "trireme/ir/op_decl.h"
#include "trireme/ir/text.h"
#include "trireme/ops/ops.h"
#include "trireme/passes/simplify.h"

namespace trireme::checkpoint {

void export_model(const std::string& folder, const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs,
                  const std::vector<std::string>& input_names, const std::vector<std::string>& output_names,
                  const std::vector<nn::NamedTensor>& state) {
  std::unordered_set<const Node*> reached;
  for (const Node* node : Graph({}, values_of(outputs)).nodes()) reached.insert(node);
  std::vector<Tensor> all = inputs;
  std::vector<std::string> names = input_names;
  formats::Safetensors weights;
  for (const nn::NamedTensor& each : state) {
    if (!reached.contains(&each.tensor.value().node())) continue;
    all.push_back(each.tensor);
    names.push_back(each.name);
    weights.tensors.emplace(each.name, each.tensor.literal());
  }
  weights.metadata["format"] = "trireme/1";
  const Graph graph = passes::simplify(capture(all, outputs, names, output_names));
  make_folders(folder);
  formats::write_safetensors(folder + "/model.safetensors", weights);
  write_file_atomically(folder + "/model.graph", print(graph));
}

void export_graph(const std::string& folder, const Graph& graph) {
  constexpr int64_t kFew = 16;  // elements that stay in the text
  if (graph.input_names().size() != graph.inputs().size() || graph.output_names().size() != graph.outputs().size()) {
    throw Error(Code::kInvalidArgument, "a graph is exported with a name for each input and output");
  }
  std::vector<Value> inputs = graph.inputs(), outputs;
  std::vector<std::string> names = graph.input_names();
  formats::Safetensors weights;
  weights.metadata["format"] = "trireme/1";
  Rewriter lift;
  for (const Node* node : graph.nodes()) {
    if (!node->is("constant") || node->outputs()[0].shape.elements() <= kFew) continue;
    std::string name = cat("weight_", weights.tensors.size());
    while (std::find(names.begin(), names.end(), name) != names.end()) name += "_";
    const Value constant(*node);
    inputs.push_back(parameter(constant.dtype(), constant.shape()));
    names.push_back(name);
    weights.tensors.emplace(name, AttributeReader(node->op(), node->attributes()).literal("value"));
    lift.replace(constant, inputs.back());
  }
  for (const Value& v : graph.outputs()) outputs.push_back(lift(v));
  make_folders(folder);
  formats::write_safetensors(folder + "/model.safetensors", weights);
  write_file_atomically(folder + "/model.graph", print(Graph(inputs, outputs, names, graph.output_names())));
}

Graph import_model(const std::string& folder) {
  const Graph graph = parse_graph(read_file(folder + "/model.graph"));
  const auto weights = formats::read_safetensors(folder + "/model.safetensors");
  if (graph.input_names().size() != graph.inputs().size()) {
    throw Error(Code::kDataLoss, cat(folder, "/model.graph does not name its inputs; it is no exported model"));
  }
  Rewriter rewrite;
  std::vector<Value> inputs;
  std::vector<std::string> names;
  size_t used = 0;
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    const Value& v = graph.inputs()[i];
    const auto at = weights.tensors.find(graph.input_names()[i]);
    if (at == weights.tensors.end()) {
      inputs.push_back(v);
      names.push_back(graph.input_names()[i]);
      continue;
    }
    const TensorType type{at->second.dtype(), at->second.shape()};
    if (type != v.type()) {
      throw Error(Code::kDataLoss, cat(folder, ": weight ", at->first, " is ", type, " in model.safetensors and ",
                                       v.type(), " in model.graph; the two files are of different models"));
    }
    rewrite.replace(v, ops::constant(at->second));
    ++used;
  }
  if (used != weights.tensors.size()) {
    throw Error(Code::kDataLoss, cat(folder, ": model.safetensors has ", weights.tensors.size(),
                                     " tensors, model.graph uses ", used, "; the two files are of different models"));
  }
  std::vector<Value> outputs;
  for (const Value& v : graph.outputs()) outputs.push_back(rewrite(v));
  return {inputs, outputs, names, graph.output_names()};
}

}  // namespace trireme::checkpoint
