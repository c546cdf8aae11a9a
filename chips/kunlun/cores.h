// What kernels of our own in the vendor's kernel language share.
#pragma once

#include "chips/kunlun/kernel.h"
#include "xpu/kernel/xtdk.h"

namespace trireme::kunlun {

// The kernels are written for the second generation on; the first one's copies want 32-byte alignment.
inline void want_cores(const Builder& b) {
  want(b.card().architecture >= 2, TRM_REASON_OTHER, "own kernels are for the second generation on");
}

// Of a copy between GM and LM, for the prices of kernels.
inline constexpr double kReadCycles = 250, kWriteCycles = 90, kLocalBytesPerCycle = 64;

// The code of a launch as one of the operator library, which has no name for its last argument.
inline int launched(int code) { return code == 0 ? api::SUCCESS : api::RUNTIME_ERROR; }

}  // namespace trireme::kunlun
