// trireme explain: per op where it runs, why, and what copies cost; then the gain list.
#include <cstdio>
#include <memory>

#include "cli/commands.h"
#include "trireme/checkpoint/export.h"
#include "trireme/formats/open_model.h"
#include "trireme/runtime/explain.h"
#include "trireme/tensor/tensor.h"

namespace trireme::cli {

void add_explain(CLI::App& app) {
  struct Options {
    DeviceOptions device;
    std::string model;
    int64_t free = 1;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("explain", "Show what runs where and why, and which missing kernel would pay most");
  command->add_option("model", options->model, "folder of an exported model, or an ONNX or Paddle model")->required();
  command->add_option("--free", options->free, "size of an ONNX or Paddle input's free axes")->capture_default_str();
  command->add_flag("--json", options->json, "print one JSON line");
  options->device.add_to(*command);
  command->callback([options] {
    options->device.apply();
    runtime::PlanOptions plan;
    plan.target = &runtime::Device::get(options->device.chip);
    plan.fallback = options->device.fallback == "error" ? Fallback::kError : Fallback::kAllow;
    const auto model = formats::open_model(options->model);
    const Graph graph = model ? model->import_with(options->free).graph : checkpoint::import_model(options->model);
    const auto explanation = runtime::explain(graph, plan);
    std::printf("%s%s", (options->json ? explanation.json() : explanation.table()).c_str(), options->json ? "\n" : "");
  });
}

}  // namespace trireme::cli
