#include "trireme/train/job.h"

#include <algorithm>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/checkpoint/checkpoint.h"
#include "trireme/checkpoint/export.h"

namespace trireme::train {

Job::Job(Config config) : config_(std::move(config)) {
  seed(static_cast<uint64_t>(config_.global.seed));
  data_ = load_data(config_);
  model_ = make_model(config_, *data_.train);
}

std::unique_ptr<data::DataLoader> Job::loader(const data::DatasetPointer& dataset, bool training) const {
  const auto& wanted = config_.data_loader;
  return std::make_unique<data::DataLoader>(
      dataset, data::LoaderOptions{.batch_size = std::min(wanted.batch_size, dataset->size()),
                                   .shuffle = training,
                                   .drop_last = training,
                                   .seed = static_cast<uint64_t>(config_.global.seed),
                                   .workers = static_cast<int>(wanted.workers)});
}

Trainer Job::trainer(int64_t steps_per_epoch) const {
  return {model_, make_loss(config_), make_options(config_, steps_per_epoch)};
}

Result Job::fit() const {
  const auto training = loader(data_.train, true);
  const auto validation = data_.validation ? loader(data_.validation, false) : nullptr;
  return trainer(training->batches_per_epoch()).fit(*training, validation.get());
}

std::string Job::restore(bool best) const {
  const std::string folder = config_.global.output_dir + (best ? "/best" : "");
  if (config_.global.output_dir.empty()) {
    throw Error(Code::kInvalidArgument, "Global.output_dir is not set, so there is no checkpoint to read");
  }
  const auto found = checkpoint::load_latest(folder);
  if (!found) {
    throw Error(Code::kNotFound, cat(folder, " has no checkpoint; run `trireme train` on this file first"));
  }
  std::vector<nn::NamedTensor> state;
  for (const auto& each : model_.state) state.push_back({"model." + each.name, each.tensor, each.trainable});
  checkpoint::restore(state, found->contents, found->path);
  return found->path;
}

Trainer::Evaluation Job::evaluate() const {
  if (!data_.validation) {
    throw Error(Code::kInvalidArgument, "DataLoader.hold_back is 0, so there are no examples to evaluate on");
  }
  return trainer(1).evaluate(*loader(data_.validation, false));
}

Tensor Job::predict(const Tensor& input) const {
  const Tensor output = model_.forward(input);
  return classifies() ? softmax(output) : output;
}

void Job::export_to(const std::string& folder, int64_t batch) const {
  const data::Field& field = data_.train->fields()[0];
  std::vector<int64_t> shape = {batch};
  for (int axis = 0; axis < field.shape.rank(); ++axis) shape.push_back(field.shape[axis]);
  const Tensor input(Literal::zeros(field.dtype, Shape(shape)));
  checkpoint::export_model(folder, {input}, {predict(input)}, {"input"},
                           {classifies() ? "probabilities" : "prediction"}, model_.state);
}

}  // namespace trireme::train
