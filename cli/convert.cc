// trireme convert: named tensors, and models, from one file format to another.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands.h"
#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/checkpoint/export.h"
#include "trireme/formats/onnx/exporter.h"
#include "trireme/formats/open_model.h"
#include "trireme/formats/weights.h"
#include "trireme/passes/simplify.h"

namespace trireme::cli {

namespace {

struct Options {
  std::string from, to, dtype;
  int64_t free = 1;
  bool compress = false, json = false;
};

void report(const Options& options, const nlohmann::json& facts) {
  if (options.json) {
    nlohmann::json line = facts;
    line["from"] = options.from, line["to"] = options.to;
    std::printf("%s\n", line.dump().c_str());
    return;
  }
  std::string text;
  for (const auto& [name, value] : facts.items()) text += cat(text.empty() ? "" : ", ", value.dump(), " ", name);
  std::printf("%s: %s\n", options.to.c_str(), text.c_str());
}

// The graph of a model, whatever its format; nothing where the path is no model.
std::optional<Graph> graph_of(const Options& options) {
  if (const auto model = formats::open_model(options.from)) {
    const auto imported = model->import_with(options.free);
    for (const auto& layout : imported.layouts) {
      if (layout.kind != formats::Kind::kTensor) {
        throw Error(Code::kUnsupported, cat("'", options.from,
                                            "' has an output that is no tensor; only graphs of tensors are "
                                            "converted"));
      }
    }
    return passes::simplify(imported.graph);
  }
  if (file_exists(options.from + "/model.graph")) return checkpoint::import_model(options.from);
  return std::nullopt;
}

void convert_model(const Options& options, const Graph& graph) {
  if (!options.dtype.empty() || options.compress) {
    throw Error(Code::kInvalidArgument, "--dtype and --compress are for weights; a model keeps its types");
  }
  save_model(graph, options.to);
  report(options,
         {{"nodes", graph.nodes().size()}, {"inputs", graph.inputs().size()}, {"outputs", graph.outputs().size()}});
}

Literal as_type(const Literal& tensor, DType type) {
  if (!is_float(tensor.dtype()) || tensor.dtype() == type) return tensor;
  Literal out = Literal::zeros(type, tensor.shape());
  convert_elements(tensor.dtype(), tensor.data(), type, out.mutable_data(), tensor.elements());
  return out;
}

void convert(const Options& options) {
  if (const auto graph = graph_of(options)) return convert_model(options, *graph);
  const formats::WeightsFormat &source = formats::weights_format(options.from),
                               &target = formats::weights_format(options.to);
  if (!target.write) {
    std::vector<std::string> writable;
    for (const formats::WeightsFormat& format : formats::weights_formats()) {
      if (format.write) writable.emplace_back(format.suffix);
    }
    throw Error(Code::kUnsupported, cat("cannot write '", options.to, "': a ", target.name, " is only read; write ",
                                        join(writable, " or ")));
  }
  formats::Weights weights = source.read(options.from);
  if (weights.tensors.empty()) {
    throw Error(Code::kInvalidArgument, cat("'", options.from, "' holds no tensor; nothing was written"));
  }
  if (!options.dtype.empty()) {
    const DType type = parse_dtype(options.dtype);
    if (!is_float(type)) {
      throw Error(Code::kInvalidArgument,
                  cat("--dtype ", type, ": weights become floating numbers: f32, f64, f16, bf16"));
    }
    for (auto& [name, tensor] : weights.tensors) tensor = as_type(tensor, type);
  }
  target.write(options.to, weights, options.compress);
  int64_t elements = 0;
  uint64_t bytes = 0;
  for (const auto& [name, tensor] : weights.tensors) elements += tensor.elements(), bytes += tensor.bytes();
  report(options, {{"tensors", weights.tensors.size()}, {"elements", elements}, {"bytes", bytes}});
}

}  // namespace

void save_model(const Graph& graph, const std::string& to) {
  if (to.ends_with(".onnx")) formats::onnx::save_onnx(graph, to);
  else if (to.find('.', to.find_last_of('/') + 1) == std::string::npos) {
    checkpoint::export_graph(to, graph);
  } else {
    throw Error(Code::kUnsupported,
                cat("cannot write the model '", to, "'; write a .onnx file or a folder, whose name has no dot"));
  }
}

void add_convert(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("convert", "Convert models, or weights alone, between file formats");
  std::vector<std::string> readable, writable;
  for (const formats::WeightsFormat& format : formats::weights_formats()) {
    readable.emplace_back(format.suffix);
    if (format.write) writable.emplace_back(format.suffix);
  }
  command
      ->add_option("from", options->from,
                   "a model (ONNX, Paddle, an exported folder), or weights: " + join(readable, ", "))
      ->required();
  command->add_option("to", options->to, "a model: .onnx, or a folder; weights: " + join(writable, ", "))->required();
  command->add_option("--free", options->free, "size of a model's free axes")->capture_default_str();
  command->add_option("--dtype", options->dtype, "floating type that floating tensors become (default: as they are)");
  command->add_flag("--compress", options->compress, "deflate the arrays of an .npz file");
  command->add_flag("--json", options->json, "print one JSON line");
  command->callback([options] { convert(*options); });
}

}  // namespace trireme::cli
