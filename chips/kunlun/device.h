// An open XPU: its streams, each with a context of the operator library, its memory, and what is known of its failure.
//
// The runtime has a current device per thread, so every call names it first. A stream of the chip interface is one of
// the runtime; the null stream is the default stream. The runtime knows no wait for a device: `sync` waits for each
// stream. It tells that something failed when something waits, not which command it was; so failures name the last
// command of the stream, and error_precision is TRM_TAG_WINDOW.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "chips/kunlun/card.h"
#include "chips/kunlun/runtime.h"
#include "xpu/runtime.h"
#include "xpu/xdnn.h"

namespace trireme::kunlun {

namespace api = baidu::xpu::api;

inline constexpr uint32_t kDeviceSpace = 1, kPinnedSpace = 2;
inline constexpr uint32_t kAlignment = 64;

// A stream with the context whose operators are queued on it.
struct Queue {
  XPUStream stream = nullptr;
  api::Context* context = nullptr;
  XPUEvent probe = nullptr;  // to ask whether the stream is idle
  void* l3 = nullptr;        // of the context, once a kernel wanted it
  bool asked_for_l3 = false;
  uint64_t last_tag = 0;
  std::mutex mutex;  // one thread at a time may use the context
};

// Throws for a code of the operator library other than SUCCESS; `op` names the operator.
void check_library(int code, Queue& queue, const char* op);

// What the first failed command left behind: it stays until the device is closed.
struct Lost {
  int code;
  uint64_t tag;
  std::string text;
};

class Device {
 public:
  explicit Device(uint32_t index);
  // Waits for what is queued; frees streams and memory.
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  uint32_t index() const { return index_; }
  const Card& card() const { return card_; }
  // Makes this device the current one of the calling thread.
  void select() const;

  TrmMem allocate(uint32_t space, uint64_t bytes);
  void free(const TrmMem& mem);
  uint64_t allocated(uint32_t space);

  // Null is the default stream.
  Queue& queue(TrmStream* stream) { return stream ? *reinterpret_cast<Queue*>(stream) : *default_; }
  Queue* create_queue();
  void destroy_queue(Queue* queue);
  // Runs `f(queue)`, the commands of one tag, under the queue's lock.
  template <class F>
  void command(TrmStream* stream, uint64_t tag, F&& f) {
    Queue& target = queue(stream);
    const std::lock_guard lock(target.mutex);
    check_alive();
    select();
    target.last_tag = tag;
    if (tag == losing_tag_ && tag != 0) lose_next_command();
    watch(target, [&] { f(target); });
  }
  // Runs `f`, which waits for the queue or asks for it; a fatal code marks the device as lost.
  template <class F>
  void watch(const Queue& target, F&& f) {
    try {
      f();
    } catch (const RuntimeFailure& failure) {
      if (is_fatal(failure.code())) lose(failure, target.last_tag);
      throw;
    }
  }
  // Gives the context of the queue its part of L3, where other queues left so much.
  void lend_l3(Queue& queue) const;
  void wait(Queue& queue);
  void wait_all();
  // Throws what made the device fail.
  void check_alive();
  std::optional<Lost> lost();

  // A lost device works again; the contents of its memory are lost. Only on a virtual device.
  void reset();
  // Makes the command of that tag lose the device, or the next `argument` allocations fail. Only on a virtual device.
  void inject(uint32_t kind, uint64_t argument);

  void own_event(XPUEvent event);
  void disown_event(XPUEvent event);

 private:
  void lose(const RuntimeFailure& failure, uint64_t tag);
  void lose_next_command();
  std::unique_ptr<Queue> make_queue(bool is_default);
  void release(Queue& queue);

  const uint32_t index_;
  const Card card_;
  std::mutex mutex_;
  std::unique_ptr<Queue> default_;
  std::vector<std::unique_ptr<Queue>> queues_;
  std::vector<XPUEvent> events_;
  struct Chunk {
    uint32_t space;
    uint64_t bytes;
  };
  std::map<uint64_t, Chunk> chunks_;  // by address
  std::optional<Lost> lost_;
  std::atomic<uint64_t> losing_tag_ = 0, failing_allocations_ = 0;
};

}  // namespace trireme::kunlun
