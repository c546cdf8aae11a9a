// What this machine can do at most, measured: the limits that figures of bench/compare.py are set against.
#pragma once

#include <cstdint>

namespace trireme::bench {

// Floating operations per second of f32 fused multiply-adds on registers, all threads of the pool; the best of several
// short tries.
double peak_flops();

// Bytes per second at which the pool's threads together read `bytes` again and again, each its own part: the speed of
// the cache level that holds them, or of memory. The best of several tries.
double read_bandwidth(uint64_t bytes);

// Bytes per second at which one thread reads 16 KB from its first-level cache for about 0.1 ms. Halves when somebody
// else computes on the same physical core, which a virtual machine has no other way to see.
double cache_probe();

}  // namespace trireme::bench
