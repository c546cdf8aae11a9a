// Philox 4x32-10: counter-based random numbers (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011). A pure function of (key, counter), so every chip gives the same bits.
#pragma once

#include <array>
#include <cstdint>

namespace trireme {

inline std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53u} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(product0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

// Word `index` of the stream of `state` = {key0, key1, stream0, stream1}: word (index mod 4) of the block whose counter
// is {index/4 low, index/4 high, stream0, stream1}. This is the meaning of the op rng_bits.
inline uint32_t philox_word(const std::array<uint32_t, 4>& state, uint64_t index) {
  const uint64_t block = index / 4;
  return philox4x32({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), state[2], state[3]},
                    {state[0], state[1]})[index % 4];
}

}  // namespace trireme
