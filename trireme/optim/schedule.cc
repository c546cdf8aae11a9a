#include "trireme/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::optim {

namespace {
int64_t positive(int64_t value, const char* what) {
  if (value < 1) throw Error(Code::kInvalidArgument, cat(what, " is ", value, "; it must be 1 or more"));
  return value;
}
// Share of the way from 0 to steps, at most 1.
double progress(int64_t step, int64_t steps) {
  return std::clamp(static_cast<double>(step) / static_cast<double>(steps), 0.0, 1.0);
}
}  // namespace

Schedule constant_rate(double rate) {
  return [=](int64_t) { return rate; };
}

Schedule step_decay(double rate, int64_t period, double gamma) {
  positive(period, "the period of a step decay");
  return [=](int64_t step) { return rate * std::pow(gamma, static_cast<double>(step / period)); };
}

Schedule multi_step_decay(double rate, std::vector<int64_t> milestones, double gamma) {
  std::sort(milestones.begin(), milestones.end());
  return [=](int64_t step) {
    const auto passed = std::upper_bound(milestones.begin(), milestones.end(), step) - milestones.begin();
    return rate * std::pow(gamma, static_cast<double>(passed));
  };
}

Schedule cosine_decay(double rate, int64_t steps, double last) {
  positive(steps, "the length of a cosine decay");
  return [=](int64_t step) {
    return last + 0.5 * (rate - last) * (1.0 + std::cos(std::numbers::pi * progress(step, steps)));
  };
}

Schedule polynomial_decay(double rate, int64_t steps, double power, double last) {
  positive(steps, "the length of a polynomial decay");
  return [=](int64_t step) { return last + (rate - last) * std::pow(1.0 - progress(step, steps), power); };
}

Schedule linear_warm_up(int64_t steps, double start, Schedule then) {
  positive(steps, "the length of a warm-up");
  return [=, then = std::move(then)](int64_t step) {
    if (step >= steps) return then(step - steps);
    return start + (then(0) - start) * progress(step, steps);
  };
}

}  // namespace trireme::optim
