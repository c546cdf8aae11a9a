// Random choices of the data path. A stream is a pure function of (seed, purpose, epoch, index), so that a run repeats
// exactly whatever the number of threads and wherever it is resumed.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "trireme/core/philox.h"

namespace trireme::data {

// Keeps the streams of unlike uses apart when they share a seed.
enum class Purpose : uint32_t { kShuffle = 1, kTransform = 2, kSplit = 3, kDraw = 4 };

class RandomStream {
 public:
  RandomStream(uint64_t seed, Purpose purpose, uint64_t epoch = 0, uint64_t index = 0)
      : state_(philox4x32({low(index), high(index), low(epoch), high(epoch)},
                          {low(seed), high(seed) ^ static_cast<uint32_t>(purpose) * 0x9E3779B9u})) {}

  uint32_t bits() {
    if (position_ % 4 == 0)
      block_ = philox4x32({low(position_ / 4), high(position_ / 4), state_[2], state_[3]}, {state_[0], state_[1]});
    return block_[position_++ % 4];
  }
  // In [0, 1), a multiple of 2^-32.
  double uniform() { return bits() * 0x1p-32; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  // In [0, n), every value equally likely; n >= 1. Draws are masked to the next power of two and those >= n thrown
  // away, which takes less than two draws on average.
  uint64_t below(uint64_t n) {
    uint64_t mask = n - 1;
    for (int shift = 1; shift < 64; shift *= 2) mask |= mask >> shift;
    while (true) {
      uint64_t value = bits();
      if (mask > 0xFFFFFFFFu) value |= uint64_t{bits()} << 32;
      if ((value & mask) < n) return value & mask;
    }
  }

 private:
  static constexpr uint32_t low(uint64_t value) { return static_cast<uint32_t>(value); }
  static constexpr uint32_t high(uint64_t value) { return static_cast<uint32_t>(value >> 32); }

  std::array<uint32_t, 4> state_;
  std::array<uint32_t, 4> block_{};
  uint64_t position_ = 0;
};

// 0 .. count-1 in random order (Fisher and Yates), every order equally likely.
std::vector<int64_t> permutation(int64_t count, RandomStream& random);

}  // namespace trireme::data
