// Runs many cases so that none can end the run: cases are worked off in child processes, which are replaced when one
// crashes or takes too long.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace trireme::certify {

enum class Verdict : uint8_t {
  kPass,
  kWrong,        // ran, and gave other values than expected; or failed where it should not
  kUnsupported,  // refused by name, with the reason
  kCrash,        // the process died or took too long
};
std::string_view name(Verdict verdict);

struct Outcome {
  Verdict verdict = Verdict::kCrash;
  std::string detail;  // empty for a pass
  double seconds = 0.0;
};

struct GuardOptions {
  double seconds = 60.0;  // per case
  int workers = 1;        // processes at a time
  std::string title = "cases";
};

// outcome[i] = work(i) for i in 0 .. count-1. `work` runs in a child process; `start` runs once in each child before;
// what it throws ends the run as kInvalidArgument.
// The caller must not have started threads that `work` needs.
std::vector<Outcome> run_guarded(size_t count, const std::function<void()>& start,
                                 const std::function<Outcome(size_t)>& work, const GuardOptions& options = {});

}  // namespace trireme::certify
