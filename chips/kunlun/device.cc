#include "chips/kunlun/device.h"

#include <algorithm>
#include <utility>

// Of the simulator (xpu/simulator.h); null with a runtime of real devices.
extern "C" {
__attribute__((weak)) int xpusim_fail_next(int devid, int code);
__attribute__((weak)) int xpusim_device_reset(int devid);
}

namespace trireme::kunlun {

Device::Device(uint32_t index) : index_(index), card_(card_of(static_cast<int>(index))) {
  select();
  default_ = make_queue(true);
}

Device::~Device() {
  xpu_set_device(static_cast<int>(index_));
  for (const auto& queue : queues_) release(*queue);
  release(*default_);
  for (XPUEvent event : events_) xpu_event_destroy(event);
  for (const auto& [address, chunk] : chunks_) {
    void* memory = reinterpret_cast<void*>(address);
    if (chunk.space == kPinnedSpace) xpu_host_free(memory);
    else xpu_free(memory);
  }
  // The process may open the device again; a real one needs its tool for that.
  if (lost_ && xpusim_device_reset != nullptr) xpusim_device_reset(static_cast<int>(index_));
}

void Device::select() const { check(xpu_set_device(static_cast<int>(index_)), "choose the device"); }

std::unique_ptr<Queue> Device::make_queue(bool is_default) {
  auto queue = std::make_unique<Queue>();
  if (!is_default) check(xpu_stream_create(&queue->stream), "create a stream");
  check(xpu_event_create(&queue->probe), "create an event");
  queue->context = api::create_context();
  if (!queue->context) throw Failure(TRM_INTERNAL, "the operator library made no context for the device");
  queue->context->set_stream(queue->stream);
  return queue;
}

// Codes do not matter any more: the device may have failed long ago.
void Device::release(Queue& queue) {
  xpu_wait(queue.stream);
  api::destroy_context(queue.context);
  if (queue.l3) xpu_free(queue.l3);
  xpu_event_destroy(queue.probe);
  if (queue.stream) xpu_stream_destroy(queue.stream);
}

TrmMem Device::allocate(uint32_t space, uint64_t bytes) {
  if (space != kDeviceSpace && space != kPinnedSpace) {
    throw Failure(TRM_INVALID,
                  "the xpu has the memory spaces 1 (device) and 2 (pinned); given " + std::to_string(space));
  }
  if (failing_allocations_ > 0) {
    --failing_allocations_;
    throw Failure(TRM_OUT_OF_MEMORY, "provoked: an allocation fails");
  }
  select();
  const uint64_t rounded = (std::max<uint64_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
  if (rounded < bytes) throw Failure(TRM_OUT_OF_MEMORY, std::to_string(bytes) + " bytes are more than any memory has");
  void* memory = nullptr;
  check(space == kPinnedSpace ? xpu_host_alloc(&memory, rounded, 0) : xpu_malloc(&memory, rounded, XPU_MEM_MAIN),
        "allocate memory");
  const std::lock_guard lock(mutex_);
  chunks_[reinterpret_cast<uint64_t>(memory)] = {space, rounded};
  return {reinterpret_cast<uint64_t>(memory), 0, bytes, space, 0};
}

void Device::free(const TrmMem& mem) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = chunks_.find(mem.handle);
    if (found == chunks_.end()) throw Failure(TRM_INVALID, "not a chunk of this device, or freed before");
    chunks_.erase(found);
  }
  select();
  void* memory = reinterpret_cast<void*>(mem.handle);
  check(mem.space == kPinnedSpace ? xpu_host_free(memory) : xpu_free(memory), "free memory");
}

uint64_t Device::allocated(uint32_t space) {
  const std::lock_guard lock(mutex_);
  uint64_t bytes = 0;
  for (const auto& [address, chunk] : chunks_) bytes += chunk.space == space ? chunk.bytes : 0;
  return bytes;
}

Queue* Device::create_queue() {
  check_alive();
  select();
  auto queue = make_queue(false);
  const std::lock_guard lock(mutex_);
  queues_.push_back(std::move(queue));
  return queues_.back().get();
}

void Device::destroy_queue(Queue* queue) {
  std::unique_ptr<Queue> gone;
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(queues_.begin(), queues_.end(), [&](const auto& q) { return q.get() == queue; });
    if (found == queues_.end()) throw Failure(TRM_INVALID, "not a stream of this device, or destroyed before");
    gone = std::move(*found);
    queues_.erase(found);
  }
  select();
  release(*gone);
}

void Device::lend_l3(Queue& queue) const {
  if (std::exchange(queue.asked_for_l3, true)) return;
  const size_t bytes = card_.l3_of_a_stream();
  if (bytes == 0 || xpu_malloc(&queue.l3, bytes, XPU_MEM_L3) != 0) queue.l3 = nullptr;
  else queue.context->_l3_mgr.set(queue.l3, bytes);
}

void Device::wait(Queue& queue) {
  select();
  watch(queue, [&] { check(xpu_wait(queue.stream), "finish the commands of a stream"); });
}

void Device::wait_all() {
  check_alive();
  wait(*default_);
  std::vector<Queue*> queues;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& queue : queues_) queues.push_back(queue.get());
  }
  for (Queue* queue : queues) wait(*queue);
}

void Device::lose(const RuntimeFailure& failure, uint64_t tag) {
  const std::lock_guard lock(mutex_);
  if (!lost_) lost_ = Lost{failure.code(), tag, failure.what()};
}

void Device::inject(uint32_t kind, uint64_t argument) {
  if (xpusim_fail_next == nullptr) throw Failure(TRM_UNSUPPORTED, "a real device fails when it wants");
  switch (kind) {
    case TRM_FAULT_LOST: losing_tag_ = argument; break;
    case TRM_FAULT_OUT_OF_MEMORY: failing_allocations_ = argument; break;
    default: throw Failure(TRM_UNSUPPORTED, "every fault of a command loses an xpu: ask for kind 3 (lost)");
  }
}

void Device::reset() {
  if (xpusim_device_reset == nullptr) throw Failure(TRM_UNSUPPORTED, "the runtime resets no device");
  check(xpusim_device_reset(static_cast<int>(index_)), "reset the device");
  const std::lock_guard lock(mutex_);
  lost_.reset();
}

// What was queued before must have run, or it would fail instead.
void Device::lose_next_command() {
  losing_tag_ = 0;
  wait_all();
  check(xpusim_fail_next(static_cast<int>(index_), XPUERR_KEXCEPTION), "provoke a fault");
}

std::optional<Lost> Device::lost() {
  const std::lock_guard lock(mutex_);
  return lost_;
}

void Device::check_alive() {
  if (const auto lost_device = lost()) throw RuntimeFailure(lost_device->code, "go on after an earlier failure");
}

void Device::own_event(XPUEvent event) {
  const std::lock_guard lock(mutex_);
  events_.push_back(event);
}
void Device::disown_event(XPUEvent event) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find(events_.begin(), events_.end(), event);
  if (found == events_.end()) throw Failure(TRM_INVALID, "not an event of this device, or destroyed before");
  events_.erase(found);
}

}  // namespace trireme::kunlun
