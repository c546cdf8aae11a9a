#include "chips/cpu/features.h"

#include <cstdlib>

#include "chips/cpu/targets.h"

#include <hwy/highway.h>

#if HWY_ARCH_X86_64
#include <cpuid.h>
#endif
#if HWY_ARCH_X86_64 && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace trireme::cpu {

int64_t supported_targets() {
  const int64_t targets = hwy::SupportedTargets();
  hwy::GetChosenTarget().Update(targets);
  return targets;
}

#if HWY_ARCH_X86_64
namespace {

struct Registers {
  unsigned a = 0, b = 0, c = 0, d = 0;
};
// Leaf 7 of CPUID; zeros on machines without AVX-512 and under TRIREME_CPU_ISA.
Registers leaf_7(unsigned subleaf) {
  Registers r;
  if (std::getenv("TRIREME_CPU_ISA") || (supported_targets() & HWY_AVX3) == 0) return r;
  if (__get_cpuid_count(7, subleaf, &r.a, &r.b, &r.c, &r.d) == 0) return {};
  return r;
}

}  // namespace

bool has_vnni() { return (leaf_7(0).c & 1U << 11) != 0; }
bool has_bf16_dot() { return (leaf_7(1).a & 1U << 5) != 0; }

bool has_bf16_tiles() {
#if defined(__linux__)
  constexpr unsigned kBrainFloat = 1U << 22, kTile = 1U << 24;
  const unsigned d = leaf_7(0).d;
  if ((d & kBrainFloat) == 0 || (d & kTile) == 0) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // of arch_prctl
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#else
bool has_vnni() { return false; }
bool has_bf16_dot() { return false; }
bool has_bf16_tiles() { return false; }
#endif

}  // namespace trireme::cpu
