// Records what ran when, in Chrome's trace format (chrome://tracing, Perfetto). Off unless started, or unless the
// environment says TRIREME_TRACE=file: then any program is traced from its first plan to its end. While on, every step
// of a plan is waited for. The first million rows are kept.
#pragma once

#include <cstdint>
#include <string>

#include "trireme/chip/chip.h"

namespace trireme::runtime {

struct TraceRow {
  std::string name;      // op or region
  std::string category;  // "kernel", "copy", "plan", "wait"
  std::string device;    // becomes the row's process
  uint64_t begin_ns = 0, end_ns = 0;
  double flops = 0.0, bytes = 0.0;
  std::string shapes, source;
};

bool tracing();
void start_trace();
void emit(TraceRow row);
// TrmHost.trace_emit: rows of a chip's own clock.
void emit_device_row(const TrmTraceRow* row);
// Stops and writes the rows as JSON, atomically. Throws kIo.
void write_trace(const std::string& path);

// Monotonic host clock.
uint64_t now_ns();

}  // namespace trireme::runtime
