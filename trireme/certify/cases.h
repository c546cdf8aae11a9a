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
  kCrash,        // the process died
  kHang,         // the process took too long and was ended
  kLeak,         // memory that was given back is still gone
  kRace,         // right one at a time, wrong side by side
  kLie,          // says one thing and does another
};
std::string_view name(Verdict verdict);
// Throws kInvalidArgument for a word that is none.
Verdict parse_verdict(std::string_view word);
// Neither a pass nor a refusal by name.
inline bool is_failure(Verdict verdict) { return verdict != Verdict::kPass && verdict != Verdict::kUnsupported; }

struct Outcome {
  Verdict verdict = Verdict::kCrash;
  std::string detail;  // empty for a pass
  double seconds = 0.0;
  std::string printed;  // what reached standard output meanwhile, when captured (its first 200 bytes)
};

struct GuardOptions {
  double seconds = 60.0;  // per case
  int workers = 1;        // processes at a time
  std::string title = "cases";
  // Standard output and error of the children go to files of their own, are told in `printed` and, after a crash, in
  // `detail`. Otherwise they are the parent's.
  bool capture = false;
  bool fresh_after_failure = false;  // a child that saw a failure gets no further case
  bool fresh_each = false;           // a child gets one case
  // Told of each case as it ends; returning false stops the run: cases not begun are left as they were.
  std::function<bool(size_t, const Outcome&)> settled;
};

// outcome[i] = work(i) for i in 0 .. count-1. `work` runs in a child process; `start` runs once in each child before;
// what it throws ends the run as kInvalidArgument.
// `order`, when given, says which cases are run and in which order; the others keep a default outcome.
// The caller must not have started threads that `work` needs.
std::vector<Outcome> run_guarded(size_t count, const std::function<void()>& start,
                                 const std::function<Outcome(size_t)>& work, const GuardOptions& options = {},
                                 const std::vector<size_t>* order = nullptr);

}  // namespace trireme::certify
