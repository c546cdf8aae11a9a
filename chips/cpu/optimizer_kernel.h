// Steps of optimizers on runs of f32, vectorised: parameter, gradient and state are read once and written once. A
// result may lie where its old value does.
#pragma once

#include <cstdint>

namespace trireme::cpu {

struct AdamFactors {
  float penalty;         // of the parameter, added to the gradient
  float keep;            // of the parameter
  float beta1, beta2;    // of the mean and of the mean of squares
  float share1, share2;  // 1 - beta
  float root, mean;      // what sqrt(variance) is multiplied with, then, with epsilon added, again
  float epsilon, rate;
};
struct AdamRun {
  const float *parameter, *gradient, *mean, *variance;
  float *new_parameter, *new_mean, *new_variance;
};
// mean' = beta1 mean + share1 g, variance' = beta2 variance + share2 g^2 with g = gradient + penalty parameter;
// parameter' = keep parameter - rate mean' / ((sqrt(variance') root + epsilon) mean).
void adam(const AdamFactors& factors, const AdamRun& run, int64_t count);

struct MomentumFactors {
  float penalty, momentum, rate;
  bool nesterov;
};
struct MomentumRun {
  const float *parameter, *gradient, *velocity;
  float *new_parameter, *new_velocity;
};
// velocity' = momentum velocity + g with g = gradient + penalty parameter; parameter' = parameter - rate velocity', or
// with nesterov parameter - rate (g + momentum velocity').
void momentum(const MomentumFactors& factors, const MomentumRun& run, int64_t count);

}  // namespace trireme::cpu
