// Job: a configuration come to life on the current device: its data and its model, and what is done with them.
#pragma once

#include <memory>
#include <string>

#include "trireme/data/loader.h"
#include "trireme/train/config.h"
#include "trireme/train/models.h"
#include "trireme/train/trainer.h"

namespace trireme::train {

class Job {
 public:
  // Seeds the generator by Global.seed, so that the initial values follow from it. Throws what load_data and make_model
  // throw.
  explicit Job(Config config);

  const Config& config() const { return config_; }
  const data::Split& data() const { return data_; }
  const Model& model() const { return model_; }
  bool classifies() const { return config_.loss.name == "cross_entropy"; }

  // The examples in batches of DataLoader.batch_size: for training shuffled and without the last batch where it is
  // smaller.
  std::unique_ptr<data::DataLoader> loader(const data::DatasetPointer& dataset, bool training) const;
  Result fit() const;
  // The model's weights from the newest checkpoint in Global.output_dir, or the best one. Returns its path. Throws
  // kInvalidArgument when there is no such folder in the configuration, kNotFound when it holds no checkpoint.
  std::string restore(bool best) const;
  // On the examples held back. Throws kInvalidArgument when there are none.
  Trainer::Evaluation evaluate() const;
  // What the exported model gives for inputs [N, ...]: probabilities where it classifies, else the model's output.
  Tensor predict(const Tensor& input) const;
  // Writes the inference graph for `batch` examples at a time, from "input" to "probabilities" or "prediction".
  void export_to(const std::string& folder, int64_t batch) const;

 private:
  Trainer trainer(int64_t steps_per_epoch) const;

  Config config_;
  data::Split data_;
  Model model_;
};

}  // namespace trireme::train
