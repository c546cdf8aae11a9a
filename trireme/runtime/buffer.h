// Buffer: a tensor's bytes on a device, dense and row-major. Freed to the device's cache when the last owner goes. A
// reset of the device loses the bytes.
#pragma once

#include <atomic>
#include <memory>

#include "trireme/core/literal.h"
#include "trireme/ir/node.h"
#include "trireme/runtime/device.h"

namespace trireme::runtime {

struct Buffer {
  Device& device;
  TensorType type;
  uint64_t generation;  // of the device
  TrmMem mem;
  std::atomic<uint64_t> work{0};  // the number of what writes it, see Device::begin_work

  Buffer(Device& d, const TensorType& t) : device(d), type(t), generation(d.generation()), mem(d.allocate(t.bytes())) {}
  ~Buffer() { device.release(mem, generation); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  // Host to device; returns when the bytes have been taken.
  static std::shared_ptr<Buffer> from(Device& device, const Literal& literal);
  // Device to host; waits for the work that makes it. Throws the error of a failed command.
  Literal read() const;
  // The same bytes in memory of their own on the same device.
  std::shared_ptr<Buffer> copy() const;
  // Throws kDeviceFault when the bytes were lost in a reset, or what should have written them failed.
  void check_alive() const;

 private:
  void check(uint64_t number) const;
};

using BufferRef = std::shared_ptr<Buffer>;

}  // namespace trireme::runtime
