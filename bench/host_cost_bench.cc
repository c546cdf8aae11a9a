// What the host spends per lazy op, per planned kernel launch and per call of a compiled function. The chip under the
// plans is one whose kernels do nothing, so that nothing but the host is timed; the empty loop is the floor.
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "trireme/chip/chip.hpp"
#include "trireme/chip/loader.h"
#include "trireme/ops/ops.h"
#include "trireme/runtime/host.h"
#include "trireme/runtime/plan_cache.h"
#include "trireme/tensor/tensor.h"

struct TrmDev {};
struct TrmKernel {};

namespace trireme {
namespace {

// --- a chip that takes every program of one node and does nothing -----------------------------------------------

int32_t enumerate(uint32_t* count, TrmErr*) {
  *count = 1;
  return TRM_OK;
}
int32_t props(uint32_t, TrmProps* out, TrmErr*) {
  TrmProps p = chip::sized<TrmProps>();
  p.flags = TRM_SYNC_ONLY | TRM_DETERMINISTIC;
  p.space_count = 1;
  p.spaces[0] = {1, TRM_SPACE_DEVICE, TRM_FLAT, 64, uint64_t{1} << 32};
  p.native_dtypes = ~0u;
  p.flops_f32 = p.memory_bandwidth = p.link_bandwidth = 1e12;
  chip::store(out, p);
  return TRM_OK;
}
int32_t open(uint32_t, const TrmOption*, uint32_t, TrmDev** dev, TrmErr*) {
  static TrmDev device;
  *dev = &device;
  return TRM_OK;
}
int32_t close(TrmDev*) { return TRM_OK; }
int32_t chunk_alloc(TrmDev*, uint32_t, uint64_t bytes, uint32_t, TrmMem* mem, TrmErr*) {
  *mem = {reinterpret_cast<uint64_t>(std::calloc(1, bytes)), 0, bytes, 1, 0};
  return mem->handle != 0 ? TRM_OK : TRM_OUT_OF_MEMORY;
}
int32_t chunk_free(TrmDev*, const TrmMem* mem) {
  std::free(reinterpret_cast<void*>(mem->handle));
  return TRM_OK;
}
int32_t copy(TrmDev*, const TrmCopy*, TrmStream*, uint64_t, TrmErr*) { return TRM_OK; }
int32_t sync(TrmDev*, TrmErr*) { return TRM_OK; }

int32_t list_ops(const TrmOpDecl**, uint32_t* count) {
  *count = 0;
  return TRM_OK;
}
int32_t query(TrmDev*, const TrmProgram* program, TrmAnswer* answer, TrmErr*) {
  const bool one = runtime::host_services().program->node_count(program) == 1;
  answer->verdict = one ? TRM_NATIVE : TRM_NO;
  answer->reason = one ? TRM_REASON_NONE : TRM_REASON_REGION;
  answer->estimated_ns = 1.0;
  return TRM_OK;
}
int32_t prepare(TrmDev*, const TrmProgram*, TrmKernel** kernel, TrmErr*) {
  static TrmKernel one;
  *kernel = &one;
  return TRM_OK;
}
int32_t enqueue(TrmDev*, TrmKernel*, const TrmMem* operands, uint32_t, const TrmMem*, TrmStream*, uint64_t, TrmErr*) {
  benchmark::DoNotOptimize(operands);
  return TRM_OK;
}
int32_t release(TrmDev*, TrmKernel*) { return TRM_OK; }

int32_t entry(const TrmHost*, TrmChip* out) {
  static const TrmDeviceBank device = [] {
    TrmDeviceBank b = chip::sized<TrmDeviceBank>();
    b.enumerate = enumerate, b.props = props, b.open = open, b.close = close;
    b.chunk_alloc = chunk_alloc, b.chunk_free = chunk_free, b.copy = copy, b.sync = sync;
    return b;
  }();
  static const TrmComputeBank compute = [] {
    TrmComputeBank b = chip::sized<TrmComputeBank>();
    b.list_ops = list_ops, b.query = query, b.prepare = prepare, b.enqueue = enqueue, b.release = release;
    return b;
  }();
  TrmChip chip = chip::sized<TrmChip>();
  chip.abi_minor = TRM_ABI_MINOR;
  chip.vendor = "Trireme";
  chip.name = "idle";
  chip.plugin_version = "1";
  chip.build_id = "1";
  chip.device = &device;
  chip.compute = &compute;
  chip::store(out, chip);
  return TRM_OK;
}

runtime::Device& idle() {
  static runtime::Device& device = [&]() -> runtime::Device& {
    chip::add_chip(entry, runtime::host_services());
    return runtime::Device::get("idle:0");
  }();
  return device;
}

// --- the figures --------------------------------------------------------------------------------------------------

constexpr int kOps = 256;

void per_item(benchmark::State& state, int items) {
  state.SetItemsProcessed(state.iterations() * items);
  state.counters["ns_per_item"] = benchmark::Counter(static_cast<double>(state.iterations()) * items * 1e-9,
                                                     benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void empty_loop(benchmark::State& state) {
  for (auto _ : state) {
    for (int i = 0; i < kOps; ++i) benchmark::DoNotOptimize(i);
  }
  per_item(state, kOps);
}
BENCHMARK(empty_loop);

// A chain of additions, each a new node: made, typed, hashed, and dropped at the end.
void lazy_op(benchmark::State& state) {
  const Tensor y = tensor({1, 2, 3, 4});
  for (auto _ : state) {
    Tensor x = y;
    for (int i = 0; i < kOps; ++i) x = x + y;
    benchmark::DoNotOptimize(x);
  }
  per_item(state, kOps);
}
BENCHMARK(lazy_op);

// A plan of kernels on a chip with no work to do: binding memory, tags, one call per kernel.
void planned_launch(benchmark::State& state) {
  const Value x = parameter(f32, {16});
  Value y = x;
  for (int i = 0; i < kOps; ++i) y = ops::tan(y);
  runtime::PlanOptions options;
  options.target = &idle();
  options.fallback = runtime::Fallback::kError;
  const auto plan = runtime::plan_for(Graph({x}, {y}), options);
  if (plan->ledger().launches != kOps) return state.SkipWithError("not one launch per op");
  const std::vector<runtime::BufferRef> inputs = {std::make_shared<runtime::Buffer>(idle(), TensorType{f32, {16}})};
  for (auto _ : state) benchmark::DoNotOptimize(plan->run(inputs));
  per_item(state, kOps);
}
BENCHMARK(planned_launch);

// A compiled update of `variables` tensors on the idle chip, per call.
void compiled_call(benchmark::State& state) {
  set_device(idle().name());
  std::vector<Tensor> variables;
  for (int i = 0; i < state.range(0); ++i) variables.push_back(tensor({1, 2, 3}));
  auto step = compile([&](const Tensor& x) {
    for (Tensor& v : variables) v.assign(v + x);
    return x * 2;
  });
  const Tensor x = tensor({1, 2, 3});
  for (auto _ : state) benchmark::DoNotOptimize(step(x));
  per_item(state, static_cast<int>(state.range(0)) + 1);
  set_device("cpu:0");
}
BENCHMARK(compiled_call)->Arg(1)->Arg(100);

}  // namespace
}  // namespace trireme
