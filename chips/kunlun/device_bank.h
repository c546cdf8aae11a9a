// The device bank of the chip: memory, copies, streams and events of the runtime.
#pragma once

#include "chips/kunlun/device.h"

namespace trireme::kunlun {

const TrmDeviceBank& device_bank();

inline Device& device_of(TrmDev* dev) { return *reinterpret_cast<Device*>(dev); }

// Fills `err` with the runtime's own code; of a device that failed, with the first failure and the tag of the last
// command before it was seen.
int32_t report(Device& device, const RuntimeFailure& failure, TrmErr* err);

// The C boundary for functions of a device.
template <class F>
int32_t guarded(TrmDev* dev, TrmErr* err, F&& f) noexcept {
  try {
    f(device_of(dev));
    return TRM_OK;
  } catch (const RuntimeFailure& failure) {
    return report(device_of(dev), failure, err);
  } catch (...) {
    return chip::guarded(err, [] { throw; });
  }
}

}  // namespace trireme::kunlun
