// The tests of 8-bit products once more, with every product on emulated matrix tiles (AMX).
#include "tests/chip_cpu_int8_test.cc"  // NOLINT(bugprone-suspicious-include): on purpose
#include "tests/emulated_tiles.h"

// In the place of those of chips/cpu/gemm_amx.cc, which stays in its archive.
namespace trireme::cpu {

const MicroKernel<float>* tile_kernel() { return nullptr; }
const Int8Kernel* int8_tile_kernel() {
  static const Int8Kernel kernel = int8_tile_kernel_on<testing::EmulatedTiles<true>>();
  return &kernel;
}

}  // namespace trireme::cpu
