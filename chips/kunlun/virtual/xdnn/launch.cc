#include "chips/kunlun/virtual/xdnn/launch.h"

#include <algorithm>
#include <cstdio>

#include "trireme/base/thread_pool.h"

namespace baidu::xpu::api {
namespace {

thread_local std::string last_error;

}  // namespace

const char* xdnn_last_error() { return last_error.c_str(); }

namespace detail {
namespace {

using trireme::xpu::Effort;
using trireme::xpu::Generation;
using trireme::xpu::Launch;

double sdnn_rate(const Generation& generation, Arithmetic arithmetic) {  // operations a nanosecond
  switch (arithmetic) {
    case Arithmetic::kInt8: return generation.int8_tops * 1e3;
    case Arithmetic::kHalf: return generation.fp16_tops * 1e3;
    default: return generation.fp32_tops * 1e3;
  }
}

// The formula of xpu/xdnn.h.
Effort effort_of(const Launch& launch, const Work& work, const std::vector<Operand>& operands, double clusters,
                 double sdnn) {
  const Generation& generation = launch.generation;
  double gm_bytes = 0, l3_bytes = 0, weight_ns = 0;
  for (const Operand& operand : operands) {
    if (!operand.pointer) continue;
    const bool in_l3 = launch.in_l3(reinterpret_cast<uint64_t>(operand.pointer));
    if (operand.weight) {
      weight_ns += launch.costs.weight_factor * operand.touched / (in_l3 ? generation.l3_gbps : generation.memory_gbps);
    } else {
      (in_l3 ? l3_bytes : gm_bytes) += operand.touched;
    }
  }
  const double data_ns = std::max(gm_bytes / generation.memory_gbps, l3_bytes / generation.l3_gbps);
  const double lanes = launch.costs.vector_lanes * generation.clusters * generation.cores * clusters;
  const double vector_ns = work.vector_ops * launch.costs.vector_cycles / (lanes * generation.clock_ghz);
  const double peak_ns = work.operations / (sdnn_rate(generation, work.arithmetic) * sdnn);
  const double compute_ns = launch.costs.operation_factor * peak_ns;
  const double product_ns = std::max(weight_ns + compute_ns, peak_ns - launch.costs.launch);
  const double stream_ns = std::max(data_ns, vector_ns);
  const double pass_ns = work.pass_bytes / generation.memory_gbps;

  Effort effort;
  effort.setup_ns = launch.costs.launch;
  effort.busy_ns = product_ns + std::max(0.0, stream_ns + pass_ns - effort.setup_ns);
  effort.work_ns = weight_ns + std::max(compute_ns, peak_ns) + stream_ns + pass_ns;
  if (effort.busy_ns > 0) {
    const double memory_ns = weight_ns + gm_bytes / generation.memory_gbps + pass_ns;
    effort.share = {.clusters = work.operations > 0 ? 0 : clusters,
                    .sdnn = work.operations > 0 ? sdnn : 0,
                    .memory = std::min(1.0, memory_ns / effort.busy_ns)};
  }
  return effort;
}

int run_on_host(const char* op, const std::function<void(const Resolve&)>& run) {
  try {
    run([](const void* pointer, int64_t) { return static_cast<std::byte*>(const_cast<void*>(pointer)); });
  } catch (const Fault& fault) {
    return refuse(op, RUNTIME_ERROR, fault.what());
  }
  return SUCCESS;
}

}  // namespace

int refuse(const char* op, Error_t code, const std::string& rule) {
  last_error = cat(op, ": ", rule);
  return code;
}

int launch_operands(Context* ctx, const char* op, const Work& work, DeviceType needs, std::vector<Operand> operands,
                    std::function<void(const Resolve&)> run) {
  XDNN_CHECK(ctx, "the context is null");
  std::vector<trireme::xpu::Span> spans;
  bool anything = false;
  for (size_t i = 0; i < operands.size(); ++i) {
    Operand& operand = operands[i];
    XDNN_CHECK(operand.bytes >= 0, "tensor ", i, " has a negative number of elements");
    XDNN_CHECK(operand.pointer || operand.optional || operand.bytes == 0, "tensor ", i, " is null");
    anything |= operand.bytes > 0;
    if (operand.bytes == 0) operand.pointer = nullptr;
    if (!operand.pointer) continue;
    spans.push_back({reinterpret_cast<uint64_t>(operand.pointer), static_cast<uint64_t>(operand.bytes)});
  }
  const DeviceType type = ctx->dev().type();
  if (type != kCPU && type < needs) {
    return refuse(op, NOT_IMPLEMENT,
                  cat("the type is there from generation ", static_cast<int>(needs),
                      " on, the device is of generation ", static_cast<int>(type)));
  }
  if (!anything) return SUCCESS;
  if (type == kCPU) return run_on_host(op, run);

  int current = -1;
  xpu_current_device(&current);
  XDNN_CHECK(current == ctx->device(), "the context is of device ", ctx->device(), ", the current device is ", current);
  const auto* generation = trireme::xpu::current_generation();
  XDNN_CHECK(generation, "the device of the context is gone");
  const double clusters = static_cast<double>(ctx->ncluster()) / generation->clusters;
  const double sdnn = static_cast<double>(ctx->nsdnn()) / generation->sdnn;
  const bool print = ctx->debug_level() > 0;
  const auto kernel = [op, work, operands, run = std::move(run), clusters, sdnn, print](const Launch& launch) {
    run([&](const void* pointer, int64_t bytes) -> std::byte* {
      if (!pointer || bytes == 0) return nullptr;
      std::byte* found = launch.memory(reinterpret_cast<uint64_t>(pointer), static_cast<uint64_t>(bytes));
      if (!found) throw Fault("memory was freed before the kernel ran");
      return found;
    });
    const Effort effort = effort_of(launch, work, operands, clusters, sdnn);
    if (print) std::fprintf(stderr, "xdnn: %s %.1f us\n", op, (effort.setup_ns + effort.busy_ns) / 1e3);
    return effort;
  };
  size_t wrong = 0;
  const int code = trireme::xpu::launch_work(op, ctx->xpu_stream, spans, kernel, &wrong);
  if (code == 0) return SUCCESS;
  if (wrong < spans.size()) {
    char address[32];
    std::snprintf(address, sizeof address, "%#llx", static_cast<unsigned long long>(spans[wrong].address));
    return refuse(op, INVALID_PARAM, cat(spans[wrong].bytes, " bytes from ", address, " are no memory of the device"));
  }
  return refuse(op, RUNTIME_ERROR, xpu_strerror(code));
}

void parallel(int64_t count, int64_t grain, const std::function<void(int64_t begin, int64_t end)>& f) {
  trireme::ThreadPool::shared().parallel_for(
      static_cast<uint64_t>(count), static_cast<uint64_t>(grain),
      [&](uint64_t begin, uint64_t end) { f(static_cast<int64_t>(begin), static_cast<int64_t>(end)); });
}

int64_t count_of(const std::vector<int64_t>& shape) {
  constexpr int64_t kMost = int64_t{1} << 48;
  int64_t count = 1;
  bool empty = false;
  for (const int64_t extent : shape) {
    if (extent < 0) return -1;
    if (extent == 0) {
      empty = true;
      continue;
    }
    if (count > kMost / extent) return -1;
    count *= extent;
  }
  return empty ? 0 : count;
}

bool normalize_axis(int64_t* axis, size_t rank) {
  if (*axis < 0) *axis += static_cast<int64_t>(rank);
  return *axis >= 0 && *axis < static_cast<int64_t>(rank);
}

std::string text(const std::vector<int64_t>& values) {
  std::string text = "[";
  for (size_t i = 0; i < values.size(); ++i) text += cat(i ? ", " : "", values[i]);
  return text + "]";
}

Cut cut_at(const std::vector<int64_t>& shape, int64_t axis) {
  Cut cut;
  for (int64_t i = 0; i < static_cast<int64_t>(shape.size()); ++i) {
    (i < axis ? cut.outer : i == axis ? cut.extent : cut.inner) *= shape[i];
  }
  return cut;
}

}  // namespace detail
}  // namespace baidu::xpu::api
