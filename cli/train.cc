// trireme train, eval, export: the jobs of a YAML configuration.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/checkpoint/checkpoint.h"
#include "trireme/checkpoint/export.h"
#include "trireme/train/models.h"

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

// The configuration come to life, on its device. The seed comes before the model: its initial values follow from it.
struct Job {
  train::Config config;
  data::Split data;
  train::Model model;

  explicit Job(const Options& options) : config(options.read()) {
    const DeviceOptions device{.chip = config.device(), .fallback = config.global.fallback};
    device.apply();
    seed(static_cast<uint64_t>(config.global.seed));
    data = train::load_data(config);
    model = train::make_model(config, *data.train);
  }

  std::unique_ptr<data::DataLoader> loader(const data::DatasetPointer& dataset, bool training) const {
    const auto& wanted = config.data_loader;
    return std::make_unique<data::DataLoader>(
        dataset, data::LoaderOptions{.batch_size = std::min(wanted.batch_size, dataset->size()),
                                     .shuffle = training,
                                     .drop_last = training,
                                     .seed = static_cast<uint64_t>(config.global.seed),
                                     .workers = static_cast<int>(wanted.workers)});
  }

  // The model's weights from the newest checkpoint. Returns its path.
  std::string restore(bool best) const {
    const std::string folder = config.global.output_dir + (best ? "/best" : "");
    if (config.global.output_dir.empty()) {
      throw Error(Code::kInvalidArgument, "Global.output_dir is not set, so there is no checkpoint to read");
    }
    const auto found = checkpoint::load_latest(folder);
    if (!found) {
      throw Error(Code::kNotFound, cat(folder, " has no checkpoint; run `trireme train` on this file first"));
    }
    std::vector<nn::NamedTensor> state;
    for (const auto& each : model.state) state.push_back({"model." + each.name, each.tensor, each.trainable});
    checkpoint::restore(state, found->contents, found->path);
    return found->path;
  }
};

void run_train(const Options& options) {
  const Job job(options);
  const auto training = job.loader(job.data.train, true);
  const auto validation = job.data.validation ? job.loader(job.data.validation, false) : nullptr;
  train::Trainer trainer(job.model, train::make_loss(job.config),
                         train::make_options(job.config, training->batches_per_epoch()));
  const train::Result result = trainer.fit(*training, validation.get());
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
  const Job job(options);
  const std::string path = job.restore(options.best);
  if (!job.data.validation) {
    throw Error(Code::kInvalidArgument, "DataLoader.hold_back is 0, so there are no examples to evaluate on");
  }
  const auto validation = job.loader(job.data.validation, false);
  train::Options trainer_options = train::make_options(job.config, 1);
  train::Trainer trainer(job.model, train::make_loss(job.config), trainer_options);
  const auto found = trainer.evaluate(*validation);
  if (options.json) {
    const nlohmann::json line = {{"loss", found.loss},
                                 {"accuracy", found.accuracy},
                                 {"examples", found.examples},
                                 {"checkpoint", path},
                                 {"chip", current_device()}};
    std::printf("%s\n", line.dump().c_str());
  } else {
    std::printf("%s on %lld examples: loss %.4f", path.c_str(), static_cast<long long>(found.examples), found.loss);
    if (trainer_options.classify) std::printf(", accuracy %.2f%%", 100 * found.accuracy);
    std::printf("\n");
  }
}

void run_export(const Options& options) {
  const Job job(options);
  const std::string path = job.restore(options.best);
  const data::Field& field = job.data.train->fields()[0];
  std::vector<int64_t> shape = {options.batch};
  for (int axis = 0; axis < field.shape.rank(); ++axis) shape.push_back(field.shape[axis]);
  const Tensor input(Literal::zeros(field.dtype, Shape(shape)));
  const bool classify = job.config.loss.name == "cross_entropy";
  const Tensor output = job.model.forward(input);
  checkpoint::export_model(options.folder, {input}, {classify ? softmax(output) : output}, {"input"},
                           {classify ? "probabilities" : "prediction"}, job.model.state);
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
