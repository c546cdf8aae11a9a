// `trireme tipc`: training and inference pipeline certification. Each row of a table (tipc_table.h) is a chain
// (tipc_chain.h) on the chip, in a process of its own, held against the same chain on the cpu by checks that decide.
// Guide: docs/guide/tipc.md.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "trireme/certify/tipc_chain.h"
#include "trireme/certify/tipc_table.h"

namespace trireme::certify {

struct TipcOptions {
  std::string table;              // path of the YAML file
  std::string chip;               // device, as for set_device
  std::vector<std::string> rows;  // rows or models; none: all
  std::string state_file;         // keeps what is done; an interrupted run given it goes on from there. Empty: none
  double seconds = 300.0;         // per chain
};

// One figure and the largest value that passes. A figure that is not finite does not.
struct TipcCheck {
  std::string name;  // "loss", "learns", "accuracy", "outputs", "cpu_share"
  double figure = 0.0, limit = 0.0;
  std::string detail;  // what is compared with what, in words
  bool passed() const { return figure <= limit; }
};

enum class TipcVerdict : uint8_t {
  kPass,
  kFail,  // a check missed its limit, or the chain ended in an error, a crash or a hang
  kSkip,  // it cannot be run here; the reason is given
};
std::string_view name(TipcVerdict verdict);

struct TipcResult {
  std::string name;
  TipcVerdict verdict = TipcVerdict::kFail;
  std::string detail;  // why it failed before there were figures, or was skipped
  std::vector<TipcCheck> checks;
  TipcChain chain;       // on the chip; meaningful with checks
  double seconds = 0.0;  // of the chain on the chip
};

struct TipcReport {
  std::string device, chip_name, build_id;  // "xpu:0", what it calls itself, of its plug-in
  std::string table;
  std::vector<TipcResult> rows;
  double seconds = 0.0;

  int count(TipcVerdict verdict) const;
  // No row failed, and at least one was run.
  bool passed() const;
};

// The checks of a chain: `same` is the chain in the same mode on the cpu, `plain` that in f32. `on_cpu`: the chip is
// the cpu itself, which has no share to answer for.
std::vector<TipcCheck> check_chain(const TipcRow& row, const TipcChain& chain, const TipcChain& same,
                                   const TipcChain& plain, bool on_cpu);

// Throws kInvalidArgument for a table or a row that is wrong and for a state file of another run, kNotFound for a table
// or a chip that does not exist, kDeviceFault when the chip cannot be opened.
TipcReport tipc(const TipcOptions& options);

// One JSON object.
std::string json(const TipcReport& report);
// A page in Markdown: a table of all rows with figure and limit of each check, then the failures and what was skipped.
std::string page_markdown(const TipcReport& report);

}  // namespace trireme::certify
