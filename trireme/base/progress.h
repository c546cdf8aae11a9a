// Live progress on long work: how far, how fast, how long to go.
//
//   Progress progress("train", steps, "steps");
//   for (...) { ...; progress.advance(); progress.note("loss 0.213"); }
//
// On a terminal one line is redrawn at most 10 times a second; elsewhere (a file, CI) a plain line appears about every
// 10 seconds and one at the end. TRIREME_PROGRESS=0 silences both. All methods are safe from any thread; advance()
// costs one atomic addition and a clock read when nothing is due.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace trireme {

// Where and how often to show; the defaults are what users get, tests choose their own.
struct ProgressStyle {
  int descriptor = 2;           // standard error
  double live_seconds = 0.1;    // least time between two drawings on a terminal
  double plain_seconds = 10.0;  // least time between two lines elsewhere
};

class Progress {
 public:
  // total = 0 means unknown: no share and no time to go. Resumed work begins at `start`, which does not count as speed.
  Progress(std::string title, int64_t total, std::string unit, int64_t start = 0, const ProgressStyle& style = {});
  // Shows the final state once, complete or not.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(int64_t count = 1);
  void set(int64_t done);
  // A short text behind the figures, kept until the next one.
  void note(std::string text);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// "train  1200/3000 steps  40.0%  8.2 steps/s  3:39 to go  loss 0.213". `seconds` is the time spent on done - start.
std::string progress_line(std::string_view title, int64_t start, int64_t done, int64_t total, std::string_view unit,
                          double seconds, std::string_view note);

// Removes the live line, if one is on the terminal, before something else is printed there.
void clear_live_progress();

}  // namespace trireme
