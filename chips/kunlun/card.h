// What the plug-in knows of a card: what the driver says of it, and the published rates of its model.
#pragma once

#include <cstdint>

#include "trireme/core/dtype.h"

namespace trireme::kunlun {

struct Card {
  const char* name;  // "R200"
  int architecture;  // 1, 2, 3: xpu1, xpu2, xpu3
  uint64_t model, clusters, sdnn, memory_bytes, l3_bytes;
  double products_per_second;       // int16 and float16 on the SDNN units, a multiplication and an addition as two
  double byte_products_per_second;  // the same of int8
  double memory_bandwidth;          // bytes per second
  double l3_bandwidth;
  double link_bandwidth;  // to and from the host

  // What a stream may have of L3, for what passes between the parts of a kernel.
  uint64_t l3_of_a_stream() const { return l3_bytes / 2; }
  int cores() const { return architecture == 1 ? 16 : 64; }
  // Types with arithmetic of the chip: float16 from the second generation on, bfloat16 from the third. Doubles are
  // emulated by its compiler and 16 times slower than the host, so they are not among them.
  DTypeSet dtypes() const {
    DTypeSet set = only(f32) | ints | bools;
    if (architecture >= 2) set = set | only(f16);
    if (architecture >= 3) set = set | only(bf16);
    return set;
  }
};

// Throws Failure when the runtime does not answer.
Card card_of(int device);

inline constexpr double kClockGhz = 1.2;  // of a core
inline constexpr double kLanes = 4;       // floats that a core computes at a time: a group of four shares 16

// Of each kernel, from the first instruction: what published latencies of eleven networks on an R200 give.
inline constexpr double kLaunchNs = 13300.0;
// Of a product or convolution, from the same figures: the share of the memory's rate at which weights stream, and of
// the peak time that is not hidden behind them.
inline constexpr double kWeightFactor = 1.83, kOperationFactor = 0.39;
// Of a copy between host and device: a command as any other, the event that tells of its end, and three calls. Nothing
// about it is published; this is what the virtual device's clock shows.
inline constexpr double kLinkNs = kLaunchNs + 3500.0;

}  // namespace trireme::kunlun
