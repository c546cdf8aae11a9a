// What the steps of optimizers share. Arithmetic is in the wide type of the parameter; state keeps its own type. The
// learning rate and the number of the step are scalars of the graph, so that a schedule needs no new plan.
#pragma once

#include "trireme/ops/numerics.h"

namespace trireme {

inline constexpr std::string_view kStepEnds = "an optimizer step ends the graph";
inline constexpr std::string_view kStepShapes = "gradient and state have the shape of param";
inline constexpr std::string_view kStepScalars = "learning_rate, and step where there is one, have shape []";

// Inputs: param, grad, `states` tensors, then scalars. Rules: 1 shapes, 2 scalars. Outputs: param and the states.
inline void infer_step(Infer& i, int states) {
  for (int k = 1; k < 2 + states; ++k) i.require(1, i.shape(k) == i.shape(0));
  for (int k = 2 + states; k < i.inputs(); ++k) i.require(2, i.rank(k) == 0);
  i.output(i.dtype(0), i.shape(0));
  for (int k = 2; k < 2 + states; ++k) i.output(i.dtype(k), i.shape(k));
}

// Inputs in the type the step is computed in.
struct StepInputs {
  DType type;
  const Decompose* d;
  explicit StepInputs(const Decompose& decompose) : type(ops::wide_type(decompose.x(0).dtype())), d(&decompose) {}
  Value operator()(int input) const { return ops::as_type(d->x(input), type); }
  // The gradient with weight decay as an added L2 penalty.
  Value decayed_gradient() const {
    const double decay = d->number("weight_decay");
    return decay == 0.0 ? (*this)(1) : (*this)(1) + (*this)(0) * decay;
  }
};

// Results in the types of the outputs.
inline Values step_results(const Decompose& d, const std::vector<Value>& results) {
  Values out;
  for (size_t k = 0; k < results.size(); ++k) {
    out.push_back(ops::as_type(results[k], d.y(static_cast<int>(k)).dtype()));
  }
  return out;
}

// 1 - decay^step for a scalar f32 step. expm1 keeps the digits that 1 - 0.999 would lose.
inline Value bias_correction(double decay, const Value& step) {
  if (decay == 0.0) return ops::filled_like(step, 1.0);
  return -ops::expm1(step * std::log(decay));
}

// Adam's moments and direction: inputs param, grad, m, v, step, learning_rate.
struct AdamMoments {
  Value m, v, direction;  // direction: m' / (sqrt(v') + epsilon), both corrected for their start from zero
  AdamMoments(const StepInputs& in, const Value& g) {
    const double beta1 = in.d->number("beta1"), beta2 = in.d->number("beta2");
    m = in(2) * beta1 + g * (1.0 - beta1);
    v = in(3) * beta2 + g * g * (1.0 - beta2);
    const Value step = in(4);
    const Value root = ops::sqrt(v) * ops::rsqrt(bias_correction(beta2, step)) + in.d->number("epsilon");
    direction = m / (root * bias_correction(beta1, step));
  }
};

inline constexpr std::string_view kDecays = "beta1 and beta2 are at least 0 and below 1";
inline bool are_decays(const AttributeReader& a) {
  const auto holds = [](double beta) { return beta >= 0 && beta < 1; };
  return holds(a.number("beta1")) && holds(a.number("beta2"));
}

}  // namespace trireme
