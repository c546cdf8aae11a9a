// Optimizers: variables, their state, and one step per call. The learning rate is a variable too, so that a schedule
// changes it without planning the step anew.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "trireme/nn/module.h"

namespace trireme::optim {

enum class Method : uint8_t { kSgd, kMomentum, kAdam, kAdamW, kLamb, kRmsProp };
// "sgd", "momentum", "adam", "adamw", "lamb", "rmsprop"; throws kInvalidArgument naming the nearest.
Method parse_method(std::string_view name);

struct Options {
  double learning_rate = 1e-3;
  double weight_decay = 0.0;
  double momentum = 0.9;  // momentum, rmsprop
  bool nesterov = false;
  double beta1 = 0.9, beta2 = 0.999;  // adam, adamw, lamb
  double decay = 0.99;                // rmsprop
  double epsilon = 1e-8;
  double clip_value = 0.0;     // elements of gradients are held within [-clip_value, clip_value]; 0: never
  double clip_norm = 0.0;      // then gradients are scaled down to this global norm; 0: never
  bool decay_vectors = false;  // weight decay of biases and norm weights (rank 0 and 1) too
  int accumulate = 1;          // gradients of so many steps are averaged before one update
};

class Optimizer {
 public:
  Optimizer(Method method, std::vector<nn::NamedTensor> state, const Options& options);

  // Updates every trained variable from its gradient (same order as parameters()). Inside a compiled function this
  // happens in place. With accumulate > 1 the variables move on every n-th call. Where `usable` (a bool scalar) is
  // given and false the call leaves no trace: nothing moves and it is not counted.
  void step(const std::vector<Tensor>& gradients, const Tensor& usable = {});

  const std::vector<Tensor>& parameters() const { return parameters_; }
  void set_learning_rate(double rate);
  double learning_rate() const { return rate_value_; }
  // Everything a checkpoint needs: moments, step count, learning rate.
  std::vector<nn::NamedTensor> state() const { return state_; }
  const Options& options() const { return options_; }

 private:
  Tensor variable(const std::string& name, const Shape& shape);
  void update(const std::vector<Tensor>& gradients, const Tensor& active);

  Method method_;
  Options options_;
  double rate_value_;
  std::vector<std::string> names_;
  std::vector<Tensor> parameters_;
  std::vector<nn::NamedTensor> state_;
  Tensor rate_, steps_, calls_;
  std::vector<std::vector<Tensor>> moments_;  // per parameter
  std::vector<Tensor> accumulated_;
};

}  // namespace trireme::optim
