// Shadow check: every n-th region that a chip runs is computed by the reference evaluator too, from the very operands
// the chip reads, and compared within the measured bound (reference/accuracy.h). A chip that is silently wrong is found
// on the job that shows it. Off unless TRIREME_SHADOW=n or set_shadow(n); slow, since the device is waited for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trireme/reference/accuracy.h"
#include "trireme/runtime/device.h"
#include "trireme/runtime/program.h"

namespace trireme::runtime {

// 0: never.
void set_shadow(uint64_t every);
// True when this launch is to be checked; counts launches.
bool shadow_is_due();

class ShadowCheck {
 public:
  // Before the launch: the operands are the program's inputs, then its outputs.
  ShadowCheck(Device& device, const ProgramRef& program, const TrmMem* operands);
  // After it: throws kDeviceFault naming `what` and the element that is farthest off.
  void compare(const std::string& what, uint64_t tag) const;

 private:
  Device& device_;
  const TrmProgram& program_;
  const TrmMem* operands_;
  bool possible_;
  reference::Expectation expected_;
};

}  // namespace trireme::runtime
