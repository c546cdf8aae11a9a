#include "chips/kunlun/virtual/xre/machine.h"

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <functional>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include "xpu/defs.h"

namespace trireme::xpu {
namespace {

bool parse(std::string_view text, int* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size() && *value >= 0;
}

// False when the variable has a value that is not a number.
bool read_cycles(const char* name, Figure* figure) {
  const char* text = std::getenv(name);
  if (!text) return true;
  int cycles = 0;
  if (!parse(text, &cycles)) return false;
  figure->value = cycles;
  return true;
}

bool sticky(int code) { return code == XPUERR_KEXCEPTION || code == XPUERR_TIMEOUT || code == XPUERR_DMATIMEOUT; }

}  // namespace

Machine::Machine() : costs(default_costs()) {
  configure();
  if (!generation) problem = XPUERR_SIMULATOR;
}

void Machine::configure() {
  const char* model = std::getenv("XPUSIM_DEVICE_MODEL");
  std::string_view name = model ? model : "KUNLUN2";
  if (name == "KUNLUN1") name = "K200";
  if (name == "KUNLUN2") name = "R200";
  const Generation* found = find_generation(name);
  const char* mode = std::getenv("XPUSIM_SIMULATOR_MODE");
  if (!found || (mode && std::string_view(mode) != "FUNCTION") ||
      !read_cycles("XPUSIM_HBM_READ_LATENCY", &costs.read_cycles) ||
      !read_cycles("XPUSIM_HBM_WRITE_LATENCY", &costs.write_cycles)) {
    return;
  }
  std::vector<int> visible;
  const char* chosen = std::getenv("XPU_VISIBLE_DEVICES");
  for (int i = 0; !chosen && i < found->devices; ++i) visible.push_back(i);
  std::string_view rest = chosen ? chosen : "";
  while (!rest.empty()) {  // as with other chips, what cannot be read ends the list
    const size_t comma = rest.find(',');
    int id = 0;
    if (!parse(rest.substr(0, comma), &id) || id >= found->devices) break;
    if (std::find(visible.begin(), visible.end(), id) != visible.end()) break;
    visible.push_back(id);
    rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
  }
  for (const int id : visible) {
    auto device = std::make_unique<Device>();
    device->physical = id;
    device->own.device = static_cast<int>(devices.size());
    devices.push_back(std::move(device));
  }
  generation = found;
}

namespace {

// The thread that does what devices do, so that a program which waits spends no time of its own on it. It lasts as long
// as the process.
class Silicon {
 public:
  static void run(const std::function<void()>& job) {
    static auto* silicon = new Silicon;
    if (inside_) return job();
    std::unique_lock lock(silicon->mutex_);
    silicon->job_ = &job;
    silicon->changed_.notify_all();
    silicon->changed_.wait(lock, [&] { return silicon->job_ == nullptr; });
    if (const auto thrown = std::exchange(silicon->thrown_, nullptr)) std::rethrow_exception(thrown);
  }

 private:
  Silicon() {
    std::thread([this] {
      inside_ = true;
      std::unique_lock lock(mutex_);
      for (;;) {
        changed_.wait(lock, [this] { return job_ != nullptr; });
        try {
          (*job_)();
        } catch (...) {
          thrown_ = std::current_exception();
        }
        job_ = nullptr;
        changed_.notify_all();
      }
    }).detach();
  }

  static inline thread_local bool inside_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<void()>* job_ = nullptr;
  std::exception_ptr thrown_;
};

}  // namespace

void Machine::submit(Stream& stream, Command command) {
  stream.meetings += command.meets;
  stream.queue.push_back(std::move(command));
  if (stream.queue.size() > kQueue) {
    Silicon::run([&] { step(stream); });
  }
}

bool Machine::run(Stream& stream) {
  if (stream.queue.empty()) return true;
  Silicon::run([&] {
    while (!stream.queue.empty() && (step(stream) || step_others(stream))) {
    }
  });
  return stream.queue.empty();
}

bool Machine::run(const Mark& mark) {
  if (mark.done) return true;
  Silicon::run([&] {
    while (!mark.done && (step(*mark.stream) || step_others(*mark.stream))) {
    }
  });
  return mark.done;
}

// Streams of a device go on by themselves; here those do whose commands one that is stuck may wait for.
bool Machine::step_others(const Stream& stream) {
  bool moved = false;
  const auto go_on = [&](Stream& other) {
    while (&other != &stream && other.meetings > 0 && !other.queue.empty() && step(other)) moved = true;
  };
  for (const auto& device : devices) go_on(device->own);
  for (const auto& [handle, other] : streams) go_on(*other);
  return moved;
}

bool Machine::step(Stream& stream) {
  if (stream.queue.empty()) return true;
  Command command = std::move(stream.queue.front());
  stream.queue.pop_front();
  const auto put_back = [&] { stream.queue.push_front(std::move(command)); };
  Device& device = *devices[stream.device];
  stream.now_ns = std::max(stream.now_ns, command.issued_ns);
  if (command.wait) {
    while (!command.wait->done) {
      if (step(*command.wait->stream)) continue;
      put_back();
      return false;
    }
    stream.now_ns = std::max(stream.now_ns, command.wait->time_ns);
  } else if (command.record) {
    stream.now_ns += costs.event;
    command.record->done = true;
    command.record->time_ns = stream.now_ns;
  } else if (!device.failure) {
    Effort effort;
    effort.begin_ns = stream.now_ns;
    const int code = perform(device, command.work, &effort);
    if (code == kMoved || code == kStuck) {
      put_back();
      return code == kMoved;
    }
    stream.now_ns = std::max(stream.now_ns, effort.begin_ns);
    if (code && !device.failure && !stream.error) stream.error = code;
    stream.now_ns = device.occupancy.place(stream.now_ns + effort.setup_ns, effort.busy_ns, effort.share);
  }
  stream.meetings -= command.meets;
  return true;
}

int Machine::perform(Device& device, const std::function<int(Effort*)>& work, Effort* effort) {
  int code = device.fail_next;
  if (code) {
    device.fail_next = 0;
    device.text = "provoked";
  } else {
    code = work(effort);
  }
  if (sticky(code)) {
    device.failure = code;
    device.reported = false;
  }
  return code;
}

int Machine::report(Device& device) {
  if (!device.failure) return 0;
  if (device.reported) return XPUERR_ABNORMAL;
  device.reported = true;
  return device.failure;
}

}  // namespace trireme::xpu
