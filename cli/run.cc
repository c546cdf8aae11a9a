// trireme run: an exported model on inputs from .npy files (or random ones), with an optional trace.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands.h"
#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/checkpoint/export.h"
#include "trireme/core/philox.h"
#include "trireme/formats/npy.h"
#include "trireme/runtime/shadow.h"
#include "trireme/runtime/trace.h"
#include "trireme/tensor/tensor.h"

namespace trireme::cli {

namespace {

struct Options {
  DeviceOptions device;
  std::string model, output, trace;
  std::vector<std::string> inputs;
  uint64_t seed = 0, shadow = 0;
  bool json = false;
};

// Uniform numbers for an input that was not given: floats in [-1, 1), integers in [0, 8).
Literal random_input(const TensorType& type, uint64_t seed, uint32_t stream) {
  std::vector<double> values(static_cast<size_t>(type.shape.elements()));
  for (size_t i = 0; i < values.size(); ++i) {
    const uint32_t word = philox_word({static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), stream, 0}, i);
    values[i] = is_float(type.dtype) ? word * 0x1p-31 - 1.0 : word % (type.dtype == boolean ? 2 : 8);
  }
  return Literal::from_doubles(type.dtype, type.shape, values);
}

void run_model(const Options& options) {
  options.device.apply();
  if (options.shadow > 0) runtime::set_shadow(options.shadow);
  const Graph graph = checkpoint::import_model(options.model);
  std::vector<std::optional<Literal>> inputs(graph.inputs().size());
  for (const std::string& given : options.inputs) {
    const size_t equals = given.find('=');
    if (equals == std::string::npos) {
      throw Error(Code::kInvalidArgument, cat("--input '", given, "' is not name=file.npy"));
    }
    const std::string name = given.substr(0, equals);
    const auto at = std::find(graph.input_names().begin(), graph.input_names().end(), name);
    if (at == graph.input_names().end()) {
      const std::string near = nearest_name(name, graph.input_names());
      throw Error(Code::kNotFound,
                  cat("the model has no input '", name, "'; ",
                      near.empty() ? "it has: " + join(graph.input_names(), ", ") : "did you mean '" + near + "'?"));
    }
    inputs[static_cast<size_t>(at - graph.input_names().begin())] = formats::read_npy(given.substr(equals + 1));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i]) inputs[i] = random_input(graph.inputs()[i].type(), options.seed, static_cast<uint32_t>(i));
  }
  // Fresh tensors, so that a second run computes anew.
  const auto once = [&] {
    std::vector<Tensor> given;
    for (const auto& each : inputs) given.emplace_back(*each);
    auto results = run(graph, given);
    eval(results);
    return results;
  };
  if (!options.trace.empty()) {
    once();  // planned and warm
    runtime::start_trace();
  }
  const uint64_t begin = runtime::now_ns();
  const auto results = once();
  const double ms = static_cast<double>(runtime::now_ns() - begin) * 1e-6;
  if (!options.trace.empty()) runtime::write_trace(options.trace);
  nlohmann::json list = nlohmann::json::array();
  for (size_t k = 0; k < results.size(); ++k) {
    const std::string name = k < graph.output_names().size() ? graph.output_names()[k] : cat("output", k);
    const Literal value = results[k].literal();
    if (!options.output.empty()) {
      make_folders(options.output);
      formats::write_npy(options.output + "/" + name + ".npy", value);
    }
    if (!options.json) std::printf("%s = %s\n", name.c_str(), value.text(10).c_str());
    double sum = 0.0;
    for (double v : value.to_doubles()) sum += v;
    list.push_back({{"name", name}, {"type", TensorType{value.dtype(), value.shape()}.text()}, {"sum", sum}});
  }
  if (options.json) {
    std::printf("%s\n", nlohmann::json{{"outputs", list}, {"chip", current_device()}, {"ms", ms}}.dump().c_str());
  }
}

}  // namespace

void add_run(CLI::App& app) {
  const auto declare = [&](const char* name, const char* help, bool traced) {
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand(name, help);
    command->add_option("model", options->model, "folder of an exported model")->required();
    command->add_option("--input", options->inputs, "name=file.npy; inputs not given are random");
    command->add_option("--seed", options->seed, "of random inputs")->capture_default_str();
    command->add_option("--save", options->output, "folder for the outputs as .npy files");
    command->add_option("--shadow", options->shadow,
                        "check every n-th region with the reference evaluator (slow; TRIREME_SHADOW for any command)");
    command->add_flag("--json", options->json, "print one JSON line");
    if (traced) options->trace = "trace.json";
    command->add_option("--trace", options->trace, "write a Chrome trace to this file")->capture_default_str();
    options->device.add_to(*command);
    command->callback([options] { run_model(*options); });
  };
  declare("run", "Run an exported model", false);
  declare("trace", "Run an exported model and write a Chrome trace (chrome://tracing, Perfetto)", true);
}

}  // namespace trireme::cli
