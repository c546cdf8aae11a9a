#include "trireme/certify/cases.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "trireme/base/error.h"
#include "trireme/base/progress.h"
#include "trireme/base/strings.h"

namespace trireme::certify {

namespace {
constexpr std::array<std::string_view, 8> kNames = {"pass", "wrong", "unsupported", "crash",
                                                    "hang", "leak",  "race",        "lie"};
}  // namespace

std::string_view name(Verdict verdict) { return kNames[static_cast<size_t>(verdict)]; }

Verdict parse_verdict(std::string_view word) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == word) return static_cast<Verdict>(i);
  }
  throw Error(Code::kInvalidArgument, cat("\"", word, "\" is no verdict"));
}

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

bool write_all(int descriptor, const void* data, size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t done = ::write(descriptor, at, size);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    at += done;
    size -= static_cast<size_t>(done);
  }
  return true;
}

bool read_all(int descriptor, void* data, size_t size) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t done = ::read(descriptor, at, size);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    at += done;
    size -= static_cast<size_t>(done);
  }
  return true;
}

// What a child prints: a file in memory, so that nothing it writes can block it and nothing is lost when it dies.
class Captured {
 public:
  void open(const char* what) {
    descriptor_ = ::memfd_create(what, MFD_CLOEXEC);
    if (descriptor_ < 0) throw Error(Code::kIo, cat("cannot make a file in memory: ", std::strerror(errno)));
  }
  void close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
    seen_ = 0;
  }
  void become(int standard) const {
    if (descriptor_ >= 0) ::dup2(descriptor_, standard);
  }
  // What came since the last call: the first or last 200 bytes of it.
  std::string fresh(bool last) {
    struct stat status {};
    if (descriptor_ < 0 || ::fstat(descriptor_, &status) != 0 || status.st_size <= seen_) return {};
    const off_t most = 200, from = last ? std::max(seen_, status.st_size - most) : seen_;
    std::string text(static_cast<size_t>(std::min(most, status.st_size - from)), '\0');
    const ssize_t got = ::pread(descriptor_, text.data(), text.size(), from);
    text.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    seen_ = status.st_size;
    return text;
  }

 private:
  int descriptor_ = -1;
  off_t seen_ = 0;
};

// A child that reads case numbers and writes outcomes.
struct Worker {
  pid_t process = -1;
  int orders = -1, answers = -1;
  Captured output, errors;
  size_t current = 0;
  bool busy = false;
  Clock::time_point since;
};

struct Answer {
  Verdict verdict;
  double seconds;
  uint32_t length;  // of the detail that follows
};

bool send(int descriptor, const Outcome& outcome) {
  const Answer answer{outcome.verdict, outcome.seconds, static_cast<uint32_t>(outcome.detail.size())};
  return write_all(descriptor, &answer, sizeof(answer)) &&
         write_all(descriptor, outcome.detail.data(), outcome.detail.size());
}

// False when the child is gone.
bool receive(int descriptor, Outcome& outcome) {
  Answer answer{};
  if (!read_all(descriptor, &answer, sizeof(answer)) || answer.length >= (1u << 24)) return false;
  outcome.verdict = answer.verdict;
  outcome.seconds = answer.seconds;
  outcome.detail.resize(answer.length);
  return read_all(descriptor, outcome.detail.data(), outcome.detail.size());
}

[[noreturn]] void serve(int orders, int answers, const std::function<void()>& start,
                        const std::function<Outcome(size_t)>& work) {
  try {
    start();
    send(answers, {Verdict::kPass, {}, 0.0, {}});
    size_t index = 0;
    while (read_all(orders, &index, sizeof(index))) {
      const auto begin = Clock::now();
      Outcome outcome = work(index);
      outcome.seconds = seconds_since(begin);
      std::fflush(stdout);  // while the case is still the one that printed
      if (!send(answers, outcome)) break;
    }
  } catch (const std::exception& failure) {
    send(answers, {Verdict::kCrash, failure.what(), 0.0, {}});  // the parent is still waiting for the first answer
    ::_exit(2);
  }
  ::_exit(0);
}

Worker spawn(const std::function<void()>& start, const std::function<Outcome(size_t)>& work,
             const std::vector<Worker>& others, bool capture) {
  Worker worker;
  if (capture) {
    std::fflush(nullptr);  // or the child prints it again
    worker.output.open("output");
    worker.errors.open("errors");
  }
  int orders[2], answers[2];
  if (::pipe(orders) != 0) throw Error(Code::kIo, cat("cannot make a pipe: ", std::strerror(errno)));
  if (::pipe(answers) != 0) {
    ::close(orders[0]);
    ::close(orders[1]);
    throw Error(Code::kIo, cat("cannot make a pipe: ", std::strerror(errno)));
  }
  const pid_t process = ::fork();
  if (process < 0) throw Error(Code::kIo, cat("cannot start a process: ", std::strerror(errno)));
  if (process == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a long case does not outlive a run that was killed
    ::close(orders[1]);
    ::close(answers[0]);
    for (const Worker& other : others) {  // a sibling must see the end of its own orders only
      if (other.process > 0) {
        ::close(other.orders);
        ::close(other.answers);
      }
    }
    worker.output.become(STDOUT_FILENO);
    worker.errors.become(STDERR_FILENO);
    serve(orders[0], answers[1], start, work);
  }
  ::close(orders[0]);
  ::close(answers[1]);
  worker.process = process;
  worker.orders = orders[1];
  worker.answers = answers[0];
  return worker;
}

// Ends the child and says how it ended.
std::string bury(Worker& worker, bool kill) {
  if (kill) ::kill(worker.process, SIGKILL);
  ::close(worker.orders);
  ::close(worker.answers);
  int status = 0;
  while (::waitpid(worker.process, &status, 0) < 0 && errno == EINTR) {
  }
  worker.process = -1;
  worker.output.close();
  worker.errors.close();
  if (WIFSIGNALED(status)) return cat("killed by signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)), ")");
  return cat("exit code ", WEXITSTATUS(status));
}

}  // namespace

std::vector<Outcome> run_guarded(size_t count, const std::function<void()>& start,
                                 const std::function<Outcome(size_t)>& work, const GuardOptions& options,
                                 const std::vector<size_t>* order) {
  std::vector<Outcome> outcomes(count);
  if (order != nullptr) count = order->size();
  std::vector<Worker> workers(static_cast<size_t>(std::max(1, options.workers)));
  struct Cleanup {
    std::vector<Worker>* workers;
    ~Cleanup() {
      for (Worker& each : *workers) {
        if (each.process > 0) bury(each, true);
      }
    }
  };
  const Cleanup cleanup{&workers};
  // A child that died must not end this process when it is written to.
  struct IgnorePipe {
    struct sigaction before {};
    IgnorePipe() {
      struct sigaction ignore {};
      ignore.sa_handler = SIG_IGN;
      ::sigaction(SIGPIPE, &ignore, &before);
    }
    ~IgnorePipe() { ::sigaction(SIGPIPE, &before, nullptr); }
  };
  const IgnorePipe quiet;
  Progress progress(options.title, static_cast<int64_t>(count), "cases");
  size_t next = 0, done = 0;
  bool going = true;
  const auto settle = [&](Worker& worker, Outcome outcome) {
    if (worker.process > 0) outcome.printed = worker.output.fresh(false);
    worker.busy = false;
    ++done;
    progress.advance();
    if (options.settled && !options.settled(worker.current, outcome)) going = false;
    const bool spent = options.fresh_each || (options.fresh_after_failure && is_failure(outcome.verdict));
    if (spent && worker.process > 0) bury(worker, true);
    outcomes[worker.current] = std::move(outcome);
  };
  // The end of a child that did not answer: its last words, if any, are the detail.
  const auto settle_dead = [&](Worker& worker, Verdict verdict, double taken, const std::string& what) {
    const std::string printed = worker.output.fresh(false);
    std::string words = worker.errors.fresh(true);
    const std::string how = bury(worker, true);
    if (!words.empty()) words = cat("; it said: ", std::string(trim(words)));
    settle(worker, {verdict, cat(what.empty() ? how : what, words), taken, printed});
  };
  while (done < count && (going || std::any_of(workers.begin(), workers.end(), [](auto& w) { return w.busy; }))) {
    for (Worker& worker : workers) {
      if (worker.busy || next == count || !going) continue;
      if (worker.process < 0) {
        worker = spawn(start, work, workers, options.capture);
        Outcome ready;
        const bool alive = receive(worker.answers, ready);
        worker.output.fresh(false);  // what was printed before the first case is nobody's
        if (!alive || ready.verdict != Verdict::kPass) {
          const std::string how = bury(worker, true);
          throw Error(Code::kInvalidArgument,
                      alive ? ready.detail : cat("a worker ended before its first case: ", how));
        }
      }
      worker.current = order != nullptr ? (*order)[next] : next;
      ++next;
      worker.busy = true;
      worker.since = Clock::now();
      if (!write_all(worker.orders, &worker.current, sizeof(worker.current))) {
        settle_dead(worker, Verdict::kCrash, 0.0, "");
      }
    }
    std::vector<pollfd> polled;
    std::vector<Worker*> who;
    for (Worker& worker : workers) {
      if (!worker.busy) continue;
      polled.push_back({worker.answers, POLLIN, 0});
      who.push_back(&worker);
    }
    if (polled.empty()) continue;
    ::poll(polled.data(), polled.size(), 100);
    for (size_t i = 0; i < polled.size(); ++i) {
      Worker& worker = *who[i];
      const double taken = seconds_since(worker.since);
      if ((polled[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
        Outcome outcome;
        if (receive(worker.answers, outcome)) settle(worker, std::move(outcome));
        else settle_dead(worker, Verdict::kCrash, taken, "");
      } else if (taken > options.seconds) {
        settle_dead(worker, Verdict::kHang, taken, cat("not finished after ", options.seconds, " s"));
      }
    }
  }
  for (Worker& worker : workers) {
    if (worker.process > 0) bury(worker, false);
  }
  return outcomes;
}

}  // namespace trireme::certify
