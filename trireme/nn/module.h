// Modules are plain structs: tensors as members, a call operator, and one method that names the members:
//
//   struct Mlp {
//     nn::Linear first{784, 128}, second{128, 10};
//     Tensor operator()(const Tensor& x) { return second(relu(first(x))); }
//     template <class Visitor>
//     void each(Visitor& visit) { visit("first", first); visit("second", second); }
//   };
//
// Everything else follows from each(): parameters for the optimizer, names for checkpoints ("first.weight").
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "trireme/tensor/tensor.h"

namespace trireme::nn {

struct NamedTensor {
  std::string name;
  Tensor tensor;
  bool trainable = true;  // false: a buffer, such as running statistics
};

class Collector {
 public:
  Collector(std::string prefix, std::vector<NamedTensor>& out) : prefix_(std::move(prefix)), out_(&out) {}

  // A parameter, a module, or a vector, optional or pointer of modules.
  template <class T>
  void operator()(const std::string& name, T& member) {
    if constexpr (std::is_same_v<T, Tensor>) {
      if (member) out_->push_back({prefix_ + name, member, true});
    } else if constexpr (requires { member.begin(); }) {
      size_t index = 0;
      for (auto& each : member) (*this)(name + "." + std::to_string(index++), each);
    } else if constexpr (requires {
                           *member;
                           static_cast<bool>(member);
                         }) {
      if (member) (*this)(name, *member);
    } else {
      Collector inner(prefix_ + name + ".", *out_);
      member.each(inner);
    }
  }
  // A tensor that belongs to the state but is not trained.
  void buffer(const std::string& name, Tensor& tensor) { out_->push_back({prefix_ + name, tensor, false}); }

 private:
  std::string prefix_;
  std::vector<NamedTensor>* out_;
};

// Every tensor of a module, with its name.
template <class Module>
std::vector<NamedTensor> state_of(Module& module) {
  std::vector<NamedTensor> out;
  Collector collector("", out);
  module.each(collector);
  return out;
}

// The trained tensors of a module.
template <class Module>
std::vector<Tensor> parameters_of(Module& module) {
  std::vector<Tensor> out;
  for (const NamedTensor& each : state_of(module)) {
    if (each.trainable) out.push_back(each.tensor);
  }
  return out;
}

// Whether modules behave as in training (dropout drops, batch norm uses the batch) or as in evaluation. Per thread.
bool training();
class TrainingMode {
 public:
  explicit TrainingMode(bool on);
  ~TrainingMode();
  TrainingMode(const TrainingMode&) = delete;
  TrainingMode& operator=(const TrainingMode&) = delete;

 private:
  bool previous_;
};

// Initial values, drawn on the host from the process's generator: the same seed gives the same model on every chip.
Tensor uniform_init(const Shape& shape, double bound);
Tensor normal_init(const Shape& shape, double deviation);
// Uniform with bound sqrt(6 / (fan_in (1 + a^2))) for leaky slope a (He et al. 2015).
Tensor kaiming_uniform(const Shape& shape, int64_t fan_in, double slope = 0.0);
// Uniform with bound sqrt(6 / (fan_in + fan_out)) (Glorot, Bengio 2010).
Tensor xavier_uniform(const Shape& shape, int64_t fan_in, int64_t fan_out);
Tensor filled(const Shape& shape, double value);

}  // namespace trireme::nn
