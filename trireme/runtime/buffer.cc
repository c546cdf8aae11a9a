#include "trireme/runtime/buffer.h"

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::runtime {

namespace {

TrmMem on_host(const void* address, uint64_t bytes) {
  return {reinterpret_cast<uint64_t>(address), 0, bytes, TRM_HOST_SPACE, 0};
}

// Gives one copy command; its number.
uint64_t start_copy(Device& device, const TrmMem& to, const TrmMem& from, uint64_t bytes) {
  const std::lock_guard commands(device.commands());
  const uint64_t work = Device::next_work();
  device.begin_work(work);
  device.copy(to, from, bytes, Lane::kCompute);
  return work;
}

void wait(Device& device) {
  if (!device.synchronous()) device.synchronize();
}

}  // namespace

BufferRef Buffer::from(Device& device, const Literal& literal) {
  auto buffer = std::make_shared<Buffer>(device, TensorType{literal.dtype(), literal.shape()});
  buffer->work = start_copy(device, buffer->mem, on_host(literal.data(), literal.bytes()), literal.bytes());
  wait(device);
  buffer->check_alive();  // another thread may have been told of the failure
  return buffer;
}

BufferRef Buffer::copy() const {
  auto out = std::make_shared<Buffer>(device, type);
  out->work = start_copy(device, out->mem, mem, type.bytes());
  return out;
}

Literal Buffer::read() const {
  check_alive();
  Literal out = Literal::zeros(type.dtype, type.shape);
  wait(device);
  check_alive();
  const uint64_t reading = start_copy(device, on_host(out.mutable_data(), out.bytes()), mem, out.bytes());
  wait(device);
  check(reading);
  return out;
}

void Buffer::check_alive() const { check(work); }

void Buffer::check(uint64_t number) const {
  const std::string why =
      generation == device.generation() ? device.why_lost(number) : std::string("the device was reset");
  if (why.empty()) return;
  throw Error(Code::kDeviceFault,
              cat("a value ", type, " on ", device.name(), " was lost; make it anew or load a checkpoint: ", why));
}

}  // namespace trireme::runtime
