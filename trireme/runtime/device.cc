#include "trireme/runtime/device.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/runtime/host.h"
#include "trireme/runtime/tags.h"

namespace trireme::runtime {

namespace {

// The one chip the house counts on: what no other chip takes runs there (floors.toml allows this name here).
constexpr const char* kHostChip = "cpu";

TrmErr fresh_error() {
  TrmErr err{};
  err.struct_size = sizeof err;
  return err;
}

// Four size classes per power of two, at least 256 bytes: at most 25% is wasted and blocks are found again.
uint64_t size_class(uint64_t bytes) {
  uint64_t step = 64;
  while (step * 8 < bytes) step *= 2;
  return std::max<uint64_t>((bytes + step - 1) / step * step, 256);
}

}  // namespace

struct DeviceTable {
  std::mutex mutex;
  std::map<std::string, Device*> devices;
  bool closed = false;

  static DeviceTable& instance() {
    static auto* table = [] {
      std::atexit([] { instance().close(); });  // before chips' static objects go; late releases are ignored
      return new DeviceTable;
    }();
    return *table;
  }

  Device& get(const DeviceName& name) {
    const std::lock_guard lock(mutex);
    Device*& slot = devices[name.full_text()];
    if (slot == nullptr) {
      try {
        slot = new Device(chip::all_chips(host_services()).get(name.chip), name);
      } catch (...) {
        devices.erase(name.full_text());
        throw;
      }
    }
    return *slot;
  }

  void close() {
    const std::lock_guard lock(mutex);
    closed = true;
    for (auto& [name, device] : devices) delete device;
    devices.clear();
  }
};

Device& Device::get(const DeviceName& name) { return DeviceTable::instance().get(name); }

Device& Device::host() {
  static Device& device = get(DeviceName{kHostChip, 0, {}});
  return device;
}

std::vector<Device*> Device::opened() {
  DeviceTable& table = DeviceTable::instance();
  const std::lock_guard lock(table.mutex);
  std::vector<Device*> out;
  for (const auto& [name, device] : table.devices) out.push_back(device);
  return out;
}

Device::Device(const chip::Chip& chip, const DeviceName& name) : chip_(chip), given_(name), name_(name.text()) {
  const uint32_t count = chip.device_count();
  if (static_cast<uint32_t>(name.index) >= count) {
    throw Error(Code::kNotFound, cat("device ", name_, " does not exist: chip '", chip.name(), "' has ", count,
                                     count == 1 ? " device" : " devices"));
  }
  open();
}

void Device::open() {
  std::vector<TrmOption> options;
  for (const auto& [key, value] : given_.options) options.push_back({key.c_str(), value.c_str()});
  TrmErr err = fresh_error();
  const auto index = static_cast<uint32_t>(given_.index);
  int32_t code = chip_.device().open(index, options.data(), static_cast<uint32_t>(options.size()), &dev_, &err);
  if (code != TRM_OK) {
    throw Error(Code::kDeviceFault, cat("cannot open ", given_.full_text(), ": ", err.text, " (code ", code, ")"));
  }
  props_ = {};
  props_.struct_size = sizeof props_;
  code = chip_.device().props(index, &props_, &err);
  if (code != TRM_OK || props_.space_count == 0) {
    throw Error(Code::kDeviceFault, cat("device ", name_, " does not tell its properties: ", err.text));
  }
  vague_ = !synchronous() && props_.error_precision != TRM_TAG_EXACT;
  make_streams();
}

Device::~Device() {
  if (dev_ == nullptr) return;
  TrmErr err = fresh_error();
  chip_.device().sync(dev_, &err);
  drop_streams();
  for (const auto& [bytes, mem] : cache_) chip_.device().chunk_free(dev_, &mem);
  chip_.device().close(dev_);
}

void Device::make_streams() {
  const TrmDeviceBank& bank = chip_.device();
  const bool complete = bank.stream_create != nullptr && bank.stream_destroy != nullptr &&
                        bank.stream_sync != nullptr && bank.event_create != nullptr && bank.event_destroy != nullptr &&
                        bank.event_record != nullptr && bank.event_wait != nullptr && bank.event_sync != nullptr;
  if (!complete) return;  // half a set is none: one queue
  for (TrmStream*& stream : lanes_) {
    TrmErr err = fresh_error();
    if (bank.stream_create(dev_, 0, &stream, &err) != TRM_OK) {
      drop_streams();
      return;
    }
  }
}

void Device::drop_streams() {
  for (TrmStream*& stream : lanes_) {
    if (stream != nullptr) chip_.device().stream_destroy(dev_, stream);
    stream = nullptr;
  }
}

void Device::fail(int32_t code, const TrmErr& err, const std::string& doing) {
  const std::lock_guard commands(commands_);  // the streams may be made anew
  std::string message = cat(name_, ": ", doing, ": ", err.text[0] != '\0' ? err.text : "no reason given");
  if (code == TRM_OUT_OF_MEMORY) throw Error(Code::kOutOfMemory, message);
  if (code == TRM_UNSUPPORTED) throw Error(Code::kUnsupported, message);
  if (code == TRM_INVALID) throw Error(Code::kDeviceFault, message);  // refused as a call: nothing is poisoned
  const std::string op = err.tag != 0 ? tag_text(err.tag) : std::string();
  if (vague_ && err.precision != TRM_TAG_EXACT) message += window_text(err);
  else if (!op.empty()) message += cat("; in ", op, " (tag ", err.tag, ")");
  else if (err.tag != 0) message += cat("; tag ", err.tag);
  const LostWork lost{waited_ + 1, begun_, message};
  if (code == TRM_DEVICE_LOST || !has_streams()) {
    std::vector<Replay> gone;  // let go of without the lock: plans and buffers come back here
    const std::lock_guard lock(mutex_);
    gone.swap(replays_);
    window_.clear();
    lost_ = message;
    down_ = true;
    message += "; the device takes no more work until it is reset";
  } else {
    drop_streams();
    make_streams();
    message += replay_text();
  }
  if (lost.first <= lost.last) {
    const std::lock_guard lock(mutex_);
    lost_work_.push_back(lost);
    waited_ = std::max<uint64_t>(waited_, lost.last);
  }
  throw Error(code == TRM_TIMEOUT ? Code::kTimeout : Code::kDeviceFault, message);
}

uint64_t Device::next_work() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

void Device::lose_work(uint64_t number, const std::string& why) {
  const std::lock_guard lock(mutex_);
  lost_work_.push_back({number, number, why});
}

std::string Device::why_lost(uint64_t number) {
  const std::lock_guard commands(commands_);  // a failure may be on its way through fail()
  const std::lock_guard lock(mutex_);
  for (const LostWork& work : lost_work_) {
    if (work.first <= number && number <= work.last) return work.why;
  }
  return {};
}

void Device::before_command(uint64_t tag) {
  const std::lock_guard lock(mutex_);
  if (down_) throw Error(Code::kDeviceFault, lost_ + "; reset the device first");
  constexpr size_t kMostTags = 4096;
  if (tag == 0) return;
  if (window_.size() == kMostTags) window_.erase(window_.begin(), window_.begin() + kMostTags / 2);
  window_.push_back(tag);
}

// The commands that may have failed: those since the last wait, up to the tag that the chip gives, if it gives one.
std::string Device::window_text(const TrmErr& err) {
  std::vector<uint64_t> tags;
  {
    const std::lock_guard lock(mutex_);
    const auto named = std::find(window_.begin(), window_.end(), err.tag);
    tags.assign(window_.begin(), named == window_.end() ? named : named + 1);
  }
  std::vector<std::string> texts;
  for (uint64_t tag : tags) {
    std::string text = tag_text(tag);
    if (!text.empty() && std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(std::move(text));
  }
  if (texts.empty()) return err.tag != 0 ? cat("; at or before tag ", err.tag) : std::string();
  if (tags.size() == 1) return cat("; in ", texts[0], " (tag ", tags[0], ")");
  constexpr size_t kMostTexts = 12;  // the newest ones: a chip that names a tag names the newest it may be
  const size_t left_out = texts.size() - std::min(texts.size(), kMostTexts);
  texts.erase(texts.begin(), texts.begin() + static_cast<ptrdiff_t>(left_out));
  return cat("; in one of ", tags.size(), " commands since the last wait (tags ", tags.front(), " to ", tags.back(),
             "): ", left_out > 0 ? cat(left_out, " earlier, ") : "", join(texts, ", "));
}

// What was remembered is run again, one command at a time.
std::string Device::replay_text() {
  std::vector<Replay> replays;
  {
    const std::lock_guard lock(mutex_);
    window_.clear();
    if (replaying_) return {};
    replays.swap(replays_);
    replaying_ = !replays.empty();
  }
  if (replays.empty()) return {};
  std::string text = "; run again step by step, nothing failed";
  for (const Replay& replay : replays) {
    const std::string failed = replay();
    if (failed.empty()) continue;
    text = "; run again step by step, it fails in " + failed;
    break;
  }
  const std::lock_guard lock(mutex_);
  replaying_ = false;
  return text;
}

void Device::remember(Replay replay) {
  constexpr size_t kMostReplays = 16;
  std::vector<Replay> gone;  // let go of without the lock
  const std::lock_guard lock(mutex_);
  if (replays_.size() == kMostReplays) {
    gone.push_back(std::move(replays_.front()));
    replays_.erase(replays_.begin());
  }
  replays_.push_back(std::move(replay));
}

TrmMem Device::allocate(uint64_t bytes) {
  const uint64_t rounded = size_class(bytes);
  {
    const std::lock_guard lock(mutex_);
    if (const auto at = cache_.find(rounded); at != cache_.end()) {
      const TrmMem mem = at->second;
      cache_.erase(at);
      use_.cached -= rounded;
      use_.used += rounded;
      use_.peak = std::max(use_.peak, use_.used);
      return mem;
    }
  }
  check_up();
  TrmMem mem{};
  TrmErr err = fresh_error();
  int32_t code = chip_.device().chunk_alloc(dev_, space().id, rounded, 0, &mem, &err);
  if (code == TRM_OUT_OF_MEMORY) {
    trim();
    err = fresh_error();
    code = chip_.device().chunk_alloc(dev_, space().id, rounded, 0, &mem, &err);
  }
  if (code != TRM_OK) {
    const MemoryUse use = memory_use();
    fail(code, err, cat("cannot allocate ", bytes, " bytes (in use ", use.used, ", space has ", space().bytes, ")"));
  }
  mem.bytes = rounded;
  const std::lock_guard lock(mutex_);
  use_.used += rounded;
  use_.peak = std::max(use_.peak, use_.used);
  return mem;
}

void Device::release(const TrmMem& mem, uint64_t generation) {
  if (DeviceTable::instance().closed) return;  // the process is ending
  const std::lock_guard lock(mutex_);
  if (generation < reopened_) return;
  cache_.emplace(mem.bytes, mem);
  use_.used -= mem.bytes;
  use_.cached += mem.bytes;
}

void Device::trim() {
  if (down_) return;  // commands may still hold the memory; reset sees to it
  std::multimap<uint64_t, TrmMem> freed;
  {
    const std::lock_guard lock(mutex_);
    freed.swap(cache_);
    use_.cached = 0;
  }
  if (freed.empty()) return;
  try {
    synchronize();  // commands may still touch them
  } catch (...) {
    const std::lock_guard lock(mutex_);
    for (const auto& [bytes, mem] : freed) use_.cached += bytes;
    cache_.merge(freed);
    throw;
  }
  for (const auto& [bytes, mem] : freed) chip_.device().chunk_free(dev_, &mem);
}

Device::MemoryUse Device::memory_use() const {
  const std::lock_guard lock(mutex_);
  return use_;
}

void Device::copy(const TrmMem& dst, const TrmMem& src, uint64_t bytes, Lane lane, uint64_t tag) {
  if (bytes == 0) return;
  if (vague_ || down_) before_command(tag);
  const TrmCopy command{sizeof(TrmCopy), 0, dst, src, bytes};
  TrmErr err = fresh_error();
  const int32_t code = chip_.device().copy(dev_, &command, lanes_[static_cast<size_t>(lane)], tag, &err);
  if (code != TRM_OK) fail(code, err, cat("cannot copy ", bytes, " bytes"));
}

namespace {

TrmMem host_memory(void* address, uint64_t bytes) {
  return {reinterpret_cast<uint64_t>(address), 0, bytes, TRM_HOST_SPACE, 0};
}

// Elements that a strided access touches, relative to element [0, 0, ...]: [low, high].
std::pair<int64_t, int64_t> extent(const Shape& shape, const Strides& strides) {
  int64_t low = 0, high = 0;
  for (int a = 0; a < shape.rank(); ++a) {
    const int64_t span = (shape[a] - 1) * strides[static_cast<size_t>(a)];
    (span < 0 ? low : high) += span;
  }
  return {low, high};
}

}  // namespace

void Device::copy_strided(const StridedCopy& copy, Lane lane, uint64_t tag) {
  if (copy.shape.elements() == 0) return;
  const TrmDeviceBank& bank = chip_.device();
  if (bank.copy_strided != nullptr) {
    if (vague_ || down_) before_command(tag);
    TrmCopyStrided command{};
    command.struct_size = sizeof command;
    command.rank = static_cast<uint32_t>(copy.shape.rank());
    command.item_bytes = copy.item_bytes;
    command.dst = copy.dst;
    command.src = copy.src;
    for (int a = 0; a < copy.shape.rank(); ++a) {
      command.dims[a] = copy.shape[a];
      command.dst_strides[a] = copy.dst_strides[static_cast<size_t>(a)];
      command.src_strides[a] = copy.src_strides[static_cast<size_t>(a)];
    }
    TrmErr err = fresh_error();
    const int32_t code = bank.copy_strided(dev_, &command, lanes_[static_cast<size_t>(lane)], tag, &err);
    if (code != TRM_OK) fail(code, err, "cannot copy strided memory");
    return;
  }
  // Staged: both extents come to the host, the elements move there, the target's extent goes back.
  const auto stage = [&](const TrmMem& mem, const Strides& strides, std::vector<std::byte>& bytes) {
    const auto [low, high] = extent(copy.shape, strides);
    bytes.resize(static_cast<size_t>(high - low + 1) * copy.item_bytes);
    TrmMem device = mem;
    device.offset = static_cast<uint64_t>(static_cast<int64_t>(mem.offset) + low * copy.item_bytes);
    device.bytes = bytes.size();  // reversed axes reach below mem.offset
    this->copy(host_memory(bytes.data(), bytes.size()), device, bytes.size(), lane, tag);
    synchronize();  // here, so that no failure leaves a copy behind that still writes to the staging memory
    return std::pair(device, -low);
  };
  std::vector<std::byte> source, target;
  const auto [source_mem, source_first] = stage(copy.src, copy.src_strides, source);
  const auto [target_mem, target_first] = stage(copy.dst, copy.dst_strides, target);
  int64_t index[kMaxRank] = {};
  int64_t from = source_first, to = target_first;
  for (int64_t i = 0; i < copy.shape.elements(); ++i) {
    std::memcpy(target.data() + to * copy.item_bytes, source.data() + from * copy.item_bytes, copy.item_bytes);
    for (int a = copy.shape.rank() - 1; a >= 0; --a) {
      const auto axis = static_cast<size_t>(a);
      from += copy.src_strides[axis];
      to += copy.dst_strides[axis];
      if (++index[a] < copy.shape[a]) break;
      from -= copy.src_strides[axis] * copy.shape[a];
      to -= copy.dst_strides[axis] * copy.shape[a];
      index[a] = 0;
    }
  }
  this->copy(target_mem, host_memory(target.data(), target.size()), target.size(), lane, tag);
  synchronize();  // the staging memory ends here
}

void Device::fill(const TrmMem& mem, const void* item, uint32_t item_bytes, Lane lane, uint64_t tag) {
  if (mem.bytes == 0) return;
  if (chip_.device().fill != nullptr) {
    if (vague_ || down_) before_command(tag);
    TrmErr err = fresh_error();
    const int32_t code =
        chip_.device().fill(dev_, &mem, item, item_bytes, lanes_[static_cast<size_t>(lane)], tag, &err);
    if (code != TRM_OK) fail(code, err, "cannot fill memory");
    return;
  }
  std::vector<std::byte> staged(mem.bytes);
  for (size_t at = 0; at + item_bytes <= staged.size(); at += item_bytes) {
    std::memcpy(staged.data() + at, item, item_bytes);
  }
  copy(mem, host_memory(staged.data(), staged.size()), staged.size(), lane, tag);
  synchronize();
}

TrmEvent* Device::create_event() {
  if (!has_streams()) return nullptr;
  check_up();
  TrmEvent* event = nullptr;
  TrmErr err = fresh_error();
  const int32_t code = chip_.device().event_create(dev_, &event, &err);
  if (code != TRM_OK) fail(code, err, "cannot make an event");
  const std::lock_guard lock(mutex_);
  events_.insert(event);
  return event;
}

void Device::destroy_event(TrmEvent* event, uint64_t generation) {
  if (event == nullptr || DeviceTable::instance().closed) return;
  const std::lock_guard lock(mutex_);
  if (generation >= reopened_ && events_.erase(event) > 0) chip_.device().event_destroy(dev_, event);
}

void Device::own(TrmKernel* kernel) {
  const std::lock_guard lock(mutex_);
  kernels_.insert(kernel);
}

void Device::release(TrmKernel* kernel, uint64_t generation) {
  if (DeviceTable::instance().closed) return;
  const std::lock_guard lock(mutex_);
  if (generation >= reopened_ && kernels_.erase(kernel) > 0) chip_.compute()->release(dev_, kernel);
}

void Device::record(TrmEvent* event, Lane lane) {
  if (event == nullptr) return;
  TrmErr err = fresh_error();
  const int32_t code = chip_.device().event_record(dev_, event, lanes_[static_cast<size_t>(lane)], &err);
  if (code != TRM_OK) fail(code, err, "cannot record an event");
}

void Device::wait(TrmEvent* event, Lane lane) {
  if (event == nullptr) return;
  TrmErr err = fresh_error();
  const int32_t code = chip_.device().event_wait(dev_, event, lanes_[static_cast<size_t>(lane)], &err);
  if (code != TRM_OK) fail(code, err, "cannot wait for an event");
}

void Device::host_wait(TrmEvent* event) {
  if (event == nullptr) return synchronize();
  TrmErr err = fresh_error();
  const int32_t code = chip_.device().event_sync(dev_, event, &err);
  if (code != TRM_OK) fail(code, err, "a command failed");
}

void Device::synchronize() {
  check_up();
  const uint64_t begun = begun_;
  TrmErr err = fresh_error();
  const int32_t code = chip_.device().sync(dev_, &err);
  if (code != TRM_OK) fail(code, err, "a command failed");
  for (uint64_t waited = waited_; waited < begun && !waited_.compare_exchange_weak(waited, begun);) {
  }
  if (!vague_) return;
  std::vector<Replay> gone;  // let go of without the lock
  const std::lock_guard lock(mutex_);
  window_.clear();
  if (!replaying_) gone.swap(replays_);
}

void Device::check() {
  const std::lock_guard commands(commands_);
  if (!has_streams() || chip_.device().stream_status == nullptr) return;
  for (TrmStream* stream : lanes_) {
    TrmErr err = fresh_error();
    const int32_t code = chip_.device().stream_status(dev_, stream, &err);
    if (code != TRM_OK && code != TRM_NOT_READY) fail(code, err, "a command failed");
  }
}

void Device::reset() {
  const std::lock_guard commands(commands_);
  drop_streams();
  TrmErr err = fresh_error();
  if (chip_.device().reset != nullptr) {
    const int32_t code = chip_.device().reset(dev_, &err);
    if (code != TRM_OK) throw Error(Code::kDeviceFault, cat(name_, ": cannot reset: ", err.text));
    make_streams();
    ++generation_;
  } else {
    {
      const std::lock_guard lock(mutex_);
      cache_.clear();
      use_ = {};
      for (TrmKernel* kernel : kernels_) chip_.compute()->release(dev_, kernel);
      for (TrmEvent* event : events_) chip_.device().event_destroy(dev_, event);
      kernels_.clear();
      events_.clear();
      reopened_ = ++generation_;
      lost_ = cat(name_, ": could not be opened again");
      down_ = true;
    }
    chip_.device().close(std::exchange(dev_, nullptr));
    open();
  }
  const std::lock_guard lock(mutex_);
  lost_.clear();
  down_ = false;
}

void Device::inject_fault(TrmFault kind, uint64_t argument) {
  if (chip_.device().fault_inject == nullptr) {
    throw Error(Code::kUnsupported, cat(name_, " cannot inject faults (optional slot fault_inject is empty)"));
  }
  TrmErr err = fresh_error();
  const int32_t code = chip_.device().fault_inject(dev_, static_cast<uint32_t>(kind), argument, &err);
  if (code != TRM_OK) fail(code, err, "cannot inject a fault");
}

}  // namespace trireme::runtime
