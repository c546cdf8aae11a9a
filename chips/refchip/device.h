// Device: the queues of one open refchip, the threads that work them off, events, faults and the virtual clock.
//
// Time is simulated. Each stream has its own clock; a command begins at the later of its stream's clock and the moment
// the host issued it, and takes what the persona's rates say. A wait of the host moves the host's virtual time to what
// it waited for. Real time only decides the interleaving, with a seeded random delay before each command.
//
// Failures (rule 5 of chip.h): a failed command poisons its stream; what is behind it is skipped; a stream that waits
// for an event of a poisoned stream is poisoned with the same failure, because its inputs never came to be.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "device_memory.h"
#include "persona.h"

namespace trireme::refchip {

struct Fault {
  int32_t code = TRM_FAULT;
  uint64_t tag = 0;
  uint64_t order = 0;   // of failing, over all streams
  bool hidden = false;  // until the host waits
  std::string text;
};
using FaultPtr = std::shared_ptr<Fault>;

// Thrown out of a call that reports an earlier failure.
struct Reported {
  Fault fault;
  TrmPrecision precision;
};

// One event_record.
struct Mark {
  bool done = false;
  double time_ns = 0;
  FaultPtr failure;
};

struct Command {
  uint64_t tag = 0;
  std::string name;
  double cost_ns = 0;
  std::vector<std::shared_ptr<Chunk>> uses;
  std::function<void()> work;          // throws to fail; may run several times (replay)
  std::shared_ptr<Mark> record, wait;  // instead of work
  double issued_ns = 0;                // the host's virtual time at the call
};

struct Stream {
  uint32_t number = 0;
  std::deque<Command> queue;
  bool running = false, stopping = false;
  double now_ns = 0;
  uint64_t last_tag = 0;
  FaultPtr failure;
  bool capturing = false;
  std::vector<Command> captured;
  std::mt19937_64 random;
  std::thread worker;  // absent on a synchronous device
  std::atomic<bool> called{false};
};

// A stream for the length of one call. Throws kInvalidArgument while another thread's call on it has not returned
// (rule 3 of chip.h).
class StreamCall {
 public:
  StreamCall(std::shared_ptr<Stream> stream, bool exclusive);
  ~StreamCall();
  StreamCall(const StreamCall&) = delete;
  StreamCall& operator=(const StreamCall&) = delete;
  operator Stream&() const { return *stream_; }  // NOLINT(google-explicit-constructor): it stands for the stream

 private:
  std::shared_ptr<Stream> stream_;  // the call may destroy it
  bool exclusive_;
};

struct Event {
  std::shared_ptr<Mark> mark;  // of the last record; null before
};

struct Replay {
  std::vector<Command> commands;
};

class Device {
 public:
  Device(uint32_t index, Persona persona, const TrmHost* host, std::shared_ptr<Memory> memory, std::string build_id);
  // Drops what is still queued and joins the workers; memory is freed.
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  uint32_t index() const { return index_; }
  const Persona& persona() const { return persona_; }
  const TrmHost* host() const { return host_; }
  const std::string& build_id() const { return build_id_; }  // of the plug-in
  const Memory& memory() const { return *memory_; }

  // Throws Reported when the device is lost.
  void check_alive();
  TrmMem alloc(uint32_t space, uint64_t bytes);
  void free(const TrmMem& mem);
  // Checked memory of this device, of the host, or of a peer where the persona has peer_access.
  Place place(const TrmMem& mem, const Extent& extent) const;
  void mem_info(uint32_t space, uint64_t* free_bytes, uint64_t* total_bytes);
  void reset();

  // Null is the device's own queue, open to all threads. Throws kInvalidArgument for a pointer that is not a stream of
  // this device.
  StreamCall stream(const void* given);
  Stream* create_stream();
  void destroy_stream(Stream& stream);
  bool idle(const Stream& stream);  // throws Reported for a failure that is not hidden
  void sync(Stream& stream);
  void sync();
  void status(Stream& stream);

  void submit(Stream& stream, Command command);

  Event* create_event();
  void destroy_event(Event* event);
  void record(Event& event, Stream& stream);
  void wait(Event& event, Stream& stream);
  bool done(const Event& event);
  void sync(Event& event);
  double elapsed_ns(const Event& from, const Event& to);

  void begin_capture(Stream& stream);
  Replay* end_capture(Stream& stream);
  void replay(const Replay& replay, Stream& stream, uint64_t tag);

  void inject(uint32_t kind, uint64_t argument);
  double clock_ns();  // the latest of the streams and the host
  void trace(bool on);
  // Holds the last answer of `partition`, whose parts must outlive the call.
  void keep(std::shared_ptr<const void> answer) {
    Lock lock(mutex_);
    kept_ = std::move(answer);
  }
  uint64_t commands();
  size_t stream_count();

 private:
  using Lock = std::unique_lock<std::mutex>;
  std::shared_ptr<Stream> make_stream();
  void work(Stream& stream);
  void execute(Stream& stream, Command& command, Lock& lock);
  FaultPtr provoked(const Command& command);
  void drain(Stream& stream, Lock& lock);
  void drain_all(Lock& lock);
  FaultPtr make_fault(int32_t code, uint64_t tag, std::string text);
  void report(Stream& stream, bool at_wait);
  void report(const FaultPtr& failure, uint64_t last_tag, bool at_wait);

  const uint32_t index_;
  const Persona persona_;
  const TrmHost* host_;
  const std::shared_ptr<Memory> memory_;
  const std::string build_id_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool closing_ = false, tracing_ = false;
  std::shared_ptr<Stream> own_;  // the null stream
  std::vector<std::shared_ptr<Stream>> streams_;
  std::vector<std::unique_ptr<Event>> events_;
  std::vector<PlannedFault> faults_;
  FaultPtr lost_;
  uint64_t commands_ = 0, allocations_ = 0, failures_ = 0, next_stream_ = 0;
  double host_ns_ = 0;
  std::shared_ptr<const void> kept_;
};

}  // namespace trireme::refchip
