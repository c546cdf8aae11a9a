#include "trireme/runtime/host.h"

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/base/log.h"
#include "trireme/base/thread_pool.h"
#include "trireme/runtime/program.h"
#include "trireme/runtime/trace.h"

namespace trireme::runtime {

namespace {

void write_log(uint32_t level, const char* text) {
  switch (level) {
    case TRM_LOG_DEBUG: return log_debug(text);
    case TRM_LOG_INFO: return log_info(text);
    case TRM_LOG_WARN: return log_warn(text);
    default: return log_error(text);
  }
}

// The key-value store of this process; a launcher of many processes replaces it by a shared one.
struct Store {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, std::vector<std::byte>> values;
  static Store& instance() {
    static auto* store = new Store;
    return *store;
  }
};

int32_t put(const char* key, const void* value, uint64_t bytes) {
  Store& store = Store::instance();
  const auto* begin = static_cast<const std::byte*>(value);
  const std::lock_guard lock(store.mutex);
  store.values[key].assign(begin, begin + bytes);
  store.changed.notify_all();
  return TRM_OK;
}

int32_t get(const char* key, void* value, uint64_t* bytes, uint64_t timeout_ms) {
  Store& store = Store::instance();
  std::unique_lock lock(store.mutex);
  const bool there =
      store.changed.wait_for(lock, std::chrono::milliseconds(timeout_ms), [&] { return store.values.contains(key); });
  if (!there) return TRM_TIMEOUT;
  const auto& found = store.values.at(key);
  if (*bytes < found.size()) {
    *bytes = found.size();
    return TRM_INVALID;
  }
  *bytes = found.size();
  if (!found.empty()) std::memcpy(value, found.data(), found.size());
  return TRM_OK;
}

void* allocate(uint64_t bytes, uint64_t alignment) {
  const uint64_t rounded = (bytes + alignment - 1) / alignment * alignment;
  return std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
}

void run_parallel(uint64_t count, uint64_t grain, void (*body)(void*, uint64_t, uint64_t), void* context) {
  ThreadPool::shared().parallel_for(count, grain, body, context);
}

const void* extension(const char* name, uint32_t min_version) {
  if (std::string_view(name) == "trireme.evaluate" && min_version <= 1) return &evaluate_service();
  return nullptr;
}

}  // namespace

const TrmHost& host_services() {
  static const TrmHost host = {
      .struct_size = sizeof(TrmHost),
      .abi_minor = TRM_ABI_MINOR,
      .log = write_log,
      .trace_emit = emit_device_row,
      .kv_put = put,
      .kv_get = get,
      .host_alloc = allocate,
      .host_free = [](void* memory) { std::free(memory); },
      .parallel_for = run_parallel,
      .threads = [] { return ThreadPool::shared().threads(); },
      .program = &program_reader(),
      .get_ext = extension,
  };
  return host;
}

}  // namespace trireme::runtime
