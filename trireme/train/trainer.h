// Trainer: the loop around a model. The step (forward, gradient, update) is one compiled function; so is evaluation.
//
// A run can be stopped at any time, even by kill -9, and goes on to the same final bits: a checkpoint holds parameters,
// optimizer state, the random generator, and the position of the loader.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "trireme/data/loader.h"
#include "trireme/nn/module.h"
#include "trireme/optim/loss_scale.h"
#include "trireme/optim/optimizer.h"
#include "trireme/optim/schedule.h"

namespace trireme::train {

// A model with its type forgotten: how to run it, and what it holds.
struct Model {
  std::function<Tensor(const Tensor&)> forward;
  std::vector<nn::NamedTensor> state;
};
template <class M>
Model model_of(M& module) {
  return {[&module](const Tensor& x) { return module(x); }, nn::state_of(module)};
}

// loss(output, target), a scalar.
using Loss = std::function<Tensor(const Tensor& output, const Tensor& target)>;

struct Options {
  int64_t epochs = 1;
  int64_t steps = 0;  // stop after so many batches; 0: by epochs
  optim::Method method = optim::Method::kAdamW;
  optim::Options optimizer;
  optim::Schedule schedule;   // of updates, not of batches; empty: the optimizer's rate throughout
  DType amp = f32;            // bf16, f16: contractions run on such operands (f16 with a loss scale); f32: no
  std::string output_folder;  // checkpoints, log.jsonl; empty: none are written
  int64_t save_every = 0;     // steps between checkpoints; 0: one at the end of each epoch
  int keep = 3;
  bool resume = true;           // from the newest checkpoint in the folder
  int64_t evaluate_every = 0;   // steps; 0: at the end of each epoch
  int patience = 0;             // evaluations without a better loss before stopping early; 0: never
  bool detect_anomaly = false;  // look at every step, and name the op behind a value that is not finite
  bool classify = true;         // count how often the largest output is the target
  int64_t log_every = 50;
  bool progress = true;
};

struct Result {
  double loss = 0.0;      // of the last evaluation (validation data), else of the last step
  double accuracy = 0.0;  // likewise; 0 when not classifying
  double best_loss = 0.0, best_accuracy = 0.0;
  int64_t steps = 0;
  double seconds = 0.0;
  std::string chip;
  double fallback_share = 0.0;
  bool stopped_early = false, interrupted = false;
  std::vector<std::pair<int64_t, double>> curve;  // (step, training loss)
};
// {"loss": ..., "accuracy": ..., "steps": ..., "seconds": ..., "chip": ..., "fallback_share": ...}
std::string json(const Result& result);

class Trainer {
 public:
  Trainer(Model model, Loss loss, Options options);

  // Trains on `train` and evaluates on `validation` (may be null). Batches have two fields: input and target.
  // Throws kInvalidArgument when the loss is not finite, naming step and, with detect_anomaly, op and line. A state
  // that is not finite is never saved.
  Result fit(data::DataLoader& train, data::DataLoader* validation);

  struct Evaluation {
    double loss = 0.0, accuracy = 0.0;
    int64_t examples = 0;
  };
  Evaluation evaluate(data::DataLoader& validation);

 private:
  void save(int64_t step, const data::LoaderState& position, const std::string& folder);
  bool resume(data::DataLoader& train, int64_t* step);
  std::vector<nn::NamedTensor> everything() const;
  Tensor train_step(const Tensor& x, const Tensor& y);
  std::vector<Tensor> snapshot() const;
  void check_step(int64_t step, const Tensor& loss, const std::vector<Tensor>& before, const Tensor& x,
                  const Tensor& y);

  Model model_;
  Loss loss_;
  Options options_;
  optim::Optimizer optimizer_;
  std::optional<optim::LossScale> scale_;  // with amp f16
  double loss_value_ = 0.0;                // the one logged last
  double best_loss_ = 0.0, best_accuracy_ = 0.0;
  int evaluations_without_gain_ = 0;
  bool has_best_ = false;
  std::function<std::vector<Tensor>(const Tensor&, const Tensor&)> evaluate_;
};

}  // namespace trireme::train
