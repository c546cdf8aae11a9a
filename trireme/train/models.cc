#include "trireme/train/models.h"

#include <algorithm>
#include <filesystem>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/data/csv.h"
#include "trireme/data/find.h"
#include "trireme/data/image_sets.h"
#include "trireme/data/mnist.h"
#include "trireme/data/synthetic.h"
#include "trireme/data/text.h"
#include "trireme/train/architectures.h"

namespace trireme::train {

namespace {

// The PNGs of a folder in byte order of their names.
std::vector<std::string> pictures_in(const std::string& folder) {
  std::vector<std::string> out;
  std::error_code reason;
  for (const auto& entry : std::filesystem::directory_iterator(folder, reason)) {
    if (entry.path().extension() == ".png") out.push_back(entry.path().string());
  }
  if (out.empty()) {
    throw Error(Code::kNotFound, cat("DataLoader.path '", folder, "' is no folder with PNGs (<folder>/*.png)",
                                     reason ? ": " + reason.message() : ""));
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

data::Split load_data(const Config& config) {
  const auto& loader = config.data_loader;
  const auto located = [](const std::string& path) {
    return std::filesystem::exists(path) ? path : data::find_data(path);
  };
  const bool classes = config.loss.name == "cross_entropy";
  if (!classes && loader.dataset != "csv") {
    throw Error(Code::kInvalidArgument,
                cat("Loss.name mse takes numbers to predict; ", loader.dataset, " has classes: use cross_entropy"));
  }
  if (loader.dataset == "text") {
    auto text = data::read_text(
        located(loader.path),
        {.length = loader.length, .stride = loader.stride, .validation_share = loader.validation_share});
    if (loader.validation_share == 0) text.split.validation = nullptr;
    return text.split;
  }
  std::vector<std::string> numbers;  // the names of classes that have none
  for (int64_t i = 0; i < config.arch.classes; ++i) numbers.push_back(cat(i));
  data::DatasetPointer all;
  if (loader.dataset == "mnist") {
    all = data::load_mnist().train;
  } else if (loader.dataset == "csv") {
    all = data::read_csv(located(loader.path),
                         {.label = loader.label, .label_is_class = classes, .ignore = loader.ignore})
              .dataset;
  } else if (loader.dataset == "idx") {
    all = data::idx_images(located(loader.path), located(loader.labels), numbers);
  } else if (loader.dataset == "png_batches") {
    all = data::png_batches(pictures_in(located(loader.path)), located(loader.labels), {.classes = numbers});
  } else if (loader.dataset == "wave_images") {
    all = data::wave_images(loader.count, loader.size > 0 ? loader.size : 16, config.arch.classes,
                            static_cast<uint64_t>(config.global.seed));
  } else if (loader.dataset == "subject_tokens") {
    all = data::subject_tokens(loader.count, loader.length, loader.vocabulary, config.arch.classes,
                               static_cast<uint64_t>(config.global.seed));
  } else {
    all = data::image_folder(located(loader.path), {.height = loader.size, .width = loader.size});
  }
  if (loader.hold_back == 0) return {all, nullptr};
  if (loader.hold_back >= all->size()) {
    throw Error(Code::kInvalidArgument, cat("DataLoader.hold_back is ", loader.hold_back, " of ", all->size(),
                                            " examples; keep some to train on"));
  }
  return loader.dataset == "mnist"
             ? data::hold_back_last(all, loader.hold_back)
             : data::hold_back_random(all, loader.hold_back, static_cast<uint64_t>(config.global.seed));
}

Model make_model(const Config& config, const data::Dataset& dataset) {
  const auto& arch = config.arch;
  const Shape& input = dataset.fields()[0].shape;
  const auto found = static_cast<int64_t>(dataset.classes().size());
  int64_t outputs = 1;
  if (config.loss.name == "cross_entropy") {
    outputs = arch.classes > 0 ? arch.classes : found;
    if (outputs == 0) throw Error(Code::kInvalidArgument, "the data set does not name its classes; set Arch.classes");
    if (outputs < found) {
      throw Error(Code::kInvalidArgument, cat("Arch.classes is ", outputs, "; the data set has ", found));
    }
  } else if (arch.classes > 1) {
    throw Error(Code::kInvalidArgument,
                cat("Arch.classes is ", arch.classes, "; mse predicts one number: remove the key"));
  }
  const bool images = arch.name == "lenet" || arch.name == "resnet18" || arch.name == "mobilenet";
  const std::string& source = config.data_loader.dataset;
  const auto belong_together = [&](bool one, bool other, const char* what) {
    if (one == other) return;
    throw Error(Code::kInvalidArgument,
                cat("Arch.name ", arch.name, " with DataLoader.dataset ", source, ": ", what, " go together"));
  };
  belong_together(arch.name == "gpt" || arch.name == "lstm", source == "text", "text and gpt, or text and lstm,");
  belong_together(arch.name == "bert", source == "subject_tokens", "subject_tokens and bert");
  if (arch.name == "gpt") return make_gpt(input[0], outputs, config);
  if (arch.name == "lstm") return make_lstm(outputs, config);
  if (arch.name == "bert") return make_bert(input[0], config.data_loader.vocabulary, outputs, config);
  if (!images) return make_mlp(input.elements(), outputs, config);
  if (input.rank() != 3 || input[1] < 4 || input[2] < 4) {
    throw Error(Code::kInvalidArgument,
                cat("Arch.name ", arch.name, " takes images [channels, height, width] of at least 4 x 4; ", source,
                    " gives ", input, ": use mlp"));
  }
  if (arch.name == "resnet18") return make_resnet18(input, outputs, config);
  if (arch.name == "mobilenet") return make_mobilenet(input, outputs, config);
  return make_lenet(input, outputs, config);
}

Loss make_loss(const Config& config) {
  if (config.loss.name == "mse") {
    return [](const Tensor& output, const Tensor& target) { return mse_loss(flatten(output), target); };
  }
  const double smoothing = config.loss.label_smoothing;
  return [smoothing](const Tensor& output, const Tensor& target) {
    // Smoothing is for training; validation losses stay comparable.
    return cross_entropy(output, target, -1, nn::training() ? smoothing : 0.0);
  };
}

Options make_options(const Config& config, int64_t steps_per_epoch) {
  const auto& optimizer = config.optimizer;
  const auto& schedule = optimizer.schedule;
  Options out;
  out.epochs = config.global.epochs;
  out.method = optim::parse_method(optimizer.name);
  out.optimizer.learning_rate = optimizer.learning_rate;
  out.optimizer.weight_decay = optimizer.weight_decay;
  out.optimizer.clip_value = optimizer.clip_value;
  out.optimizer.clip_norm = optimizer.clip_norm;
  out.optimizer.accumulate = static_cast<int>(config.global.accumulate_steps);
  out.amp = config.global.amp == "bf16" ? bf16 : config.global.amp == "f16" ? f16 : f32;
  out.optimizer.momentum = optimizer.momentum;
  const int64_t total = config.global.epochs * steps_per_epoch / config.global.accumulate_steps;  // updates
  const int64_t length = schedule.steps > 0 ? schedule.steps : std::max<int64_t>(total - optimizer.warm_up, 1);
  const double rate = optimizer.learning_rate;
  if (schedule.name == "step") out.schedule = optim::step_decay(rate, schedule.period, schedule.gamma);
  else if (schedule.name == "cosine") out.schedule = optim::cosine_decay(rate, length, schedule.last);
  else if (schedule.name == "polynomial")
    out.schedule = optim::polynomial_decay(rate, length, schedule.power, schedule.last);
  else out.schedule = optim::constant_rate(rate);
  if (optimizer.warm_up > 0) out.schedule = optim::linear_warm_up(optimizer.warm_up, 0.0, out.schedule);
  out.output_folder = config.global.output_dir;
  out.save_every = config.global.save_interval;
  out.log_every = config.global.print_interval;
  out.resume = config.global.resume;
  out.detect_anomaly = config.global.detect_anomaly;
  out.patience = static_cast<int>(config.global.patience);
  out.classify = config.loss.name == "cross_entropy";
  return out;
}

}  // namespace trireme::train
