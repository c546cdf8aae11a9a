// Persona: everything that makes one refchip differ from another, read from JSON (docs/guide/personas.md).
//
// A key that is not known is an error naming the nearest one, so a typo cannot silently make a more capable chip.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/chip/chip.h"
#include "trireme/core/dtype.h"

namespace trireme::refchip {

// A failure that the persona provokes by itself. One of `tag`, `command` and `op` names the victim.
struct PlannedFault {
  TrmFault kind = TRM_FAULT_NEXT_COMMAND;
  uint64_t tag = 0;      // the command with this tag; 0: not by tag
  uint64_t command = 0;  // the n-th command (counted from 1) or, for out_of_memory, the n-th allocation
  std::string op;        // kernels whose name has this in it
  uint64_t count = 1;    // how many commands, or allocations, fail
};

struct Persona {
  std::string name;  // "no-bf16"
  std::string description;
  uint32_t devices = 4;
  uint32_t units = 8;
  uint64_t seed = 1;           // of the random delays
  uint64_t max_delay_us = 50;  // before each command; 0: none
  bool synchronous = false;    // commands finish inside their call
  TrmPrecision error_precision = TRM_TAG_EXACT;
  std::vector<std::string> withhold;  // optional slots to null: "fill", "stream_*", "*"

  TrmAddressing addressing = TRM_FLAT;
  uint64_t memory_bytes = uint64_t{4} << 30;
  uint64_t pinned_bytes = uint64_t{1} << 30;  // 0: no pinned space
  uint32_t alignment = 64;

  bool compute = true;
  bool all_ops = true;           // else `ops` alone
  std::vector<std::string> ops;  // with all_ops: the missing ones
  DTypeSet dtypes = any_dtype;
  std::map<DType, DType> convert;             // operands of the first type are wanted as the second
  bool dense_operands = false;                // strides other than row-major are refused
  std::vector<std::string> channels_last;     // ops that want their first input and output channels-last
  uint32_t min_nodes = 1, max_nodes = 65535;  // of a program
  bool partition = false;
  uint64_t workspace_bytes = 0;  // asked for by every kernel, and scribbled over

  double flops_f32 = 10e12, flops_low = 40e12;             // per second
  double memory_bandwidth = 400e9, link_bandwidth = 16e9;  // bytes per second
  double link_latency_ns = 2000, launch_latency_ns = 1000;

  std::vector<PlannedFault> faults;
  const struct Defect* defect = nullptr;  // of a chip that is wrong on purpose (broken.h)
  uint64_t hash = 0;                      // of the JSON text

  bool has_op(std::string_view op) const;
  bool withholds(std::string_view slot) const;
  // "refchip_no_bf16": '-' becomes '_', and goes away before a digit ("refchip_minimal13").
  std::string chip_name() const;
};

// The name of a built-in persona, "broken-" and the name of a defect (the persona full with it), or the path of a JSON
// file (anything with a '/' or ending in ".json").
Persona load_persona(const std::string& name_or_path);
Persona parse_persona(std::string_view json, const std::string& origin);

struct BuiltinPersona {
  std::string_view name, json;
};
// From the files in personas/, sorted by name.
std::span<const BuiltinPersona> builtin_personas();

}  // namespace trireme::refchip
