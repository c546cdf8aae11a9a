// The ledger of a plan: what ran where, why, and what it cost. One line at the first run, more through explain.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trireme::runtime {

enum class Fallback : uint8_t {
  kError,  // a plan that needs the host's help is refused
  kWarn,   // the ledger line is printed (default)
  kAllow,
};

struct LedgerRow {
  std::string op;      // "softmax", or the names of a fused region joined by '+'
  std::string device;  // "xpu:0"
  std::string shapes;  // of the outputs
  std::string source;  // the user's line
  std::string reason;  // why not on the chip asked for; empty when it is
  double estimated_ns = 0.0;
  double copy_ns = 0.0;  // copies made for it
  int nodes = 1;
  bool on_target = true;  // on the device asked for, by its own kernels
};

struct Ledger {
  std::string target;
  std::vector<LedgerRow> rows;
  double copy_ns = 0.0;
  uint64_t arena_bytes = 0;  // of values between the regions, on the target
  uint64_t live_bytes = 0;   // the largest number of these that are needed at once: no arena can be smaller
  int launches = 0, copies = 0;
  int rearranged = 0;             // values copied on one device into another layout, or out of a view
  uint32_t fixed_point_bits = 0;  // the least of any product's fixed point (TrmAnswer); 0: none

  double total_ns() const;
  // Share of estimated time that does not run on the target: fallback and the copies it causes. 0 to 1.
  double fallback_share() const;
  // "xpu:0 runs 96.2% of step time · 3 ops on cpu:0 (top_k: no kernel for i64) · costs 1.4 ms/step · ..."
  std::string line() const;
  // Rows as a JSON array with the totals around it.
  std::string json() const;
  // The table `trireme explain` prints.
  std::string table() const;
};

}  // namespace trireme::runtime
