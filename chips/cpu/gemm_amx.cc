// The matrix tiles of the machine (AMX, x86-64), for the micro kernels of gemm_amx.h.
#include "chips/cpu/gemm_amx.h"

#include <chrono>

#include "chips/cpu/features.h"
#include "chips/cpu/targets.h"

#include <hwy/highway.h>

#if HWY_ARCH_X86_64 && defined(__linux__)

namespace trireme::cpu {
namespace {

// Which way of multiplying a block this thread takes. On an Emerald Rapids shared with other machines a core's tiles
// were seen in two states that last from milliseconds to minutes: with eight tiles 2350 or 630 GFLOP/s from the
// first-level cache and 1770 or 560 from the second, with five tiles 2350 or 1100 and 1330 or 860. So both are timed
// now and then.
struct Pace {
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kHolds{50};
  bool two_across = true;
  Clock::time_point stale;

  // In about 20 us.
  template <TileProduct kProduct>
  void measure();
};
thread_local Pace pace;

// Inline assembly: the intrinsics want the numbers of tiles as literals, and tell GCC 12 neither of the memory that a
// load reads nor of more than 8 bytes of the shapes.
struct MachineTiles {
  template <TileProduct kProduct>
  static void begin() {
    static constexpr TileShapes kShapes;
    asm volatile("ldtilecfg %0" : : "m"(kShapes));
    const auto now = Pace::Clock::now();
    if (now < pace.stale) return;
    pace.measure<kProduct>();
    pace.stale = now + Pace::kHolds;
  }
  static void end() { asm volatile("tilerelease"); }
  static bool two_across() { return pace.two_across; }

  template <int kTile>
  [[gnu::always_inline]] static void load(const void* from, int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(kTile) : "memory");
  }
  template <int kTile>
  [[gnu::always_inline]] static void store(void* to, int64_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(kTile) : "memory");
  }
  template <int kTile>
  [[gnu::always_inline]] static void clear() {
    asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
  }
  template <TileProduct kProduct, int kSums, int kLeft, int kRight>
  [[gnu::always_inline]] static void multiply() {
    if constexpr (kProduct == TileProduct::kBf16)
      asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kLeft), "i"(kRight));
    else if constexpr (kProduct == TileProduct::kUnsignedSigned)
      asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kLeft), "i"(kRight));
    else asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kLeft), "i"(kRight));
  }
};

template <TileProduct kProduct>
void Pace::measure() {
  constexpr int64_t kSteps = 8;
  alignas(64) static int32_t panel[kSteps * kPanelStep];  // 16 KB of zeros
  alignas(64) int32_t sums[kBlockSide * kBlockSide];
  const TileBlock<MachineTiles, int32_t> block = {false, kSteps, panel, panel, nullptr, 0, sums, kBlockSide};
  const auto time = [&](bool across) {
    const auto start = Clock::now();
    for (int i = 0; i < 4; ++i) block.template multiply<kProduct>(across);
    return Clock::now() - start;
  };
  auto eight_tiles = Clock::duration::max(), five_tiles = eight_tiles;
  for (int round = 0; round < 4; ++round) {  // the best of each: interruptions are in the others
    eight_tiles = std::min(eight_tiles, time(true));
    five_tiles = std::min(five_tiles, time(false));
  }
  // In the better state both come out alike here, where all is in the first-level cache.
  two_across = 4 * eight_tiles < 5 * five_tiles;
}

// pack_bf16_columns with the vectors of a machine with tiles.
__attribute__((target("avx512f"))) void pack_columns(const MatrixView& b, int64_t k, int64_t n, float* panels) {
  pack_bf16_columns(b, k, n, panels);
}

}  // namespace

const MicroKernel<float>* tile_kernel() {
  static const MicroKernel<float> kernel = [] {
    MicroKernel<float> k = bf16_tile_kernel<MachineTiles>();
    k.pack_b = pack_columns;
    return k;
  }();
  static const bool usable_here = has_bf16_tiles();
  return usable_here ? &kernel : nullptr;
}

const Int8Kernel* int8_tile_kernel() {
  static const Int8Kernel kernel = [] {
    Int8Kernel k = int8_tile_kernel_on<MachineTiles>();
    // Panels of x on the right are the same.
    if (const Int8Kernel* vectors = vnni_kernel()) k.slots_of_x = vectors->slots_of_x;
    return k;
  }();
  static const bool usable_here = has_int8_tiles();
  return usable_here ? &kernel : nullptr;
}

}  // namespace trireme::cpu

#else

namespace trireme::cpu {
const MicroKernel<float>* tile_kernel() { return nullptr; }
const Int8Kernel* int8_tile_kernel() { return nullptr; }
}  // namespace trireme::cpu

#endif
