// The cores of a launch: their memories under the checks, their turns, their time.
#include <algorithm>
#include <cstring>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "chips/kunlun/virtual/xre/kernel_code.h"
#include "chips/kunlun/virtual/xtdk/fibre.h"
#include "trireme/base/strings.h"
#include "trireme/base/thread_pool.h"
#include "xpu/kernel/xtdk.h"

namespace xtdk {
namespace {

using trireme::cat;
using trireme::xpu::Fibre;
using trireme::xpu::KernelFault;
using trireme::xpu::Launch;

constexpr int kGroup = 4;
constexpr size_t kFirstAlignment = 32;     // of copies on the first generation
constexpr size_t kFirstShared = 64 << 10;  // the largest of its copies to and from SM

// What a byte of LM or SM is.
enum class State : uint8_t { kUnwritten, kWritten, kArriving, kLeaving };

struct Memory {
  std::vector<std::byte> data;
  std::vector<State> state;
  uint32_t top = 0;
};

// Who touched a byte of SM since the last barrier of the cluster. `sealed`: before a barrier of their group, which
// orders it for that group only.
struct Touch {
  uint64_t readers = 0, sealed_readers = 0;
  int writer = -1;
  bool sealed_writer = false;
};

struct Pending {
  Array array;
  uint32_t begin, bytes;
};

enum class Stop { kNone, kGroup, kCluster, kEnded };

struct Core {
  int id = 0;
  bool started = false;
  Fibre* fibre = nullptr;  // that it runs on, once it has started
  Memory lm;
  double cycles = 0, pending_until = 0;
  std::vector<Pending> pending;
  Stop stop = Stop::kNone;
  int line = 0;  // of the barrier where it stopped
};

struct Abandoned {};  // unwinds a core after another has failed

// What a thread keeps from one launch to the next: making it takes longer than most kernels.
struct Silicon {
  std::vector<std::unique_ptr<Core>> cores;
  std::vector<std::unique_ptr<Fibre>> fibres;
  Memory sm;
  std::vector<Touch> touches;     // of the bytes of SM
  std::vector<uint32_t> touched;  // which of them, since the last barrier
};

struct Cluster {
  const Launch& launch;
  Silicon& silicon;
  int id = 0;
  std::vector<std::unique_ptr<Core>>& cores = silicon.cores;
  Memory& sm = silicon.sm;
  std::map<const void*, Array> shared;
  std::vector<Touch>& touches = silicon.touches;
  std::vector<uint32_t>& touched = silicon.touched;
  double gm_bytes = 0, l3_bytes = 0;
  std::string fault;
};

thread_local Cluster* cluster = nullptr;
thread_local Core* core = nullptr;

Core& self() {
  if (!core) throw KernelFault("a function of kernels was called outside of a launch");
  return *core;
}

[[noreturn]] void fail(const std::string& what) {
  throw KernelFault(cat("core ", core->id, " of cluster ", cluster->id, ": ", what));
}

bool first_generation() { return cluster->launch.generation.architecture == 1; }
const char* name_of(const Array& array) { return array.shared ? "SM" : "LM"; }
Memory& memory_of(const Array& array) { return array.shared ? cluster->sm : core->lm; }

// The place in LM or SM of bytes of an array.
uint32_t place(const Array& array, int64_t at, size_t bytes) {
  if (at < 0 || static_cast<uint64_t>(at) > array.bytes || bytes > array.bytes - static_cast<uint64_t>(at)) {
    fail(cat("bytes ", at, " to ", at + static_cast<int64_t>(bytes), " of an array of ", array.bytes, " bytes in ",
             name_of(array)));
  }
  return array.begin + static_cast<uint32_t>(at);
}

uint64_t group_mask(int id) { return 0xfull << (id / kGroup * kGroup); }

[[noreturn]] void race(uint32_t byte, const char* does, int other, const char* did) {
  fail(cat(does, " byte ", byte, " of SM, which core ", other, " ", did, " since the last barrier"));
}

void touch(uint32_t byte, bool write) {
  Touch& seen = cluster->touches[byte];
  const int id = core->id;
  const uint64_t own = 1ull << id, group = group_mask(id);
  if (seen.writer >= 0 && seen.writer != id && !(seen.sealed_writer && (group >> seen.writer & 1))) {
    race(byte, write ? "writes" : "reads", seen.writer, "wrote");
  }
  const uint64_t others = (seen.readers & ~own) | (seen.sealed_readers & ~group);
  if (write && others) race(byte, "writes", __builtin_ctzll(others), "read");
  if (seen.readers == 0 && seen.sealed_readers == 0 && seen.writer < 0) cluster->touched.push_back(byte);
  if (write) {
    seen.writer = id;
    seen.sealed_writer = false;
  } else {
    seen.readers |= own;
  }
}

// Of the states of some bytes of LM, all together. Most are of four bytes or of full vectors, and this is where
// emulated kernels spend their time.
constexpr uint64_t kAllWritten = 0x0101010101010101, kInFlight = 0x0202020202020202;
static_assert(static_cast<int>(State::kWritten) == 1 && static_cast<int>(State::kArriving) == 2 &&
              static_cast<int>(State::kLeaving) == 3);

uint64_t differing_from(uint64_t pattern, const State* state, size_t bytes) {
  uint64_t eight = 0, differs = 0;
  uint32_t four = 0;
  for (; bytes >= 8; bytes -= 8, state += 8) {
    std::memcpy(&eight, state, 8);
    differs |= eight ^ pattern;
  }
  if (bytes >= 4) {
    std::memcpy(&four, state, 4);
    differs |= four ^ static_cast<uint32_t>(pattern);
    bytes -= 4, state += 4;
  }
  for (size_t i = 0; i < bytes; ++i) differs |= static_cast<uint64_t>(state[i]) ^ (pattern & 0xff);
  return differs;
}
bool plainly_written(const State* state, size_t bytes) { return differing_from(kAllWritten, state, bytes) == 0; }
bool at_rest(const State* state, size_t bytes) { return (differing_from(0, state, bytes) & kInFlight) == 0; }

void check_readable(const Array& array, uint32_t begin, size_t bytes) {
  const Memory& memory = memory_of(array);
  if (!array.shared && plainly_written(memory.state.data() + begin, bytes)) return;
  for (uint32_t i = begin; i < begin + bytes; ++i) {
    if (memory.state[i] == State::kUnwritten) fail(cat("reads ", name_of(array), " that was never written"));
    if (memory.state[i] == State::kArriving) {
      fail(cat("reads ", name_of(array), " that an asynchronous copy fills; an mfence is missing"));
    }
    if (array.shared) touch(i, false);
  }
}

void make_written(const Array& array, uint32_t begin, size_t bytes, State state) {
  Memory& memory = memory_of(array);
  if (!array.shared && at_rest(memory.state.data() + begin, bytes)) {
    std::memset(memory.state.data() + begin, static_cast<int>(state), bytes);
    return;
  }
  for (uint32_t i = begin; i < begin + bytes; ++i) {
    if (memory.state[i] == State::kArriving || memory.state[i] == State::kLeaving) {
      fail(cat("writes ", name_of(array), " that an asynchronous copy uses; an mfence is missing"));
    }
    if (array.shared) touch(i, true);
    memory.state[i] = state;
  }
}

// Four bytes of LM that are plainly written, which is what almost every access of a kernel is about; null for others,
// which take the long way.
std::byte* plain_word(const Array& array, int64_t at, size_t bytes) {
  if (!core || array.shared || bytes != 4 || at < 0 || static_cast<uint64_t>(at) + 4 > array.bytes) return nullptr;
  const size_t begin = array.begin + static_cast<size_t>(at);
  uint32_t states = 0;
  std::memcpy(&states, core->lm.state.data() + begin, 4);
  return states == static_cast<uint32_t>(kAllWritten) ? core->lm.data.data() + begin : nullptr;
}

void require_reach(const Array& array) {
  if (array.shared && first_generation()) fail("touches SM, which the first generation reaches by copies to LM only");
}

// Arrays of the first generation begin where its copies can reach them.
Array allocate(Memory& memory, bool shared, size_t bytes) {
  constexpr size_t kAlignment = 64;
  const size_t begin = (memory.top + kAlignment - 1) / kAlignment * kAlignment, size = memory.data.size();
  if (begin > size || bytes > size - begin) {
    fail(cat("an array of ", bytes, " bytes does not fit into ", shared ? "SM" : "LM", ": ", memory.top, " of ", size,
             " bytes are used"));
  }
  memory.top = static_cast<uint32_t>(begin + bytes);
  return {shared, static_cast<uint32_t>(begin), static_cast<uint32_t>(bytes)};
}

void check_alignment(uint64_t gm, uint32_t begin, size_t bytes, bool shared) {
  if (!first_generation()) return;
  if (gm % kFirstAlignment != 0 || begin % kFirstAlignment != 0 || bytes % kFirstAlignment != 0) {
    fail("a copy whose addresses or size are no multiples of 32 bytes, as the first generation needs them");
  }
  if (shared && bytes > kFirstShared) fail(cat("a copy of ", bytes, " bytes to or from SM; at most 65536"));
}

double transfer_cycles(size_t bytes) {
  const auto& generation = cluster->launch.generation;
  return static_cast<double>(bytes) * generation.clock_ghz / generation.lm_gbps;
}

// ---- turns

void seal(int group) {
  const uint64_t mask = group_mask(group * kGroup);
  for (const uint32_t byte : cluster->touched) {
    Touch& seen = cluster->touches[byte];
    seen.sealed_readers |= seen.readers & mask;
    seen.readers &= ~mask;
    if (seen.writer >= 0 && (mask >> seen.writer & 1)) seen.sealed_writer = true;
  }
}

// Lets cores [begin, end) go on when all of them stopped at the same barrier of this kind.
bool release(Cluster& run, int begin, int end, Stop kind) {
  double latest = 0;
  for (int i = begin; i < end; ++i) {
    const Core& one = *run.cores[i];
    if (one.stop != kind) return false;
    latest = std::max(latest, one.cycles);
    const Core& first = *run.cores[begin];
    if (one.line != first.line) {
      run.fault = cat("cluster ", run.id, ": a divergent barrier; core ", begin, " waits in line ", first.line,
                      ", core ", i, " in line ", one.line);
      return false;
    }
  }
  for (int i = begin; i < end; ++i) {
    run.cores[i]->stop = Stop::kNone;
    run.cores[i]->cycles = latest + run.launch.costs.barrier_cycles;
  }
  return true;
}

bool release_all(Cluster& run) {
  const int count = static_cast<int>(run.cores.size());
  if (release(run, 0, count, Stop::kCluster)) {
    for (const uint32_t byte : run.touched) run.touches[byte] = {};
    run.touched.clear();
    return true;
  }
  bool any = false;
  for (int begin = 0; begin < count && run.fault.empty(); begin += kGroup) {
    if (!release(run, begin, std::min(begin + kGroup, count), Stop::kGroup)) continue;
    seal(begin / kGroup);
    any = true;
  }
  return any;
}

// What one core does from begin to end.
void work(Cluster& run, Core& one, const std::function<void()>& body) {
  try {
    body();
    if (!one.pending.empty()) fail("ends with an asynchronous copy that no mfence has waited for");
  } catch (const std::exception& error) {
    if (run.fault.empty()) run.fault = error.what();
  } catch (const Abandoned&) {  // its end
  }
  one.stop = Stop::kEnded;
}

// Starts core `first` on a fibre, and on the same one those behind it for as long as none stops at a barrier.
void start(Cluster& run, size_t first, size_t* fibres, const std::function<void()>& body) {
  auto& all = run.silicon.fibres;
  if (*fibres == all.size()) all.push_back(std::make_unique<Fibre>());
  Fibre& fibre = *all[(*fibres)++];
  fibre.start([&run, &body, &fibre, first] {
    for (size_t i = first; i < run.cores.size() && !run.cores[i]->started; ++i) {
      core = run.cores[i].get();
      core->started = true;
      core->fibre = &fibre;
      work(run, *core, body);
    }
  });
  fibre.resume();
}

void run_cluster(Cluster& run, const std::function<void()>& body) {
  for (const auto& one : run.cores) {
    one->started = false;
    one->stop = Stop::kNone;
    one->cycles = one->pending_until = 0;
    one->pending.clear();
    one->lm.top = 0;  // its arrays are gone, and with them what was written
  }
  std::fill_n(run.sm.state.begin(), run.sm.top, State::kUnwritten);
  run.sm.top = 0;
  run.shared.clear();
  size_t fibres = 0;
  for (const uint32_t byte : run.touched) run.touches[byte] = {};
  run.touched.clear();
  const auto ended = [](const auto& one) { return one->stop == Stop::kEnded; };
  for (;;) {
    for (size_t i = 0; i < run.cores.size(); ++i) {
      Core& one = *run.cores[i];
      // After a fault every core gets one more turn, in which its barrier throws.
      if (one.stop == Stop::kEnded || (one.stop != Stop::kNone && run.fault.empty())) continue;
      if (one.started) {
        core = &one;
        one.fibre->resume();
      } else {
        start(run, i, &fibres, body);
      }
      core = nullptr;
    }
    if (std::all_of(run.cores.begin(), run.cores.end(), ended)) return;
    if (run.fault.empty() && !release_all(run) && run.fault.empty()) {
      const auto waits = std::find_if_not(run.cores.begin(), run.cores.end(), ended);
      run.fault = cat("cluster ", run.id, ": core ", (*waits)->id, " waits at the barrier in line ", (*waits)->line,
                      ", which not all cores reach");
    }
  }
}

// Makes cores and memories of the launch's generation where the thread has others.
void fit(Silicon& silicon, const Launch& launch) {
  const auto lm_bytes = static_cast<size_t>(launch.generation.lm_bytes);
  const auto sm_bytes = static_cast<size_t>(launch.generation.sm_bytes);
  if (silicon.cores.size() == static_cast<size_t>(launch.cores) && silicon.cores[0]->lm.data.size() == lm_bytes &&
      silicon.sm.data.size() == sm_bytes) {
    return;
  }
  silicon.cores.clear();
  for (int i = 0; i < launch.cores; ++i) {
    auto one = std::make_unique<Core>();
    one->id = i;
    one->lm.data.resize(lm_bytes);
    one->lm.state.resize(lm_bytes);
    silicon.cores.push_back(std::move(one));
  }
  silicon.sm = {std::vector<std::byte>(sm_bytes), std::vector<State>(sm_bytes), 0};
  silicon.touches.assign(sm_bytes, Touch());
  silicon.touched.clear();
}

}  // namespace

double run_cores(const Launch& launch, const std::function<void()>& body) {
  const auto& generation = launch.generation;
  struct Result {
    double cycles = 0, gm_bytes = 0, l3_bytes = 0;
    std::string fault;
  };
  std::vector<Result> results(static_cast<size_t>(launch.clusters));
  trireme::ThreadPool::shared().parallel_for(results.size(), 1, [&](uint64_t begin, uint64_t end) {
    thread_local Silicon silicon;
    fit(silicon, launch);
    for (uint64_t id = begin; id < end; ++id) {
      Cluster run{launch, silicon};
      run.id = static_cast<int>(id);
      cluster = &run;
      run_cluster(run, body);
      cluster = nullptr;
      Result& result = results[id];
      for (const auto& one : run.cores) result.cycles = std::max(result.cycles, one->cycles);
      result.gm_bytes = run.gm_bytes;
      result.l3_bytes = run.l3_bytes;
      result.fault = std::move(run.fault);
    }
  });
  double cycles = 0, round = 0, gm_bytes = 0, l3_bytes = 0;
  for (size_t id = 0; id < results.size(); ++id) {
    const Result& result = results[id];
    if (!result.fault.empty()) throw KernelFault(result.fault);
    gm_bytes += result.gm_bytes;
    l3_bytes += result.l3_bytes;
    round = std::max(round, result.cycles);
    const auto there = static_cast<size_t>(generation.clusters);
    if (id % there == there - 1 || id + 1 == results.size()) cycles += std::exchange(round, 0.0);
  }
  // As slow as the slowest cores, or as GM, or as L3.
  return std::max({cycles / generation.clock_ghz, gm_bytes / generation.memory_gbps, l3_bytes / generation.l3_gbps});
}

Array allocate_local(size_t bytes) { return allocate(self().lm, false, bytes); }

void release_local(const Array& array) {
  Memory& lm = self().lm;
  std::erase_if(core->pending, [&](const Pending& pending) {
    const bool inside = !pending.array.shared && pending.begin >= array.begin;
    if (inside && cluster->fault.empty()) {
      cluster->fault = cat("core ", core->id, " of cluster ", cluster->id,
                           ": an array ends while an asynchronous copy uses it; an mfence is missing");
    }
    return inside;
  });
  std::fill(lm.state.begin() + array.begin, lm.state.begin() + array.begin + array.bytes, State::kUnwritten);
  lm.top = array.begin;
}

Array shared_array(const void* tag, size_t bytes) {
  self();
  const auto found = cluster->shared.find(tag);
  if (found != cluster->shared.end()) return found->second;
  return cluster->shared[tag] = allocate(cluster->sm, true, bytes);
}

void load(const Array& array, int64_t at, void* to, size_t bytes) {
  if (const std::byte* word = plain_word(array, at, bytes)) {
    std::memcpy(to, word, 4);
    core->cycles += cluster->launch.costs.scalar_cycles;
    return;
  }
  Core& one = self();
  require_reach(array);
  const uint32_t begin = place(array, at, bytes);
  check_readable(array, begin, bytes);
  std::memcpy(to, memory_of(array).data.data() + begin, bytes);
  one.cycles += cluster->launch.costs.scalar_cycles;
}

void store(const Array& array, int64_t at, const void* from, size_t bytes) {
  if (std::byte* word = plain_word(array, at, bytes)) {
    std::memcpy(word, from, 4);
    core->cycles += cluster->launch.costs.scalar_cycles;
    return;
  }
  Core& one = self();
  require_reach(array);
  const uint32_t begin = place(array, at, bytes);
  make_written(array, begin, bytes, State::kWritten);
  std::memcpy(memory_of(array).data.data() + begin, from, bytes);
  one.cycles += cluster->launch.costs.scalar_cycles;
}

void copy(Direction direction, const void* gm, const Array& array, int64_t at, size_t bytes, bool async) {
  Core& one = self();
  if (bytes == 0) return;
  const bool in = direction == Direction::kIn;
  const uint32_t begin = place(array, at, bytes);
  const auto address = reinterpret_cast<uint64_t>(gm);
  check_alignment(address, begin, bytes, array.shared);
  std::byte* device = cluster->launch.memory(address, bytes);
  if (!device) fail(cat("a copy of ", bytes, " bytes ", in ? "from" : "to", " GM that reaches out of its block"));
  std::byte* data = memory_of(array).data.data() + begin;
  if (in) {
    make_written(array, begin, bytes, async ? State::kArriving : State::kWritten);
    std::memcpy(data, device, bytes);
  } else {
    check_readable(array, begin, bytes);
    std::memcpy(device, data, bytes);
    if (async) std::fill_n(memory_of(array).state.begin() + begin, bytes, State::kLeaving);
  }
  const auto& costs = cluster->launch.costs;
  const double cycles = (in ? costs.read_cycles : costs.write_cycles) + transfer_cycles(bytes);
  (cluster->launch.in_l3(address) ? cluster->l3_bytes : cluster->gm_bytes) += static_cast<double>(bytes);
  if (async) {
    one.pending.push_back({array, begin, static_cast<uint32_t>(bytes)});
    one.pending_until = std::max(one.pending_until, one.cycles + cycles);
    one.cycles += costs.scalar_cycles;
  } else {
    one.cycles += cycles;
  }
}

void copy(const Array& from, int64_t from_at, const Array& to, int64_t to_at, size_t bytes) {
  Core& one = self();
  if (!first_generation()) fail("a copy between LM and SM, which only the first generation has; load and store SM");
  const uint32_t source = place(from, from_at, bytes), target = place(to, to_at, bytes);
  check_alignment(source, target, bytes, true);
  check_readable(from, source, bytes);
  make_written(to, target, bytes, State::kWritten);
  std::memcpy(memory_of(to).data.data() + target, memory_of(from).data.data() + source, bytes);
  one.cycles += transfer_cycles(bytes);
}

void vector_instruction() {
  self().cycles += cluster->launch.costs.vector_cycles;
  if (first_generation()) fail("vectors of 512 bits, which the first generation does not have");
}

void barrier(bool group, int line) {
  Core& one = self();
  if (group && first_generation()) fail("sync_local, which the first generation does not have");
  one.line = line;
  one.stop = group ? Stop::kGroup : Stop::kCluster;
  one.fibre->yield();
  if (!cluster->fault.empty()) throw Abandoned();
}

}  // namespace xtdk

int core_id() { return xtdk::self().id; }
int core_num() { return xtdk::self(), xtdk::cluster->launch.cores; }
int cluster_id() { return xtdk::self(), xtdk::cluster->id; }
int cluster_num() { return xtdk::self(), xtdk::cluster->launch.clusters; }
int physical_cluster_id() { return cluster_id() % xtdk::cluster->launch.generation.clusters; }

void mfence() {
  xtdk::Core& one = xtdk::self();
  for (const xtdk::Pending& pending : one.pending) {
    std::fill_n(xtdk::memory_of(pending.array).state.begin() + pending.begin, pending.bytes, xtdk::State::kWritten);
  }
  one.pending.clear();
  one.cycles = std::max(one.cycles, one.pending_until);
}
