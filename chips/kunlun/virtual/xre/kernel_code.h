// Where the runtime meets the kernel language and the operator library: what stands behind the code address of
// xpu_create_cl_func, and kernels that are closures of the host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>

#include "chips/kunlun/virtual/generation.h"
#include "chips/kunlun/virtual/xre/occupancy.h"

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
  std::function<bool(uint64_t address)> in_l3;
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

// What a kernel took.
struct Effort {
  double setup_ns = 0;  // occupies nothing; the launch
  double busy_ns = 0;   // after it, alone on the device
  Share share;          // of the device, while busy
  double work_ns = 0;   // as xpu_last_kernel_exec_time says it
  double begin_ns = 0;  // when its stream was ready for it; a command that met others sets when the last of them was
};

struct Span {
  uint64_t address, bytes;
};

// Queues work as a kernel on a stream of the current device. All spans must be memory of the device, or it is
// XPUERR_INVALID_PARAM and `*wrong` the first that is not. Returns 0 or a negative code.
int launch_work(const std::string& name, void* stream, std::span<const Span> memory,
                std::function<Effort(const Launch&)> work, size_t* wrong);

// As launch_work, for a command that meets others, on other streams or in other processes. `advance` never waits: it
// returns 0 when the command is done, kMoved or kStuck when it is to be called again, or a code with `*text`.
constexpr int kMoved = 1 << 20, kStuck = kMoved + 1;
int launch_meeting(const std::string& name, void* stream, std::span<const Span> memory,
                   std::function<int(const Launch&, Effort*, std::string* text)> advance, size_t* wrong);

// What the virtual machine is at present; null without devices.
const Generation* current_generation();

}  // namespace trireme::xpu
