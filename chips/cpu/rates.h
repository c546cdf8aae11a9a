// What this machine can do, for time estimates: assumed from its instruction set and number of threads, not measured,
// so that plans do not change from run to run.
#pragma once

#include <string>

namespace trireme::cpu {

struct Rates {
  std::string name;         // "x86-64 avx512"
  double flops_f32;         // per second, all threads
  double bytes_per_second;  // of main memory
  double launch_ns;         // of the smallest kernel
};
const Rates& machine_rates();

}  // namespace trireme::cpu
