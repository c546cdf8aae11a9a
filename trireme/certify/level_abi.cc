// C0: the contract of chip.h itself: sizes of structs, the life of a plug-in and of a device, arguments that break a
// rule.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>

#include "trireme/base/strings.h"
#include "trireme/certify/level.h"
#include "trireme/core/dtype.h"
#include "trireme/ir/registry.h"
#include "trireme/runtime/host.h"

namespace trireme::certify {
namespace {

[[noreturn]] void wrong(const std::string& text) { throw Finding(Verdict::kWrong, text); }

// A struct of a size that is not this header's, with a canary behind it.
template <class T>
class Sized {
 public:
  explicit Sized(uint32_t size) : size_(size), bytes_(std::max<size_t>(size, sizeof(T)) + 512, kCanary) {
    std::memset(bytes_.data(), 0, size);
    get()->struct_size = size;
  }
  T* get() { return reinterpret_cast<T*>(bytes_.data()); }
  void check(const std::string& who) const {
    for (size_t i = size_; i < bytes_.size(); ++i) {
      if (bytes_[i] != kCanary) {
        wrong(
            cat(who, " writes byte ", i, " of a struct whose struct_size is ", size_, "; no field beyond it is there"));
      }
    }
  }

 private:
  static constexpr unsigned char kCanary = 0xC5;
  size_t size_;
  std::vector<unsigned char> bytes_;
};

std::string properties(const Subject& subject) {
  const OpenChip& chip = subject.open();
  const TrmProps& p = chip.props();
  if (p.space_count < 1 || p.space_count > 8) wrong(cat("props tells ", p.space_count, " memory spaces; 1 to 8 fit"));
  for (uint32_t i = 0; i < p.space_count; ++i) {
    const TrmSpace& space = p.spaces[i];
    if (space.id == TRM_HOST_SPACE) wrong(cat("memory space ", i, " has the id 0, which is the host's"));
    if (space.kind < TRM_SPACE_DEVICE || space.kind > TRM_SPACE_SCRATCH) wrong(cat("space of kind ", space.kind));
    if (space.addressing < TRM_FLAT || space.addressing > TRM_WHOLE) wrong(cat("addressing ", space.addressing));
    if (!std::has_single_bit(space.alignment)) wrong(cat("an alignment of ", space.alignment, "; a power of two"));
    if (space.bytes == 0) wrong(cat("memory space ", i, " has no bytes"));
  }
  for (const double rate :
       {p.flops_f32, p.flops_low, p.memory_bandwidth, p.link_bandwidth, p.link_latency_ns, p.launch_latency_ns}) {
    if (!(rate >= 0) || std::isinf(rate)) wrong(cat("props tells a rate of ", rate));
  }
  if (p.name[0] == '\0' || std::memchr(p.name, 0, sizeof p.name) == nullptr) wrong("the device has no name");
  return "";
}

std::string struct_sizes(const Subject& subject) {
  const TrmDeviceBank& bank = subject.chip.device();
  const OpenChip& chip = subject.open();
  for (const uint32_t size : {uint32_t{8}, uint32_t{offsetof(TrmProps, space_count)}, uint32_t{sizeof(TrmProps)},
                              uint32_t{sizeof(TrmProps) + 128}}) {
    Sized<TrmProps> props(size);
    bank.props(0, props.get(), nullptr);
    props.check("props");
  }
  for (const uint32_t size : {uint32_t{8}, uint32_t{offsetof(TrmErr, text)}, uint32_t{offsetof(TrmErr, text) + 16},
                              uint32_t{sizeof(TrmErr)}, uint32_t{sizeof(TrmErr) + 64}}) {
    Sized<TrmErr> err(size);
    TrmProps props = chip::sized<TrmProps>();
    if (bank.props(1u << 30, &props, err.get()) == TRM_OK) wrong("props of device 2^30 is told to work");
    err.check("props, filling a TrmErr,");
  }
  if (subject.chip.compute() != nullptr) {
    const Value x = parameter(f32, {4});
    const auto program = runtime::make_program(Graph({x}, {make_node(get_op("exp"), {x}, {})}));
    for (const uint32_t size : {uint32_t{offsetof(TrmAnswer, estimated_ns)}, uint32_t{offsetof(TrmAnswer, conversions)},
                                uint32_t{sizeof(TrmAnswer)}, uint32_t{sizeof(TrmAnswer) + 64}}) {
      Sized<TrmAnswer> answer(size);
      subject.chip.compute()->query(chip.device(), program.get(), answer.get(), nullptr);
      answer.check("query, filling a TrmAnswer,");
    }
  }
  return "";
}

std::string entry_sizes(const Subject& subject) {
  for (const uint32_t size : {uint32_t{offsetof(TrmChip, comm)}, uint32_t{sizeof(TrmChip) + 64}}) {
    Sized<TrmChip> table(size);
    if (subject.entry(&runtime::host_services(), table.get()) != TRM_OK) wrong("the entry fails when called again");
    table.check("the entry, filling a TrmChip,");
  }
  static TrmHost old = runtime::host_services();  // a host that ended behind `threads`; the chip may keep it
  old.struct_size = offsetof(TrmHost, program);
  old.program = nullptr;
  old.get_ext = nullptr;
  TrmChip table = chip::sized<TrmChip>();
  subject.entry(&old, &table);  // it may refuse; it must not crash
  // Later cases of this process need the whole host again.
  if (subject.entry(&runtime::host_services(), &table) != TRM_OK) wrong("the entry fails when called again");
  return "";
}

std::string reloads(const Subject& subject) {
  for (int k = 0; k < 100; ++k) {
    TrmChip table = chip::sized<TrmChip>();
    if (subject.entry(&runtime::host_services(), &table) != TRM_OK) wrong(cat("load ", k + 1, " of 100 fails"));
    TrmDev* dev = nullptr;
    TrmErr err = chip::sized<TrmErr>();
    if (table.device->open(0, nullptr, 0, &dev, &err) != TRM_OK) wrong(cat("open after load ", k + 1, ": ", err.text));
    if (table.device->close(dev) != TRM_OK) wrong(cat("close after load ", k + 1, " fails"));
    if (table.shutdown != nullptr) table.shutdown();
  }
  return "";
}

std::string reopens(const Subject& subject) {
  for (int k = 0; k < 20; ++k) {
    OpenChip again(subject.chip);
    const uint64_t written = 0x0123456789abcdef + static_cast<uint64_t>(k);
    const TrmMem mem = again.allocate(64);
    again.write(mem, &written, 8);
    uint64_t read = 0;
    again.read(mem, &read, 8);
    if (read != written) wrong("a device that was opened again does not keep 8 bytes");
    again.free(mem);
  }
  return "";
}

std::string bad_arguments(const Subject& subject) {
  OpenChip& chip = subject.open();
  TrmDev* dev = nullptr;
  const TrmOption option{"no_such_option", "1"};
  if (chip.bank().open(1u << 30, nullptr, 0, &dev, chip.error()) == TRM_OK) wrong("open of device 2^30 works");
  if (chip.bank().open(0, &option, 1, &dev, chip.error()) == TRM_OK) wrong("open takes the option \"no_such_option\"");
  if (chip.last_error().text[0] == '\0') wrong("open refuses an unknown option without a text");
  TrmMem mem{};
  if (chip.bank().chunk_alloc(chip.device(), 9999, 64, 0, &mem, chip.error()) == TRM_OK) wrong("space 9999 has memory");
  if (chip.bank().chunk_alloc(chip.device(), 9999, 64, 0, &mem, nullptr) == TRM_OK) wrong("space 9999 has memory");
  const int32_t code =
      chip.bank().chunk_alloc(chip.device(), chip.space().id, uint64_t{1} << 62, 0, &mem, chip.error());
  if (code != TRM_OUT_OF_MEMORY) wrong(cat("an allocation of 2^62 bytes gives code ", code, ", not out of memory"));
  chip.free(chip.allocate(64));  // and it goes on
  return "";
}

std::string listed_ops(const Subject& subject) {
  if (subject.chip.compute() == nullptr) throw Finding(Verdict::kUnsupported, "no compute bank");
  for (const std::string& op : subject.chip.ops()) {
    if (find_op(op) == nullptr) throw Finding(Verdict::kLie, cat("list_ops names \"", op, "\", which is no op"));
  }
  return "";
}

}  // namespace

std::vector<Case> abi_cases() {
  std::vector<Case> out;
  const auto add = [&](const char* name, std::string (*run)(const Subject&)) {
    out.push_back({Part::kAbi, Level::kBoots, name, "", "", false, run, {}});
  };
  add("properties", properties);
  add("struct sizes", struct_sizes);
  add("bad arguments", bad_arguments);
  add("listed ops", listed_ops);
  add("open and close", reopens);
  add("entry with other sizes", entry_sizes);
  add("100 loads", reloads);
  return out;
}

}  // namespace trireme::certify
