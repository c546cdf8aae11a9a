#include "trireme/optim/optimizer.h"

#include <array>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::optim {

namespace {

constexpr std::array<std::string_view, 6> kMethods = {"sgd", "momentum", "adam", "adamw", "lamb", "rmsprop"};

// Names of the state each method keeps per parameter.
std::vector<std::string> moment_names(Method method) {
  switch (method) {
    case Method::kSgd: return {};
    case Method::kMomentum: return {"velocity"};
    case Method::kRmsProp: return {"average", "velocity"};
    default: return {"first_moment", "second_moment"};
  }
}

}  // namespace

Method parse_method(std::string_view name) {
  for (size_t i = 0; i < kMethods.size(); ++i) {
    if (kMethods[i] == name) return static_cast<Method>(i);
  }
  const std::string near = nearest_name(name, kMethods);
  throw Error(Code::kInvalidArgument,
              cat("unknown optimizer '", name, "'; ",
                  near.empty() ? "known: sgd, momentum, adam, adamw, lamb, rmsprop" : "did you mean '" + near + "'?"));
}

Optimizer::Optimizer(Method method, std::vector<nn::NamedTensor> state, const Options& options)
    : method_(method), options_(options), rate_value_(options.learning_rate) {
  if (options.accumulate < 1) {
    throw Error(Code::kInvalidArgument, cat("accumulate is ", options.accumulate, "; it must be 1 or more"));
  }
  rate_ = variable("learning_rate", {});
  set_learning_rate(options.learning_rate);
  steps_ = variable("steps", {});
  if (options.accumulate > 1) calls_ = variable("calls", {});
  for (const nn::NamedTensor& each : state) {
    if (!each.trainable) continue;
    names_.push_back(each.name);
    parameters_.push_back(each.tensor);
    std::vector<Tensor> moments;
    for (const std::string& name : moment_names(method)) {
      moments.push_back(variable(cat(each.name, ".", name), each.tensor.shape()));
    }
    moments_.push_back(std::move(moments));
    if (options.accumulate > 1) accumulated_.push_back(variable(each.name + ".accumulated", each.tensor.shape()));
  }
}

Tensor Optimizer::variable(const std::string& name, const Shape& shape) {
  state_.push_back({name, nn::filled(shape, 0.0), false});
  return state_.back().tensor;
}

void Optimizer::set_learning_rate(double rate) {
  rate_value_ = rate;
  rate_.assign(Tensor(Literal::scalar(static_cast<float>(rate))));
}

void Optimizer::step(const std::vector<Tensor>& gradients, const Tensor& usable) {
  if (gradients.size() != parameters_.size()) {
    throw Error(Code::kInvalidArgument,
                cat("the optimizer has ", parameters_.size(), " parameters; given ", gradients.size(), " gradients"));
  }
  std::vector<Tensor> wide;  // master weights are f32, whatever the gradients are
  for (const Tensor& g : gradients) wide.push_back(g.dtype() == f32 ? g : convert(g, f32));
  if (options_.accumulate == 1) return update(wide, usable);
  // The update is computed each time and taken on every n-th call: one plan for all calls.
  const auto kept = [&](const Tensor& next, const Tensor& now) { return usable ? where(usable, next, now) : next; };
  const Tensor calls = kept(calls_ + 1, calls_);
  const Tensor reached = calls >= static_cast<double>(options_.accumulate);
  const Tensor full = usable ? logical_and(reached, usable) : reached;
  for (size_t i = 0; i < wide.size(); ++i)
    wide[i] = accumulated_[i] + wide[i] / static_cast<double>(options_.accumulate);
  update(wide, full);
  for (size_t i = 0; i < wide.size(); ++i) {
    accumulated_[i].assign(where(full, zeros_like(wide[i]), kept(wide[i], accumulated_[i])));
  }
  calls_.assign(where(full, zeros_like(calls), calls));
}

void Optimizer::update(const std::vector<Tensor>& given, const Tensor& active) {
  std::vector<Tensor> gradients = given;
  if (options_.clip_value > 0) {
    for (Tensor& g : gradients) g = clamp(g, -options_.clip_value, options_.clip_value);
  }
  if (options_.clip_norm > 0) gradients = clip_by_global_norm(gradients, options_.clip_norm);
  const auto set = [&](Tensor& variable, const Tensor& next) {
    variable.assign(active ? where(active, next, variable) : next);
  };
  const Tensor steps = steps_ + 1;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Tensor& p = parameters_[i];
    const Tensor& g = gradients[i];
    auto& m = moments_[i];
    const double decay = p.rank() > 1 || options_.decay_vectors ? options_.weight_decay : 0.0;
    std::vector<Tensor> next;
    switch (method_) {
      case Method::kSgd: next = {sgd_step(p, g, rate_, decay)}; break;
      case Method::kMomentum:
        next = momentum_step(p, g, m[0], rate_, options_.momentum, options_.nesterov, decay);
        break;
      case Method::kAdam:
        next = adam_step(p, g, m[0], m[1], steps, rate_, options_.beta1, options_.beta2, options_.epsilon, decay);
        break;
      case Method::kAdamW:
        next = adamw_step(p, g, m[0], m[1], steps, rate_, options_.beta1, options_.beta2, options_.epsilon, decay);
        break;
      case Method::kLamb:
        next = lamb_step(p, g, m[0], m[1], steps, rate_, options_.beta1, options_.beta2, options_.epsilon, decay);
        break;
      case Method::kRmsProp:
        next = rmsprop_step(p, g, m[0], m[1], rate_, options_.decay, options_.momentum, options_.epsilon, decay);
        break;
    }
    set(p, next[0]);
    for (size_t k = 0; k < m.size(); ++k) set(m[k], next[k + 1]);
  }
  set(steps_, steps);
}

}  // namespace trireme::optim
