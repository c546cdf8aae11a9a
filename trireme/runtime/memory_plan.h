// Decides where each value lives before anything runs.
//
// Input: blocks with sizes and lifetimes in run order. Output: one offset per block, in bytes from the start of the
// arena. Two blocks may share bytes iff their lifetimes do not touch. Largest first, each at the lowest offset that is
// free for its whole life: optimal packing is NP-hard, and this stays close to the lower bound, the largest sum of
// blocks alive at once (tests/memory_plan_test.cc keeps the claim).
#pragma once

#include <cstdint>
#include <vector>

namespace trireme::runtime {

struct Block {
  uint64_t bytes = 0;
  int first = 0, last = 0;  // positions in run order, both included
  uint64_t offset = 0;      // out
};

// Sets the offsets and returns the arena's size. `alignment` is a power of two.
uint64_t plan_memory(std::vector<Block>& blocks, uint64_t alignment);
// The largest number of bytes alive at one position: no plan can need less.
uint64_t live_bytes(const std::vector<Block>& blocks);

}  // namespace trireme::runtime
