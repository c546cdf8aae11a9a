// The functions of xpu/runtime.h and xpu/simulator.h: they check what they are given and hand it to the machine.
#include "xpu/runtime.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <new>
#include <thread>
#include <utility>

#include "chips/kunlun/virtual/xre/machine.h"
#include "xpu/simulator.h"

namespace trireme::xpu {
namespace {

constexpr int kMaxClusters = 255;
constexpr size_t kMaxArguments = 4096;
constexpr uint32_t kRuntimeMajor = 4, kRuntimeMinor = 32;  // of the interface that is imitated

struct World {
  std::mutex mutex;
  std::unique_ptr<Machine> machine;
  uint64_t restart = 1;
};

World& world() {
  static auto* world = new World;  // never gone: others wait for their streams when the program ends
  return *world;
}

thread_local Thread current_thread;

// Runs `body(machine, thread)` under the lock; it returns 0 or a code, or kStuck to be called again after others had
// the lock.
template <class Body>
int call(Body body) {
  constexpr auto kPause = std::chrono::microseconds(50);
  try {
    World& all = world();
    for (;;) {
      std::unique_lock lock(all.mutex);
      if (!all.machine) all.machine = std::make_unique<Machine>();
      if (current_thread.restart != all.restart) {
        current_thread = {};
        current_thread.restart = all.restart;
      }
      if (all.machine->problem) return -all.machine->problem;
      const int code = body(*all.machine, current_thread);
      if (code != kStuck) return -code;
      lock.unlock();
      std::this_thread::sleep_for(kPause);
    }
  } catch (const std::bad_alloc&) {
    return -XPUERR_NOCPUMEM;
  }
}

// The number of a device without the offset of simulators; negative when there is none such.
int ordinal(const Machine& machine, int devid) {
  if (devid >= MAX_DEVICE_NUM) devid -= MAX_DEVICE_NUM;
  return devid < static_cast<int>(machine.devices.size()) ? devid : -1;
}

// As `call`, for what needs a current device: `body(machine, thread, device)`.
template <class Body>
int call_device(Body body) {
  return call([&](Machine& machine, Thread& thread) -> int {
    if (machine.devices.empty()) return XPUERR_NODEV;
    return body(machine, thread, *machine.devices[thread.device]);
  });
}

// As `call`, for a device that is named: `body(machine, device)`.
template <class Body>
int call_named(int devid, Body body) {
  return call([&](Machine& machine, Thread&) -> int {
    const int number = ordinal(machine, devid);
    if (number < 0) return machine.devices.empty() ? XPUERR_NODEV : XPUERR_INVALID_DEVICE;
    return body(machine, *machine.devices[number], number);
  });
}

uint64_t handle_of(const void* handle) { return reinterpret_cast<uint64_t>(handle); }
void* make_handle(Machine& machine) { return reinterpret_cast<void*>(machine.next_handle++); }

// Why a handle is unknown.
int stale(const Machine& machine, const void* handle) {
  const uint64_t number = handle_of(handle);
  return number != 0 && number < machine.next_handle ? XPUERR_USEAFCLOSE : XPUERR_INVALID_PARAM;
}

int find_stream(Machine& machine, const Thread& thread, const void* handle, Stream** stream) {
  if (!handle) {
    *stream = &machine.devices[thread.device]->own;
    return 0;
  }
  const auto found = machine.streams.find(handle_of(handle));
  if (found == machine.streams.end()) return stale(machine, handle);
  *stream = found->second.get();
  return (*stream)->device == thread.device ? 0 : XPUERR_INVALID_PARAM;
}

int find_event(Machine& machine, const void* handle, Event** event) {
  const auto found = machine.events.find(handle_of(handle));
  if (found == machine.events.end()) return stale(machine, handle);
  *event = &found->second;
  return 0;
}

// ---- copies

struct Copy {
  void* to;
  const void* from;
  uint64_t bytes;
  XPUMemcpyKind kind;
};

// Finds both ends of a copy on one device. False when one is not what it must be.
bool resolve(const Machine& machine, int device, const Copy& copy, std::byte** to, const std::byte** from) {
  const bool to_host = copy.kind == XPU_DEVICE_TO_HOST, from_host = copy.kind == XPU_HOST_TO_DEVICE;
  const Memory& memory = machine.memory;
  if (to_host) {
    *to = memory.covers(handle_of(copy.to)) ? nullptr : static_cast<std::byte*>(copy.to);
  } else {
    *to = memory.find(device, handle_of(copy.to), copy.bytes);
  }
  if (from_host) {
    *from = memory.covers(handle_of(copy.from)) ? nullptr : static_cast<const std::byte*>(copy.from);
  } else {
    *from = memory.find(device, handle_of(copy.from), copy.bytes);
  }
  return *to && *from;
}

double copy_ns(const Machine& machine, const Copy& copy) {
  const Generation& generation = *machine.generation;
  double gbps = generation.memory_gbps / 2;  // each byte is read and written
  if (copy.kind != XPU_DEVICE_TO_DEVICE) {
    const void* host = copy.kind == XPU_DEVICE_TO_HOST ? copy.to : copy.from;
    const double rate = machine.memory.pinned(host, copy.bytes) ? 1.0 : machine.costs.pageable_rate.value;
    gbps = generation.host_gbps * rate;
  }
  return machine.costs.copy_setup + static_cast<double>(copy.bytes) / gbps;
}

int do_copy(const Machine& machine, int device, const Copy& copy, Effort* effort) {
  std::byte* to = nullptr;
  const std::byte* from = nullptr;
  if (!resolve(machine, device, copy, &to, &from)) return XPUERR_DMAABORT;  // freed since it was queued
  std::memmove(to, from, copy.bytes);
  effort->setup_ns = copy_ns(machine, copy);
  return 0;
}

bool known(XPUMemcpyKind kind) {
  return kind == XPU_DEVICE_TO_HOST || kind == XPU_HOST_TO_DEVICE || kind == XPU_DEVICE_TO_DEVICE;
}

bool valid(const Machine& machine, int device, const Copy& copy) {
  std::byte* to = nullptr;
  const std::byte* from = nullptr;
  return known(copy.kind) && resolve(machine, device, copy, &to, &from);
}

int wait_stream(Machine& machine, Thread& thread, Device& device, Stream& stream) {
  if (!machine.run(stream)) return kStuck;
  thread.now_ns = std::max(thread.now_ns, stream.now_ns);
  const int error = std::exchange(stream.error, 0);
  if (const int failure = Machine::report(device)) return failure;
  return error;
}

void submit(Machine& machine, Thread& thread, Stream& stream, Command command) {
  thread.now_ns += machine.costs.launch_call;
  command.issued_ns = thread.now_ns;
  machine.submit(stream, std::move(command));
}

struct Shape {
  int clusters, cores;
  std::vector<std::byte> arguments;
};

using Body = std::function<int(const Launch&, Effort*)>;  // returns what Command::work does

// `body` as the work of a command.
std::function<int(Effort*)> as_work(const Machine& machine, int device, const std::string& name, Shape shape,
                                    Body body) {
  return [&machine, device, name, shape = std::move(shape), body = std::move(body)](Effort* effort) {
    const auto memory = [&](uint64_t address, uint64_t bytes) { return machine.memory.find(device, address, bytes); };
    const auto in_l3 = [&](uint64_t address) { return machine.memory.kind(address) == XPU_MEM_L3; };
    const Launch launch{name.c_str(), *machine.generation, machine.costs, shape.clusters,
                        shape.cores,  shape.arguments,     memory,        in_l3};
    return body(launch, effort);
  };
}

// Queues a kernel.
void launch(Machine& machine, Thread& thread, Device& device, Stream& stream, const std::string& name, Shape shape,
            std::function<Effort(const Launch&)> work) {
  const auto body = [&device, name, work = std::move(work)](const Launch& launch, Effort* effort) -> int {
    const double begin_ns = effort->begin_ns;
    try {
      *effort = work(launch);
    } catch (const KernelFault& fault) {
      device.text = name + ": " + fault.what();
      return XPUERR_KEXCEPTION;
    }
    effort->begin_ns = begin_ns;
    device.last_kernel_ns = effort->work_ns;
    return 0;
  };
  Command command;
  command.work = as_work(machine, thread.device, name, std::move(shape), body);
  submit(machine, thread, stream, std::move(command));
}

// Queues `make(machine, device)` on a stream, after the checks of launch_work.
template <class Make>
int launch_checked(void* stream, std::span<const Span> memory, size_t* wrong, Make make) {
  return call_device([&](Machine& machine, Thread& thread, Device& device) -> int {
    *wrong = memory.size();
    Stream* queue = nullptr;
    if (const int code = find_stream(machine, thread, stream, &queue)) return code;
    if (const int code = Machine::report(device)) return code;
    for (size_t i = 0; i < memory.size(); ++i) {
      if (machine.memory.find(thread.device, memory[i].address, memory[i].bytes)) continue;
      *wrong = i;
      return XPUERR_INVALID_PARAM;
    }
    make(machine, thread, device, *queue);
    return 0;
  });
}

}  // namespace

int launch_work(const std::string& name, void* stream, std::span<const Span> memory,
                std::function<Effort(const Launch&)> work, size_t* wrong) {
  return launch_checked(stream, memory, wrong, [&](Machine& machine, Thread& thread, Device& device, Stream& queue) {
    const Generation& generation = *machine.generation;
    launch(machine, thread, device, queue, name, {generation.clusters, generation.cores, {}}, std::move(work));
  });
}

int launch_meeting(const std::string& name, void* stream, std::span<const Span> memory,
                   std::function<int(const Launch&, Effort*, std::string*)> advance, size_t* wrong) {
  return launch_checked(stream, memory, wrong, [&](Machine& machine, Thread& thread, Device& device, Stream& queue) {
    Command command;
    command.meets = true;
    command.work = as_work(machine, thread.device, name, {0, 0, {}},
                           [&device, advance = std::move(advance)](const Launch& launch, Effort* effort) {
                             return advance(launch, effort, &device.text);
                           });
    submit(machine, thread, queue, std::move(command));
  });
}

const Generation* current_generation() {
  const Generation* generation = nullptr;
  call_device([&](Machine& machine, Thread&, Device&) {
    generation = machine.generation;
    return 0;
  });
  return generation;
}

}  // namespace trireme::xpu

using namespace trireme::xpu;  // the functions of C stand outside of it

extern "C" {

// ---- devices

int DEVICE_SIMULATOR(int devid) {  // NOLINT(readability-identifier-naming): its public name
  return devid < 0 || devid >= MAX_DEVICE_NUM ? devid : devid + MAX_DEVICE_NUM;
}

int xpu_get_runtime_version(uint32_t* major, uint32_t* minor) {
  if (!major || !minor) return -XPUERR_INVALID_PARAM;
  *major = kRuntimeMajor;
  *minor = kRuntimeMinor;
  return 0;
}

int xpu_set_device(int devid) {
  return call([&](Machine& machine, Thread& thread) -> int {
    const int number = ordinal(machine, devid);
    if (number < 0) return machine.devices.empty() ? XPUERR_NODEV : XPUERR_INVALID_DEVICE;
    thread.device = number;
    return 0;
  });
}

int xpu_current_device(int* devid) {
  if (!devid) return -XPUERR_INVALID_PARAM;
  return call_device([&](Machine&, Thread& thread, Device&) {
    *devid = thread.device;
    return 0;
  });
}

int xpu_device_count(int* count) {
  if (!count) return -XPUERR_INVALID_PARAM;
  return call([&](Machine& machine, Thread&) {
    *count = static_cast<int>(machine.devices.size());
    return 0;
  });
}

int xpu_device_list(int* devids) {
  if (!devids) return -XPUERR_INVALID_PARAM;
  return call([&](Machine& machine, Thread&) {
    for (size_t i = 0; i < machine.devices.size(); ++i) devids[i] = machine.devices[i]->physical;
    return 0;
  });
}

int xpu_device_get_attr(uint64_t* value, XPUDeviceAttr attribute, int devid) {
  if (!value) return -XPUERR_INVALID_PARAM;
  return call_named(devid, [&](Machine& machine, Device& device, int) -> int {
    const Generation& generation = *machine.generation;
    const int on_board = generation.devices / generation.boards;
    switch (attribute) {
      case XPUATTR_PCI_ADDRESS: *value = static_cast<uint64_t>(16 + device.physical) << 8; return 0;
      case XPUATTR_DEVID: *value = device.physical; return 0;
      case XPUATTR_BOARDID: *value = device.physical / on_board; return 0;
      case XPUATTR_ONBOARDID: *value = device.physical % on_board; return 0;
      case XPUATTR_MODEL: *value = generation.model; return 0;
      case XPUATTR_MEM_MAIN_CAPACITY: *value = static_cast<uint64_t>(generation.memory_bytes); return 0;
      case XPUATTR_MEM_L3_CAPACITY: *value = static_cast<uint64_t>(generation.l3_bytes); return 0;
      case XPUATTR_NUM_CLUSTER: *value = generation.clusters; return 0;
      case XPUATTR_NUM_SDNN: *value = generation.sdnn; return 0;
      case XPUATTR_NUM_DMACH:
      case XPUATTR_NUM_HWQ:
      case XPUATTR_NUM_ENC:
      case XPUATTR_NUM_DEC:
      case XPUATTR_NUM_IMGPROC: return XPUERR_NOSUPPORT;
    }
    return XPUERR_INVALID_PARAM;
  });
}

int xpu_get_ccix_peer_id(int devid, int port, int* peer) {
  if (!peer || port < 0 || port > 3) return -XPUERR_INVALID_PARAM;
  return call_named(devid, [&](Machine& machine, Device& device, int) {
    *peer = -1;
    const Generation& generation = *machine.generation;
    if (generation.card_gbps == 0) return 0;
    // Two rings. That both have the same order is assumed.
    const int step = port % 2 == 0 ? 1 : generation.devices - 1;
    const int physical = (device.physical + step) % generation.devices;
    for (size_t i = 0; i < machine.devices.size(); ++i) {
      if (machine.devices[i]->physical == physical) *peer = static_cast<int>(i);
    }
    return 0;
  });
}

// ---- memory

int xpu_malloc(void** pointer, uint64_t bytes, XPUMemoryKind kind) {
  if (!pointer || bytes == 0) return -XPUERR_INVALID_PARAM;
  return call_device([&](Machine& machine, Thread& thread, Device&) -> int {
    if (kind == XPU_MEM_MMAPPABLE) return XPUERR_NOSUPPORT;
    if (kind != XPU_MEM_MAIN && kind != XPU_MEM_L3) return XPUERR_INVALID_PARAM;
    const Generation& generation = *machine.generation;
    const auto capacity = static_cast<uint64_t>(kind == XPU_MEM_L3 ? generation.l3_bytes : generation.memory_bytes);
    if (bytes > capacity - machine.memory.usage(thread.device, kind).bytes) return XPUERR_NOMEM;
    const uint64_t address = machine.memory.alloc(thread.device, kind, bytes);
    if (!address) return XPUERR_NOCPUMEM;
    *pointer = reinterpret_cast<void*>(address);
    return 0;
  });
}

int xpu_free(void* pointer) {
  return call_device([&](Machine& machine, Thread& thread, Device&) -> int {
    return machine.memory.free(thread.device, handle_of(pointer)) ? 0 : XPUERR_INVALID_PARAM;
  });
}

int xpu_host_alloc(void** pointer, uint64_t bytes, unsigned int flags) {
  if (!pointer || bytes == 0 || flags != 0) return -XPUERR_INVALID_PARAM;
  return call([&](Machine& machine, Thread&) -> int {
    *pointer = machine.memory.alloc_host(bytes);
    return *pointer ? 0 : XPUERR_NOCPUMEM;
  });
}

int xpu_host_free(void* pointer) {
  return call(
      [&](Machine& machine, Thread&) -> int { return machine.memory.free_host(pointer) ? 0 : XPUERR_INVALID_PARAM; });
}

int xpu_host_register(void* pointer, uint64_t bytes, unsigned int flags) {
  if (!pointer || bytes == 0 || flags != 0) return -XPUERR_INVALID_PARAM;
  return call([&](Machine& machine, Thread&) -> int {
    return machine.memory.pin(pointer, bytes) ? 0 : XPUERR_HOSTMEM_ALREADY_REGISTERED;
  });
}

int xpu_host_unregister(void* pointer) {
  return call(
      [&](Machine& machine, Thread&) -> int { return machine.memory.unpin(pointer) ? 0 : XPUERR_INVALID_PARAM; });
}

int xpu_memcpy(void* to, const void* from, uint64_t bytes, XPUMemcpyKind kind) {
  return call_device([&](Machine& machine, Thread& thread, Device& device) -> int {
    const Copy copy{to, from, bytes, kind};
    if (!known(kind)) return XPUERR_INVALID_PARAM;
    if (kind == XPU_DEVICE_TO_HOST) {
      if (const int code = wait_stream(machine, thread, device, device.own)) return code;
    }
    if (bytes == 0) return 0;
    if (!valid(machine, thread.device, copy)) return XPUERR_INVALID_PARAM;
    Effort effort;
    const int code = machine.perform(
        device, [&](Effort* cost) { return do_copy(machine, thread.device, copy, cost); }, &effort);
    thread.now_ns += effort.setup_ns;
    return code && device.failure ? Machine::report(device) : code;
  });
}

int xpu_memcpy_async(void* to, const void* from, uint64_t bytes, XPUMemcpyKind kind, XPUStream stream) {
  return call_device([&](Machine& machine, Thread& thread, Device& device) -> int {
    Stream* queue = nullptr;
    if (const int code = find_stream(machine, thread, stream, &queue)) return code;
    if (const int code = Machine::report(device)) return code;
    const Copy copy{to, from, bytes, kind};
    if (bytes == 0 && known(kind)) return 0;
    if (!valid(machine, thread.device, copy)) return XPUERR_INVALID_PARAM;
    Command command;
    command.work = [&machine, copy, number = thread.device](Effort* cost) {
      return do_copy(machine, number, copy, cost);
    };
    submit(machine, thread, *queue, std::move(command));
    return 0;
  });
}

int xpu_memcpy_peer(int to_device, void* to, int from_device, const void* from, uint64_t bytes) {
  return call([&](Machine& machine, Thread& thread) -> int {
    const int target = ordinal(machine, to_device), source = ordinal(machine, from_device);
    if (target < 0 || source < 0) return machine.devices.empty() ? XPUERR_NODEV : XPUERR_INVALID_DEVICE;
    if (bytes == 0) return 0;
    std::byte* destination = machine.memory.find(target, handle_of(to), bytes);
    const std::byte* origin = machine.memory.find(source, handle_of(from), bytes);
    if (!destination || !origin) return XPUERR_INVALID_PARAM;
    std::memmove(destination, origin, bytes);
    const Generation& generation = *machine.generation;
    // Without links between cards the bytes go over the host.
    const double gbps = generation.card_gbps > 0 ? generation.card_gbps.value : generation.host_gbps / 2;
    thread.now_ns += machine.costs.copy_setup + static_cast<double>(bytes) / gbps;
    return 0;
  });
}

// ---- streams and events

int xpu_stream_create(XPUStream* stream) {
  if (!stream) return -XPUERR_INVALID_PARAM;
  return call_device([&](Machine& machine, Thread& thread, Device&) {
    *stream = make_handle(machine);
    auto made = std::make_unique<Stream>();
    made->device = thread.device;
    machine.streams[handle_of(*stream)] = std::move(made);
    return 0;
  });
}

int xpu_stream_destroy(XPUStream stream) {
  if (!stream) return -XPUERR_INVALID_PARAM;
  return call_device([&](Machine& machine, Thread& thread, Device& device) -> int {
    Stream* found = nullptr;
    if (const int code = find_stream(machine, thread, stream, &found)) return code;
    const int code = wait_stream(machine, thread, device, *found);
    if (code == kStuck) return code;
    machine.streams.erase(handle_of(stream));
    return code;
  });
}

int xpu_wait(XPUStream stream) {
  return call_device([&](Machine& machine, Thread& thread, Device& device) -> int {
    Stream* found = nullptr;
    if (const int code = find_stream(machine, thread, stream, &found)) return code;
    return wait_stream(machine, thread, device, *found);
  });
}

int xpu_event_create(XPUEvent* event) {
  if (!event) return -XPUERR_INVALID_PARAM;
  return call_device([&](Machine& machine, Thread&, Device&) {
    *event = make_handle(machine);
    machine.events[handle_of(*event)] = {};
    return 0;
  });
}

int xpu_event_destroy(XPUEvent event) {
  return call([&](Machine& machine, Thread&) -> int {
    return machine.events.erase(handle_of(event)) ? 0 : stale(machine, event);
  });
}

int xpu_event_record(XPUEvent event, XPUStream stream) {
  return call_device([&](Machine& machine, Thread& thread, Device& device) -> int {
    Stream* queue = nullptr;
    Event* found = nullptr;
    if (const int code = find_stream(machine, thread, stream, &queue)) return code;
    if (const int code = find_event(machine, event, &found)) return code;
    if (const int code = Machine::report(device)) return code;
    Command command;
    command.record = found->mark = std::make_shared<Mark>(Mark{queue, queue->device});
    submit(machine, thread, *queue, std::move(command));
    return 0;
  });
}

int xpu_event_wait(XPUEvent event) {
  return call([&](Machine& machine, Thread& thread) -> int {
    Event* found = nullptr;
    if (const int code = find_event(machine, event, &found)) return code;
    if (!found->mark) return 0;
    if (!machine.run(*found->mark)) return kStuck;
    thread.now_ns = std::max(thread.now_ns, found->mark->time_ns);
    return Machine::report(*machine.devices[found->mark->device]);
  });
}

int xpu_event_query(XPUEvent event) {
  return call([&](Machine& machine, Thread& thread) -> int {
    Event* found = nullptr;
    if (const int code = find_event(machine, event, &found)) return code;
    if (!found->mark) return 0;
    if (!found->mark->done) machine.step(*found->mark->stream);  // the device goes on while the host asks
    if (!found->mark->done) return XPUERR_BUSY;
    thread.now_ns = std::max(thread.now_ns, found->mark->time_ns);
    return Machine::report(*machine.devices[found->mark->device]);
  });
}

int xpu_stream_wait_event(XPUStream stream, XPUEvent event) {
  return call_device([&](Machine& machine, Thread& thread, Device& device) -> int {
    Stream* queue = nullptr;
    Event* found = nullptr;
    if (const int code = find_stream(machine, thread, stream, &queue)) return code;
    if (const int code = find_event(machine, event, &found)) return code;
    if (const int code = Machine::report(device)) return code;
    if (!found->mark) return 0;
    Command command;
    command.wait = found->mark;
    submit(machine, thread, *queue, std::move(command));
    return 0;
  });
}

// ---- launches

int xpu_create_cl_func(XPUFunc* function, uint64_t code, uint32_t code_bytes, uint32_t start, uint32_t parameter_dwords,
                       uint64_t, const char* name, bool on_xpu) {
  const auto* kernel = reinterpret_cast<const KernelCode*>(code);
  const bool fits = code != 0 && code % alignof(KernelCode) == 0 && code_bytes == sizeof(KernelCode) && start == 0;
  if (!function || !fits || kernel->magic != KernelCode::kMagic || parameter_dwords > kMaxArguments / 4) {
    return -XPUERR_INVALID_PARAM;
  }
  if (on_xpu) return -XPUERR_NOSUPPORT;
  return call([&](Machine& machine, Thread&) {
    for (const auto& [handle, known] : machine.functions) {
      *function = reinterpret_cast<void*>(handle);
      if (known.code == kernel && known.parameter_bytes == parameter_dwords * 4) return 0;
    }
    *function = make_handle(machine);
    machine.functions[handle_of(*function)] = {kernel, parameter_dwords * 4, name ? name : "kernel"};
    return 0;
  });
}

int xpu_launch_config(int clusters, int cores, XPUStream stream) {
  return call_device([&](Machine& machine, Thread& thread, Device&) -> int {
    thread.clusters = 0;
    thread.arguments.clear();
    const int all = machine.generation->cores;
    if (clusters < 1 || clusters > kMaxClusters) return XPUERR_INVALID_PARAM;
    if (cores != all && cores != 16) return XPUERR_INVALID_PARAM;
    Stream* found = nullptr;
    if (const int code = find_stream(machine, thread, stream, &found)) return code;
    thread.stream = stream;
    thread.clusters = clusters;
    thread.cores = cores;
    return 0;
  });
}

int xpu_launch_argument_set(const void* argument, size_t bytes, size_t offset) {
  if (!argument || offset % 4 != 0 || offset > kMaxArguments || bytes > kMaxArguments - offset) {
    return -XPUERR_INVALID_PARAM;
  }
  return call_device([&](Machine& machine, Thread& thread, Device&) -> int {
    if (thread.clusters == 0) return XPUERR_INVALID_PARAM;
    if (machine.generation->architecture >= 3 && bytes == 8 && offset % 8 != 0) return XPUERR_INVALID_PARAM;
    const size_t end = offset + (bytes + 3) / 4 * 4;
    if (thread.arguments.size() < end) thread.arguments.resize(end);
    std::memcpy(thread.arguments.data() + offset, argument, bytes);
    std::fill(thread.arguments.begin() + offset + bytes, thread.arguments.begin() + end, std::byte{0});
    return 0;
  });
}

int xpu_launch_async(XPUFunc function) {
  return call_device([&](Machine& machine, Thread& thread, Device& device) -> int {
    const int clusters = std::exchange(thread.clusters, 0);
    const auto arguments = std::exchange(thread.arguments, {});
    const auto found = machine.functions.find(handle_of(function));
    if (found == machine.functions.end()) return XPUERR_NOXPUFUNC;
    const Function& kernel = found->second;
    Stream* queue = nullptr;
    if (const int code = find_stream(machine, thread, thread.stream, &queue)) return code;
    if (const int code = Machine::report(device)) return code;
    if (clusters == 0 || arguments.size() != kernel.parameter_bytes) return XPUERR_INVALID_PARAM;
    const auto work = [&machine, &kernel](const Launch& launch) {
      const double ns = kernel.code->run(launch, kernel.code->context);
      const double clusters = std::min(1.0, static_cast<double>(launch.clusters) / machine.generation->clusters);
      return Effort{machine.costs.launch, ns, {.clusters = clusters}, ns};
    };
    launch(machine, thread, device, *queue, kernel.name, {clusters, thread.cores, arguments}, work);
    return 0;
  });
}

int xpu_last_kernel_exec_time(uint64_t* ns) {
  if (!ns) return -XPUERR_INVALID_PARAM;
  return call_device([&](Machine&, Thread&, Device& device) {
    *ns = static_cast<uint64_t>(std::llround(device.last_kernel_ns));
    return 0;
  });
}

// ---- the simulator

int xpusim_clock(uint64_t* ns) {
  if (!ns) return -XPUERR_INVALID_PARAM;
  return call([&](Machine&, Thread& thread) {
    *ns = static_cast<uint64_t>(std::llround(thread.now_ns));
    return 0;
  });
}

int xpusim_event_time(XPUEvent event, uint64_t* ns) {
  if (!ns) return -XPUERR_INVALID_PARAM;
  return call([&](Machine& machine, Thread&) -> int {
    Event* found = nullptr;
    if (const int code = find_event(machine, event, &found)) return code;
    if (!found->mark) return XPUERR_INVALID_PARAM;
    if (!found->mark->done) return XPUERR_BUSY;
    *ns = static_cast<uint64_t>(std::llround(found->mark->time_ns));
    return 0;
  });
}

int xpusim_memory_usage(int devid, XPUMemoryKind kind, uint64_t* blocks, uint64_t* bytes) {
  if (!blocks || !bytes) return -XPUERR_INVALID_PARAM;
  return call_named(devid, [&](Machine& machine, Device&, int number) {
    const Memory::Usage usage = machine.memory.usage(number, kind);
    *blocks = usage.blocks;
    *bytes = usage.bytes;
    return 0;
  });
}

int xpusim_handles(uint64_t* streams, uint64_t* events) {
  if (!streams || !events) return -XPUERR_INVALID_PARAM;
  return call([&](Machine& machine, Thread&) {
    *streams = machine.streams.size();
    *events = machine.events.size();
    return 0;
  });
}

int xpusim_fail_next(int devid, int code) {
  return call_named(devid, [&](Machine&, Device& device, int) {
    device.fail_next = std::abs(code);
    return 0;
  });
}

const char* xpusim_fault_text(int devid) {
  const char* text = "";
  call_named(devid, [&](Machine&, Device& device, int) {
    text = device.text.c_str();
    return 0;
  });
  return text;
}

int xpusim_device_reset(int devid) {
  return call_named(devid, [&](Machine& machine, Device& device, int number) -> int {
    device.failure = XPUERR_DEVRESET;  // so that what is queued is dropped
    if (!machine.run(device.own)) return kStuck;
    device.own.error = 0;
    for (const auto& [handle, stream] : machine.streams) {
      if (stream->device != number) continue;
      if (!machine.run(*stream)) return kStuck;
      stream->error = 0;
    }
    device.failure = device.fail_next = 0;
    device.text.clear();
    machine.memory.scramble(number);
    return 0;
  });
}

void xpusim_restart(void) {
  World& all = world();
  std::lock_guard lock(all.mutex);
  all.machine.reset();
  ++all.restart;
}

}  // extern "C"
