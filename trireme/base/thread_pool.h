// ThreadPool: the host's one pool of threads. Everything that computes on the host in parallel goes through shared(),
// so that two pools never fight for the same cores. The caller of parallel_for always works too; workers spin for a few
// microseconds after a job (the next one usually follows at once), then sleep.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace trireme {

class ThreadPool {
 public:
  using Body = void (*)(void* context, uint64_t begin, uint64_t end);

  // `threads` counts the caller: a pool of 1 has no workers.
  explicit ThreadPool(uint32_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // As many threads as cores this process may use, or the environment variable TRIREME_THREADS. Made at first use.
  static ThreadPool& shared();

  uint32_t threads() const { return threads_; }

  // Runs body(context, begin, end) over pieces that cover [0, count) and returns when all are done. Pieces are at least
  // `grain` long. Inside a piece, and while another thread's job runs, the call runs inline as one piece. The first
  // exception of a piece is rethrown here once the others have ended.
  void parallel_for(uint64_t count, uint64_t grain, Body body, void* context);

  // The same with a callable f(begin, end).
  template <class F>
  void parallel_for(uint64_t count, uint64_t grain, F&& f) {
    using Callable = std::remove_reference_t<F>;
    parallel_for(
        count, grain,
        [](void* context, uint64_t begin, uint64_t end) { (*static_cast<Callable*>(context))(begin, end); },
        const_cast<void*>(static_cast<const void*>(&f)));
  }

 private:
  struct Shared;
  uint32_t threads_;
  std::unique_ptr<Shared> shared_;
};

}  // namespace trireme
