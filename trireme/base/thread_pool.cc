#include "trireme/base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

namespace trireme {
namespace {

// How long an idle worker spins before it sleeps: longer than most kernels of a running plan that one thread runs
// alone, because waking a sleeper takes about 50 us.
constexpr auto kSpin = std::chrono::microseconds(200);
// More pieces than threads, so that a thread that lost its core does not hold up the others.
constexpr uint64_t kPiecesPerThread = 4;

thread_local bool inside_piece = false;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

uint32_t usable_cores() {
  if (const char* text = std::getenv("TRIREME_THREADS")) {
    const long wanted = std::strtol(text, nullptr, 10);
    if (wanted >= 1) return static_cast<uint32_t>(std::min(wanted, 1024L));
  }
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return static_cast<uint32_t>(std::max(1, CPU_COUNT(&set)));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

// Cores of a pool that has all those the process may use: one for the caller, then one for each worker, which is bound
// to it. The caller is not bound, since it is not ours; where the system has moved it onto a worker's core, these two
// trade places, else they would share that core until the system notices. A pool with fewer threads binds none, because
// another process may have chosen the same cores.
class Cores {
 public:
  void bind(std::vector<std::thread>& workers) {
#if defined(__linux__)
    cpu_set_t usable;
    if (sched_getaffinity(0, sizeof(usable), &usable) != 0) return;
    if (CPU_COUNT(&usable) != static_cast<int>(workers.size()) + 1) return;
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &usable)) cores_.push_back(core);
    }
    for (size_t i = 0; i < workers.size(); ++i) bind(workers[i], cores_[i + 1]);
#else
    (void)workers;
#endif
  }
  // Before a job of the calling thread.
  void make_room(std::vector<std::thread>& workers) {
#if defined(__linux__)
    if (cores_.empty()) return;
    const int here = sched_getcpu();
    if (here == cores_[0]) return;
    const auto taken = std::find(cores_.begin() + 1, cores_.end(), here);
    if (taken == cores_.end()) return;
    std::swap(cores_[0], *taken);
    bind(workers[static_cast<size_t>(taken - cores_.begin()) - 1], *taken);
#else
    (void)workers;
#endif
  }

 private:
#if defined(__linux__)
  static void bind(std::thread& worker, int core) {
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(core, &own);
    pthread_setaffinity_np(worker.native_handle(), sizeof(own), &own);  // where refused, it floats
  }
#endif
  std::vector<int> cores_;
};

}  // namespace

// A job is published by raising `generation` (odd while workers may join) and withdrawn by raising it again; `active`
// counts the workers that are inside, so the caller knows when nobody reads the job's fields any more.
struct ThreadPool::Shared {
  std::mutex busy;  // held by the caller whose job runs
  std::atomic<uint32_t> generation{0};
  std::atomic<uint32_t> active{0};
  std::atomic<bool> stop{false};

  Body body = nullptr;
  void* context = nullptr;
  uint64_t count = 0, pieces = 0;
  std::atomic<uint64_t> next{0};

  std::mutex failure_guard;
  std::exception_ptr failure;
  std::vector<std::thread> workers;
  Cores cores;  // read and changed by who holds `busy`

  void work() {
    inside_piece = true;
    for (uint64_t piece; (piece = next.fetch_add(1, std::memory_order_relaxed)) < pieces;) {
      const uint64_t begin = count / pieces * piece + std::min(piece, count % pieces);
      const uint64_t end = begin + count / pieces + (piece < count % pieces ? 1 : 0);
      try {
        body(context, begin, end);
      } catch (...) {
        const std::lock_guard lock(failure_guard);
        if (!failure) failure = std::current_exception();
      }
    }
    inside_piece = false;
  }

  void serve() {
    uint32_t seen = 0;
    while (true) {
      uint32_t now = generation.load();
      const auto sleep_at = std::chrono::steady_clock::now() + kSpin;
      for (int round = 1; now == seen || now % 2 == 0; ++round) {
        if (stop.load(std::memory_order_relaxed)) return;
        if (round % 64 == 0 && std::chrono::steady_clock::now() > sleep_at) generation.wait(now);
        else relax();
        now = generation.load();
      }
      seen = now;
      active.fetch_add(1);
      if (generation.load() == now) work();  // else the job was withdrawn in between
      active.fetch_sub(1);
    }
  }
};

ThreadPool::ThreadPool(uint32_t threads) : threads_(std::max(1u, threads)), shared_(std::make_unique<Shared>()) {
  for (uint32_t i = 1; i < threads_; ++i) shared_->workers.emplace_back([this] { shared_->serve(); });
  shared_->cores.bind(shared_->workers);
}

ThreadPool::~ThreadPool() {
  shared_->stop = true;
  shared_->generation.fetch_add(2);
  shared_->generation.notify_all();
  for (std::thread& worker : shared_->workers) worker.join();
}

ThreadPool& ThreadPool::shared() {
  static ThreadPool pool(usable_cores());
  return pool;
}

void ThreadPool::parallel_for(uint64_t count, uint64_t grain, Body body, void* context) {
  if (count == 0) return;
  const uint64_t pieces = std::min(count / std::max<uint64_t>(1, grain), threads_ * kPiecesPerThread);
  if (pieces <= 1 || threads_ == 1 || inside_piece) return body(context, 0, count);
  Shared& s = *shared_;
  const std::unique_lock lock(s.busy, std::try_to_lock);
  if (!lock.owns_lock()) return body(context, 0, count);
  s.cores.make_room(s.workers);

  s.body = body;
  s.context = context;
  s.count = count;
  s.pieces = pieces;
  s.next.store(0, std::memory_order_relaxed);
  s.failure = nullptr;
  s.generation.fetch_add(1);
  s.generation.notify_all();
  s.work();
  s.generation.fetch_add(1);
  while (s.active.load() != 0) relax();
  if (s.failure) std::rethrow_exception(s.failure);
}

}  // namespace trireme
