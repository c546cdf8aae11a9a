#include "trireme/runtime/buffer.h"

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::runtime {

namespace {
TrmMem on_host(const void* address, uint64_t bytes) {
  return {reinterpret_cast<uint64_t>(address), 0, bytes, TRM_HOST_SPACE, 0};
}
}  // namespace

BufferRef Buffer::from(Device& device, const Literal& literal) {
  auto buffer = std::make_shared<Buffer>(device, TensorType{literal.dtype(), literal.shape()});
  device.copy(buffer->mem, on_host(literal.data(), literal.bytes()), literal.bytes(), Lane::kCompute);
  if (!device.synchronous()) device.synchronize();
  return buffer;
}

void Buffer::check_alive() const {
  if (generation == device.generation()) return;
  throw Error(Code::kDeviceFault, cat("a value ", type, " on ", device.name(),
                                      " was lost when the device was reset; make it anew or load a checkpoint"));
}

Literal Buffer::read() const {
  check_alive();
  Literal out = Literal::zeros(type.dtype, type.shape);
  if (!device.synchronous()) device.synchronize();
  device.copy(on_host(out.mutable_data(), out.bytes()), mem, out.bytes(), Lane::kCompute);
  if (!device.synchronous()) device.synchronize();
  return out;
}

}  // namespace trireme::runtime
