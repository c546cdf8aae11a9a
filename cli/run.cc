// trireme run: an exported, an ONNX or a Paddle model on inputs from files (or random ones), with an optional trace.
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands.h"
#include "cli/inputs.h"
#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/checkpoint/export.h"
#include "trireme/core/philox.h"
#include "trireme/formats/npy.h"
#include "trireme/formats/onnx/model.h"
#include "trireme/formats/open_model.h"
#include "trireme/formats/session.h"
#include "trireme/runtime/shadow.h"
#include "trireme/runtime/trace.h"
#include "trireme/tensor/tensor.h"
#include "trireme/vision/labels.h"

namespace trireme::cli {

namespace {

struct Options {
  DeviceOptions device;
  InputOptions input;
  std::string model, output, trace, labels;
  uint64_t seed = 0, shadow = 0;
  int64_t free = 1, top = 0;
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

// Prints and saves outputs, one after the other.
class Report {
 public:
  explicit Report(const Options& options) : options_(&options) {
    if (!options.output.empty()) make_folders(options.output);
    if (!options.labels.empty()) labels_ = vision::read_labels(options.labels);
  }
  void add(const std::string& name, const Literal& value) {
    if (!options_->output.empty()) formats::write_npy(options_->output + "/" + file_name(name), value);
    double sum = 0.0;
    for (double v : value.to_doubles()) sum += v;
    list_.push_back({{"name", name}, {"type", TensorType{value.dtype(), value.shape()}.text()}, {"sum", sum}});
    if (options_->top > 0 && vision::is_classification(value)) {
      rank(name, value);
    } else if (!options_->json) {
      std::printf("%s = %s\n", name.c_str(), value.text(10).c_str());
    }
  }
  void add(const std::string& name, const formats::HostValue& value) {
    using formats::Kind;
    if (value.kind == Kind::kTensor) add(name, value.tensor);
    for (size_t i = 0; i < value.items.size(); ++i) add(cat(name, "[", i, "]"), value.items[i]);
    if (value.kind != Kind::kText) return;
    if (!options_->json) std::printf("%s = %s\n", name.c_str(), join(value.text->strings, "\n  ").c_str());
    list_.push_back({{"name", name}, {"text", value.text->strings}});
  }
  void close(double ms) const {
    if (!options_->json) return;
    std::printf("%s\n", nlohmann::json{{"outputs", list_}, {"chip", current_device()}, {"ms", ms}}.dump().c_str());
  }

 private:
  // A model chooses its names: none leads out of the folder.
  static std::string file_name(std::string output) {
    std::replace(output.begin(), output.end(), '/', '_');
    return output + ".npy";
  }

  // The best classes of each example.
  void rank(const std::string& name, const Literal& value) {
    nlohmann::json examples = nlohmann::json::array();
    for (const auto& example : vision::best_classes(value, options_->top)) {
      if (!options_->json) std::printf("%s:\n", name.c_str());
      nlohmann::json best = nlohmann::json::array();
      for (const vision::Ranked& each : example) {
        const auto index = static_cast<size_t>(each.index);
        const std::string label = index < labels_.size() ? labels_[index] : cat("class ", index);
        if (!options_->json) std::printf("  %6.2f%%  %s\n", 100 * each.probability, label.c_str());
        best.push_back({{"class", each.index}, {"label", label}, {"probability", each.probability}});
      }
      examples.push_back(best);
    }
    list_.back()["top"] = examples;
  }

  const Options* options_;
  std::vector<std::string> labels_;
  nlohmann::json list_ = nlohmann::json::array();
};

void run_imported(const Options& options, std::shared_ptr<const formats::Model> model) {
  formats::Session session(std::move(model));
  std::vector<std::string> names;
  for (const auto& declared : session.model().inputs()) names.push_back(declared.name);
  std::map<std::string, formats::HostValue> inputs;
  for (const GivenInput& each : options.input.given(names)) {
    const auto& declared =
        session.model().inputs()[static_cast<size_t>(std::find(names.begin(), names.end(), each.name) - names.begin())];
    if (each.file.ends_with(".pb")) {
      inputs[each.name] = formats::onnx::read_value(each.file, declared);
      continue;
    }
    const bool tensor = declared.kind == formats::Kind::kTensor;
    const WantedInput wanted = {tensor ? formats::carrier(declared.elem) : f32, declared.has_shape, declared.sizes};
    inputs[each.name] = formats::HostValue(options.input.read(each, wanted));
  }
  for (size_t i = 0; i < names.size(); ++i) {
    const auto& declared = session.model().inputs()[i];
    if (declared.optional || inputs.contains(names[i])) continue;
    inputs[names[i]] = formats::random_input(declared, options.free, options.seed, static_cast<uint32_t>(i));
  }
  session.run(inputs);  // imported, planned and warm
  if (!options.trace.empty()) runtime::start_trace();
  const uint64_t begin = runtime::now_ns();
  const auto results = session.run(inputs);
  const double ms = static_cast<double>(runtime::now_ns() - begin) * 1e-6;
  if (!options.trace.empty()) runtime::write_trace(options.trace);
  Report report(options);
  for (size_t k = 0; k < results.size(); ++k) report.add(session.model().outputs()[k].name, results[k]);
  report.close(ms);
}

void run_model(const Options& options) {
  options.device.apply();
  if (options.shadow > 0) runtime::set_shadow(options.shadow);
  if (auto model = formats::open_model(options.model)) {
    run_imported(options, std::move(model));
    return;
  }
  const Graph graph = checkpoint::import_model(options.model);
  std::vector<std::optional<Literal>> inputs(graph.inputs().size());
  const auto& names = graph.input_names();
  for (const GivenInput& each : options.input.given(names)) {
    const auto index = static_cast<size_t>(std::find(names.begin(), names.end(), each.name) - names.begin());
    const TensorType type = graph.inputs()[index].type();
    inputs[index] = options.input.read(each, {type.dtype, true, type.shape.vector()});
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
  Report report(options);
  for (size_t k = 0; k < results.size(); ++k) {
    report.add(k < graph.output_names().size() ? graph.output_names()[k] : cat("output", k), results[k].literal());
  }
  report.close(ms);
}

}  // namespace

void add_run(CLI::App& app) {
  const auto declare = [&](const char* name, const char* help, bool traced) {
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand(name, help);
    command->add_option("model", options->model, "folder of an exported model, or an ONNX or Paddle model")->required();
    options->input.add_to(*command);
    command->add_option("--free", options->free, "size of an ONNX or Paddle input's free axes where it is random")
        ->capture_default_str();
    command->add_option("--seed", options->seed, "of random inputs")->capture_default_str();
    command->add_option("--top", options->top, "print the best classes of outputs that are scores of classes")
        ->check(CLI::PositiveNumber);
    command->add_option("--labels", options->labels, "names of the classes: one per line, or .json; needs --top")
        ->needs("--top");
    command->add_option("--save", options->output, "folder for the outputs as .npy files");
    command->add_option("--shadow", options->shadow,
                        "check every n-th region with the reference evaluator (slow; TRIREME_SHADOW for any command)");
    command->add_flag("--json", options->json, "print one JSON line");
    if (traced) options->trace = "trace.json";
    command->add_option("--trace", options->trace, "write a Chrome trace to this file")->capture_default_str();
    options->device.add_to(*command);
    command->callback([options] { run_model(*options); });
  };
  declare("run", "Run a model", false);
  declare("trace", "Run a model and write a Chrome trace (chrome://tracing, Perfetto)", true);
}

}  // namespace trireme::cli
