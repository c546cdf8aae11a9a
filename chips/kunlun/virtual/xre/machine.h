// The virtual machine: devices, their streams and what is queued on them, the clock. runtime.cc is the door to it.
//
// A command runs when something waits for it, or when its stream holds more than kQueue. There are no threads; whoever
// waits does the work, with the machine's lock held. A command that meets others (a collective) never waits with the
// lock: it says that it is stuck, then other streams that hold such commands go on, and when all are stuck the lock is
// given back for a moment.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "chips/kunlun/virtual/generation.h"
#include "chips/kunlun/virtual/xre/kernel_code.h"
#include "chips/kunlun/virtual/xre/memory.h"
#include "chips/kunlun/virtual/xre/occupancy.h"

namespace trireme::xpu {

struct Stream;

// One record of an event.
struct Mark {
  Stream* stream;  // of use until it is done
  int device;
  bool done = false;
  double time_ns = 0;
};

struct Command {
  std::function<int(Effort*)> work;    // returns 0 or a code; one that meets others also kMoved or kStuck
  std::shared_ptr<Mark> record, wait;  // instead of work
  bool meets = false;                  // others, on other streams or in other processes
  double issued_ns = 0;
};

struct Stream {
  int device;
  std::deque<Command> queue;
  int meetings = 0;  // commands of the queue that meet others
  double now_ns = 0;
  int error = 0;  // of a copy; the next wait says it, once
};

struct Device {
  int physical;  // N of /dev/xpuN
  Stream own;    // the default stream
  Occupancy occupancy;
  int failure = 0;
  bool reported = false;
  std::string text;  // of the last failure
  int fail_next = 0;
  double last_kernel_ns = 0;
};

struct Event {
  std::shared_ptr<Mark> mark;  // null before it is recorded
};

struct Function {
  const KernelCode* code;
  uint32_t parameter_bytes;
  std::string name;
};

// What belongs to a host thread.
struct Thread {
  uint64_t restart = 0;  // of the machine the rest is about
  int device = 0;
  double now_ns = 0;
  int clusters = 0, cores = 0;  // of the next launch; 0: not configured
  void* stream = nullptr;       // its handle
  std::vector<std::byte> arguments;
};

class Machine {
 public:
  static constexpr size_t kQueue = 4096;

  Machine();  // reads the environment

  int problem = 0;  // code that every call returns
  const Generation* generation = nullptr;
  Costs costs;
  Memory memory;
  std::vector<std::unique_ptr<Device>> devices;
  // Handles are numbers that never come twice, so that one used after its end is known as such.
  std::map<uint64_t, std::unique_ptr<Stream>> streams;
  std::map<uint64_t, Event> events;
  std::map<uint64_t, Function> functions;
  uint64_t next_handle = 1;

  void submit(Stream& stream, Command command);
  // False when it needs others that are not here yet: to be called again, after others had the lock.
  bool run(Stream& stream);
  bool run(const Mark& mark);
  // Works on the first command. False when it is stuck.
  bool step(Stream& stream);
  // Does one piece of work for a device and keeps its failure. Returns 0 or the code.
  int perform(Device& device, const std::function<int(Effort*)>& work, Effort* effort);
  // What a launch or wait has to say about the device; 0 when it is well.
  static int report(Device& device);

 private:
  void configure();
  bool step_others(const Stream& stream);
};

}  // namespace trireme::xpu
