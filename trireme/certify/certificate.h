// Certificate: what `trireme certify` finds out about a chip. The chip is loaded in child processes only, so nothing it
// does there can end or spoil this one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "trireme/certify/level.h"
#include "trireme/runtime/explain.h"

namespace trireme::certify {

struct CertifyOptions {
  std::string chip;  // a name, or the path of a plug-in (anything with a '/' or ending in ".so")
  Level level = Level::kComplete;
  uint64_t seed = 1;
  // A file that keeps what is done; an interrupted run given the same file goes on from there. Empty: none.
  std::string state_file;
  double seconds = 60.0;  // per case
  int workers = 1;        // processes at a time
  bool stop_at_failure = false;
  size_t share = 1;  // of the cases of C2 to C4 every so-many-th, beginning with one that the seed decides
};

struct CaseResult {
  Part part;
  Level level;
  std::string name, op, dtype;
  bool required = false, done = false;
  Outcome outcome;
};

struct Certificate {
  std::string chip, vendor, version, build_id, path, device;
  bool computes = false, partitions = false, communicates = false;
  bool faults_shown = false;  // it injects faults, or is synchronous and has none that come late
  uint64_t seed = 1;
  Level asked = Level::kNone, reached = Level::kNone;
  std::string why_not_more;  // why it is not the next level, or not the one asked for
  std::vector<CaseResult> cases;
  double seconds = 0.0;

  bool certified() const { return reached >= asked; }
  std::map<Verdict, int> totals() const;
};

// Throws kNotFound for a chip or file that does not exist, kInvalidArgument for a state file of another run.
Certificate certify(const CertifyOptions& options);

// What the chip's maker gains most by: each kernel that is missing, and by how much it, alone, would speed a step of
// every model of C7 up, added up over the models. Largest first.
std::vector<runtime::Gain> gain_list(const Certificate& certificate);

// The chip card: one JSON object.
std::string card_json(const Certificate& certificate);
// A page to read.
std::string page_html(const Certificate& certificate);

}  // namespace trireme::certify
