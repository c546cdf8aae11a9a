// The device bank of refchip through the C ABI: protected memory, streams and events under random delays, poisoning,
// faults, the virtual clock, and what each persona shows and withholds.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <random>
#include <set>
#include <thread>

#include "tests/refchip.h"

namespace trireme::refchip_test {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Whether this process may read the byte, asked of the kernel without touching it.
bool readable(uint64_t address) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const bool ok = write(ends[1], reinterpret_cast<const void*>(address), 1) == 1;
  close(ends[0]);
  close(ends[1]);
  return ok;
}

// ---- personas ----------------------------------------------------------------------------------------------------

TEST(RefchipPersonas, AllLoadBesideEachOther) {
  std::vector<std::unique_ptr<Refchip>> chips;
  std::set<std::string> names, builds;
  for (const std::string& persona : persona_names()) {
    chips.push_back(std::make_unique<Refchip>(persona));
    Refchip& c = *chips.back();
    names.insert(c.chip.name);
    builds.insert(c.chip.build_id);
    uint32_t count = 0;
    EXPECT_EQ(c->enumerate(&count, nullptr), TRM_OK);
    EXPECT_EQ(count, 4u);
    TrmProps props{};
    props.struct_size = sizeof props;
    EXPECT_EQ(c->props(3, &props, nullptr), TRM_OK);
    EXPECT_EQ(std::string(props.name), "refchip " + persona);
    EXPECT_EQ(c->props(4, &props, nullptr), TRM_INVALID);
  }
  EXPECT_EQ(names.size(), persona_names().size());
  EXPECT_EQ(builds.size(), persona_names().size());
  EXPECT_TRUE(names.contains("refchip_minimal13"));
  EXPECT_TRUE(names.contains("refchip_no_bf16"));
}

TEST(RefchipPersonas, EnvironmentPicksThePersonaOfThePlugin) {
  setenv("TRIREME_REFCHIP_PERSONA", "minimal-8", 1);
  TrmChip chip{};
  chip.struct_size = sizeof chip;
  EXPECT_EQ(trm_chip_entry_v1_refchip(&host(), &chip), TRM_OK);
  EXPECT_STREQ(chip.name, "refchip");
  EXPECT_EQ(chip.compute, nullptr);
  chip.shutdown();
  unsetenv("TRIREME_REFCHIP_PERSONA");
  EXPECT_EQ(trm_chip_entry_v1_refchip(&host(), &chip), TRM_OK);
  EXPECT_NE(chip.compute, nullptr);
  chip.shutdown();
}

TEST(RefchipPersonas, DoorsAreGivenBack) {
  const PersonaEntry entry = persona_entry();
  size_t doors = 0;
  for (int round = 0; round < 3; ++round) {
    std::vector<TrmChip> chips;
    TrmChip chip{};
    chip.struct_size = sizeof chip;
    while (entry("minimal-8", &host(), &chip) == TRM_OK) chips.push_back(chip);
    if (round == 0) doors = chips.size();
    EXPECT_EQ(chips.size(), doors);
    EXPECT_GE(doors, 30u);
    for (const TrmChip& one : chips) one.shutdown();
  }
}

TEST(RefchipPersonas, MistakesAreNamed) {
  const struct {
    const char* json;
    const char* says;
  } cases[] = {
      {R"({"name": "x", "memery": {}})", "did you mean \"memory\"?"},
      {R"({"name": "x", "memory": {"adressing": "flat"}})", "did you mean \"addressing\"?"},
      {R"({"name": "x", "memory": {"addressing": "flatt"}})", "is not one of flat, handle, whole"},
      {R"({"name": "x", "memory": {"alignment": 24}})", "24 is not a power of two"},
      {R"({"name": "x", "memory": {"bytes": -1}})", "expected a whole number from 1"},
      {R"({"name": "x", "withhold": ["stream_creat"]})", "the nearest is \"stream_create\""},
      {R"({"name": "x", "withhold": ["copy"]})", "names no optional slot"},
      {R"({"name": "x", "compute": {"ops": {"only": ["add"], "except": []}}})", "give either only or except"},
      {R"({"name": "x", "compute": {"dtypes": ["f33"]}})", "f32"},
      {R"({"name": "x", "compute": {"convert": {"bf16": "f32"}}})", "converts from a type in dtypes"},
      {R"({"name": "x", "compute": {"nodes": {"min": 3, "max": 2}}})", "expected a whole number from 3"},
      {R"({"name": "x", "rates": {"flops_f32": 0}})", "expected a number above 0"},
      {R"({"name": "x", "faults": [{"kind": "lost"}]})", "give either tag or command or op"},
      {R"({"name": "x", "faults": [{"kind": "out_of_memory", "tag": 3}]})", "allocations have no tag"},
      {R"({"name": "No Good"})", "is not a name of up to 40"},
      {R"({"name": )", "is not JSON"},
      {R"([])", "expected an object"},
  };
  const PersonaEntry entry = persona_entry();
  for (const auto& c : cases) {
    heard().log.clear();
    TrmChip chip{};
    chip.struct_size = sizeof chip;
    EXPECT_EQ(entry(persona_file("wrong", c.json).c_str(), &host(), &chip), TRM_INVALID) << c.json;
    ASSERT_EQ(heard().log.size(), 1u) << c.json;
    EXPECT_NE(heard().log[0].find(c.says), std::string::npos) << heard().log[0];
  }
  for (const auto& [name, says] : {std::pair("minimal13", "did you mean \"minimal-13\"?"),
                                   std::pair("/nowhere/x.json", "cannot read the persona file")}) {
    heard().log.clear();
    TrmChip chip{};
    chip.struct_size = sizeof chip;
    EXPECT_EQ(entry(name, &host(), &chip), TRM_INVALID);
    ASSERT_EQ(heard().log.size(), 1u);
    EXPECT_NE(heard().log[0].find(says), std::string::npos) << heard().log[0];
  }
}

TEST(RefchipPersonas, SlotsFollowThePersona) {
  {
    const Refchip c("full");
    EXPECT_TRUE(c->fill && c->copy_strided && c->host_register && c->host_unregister && c->mem_info && c->peer_access);
    EXPECT_TRUE(c->attr_get && c->reset && c->stream_create && c->stream_status && c->event_create && c->event_elapsed);
    EXPECT_TRUE(c->capture_begin && c->replay && c->clock_sample && c->trace_start && c->fault_inject);
    EXPECT_FALSE(c->ipc_export || c->ipc_import || c.chip.compute->partition || c.chip.compute->module_compile);
  }
  for (const char* bare : {"minimal-8", "minimal-13"}) {
    const Refchip c(bare);
    // Everything behind the eight required functions is null.
    const auto* bytes = reinterpret_cast<const unsigned char*>(c.chip.device);
    EXPECT_TRUE(std::all_of(bytes + offsetof(TrmDeviceBank, fill), bytes + sizeof(TrmDeviceBank),
                            [](unsigned char b) { return b == 0; }));
    EXPECT_TRUE(c->enumerate && c->props && c->open && c->close && c->chunk_alloc && c->chunk_free && c->copy &&
                c->sync);
    EXPECT_EQ(c.chip.compute != nullptr, std::string(bare) == "minimal-13");
  }
  {
    const Refchip c("no-streams");
    EXPECT_FALSE(c->stream_create || c->stream_sync || c->stream_status || c->event_create || c->event_wait ||
                 c->replay);
    EXPECT_TRUE(c->fill && c->copy_strided && c->clock_sample);
  }
  {
    const Refchip c("no-strided-copy");
    EXPECT_TRUE(c->fill && !c->copy_strided);
  }
  EXPECT_NE(Refchip("engine-only").chip.compute->partition, nullptr);
  uint32_t count = 0;
  const TrmOpDecl* ops = nullptr;
  const Refchip c("minimal-13");
  EXPECT_EQ(c.chip.compute->list_ops(&ops, &count), TRM_OK);
  EXPECT_EQ(count, 19u);
  EXPECT_EQ(ops[0].dtypes, 1u << TRM_F32 | 1u << TRM_BF16 | 1u << TRM_I32 | 1u << TRM_BOOL);
  const Refchip m("mandatory");
  EXPECT_EQ(m.chip.compute->list_ops(&ops, &count), TRM_OK);
  EXPECT_EQ(count, 37u);
  std::set<std::string> names;
  for (uint32_t i = 0; i < count; ++i) names.insert(ops[i].name);
  EXPECT_EQ(names.size(), 37u);
}

TEST(RefchipPersonas, EverySingleOptionalSlotCanBeWithheld) {
  const char* slots[] = {"fill",          "copy_strided", "host_register", "mem_info",     "peer_access",
                         "attr_get",      "reset",        "stream_status", "stream_query", "event_query",
                         "event_elapsed", "clock_sample", "trace_start",   "fault_inject"};
  const size_t offsets[] = {offsetof(TrmDeviceBank, fill),          offsetof(TrmDeviceBank, copy_strided),
                            offsetof(TrmDeviceBank, host_register), offsetof(TrmDeviceBank, mem_info),
                            offsetof(TrmDeviceBank, peer_access),   offsetof(TrmDeviceBank, attr_get),
                            offsetof(TrmDeviceBank, reset),         offsetof(TrmDeviceBank, stream_status),
                            offsetof(TrmDeviceBank, stream_query),  offsetof(TrmDeviceBank, event_query),
                            offsetof(TrmDeviceBank, event_elapsed), offsetof(TrmDeviceBank, clock_sample),
                            offsetof(TrmDeviceBank, trace_start),   offsetof(TrmDeviceBank, fault_inject)};
  const Refchip full("full");
  for (size_t i = 0; i < std::size(slots); ++i) {
    const Refchip c(persona_file("withheld", std::string(R"({"name": "x", "withhold": [")") + slots[i] + "\"]}"));
    int differing = 0;
    for (size_t at = 8; at < sizeof(TrmDeviceBank); at += sizeof(void*)) {
      const bool here = *reinterpret_cast<void* const*>(reinterpret_cast<const char*>(c.chip.device) + at) != nullptr;
      const bool there =
          *reinterpret_cast<void* const*>(reinterpret_cast<const char*>(full.chip.device) + at) != nullptr;
      differing += here != there;
      if (at == offsets[i]) {
        EXPECT_FALSE(here) << slots[i];
      }
    }
    EXPECT_EQ(differing, 1) << slots[i];
  }
}

TEST(RefchipPersonas, OpenTakesAPersonaOfTheSameSlots) {
  Refchip c("full");
  TrmDev* dev = nullptr;
  const auto open = [&](const char* key, const char* value) {
    const TrmOption option{key, value};
    c.last = no_error();
    return c->open(1, &option, 1, &dev, &c.last);
  };
  EXPECT_EQ(open("persona", "slow-link"), TRM_OK);
  TrmProps props{};
  props.struct_size = sizeof props;
  EXPECT_EQ(c->props(1, &props, nullptr), TRM_OK);
  EXPECT_EQ(props.link_bandwidth, 1e8);
  EXPECT_EQ(c->props(0, &props, nullptr), TRM_OK);
  EXPECT_EQ(props.link_bandwidth, 16e9);
  EXPECT_EQ(c->close(dev), TRM_OK);
  EXPECT_EQ(open("persona", "handle-only"), TRM_OK);
  EXPECT_EQ(c->close(dev), TRM_OK);

  EXPECT_EQ(open("persona", "no-streams"), TRM_UNSUPPORTED);
  EXPECT_NE(std::string(c.last.text).find("TRIREME_REFCHIP_PERSONA=no-streams"), std::string::npos) << c.last.text;
  EXPECT_EQ(open("personna", "full"), TRM_INVALID);
  EXPECT_NE(std::string(c.last.text).find("personna"), std::string::npos);
  EXPECT_EQ(open("persona", "no-bf17"), TRM_INVALID);
  EXPECT_NE(std::string(c.last.text).find("did you mean \"no-bf16\"?"), std::string::npos) << c.last.text;
}

TEST(RefchipPersonas, OldAndNewHostsAreServed) {
  TrmChip chip;
  std::memset(&chip, 0x5A, sizeof chip);
  chip.struct_size = offsetof(TrmChip, compute);  // a host that knows the device bank only
  EXPECT_EQ(trm_chip_entry_v1_refchip(&host(), &chip), TRM_OK);
  EXPECT_NE(chip.device, nullptr);
  const auto* beyond = reinterpret_cast<const unsigned char*>(&chip) + offsetof(TrmChip, compute);
  EXPECT_TRUE(std::all_of(beyond, reinterpret_cast<const unsigned char*>(&chip + 1), [](auto b) { return b == 0x5A; }));
  // A newer host: nothing is written where we know nothing.
  struct {
    TrmChip chip;
    unsigned char canary[64];
  } room;
  std::memset(&room, 0x77, sizeof room);
  room.chip.struct_size = sizeof room;
  EXPECT_EQ(trm_chip_entry_v1_refchip(&host(), &room.chip), TRM_OK);
  EXPECT_TRUE(std::all_of(room.canary, room.canary + 64, [](auto b) { return b == 0x77; }));
  room.chip.shutdown();
}

// ---- memory ------------------------------------------------------------------------------------------------------

TEST(RefchipMemory, HostCannotTouchDeviceMemory) {
  Refchip c("full");
  std::vector<int32_t> values(3000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int32_t>(i * i);
  const TrmMem mem = c.upload(values);
  EXPECT_FALSE(readable(mem.handle));
  EXPECT_FALSE(readable(mem.handle + 8192));
  EXPECT_EQ(c.download<int32_t>(mem), values);
  EXPECT_FALSE(readable(mem.handle));
  EXPECT_EXIT(
      {
        volatile int32_t* device = reinterpret_cast<int32_t*>(mem.handle);
        *device = 1;
        std::_Exit(0);
      },
      [](int status) { return !(WIFEXITED(status) && WEXITSTATUS(status) == 0); }, "");
  EXPECT_EQ(c->chunk_free(c.dev, &mem), TRM_OK);
  EXPECT_TRUE(readable(c.alloc(4096, 2).handle));  // pinned memory is the host's too
}

TEST(RefchipMemory, AddressingIsKept) {
  std::vector<int32_t> four = {1, 2, 3, 4};
  const auto piece = [](TrmMem mem, uint64_t handle_add, uint64_t offset, uint64_t bytes) {
    return TrmMem{mem.handle + handle_add, offset, bytes, mem.space, 0};
  };
  std::vector<int32_t> one(1);
  {
    Refchip c("full");
    const TrmMem mem = c.upload(four);
    EXPECT_EQ(c.copy(c.host_mem(one), piece(mem, 8, 0, 4), nullptr, 1), TRM_OK);  // addresses may be computed
    EXPECT_EQ(c.sync(), TRM_OK);
    EXPECT_EQ(one[0], 3);
    EXPECT_EQ(c.copy(c.host_mem(one), piece(mem, 4, 8, 4), nullptr, 1), TRM_OK);
    EXPECT_EQ(c.sync(), TRM_OK);
    EXPECT_EQ(one[0], 4);
  }
  {
    Refchip c("handle-only");
    const TrmMem mem = c.upload(four);
    EXPECT_FALSE(readable(mem.handle));
    EXPECT_EQ(c.copy(c.host_mem(one), piece(mem, 0, 4, 4), nullptr, 1), TRM_OK);
    EXPECT_EQ(c.sync(), TRM_OK);
    EXPECT_EQ(one[0], 2);
    EXPECT_EQ(c.copy(c.host_mem(one), piece(mem, 4, 0, 4), nullptr, 1), TRM_INVALID);  // handles may not
  }
  {
    Refchip c("whole-memory");
    const TrmMem mem = c.upload(four);
    EXPECT_EQ(c.copy(c.host_mem(one), piece(mem, 0, 0, 4), nullptr, 1), TRM_OK);
    EXPECT_EQ(c.sync(), TRM_OK);
    EXPECT_EQ(one[0], 1);
    EXPECT_EQ(c.copy(c.host_mem(one), piece(mem, 0, 4, 4), nullptr, 1), TRM_INVALID);
    EXPECT_NE(std::string(c.last.text).find("whole"), std::string::npos) << c.last.text;
  }
}

TEST(RefchipMemory, MisuseIsRefused) {
  Refchip c("full");
  std::vector<int32_t> values(4);
  const TrmMem mem = c.upload(values);
  TrmMem longer = mem;
  longer.bytes = 32;
  std::vector<int32_t> eight(8);
  EXPECT_EQ(c.copy(longer, c.host_mem(eight), nullptr, 1), TRM_INVALID);
  EXPECT_EQ(c.copy(c.host_mem(eight), c.host_mem(eight), nullptr, 1), TRM_INVALID);
  TrmMem wrong_space = mem;
  wrong_space.space = 2;
  EXPECT_EQ(c.copy(wrong_space, c.host_mem(values), nullptr, 1), TRM_INVALID);
  TrmMem inner = mem;
  inner.offset = 4;
  EXPECT_EQ(c->chunk_free(c.dev, &inner), TRM_INVALID);
  EXPECT_EQ(c->chunk_free(c.dev, &mem), TRM_OK);
  EXPECT_EQ(c->chunk_free(c.dev, &mem), TRM_INVALID);
  EXPECT_EQ(c.copy(mem, c.host_mem(values), nullptr, 1), TRM_INVALID);
  TrmMem none{};
  TrmErr err = no_error();
  EXPECT_EQ(c->chunk_alloc(c.dev, 7, 16, 0, &none, &err), TRM_INVALID);
  EXPECT_EQ(c.attribute("chunks"), "0");
}

TEST(RefchipMemory, FreeingWhatCommandsUseIsRefused) {
  Refchip c(persona_file("lazy", R"({"name": "lazy", "max_delay_us": 20000, "seed": 3})"));
  const TrmMem mem = c.alloc(64);
  for (uint64_t tag = 1; tag <= 20; ++tag) EXPECT_EQ(c.fill(mem, 1, nullptr, tag), TRM_OK);
  EXPECT_EQ(c->chunk_free(c.dev, &mem), TRM_INVALID);
  EXPECT_EQ(c.sync(), TRM_OK);
  EXPECT_EQ(c->chunk_free(c.dev, &mem), TRM_OK);
}

TEST(RefchipMemory, StridedCopiesAndFills) {
  Refchip c("full");
  std::vector<int16_t> values = {1, 2, 3, 4, 5, 6};  // [2, 3]
  const TrmMem from = c.upload(values);
  const TrmMem to = c.alloc(12);
  TrmCopyStrided t{};
  t.struct_size = sizeof t;
  t.rank = 2;
  t.item_bytes = 2;
  t.dst = to;
  t.src = from;
  t.dims[0] = 3, t.dims[1] = 2;  // the transpose
  t.dst_strides[0] = 2, t.dst_strides[1] = 1;
  t.src_strides[0] = 1, t.src_strides[1] = 3;
  EXPECT_EQ(c->copy_strided(c.dev, &t, nullptr, 1, nullptr), TRM_OK);
  EXPECT_EQ(c.download<int16_t>(to), (std::vector<int16_t>{1, 4, 2, 5, 3, 6}));
  t.src.offset = 10;  // backwards from the last
  t.rank = 1;
  t.dims[0] = 6, t.dst_strides[0] = 1, t.src_strides[0] = -1;
  EXPECT_EQ(c->copy_strided(c.dev, &t, nullptr, 2, nullptr), TRM_OK);
  EXPECT_EQ(c.download<int16_t>(to), (std::vector<int16_t>{6, 5, 4, 3, 2, 1}));
  t.src.offset = 8;
  EXPECT_EQ(c->copy_strided(c.dev, &t, nullptr, 3, nullptr), TRM_INVALID);  // one before the chunk
  t.src.offset = 4, t.src_strides[0] = 0;                                   // broadcast
  EXPECT_EQ(c->copy_strided(c.dev, &t, nullptr, 4, nullptr), TRM_OK);
  EXPECT_EQ(c.download<int16_t>(to), (std::vector<int16_t>(6, 3)));
  const TrmMem odd = c.alloc(6);
  EXPECT_EQ(c.fill(odd, 1, nullptr, 5), TRM_INVALID);
}

TEST(RefchipMemory, TinyMemoryRunsOutAndRecovers) {
  Refchip c("tiny-memory");
  const TrmMem first = c.alloc(3 << 20);
  TrmMem second{};
  TrmErr err = no_error();
  EXPECT_EQ(c->chunk_alloc(c.dev, 1, 2 << 20, 0, &second, &err), TRM_OUT_OF_MEMORY);
  EXPECT_NE(std::string(err.text).find("1048576 of 4194304 bytes are free"), std::string::npos) << err.text;
  uint64_t free = 0, total = 0;
  EXPECT_EQ(c->mem_info(c.dev, 1, &free, &total, nullptr), TRM_OK);
  EXPECT_EQ(free, 1u << 20);
  EXPECT_EQ(total, 4u << 20);
  EXPECT_EQ(c->chunk_free(c.dev, &first), TRM_OK);
  EXPECT_EQ(c->chunk_alloc(c.dev, 1, 4 << 20, 0, &second, &err), TRM_OK);
}

TEST(RefchipMemory, PeersCopyDirectlyUnlessWithheld) {
  for (const bool withheld : {false, true}) {
    Refchip c(withheld ? persona_file("nopeer", R"({"name": "x", "withhold": ["peer_access"]})") : "full");
    TrmDev* other = nullptr;
    EXPECT_EQ(c->open(1, nullptr, 0, &other, nullptr), TRM_OK);
    const TrmMem ours = c.upload(std::vector<int32_t>{7, 8});
    TrmMem theirs{};
    EXPECT_EQ(c->chunk_alloc(other, 1, 8, 0, &theirs, nullptr), TRM_OK);
    if (!withheld) {
      uint32_t possible = 0;
      EXPECT_EQ(c->peer_access(c.dev, other, &possible, nullptr), TRM_OK);
      EXPECT_EQ(possible, 1u);
    }
    EXPECT_EQ(c.copy(theirs, ours, nullptr, 1), withheld ? TRM_INVALID : TRM_OK);
    EXPECT_EQ(c.sync(), TRM_OK);
    if (!withheld) {
      std::vector<int32_t> back(2);
      const TrmCopy copy{sizeof(TrmCopy), 0, c.host_mem(back), theirs, 8};
      EXPECT_EQ(c->copy(other, &copy, nullptr, 1, nullptr), TRM_OK);
      EXPECT_EQ(c->sync(other, nullptr), TRM_OK);
      EXPECT_EQ(back, (std::vector<int32_t>{7, 8}));
      EXPECT_EQ(c->chunk_free(c.dev, &theirs), TRM_INVALID);  // each frees its own
    }
    EXPECT_EQ(c->close(other), TRM_OK);
  }
}

// ---- streams and events ------------------------------------------------------------------------------------------

// A random program over `kBuffers` buffers and `kStreams` streams: fills, and copies of one buffer onto another.
// Returns how many buffers end up with other contents than the same program run in order.
int wrong_buffers(uint64_t seed, bool with_events) {
  constexpr int kStreams = 4, kBuffers = 6, kCommands = 80;
  Refchip c(persona_file("racy", R"({"name": "racy", "max_delay_us": 300, "seed": )" + std::to_string(seed) + "}"));
  std::mt19937_64 random(seed);
  TrmStream* streams[kStreams];
  for (TrmStream*& stream : streams) stream = c.stream();
  TrmMem buffers[kBuffers];
  int32_t expected[kBuffers];
  struct Uses {
    TrmEvent* write = nullptr;
    std::vector<TrmEvent*> reads;
  } uses[kBuffers];
  for (int b = 0; b < kBuffers; ++b) {
    expected[b] = -b;
    buffers[b] = c.upload(std::vector<int32_t>(100, -b));
  }
  std::vector<TrmEvent*> events;
  for (int i = 0; i < kCommands; ++i) {
    TrmStream* stream = streams[random() % kStreams];
    const int to = static_cast<int>(random() % kBuffers), from = static_cast<int>(random() % (2 * kBuffers));
    const bool copies = from < kBuffers && from != to;
    if (with_events) {
      std::vector<TrmEvent*> waits = uses[to].reads;
      waits.push_back(uses[to].write);
      if (copies) waits.push_back(uses[from].write);
      for (TrmEvent* event : waits) {
        if (event) {
          EXPECT_EQ(c->event_wait(c.dev, event, stream, nullptr), TRM_OK);
        }
      }
    }
    if (copies) {
      EXPECT_EQ(c.copy(buffers[to], buffers[from], stream, static_cast<uint64_t>(i) + 1), TRM_OK);
      expected[to] = expected[from];
    } else {
      EXPECT_EQ(c.fill(buffers[to], i, stream, static_cast<uint64_t>(i) + 1), TRM_OK);
      expected[to] = i;
    }
    if (with_events) {
      TrmEvent* done = c.event();
      events.push_back(done);
      EXPECT_EQ(c->event_record(c.dev, done, stream, nullptr), TRM_OK);
      uses[to] = {done, {}};
      if (copies) uses[from].reads.push_back(done);
    }
  }
  EXPECT_EQ(c.sync(), TRM_OK);
  int wrong = 0;
  for (int b = 0; b < kBuffers; ++b) {
    wrong += c.download<int32_t>(buffers[b]) != std::vector<int32_t>(100, expected[b]);
  }
  for (TrmEvent* event : events) EXPECT_EQ(c->event_destroy(c.dev, event), TRM_OK);
  for (TrmStream* stream : streams) EXPECT_EQ(c->stream_destroy(c.dev, stream), TRM_OK);
  return wrong;
}

TEST(RefchipStreams, EventsOrderCommandsUnderRandomDelays) {
  for (uint64_t seed = 1; seed <= 8; ++seed) EXPECT_EQ(wrong_buffers(seed, true), 0) << "seed " << seed;
}

#if defined(__SANITIZE_THREAD__)
#define TRIREME_RACES_ARE_REPORTED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TRIREME_RACES_ARE_REPORTED 1
#endif
#endif

TEST(RefchipStreams, WithoutEventsTheSameProgramsGoWrong) {
#ifdef TRIREME_RACES_ARE_REPORTED
  GTEST_SKIP() << "races on purpose, which the thread sanitizer rightly reports";
#endif
  int wrong = 0;
  for (uint64_t seed = 1; seed <= 8; ++seed) wrong += wrong_buffers(seed, false);
  EXPECT_GT(wrong, 0);  // else the delays hide races, and the test above proves nothing
}

TEST(RefchipStreams, QueryAndElapsed) {
  Refchip c(persona_file("slow", R"({"name": "slow", "max_delay_us": 30000, "seed": 5})"));
  TrmStream* stream = c.stream();
  TrmEvent *begin = c.event(), *end = c.event();
  EXPECT_EQ(c->event_query(c.dev, begin, nullptr), TRM_OK);  // never recorded
  EXPECT_EQ(c->stream_query(c.dev, stream, nullptr), TRM_OK);
  const TrmMem mem = c.alloc(4000);
  EXPECT_EQ(c->event_record(c.dev, begin, stream, nullptr), TRM_OK);
  for (uint64_t tag = 1; tag <= 10; ++tag) EXPECT_EQ(c.fill(mem, 9, stream, tag), TRM_OK);
  EXPECT_EQ(c->event_record(c.dev, end, stream, nullptr), TRM_OK);
  EXPECT_EQ(c->stream_query(c.dev, stream, nullptr), TRM_NOT_READY);
  EXPECT_EQ(c->event_query(c.dev, end, nullptr), TRM_NOT_READY);
  double ns = 0;
  EXPECT_EQ(c->event_elapsed(c.dev, begin, end, &ns, nullptr), TRM_INVALID);
  EXPECT_EQ(c.event_sync(end), TRM_OK);
  EXPECT_EQ(c->stream_query(c.dev, stream, nullptr), TRM_OK);
  EXPECT_EQ(c->event_elapsed(c.dev, begin, end, &ns, nullptr), TRM_OK);
  EXPECT_DOUBLE_EQ(ns, 10 * (1000 + 1e9 * 4000 / 400e9));  // launch, then bytes written at the memory's rate
  EXPECT_EQ(c->stream_destroy(c.dev, stream), TRM_OK);
  EXPECT_EQ(c->stream_sync(c.dev, stream, nullptr), TRM_INVALID);
}

// Rule 3: one thread waits in a call on the stream; a call of another thread on the same one is refused, on another
// stream it is not.
TEST(RefchipStreams, TwoThreadsOnOneStreamAreRefused) {
  Refchip c(persona_file("slow-stream", R"({"name": "slow-stream", "max_delay_us": 100000})"));
  TrmStream *shared = c.stream(), *other = c.stream();
  TrmEvent *on_shared = c.event(), *on_other = c.event();
  const TrmMem mem = c.alloc(4);
  std::string refused;  // what the one that came second is told
  for (int attempt = 0; attempt < 50 && refused.empty(); ++attempt) {
    ASSERT_EQ(c.fill(mem, attempt, shared, 1), TRM_OK) << c.last.text;
    std::atomic<bool> returned{false};
    TrmErr theirs = no_error();
    std::thread waiting([&] {
      c->stream_sync(c.dev, shared, &theirs);
      returned = true;
    });
    while (!returned && refused.empty()) {
      EXPECT_EQ(c->event_record(c.dev, on_other, other, nullptr), TRM_OK);
      TrmErr ours = no_error();
      if (c->event_record(c.dev, on_shared, shared, &ours) == TRM_INVALID) refused = ours.text;
    }
    waiting.join();
    if (refused.empty()) refused = theirs.text;
  }
  EXPECT_NE(refused.find("another thread's call"), std::string::npos) << refused;
  EXPECT_EQ(c.sync(), TRM_OK);
}

TEST(RefchipStreams, ManyThreadsEachWithAStream) {
  Refchip c("full");
  constexpr int kThreads = 6;
  std::vector<std::thread> threads;
  std::vector<std::vector<int32_t>> results(kThreads, std::vector<int32_t>(50));
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&c, &results, t] {
      TrmErr err = no_error();
      TrmStream* stream = nullptr;
      ASSERT_EQ(c->stream_create(c.dev, 0, &stream, &err), TRM_OK);
      TrmMem mem{};
      for (int round = 0; round < 20; ++round) {
        ASSERT_EQ(c->chunk_alloc(c.dev, 1, 200, 0, &mem, &err), TRM_OK);
        const int32_t value = t * 1000 + round;
        ASSERT_EQ(c->fill(c.dev, &mem, &value, 4, stream, 1, &err), TRM_OK);
        const TrmCopy copy{sizeof(TrmCopy), 0, Refchip::host_mem(results[static_cast<size_t>(t)]), mem, 200};
        ASSERT_EQ(c->copy(c.dev, &copy, stream, 2, &err), TRM_OK);
        ASSERT_EQ(c->stream_sync(c.dev, stream, &err), TRM_OK);
        ASSERT_EQ(results[static_cast<size_t>(t)], std::vector<int32_t>(50, value));
        ASSERT_EQ(c->chunk_free(c.dev, &mem), TRM_OK);
        if (round % 5 == 0) {
          ASSERT_EQ(c->sync(c.dev, &err), TRM_OK);
        }
      }
      ASSERT_EQ(c->stream_destroy(c.dev, stream), TRM_OK);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(c.attribute("chunks"), "0");
  EXPECT_EQ(c.attribute("streams"), "0");
}

TEST(RefchipStreams, CaptureReplaysWithItsOwnTag) {
  Refchip c("full");
  TrmStream* stream = c.stream();
  const TrmMem a = c.upload(std::vector<int32_t>{1}), b = c.upload(std::vector<int32_t>{2});
  TrmReplay* replay = nullptr;
  EXPECT_EQ(c->capture_end(c.dev, stream, &replay, nullptr), TRM_INVALID);
  EXPECT_EQ(c->capture_begin(c.dev, stream, nullptr), TRM_OK);
  EXPECT_EQ(c.copy(b, a, stream, 5), TRM_OK);
  EXPECT_EQ(c.fill(a, 40, stream, 6), TRM_OK);
  TrmEvent* event = c.event();
  EXPECT_EQ(c->event_record(c.dev, event, stream, nullptr), TRM_INVALID);
  EXPECT_EQ(c->capture_end(c.dev, stream, &replay, nullptr), TRM_OK);
  EXPECT_EQ(c.sync(), TRM_OK);
  EXPECT_EQ(c.download<int32_t>(b)[0], 2);  // captured, not run
  EXPECT_EQ(c->replay(c.dev, replay, stream, 70, nullptr), TRM_OK);
  EXPECT_EQ(c->stream_sync(c.dev, stream, nullptr), TRM_OK);
  EXPECT_EQ(c.download<int32_t>(b)[0], 1);
  EXPECT_EQ(c->replay(c.dev, replay, stream, 71, nullptr), TRM_OK);
  EXPECT_EQ(c->stream_sync(c.dev, stream, nullptr), TRM_OK);
  EXPECT_EQ(c.download<int32_t>(b)[0], 40);
  EXPECT_EQ(c->fault_inject(c.dev, TRM_FAULT_NEXT_COMMAND, 72, nullptr), TRM_OK);
  EXPECT_EQ(c->replay(c.dev, replay, stream, 72, nullptr), TRM_OK);
  EXPECT_EQ(c.stream_sync(stream), TRM_FAULT);
  EXPECT_EQ(c.last.tag, 72u);
  EXPECT_EQ(c->chunk_free(c.dev, &b), TRM_OK);
  EXPECT_EQ(c->replay(c.dev, replay, nullptr, 73, nullptr), TRM_INVALID);  // its memory is gone
  EXPECT_EQ(c->replay_free(c.dev, replay), TRM_OK);
}

TEST(RefchipStreams, TraceRowsTellDeviceTime) {
  Refchip c("slow-link");
  heard().rows.clear();
  heard().row_names.clear();
  const TrmMem mem = c.alloc(1000);
  EXPECT_EQ(c->trace_start(c.dev, nullptr), TRM_OK);
  std::vector<char> bytes(1000);
  EXPECT_EQ(c.copy(mem, c.host_mem(bytes), nullptr, 11), TRM_OK);
  EXPECT_EQ(c.fill(mem, 0, nullptr, 12), TRM_OK);
  EXPECT_EQ(c.sync(), TRM_OK);
  EXPECT_EQ(c->trace_stop(c.dev, nullptr), TRM_OK);
  EXPECT_EQ(c.fill(mem, 0, nullptr, 13), TRM_OK);
  EXPECT_EQ(c.sync(), TRM_OK);
  ASSERT_EQ(heard().rows.size(), 2u);
  EXPECT_EQ(heard().row_names, (std::vector<std::string>{"copy", "fill"}));
  EXPECT_EQ(heard().rows[0].tag, 11u);
  EXPECT_EQ(heard().rows[0].end_ns - heard().rows[0].begin_ns, 210000u);  // 200 us and 1000 bytes at 100 MB/s
  EXPECT_EQ(heard().rows[1].begin_ns, heard().rows[0].end_ns);
}

// ---- faults ------------------------------------------------------------------------------------------------------

TEST(RefchipFaults, PoisonedStreamReportsTheFirstTagUntilDestroyed) {
  Refchip c("full");
  TrmStream *bad = c.stream(), *good = c.stream();
  const TrmMem a = c.upload(std::vector<int32_t>(10, 1)), b = c.upload(std::vector<int32_t>(10, 1));
  EXPECT_EQ(c->fault_inject(c.dev, TRM_FAULT_NEXT_COMMAND, 22, nullptr), TRM_OK);
  EXPECT_EQ(c->fault_inject(c.dev, TRM_FAULT_NEXT_COMMAND, 24, nullptr), TRM_OK);
  for (uint64_t tag = 21; tag <= 25; ++tag) {
    EXPECT_EQ(c.fill(a, static_cast<int32_t>(tag), bad, tag), TRM_OK);
    EXPECT_EQ(c.fill(b, static_cast<int32_t>(tag), good, tag + 100), TRM_OK);
  }
  TrmEvent* event = c.event();
  EXPECT_EQ(c->event_record(c.dev, event, bad, nullptr), TRM_OK);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(c.stream_sync(bad), TRM_FAULT);
    EXPECT_EQ(c.last.tag, 22u);
    EXPECT_EQ(c.last.precision, static_cast<uint32_t>(TRM_TAG_EXACT));
    EXPECT_EQ(c.last.device, 0u);
    EXPECT_NE(std::string(c.last.text).find("fill with tag 22"), std::string::npos) << c.last.text;
    EXPECT_EQ(c.status(bad), TRM_FAULT);
    EXPECT_EQ(c.last.tag, 22u);
    EXPECT_EQ(c.event_sync(event), TRM_FAULT);
    EXPECT_EQ(c.last.tag, 22u);
    EXPECT_EQ(c->event_query(c.dev, event, nullptr), TRM_FAULT);
    EXPECT_EQ(c->stream_query(c.dev, bad, nullptr), TRM_FAULT);
    EXPECT_EQ(c.sync(), TRM_FAULT);
    EXPECT_EQ(c.last.tag, 22u);
    EXPECT_EQ(c.stream_sync(good), TRM_OK);
    EXPECT_EQ(c.fill(a, 99, bad, 26), TRM_OK);  // accepted, and skipped
  }
  EXPECT_EQ(c->stream_destroy(c.dev, bad), TRM_OK);
  EXPECT_EQ(c.sync(), TRM_OK);
  EXPECT_EQ(c.download<int32_t>(a), std::vector<int32_t>(10, 21));
  EXPECT_EQ(c.download<int32_t>(b), std::vector<int32_t>(10, 25));
}

TEST(RefchipFaults, WhoWaitsForAPoisonedStreamIsPoisoned) {
  Refchip c("full");
  TrmStream *first = c.stream(), *second = c.stream(), *third = c.stream();
  const TrmMem mem = c.alloc(40);
  TrmEvent *one = c.event(), *two = c.event();
  EXPECT_EQ(c->fault_inject(c.dev, TRM_FAULT_NEXT_COMMAND, 5, nullptr), TRM_OK);
  EXPECT_EQ(c.fill(mem, 1, first, 5), TRM_OK);
  EXPECT_EQ(c->event_record(c.dev, one, first, nullptr), TRM_OK);
  EXPECT_EQ(c->event_wait(c.dev, one, second, nullptr), TRM_OK);
  EXPECT_EQ(c.fill(mem, 2, second, 6), TRM_OK);
  EXPECT_EQ(c->event_record(c.dev, two, second, nullptr), TRM_OK);
  EXPECT_EQ(c->event_wait(c.dev, two, third, nullptr), TRM_OK);
  EXPECT_EQ(c.fill(mem, 3, third, 7), TRM_OK);
  EXPECT_EQ(c.stream_sync(third), TRM_FAULT);
  EXPECT_EQ(c.last.tag, 5u);
}

TEST(RefchipFaults, TheOwnQueueIsPoisonedUntilReset) {
  Refchip c("full");
  const TrmMem mem = c.upload(std::vector<int32_t>(10, 1));
  EXPECT_EQ(c->fault_inject(c.dev, TRM_FAULT_NEXT_COMMAND, 2, nullptr), TRM_OK);
  EXPECT_EQ(c.fill(mem, 1, nullptr, 2), TRM_OK);
  EXPECT_EQ(c.sync(), TRM_FAULT);
  EXPECT_EQ(c.sync(), TRM_FAULT);
  EXPECT_EQ(c.status(nullptr), TRM_FAULT);
  EXPECT_EQ(c->reset(c.dev, nullptr), TRM_OK);
  EXPECT_EQ(c.sync(), TRM_OK);
  EXPECT_NE(c.download<int32_t>(mem), std::vector<int32_t>(10, 1));  // contents are lost
  EXPECT_EQ(c.fill(mem, 4, nullptr, 3), TRM_OK);
  EXPECT_EQ(c.download<int32_t>(mem), std::vector<int32_t>(10, 4));
}

TEST(RefchipFaults, ALateFaultShowsOnlyWhenTheHostWaits) {
  Refchip c("full");
  TrmStream* stream = c.stream();
  const TrmMem mem = c.upload(std::vector<int32_t>(10, 1));
  EXPECT_EQ(c->fault_inject(c.dev, TRM_FAULT_LATE, 3, nullptr), TRM_OK);
  for (uint64_t tag = 1; tag <= 6; ++tag) EXPECT_EQ(c.fill(mem, static_cast<int32_t>(tag), stream, tag), TRM_OK);
  while (c->stream_query(c.dev, stream, nullptr) == TRM_NOT_READY) std::this_thread::yield();
  EXPECT_EQ(c->stream_query(c.dev, stream, nullptr), TRM_OK);
  EXPECT_EQ(c.status(stream), TRM_OK);
  EXPECT_EQ(c.sync(), TRM_FAULT);
  EXPECT_EQ(c.last.tag, 3u);
  EXPECT_EQ(c.status(stream), TRM_FAULT);
}

TEST(RefchipFaults, LateFaultPersonaNamesAWindow) {
  Refchip c("late-fault");
  TrmStream* stream = c.stream();
  const TrmMem mem = c.alloc(40);
  for (uint64_t tag = 101; tag <= 130; ++tag) EXPECT_EQ(c.fill(mem, 1, stream, tag), TRM_OK);
  EXPECT_EQ(c.sync(), TRM_FAULT);
  EXPECT_EQ(c.last.precision, static_cast<uint32_t>(TRM_TAG_WINDOW));
  EXPECT_GE(c.last.tag, 120u);  // the 20th command or a later one of the stream
  EXPECT_LE(c.last.tag, 130u);
  const uint64_t said = c.last.tag;
  EXPECT_EQ(c.fill(mem, 1, stream, 131), TRM_OK);
  EXPECT_EQ(c.stream_sync(stream), TRM_FAULT);
  EXPECT_EQ(c.last.tag, said);
}

TEST(RefchipFaults, FaultAtTagPersona) {
  Refchip c("fault-at-tag");
  const TrmMem mem = c.alloc(40);
  for (uint64_t tag = 1; tag <= 39; ++tag) EXPECT_EQ(c.fill(mem, 1, nullptr, tag), TRM_OK);
  EXPECT_EQ(c.sync(), TRM_OK);
  EXPECT_EQ(c.fill(mem, 1, nullptr, 40), TRM_OK);
  EXPECT_EQ(c.sync(), TRM_FAULT);
  EXPECT_EQ(c.last.tag, 40u);
}

TEST(RefchipFaults, ALostDeviceRefusesEverythingButClosing) {
  Refchip c("full");
  TrmStream *stream = c.stream(), *other = c.stream();
  TrmEvent* event = c.event();
  const TrmMem mem = c.alloc(40);
  EXPECT_EQ(c->fault_inject(c.dev, TRM_FAULT_LOST, 9, nullptr), TRM_OK);
  EXPECT_EQ(c.fill(mem, 1, stream, 9), TRM_OK);
  EXPECT_EQ(c.sync(), TRM_DEVICE_LOST);
  EXPECT_EQ(c.last.tag, 9u);
  EXPECT_EQ(c.fill(mem, 1, other, 10), TRM_DEVICE_LOST);
  EXPECT_EQ(c.copy(mem, mem, nullptr, 11), TRM_DEVICE_LOST);
  TrmMem more{};
  EXPECT_EQ(c->chunk_alloc(c.dev, 1, 8, 0, &more, nullptr), TRM_DEVICE_LOST);
  EXPECT_EQ(c.stream_sync(other), TRM_DEVICE_LOST);
  EXPECT_EQ(c.status(other), TRM_DEVICE_LOST);
  EXPECT_EQ(c->event_record(c.dev, event, other, nullptr), TRM_DEVICE_LOST);
  TrmDev* second = nullptr;  // other devices go on
  EXPECT_EQ(c->open(1, nullptr, 0, &second, nullptr), TRM_OK);
  EXPECT_EQ(c->sync(second, nullptr), TRM_OK);
  EXPECT_EQ(c->close(second), TRM_OK);
  EXPECT_EQ(c->chunk_free(c.dev, &mem), TRM_OK);
  EXPECT_EQ(c->stream_destroy(c.dev, stream), TRM_OK);
  EXPECT_EQ(c->reset(c.dev, nullptr), TRM_OK);
  EXPECT_EQ(c.sync(), TRM_OK);
  EXPECT_EQ(c.fill(c.alloc(40), 1, nullptr, 12), TRM_OK);
  EXPECT_EQ(c.sync(), TRM_OK);
}

TEST(RefchipFaults, AllocationsFailAsOftenAsAsked) {
  Refchip c(persona_file("oom", R"({"name": "oom", "faults": [{"kind": "out_of_memory", "command": 2}]})"));
  const auto alloc = [&] {
    TrmMem mem{};
    return c->chunk_alloc(c.dev, 1, 8, 0, &mem, nullptr);
  };
  EXPECT_EQ(alloc(), TRM_OK);
  EXPECT_EQ(alloc(), TRM_OUT_OF_MEMORY);
  EXPECT_EQ(alloc(), TRM_OK);
  EXPECT_EQ(c->fault_inject(c.dev, TRM_FAULT_OUT_OF_MEMORY, 3, nullptr), TRM_OK);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(alloc(), TRM_OUT_OF_MEMORY);
  EXPECT_EQ(alloc(), TRM_OK);
  EXPECT_EQ(c->fault_inject(c.dev, 77, 1, nullptr), TRM_UNSUPPORTED);
}

TEST(RefchipFaults, NothingHangs) {
  // Every kind of fault at every early tag, in a program of two streams with events: the error arrives and closing
  // works.
  for (const TrmFault kind : {TRM_FAULT_NEXT_COMMAND, TRM_FAULT_LATE, TRM_FAULT_LOST}) {
    for (uint64_t victim = 1; victim <= 6; ++victim) {
      const auto start = Clock::now();
      Refchip c("full");
      TrmStream *a = c.stream(), *b = c.stream();
      TrmEvent *ab = c.event(), *ba = c.event();
      const TrmMem mem = c.alloc(4096);
      EXPECT_EQ(c->fault_inject(c.dev, kind, victim, nullptr), TRM_OK);
      for (uint64_t tag = 1; tag <= 6; ++tag) {
        TrmStream *from = tag % 2 ? a : b, *to = tag % 2 ? b : a;
        TrmEvent* event = tag % 2 ? ab : ba;
        const int32_t code = c.fill(mem, 1, from, tag);
        EXPECT_TRUE(code == TRM_OK || (kind == TRM_FAULT_LOST && code == TRM_DEVICE_LOST)) << code;
        c->event_record(c.dev, event, from, nullptr);
        c->event_wait(c.dev, event, to, nullptr);
      }
      EXPECT_EQ(c.sync(), kind == TRM_FAULT_LOST ? TRM_DEVICE_LOST : TRM_FAULT);
      EXPECT_EQ(c.last.tag, victim);
      EXPECT_EQ(c->close(std::exchange(c.dev, nullptr)), TRM_OK);
      EXPECT_LT(seconds_since(start), 2.0);
    }
  }
}

TEST(RefchipFaults, ClosingDropsWhatIsQueued) {
  Refchip c(persona_file("sleepy", R"({"name": "sleepy", "max_delay_us": 200000, "seed": 9})"));
  TrmStream *a = c.stream(), *b = c.stream();
  TrmEvent* event = c.event();
  const TrmMem mem = c.alloc(64);
  for (uint64_t tag = 1; tag <= 100; ++tag) c.fill(mem, 1, a, tag);
  c->event_record(c.dev, event, a, nullptr);
  c->event_wait(c.dev, event, b, nullptr);
  c.fill(mem, 1, b, 101);
  const auto start = Clock::now();
  EXPECT_EQ(c->close(std::exchange(c.dev, nullptr)), TRM_OK);  // 100 commands would take about 10 s
  EXPECT_LT(seconds_since(start), 2.0);
}

// ---- the virtual clock -------------------------------------------------------------------------------------------

TEST(RefchipClock, StreamsOverlapAndWaitsMoveTheHost) {
  Refchip c("slow-link");
  TrmStream *a = c.stream(), *b = c.stream();
  const TrmMem one = c.alloc(1000), two = c.alloc(1000);
  std::vector<char> bytes(1000);
  uint64_t device = 0, host_ns = 0;
  EXPECT_EQ(c->clock_sample(c.dev, &device, &host_ns, nullptr), TRM_OK);
  EXPECT_EQ(device, 0u);
  EXPECT_EQ(c.copy(one, c.host_mem(bytes), a, 1), TRM_OK);
  EXPECT_EQ(c.copy(two, c.host_mem(bytes), b, 2), TRM_OK);
  EXPECT_EQ(c.sync(), TRM_OK);
  EXPECT_EQ(c->clock_sample(c.dev, &device, &host_ns, nullptr), TRM_OK);
  EXPECT_EQ(device, 210000u);  // side by side
  EXPECT_EQ(c.copy(one, c.host_mem(bytes), a, 3), TRM_OK);
  EXPECT_EQ(c.stream_sync(a), TRM_OK);
  EXPECT_EQ(c.copy(two, c.host_mem(bytes), b, 4), TRM_OK);  // issued after the wait
  EXPECT_EQ(c.sync(), TRM_OK);
  EXPECT_EQ(c->clock_sample(c.dev, &device, &host_ns, nullptr), TRM_OK);
  EXPECT_EQ(device, 630000u);
}

TEST(RefchipClock, ASynchronousPersonaFinishesInsideTheCall) {
  Refchip c(persona_file("sync", R"({"name": "sync", "synchronous": true, "max_delay_us": 0})"));
  TrmProps props{};
  props.struct_size = sizeof props;
  EXPECT_EQ(c->props(0, &props, nullptr), TRM_OK);
  EXPECT_TRUE(props.flags & TRM_SYNC_ONLY);
  const TrmMem mem = c.alloc(4);
  std::vector<int32_t> value(1);
  EXPECT_EQ(c.fill(mem, 6, nullptr, 1), TRM_OK);
  EXPECT_EQ(c.copy(c.host_mem(value), mem, nullptr, 2), TRM_OK);
  EXPECT_EQ(value[0], 6);
  EXPECT_EQ(c->fault_inject(c.dev, TRM_FAULT_NEXT_COMMAND, 3, nullptr), TRM_OK);
  EXPECT_EQ(c.fill(mem, 7, nullptr, 3), TRM_FAULT);  // told by the call itself
  EXPECT_EQ(c.sync(), TRM_FAULT);
}

}  // namespace
}  // namespace trireme::refchip_test
