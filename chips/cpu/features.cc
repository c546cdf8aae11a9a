#include "chips/cpu/features.h"

#include <cstdlib>
#include <cstring>
#include <string_view>

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
// Leaf 7 of CPUID; zeros on machines without AVX-512 and where TRIREME_CPU_ISA wants less than all.
Registers leaf_7(unsigned subleaf) {
  Registers r;
  const char* isa = std::getenv("TRIREME_CPU_ISA");
  if ((isa && std::string_view(isa) != "amx") || (supported_targets() & HWY_AVX3) == 0) return r;
  if (__get_cpuid_count(7, subleaf, &r.a, &r.b, &r.c, &r.d) == 0) return {};
  return r;
}

// AMX with products of that kind, a bit of register D.
bool has_tiles(unsigned kind) {
#if defined(__linux__)
  constexpr unsigned kTile = 1U << 24;
  const unsigned d = leaf_7(0).d;
  if ((d & kind) == 0 || (d & kTile) == 0) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // of arch_prctl
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  (void)kind;
  return false;
#endif
}

}  // namespace

std::string processor() {
  Registers r;
  char maker[13] = {};
  if (__get_cpuid(0, &r.a, &r.b, &r.c, &r.d) != 0) {
    std::memcpy(maker, &r.b, 4);
    std::memcpy(maker + 4, &r.d, 4);
    std::memcpy(maker + 8, &r.c, 4);
  }
  __get_cpuid(1, &r.a, &r.b, &r.c, &r.d);
  const unsigned family = (r.a >> 8 & 15) + (r.a >> 20 & 255), model = (r.a >> 4 & 15) + (r.a >> 12 & 240);
  return std::string(maker) + " family " + std::to_string(family) + " model " + std::to_string(model);
}

bool has_vnni() { return (leaf_7(0).c & 1U << 11) != 0; }
bool has_bf16_dot() { return (leaf_7(1).a & 1U << 5) != 0; }
bool has_bf16_tiles() { return has_tiles(1U << 22); }
bool has_int8_tiles() { return has_tiles(1U << 25); }
#else
bool has_vnni() { return false; }
bool has_bf16_dot() { return false; }
bool has_bf16_tiles() { return false; }
bool has_int8_tiles() { return false; }
#endif

}  // namespace trireme::cpu
