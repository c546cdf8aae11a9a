#include "trireme/runtime/trace.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <vector>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/log.h"
#include "trireme/base/strings.h"

namespace trireme::runtime {

namespace {
std::atomic<bool> active{false};
std::mutex mutex;
std::vector<TraceRow>& rows() {
  static auto* all = new std::vector<TraceRow>;
  return *all;
}
constexpr size_t kMostRows = 1'000'000;

// TRIREME_TRACE=file traces any program from its first plan to its end.
const bool from_environment = [] {
  if (std::getenv("TRIREME_TRACE") == nullptr) return false;
  start_trace();
  std::atexit([] {
    try {
      write_trace(std::getenv("TRIREME_TRACE"));
    } catch (const Error& failure) {
      log_error(failure.what());
    }
  });
  return true;
}();
}  // namespace

uint64_t now_ns() {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

bool tracing() { return active.load(std::memory_order_relaxed); }

void start_trace() {
  const std::lock_guard lock(mutex);
  rows().clear();
  active = true;
}

void emit(TraceRow row) {
  if (!tracing()) return;
  const std::lock_guard lock(mutex);
  if (rows().size() < kMostRows) rows().push_back(std::move(row));
}

void emit_device_row(const TrmTraceRow* row) {
  emit({row->name != nullptr ? row->name : "",
        "device",
        cat("device ", row->device),
        row->begin_ns,
        row->end_ns,
        0,
        0,
        {},
        {}});
}

void write_trace(const std::string& path) {
  std::vector<TraceRow> taken;
  {
    const std::lock_guard lock(mutex);
    active = false;
    taken.swap(rows());
  }
  nlohmann::json events = nlohmann::json::array();
  std::map<std::string, int> processes;
  for (const TraceRow& row : taken) {
    const auto [at, fresh] = processes.try_emplace(row.device, static_cast<int>(processes.size()) + 1);
    if (fresh) {
      events.push_back({{"name", "process_name"}, {"ph", "M"}, {"pid", at->second}, {"args", {{"name", row.device}}}});
    }
    const double us = static_cast<double>(row.end_ns - row.begin_ns) * 1e-3;
    nlohmann::json arguments = {{"shapes", row.shapes}, {"source", row.source}};
    if (row.flops > 0) arguments["GFLOP/s"] = row.flops / (us * 1e3);
    if (row.bytes > 0) arguments["GB/s"] = row.bytes / (us * 1e3);
    events.push_back({{"name", row.name},
                      {"cat", row.category},
                      {"ph", "X"},
                      {"pid", at->second},
                      {"tid", 0},
                      {"ts", static_cast<double>(row.begin_ns) * 1e-3},
                      {"dur", us},
                      {"args", arguments}});
  }
  const std::string text = nlohmann::json{{"traceEvents", events}, {"displayTimeUnit", "ms"}}.dump();
  write_file_atomically(path, text);
}

}  // namespace trireme::runtime
