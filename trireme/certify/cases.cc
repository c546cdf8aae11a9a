#include "trireme/certify/cases.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>

#include "trireme/base/error.h"
#include "trireme/base/progress.h"
#include "trireme/base/strings.h"

namespace trireme::certify {

std::string_view name(Verdict verdict) {
  constexpr std::string_view names[] = {"pass", "wrong", "unsupported", "crash"};
  return names[static_cast<size_t>(verdict)];
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

// A child that reads case numbers and writes outcomes.
struct Worker {
  pid_t process = -1;
  int orders = -1, answers = -1;
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
    send(answers, {Verdict::kPass, {}, 0.0});
    size_t index = 0;
    while (read_all(orders, &index, sizeof(index))) {
      const auto begin = Clock::now();
      Outcome outcome = work(index);
      outcome.seconds = seconds_since(begin);
      if (!send(answers, outcome)) break;
    }
  } catch (const std::exception& failure) {
    send(answers, {Verdict::kCrash, failure.what(), 0.0});  // the parent is still waiting for the first answer
    ::_exit(2);
  }
  ::_exit(0);
}

Worker spawn(const std::function<void()>& start, const std::function<Outcome(size_t)>& work,
             const std::vector<Worker>& others) {
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
    ::close(orders[1]);
    ::close(answers[0]);
    for (const Worker& other : others) {  // a sibling must see the end of its own orders only
      if (other.process > 0) {
        ::close(other.orders);
        ::close(other.answers);
      }
    }
    serve(orders[0], answers[1], start, work);
  }
  ::close(orders[0]);
  ::close(answers[1]);
  Worker worker;
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
  if (WIFSIGNALED(status)) return cat("killed by signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)), ")");
  return cat("exit code ", WEXITSTATUS(status));
}

}  // namespace

std::vector<Outcome> run_guarded(size_t count, const std::function<void()>& start,
                                 const std::function<Outcome(size_t)>& work, const GuardOptions& options) {
  std::vector<Outcome> outcomes(count);
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
  const auto settle = [&](Worker& worker, Outcome outcome) {
    outcomes[worker.current] = std::move(outcome);
    worker.busy = false;
    ++done;
    progress.advance();
  };
  while (done < count) {
    for (Worker& worker : workers) {
      if (worker.busy || next == count) continue;
      if (worker.process < 0) {
        worker = spawn(start, work, workers);
        Outcome ready;
        const bool alive = receive(worker.answers, ready);
        if (!alive || ready.verdict != Verdict::kPass) {
          const std::string how = bury(worker, true);
          throw Error(Code::kInvalidArgument,
                      alive ? ready.detail : cat("a worker ended before its first case: ", how));
        }
      }
      worker.current = next++;
      worker.busy = true;
      worker.since = Clock::now();
      if (!write_all(worker.orders, &worker.current, sizeof(worker.current))) {
        const std::string how = bury(worker, true);
        settle(worker, {Verdict::kCrash, cat("the worker did not start: ", how), 0.0});
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
        if (receive(worker.answers, outcome)) {
          settle(worker, std::move(outcome));
        } else {
          const std::string how = bury(worker, true);
          settle(worker, {Verdict::kCrash, how, taken});
        }
      } else if (taken > options.seconds) {
        bury(worker, true);
        settle(worker, {Verdict::kCrash, cat("not finished after ", options.seconds, " s"), taken});
      }
    }
  }
  for (Worker& worker : workers) {
    if (worker.process > 0) bury(worker, false);
  }
  return outcomes;
}

}  // namespace trireme::certify
