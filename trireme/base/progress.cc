#include "trireme/base/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <mutex>

#include "trireme/base/file.h"
#include "trireme/base/strings.h"

namespace trireme {

namespace {

using Clock = std::chrono::steady_clock;

// The terminal is one for the whole process, so its state is too. Written under `mutex`.
struct Terminal {
  std::mutex mutex;
  int live_descriptor = -1;  // where a live line stands now, or -1
};
Terminal& terminal() {
  static Terminal* const instance = new Terminal;
  return *instance;
}

// Progress is a courtesy: a terminal that has gone away must not end the work.
void put(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(descriptor, text.data(), text.size());
    if (wrote <= 0) return;
    text.remove_prefix(static_cast<size_t>(wrote));
  }
}

size_t terminal_width(int descriptor) {
  winsize size{};
  const bool known = ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

// Cuts to `width` columns, never inside a UTF-8 character.
std::string_view fitted(std::string_view line, size_t width) {
  size_t columns = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    const bool continues = (static_cast<unsigned char>(line[i]) & 0xC0) == 0x80;
    if (!continues && ++columns > width) return line.substr(0, i);
  }
  return line;
}

// Three significant digits, no exponent for everyday rates: "8.23", "412", "0.0571".
std::string rate_text(double rate) {
  char buffer[32];
  const int decimals = rate >= 100 ? 0 : rate >= 10 ? 1 : rate >= 1 ? 2 : 4;
  std::snprintf(buffer, sizeof buffer, "%.*f", decimals, rate);
  return buffer;
}

// "0:07", "12:30", "3:05:09".
std::string clock_text(double seconds) {
  const auto total = static_cast<long long>(std::llround(std::min(seconds, 3.6e8)));
  char buffer[48];
  if (total >= 3600) {
    std::snprintf(buffer, sizeof buffer, "%lld:%02lld:%02lld", total / 3600, total / 60 % 60, total % 60);
  } else {
    std::snprintf(buffer, sizeof buffer, "%lld:%02lld", total / 60, total % 60);
  }
  return buffer;
}

}  // namespace

struct Progress::State {
  enum class Mode { kSilent, kPlain, kLive };

  std::string title, unit;
  int64_t total, start;
  ProgressStyle style;
  Mode mode;
  Clock::time_point begun = Clock::now();
  std::atomic<int64_t> done;
  std::atomic<int64_t> due;  // nanoseconds after `begun` when the next drawing may happen
  std::mutex mutex;          // guards note and the order of drawings
  std::string note;

  int64_t elapsed() const { return std::chrono::nanoseconds(Clock::now() - begun).count(); }
  int64_t period() const {
    return static_cast<int64_t>(1e9 * (mode == Mode::kLive ? style.live_seconds : style.plain_seconds));
  }

  void show_if_due() {
    if (mode == Mode::kSilent) return;
    const int64_t now = elapsed();
    int64_t expected = due.load(std::memory_order_relaxed);
    // Of many threads that see the time come, the one that moves `due` on draws.
    if (now >= expected && due.compare_exchange_strong(expected, now + period())) show(false);
  }

  void show(bool last) {
    const std::lock_guard lock(mutex);
    const std::string line =
        progress_line(title, start, done.load(), total, unit, static_cast<double>(elapsed()) * 1e-9, note);
    const std::lock_guard terminal_lock(terminal().mutex);
    if (mode == Mode::kPlain) {
      put(style.descriptor, line + "\n");
      return;
    }
    put(style.descriptor, cat("\r\033[K", fitted(line, terminal_width(style.descriptor) - 1), last ? "\n" : ""));
    terminal().live_descriptor = last ? -1 : style.descriptor;
  }
};

Progress::Progress(std::string title, int64_t total, std::string unit, int64_t start, const ProgressStyle& style)
    : state_(new State{std::move(title), std::move(unit), total, start, style, State::Mode::kSilent}) {
  state_->done = start;
  if (environment("TRIREME_PROGRESS", "1") != "0") {
    state_->mode = ::isatty(style.descriptor) != 0 ? State::Mode::kLive : State::Mode::kPlain;
  }
  state_->due = state_->period();
}

Progress::~Progress() {
  if (state_->mode != State::Mode::kSilent) state_->show(true);
}

void Progress::advance(int64_t count) {
  state_->done.fetch_add(count, std::memory_order_relaxed);
  state_->show_if_due();
}

void Progress::set(int64_t done) {
  state_->done.store(done, std::memory_order_relaxed);
  state_->show_if_due();
}

void Progress::note(std::string text) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->note = std::move(text);
  }
  state_->show_if_due();
}

std::string progress_line(std::string_view title, int64_t start, int64_t done, int64_t total, std::string_view unit,
                          double seconds, std::string_view note) {
  std::string line = total > 0 ? cat(title, "  ", done, "/", total, " ", unit) : cat(title, "  ", done, " ", unit);
  if (total > 0) {
    char share[16];
    std::snprintf(share, sizeof share, "  %.1f%%", 100.0 * static_cast<double>(done) / static_cast<double>(total));
    line += share;
  }
  const double rate = seconds > 0 ? static_cast<double>(done - start) / seconds : 0.0;
  if (rate > 0) line += cat("  ", rate_text(rate), " ", unit, "/s");
  if (done < total && rate > 0) {
    line += cat("  ", clock_text(static_cast<double>(total - done) / rate), " to go");
  } else if (seconds > 0) {
    line += cat("  in ", clock_text(seconds));
  }
  if (!note.empty()) line += cat("  ", note);
  return line;
}

void clear_live_progress() {
  const std::lock_guard lock(terminal().mutex);
  if (terminal().live_descriptor < 0) return;
  put(terminal().live_descriptor, "\r\033[K");
  terminal().live_descriptor = -1;
}

}  // namespace trireme
