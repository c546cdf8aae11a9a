// The chip `reference`: host memory, no queue, and every program through the host's reference evaluator. It is the
// meaning of every primitive behind the same door as any other chip, and a short example of one (for a chip with its
// own kernels see ../template).

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "trireme/chip/chip.hpp"

namespace trireme::reference_chip {
namespace {

constexpr uint32_t kSpace = 1;
const TrmHost* g_host = nullptr;

const TrmEvaluate* evaluator() {
  return g_host->get_ext ? static_cast<const TrmEvaluate*>(g_host->get_ext("trireme.evaluate", 1)) : nullptr;
}

std::byte* address(const TrmMem& mem) { return reinterpret_cast<std::byte*>(mem.handle + mem.offset); }

// ---- device ------------------------------------------------------------------------------------------------------

int32_t enumerate(uint32_t* count, TrmErr*) {
  *count = 1;
  return TRM_OK;
}

int32_t props(uint32_t index, TrmProps* out, TrmErr* err) {
  if (index != 0) return chip::fail(err, TRM_INVALID, "there is one device, reference:0");
  TrmProps p = chip::sized<TrmProps>();
  p.flags = TRM_SYNC_ONLY | TRM_DETERMINISTIC;
  chip::put_text(p.name, "reference evaluator");
  p.space_count = 1;
  p.native_dtypes = ((1u << (TRM_BOOL + 1)) - 1) & ~1u;
  p.spaces[0] = {kSpace, TRM_SPACE_UNIFIED, TRM_FLAT, 64, uint64_t{1} << 40};
  // Measured orders of magnitude: one boxed element at a time.
  p.flops_f32 = 2e7;
  p.memory_bandwidth = 1e8;
  p.link_bandwidth = 1e10;
  p.link_latency_ns = 100;
  p.launch_latency_ns = 10000;
  p.error_precision = TRM_TAG_EXACT;
  p.units = 1;
  chip::store(out, p);
  return TRM_OK;
}

int32_t open(uint32_t index, const TrmOption* options, uint32_t option_count, TrmDev** dev, TrmErr* err) {
  if (index != 0) return chip::fail(err, TRM_INVALID, "there is one device, reference:0");
  if (option_count)
    return chip::fail(err, TRM_INVALID, "unknown option \"" + std::string(options[0].key) + "\": none is known");
  static char device;  // no state: any address will do
  *dev = reinterpret_cast<TrmDev*>(&device);
  return TRM_OK;
}

int32_t close(TrmDev*) { return TRM_OK; }

int32_t chunk_alloc(TrmDev*, uint32_t space, uint64_t bytes, uint32_t, TrmMem* mem, TrmErr* err) {
  if (space != kSpace) return chip::fail(err, TRM_INVALID, "there is one space, 1");
  void* memory = g_host->host_alloc(bytes ? bytes : 1, 64);
  if (!memory) return chip::fail(err, TRM_OUT_OF_MEMORY, "the host has no " + std::to_string(bytes) + " bytes left");
  *mem = {reinterpret_cast<uint64_t>(memory), 0, bytes, kSpace, 0};
  return TRM_OK;
}

int32_t chunk_free(TrmDev*, const TrmMem* mem) {
  g_host->host_free(address(*mem));
  return TRM_OK;
}

int32_t copy(TrmDev*, const TrmCopy* c, TrmStream*, uint64_t, TrmErr*) {
  if (c->bytes) std::memmove(address(c->dst), address(c->src), c->bytes);
  return TRM_OK;
}

int32_t sync(TrmDev*, TrmErr*) { return TRM_OK; }

// ---- compute -----------------------------------------------------------------------------------------------------

struct Kernel {
  chip::Program program;
  std::string name;
};

// Every op the host can evaluate, so there is nothing to list; query has the last word.
int32_t list_ops(const TrmOpDecl** ops, uint32_t* count) {
  *ops = nullptr;
  *count = 0;
  return TRM_OK;
}

int32_t query(TrmDev*, const TrmProgram* program, TrmAnswer* out, TrmErr* err) {
  return chip::guarded(err, [&] {
    TrmAnswer answer = chip::sized<TrmAnswer>();
    std::fill(std::begin(answer.in_place), std::end(answer.in_place), -1);
    const TrmEvaluate* evaluate = evaluator();
    if (evaluate && evaluate->can_run(program)) {
      double flops = 0, bytes = 0;
      evaluate->cost(program, &flops, &bytes);
      answer.verdict = TRM_NATIVE;
      answer.estimated_ns = 10000 + flops / 2e7 * 1e9 + bytes / 1e8 * 1e9;  // the rates of props, one after the other
    } else {
      answer.verdict = TRM_NO;
      answer.reason = TRM_REASON_OP;
      chip::put_text(answer.text, evaluate ? "no truth to evaluate" : "the host offers no evaluator");
    }
    chip::store(out, answer);
  });
}

int32_t prepare(TrmDev*, const TrmProgram* program, TrmKernel** out, TrmErr* err) {
  return chip::guarded(err, [&] {
    const TrmEvaluate* evaluate = evaluator();
    if (!evaluate || !evaluate->can_run(program)) throw chip::Failure(TRM_UNSUPPORTED, "no truth to evaluate");
    chip::Program view(g_host->program, program);
    std::string name = view.node_count() ? std::string(view.node(0).op()) : "nothing";
    *out = reinterpret_cast<TrmKernel*>(new Kernel{view, std::move(name)});
  });
}

int32_t enqueue(TrmDev*, TrmKernel* given, const TrmMem* operands, uint32_t operand_count, const TrmMem*, TrmStream*,
                uint64_t tag, TrmErr* err) {
  const auto* kernel = reinterpret_cast<const Kernel*>(given);
  const uint32_t inputs = kernel->program.input_count();
  if (operand_count != kernel->program.operand_count()) {
    return chip::fail(err, TRM_INVALID, kernel->name + ": wrong number of operands", tag);
  }
  return chip::guarded(
      err,
      [&] {
        std::vector<const void*> in;
        std::vector<void*> out;
        for (uint32_t k = 0; k < operand_count; ++k) {
          if (k < inputs) in.push_back(address(operands[k]));
          else out.push_back(address(operands[k]));
        }
        TrmErr failure = chip::sized<TrmErr>();
        if (evaluator()->run(kernel->program.get(), in.data(), out.data(), &failure) != TRM_OK) {
          throw chip::Failure(TRM_FAULT, kernel->name + ": " + failure.text);
        }
      },
      tag);
}

int32_t release(TrmDev*, TrmKernel* kernel) {
  delete reinterpret_cast<Kernel*>(kernel);
  return TRM_OK;
}

const TrmDeviceBank kDevice = {.struct_size = sizeof(TrmDeviceBank),
                               .enumerate = enumerate,
                               .props = props,
                               .open = open,
                               .close = close,
                               .chunk_alloc = chunk_alloc,
                               .chunk_free = chunk_free,
                               .copy = copy,
                               .sync = sync};
const TrmComputeBank kCompute = {.struct_size = sizeof(TrmComputeBank),
                                 .list_ops = list_ops,
                                 .query = query,
                                 .prepare = prepare,
                                 .enqueue = enqueue,
                                 .release = release};

}  // namespace

int32_t enter(const TrmHost* host, TrmChip* out) {
  if (!host || !host->program || !host->host_alloc) return TRM_INVALID;
  g_host = host;
  TrmChip chip = chip::sized<TrmChip>();
  chip.abi_minor = TRM_ABI_MINOR;
  chip.vendor = "Trireme";
  chip.name = "reference";
  chip.plugin_version = "1.0.0";
  chip.build_id = "reference-1";
  chip.device = &kDevice;
  chip.compute = &kCompute;
  chip::store(out, chip);
  return TRM_OK;
}

}  // namespace trireme::reference_chip

extern "C" TRM_EXPORT int32_t TRIREME_CHIP_ENTRY(const TrmHost* host, TrmChip* chip) {
  return trireme::reference_chip::enter(host, chip);
}
