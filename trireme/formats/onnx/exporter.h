// Graphs as ONNX models, opset 21: for runtimes other than Trireme. Weights are initializers; shapes are fixed.
//
// An op with a counterpart becomes that node (export/<family>.cc); every other op becomes what its decomposition
// becomes. Where ONNX leaves open what Trireme states (division of an integer by zero, an index out of range), nodes
// are added that make it so. Element types that the counterpart does not take are converted around it.
#pragma once

#include <string>

#include "trireme/ir/graph.h"

namespace trireme::formats::onnx {

// The model as bytes. Throws kUnsupported, naming op and source line, for what ONNX cannot express: bitcast, in 64 bits
// of float what its attributes hold only in 32 and no decomposition says; and kInvalidArgument when the weights exceed
// kMostInOneFile.
std::string to_onnx(const Graph& graph);

// Bytes of weights; the format ends at 2 GiB for all.
inline constexpr uint64_t kMostInOneFile = uint64_t{1} << 30;

// Writes the model to `path`, atomically. More weights than `most` go to "<path>.data" beside it (external data).
void save_onnx(const Graph& graph, const std::string& path, uint64_t most = kMostInOneFile);

}  // namespace trireme::formats::onnx
