#include "chips/cpu/rates.h"

#include "chips/cpu/features.h"
#include "chips/cpu/kernel.h"
#include "chips/cpu/targets.h"

#include <hwy/highway.h>

namespace trireme::cpu {

const Rates& machine_rates() {
  static const Rates rates = [] {
    const int64_t targets = supported_targets();
    const bool wide = (targets & HWY_AVX3) != 0, medium = (targets & HWY_AVX2) != 0;
    // Two fused multiply-adds per cycle on vectors of 16, 8 or 4 lanes at about 2.5 GHz.
    const double lanes = wide ? 16 : medium ? 8 : 4;
    const double threads = host->threads();
    return Rates{wide     ? "cpu avx512"
                 : medium ? "cpu avx2"
                          : "cpu",
                 threads * lanes * 4 * 2.5e9, 12e9 * std::min(threads, 8.0), 100.0};
  }();
  return rates;
}

}  // namespace trireme::cpu
