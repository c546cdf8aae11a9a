#include "trireme/base/progress.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "trireme/base/log.h"

namespace trireme {
namespace {

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

std::string drain(int descriptor) {
  ::fcntl(descriptor, F_SETFL, O_NONBLOCK);
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = ::read(descriptor, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(got));
  return text;
}

struct Pipe {
  int ends[2];
  Pipe() { EXPECT_EQ(::pipe(ends), 0); }
  ~Pipe() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
};

TEST(Progress, LineShowsShareRateAndTimeToGo) {
  // 800 of 1000 steps since the start in 100 s: 8 a second, 1800 left: 225 s.
  EXPECT_EQ(progress_line("train", 400, 1200, 3000, "steps", 100, "loss 0.2"),
            "train  1200/3000 steps  40.0%  8.00 steps/s  3:45 to go  loss 0.2");
  EXPECT_EQ(progress_line("read", 0, 7, 0, "files", 14, ""), "read  7 files  0.5000 files/s  in 0:14");
  EXPECT_EQ(progress_line("train", 0, 20, 20, "steps", 7265, ""),
            "train  20/20 steps  100.0%  0.0028 steps/s  in 2:01:05");
  EXPECT_EQ(progress_line("train", 0, 0, 20, "steps", 0, ""), "train  0/20 steps  0.0%");
}

TEST(Progress, PlainLinesWhenNoTerminal) {
  Pipe pipe;
  {
    Progress progress("copy", 100, "files", 0, {pipe.ends[1], 0.1, 1e9});
    for (int i = 0; i < 100; ++i) progress.advance();
  }
  const std::string text = drain(pipe.ends[0]);
  EXPECT_EQ(count(text, "\n"), 1u) << "only the final line within the period";
  EXPECT_NE(text.find("copy  100/100 files  100.0%"), std::string::npos) << text;
  EXPECT_EQ(text.find('\033'), std::string::npos);
  {
    Progress progress("copy", 100, "files", 0, {pipe.ends[1], 0.1, 0.0});
    for (int i = 0; i < 100; ++i) progress.advance();
  }
  EXPECT_EQ(count(drain(pipe.ends[0]), "\n"), 101u) << "every call is due when the period is zero";
}

TEST(Progress, LiveLineIsRedrawnAtMostAtItsRate) {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0 || ::grantpt(terminal) != 0 || ::unlockpt(terminal) != 0) GTEST_SKIP() << "no pseudo-terminals here";
  const int screen = ::open(::ptsname(terminal), O_RDWR | O_NOCTTY);
  ASSERT_GE(screen, 0);
  const winsize size{24, 40, 0, 0};
  ASSERT_EQ(::ioctl(screen, TIOCSWINSZ, &size), 0);
  const auto begun = std::chrono::steady_clock::now();
  {
    Progress progress("train", 30, "steps", 0, {screen, 0.02, 1e9});
    progress.note("a very long note that does not fit into forty columns");
    for (int i = 0; i < 30; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      progress.advance();
    }
    clear_live_progress();
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  const std::string text = drain(terminal);
  const size_t drawings = count(text, "\r\033[Ktrain");
  EXPECT_GE(drawings, 3u);
  EXPECT_LE(static_cast<double>(drawings), seconds / 0.02 + 1) << text;
  EXPECT_EQ(count(text, "\n"), 1u);
  for (size_t at = 0; (at = text.find("\r\033[K", at)) != std::string::npos;) {
    at += 4;
    EXPECT_LE(text.find_first_of("\r\n", at) - at, 39u) << "a line wider than the terminal would wrap";
  }
  ::close(screen);
  ::close(terminal);
}

TEST(Progress, SilentWhenAsked) {
  Pipe pipe;
  ::setenv("TRIREME_PROGRESS", "0", 1);
  {
    Progress progress("copy", 2, "files", 0, {pipe.ends[1], 0, 0});
    progress.advance(2);
  }
  ::unsetenv("TRIREME_PROGRESS");
  EXPECT_EQ(drain(pipe.ends[0]), "");
}

TEST(Progress, CountsEveryAdvanceOfManyThreads) {
  Pipe pipe;
  {
    Progress progress("count", 40000, "items", 0, {pipe.ends[1], 0.1, 0.01});
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&progress, t] {
        for (int i = 0; i < 10000; ++i) progress.advance();
        progress.note("thread " + std::to_string(t));
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_NE(drain(pipe.ends[0]).find("40000/40000 items  100.0%"), std::string::npos);
}

TEST(Log, GoesToStandardErrorFromAnyThread) {
  testing::internal::CaptureStderr();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back([] { log_info("ledger: {} is no format here"); });
  for (std::thread& thread : threads) thread.join();
  log_debug("below the default level");
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(count(text, "ledger: {} is no format here\n"), 4u) << text;
  EXPECT_EQ(count(text, "below"), 0u);
}

}  // namespace
}  // namespace trireme
