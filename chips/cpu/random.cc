// rng_bits: Philox 4x32-10, many blocks side by side, compiled for each instruction set.
#include "chips/cpu/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "chips/cpu/random.cc"
#include <hwy/foreach_target.h>
// After foreach_target:
#include <hwy/highway.h>

#include <algorithm>
#include <array>

#include "chips/cpu/kernel.h"

#ifndef TRIREME_CHIPS_CPU_RANDOM_ONCE
#define TRIREME_CHIPS_CPU_RANDOM_ONCE
namespace trireme::cpu {
constexpr int64_t kDrawn = 32;  // blocks of four words drawn together
}
#endif

HWY_BEFORE_NAMESPACE();
namespace trireme::cpu::HWY_NAMESPACE {
namespace {

// kDrawn blocks from `first` on, side by side: the compiler works on vectors of counters.
void draw_blocks(uint64_t first, const std::array<uint32_t, 4>& state, uint32_t* HWY_RESTRICT out) {
  uint32_t c0[kDrawn], c1[kDrawn], c2[kDrawn], c3[kDrawn];
  for (int64_t i = 0; i < kDrawn; ++i) {
    const uint64_t block = first + static_cast<uint64_t>(i);
    c0[i] = static_cast<uint32_t>(block);
    c1[i] = static_cast<uint32_t>(block >> 32);
    c2[i] = state[2];
    c3[i] = state[3];
  }
  uint32_t key0 = state[0], key1 = state[1];
  for (int round = 0; round < 10; ++round, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u) {
    for (int64_t i = 0; i < kDrawn; ++i) {
      const uint64_t product0 = uint64_t{0xD2511F53u} * c0[i], product1 = uint64_t{0xCD9E8D57u} * c2[i];
      c0[i] = static_cast<uint32_t>(product1 >> 32) ^ c1[i] ^ key0;
      c2[i] = static_cast<uint32_t>(product0 >> 32) ^ c3[i] ^ key1;
      c1[i] = static_cast<uint32_t>(product1);
      c3[i] = static_cast<uint32_t>(product0);
    }
  }
  for (int64_t i = 0; i < kDrawn; ++i) {
    out[4 * i] = c0[i];
    out[4 * i + 1] = c1[i];
    out[4 * i + 2] = c2[i];
    out[4 * i + 3] = c3[i];
  }
}

}  // namespace
}  // namespace trireme::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme::cpu {

HWY_EXPORT(draw_blocks);

namespace {

Run prepare_rng_bits(const Program& program, const NodeView& node) {
  const uint32_t in = node.inputs()[0], out = node.outputs()[0];
  const TrmValue state = program.value(in);
  const int64_t count = chip::elements(program.value(out));
  return [=, stride = state.strides[0]](void* const* values) {
    const auto* words = static_cast<const uint32_t*>(values[in]);
    const std::array<uint32_t, 4> s{words[0], words[stride], words[2 * stride], words[3 * stride]};
    auto* y = static_cast<uint32_t*>(values[out]);
    constexpr int64_t kChunk = 4 * kDrawn;
    parallel_for((count + kChunk - 1) / kChunk, grain_for(kChunk), [&](int64_t begin, int64_t end) {
      for (int64_t chunk = begin; chunk < end; ++chunk) {
        const auto first = static_cast<uint64_t>(chunk * kDrawn);
        if ((chunk + 1) * kChunk <= count) {
          HWY_DYNAMIC_DISPATCH(draw_blocks)(first, s, y + chunk * kChunk);
        } else {
          uint32_t rest[kChunk];
          HWY_DYNAMIC_DISPATCH(draw_blocks)(first, s, rest);
          std::copy_n(rest, count - chunk * kChunk, y + chunk * kChunk);
        }
      }
    });
  };
}

constexpr KernelEntry kTable[] = {{"rng_bits", only(u32), false, prepare_rng_bits, nullptr, 20.0}};

}  // namespace

std::span<const KernelEntry> random_kernels() { return kTable; }

}  // namespace trireme::cpu
#endif
