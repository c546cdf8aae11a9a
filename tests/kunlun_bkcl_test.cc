// The collective library of the virtual Kunlun device: results against plain loops, ranks in one thread, in threads and
// in processes, everything that may go wrong, and the clock.
//
// ctest: links=trireme_kunlun_virtual
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <thread>
#include <type_traits>

#include "chips/kunlun/virtual/generation.h"
#include "kunlun.h"
#include "xpu/bkcl.h"
#include "xpu/xdnn_types.h"

extern char** environ;

namespace trireme::testing {
namespace {

using baidu::xpu::api::bfloat16;
using baidu::xpu::api::float16;
using ::testing::HasSubstr;

class KunlunBkcl : public KunlunTest {
 protected:
  void SetUp() override { start_box(); }
  void TearDown() override {
    leave();
    KunlunTest::TearDown();
  }

  // A box of eight cards; a rank that waits in vain says so before the test is given up.
  static void start_box(const std::string& model = "R480-X8") {
    start({{"XPUSIM_DEVICE_MODEL", model}, {"XPUSIM_BKCL_TIMEOUT", "60"}});
  }

  // Makes a communicator of `count` ranks, each on the device of its number, with a stream each.
  void join(int count) {
    leave();
    contexts.resize(count);
    ASSERT_EQ(bkcl_comm_init_all(contexts.data(), count, nullptr), BKCL_SUCCESS) << bkcl_last_error();
    streams.resize(count);
    each([&](int rank) { ASSERT_EQ(xpu_stream_create(&streams[rank]), 0); });
  }
  void leave() {
    for (BKCLContext_t context : contexts) EXPECT_EQ(bkcl_destroy_context(context), BKCL_SUCCESS);
    contexts.clear();
  }
  int ranks() const { return static_cast<int>(contexts.size()); }

  void each(const std::function<void(int rank)>& f) const {
    for (int rank = 0; rank < ranks(); ++rank) {
      ASSERT_EQ(xpu_set_device(rank), 0);
      f(rank);
    }
  }
  // The last rank first: whoever waits carries the others along.
  void wait_all() const {
    for (int rank = ranks() - 1; rank >= 0; --rank) {
      ASSERT_EQ(xpu_set_device(rank), 0);
      ASSERT_EQ(xpu_wait(streams[rank]), 0) << xpusim_fault_text(rank);
    }
  }
  // All ranks have failed, each with a text that has all of `words`, and stay failed.
  void expect_failed(const std::vector<std::string>& words) {
    each([&](int rank) {
      EXPECT_EQ(xpu_wait(streams[rank]), -XPUERR_DMAABORT) << "rank " << rank;
      for (const std::string& word : words) EXPECT_THAT(xpusim_fault_text(rank), HasSubstr(word)) << "rank " << rank;
      EXPECT_EQ(bkcl_all_reduce(contexts[rank], nullptr, nullptr, 0, BKCL_FLOAT, BKCL_ADD, streams[rank]),
                BKCL_RUNTIME_ERROR);
      for (const std::string& word : words) EXPECT_THAT(bkcl_last_error(), HasSubstr(word));
      EXPECT_EQ(xpu_wait(streams[rank]), 0);  // the device itself is well
    });
  }

  template <class T>
  using PerRank = std::vector<std::vector<T>>;
  template <class T>
  std::vector<T*> upload(const PerRank<T>& values) const {
    std::vector<T*> pointers;
    each([&](int rank) {
      // One element more, so that there is memory for none too.
      std::vector<T> padded = values[rank];
      padded.push_back(T{});
      pointers.push_back(device_array(padded));
    });
    return pointers;
  }
  template <class T>
  void expect(const std::vector<T*>& pointers, const PerRank<T>& wanted, const std::string& what) const {
    each([&](int rank) {
      if (wanted[rank].empty()) return;
      const auto got = host_array(pointers[rank], wanted[rank].size());
      EXPECT_EQ(std::memcmp(got.data(), wanted[rank].data(), got.size() * sizeof(T)), 0)
          << what << ", rank " << rank << " of " << ranks();
    });
  }
  template <class T>
  void free_all(const std::vector<T*>& pointers) const {
    each([&](int rank) { EXPECT_EQ(xpu_free(pointers[rank]), 0); });
  }

  std::vector<BKCLContext_t> contexts;
  std::vector<XPUStream> streams;
};

// ---- results

template <class T>
std::vector<std::vector<T>> random_values(int ranks, size_t count) {
  std::mt19937 random(7);
  std::vector<std::vector<T>> values(ranks);
  for (auto& of_rank : values) {
    for (size_t i = 0; i < count; ++i) {
      if constexpr (std::is_integral_v<T>) {
        of_rank.push_back(static_cast<T>(static_cast<uint64_t>(random()) << 32 | random()));  // sums and products wrap
      } else {
        of_rank.push_back(static_cast<T>(static_cast<float>(random()) / 4e9f + 0.5f));
      }
    }
  }
  return values;
}

// Element by element, in the order of the ranks.
template <class T>
T reduced(const std::vector<std::vector<T>>& values, size_t i, BKCLOp op) {
  using Sum = std::conditional_t<std::is_integral_v<T>, uint64_t, std::conditional_t<sizeof(T) == 2, float, T>>;
  Sum sum = static_cast<Sum>(values[0][i]);
  T least = values[0][i], most = values[0][i];
  for (size_t rank = 1; rank < values.size(); ++rank) {
    const T value = values[rank][i];
    if (op == BKCL_ADD) sum += static_cast<Sum>(value);
    if (op == BKCL_PRODUCT) sum *= static_cast<Sum>(value);
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return op == BKCL_MIN ? least : op == BKCL_MAX ? most : static_cast<T>(sum);
}

class KunlunBkclResults : public KunlunBkcl {
 protected:
  template <class T>
  void check_all(BKCLDataType type, BKCLOp op, size_t count) {
    const int n = ranks(), root = n / 2;
    const auto values = random_values<T>(n, count * n);
    PerRank<T> sums(n), block(n), gathered(n), swapped(n), from_root(n), nothing(n, std::vector<T>(count * n));
    for (int rank = 0; rank < n; ++rank) {
      for (size_t i = 0; i < count * n; ++i) sums[rank].push_back(reduced(values, i, op));
      block[rank].assign(sums[rank].begin() + rank * count, sums[rank].begin() + (rank + 1) * count);
      for (int other = 0; other < n; ++other) {
        const auto& v = values[other];
        gathered[rank].insert(gathered[rank].end(), v.begin(), v.begin() + count);
        swapped[rank].insert(swapped[rank].end(), v.begin() + rank * count, v.begin() + (rank + 1) * count);
      }
      from_root[rank] = values[root];
    }
    const auto all = [&](const std::string& what, const PerRank<T>& wanted, auto call) {
      for (const bool in_place : {false, true}) {
        const auto send = upload(values), other = upload(nothing);
        const auto& recv = in_place ? send : other;
        each([&](int rank) { EXPECT_EQ(call(rank, send[rank], recv[rank]), BKCL_SUCCESS) << bkcl_last_error(); });
        wait_all();
        expect(recv, wanted, what + (in_place ? " in place" : "") + ", type " + std::to_string(type));
        free_all(send);
        free_all(other);
      }
    };
    all("all_reduce", sums, [&](int r, T* send, T* recv) {
      return bkcl_all_reduce(contexts[r], send, recv, count * n, type, op, streams[r]);
    });
    PerRank<T> at_root(n);
    at_root[root] = sums[root];
    all("reduce", at_root, [&](int r, T* send, T* recv) {
      return bkcl_reduce(contexts[r], send, recv, count * n, type, op, root, streams[r]);
    });
    all("broadcast", from_root, [&](int r, T* send, T* recv) {
      return bkcl_broadcast(contexts[r], send, recv, count * n, type, root, streams[r]);
    });
    all("all_gather", gathered,
        [&](int r, T* send, T* recv) { return bkcl_all_gather(contexts[r], send, count, recv, type, streams[r]); });
    all("reduce_scatter", block, [&](int r, T* send, T* recv) {
      return bkcl_reduce_scatter(contexts[r], send, recv, count, type, op, streams[r]);
    });
    all("all_to_all", swapped,
        [&](int r, T* send, T* recv) { return bkcl_all_to_all(contexts[r], send, count, recv, type, streams[r]); });
  }
  template <class T>
  void check_ops(BKCLDataType type) {
    for (const BKCLOp op : {BKCL_ADD, BKCL_PRODUCT, BKCL_MIN, BKCL_MAX}) check_all<T>(type, op, 7);
  }
};

TEST_F(KunlunBkclResults, every_type_and_operation_of_three_ranks) {
  join(3);
  check_ops<float>(BKCL_FLOAT);
  check_ops<float16>(BKCL_FLOAT16);
  check_ops<bfloat16>(BKCL_BFLOAT16);
  check_ops<double>(BKCL_FLOAT64);
  check_ops<uint8_t>(BKCL_UINT8);
  check_ops<int32_t>(BKCL_INT32);
  check_ops<int64_t>(BKCL_INT64);
}

TEST_F(KunlunBkclResults, any_number_of_ranks_and_elements) {
  for (const int n : {1, 2, 3, 5, 8}) {
    join(n);
    for (const size_t count : {0, 1, 1000}) check_all<float>(BKCL_FLOAT, BKCL_ADD, count);
  }
  join(5);
  check_all<float16>(BKCL_FLOAT16, BKCL_ADD, 60001);  // several pieces, the last one odd
}

TEST_F(KunlunBkclResults, not_a_number_survives) {
  join(3);
  for (const BKCLOp op : {BKCL_MIN, BKCL_MAX}) {
    const auto pointers = upload<float>({{NAN, 1, 2}, {1, NAN, 3}, {2, 3, NAN}});
    each([&](int r) {
      EXPECT_EQ(bkcl_all_reduce(contexts[r], pointers[r], pointers[r], 3, BKCL_FLOAT, op, streams[r]), BKCL_SUCCESS);
    });
    wait_all();
    each([&](int r) {
      for (const float value : host_array(pointers[r], 3)) EXPECT_TRUE(std::isnan(value));
    });
  }
}

TEST_F(KunlunBkclResults, all_to_all_v_with_counts_of_the_device) {
  const int n = 3;
  join(n);
  // Rank i sends i + 2 j elements to j, from back to front.
  const auto count = [](int from, int to) { return static_cast<size_t>(from + 2 * to); };
  PerRank<int32_t> sent(n), wanted(n);
  PerRank<size_t> send_counts(n), send_offsets(n), recv_counts(n), recv_offsets(n);
  for (int rank = 0; rank < n; ++rank) {
    size_t all = 0, received = 0;
    for (int peer = 0; peer < n; ++peer) all += count(rank, peer);
    sent[rank].resize(all);
    std::iota(sent[rank].begin(), sent[rank].end(), 100 * rank);
    size_t rest = all;
    for (int peer = 0; peer < n; ++peer) {
      send_counts[rank].push_back(count(rank, peer));
      send_offsets[rank].push_back(rest -= count(rank, peer));
      recv_counts[rank].push_back(count(peer, rank));
      recv_offsets[rank].push_back(received);
      received += count(peer, rank);
    }
  }
  for (int rank = 0; rank < n; ++rank) {
    for (int peer = 0; peer < n; ++peer) {
      const auto begin = sent[peer].begin() + send_offsets[peer][rank];
      wanted[rank].insert(wanted[rank].end(), begin, begin + count(peer, rank));
    }
  }
  const auto send = upload(sent), recv = upload(PerRank<int32_t>(n, std::vector<int32_t>(20)));
  const auto call = [&] {
    const auto sc = upload(send_counts), so = upload(send_offsets), rc = upload(recv_counts), ro = upload(recv_offsets);
    each([&](int r) {
      EXPECT_EQ(bkcl_all_to_all_v(contexts[r], send[r], sc[r], so[r], BKCL_INT32, recv[r], rc[r], ro[r], BKCL_INT32,
                                  streams[r]),
                BKCL_SUCCESS);
    });
  };
  call();
  wait_all();
  expect(recv, wanted, "all_to_all_v");
  recv_counts[2][1] += 1;
  call();
  expect_failed({"rank 1 asks to send rank 2 all_to_all_v of 5 INT32",
                 "rank 2 asks to receive from rank 1 all_to_all_v of 6 INT32"});
}

TEST_F(KunlunBkclResults, grouped_messages_do_not_wait_for_each_other) {
  const int n = 5;
  const size_t count = 200'000;  // several pieces
  join(n);
  PerRank<double> values = random_values<double>(n, count), wanted(n);
  for (int rank = 0; rank < n; ++rank) wanted[rank] = values[(rank + n - 1) % n];
  const auto send = upload(values), recv = upload(PerRank<double>(n, std::vector<double>(count)));
  EXPECT_EQ(bkcl_group_start(), BKCL_SUCCESS);
  each([&](int r) {
    EXPECT_EQ(bkcl_send(contexts[r], send[r], count, (r + 1) % n, BKCL_FLOAT64, streams[r]), BKCL_SUCCESS);
    EXPECT_EQ(bkcl_recv(contexts[r], recv[r], count, (r + n - 1) % n, BKCL_FLOAT64, streams[r]), BKCL_SUCCESS);
  });
  EXPECT_EQ(bkcl_group_end(), BKCL_SUCCESS) << bkcl_last_error();
  wait_all();
  expect(recv, wanted, "ring");

  // A scatter from rank 1, which sends to itself too, and two messages between the same ranks in their order.
  EXPECT_EQ(bkcl_group_start(), BKCL_SUCCESS);
  each([&](int r) {
    for (int peer = 0; r == 1 && peer < n; ++peer) {
      EXPECT_EQ(bkcl_send(contexts[1], send[1] + 10 * peer, 10, peer, BKCL_FLOAT64, streams[1]), BKCL_SUCCESS);
    }
    EXPECT_EQ(bkcl_recv(contexts[r], recv[r], 10, 1, BKCL_FLOAT64, streams[r]), BKCL_SUCCESS);
  });
  ASSERT_EQ(xpu_set_device(1), 0);
  EXPECT_EQ(bkcl_send(contexts[1], send[1] + 70, 20, 3, BKCL_FLOAT64, streams[1]), BKCL_SUCCESS);
  ASSERT_EQ(xpu_set_device(3), 0);
  EXPECT_EQ(bkcl_recv(contexts[3], recv[3] + 10, 20, 1, BKCL_FLOAT64, streams[3]), BKCL_SUCCESS);
  EXPECT_EQ(bkcl_group_end(), BKCL_SUCCESS) << bkcl_last_error();
  wait_all();
  for (int rank = 0; rank < n; ++rank) {
    const auto begin = values[1].begin() + 10 * rank;
    wanted[rank].assign(begin, begin + 10);
  }
  wanted[3].insert(wanted[3].end(), values[1].begin() + 70, values[1].begin() + 90);
  expect(recv, wanted, "scatter");
}

TEST_F(KunlunBkclResults, a_group_has_collectives_and_messages) {
  join(2);
  const auto sums = upload<float>({{1}, {2}}), values = upload<float>({{5}, {6}});
  EXPECT_EQ(bkcl_group_start(), BKCL_SUCCESS);
  each([&](int r) {
    // In another order on each rank: messages come behind the collectives.
    const auto message = [&] {
      return r == 0 ? bkcl_send(contexts[0], values[0], 1, 1, BKCL_FLOAT, streams[0])
                    : bkcl_recv(contexts[1], values[1], 1, 0, BKCL_FLOAT, streams[1]);
    };
    if (r == 0) {
      EXPECT_EQ(message(), BKCL_SUCCESS);
    }
    EXPECT_EQ(bkcl_group_start(), BKCL_SUCCESS);
    EXPECT_EQ(bkcl_all_reduce(contexts[r], sums[r], sums[r], 1, BKCL_FLOAT, BKCL_ADD, streams[r]), BKCL_SUCCESS);
    EXPECT_EQ(bkcl_all_reduce(contexts[r], sums[r], sums[r], 1, BKCL_FLOAT, BKCL_ADD, streams[r]), BKCL_SUCCESS);
    EXPECT_EQ(bkcl_group_end(), BKCL_SUCCESS);
    if (r == 1) {
      EXPECT_EQ(message(), BKCL_SUCCESS);
    }
  });
  BKCLUniqueId id;
  ASSERT_EQ(bkcl_get_unique_id(&id), BKCL_SUCCESS);
  BKCLContext_t none = nullptr;
  EXPECT_EQ(bkcl_init_rank(&none, 0, 1, &id), BKCL_INVALID_ARGUMENT);
  EXPECT_EQ(bkcl_group_end(), BKCL_SUCCESS) << bkcl_last_error();
  wait_all();
  expect(sums, {{6}, {6}}, "sums");
  expect(values, {{5}, {5}}, "message");

  EXPECT_EQ(bkcl_group_start(), BKCL_SUCCESS);
  EXPECT_EQ(bkcl_all_reduce(contexts[1], sums[1], sums[0], 1, BKCL_FLOAT, BKCL_ADD, streams[1]), BKCL_SUCCESS);
  EXPECT_EQ(bkcl_group_end(), BKCL_INVALID_ARGUMENT);  // memory of another device
  EXPECT_THAT(bkcl_last_error(), HasSubstr("bkcl_group_end: 4 bytes from"));
}

// ---- streams and threads

TEST_F(KunlunBkcl, runs_as_late_as_it_may_and_in_the_order_of_its_stream) {
  join(2);
  const auto pointers = upload<float>({{1}, {2}});
  const std::vector<float> ten{10};
  each([&](int r) {
    EXPECT_EQ(xpu_memcpy_async(pointers[r], ten.data(), 4, XPU_HOST_TO_DEVICE, streams[r]), 0);
    EXPECT_EQ(bkcl_all_reduce(contexts[r], pointers[r], pointers[r], 1, BKCL_FLOAT, BKCL_ADD, streams[r]), 0);
    EXPECT_EQ(bkcl_all_reduce(contexts[r], pointers[r], pointers[r], 1, BKCL_FLOAT, BKCL_ADD, streams[r]), 0);
  });
  expect(pointers, {{1}, {2}}, "before the wait");  // a copy waits for the default stream only
  wait_all();
  expect(pointers, {{40}, {40}}, "after the wait");
}

TEST_F(KunlunBkcl, calls_keep_their_order_over_several_streams) {
  join(2);
  std::vector<XPUStream> others(2);
  each([&](int r) { ASSERT_EQ(xpu_stream_create(&others[r]), 0); });
  const auto one = upload<float>({{1}, {2}}), two = upload<float>({{5, 5}, {6, 6}});
  each([&](int r) {
    EXPECT_EQ(bkcl_all_reduce(contexts[r], one[r], one[r], 1, BKCL_FLOAT, BKCL_ADD, streams[r]), 0);
    EXPECT_EQ(bkcl_all_reduce(contexts[r], two[r], two[r], 2, BKCL_FLOAT, BKCL_ADD, others[r]), 0);
  });
  each([&](int r) { EXPECT_EQ(xpu_wait(others[r]), 0) << xpusim_fault_text(r); });
  expect(two, {{11, 11}, {11, 11}}, "second");
  wait_all();
  expect(one, {{3}, {3}}, "first");
}

TEST_F(KunlunBkcl, an_event_behind_a_collective_carries_others_along) {
  join(2);
  const auto pointers = upload<float>({{1}, {2}});
  XPUEvent event = nullptr;
  ASSERT_EQ(xpu_event_create(&event), 0);
  each([&](int r) {
    EXPECT_EQ(bkcl_all_reduce(contexts[r], pointers[r], pointers[r], 1, BKCL_FLOAT, BKCL_ADD, streams[r]), 0);
    if (r == 0) {
      EXPECT_EQ(xpu_event_record(event, streams[r]), 0);
    }
  });
  ASSERT_EQ(xpu_set_device(1), 0);
  EXPECT_EQ(xpu_stream_wait_event(nullptr, event), 0);
  EXPECT_EQ(xpu_wait(nullptr), 0);
  EXPECT_EQ(xpu_event_query(event), 0);
  ASSERT_EQ(xpu_set_device(0), 0);
  EXPECT_EQ(host_array(pointers[0], 1)[0], 3);  // of rank 1 the event says nothing
}

TEST_F(KunlunBkcl, threads_meet_and_take_turns) {
  const int n = 4, rounds = 20;
  BKCLUniqueId id;
  ASSERT_EQ(bkcl_get_unique_id(&id), BKCL_SUCCESS);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < n; ++rank) {
    threads.emplace_back([&, rank] {
      ASSERT_EQ(xpu_set_device(rank), 0);
      BKCLContext_t context = nullptr;
      ASSERT_EQ(bkcl_init_rank(&context, rank, n, &id), BKCL_SUCCESS) << bkcl_last_error();
      int got_rank = -1, got_count = -1;
      EXPECT_EQ(bkcl_comm_user_rank(context, &got_rank), BKCL_SUCCESS);
      EXPECT_EQ(bkcl_comm_count(context, &got_count), BKCL_SUCCESS);
      EXPECT_EQ(got_rank, rank);
      EXPECT_EQ(got_count, n);
      int64_t* pointer = device_array(std::vector<int64_t>(1000, 1));
      int64_t wanted = 1;
      for (int i = 0; i < rounds; ++i, wanted *= n) {
        EXPECT_EQ(bkcl_all_reduce(context, pointer, pointer, 1000, BKCL_INT64, BKCL_ADD, nullptr), BKCL_SUCCESS);
        if (i % 3 == rank % 3) {
          EXPECT_EQ(xpu_wait(nullptr), 0) << xpusim_fault_text(rank);
        }
      }
      EXPECT_EQ(xpu_wait(nullptr), 0) << xpusim_fault_text(rank);
      EXPECT_EQ(host_array(pointer, 1000), std::vector<int64_t>(1000, wanted));
      EXPECT_EQ(bkcl_destroy_context(context), BKCL_SUCCESS);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(shm_open(id.internal, O_RDWR, 0), -1);
  EXPECT_EQ(errno, ENOENT);
}

// ---- what goes wrong

TEST_F(KunlunBkcl, bad_arguments_are_refused_at_once) {
  join(2);
  ASSERT_EQ(xpu_set_device(0), 0);
  float* pointer = device_array(std::vector<float>(4));
  BKCLContext_t ours = contexts[0], none = nullptr;
  const auto all_reduce = [&](BKCLContext_t context, void* send, size_t count, int type, int op) {
    return bkcl_all_reduce(context, send, pointer, count, static_cast<BKCLDataType>(type), static_cast<BKCLOp>(op),
                           nullptr);
  };
  EXPECT_EQ(all_reduce(none, pointer, 4, BKCL_FLOAT, BKCL_ADD), BKCL_INVALID_ARGUMENT);
  EXPECT_EQ(all_reduce(ours, pointer, 4, 7, BKCL_ADD), BKCL_INVALID_ARGUMENT);
  EXPECT_EQ(all_reduce(ours, pointer, 4, BKCL_FLOAT, 4), BKCL_INVALID_ARGUMENT);
  EXPECT_EQ(all_reduce(ours, pointer, 4, BKCL_FLOAT, -1), BKCL_INVALID_ARGUMENT);
  EXPECT_EQ(all_reduce(ours, nullptr, 4, BKCL_FLOAT, BKCL_ADD), BKCL_INVALID_ARGUMENT);
  EXPECT_EQ(all_reduce(ours, pointer, 5, BKCL_FLOAT, BKCL_ADD), BKCL_INVALID_ARGUMENT);
  EXPECT_THAT(bkcl_last_error(), HasSubstr("20 bytes from"));
  EXPECT_EQ(all_reduce(ours, pointer, SIZE_MAX, BKCL_FLOAT, BKCL_ADD), BKCL_INVALID_ARGUMENT);
  EXPECT_EQ(all_reduce(contexts[1], pointer, 4, BKCL_FLOAT, BKCL_ADD), BKCL_INVALID_ARGUMENT);
  EXPECT_THAT(bkcl_last_error(), HasSubstr("the context is of device 1, the current device is 0"));
  EXPECT_EQ(bkcl_broadcast(ours, pointer, pointer, 4, BKCL_FLOAT, 2, nullptr), BKCL_INVALID_ARGUMENT);
  EXPECT_EQ(bkcl_send(ours, pointer, 4, -1, BKCL_FLOAT, nullptr), BKCL_INVALID_ARGUMENT);
  EXPECT_EQ(bkcl_send(ours, pointer, 4, 0, BKCL_FLOAT, nullptr), BKCL_INVALID_ARGUMENT);
  EXPECT_THAT(bkcl_last_error(), HasSubstr("to itself needs a group"));
  EXPECT_EQ(bkcl_group_end(), BKCL_INVALID_ARGUMENT);
  int number = 0;
  EXPECT_EQ(bkcl_comm_count(none, &number), BKCL_INVALID_ARGUMENT);
  EXPECT_EQ(bkcl_comm_abort(none), BKCL_INVALID_ARGUMENT);
  EXPECT_EQ(bkcl_destroy_context(none), BKCL_INVALID_ARGUMENT);
  BKCLUniqueId id{};
  EXPECT_EQ(bkcl_init_rank(&none, 0, 1, &id), BKCL_INVALID_ARGUMENT);
  EXPECT_THAT(bkcl_last_error(), HasSubstr("none of bkcl_get_unique_id"));
  ASSERT_EQ(bkcl_get_unique_id(&id), BKCL_SUCCESS);
  EXPECT_EQ(bkcl_init_rank(&none, 2, 2, &id), BKCL_INVALID_ARGUMENT);
  EXPECT_EQ(bkcl_init_rank(&none, 0, 65, &id), BKCL_INVALID_ARGUMENT);
  const int twice[] = {1, 1}, missing[] = {0, 8};
  EXPECT_EQ(bkcl_comm_init_all(&none, 2, twice), BKCL_INVALID_ARGUMENT);
  EXPECT_EQ(bkcl_comm_init_all(&none, 2, missing), BKCL_INVALID_ARGUMENT);
  setenv("XPUSIM_BKCL_TIMEOUT", "soon", 1);
  EXPECT_EQ(bkcl_init_rank(&none, 0, 1, &id), BKCL_INVALID_ARGUMENT);
  // None of it harmed the communicator.
  each([&](int r) {
    EXPECT_EQ(bkcl_all_reduce(contexts[r], nullptr, nullptr, 0, BKCL_FLOAT, BKCL_ADD, streams[r]), BKCL_SUCCESS);
  });
  wait_all();
}

TEST_F(KunlunBkcl, ranks_that_ask_for_different_things_are_named) {
  using Ask = std::function<BKCLResult_t(BKCLContext_t, float*, XPUStream)>;
  const auto all_reduce = [](size_t count, BKCLDataType type, BKCLOp op) -> Ask {
    return [=](BKCLContext_t c, float* p, XPUStream s) { return bkcl_all_reduce(c, p, p, count, type, op, s); };
  };
  const auto broadcast = [](int root) -> Ask {
    return [=](BKCLContext_t c, float* p, XPUStream s) { return bkcl_broadcast(c, p, p, 2, BKCL_FLOAT, root, s); };
  };
  const Ask send = [](BKCLContext_t c, float* p, XPUStream s) { return bkcl_send(c, p, 2, 0, BKCL_INT32, s); };
  const Ask usual = all_reduce(2, BKCL_FLOAT, BKCL_ADD);
  const std::string usual_text = "all_reduce of 2 FLOAT by ADD";
  struct Case {
    Ask first, others;  // of rank 0, of ranks 1 and 2
    std::string first_text, others_text;
  };
  const Case cases[] = {
      {all_reduce(3, BKCL_FLOAT, BKCL_ADD), usual, "all_reduce of 3 FLOAT by ADD", usual_text},
      {all_reduce(2, BKCL_INT32, BKCL_ADD), usual, "all_reduce of 2 INT32 by ADD", usual_text},
      {all_reduce(2, BKCL_FLOAT, BKCL_MAX), usual, "all_reduce of 2 FLOAT by MAX", usual_text},
      {all_reduce(0, BKCL_FLOAT, BKCL_ADD), usual, "all_reduce of 0 FLOAT by ADD", usual_text},
      {broadcast(0), usual, "broadcast of 2 FLOAT with root 0", usual_text},
      {broadcast(1), broadcast(2), "broadcast of 2 FLOAT with root 1", "broadcast of 2 FLOAT with root 2"},
  };
  for (const Case& one : cases) {
    join(3);
    const auto pointers = upload(PerRank<float>(3, {1, 2, 3}));
    each([&](int r) {
      EXPECT_EQ((r == 0 ? one.first : one.others)(contexts[r], pointers[r], streams[r]), BKCL_SUCCESS);
    });
    expect_failed(
        {"rank 0 asks " + one.first_text, "rank 1 asks " + one.others_text, "rank 2 asks " + one.others_text});
    expect(pointers, PerRank<float>(3, {1, 2, 3}), "nothing was written");
  }
  join(2);
  auto pointers = upload(PerRank<float>(2, {1, 2}));
  each([&](int r) { EXPECT_EQ((r == 0 ? usual : send)(contexts[r], pointers[r], streams[r]), BKCL_SUCCESS); });
  expect_failed({"rank 0 asks " + usual_text, "rank 1 asks", "a message of 2 INT32"});
  join(2);
  pointers = upload(PerRank<float>(2, {1, 2}));
  each([&](int r) {
    EXPECT_EQ(r == 1 ? send(contexts[1], pointers[1], streams[1])
                     : bkcl_recv(contexts[0], pointers[0], 1, 1, BKCL_INT32, streams[0]),
              BKCL_SUCCESS);
  });
  expect_failed(
      {"rank 1 asks to send rank 0 a message of 2 INT32", "rank 0 asks to receive from rank 1 a message of 1 INT32"});
}

TEST_F(KunlunBkcl, abort_ends_what_waits) {
  join(2);
  ASSERT_EQ(xpu_set_device(0), 0);
  ASSERT_EQ(bkcl_all_reduce(contexts[0], nullptr, nullptr, 0, BKCL_FLOAT, BKCL_ADD, streams[0]), BKCL_SUCCESS);
  std::thread waiting([&] {
    ASSERT_EQ(xpu_set_device(0), 0);
    EXPECT_EQ(xpu_wait(streams[0]), -XPUERR_DMAABORT);
    EXPECT_THAT(xpusim_fault_text(0), HasSubstr("rank 1 aborted"));
  });
  EXPECT_EQ(bkcl_comm_abort(contexts[1]), BKCL_SUCCESS);
  waiting.join();
  EXPECT_EQ(bkcl_all_reduce(contexts[0], nullptr, nullptr, 0, BKCL_FLOAT, BKCL_ADD, streams[0]), BKCL_RUNTIME_ERROR);
}

TEST_F(KunlunBkcl, a_rank_that_left_or_failed_is_missed) {
  join(2);
  ASSERT_EQ(xpu_set_device(0), 0);
  ASSERT_EQ(bkcl_all_reduce(contexts[0], nullptr, nullptr, 0, BKCL_FLOAT, BKCL_ADD, streams[0]), BKCL_SUCCESS);
  EXPECT_EQ(bkcl_destroy_context(contexts[1]), BKCL_SUCCESS);
  contexts.pop_back();
  expect_failed({"rank 1 died or left"});

  join(2);
  each([&](int r) {
    EXPECT_EQ(bkcl_all_reduce(contexts[r], nullptr, nullptr, 0, BKCL_FLOAT, BKCL_ADD, streams[r]), BKCL_SUCCESS);
  });
  ASSERT_EQ(xpusim_fail_next(1, XPUERR_KEXCEPTION), 0);
  EXPECT_EQ(xpu_wait(streams[1]), -XPUERR_KEXCEPTION);
  ASSERT_EQ(xpu_set_device(0), 0);
  EXPECT_EQ(xpu_wait(streams[0]), -XPUERR_DMAABORT);
  EXPECT_THAT(xpusim_fault_text(0), HasSubstr("rank 1 dropped all_reduce"));

  // Memory that is freed before the call runs.
  ASSERT_EQ(xpusim_device_reset(1), 0);
  join(2);
  const auto pointers = upload<float>({{1}, {2}});
  each([&](int r) {
    EXPECT_EQ(bkcl_all_reduce(contexts[r], pointers[r], pointers[r], 1, BKCL_FLOAT, BKCL_ADD, streams[r]), 0);
  });
  ASSERT_EQ(xpu_free(pointers[1]), 0);
  expect_failed({"rank 1: all_reduce of 1 FLOAT by ADD reaches beyond memory, or the memory was freed"});
}

TEST_F(KunlunBkcl, meetings_fail_for_all) {
  setenv("XPUSIM_BKCL_TIMEOUT", "1", 1);
  BKCLContext_t context = nullptr;
  BKCLUniqueId id;
  ASSERT_EQ(bkcl_get_unique_id(&id), BKCL_SUCCESS);
  EXPECT_EQ(bkcl_init_rank(&context, 0, 3, &id), BKCL_RUNTIME_ERROR);
  EXPECT_THAT(bkcl_last_error(), HasSubstr("nobody joined as rank 1, 2"));
  EXPECT_EQ(shm_open(id.internal, O_RDWR, 0), -1);

  const auto both = [&](int rank, int ranks, int device, int other_rank, int other_ranks, int other_device,
                        const std::string& text) {
    ASSERT_EQ(bkcl_get_unique_id(&id), BKCL_SUCCESS);
    const auto one = [&](int rank, int ranks, int device) {
      BKCLContext_t context = nullptr;
      ASSERT_EQ(xpu_set_device(device), 0);
      EXPECT_NE(bkcl_init_rank(&context, rank, ranks, &id), BKCL_SUCCESS);
      EXPECT_THAT(bkcl_last_error(), HasSubstr(text));
    };
    std::thread other(one, other_rank, other_ranks, other_device);
    one(rank, ranks, device);
    other.join();
  };
  both(0, 2, 0, 1, 2, 0, "ranks 0 and 1 are both on device 0");
  both(0, 2, 0, 1, 3, 1, "another rank says");
  both(1, 2, 0, 1, 2, 1, "two have joined as rank 1 of 2");
}

// ---- processes

class KunlunBkclProcesses : public KunlunBkcl {
 protected:
  void SetUp() override { start({{"XPUSIM_BKCL_TIMEOUT", "60"}}); }

  // Starts this program again as a rank with a role; see `peer`.
  static pid_t spawn(const BKCLUniqueId& id, int rank, int ranks, const std::string& role) {
    std::vector<std::string> variables{std::string("BKCL_TEST_ID=") + id.internal,
                                       "BKCL_TEST_RANK=" + std::to_string(rank),
                                       "BKCL_TEST_RANKS=" + std::to_string(ranks), "BKCL_TEST_ROLE=" + role};
    for (char** variable = environ; *variable; ++variable) {
      if (!std::string(*variable).starts_with("GTEST_")) variables.emplace_back(*variable);
    }
    std::vector<std::string> words{"kunlun_bkcl_test", "--gtest_filter=KunlunBkclProcesses.DISABLED_peer",
                                   "--gtest_also_run_disabled_tests", "--gtest_brief=1"};
    const auto pointers = [](std::vector<std::string>& strings) {
      std::vector<char*> all;
      for (std::string& string : strings) all.push_back(string.data());
      all.push_back(nullptr);
      return all;
    };
    pid_t child = -1;
    EXPECT_EQ(
        posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, pointers(words).data(), pointers(variables).data()), 0);
    return child;
  }
  static int end_of(pid_t child) {
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return status;
  }
  // What every rank of the healthy case does.
  static void work(BKCLContext_t context, int rank, int ranks) {
    const size_t count = 150'000;
    std::vector<float> values(count), sums(count);
    for (size_t i = 0; i < count; ++i) values[i] = static_cast<float>(rank + 1) * static_cast<float>(i);
    for (size_t i = 0; i < count; ++i) sums[i] = static_cast<float>(i * ranks * (ranks + 1) / 2);
    float *send = device_array(values), *recv = device_array(values);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(bkcl_all_reduce(context, send, recv, count, BKCL_FLOAT, BKCL_ADD, nullptr), BKCL_SUCCESS);
    }
    EXPECT_EQ(xpu_wait(nullptr), 0) << xpusim_fault_text(0);
    EXPECT_EQ(host_array(recv, count), sums);
    EXPECT_EQ(bkcl_group_start(), BKCL_SUCCESS);
    EXPECT_EQ(bkcl_send(context, send, count, (rank + 1) % ranks, BKCL_FLOAT, nullptr), BKCL_SUCCESS);
    EXPECT_EQ(bkcl_recv(context, recv, count, (rank + ranks - 1) % ranks, BKCL_FLOAT, nullptr), BKCL_SUCCESS);
    EXPECT_EQ(bkcl_group_end(), BKCL_SUCCESS);
    EXPECT_EQ(xpu_wait(nullptr), 0) << xpusim_fault_text(0);
    for (size_t i = 0; i < count; ++i) values[i] = static_cast<float>((rank + ranks - 1) % ranks + 1) * i;
    EXPECT_EQ(host_array(recv, count), values);
  }
};

// The other processes. Never alone.
TEST_F(KunlunBkclProcesses, DISABLED_peer) {
  ASSERT_TRUE(std::getenv("BKCL_TEST_ID")) << "started by other tests only";
  const std::string role = std::getenv("BKCL_TEST_ROLE");
  const int rank = std::stoi(std::getenv("BKCL_TEST_RANK")), ranks = std::stoi(std::getenv("BKCL_TEST_RANKS"));
  BKCLUniqueId id{};
  std::strcpy(id.internal, std::getenv("BKCL_TEST_ID"));  // NOLINT
  BKCLContext_t context = nullptr;
  ASSERT_EQ(bkcl_init_rank(&context, rank, ranks, &id), BKCL_SUCCESS) << bkcl_last_error();
  contexts = {context};
  if (role == "works") return work(context, rank, ranks);
  float* pointer = device_array(std::vector<float>(1'000'000));
  EXPECT_EQ(bkcl_all_reduce(context, pointer, pointer, 1'000'000, BKCL_FLOAT, BKCL_ADD, nullptr), BKCL_SUCCESS);
  if (role == "dies") {
    EXPECT_EQ(xpu_wait(nullptr), 0) << xpusim_fault_text(0);
    raise(SIGKILL);
  }
  ASSERT_EQ(role, "survives");
  EXPECT_EQ(xpu_wait(nullptr), 0) << xpusim_fault_text(0);
  EXPECT_EQ(bkcl_all_reduce(context, pointer, pointer, 1'000'000, BKCL_FLOAT, BKCL_ADD, nullptr), BKCL_SUCCESS);
  EXPECT_EQ(xpu_wait(nullptr), -XPUERR_DMAABORT);
  EXPECT_THAT(xpusim_fault_text(0), HasSubstr("rank 1 died or left"));
}

TEST_F(KunlunBkclProcesses, work_together) {
  BKCLUniqueId id;
  ASSERT_EQ(bkcl_get_unique_id(&id), BKCL_SUCCESS);
  const pid_t one = spawn(id, 1, 3, "works"), two = spawn(id, 2, 3, "works");
  BKCLContext_t context = nullptr;
  EXPECT_EQ(bkcl_init_rank(&context, 0, 3, &id), BKCL_SUCCESS) << bkcl_last_error();
  contexts = {context};
  EXPECT_EQ(shm_open(id.internal, O_RDWR, 0), -1);
  work(context, 0, 3);
  EXPECT_EQ(end_of(one), 0);
  EXPECT_EQ(end_of(two), 0);
}

TEST_F(KunlunBkclProcesses, the_death_of_one_is_an_error_for_all) {
  BKCLUniqueId id;
  ASSERT_EQ(bkcl_get_unique_id(&id), BKCL_SUCCESS);
  const pid_t dies = spawn(id, 1, 3, "dies"), survives = spawn(id, 2, 3, "survives");
  BKCLContext_t context = nullptr;
  EXPECT_EQ(bkcl_init_rank(&context, 0, 3, &id), BKCL_SUCCESS) << bkcl_last_error();
  contexts = {context};
  float* pointer = device_array(std::vector<float>(1'000'000));
  for (const int wanted : {0, -XPUERR_DMAABORT}) {
    EXPECT_EQ(bkcl_all_reduce(context, pointer, pointer, 1'000'000, BKCL_FLOAT, BKCL_ADD, nullptr), BKCL_SUCCESS);
    EXPECT_EQ(xpu_wait(nullptr), wanted) << xpusim_fault_text(0);
  }
  EXPECT_THAT(xpusim_fault_text(0), HasSubstr("rank 1 died or left"));
  EXPECT_EQ(end_of(dies), SIGKILL);
  EXPECT_EQ(end_of(survives), 0);
}

TEST_F(KunlunBkclProcesses, one_that_never_calls_is_waited_for_in_vain) {
  start({{"XPUSIM_DEVICE_MODEL", "R480-X8"}, {"XPUSIM_BKCL_TIMEOUT", "1"}});
  join(3);
  ASSERT_EQ(xpu_set_device(0), 0);
  ASSERT_EQ(bkcl_all_reduce(contexts[0], nullptr, nullptr, 0, BKCL_FLOAT, BKCL_ADD, streams[0]), BKCL_SUCCESS);
  EXPECT_EQ(xpu_wait(streams[0]), -XPUERR_DMAABORT);
  EXPECT_THAT(xpusim_fault_text(0), HasSubstr("rank 0 waited 1 s in all_reduce of 0 FLOAT by ADD for rank 1, 2"));
}

// ---- the clock

class KunlunBkclClock : public KunlunBkcl {
 protected:
  // From the call of the last rank until all are done, ns.
  double all_reduce_ns(size_t bytes) {
    std::vector<void*> pointers(ranks());
    each([&](int r) { ASSERT_EQ(xpu_malloc(&pointers[r], bytes), 0); });
    each([&](int r) {
      EXPECT_EQ(bkcl_all_reduce(contexts[r], pointers[r], pointers[r], bytes, BKCL_UINT8, BKCL_MAX, streams[r]), 0);
    });
    const uint64_t begin = now_ns();
    wait_all();
    free_all(pointers);
    return static_cast<double>(now_ns() - begin);
  }
  static double ring_ns(double n, double bytes, double gbps) {
    const xpu::Costs& costs = xpu::default_costs();
    return costs.launch + 2 * (n - 1) / n * bytes / gbps + 2 * (n - 1) * costs.link_latency;
  }
};

TEST_F(KunlunBkclClock, all_reduce_takes_the_time_of_its_ring) {
  std::printf("modelled all-reduce on R480-X8, us: ranks, 64 KiB, 1 MiB, 16 MiB\n");
  for (const int n : {2, 4, 8}) {
    join(n);
    std::printf("  %d", n);
    for (const size_t bytes : {64 << 10, 1 << 20, 16 << 20}) {
      const double ns = all_reduce_ns(bytes);
      EXPECT_NEAR(ns, ring_ns(n, static_cast<double>(bytes), 100), 2) << n << " ranks, " << bytes << " bytes";
      std::printf("  %.1f", ns / 1e3);
    }
    std::printf("\n");
  }
}

TEST_F(KunlunBkclClock, without_links_bytes_go_over_pcie) {
  start_box("K200");
  join(2);
  EXPECT_NEAR(all_reduce_ns(1 << 20), ring_ns(2, 1 << 20, 12), 2);
}

TEST_F(KunlunBkclClock, others_take_the_time_of_what_each_card_sends) {
  const int n = 4;
  const size_t part = 1 << 20;
  const double bytes = part, gbps = 100;
  const xpu::Costs& costs = xpu::default_costs();
  join(n);
  std::vector<void*> send(n), recv(n);
  each([&](int r) {
    ASSERT_EQ(xpu_malloc(&send[r], part * n), 0);
    ASSERT_EQ(xpu_malloc(&recv[r], part * n), 0);
  });
  const auto expect_ns = [&](const char* what, double moved, double steps, auto call) {
    each([&](int r) { EXPECT_EQ(call(r), BKCL_SUCCESS) << bkcl_last_error(); });
    const uint64_t begin = now_ns();
    wait_all();
    EXPECT_NEAR(static_cast<double>(now_ns() - begin), costs.launch + moved / gbps + steps * costs.link_latency, 2)
        << what;
  };
  expect_ns("reduce", bytes, n - 1, [&](int r) {
    return bkcl_reduce(contexts[r], send[r], recv[r], part, BKCL_UINT8, BKCL_MAX, 1, streams[r]);
  });
  expect_ns("broadcast", bytes, n - 1,
            [&](int r) { return bkcl_broadcast(contexts[r], send[r], recv[r], part, BKCL_UINT8, 1, streams[r]); });
  expect_ns("all_gather", (n - 1) * bytes, n - 1,
            [&](int r) { return bkcl_all_gather(contexts[r], send[r], part, recv[r], BKCL_UINT8, streams[r]); });
  expect_ns("reduce_scatter", (n - 1) * bytes, n - 1, [&](int r) {
    return bkcl_reduce_scatter(contexts[r], send[r], recv[r], part, BKCL_UINT8, BKCL_MAX, streams[r]);
  });
  expect_ns("all_to_all", (n - 1) * bytes, n - 1,
            [&](int r) { return bkcl_all_to_all(contexts[r], send[r], part, recv[r], BKCL_UINT8, streams[r]); });
  // Ranks 0 and 1 send, 2 and 3 receive.
  expect_ns("messages", bytes, 1, [&](int r) {
    return r < 2 ? bkcl_send(contexts[r], send[r], part, r + 2, BKCL_UINT8, streams[r])
                 : bkcl_recv(contexts[r], recv[r], part, r - 2, BKCL_UINT8, streams[r]);
  });
}

TEST_F(KunlunBkclClock, begins_when_the_last_rank_has_come) {
  join(3);
  const size_t bytes = 4 << 20;
  std::vector<std::byte> host(bytes);
  std::vector<void*> pointers(3);
  std::vector<XPUEvent> events(3);
  XPUEvent late = nullptr;
  ASSERT_EQ(xpu_event_create(&late), 0);
  each([&](int r) {
    ASSERT_EQ(xpu_malloc(&pointers[r], bytes), 0);
    ASSERT_EQ(xpu_event_create(&events[r]), 0);
    if (r == 1) {
      EXPECT_EQ(xpu_memcpy_async(pointers[r], host.data(), bytes, XPU_HOST_TO_DEVICE, streams[r]), 0);
      EXPECT_EQ(xpu_event_record(late, streams[r]), 0);
    }
    EXPECT_EQ(bkcl_all_reduce(contexts[r], pointers[r], pointers[r], 1000, BKCL_UINT8, BKCL_MAX, streams[r]), 0);
    EXPECT_EQ(xpu_event_record(events[r], streams[r]), 0);
  });
  wait_all();
  uint64_t begin = 0;
  ASSERT_EQ(xpusim_event_time(late, &begin), 0);
  each([&](int r) {
    uint64_t end = 0;
    ASSERT_EQ(xpusim_event_time(events[r], &end), 0);
    const double record_ns = xpu::default_costs().event;
    EXPECT_NEAR(static_cast<double>(end - begin), ring_ns(3, 1000, 100) + record_ns, 2);
  });
}

}  // namespace
}  // namespace trireme::testing
