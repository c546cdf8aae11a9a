// Chips that are wrong on purpose, each in exactly one way, for `trireme certify --self-test`: a certifier that does
// not find them all is not to be trusted with a real one.
#pragma once

#include <span>
#include <string>

#include "compute.h"

namespace trireme::refchip {

// What one broken chip does otherwise than the persona it is made from.
struct Defect {
  const char* name;                                                         // "ignored-stride"
  const char* wrong;                                                        // one phrase
  void (*slots)(TrmDeviceBank& device, TrmComputeBank& compute) = nullptr;  // replaces functions of the banks
  void (*answer)(const chip::Program& program, TrmAnswer& answer) = nullptr;
  void (*before)(KernelRun& run) = nullptr;   // the copies of the inputs are there
  void (*after)(KernelRun& run) = nullptr;    // the copies of the outputs are computed
  void (*written)(KernelRun& run) = nullptr;  // the outputs are in device memory
  bool keeps_workspace = false;               // of the launch before
};

std::span<const Defect> defects();
// Throws kNotFound naming the nearest.
const Defect& find_defect(const std::string& name);

}  // namespace trireme::refchip
