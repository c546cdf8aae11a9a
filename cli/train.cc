// trireme train, eval, export: the jobs of a YAML configuration.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "trireme/base/error.h"
#include "trireme/tensor/tensor.h"
#include "trireme/train/job.h"

namespace trireme::cli {

namespace {

struct Options {
  std::string config, chip, fallback, folder;
  std::vector<std::string> overrides;
  bool json = false, detect_anomaly = false, best = false;
  int64_t batch = 1;

  train::Config read() const {
    std::vector<std::string> all = overrides;
    if (!chip.empty()) all.push_back("Global.device=" + chip);
    if (!fallback.empty()) all.push_back("Global.fallback=" + fallback);
    if (detect_anomaly) all.push_back("Global.detect_anomaly=true");
    return train::read_config(config, all);
  }
};

// The configuration come to life, on its device.
train::Job start(const Options& options) {
  train::Config config = options.read();
  const DeviceOptions device{.chip = config.device(), .fallback = config.global.fallback};
  device.apply();
  return train::Job(std::move(config));
}

void run_train(const Options& options) {
  const train::Result result = start(options).fit();
  if (options.json) {
    std::printf("%s\n", train::json(result).c_str());
  } else {
    std::printf("%lld steps in %.1f s on %s: loss %.4f", static_cast<long long>(result.steps), result.seconds,
                result.chip.c_str(), result.loss);
    if (result.accuracy > 0) std::printf(", accuracy %.2f%%", 100 * result.accuracy);
    std::printf("\n");
  }
  if (result.interrupted) throw Error(Code::kInterrupted, "interrupted; the same command goes on from here");
}

void run_eval(const Options& options) {
  const train::Job job = start(options);
  const std::string path = job.restore(options.best);
  const auto found = job.evaluate();
  if (options.json) {
    const nlohmann::json line = {{"loss", found.loss},
                                 {"accuracy", found.accuracy},
                                 {"examples", found.examples},
                                 {"checkpoint", path},
                                 {"chip", current_device()}};
    std::printf("%s\n", line.dump().c_str());
  } else {
    std::printf("%s on %lld examples: loss %.4f", path.c_str(), static_cast<long long>(found.examples), found.loss);
    if (job.classifies()) std::printf(", accuracy %.2f%%", 100 * found.accuracy);
    std::printf("\n");
  }
}

void run_export(const Options& options) {
  const train::Job job = start(options);
  const std::string path = job.restore(options.best);
  job.export_to(options.folder, options.batch);
  if (options.json) {
    std::printf("%s\n", nlohmann::json{{"folder", options.folder}, {"checkpoint", path}}.dump().c_str());
  } else {
    std::printf("%s exported to %s\n", path.c_str(), options.folder.c_str());
  }
}

}  // namespace

void add_train(CLI::App& app) {
  const auto declare = [&](const char* name, const char* help, void (*job)(const Options&)) {
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand(name, help);
    command->add_option("config", options->config, "YAML file (docs/guide/train.md)")->required();
    command->add_option("-o", options->overrides, "Section.key=value, instead of what the file says")->take_all();
    command->add_option("--chip", options->chip, "device, instead of Global.device (see `trireme chips`)");
    command->add_option("--fallback", options->fallback, "when the chip needs help from the CPU: error, warn or allow");
    command->add_flag("--json", options->json, "end with one JSON line");
    command->callback([options, job] { job(*options); });
    return std::pair(command, options);
  };
  const auto [train, train_options] = declare("train", "Train the model of a YAML file", run_train);
  train->add_flag("--detect-anomaly", train_options->detect_anomaly, "name the op behind a loss that is not finite");
  const auto [evaluate, evaluate_options] = declare("eval", "Evaluate its checkpoint on the held back data", run_eval);
  evaluate->add_flag("--best", evaluate_options->best, "the checkpoint of least validation loss, not the newest");
  const auto [exporting, export_options] = declare("export", "Export its checkpoint for `trireme run`", run_export);
  exporting->add_option("folder", export_options->folder, "where to write model.graph and model.safetensors")
      ->required();
  exporting->add_option("--batch", export_options->batch, "examples in a batch of the exported model")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  exporting->add_flag("--best", export_options->best, "the checkpoint of least validation loss, not the newest");
}

}  // namespace trireme::cli
