#include "trireme/base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

namespace trireme {
namespace {

TEST(ThreadPool, CoversEveryIndexOnceInPiecesOfTheGrain) {
  for (uint32_t threads : {1u, 2u, 5u}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (uint64_t count : {0u, 1u, 7u, 64u, 1000u, 12345u}) {
      for (uint64_t grain : {1u, 10u, 5000u}) {
        std::vector<std::atomic<int>> seen(count);
        std::atomic<uint64_t> shortest{count};
        pool.parallel_for(count, grain, [&](uint64_t begin, uint64_t end) {
          uint64_t length = shortest;
          while (end - begin < length && !shortest.compare_exchange_weak(length, end - begin)) {
          }
          for (uint64_t i = begin; i < end; ++i) ++seen[i];
        });
        for (uint64_t i = 0; i < count; ++i) ASSERT_EQ(seen[i], 1) << i << " of " << count;
        EXPECT_GE(shortest, std::min(count, grain));
      }
    }
  }
}

TEST(ThreadPool, OneThreadCallsTheBodyOnce) {
  ThreadPool pool(1);
  int calls = 0;
  pool.parallel_for(1000, 1, [&](uint64_t begin, uint64_t end) {
    ++calls;
    EXPECT_EQ(begin, 0u);
    EXPECT_EQ(end, 1000u);
  });
  EXPECT_EQ(calls, 1);
}

TEST(ThreadPool, WorkersTakePart) {
  ThreadPool pool(2);
  std::atomic<bool> other{false};
  const auto caller = std::this_thread::get_id();
  // The first piece waits for a piece on another thread, so this ends only if there is one.
  pool.parallel_for(8, 1, [&](uint64_t, uint64_t) {
    if (std::this_thread::get_id() != caller) other = true;
    while (!other) std::this_thread::yield();
  });
  EXPECT_TRUE(other);
}

TEST(ThreadPool, InnerCallsRunInline) {
  ThreadPool pool(3);
  std::atomic<int> total{0};
  pool.parallel_for(16, 1, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      int calls = 0;
      pool.parallel_for(100, 1, [&](uint64_t b, uint64_t e) {
        ++calls;
        total += static_cast<int>(e - b);
      });
      EXPECT_EQ(calls, 1);
    }
  });
  EXPECT_EQ(total, 1600);
}

TEST(ThreadPool, FirstExceptionComesBackAndThePoolGoesOn) {
  ThreadPool pool(3);
  for (int round = 0; round < 20; ++round) {
    EXPECT_THROW(pool.parallel_for(100, 1,
                                   [](uint64_t begin, uint64_t) {
                                     if (begin == 0) throw std::runtime_error("piece");
                                   }),
                 std::runtime_error);
    std::atomic<uint64_t> sum{0};
    pool.parallel_for(100, 1, [&](uint64_t begin, uint64_t end) { sum += end - begin; });
    EXPECT_EQ(sum, 100u);
  }
}

TEST(ThreadPool, ManyCallersAtOnce) {
  ThreadPool pool(3);
  std::vector<std::thread> callers;
  std::atomic<uint64_t> sum{0};
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int round = 0; round < 500; ++round) {
        pool.parallel_for(64, 1, [&](uint64_t begin, uint64_t end) { sum += end - begin; });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum, 4u * 500u * 64u);
}

}  // namespace
}  // namespace trireme
