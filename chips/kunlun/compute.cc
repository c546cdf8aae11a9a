#include "chips/kunlun/compute.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "chips/kunlun/device_bank.h"
#include "chips/kunlun/kernel.h"

// A prepared program and its constants in device memory.
struct TrmKernel {
  trireme::kunlun::Program program;
  trireme::kunlun::Kernel kernel;
  std::vector<std::byte*> known;   // by value
  std::vector<uint32_t> operands;  // value of each operand
};

namespace trireme::kunlun {
namespace {

using chip::sized;
using chip::store;

constexpr std::span<const KernelEntry> (*kFamilies[])() = {
    elementwise_kernels, own_kernels,     movement_kernels,      reduction_kernels, product_kernels,
    convolution_kernels, pooling_kernels, normalization_kernels, indexing_kernels,  optimizer_kernels};

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
  if (program.node_count() != 1) throw Refusal{TRM_REASON_REGION, "one op at a time"};
  if (program.operand_count() > TRM_MAX_OPERANDS) throw Refusal{TRM_REASON_SIZE, "more than 64 operands"};
  const NodeView node = program.node(0);
  for (uint32_t v = 0; v < program.value_count(); ++v) {
    const DType dtype = dtype_of(program.value(v));
    if (!card.dtypes().has(dtype)) {
      throw Refusal{TRM_REASON_DTYPE, std::string(card.name) + " has no " + std::string(name(dtype))};
    }
  }
  const auto [first, last] = std::equal_range(table().begin(), table().end(), KernelEntry{node.op(), {}, nullptr},
                                              [](const KernelEntry& a, const KernelEntry& b) { return a.op < b.op; });
  if (first == last) throw Refusal{TRM_REASON_OP, "no kernel"};
  const DType typed = dtype_of(program.value(node.inputs().empty() ? node.outputs()[0] : node.inputs()[0]));
  Refusal refused{TRM_REASON_DTYPE, "no kernel for " + std::string(name(typed))};
  for (auto entry = first; entry != last; ++entry) {
    if (!entry->dtypes.has(typed)) continue;
    try {
      Builder builder(program, node, card);
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
      out.verdict = TRM_NATIVE;
      out.estimated_ns = std::max(1.0, kernel.ns + kLaunchNs * static_cast<double>(kernel.steps.size()));
      out.fixed_point_bits = kernel.fixed_point_bits;
    } catch (const Refusal& refusal) {
      out.verdict = TRM_NO;
      out.reason = refusal.reason;
      chip::put_text(out.text, refusal.text);
    }
    store(answer, out);
  });
}

// A constant, packed row-major, in memory of the device.
std::byte* upload(Device& device, const TrmValue& v) {
  const size_t item = chip::size_of(v.dtype);
  std::vector<std::byte> packed(bytes_of(v));
  int64_t index[TRM_MAX_RANK] = {}, at = 0;
  const auto* from = static_cast<const std::byte*>(v.constant_data);
  for (size_t to = 0; to < packed.size(); to += item) {
    std::memcpy(packed.data() + to, from + at * static_cast<int64_t>(item), item);
    for (uint32_t axis = v.rank; axis-- > 0;) {
      at += v.strides[axis];
      if (++index[axis] < v.dims[axis]) break;
      at -= v.strides[axis] * v.dims[axis];
      index[axis] = 0;
    }
  }
  const TrmMem mem = device.allocate(kDeviceSpace, packed.size());
  auto* memory = reinterpret_cast<std::byte*>(mem.handle);
  if (packed.empty()) return memory;
  try {  // fresh memory: no command can be using it, so the copy need not wait for any
    check(xpu_memcpy(memory, packed.data(), packed.size(), XPU_HOST_TO_DEVICE), "upload a constant");
  } catch (...) {
    device.free(mem);
    throw;
  }
  return memory;
}

void free_known(Device& device, const TrmKernel& kernel) {
  for (std::byte* memory : kernel.known) {
    if (memory) device.free({reinterpret_cast<uint64_t>(memory), 0, 0, kDeviceSpace, 0});
  }
}

int32_t prepare(TrmDev* dev, const TrmProgram* given, TrmKernel** kernel, TrmErr* err) {
  return guarded(dev, err, [&](Device& device) {
    device.check_alive();
    const Program program(host->program, given);
    try {
      auto made = std::make_unique<TrmKernel>(TrmKernel{program, build(program, device.card()), {}, {}});
      made->known.resize(program.value_count(), nullptr);
      try {
        for (uint32_t v = 0; v < program.value_count(); ++v) {
          const TrmValue value = program.value(v);
          if (value.known) made->known[v] = upload(device, value);
        }
      } catch (...) {
        free_known(device, *made);
        throw;
      }
      for (uint32_t i = 0; i < program.input_count(); ++i) made->operands.push_back(program.input(i));
      for (uint32_t i = 0; i < program.output_count(); ++i) made->operands.push_back(program.output(i));
      *kernel = made.release();
    } catch (const Refusal& refusal) {
      throw Failure(TRM_UNSUPPORTED, refusal.text);
    }
  });
}

int32_t enqueue(TrmDev* dev, TrmKernel* kernel, const TrmMem* operands, uint32_t operand_count, const TrmMem*,
                TrmStream* stream, uint64_t tag, TrmErr* err) {
  return guarded(dev, err, [&](Device& device) {
    if (operand_count != kernel->operands.size()) {
      throw Failure(TRM_INVALID, "a kernel of " + std::to_string(kernel->operands.size()) + " operands got " +
                                     std::to_string(operand_count));
    }
    device.command(stream, tag, [&](Queue& queue) {
      Run run{queue.context, &device.card(), kernel->known};
      for (uint32_t i = 0; i < operand_count; ++i) {
        run.slots[kernel->operands[i]] = reinterpret_cast<std::byte*>(operands[i].handle + operands[i].offset);
      }
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
    const std::unique_ptr<TrmKernel> gone(kernel);
    const bool constants =
        std::any_of(gone->known.begin(), gone->known.end(), [](const std::byte* memory) { return memory != nullptr; });
    if (!constants) return;
    try {
      device.wait_all();        // what is queued may still read them
    } catch (const Failure&) {  // nothing will read them any more
    }
    free_known(device, *gone);
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
