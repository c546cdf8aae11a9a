// Where the runtime meets the kernel language: what stands behind the code address of xpu_create_cl_func.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>

#include "chips/kunlun/virtual/generation.h"

namespace trireme::xpu {

// One launch, as the kernel finds it.
struct Launch {
  const char* name;
  const Generation& generation;
  const Costs& costs;
  int clusters, cores;
  std::span<const std::byte> parameters;
  // The bytes behind an address of device memory, null unless all lie inside one block.
  std::function<std::byte*(uint64_t address, uint64_t bytes)> memory;
};

// What a kernel throws when it does something illegal (XPUERR_KEXCEPTION).
struct KernelFault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// `run` does the work at once and returns how long the device takes for it, in nanoseconds without the launch.
struct KernelCode {
  static constexpr uint64_t kMagic = 0x6c656e72656b7078;
  uint64_t magic = kMagic;
  double (*run)(const Launch&, const void* context);
  const void* context;
};

}  // namespace trireme::xpu
