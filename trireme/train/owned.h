// A module on the heap as a Model, which keeps it alive.
#pragma once

#include <memory>
#include <utility>

#include "trireme/train/trainer.h"

namespace trireme::train {

template <class M, class... Arguments>
Model owned(Arguments&&... arguments) {
  auto module = std::make_shared<M>(std::forward<Arguments>(arguments)...);
  return {[module](const Tensor& x) { return (*module)(x); }, nn::state_of(*module)};
}

}  // namespace trireme::train
