// Instructions beyond the targets of Highway that kernels of their own use (x86-64). Under TRIREME_CPU_ISA there are
// none, but for `amx`.
#pragma once

#include <cstdint>
#include <string>

namespace trireme::cpu {

// Highway's targets of this machine, less what TRIREME_CPU_ISA switched off. (Asking Highway alone makes its dispatch
// forget the latter until it is told again.)
int64_t supported_targets();

// Maker, family and model of the processor, as far as it tells.
std::string processor();

bool has_vnni();        // AVX512-VNNI: products of 8-bit integers
bool has_bf16_dot();    // AVX512-BF16
bool has_bf16_tiles();  // AMX-BF16; this and the next ask the system whether the process may use the tiles
bool has_int8_tiles();  // AMX-INT8

}  // namespace trireme::cpu
