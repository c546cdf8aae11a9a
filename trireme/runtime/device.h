// Device: an open device of a chip, with everything optional filled in. Callers never ask whether a slot exists:
//   no streams or events    one queue; waiting for an event is `sync`
//   no fill                 a copy from the host
//   no copy_strided         staged through the host
//   no stream_status        errors at the next sync
// It also owns the caching allocator: freed blocks wait for the next allocation of their size class; when the chip says
// out of memory, they are given back and the allocation is tried again.
//
// Failures throw Error: kOutOfMemory, or kDeviceFault with the op, its tag and the user's line when the chip names a
// tag. A chip that knows only a window of commands gets them listed, and what was remembered for this is run again step
// by step to name the one. After a fault the streams are made anew and memory keeps its contents; a chip that has no
// streams, and a chip that is lost, refuses further work until reset(), which loses all values, kernels and plans that
// were on the device: `generation` tells what is from before.
//
// Threads: one thread at a time gives commands (rule 3 of chip.h), the one that holds commands(). Everything else may
// be called from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "trireme/chip/loader.h"
#include "trireme/core/device_name.h"
#include "trireme/core/shape.h"

namespace trireme::runtime {

enum class Lane : uint8_t { kCompute, kCopy };  // in-order queues of a device; the same one where it has no streams

struct StridedCopy {
  TrmMem dst, src;  // offset: of element [0, 0, ...]
  uint32_t item_bytes;
  Shape shape;
  Strides dst_strides, src_strides;  // in items
};

class Device {
 public:
  // Opens the device at the first call with this name and options. Throws kNotFound, kInvalidArgument, kDeviceFault.
  static Device& get(const DeviceName& name);
  static Device& get(std::string_view name) { return get(parse_device_name(name)); }
  // The device that runs what no chip takes: the CPU, a chip like any other.
  static Device& host();
  static std::vector<Device*> opened();

  const std::string& name() const { return name_; }
  const chip::Chip& chip() const { return chip_; }
  const TrmProps& props() const { return props_; }
  const TrmSpace& space() const { return props_.spaces[0]; }
  TrmDev* handle() const { return dev_; }
  bool computes() const { return chip_.compute() != nullptr; }
  bool host_addressable() const { return space().kind == TRM_SPACE_HOST_VISIBLE || space().kind == TRM_SPACE_UNIFIED; }
  bool synchronous() const { return (props_.flags & TRM_SYNC_ONLY) != 0; }
  bool has_streams() const { return lanes_[0] != nullptr; }

  TrmMem allocate(uint64_t bytes);
  // `generation` is the device's when it was allocated.
  void release(const TrmMem& mem, uint64_t generation);
  void trim();
  // What this process holds here, in bytes: in use, and cached for reuse.
  struct MemoryUse {
    uint64_t used = 0, cached = 0, peak = 0;
  };
  MemoryUse memory_use() const;

  // Held while giving commands: copies, fills, launches, and what is recorded or waited for between them. Recursive,
  // because a command that fails may have others run again to find the cause. Several are locked in order of address.
  std::recursive_mutex& commands() { return commands_; }

  void copy(const TrmMem& dst, const TrmMem& src, uint64_t bytes, Lane lane, uint64_t tag = 0);
  void copy_strided(const StridedCopy& copy, Lane lane, uint64_t tag = 0);
  void fill(const TrmMem& mem, const void* item, uint32_t item_bytes, Lane lane, uint64_t tag = 0);
  void launch(TrmKernel* kernel, const TrmMem* operands, uint32_t count, const TrmMem* workspace, Lane lane,
              uint64_t tag) {
    if (vague_ || down_) before_command(tag);
    TrmErr err;
    err.struct_size = sizeof err;
    const int32_t code = chip_.compute()->enqueue(dev_, kernel, operands, count, workspace,
                                                  lanes_[static_cast<size_t>(lane)], tag, &err);
    if (code != TRM_OK) fail(code, err, "cannot start a kernel");
  }

  // Events. Null where the chip has none: then the lanes are one queue and order is already kept.
  TrmEvent* create_event();
  void destroy_event(TrmEvent* event, uint64_t generation);
  void record(TrmEvent* event, Lane lane);
  void wait(TrmEvent* event, Lane lane);
  void host_wait(TrmEvent* event);

  // Prepared kernels, so that none outlives the device it was prepared for.
  void own(TrmKernel* kernel);
  void release(TrmKernel* kernel, uint64_t generation);

  // Waits for everything; throws for the first command that failed.
  void synchronize();
  // Throws if a command is already known to have failed; never waits.
  void check();
  // Clears faults; the contents of memory are lost.
  void reset();
  // Throws kDeviceFault, with the reason, while the device takes no work.
  void check_up() {
    if (down_) before_command(0);
  }
  // Number of resets so far.
  uint64_t generation() const { return generation_; }

  // Work is numbered, over all devices, so that nobody reads what a failed command left undone. `begin_work` announces
  // the commands that follow and is called by whoever holds commands(); what had not been waited for when the device
  // failed is lost.
  static uint64_t next_work();
  void begin_work(uint64_t number) {
    if (synchronous()) waited_ = number - 1;
    begun_ = number;
  }
  // Declares one number lost: its other devices failed.
  void lose_work(uint64_t number, const std::string& why);
  // Why the results of this work cannot be had; empty while they can.
  std::string why_lost(uint64_t number);

  // True when the chip names a failed command only as a window of commands since the last wait, or not at all.
  bool vague() const { return vague_; }
  // Work that may be run again, step by step, to find the command that failed: returns its text, or nothing when all
  // went well. Forgotten at the next wait; the oldest go first when there are many.
  using Replay = std::function<std::string()>;
  void remember(Replay replay);

  // Certification and tests: see TrmFault. Throws kUnsupported where the chip cannot.
  void inject_fault(TrmFault kind, uint64_t argument);

  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

 private:
  Device(const chip::Chip& chip, const DeviceName& name);
  ~Device();
  friend struct DeviceTable;
  [[noreturn]] void fail(int32_t code, const TrmErr& err, const std::string& doing);
  // Refuses work while the device is down, and keeps the tags of a vague chip.
  void before_command(uint64_t tag);
  std::string window_text(const TrmErr& err);
  std::string replay_text();
  void make_streams();
  void drop_streams();
  void open();

  const chip::Chip& chip_;
  DeviceName given_;
  std::string name_;
  TrmProps props_{};
  TrmDev* dev_ = nullptr;
  TrmStream* lanes_[2] = {nullptr, nullptr};
  std::atomic<bool> down_{false};  // it refuses work until reset
  bool vague_ = false;
  std::atomic<uint64_t> generation_{0};
  std::recursive_mutex commands_;  // taken before mutex_
  mutable std::mutex mutex_;
  std::string lost_;  // why it is down
  std::atomic<uint64_t> begun_{0}, waited_{0};
  struct LostWork {
    uint64_t first, last;
    std::string why;
  };
  std::vector<LostWork> lost_work_;
  std::multimap<uint64_t, TrmMem> cache_;  // free blocks by size
  MemoryUse use_;
  uint64_t reopened_ = 0;  // handles of earlier generations are gone: the device was closed since
  std::set<TrmKernel*> kernels_;
  std::set<TrmEvent*> events_;
  std::vector<uint64_t> window_;  // tags of a vague chip since the last wait
  std::vector<Replay> replays_;
  bool replaying_ = false;
};

}  // namespace trireme::runtime
