// LossScale: dynamic loss scaling for f16, whose smallest normal number is 6e-5. The loss is multiplied by a scale
// before its gradient is taken, so that small gradients survive, and the gradients are divided by it in f32. A step
// whose gradients are not finite is left out and halves the scale; 2000 good steps in a row double it (Micikevicius et
// al. 2018).
#pragma once

#include <vector>

#include "trireme/nn/module.h"

namespace trireme::optim {

class LossScale {
 public:
  explicit LossScale(double start = 65536.0, int64_t interval = 2000);

  // loss times the scale, in f32.
  Tensor scaled(const Tensor& loss) const;

  struct Unscaled {
    Tensor usable;  // bool: every gradient is finite; for Optimizer::step
    std::vector<Tensor> gradients;
  };
  // Of gradients of the scaled loss. Also sets the scale of the next step.
  Unscaled unscaled(const std::vector<Tensor>& gradients);

  double scale() const { return scale_.item(); }
  std::vector<nn::NamedTensor> state() const { return {{"scale", scale_, false}, {"good_steps", good_steps_, false}}; }

 private:
  int64_t interval_;
  Tensor scale_, good_steps_;
};

}  // namespace trireme::optim
