// C1: memory, copies, streams, events, faults, threads, devices: what the runtime builds on.
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <thread>

#include "trireme/base/strings.h"
#include "trireme/certify/judge.h"
#include "trireme/certify/level.h"
#include "trireme/certify/op_case.h"
#include "trireme/ir/registry.h"

namespace trireme::certify {
namespace {

[[noreturn]] void wrong(const std::string& text) { throw Finding(Verdict::kWrong, text); }
[[noreturn]] void not_offered(const std::string& text) { throw Finding(Verdict::kUnsupported, text); }

// Numbers of one seed, one after another.
class Draws {
 public:
  explicit Draws(uint64_t seed) : seed_(seed) {}
  size_t below(size_t count) { return static_cast<size_t>(uniform(seed_, drawn_++, 0.0, static_cast<double>(count))); }

 private:
  uint64_t seed_, drawn_ = 0;
};

std::vector<char> noise(size_t count, uint64_t seed) {
  std::vector<char> out(count);
  for (size_t i = 0; i < count; ++i) out[i] = static_cast<char>((i * 2654435761u + seed * 40503u) >> 7);
  return out;
}

void expect_bytes(OpenChip& chip, const TrmMem& mem, const std::vector<char>& expected, const std::string& what,
                  Verdict verdict = Verdict::kWrong) {
  std::vector<char> got(expected.size(), 0x11);
  chip.read(mem, got.data(), got.size());
  const auto at = std::mismatch(got.begin(), got.end(), expected.begin()).first - got.begin();
  if (static_cast<size_t>(at) < got.size()) {
    throw Finding(verdict, cat(what, ": byte ", static_cast<int64_t>(at), " of ", got.size(), " is wrong"));
  }
}

bool has_streams(const OpenChip& chip) { return chip.bank().stream_create != nullptr; }
bool has_events(const OpenChip& chip) { return has_streams(chip) && chip.bank().event_create != nullptr; }

struct Stream {
  OpenChip& chip;
  TrmStream* stream = nullptr;
  explicit Stream(OpenChip& c) : chip(c) {
    chip.check(chip.bank().stream_create(chip.device(), 0, &stream, chip.error()), "stream_create");
  }
  ~Stream() {
    if (stream != nullptr) chip.bank().stream_destroy(chip.device(), stream);
  }
  Stream(Stream&& other) noexcept : chip(other.chip), stream(std::exchange(other.stream, nullptr)) {}
  int32_t sync() { return chip.bank().stream_sync(chip.device(), stream, chip.error()); }
};

struct Event {
  OpenChip& chip;
  TrmEvent* event = nullptr;
  explicit Event(OpenChip& c) : chip(c) {
    chip.check(chip.bank().event_create(chip.device(), &event, chip.error()), "event_create");
  }
  ~Event() {
    if (event != nullptr) chip.bank().event_destroy(chip.device(), event);
  }
  Event(Event&& other) noexcept : chip(other.chip), event(std::exchange(other.event, nullptr)) {}
  void record(const Stream& s) {
    chip.check(chip.bank().event_record(chip.device(), event, s.stream, chip.error()), "event_record");
  }
  void wait(const Stream& s) {
    chip.check(chip.bank().event_wait(chip.device(), event, s.stream, chip.error()), "event_wait");
  }
};

// ---- memory ------------------------------------------------------------------------------------------------------

std::string copies(const Subject& subject) {
  OpenChip& chip = subject.open();
  Draws draws(subject.seed + 11);
  for (const uint64_t size : {1, 2, 3, 4, 5, 7, 8, 63, 64, 65, 1001, 70003, 1000003}) {
    const std::vector<char> bytes = noise(size, subject.seed + size);
    const TrmMem a = chip.allocate(size), b = chip.allocate(size + 8);
    const std::vector<char> filler(size + 8, 0x33);
    chip.write(b, filler.data(), filler.size());
    chip.write(a, bytes.data(), size);
    expect_bytes(chip, a, bytes, cat("copy of ", size, " bytes to the device and back"));
    chip.check(chip.start_copy(b, a, size, nullptr, OpenChip::next_tag()), "copy on the device");
    chip.sync();
    std::vector<char> expected = filler;
    std::copy(bytes.begin(), bytes.end(), expected.begin());
    expect_bytes(chip, b, expected, cat("copy of ", size, " bytes on the device"));
    if (chip.space().addressing != TRM_WHOLE && size > 8) {
      const uint64_t at = chip.space().alignment * (1 + draws.below(2)), count = std::min<uint64_t>(5, size);
      if (at + count <= size) {
        chip.write(OpenChip::part(a, at, count), filler.data(), count);
        expected.assign(bytes.begin(), bytes.end());
        std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(at), count, 0x33);
        expect_bytes(chip, a, expected, cat("copy of ", count, " bytes to offset ", at));
      }
    }
    chip.free(a);
    chip.free(b);
  }
  return "";
}

std::string fills(const Subject& subject) {
  OpenChip& chip = subject.open();
  if (chip.bank().fill == nullptr) not_offered("the slot fill is null");
  for (const uint32_t item : {1u, 2u, 4u, 8u}) {
    const std::vector<char> pattern = noise(item, item + 3);
    const TrmMem mem = chip.allocate(item * 37);
    chip.check(chip.bank().fill(chip.device(), &mem, pattern.data(), item, nullptr, OpenChip::next_tag(), chip.error()),
               "fill");
    chip.sync();
    std::vector<char> expected;
    for (int k = 0; k < 37; ++k) expected.insert(expected.end(), pattern.begin(), pattern.end());
    expect_bytes(chip, mem, expected, cat("fill with items of ", item, " bytes"));
    chip.free(mem);
  }
  return "";
}

std::string strided_copies(const Subject& subject) {
  OpenChip& chip = subject.open();
  if (chip.bank().copy_strided == nullptr) not_offered("the slot copy_strided is null");
  for (const uint32_t item : {1u, 2u, 4u, 8u}) {
    // Transposed; repeated; reversed. [3, 4] of items out of 64.
    for (const auto& [strides, first, what] : {std::tuple{std::array<int64_t, 2>{1, 3}, 0, "transposed"},
                                               {std::array<int64_t, 2>{0, 1}, 0, "repeated"},
                                               {std::array<int64_t, 2>{1, 0}, 0, "repeated along the last axis"},
                                               {std::array<int64_t, 2>{-4, -1}, 11, "reversed"}}) {
      const std::vector<char> source = noise(64 * item, item);
      const TrmMem a = chip.allocate(source.size()), b = chip.allocate(12 * item);
      chip.write(a, source.data(), source.size());
      TrmCopyStrided copy = chip::sized<TrmCopyStrided>();
      copy.rank = 2;
      copy.item_bytes = item;
      const uint64_t at = static_cast<uint64_t>(first) * item;
      copy.src = OpenChip::part(a, chip.space().addressing == TRM_WHOLE ? 0 : at, source.size() - at);
      if (chip.space().addressing == TRM_WHOLE && first != 0) continue;
      copy.dst = b;
      copy.dims[0] = 3, copy.dims[1] = 4;
      copy.dst_strides[0] = 4, copy.dst_strides[1] = 1;
      copy.src_strides[0] = strides[0], copy.src_strides[1] = strides[1];
      chip.check(chip.bank().copy_strided(chip.device(), &copy, nullptr, OpenChip::next_tag(), chip.error()),
                 "copy_strided");
      chip.sync();
      std::vector<char> expected;
      for (int64_t i = 0; i < 3; ++i) {
        for (int64_t j = 0; j < 4; ++j) {
          const auto from = source.begin() + (first + i * strides[0] + j * strides[1]) * static_cast<int64_t>(item);
          expected.insert(expected.end(), from, from + item);
        }
      }
      expect_bytes(chip, b, expected, cat("copy_strided, ", what, ", items of ", item, " bytes"));
      chip.free(a);
      chip.free(b);
    }
  }
  return "";
}

bool of_its_own(const OpenChip& chip) {  // not the host's memory under another name
  return chip.space().kind == TRM_SPACE_DEVICE;
}

uint64_t free_bytes(OpenChip& chip) {
  uint64_t left = 0, total = 0;
  chip.check(chip.bank().mem_info(chip.device(), chip.space().id, &left, &total, chip.error()), "mem_info");
  if (left > total) throw Finding(Verdict::kLie, cat("mem_info tells ", left, " of ", total, " bytes free"));
  return left;
}

std::string memory_comes_back(const Subject& subject) {
  OpenChip& chip = subject.open();
  const bool told = chip.bank().mem_info != nullptr && of_its_own(chip);
  const uint64_t before = told ? free_bytes(chip) : 0;
  // More in all than there is, never much at once.
  const uint64_t size = std::min<uint64_t>(chip.space().bytes / 4, uint64_t{1} << 40);
  for (int k = 0; k < 12; ++k) {
    TrmMem mem{};
    const int32_t code = chip.bank().chunk_alloc(chip.device(), chip.space().id, size, 0, &mem, chip.error());
    if (code != TRM_OK && k > 0) {
      throw Finding(Verdict::kLeak, cat("a quarter of the memory can be allocated and freed ", k, " times only"));
    }
    if (code != TRM_OK) break;  // fragmented, or not all of it for one
    chip.free(mem);
  }
  if (told && free_bytes(chip) != before) {
    throw Finding(Verdict::kLeak, cat("mem_info tells ", before, " bytes free before and ", free_bytes(chip),
                                      " after everything was freed"));
  }
  return "";
}

std::string out_of_memory(const Subject& subject) {
  OpenChip& chip = subject.open();
  TrmMem mem{};
  const uint64_t too_much =
      chip.space().bytes > (uint64_t{1} << 60) ? chip.space().bytes : chip.space().bytes * 4 + 4096;
  const int32_t code = chip.bank().chunk_alloc(chip.device(), chip.space().id, too_much, 0, &mem, chip.error());
  if (code == TRM_OK) chip.free(mem);  // promised more than it said: no harm
  else if (code != TRM_OUT_OF_MEMORY) wrong(cat("an allocation of ", too_much, " bytes gives code ", code));
  if (chip.bank().fault_inject != nullptr &&
      chip.bank().fault_inject(chip.device(), TRM_FAULT_OUT_OF_MEMORY, 2, chip.error()) == TRM_OK) {
    for (int k = 0; k < 2; ++k) {
      const int32_t failed = chip.bank().chunk_alloc(chip.device(), chip.space().id, 64, 0, &mem, chip.error());
      if (failed != TRM_OUT_OF_MEMORY) wrong(cat("allocation ", k + 1, " of 2 that were to fail gives code ", failed));
    }
  }
  chip.free(chip.allocate(64));
  return "";
}

uint64_t resident_bytes() {
  malloc_trim(0);  // what earlier cases gave back must not hide what is kept
  std::ifstream file("/proc/self/statm");
  uint64_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

std::string launches_leave_nothing(const Subject& subject) {
  OpenChip& chip = subject.open();
  if (subject.chip.compute() == nullptr) not_offered("no compute bank");
  const Value x = parameter(f32, {16});
  const Graph graph({x}, {make_node(get_op("exp"), {x}, {})});
  const runtime::ProgramRef program = runtime::make_program(graph);
  const TrmAnswer answer = chip.query(program);
  if (answer.verdict != TRM_NATIVE) not_offered(answer.text);
  const TrmMem in = chip.allocate(64), out = chip.allocate(64);
  const TrmMem workspace = answer.workspace_bytes > 0 ? chip.allocate(answer.workspace_bytes) : TrmMem{};
  const TrmMem operands[] = {in, out};
  const std::vector<char> zeros(64, 0);
  chip.write(in, zeros.data(), zeros.size());
  const auto launch = [&](int times) {
    for (int k = 0; k < times; ++k) {
      TrmKernel* kernel = nullptr;
      chip.check(chip.prepare(program, &kernel), "prepare", Verdict::kLie);
      for (int again = 0; again < 2; ++again) {
        chip.check(chip.compute().enqueue(chip.device(), kernel, operands, 2,
                                          answer.workspace_bytes > 0 ? &workspace : nullptr, nullptr,
                                          OpenChip::next_tag(), chip.error()),
                   "enqueue", Verdict::kLie);
      }
      chip.sync();
      chip.compute().release(chip.device(), kernel);
    }
  };
  launch(200);
  const bool told = chip.bank().mem_info != nullptr && of_its_own(chip);
  const uint64_t free_before = told ? free_bytes(chip) : 0, resident_before = resident_bytes();
  launch(1500);
  if (told && free_bytes(chip) < free_before) {
    throw Finding(Verdict::kLeak,
                  cat("3000 launches leave ", free_before - free_bytes(chip), " bytes of device memory allocated"));
  }
  const uint64_t resident_after = resident_bytes();
  if (resident_after > resident_before + (4u << 20)) {
    throw Finding(Verdict::kLeak, cat("1500 prepared, launched and released kernels leave ",
                                      (resident_after - resident_before) >> 10, " KB of host memory in use"));
  }
  for (const TrmMem& mem : {in, out}) chip.free(mem);
  return "";
}

// ---- order -------------------------------------------------------------------------------------------------------

// A random program over streams: buffers are copied to one another; whoever touches a buffer on another stream than the
// last one waits for an event of that. The same program in one queue is the truth.
std::string happens_before(const Subject& subject, uint64_t number) {
  OpenChip& chip = subject.open();
  if (!has_events(chip)) not_offered("no streams or no events");
  constexpr size_t kBuffers = 5, kStreams = 3, kSteps = 60;
  const size_t size = number % 2 == 0 ? 4096 : 1 << 19;
  Draws draws(subject.seed * 1009 + number);
  std::vector<TrmMem> buffers;
  std::vector<std::vector<char>> truth;
  for (size_t b = 0; b < kBuffers; ++b) {
    truth.push_back(noise(size, subject.seed + 7 * b + number));
    buffers.push_back(chip.allocate(size));
    chip.write(buffers[b], truth[b].data(), size);
  }
  {
    std::vector<Stream> streams;
    for (size_t s = 0; s < kStreams; ++s) streams.emplace_back(chip);
    std::vector<Event> events;
    std::vector<std::vector<char>> sources;  // host memory must live until the copy is done
    struct Touch {
      size_t stream = SIZE_MAX, event = SIZE_MAX;
    };
    std::vector<Touch> last_write(kBuffers);
    std::vector<std::vector<Touch>> reads(kBuffers);
    sources.reserve(kSteps);
    events.reserve(kSteps);
    for (size_t step = 0; step < kSteps; ++step) {
      const size_t s = draws.below(kStreams), to = draws.below(kBuffers), from = draws.below(kBuffers);
      const auto wait_for = [&](const Touch& touch) {
        if (touch.stream != SIZE_MAX && touch.stream != s) events[touch.event].wait(streams[s]);
      };
      const bool upload = from == to;
      wait_for(last_write[to]);
      for (const Touch& read : reads[to]) wait_for(read);
      if (!upload) wait_for(last_write[from]);
      if (upload) {
        sources.push_back(noise(size, subject.seed + 100 + step));
        truth[to] = sources.back();
        chip.check(chip.start_copy(buffers[to], OpenChip::host(sources.back().data(), size), size, streams[s].stream,
                                   OpenChip::next_tag()),
                   "copy");
      } else {
        truth[to] = truth[from];
        chip.check(chip.start_copy(buffers[to], buffers[from], size, streams[s].stream, OpenChip::next_tag()), "copy");
      }
      events.emplace_back(chip);
      events.back().record(streams[s]);
      const Touch here{s, events.size() - 1};
      last_write[to] = here;
      reads[to].clear();
      if (!upload) reads[from].push_back(here);
    }
    for (Stream& stream : streams) chip.check(stream.sync(), "stream_sync");
  }
  for (size_t b = 0; b < kBuffers; ++b) {
    expect_bytes(chip, buffers[b], truth[b],
                 cat("buffer ", b, " after ", kSteps, " copies on ", kStreams, " streams ordered by events"),
                 Verdict::kRace);
    chip.free(buffers[b]);
  }
  return "";
}

// What is in front of an event is done when the event has passed.
std::string events_tell_the_truth(const Subject& subject) {
  OpenChip& chip = subject.open();
  if (!has_events(chip)) not_offered("no streams or no events");
  constexpr size_t kSize = 1 << 20;
  const TrmMem a = chip.allocate(kSize), b = chip.allocate(kSize);
  for (uint64_t round = 0; round < 12; ++round) {
    const std::vector<char> bytes = noise(kSize, round), old(kSize, 0x77);
    chip.write(a, bytes.data(), kSize);
    chip.write(b, old.data(), kSize);
    std::vector<char> got(kSize);
    {
      Stream stream(chip);
      Event event(chip);
      for (int k = 0; k < 6; ++k) {
        chip.check(chip.start_copy(b, a, kSize, stream.stream, OpenChip::next_tag()), "copy");
      }
      chip.check(chip.start_copy(OpenChip::host(got.data(), kSize), b, kSize, stream.stream, OpenChip::next_tag()),
                 "copy");
      event.record(stream);
      if (round % 2 == 0) {
        chip.check(chip.bank().event_sync(chip.device(), event.event, chip.error()), "event_sync");
      } else {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        int32_t code = TRM_NOT_READY;
        while (code == TRM_NOT_READY && std::chrono::steady_clock::now() < end) {
          code = chip.bank().event_query(chip.device(), event.event, chip.error());
        }
        chip.check(code, "event_query");
      }
      const bool right = got == bytes;
      chip.check(stream.sync(), "stream_sync");
      if (!right) {
        throw Finding(Verdict::kRace, cat(round % 2 == 0 ? "event_sync returned" : "event_query said yes",
                                          " before the copies in front of the event were done"));
      }
    }
  }
  chip.free(a);
  chip.free(b);
  return "";
}

std::string many_streams(const Subject& subject) {
  OpenChip& chip = subject.open();
  if (!has_streams(chip)) not_offered("no streams");
  std::vector<Stream> streams;
  for (int s = 0; s < 8; ++s) streams.emplace_back(chip);
  const TrmMem mem = chip.allocate(8 * 64);
  const std::vector<char> bytes = noise(8 * 64, 5);
  if (chip.space().addressing == TRM_WHOLE) not_offered("memory without offsets");
  for (size_t s = 0; s < 8; ++s) {
    chip.check(chip.start_copy(OpenChip::part(mem, s * 64, 64), OpenChip::host(bytes.data() + s * 64, 64), 64,
                               streams[s].stream, OpenChip::next_tag()),
               "copy");
  }
  for (Stream& stream : streams) {
    chip.check(stream.sync(), "stream_sync");
    if (chip.bank().stream_query != nullptr) {
      chip.check(chip.bank().stream_query(chip.device(), stream.stream, chip.error()),
                 "stream_query after stream_sync");
    }
  }
  expect_bytes(chip, mem, bytes, "8 streams, 8 pieces");
  chip.free(mem);
  return "";
}

// ---- faults ------------------------------------------------------------------------------------------------------

// A device of its own: a fault may cost it.
struct Faulty {
  OpenChip chip;
  TrmMem a, b;
  explicit Faulty(const Subject& subject) : chip(subject.chip), a(chip.allocate(64)), b(chip.allocate(64)) {
    const std::vector<char> bytes = noise(64, 1), other = noise(64, 2);
    chip.write(a, bytes.data(), 64);
    chip.write(b, other.data(), 64);
  }
  int32_t copy(const TrmMem& to, const TrmMem& from, TrmStream* stream, uint64_t tag) {
    return chip.start_copy(to, from, 64, stream, tag);
  }
  void inject(TrmFault kind, uint64_t tag) {
    const int32_t code = chip.bank().fault_inject(chip.device(), kind, tag, chip.error());
    if (code == TRM_UNSUPPORTED) not_offered("this kind of fault is not provoked");
    chip.check(code, "fault_inject");
  }
  void expect_fault(int32_t code, uint64_t tag, const std::string& who, int32_t wanted = TRM_FAULT) {
    if (code != wanted) wrong(cat(who, " after command ", tag, " failed gives code ", code, ", not ", wanted));
    const TrmErr& err = chip.last_error();
    if (chip.props().error_precision != TRM_TAG_EXACT) return;
    if (err.tag != tag) {
      throw Finding(Verdict::kLie, cat(who, " names command ", err.tag, "; command ", tag,
                                       " failed, and the chip says that its tags are exact"));
    }
  }
};

const TrmDeviceBank& offers_faults(const Subject& subject) {
  if (subject.chip.device().fault_inject == nullptr) not_offered("the slot fault_inject is null: not shown");
  return subject.chip.device();
}

std::string a_command_fails(const Subject& subject) {
  const TrmDeviceBank& bank = offers_faults(subject);
  Faulty f(subject);
  const bool streams = has_streams(f.chip);
  const std::vector<char> untouched = noise(64, 2);
  {
    Stream* made = streams ? new Stream(f.chip) : nullptr;
    const std::unique_ptr<Stream> keep(made);
    TrmStream* stream = made != nullptr ? made->stream : nullptr;
    const uint64_t tag = OpenChip::next_tag(), behind = OpenChip::next_tag();
    f.inject(TRM_FAULT_NEXT_COMMAND, tag);
    const int32_t first = f.copy(f.a, f.a, stream, tag);
    if (f.chip.has_flag(TRM_SYNC_ONLY)) f.expect_fault(first, tag, "the call");
    f.copy(f.b, f.a, stream, behind);  // to be skipped
    if (streams && bank.stream_query != nullptr && bank.stream_status != nullptr) {
      const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
      while (bank.stream_query(f.chip.device(), stream, f.chip.error()) == TRM_NOT_READY &&
             std::chrono::steady_clock::now() < end) {
      }
      f.expect_fault(bank.stream_status(f.chip.device(), stream, f.chip.error()), tag, "stream_status");
    }
    if (streams) f.expect_fault(made->sync(), tag, "stream_sync");
    f.expect_fault(bank.sync(f.chip.device(), f.chip.error()), tag, "sync");
    if (has_events(f.chip)) {  // what waits for a poisoned stream is poisoned with the same tag
      Event event(f.chip);
      event.record(*made);
      Stream waiting(f.chip);
      event.wait(waiting);
      f.expect_fault(waiting.sync(), tag, "stream_sync of a stream that waits for an event of the failed one");
    }
  }
  if (streams) {
    f.chip.sync();  // the poisoned streams are gone
    expect_bytes(f.chip, f.b, untouched, "a command behind the failed one was not skipped");
  }
  return "";
}

std::string a_fault_comes_late(const Subject& subject) {
  offers_faults(subject);
  Faulty f(subject);
  if (f.chip.has_flag(TRM_SYNC_ONLY)) not_offered("a synchronous device");
  const uint64_t tag = OpenChip::next_tag();
  f.inject(TRM_FAULT_LATE, tag);
  f.copy(f.b, f.a, nullptr, tag);
  if (f.chip.bank().sync(f.chip.device(), f.chip.error()) != TRM_FAULT)
    wrong("a late fault is not told at the next sync");
  return "";
}

std::string a_device_is_lost(const Subject& subject) {
  const TrmDeviceBank& bank = offers_faults(subject);
  Faulty f(subject);
  const uint64_t tag = OpenChip::next_tag();
  f.inject(TRM_FAULT_LOST, tag);
  f.copy(f.b, f.a, nullptr, tag);
  f.expect_fault(bank.sync(f.chip.device(), f.chip.error()), tag, "sync", TRM_DEVICE_LOST);
  if (f.copy(f.b, f.a, nullptr, OpenChip::next_tag()) == TRM_OK) wrong("a lost device takes a copy");
  if (bank.reset != nullptr) {
    f.chip.check(bank.reset(f.chip.device(), f.chip.error()), "reset");
    const std::vector<char> bytes = noise(64, 9);
    f.chip.write(f.a, bytes.data(), 64);
    expect_bytes(f.chip, f.a, bytes, "copies after a reset");
  }
  return "";
}

// ---- threads and devices -------------------------------------------------------------------------------------------

std::string threads(const Subject& subject) {
  OpenChip& chip = subject.open();
  const size_t count = 20000;
  chip.free(chip.allocate(4 * count));  // unsupported where that is too much
  std::atomic<int> bad{0};
  std::vector<std::thread> all;
  for (uint64_t t = 0; t < 4; ++t) {
    all.emplace_back([&, t] {
      const TrmDeviceBank& bank = chip.bank();
      const std::vector<char> bytes = noise(count, t);
      TrmStream* stream = nullptr;
      if (has_streams(chip) && bank.stream_create(chip.device(), 0, &stream, nullptr) != TRM_OK) ++bad;
      for (int k = 0; k < 40; ++k) {
        TrmMem mem{};
        if (bank.chunk_alloc(chip.device(), chip.space().id, bytes.size(), 0, &mem, nullptr) != TRM_OK) {
          ++bad;
          break;
        }
        std::vector<char> got(bytes.size());
        TrmCopy copy = chip::sized<TrmCopy>();
        copy.bytes = bytes.size();
        copy.dst = mem;
        copy.src = OpenChip::host(bytes.data(), bytes.size());
        bool fine = bank.copy(chip.device(), &copy, stream, OpenChip::next_tag(), nullptr) == TRM_OK;
        copy.src = mem;
        copy.dst = OpenChip::host(got.data(), got.size());
        fine = fine && bank.copy(chip.device(), &copy, stream, OpenChip::next_tag(), nullptr) == TRM_OK;
        fine = fine && (stream != nullptr ? bank.stream_sync(chip.device(), stream, nullptr)
                                          : bank.sync(chip.device(), nullptr)) == TRM_OK;
        fine = bank.chunk_free(chip.device(), &mem) == TRM_OK && fine;
        if (!fine || got != bytes) ++bad;
      }
      if (stream != nullptr) bank.stream_destroy(chip.device(), stream);
    });
  }
  for (std::thread& one : all) one.join();
  if (bad > 0) throw Finding(Verdict::kRace, cat(bad.load(), " of 160 round trips on 4 threads went wrong"));
  return "";
}

std::string two_devices(const Subject& subject) {
  if (subject.chip.device_count() < 2) not_offered("one device");
  OpenChip& first = subject.open();
  OpenChip second(subject.chip, 1);
  const std::vector<char> ones = noise(4096, 1), twos = noise(4096, 2);
  const TrmMem a = first.allocate(4096), b = second.allocate(4096);
  first.write(a, ones.data(), 4096);
  second.write(b, twos.data(), 4096);
  expect_bytes(first, a, ones, "memory of device 0, after the same on device 1");
  expect_bytes(second, b, twos, "memory of device 1");
  first.free(a);
  second.free(b);
  return "";
}

}  // namespace

std::vector<Case> runtime_cases(uint64_t) {
  std::vector<Case> out;
  const auto add = [&](const std::string& name, std::function<std::string(const Subject&)> run) {
    out.push_back({Part::kRuntime, Level::kBoots, name, "", "", false, std::move(run), {}});
  };
  add("copies", copies);
  add("fill", fills);
  add("copy_strided", strided_copies);
  add("memory comes back", memory_comes_back);
  add("out of memory", out_of_memory);
  add("launches leave nothing", launches_leave_nothing);
  add("many streams", many_streams);
  add("events tell the truth", events_tell_the_truth);
  for (uint64_t k = 0; k < 10; ++k) {
    add(cat("happens-before program ", k + 1), [k](const Subject& subject) { return happens_before(subject, k); });
  }
  add("a command fails", a_command_fails);
  add("a fault comes late", a_fault_comes_late);
  add("a device is lost", a_device_is_lost);
  add("threads", threads);
  add("two devices", two_devices);
  return out;
}

}  // namespace trireme::certify
