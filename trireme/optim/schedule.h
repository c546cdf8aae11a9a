// Learning-rate schedules: pure functions of the step, counted from 0.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace trireme::optim {

using Schedule = std::function<double(int64_t step)>;

Schedule constant_rate(double rate);
// rate * gamma^(step / period), whole periods.
Schedule step_decay(double rate, int64_t period, double gamma);
// rate * gamma^(number of milestones passed).
Schedule multi_step_decay(double rate, std::vector<int64_t> milestones, double gamma);
// From rate to last over `steps` along half a cosine (Loshchilov, Hutter 2017); stays at last.
Schedule cosine_decay(double rate, int64_t steps, double last = 0.0);
// (rate - last) (1 - step/steps)^power + last; stays at last.
Schedule polynomial_decay(double rate, int64_t steps, double power = 1.0, double last = 0.0);
// Rises linearly from start to what `then` gives at its step 0, over `steps`; `then` starts afterwards.
Schedule linear_warm_up(int64_t steps, double start, Schedule then);

}  // namespace trireme::optim
