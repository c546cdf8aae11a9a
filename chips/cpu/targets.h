// Instruction sets the vectorised files are compiled for: AVX-512, AVX2 and one portable baseline, chosen at run time.
// (Kernels keep arrays of vectors, so targets without a fixed vector size are out.) Include before anything of Highway.
#pragma once

#include <hwy/detect_targets.h>

// Kinds of AVX-512 that later versions of Highway know; TRIREME_CPU_ISA could not switch them off.
#ifdef HWY_AVX3_ZEN4
#define TRIREME_ZEN4_TARGET HWY_AVX3_ZEN4
#else
#define TRIREME_ZEN4_TARGET 0
#endif
#ifdef HWY_AVX3_SPR
#define TRIREME_SPR_TARGET HWY_AVX3_SPR
#else
#define TRIREME_SPR_TARGET 0
#endif

#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS                                                                                          \
  (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | TRIREME_ZEN4_TARGET | TRIREME_SPR_TARGET | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | \
   HWY_SVE2_128 | HWY_RVV)

// Inside a file compiled per instruction set: true for the baseline, which has no fused multiply-add and no conversion
// of 16-bit floats, and whose rounding goes through integers.
#define TRIREME_PORTABLE_TARGET (HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128)
