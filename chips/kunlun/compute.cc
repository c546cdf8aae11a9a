#include "chips/kunlun/compute.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "chips/kunlun/device_bank.h"
#include "chips/kunlun/kernel.h"
#include "chips/kunlun/region.h"
#include "chips/kunlun/tail.h"

namespace trireme::kunlun {
namespace {

using chip::sized;
using chip::store;

// A prepared program and what it has in device memory. The ABI's name for it is opaque, and not to be defined: chips of
// one program would then have different classes of one name.
struct Prepared {
  Program program;
  Kernel kernel;
  std::vector<std::byte*> known;   // by value
  std::vector<std::byte*> tables;  // of the kernel
  std::vector<uint32_t> operands;  // value of each operand
};
Prepared* prepared(TrmKernel* kernel) { return reinterpret_cast<Prepared*>(kernel); }

constexpr std::span<const KernelEntry> (*kFamilies[])() = {
    elementwise_kernels,   own_kernels,         movement_kernels,        reduction_kernels,
    product_kernels,       convolution_kernels, integer_product_kernels, pooling_kernels,
    normalization_kernels, indexing_kernels,    optimizer_kernels,       attention_kernels,
    loss_kernels,          transformer_kernels};

// All rows, by name; of several for one op the first that has the type and does not refuse counts.
const std::vector<KernelEntry>& table() {
  static const std::vector<KernelEntry> sorted = [] {
    std::vector<KernelEntry> all;
    for (const auto family : kFamilies) all.insert(all.end(), family().begin(), family().end());
    std::stable_sort(all.begin(), all.end(), [](const KernelEntry& a, const KernelEntry& b) { return a.op < b.op; });
    return all;
  }();
  return sorted;
}

Kernel build(const Program& program, const Card& card) {
  if (program.operand_count() > TRM_MAX_OPERANDS) throw Refusal{TRM_REASON_SIZE, "more than 64 operands"};
  for (uint32_t v = 0; v < program.value_count(); ++v) {
    const DType dtype = dtype_of(program.value(v));
    if (!card.dtypes().has(dtype)) {
      throw Refusal{TRM_REASON_DTYPE, std::string(card.name) + " has no " + std::string(name(dtype))};
    }
  }
  Tail tail;
  if (program.node_count() > 1) {
    if (program.node(0).outputs().size() != 1 || !has_tail(program, &tail)) return build_region(program, card);
  }
  const NodeView node = program.node(0);
  const auto [first, last] = std::equal_range(table().begin(), table().end(), KernelEntry{node.op(), {}, nullptr},
                                              [](const KernelEntry& a, const KernelEntry& b) { return a.op < b.op; });
  if (first == last) throw Refusal{TRM_REASON_OP, "no kernel"};
  const DType typed = dtype_of(program.value(node.inputs().empty() ? node.outputs()[0] : node.inputs()[0]));
  Refusal refused{TRM_REASON_DTYPE, "no kernel for " + std::string(name(typed))};
  for (auto entry = first; entry != last; ++entry) {
    if (!entry->dtypes.has(typed)) continue;
    try {
      Builder builder(program, node, card, tail);
      const bool empty = [&] {
        for (uint32_t output : node.outputs()) {
          if (chip::elements(program.value(output)) > 0) return false;
        }
        return true;
      }();
      if (!empty) entry->build(builder);
      return std::move(builder).finish();
    } catch (const Refusal& reason) {
      refused = reason;
    }
  }
  throw refused;
}

int32_t list_ops(const TrmOpDecl** ops, uint32_t* count) {
  static const std::vector<TrmOpDecl> list = [] {
    std::vector<TrmOpDecl> all;
    for (const KernelEntry& entry : table()) {
      if (!all.empty() && entry.op == all.back().name) all.back().dtypes |= entry.dtypes.bits;
      else all.push_back({entry.op.data(), entry.dtypes.bits, 0});
    }
    return all;
  }();
  *ops = list.data();
  *count = static_cast<uint32_t>(list.size());
  return TRM_OK;
}

int32_t query(TrmDev* dev, const TrmProgram* given, TrmAnswer* answer, TrmErr* err) {
  return guarded(dev, err, [&](Device& device) {
    device.check_alive();
    TrmAnswer out = sized<TrmAnswer>();
    std::fill_n(out.in_place, TRM_MAX_OPERANDS, -1);
    try {
      const Kernel kernel = build(Program(host->program, given), device.card());
      out.verdict = kernel.conversions.empty() ? TRM_NATIVE : TRM_NATIVE_AFTER_CONVERSION;
      out.conversion_count = static_cast<uint32_t>(kernel.conversions.size());
      std::copy(kernel.conversions.begin(), kernel.conversions.end(), out.conversions);
      out.estimated_ns = std::max(1.0, kernel.ns + kLaunchNs * static_cast<double>(kernel.steps.size()));
      out.fixed_point_bits = kernel.fixed_point_bits;
      for (const auto& [output, input] : kernel.in_place) out.in_place[output] = input;
    } catch (const Refusal& refusal) {
      out.verdict = TRM_NO;
      out.reason = refusal.reason;
      chip::put_text(out.text, refusal.text);
    }
    store(answer, out);
  });
}

// Bytes of the host in memory of the device.
std::byte* upload(Device& device, std::span<const std::byte> bytes) {
  const TrmMem mem = device.allocate(kDeviceSpace, bytes.size());
  auto* memory = reinterpret_cast<std::byte*>(mem.handle);
  if (bytes.empty()) return memory;
  try {  // fresh memory: no command can be using it, so the copy need not wait for any
    check(xpu_memcpy(memory, bytes.data(), bytes.size(), XPU_HOST_TO_DEVICE), "upload a constant");
  } catch (...) {
    device.free(mem);
    throw;
  }
  return memory;
}

void free_uploads(Device& device, const Prepared& kernel) {
  for (const auto* list : {&kernel.known, &kernel.tables}) {
    for (std::byte* memory : *list) {
      if (memory) device.free({reinterpret_cast<uint64_t>(memory), 0, 0, kDeviceSpace, 0});
    }
  }
}

int32_t prepare(TrmDev* dev, const TrmProgram* given, TrmKernel** kernel, TrmErr* err) {
  return guarded(dev, err, [&](Device& device) {
    device.check_alive();
    const Program program(host->program, given);
    try {
      auto made = std::make_unique<Prepared>(Prepared{program, build(program, device.card()), {}, {}, {}});
      if (!made->kernel.conversions.empty()) throw Refusal{TRM_REASON_LAYOUT, "its result must lie otherwise"};
      made->known.resize(program.value_count(), nullptr);
      try {
        for (uint32_t v = 0; v < program.value_count(); ++v) {
          const TrmValue value = program.value(v);
          const auto& inlined = made->kernel.inlined;
          if (!value.known || std::find(inlined.begin(), inlined.end(), v) != inlined.end()) continue;
          made->known[v] = upload(device, packed(value));
        }
        for (const auto& table : made->kernel.tables) made->tables.push_back(upload(device, table));
      } catch (...) {
        free_uploads(device, *made);
        throw;
      }
      for (uint32_t i = 0; i < program.input_count(); ++i) made->operands.push_back(program.input(i));
      for (uint32_t i = 0; i < program.output_count(); ++i) made->operands.push_back(program.output(i));
      *kernel = reinterpret_cast<TrmKernel*>(made.release());
    } catch (const Refusal& refusal) {
      throw Failure(TRM_UNSUPPORTED, refusal.text);
    }
  });
}

int32_t enqueue(TrmDev* dev, TrmKernel* opaque, const TrmMem* operands, uint32_t operand_count, const TrmMem*,
                TrmStream* stream, uint64_t tag, TrmErr* err) {
  return guarded(dev, err, [&](Device& device) {
    const Prepared* kernel = prepared(opaque);
    if (operand_count != kernel->operands.size()) {
      throw Failure(TRM_INVALID, "a kernel of " + std::to_string(kernel->operands.size()) + " operands got " +
                                     std::to_string(operand_count));
    }
    device.command(stream, tag, [&](Queue& queue) {
      Run run{queue.context, &device.card(), kernel->known, kernel->tables};
      for (uint32_t i = 0; i < operand_count; ++i) {
        run.slots[kernel->operands[i]] = reinterpret_cast<std::byte*>(operands[i].handle + operands[i].offset);
      }
      if (kernel->kernel.uses_l3) device.lend_l3(queue);
      api::ctx_guard guard(queue.context);
      for (const size_t bytes : kernel->kernel.temporaries) {
        run.slots.push_back(guard.alloc<std::byte>(bytes));
        if (!run.slots.back()) throw Failure(TRM_OUT_OF_MEMORY, "no device memory for intermediate values");
      }
      for (const Step& step : kernel->kernel.steps) check_library(step.call(run), queue, step.name);
    });
  });
}

int32_t release(TrmDev* dev, TrmKernel* kernel) {
  return guarded(dev, nullptr, [&](Device& device) {
    const std::unique_ptr<Prepared> gone(prepared(kernel));
    const auto any = [](const std::vector<std::byte*>& list) {
      return std::any_of(list.begin(), list.end(), [](const std::byte* memory) { return memory != nullptr; });
    };
    if (!any(gone->known) && !any(gone->tables)) return;
    try {
      device.wait_all();        // what is queued may still read them
    } catch (const Failure&) {  // nothing will read them any more
    }
    free_uploads(device, *gone);
  });
}

}  // namespace

const TrmComputeBank& compute_bank() {
  static const TrmComputeBank bank = [] {
    TrmComputeBank b = sized<TrmComputeBank>();
    b.list_ops = list_ops;
    b.query = query;
    b.prepare = prepare;
    b.enqueue = enqueue;
    b.release = release;
    return b;
  }();
  return bank;
}

}  // namespace trireme::kunlun
