#include "chips/cpu/compute.h"

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "chips/cpu/epilogue.h"
#include "chips/cpu/kernel.h"
#include "chips/cpu/rates.h"
#include "chips/cpu/region.h"
#include "chips/cpu/tile_program.h"

namespace trireme::cpu {

AxisOrder row_major_order() {
  AxisOrder order{};
  std::iota(order.begin(), order.end(), uint8_t{0});
  return order;
}

AxisOrder channels_last_order(uint32_t rank) {
  AxisOrder order = row_major_order();
  if (rank > 2) std::rotate(order.begin() + 1, order.begin() + 2, order.begin() + rank);
  return order;
}

bool is_dense_in(const TrmValue& v, const AxisOrder& order) {
  int64_t expected = 1;
  for (uint32_t k = v.rank; k-- > 0;) {
    const uint8_t axis = order[k];
    if (v.dims[axis] == 0) return true;
    if (v.dims[axis] != 1 && v.strides[axis] != expected) return false;
    expected *= v.dims[axis];
  }
  return true;
}

Strides strides_in(const TrmValue& v, const AxisOrder& order) {
  Strides strides{};
  int64_t stride = 1;
  for (uint32_t k = v.rank; k-- > 0; stride *= v.dims[order[k]]) strides[order[k]] = stride;
  return strides;
}

AxisOrder order_of(const TrmValue& v) {
  const AxisOrder channels_last = channels_last_order(v.rank);
  return !chip::is_dense(v) && is_dense_in(v, channels_last) ? channels_last : row_major_order();
}

void ask_order(const Program& program, uint32_t operand, const AxisOrder& order, TrmAnswer& answer) {
  if (answer.conversion_count == TRM_MAX_OPERANDS) throw Failure(TRM_UNSUPPORTED, "too many operands to lay out anew");
  TrmConversion& conversion = answer.conversions[answer.conversion_count++];
  conversion.operand = operand;
  conversion.dtype = program.operand(operand).dtype;
  std::copy(order.begin(), order.end(), conversion.order);
}

void ask_dense_outputs(const Program& program, TrmAnswer& answer) {
  for (uint32_t i = program.input_count(); i < program.operand_count(); ++i) {
    if (!chip::is_dense(program.operand(i))) ask_order(program, i, row_major_order(), answer);
  }
}

void ask_order_of_inputs(const Program& program, TrmAnswer& answer) {
  const TrmValue y = program.value(program.output(0));
  const AxisOrder channels_last = channels_last_order(y.rank);
  bool found = false;
  for (uint32_t i = 0; i < program.input_count(); ++i) {
    const TrmValue x = program.operand(i);
    if (x.rank != y.rank || std::count(x.strides, x.strides + x.rank, 0) > 0) continue;  // repeated: it has no say
    if (order_of(x) != channels_last && !is_dense_in(x, channels_last)) return;
    found |= order_of(x) == channels_last;
  }
  for (uint32_t i = program.input_count(); found && i < program.operand_count(); ++i) {
    if (!is_dense_in(program.operand(i), channels_last)) ask_order(program, i, channels_last, answer);
  }
}

namespace {

using chip::guarded;
using chip::sized;
using chip::store;

std::vector<KernelEntry> all_entries() {
  std::vector<KernelEntry> all;
  for (const auto family : {movement_kernels(), indexing_kernels(), contraction_kernels(), convolution_kernels(),
                            int8_contraction_kernels(), int8_convolution_kernels(), window_kernels(), order_kernels(),
                            random_kernels(), normalization_kernels(), attention_kernels(), optimizer_kernels()}) {
    all.insert(all.end(), family.begin(), family.end());
  }
  return all;
}

const KernelEntry* find_entry(std::string_view op) {
  static const std::vector<KernelEntry> table = [] {
    std::vector<KernelEntry> all = all_entries();
    std::sort(all.begin(), all.end(), [](const KernelEntry& a, const KernelEntry& b) { return a.op < b.op; });
    return all;
  }();
  const auto at = std::lower_bound(table.begin(), table.end(), op,
                                   [](const KernelEntry& e, std::string_view n) { return e.op < n; });
  return at != table.end() && at->op == op ? &*at : nullptr;
}

const TrmEvaluate* evaluator() {
  static const auto* service = static_cast<const TrmEvaluate*>(host->get_ext("trireme.evaluate", 1));
  return service;
}

struct Refusal {
  TrmReason reason;
  std::string text;
};

// What decides about a program: the region compiler, one kernel of the table, or the host's evaluator.
enum class Way : uint8_t { kRegion, kEntry, kEvaluator };

Way way_of(const Program& program) {
  const uint32_t nodes = program.node_count();
  if (nodes == 0) throw Refusal{TRM_REASON_OTHER, "a program without nodes"};
  uint32_t elementwise = 0;
  for (uint32_t n = 0; n < nodes; ++n) {
    const NodeView node = program.node(n);
    elementwise += is_tile_op(program, node) || (n == nodes - 1 && is_reduction(node.op()));
  }
  const NodeView first = program.node(0);
  if (nodes == 1 && find_entry(first.op())) return Way::kEntry;
  if (elementwise == nodes) return Way::kRegion;
  const KernelEntry* several = find_entry(first.op());
  bool alike = several != nullptr && several->takes_several;
  for (uint32_t n = 1; n < nodes && alike; ++n) alike = program.node(n).op() == first.op();
  if (alike) return Way::kEntry;
  if (nodes > 1 && elementwise == nodes - 1) {
    const NodeView head = program.node(head_of(program));
    const KernelEntry* entry = find_entry(head.op());
    if (entry && entry->check_fused) {
      entry->check_fused(program, head);
      return Way::kEntry;
    }
  }
  if (nodes > 1)
    throw Refusal{TRM_REASON_REGION, "several nodes that are neither elementwise nor around one that takes such"};
  if (evaluator() && evaluator()->can_run(program.get())) return Way::kEvaluator;
  throw Refusal{TRM_REASON_OP, "no kernel for " + std::string(first.op())};
}

double bytes_of(const Program& program) {
  double bytes = 0.0;
  for (uint32_t i = 0; i < program.operand_count(); ++i) {
    const TrmValue v = program.operand(i);
    double touched = static_cast<double>(chip::size_of(v.dtype));
    for (uint32_t axis = 0; axis < v.rank; ++axis)
      touched *= v.strides[axis] == 0 ? 1.0 : static_cast<double>(v.dims[axis]);
    bytes += touched;
  }
  return bytes;
}

double flops_of(const Program& program, const KernelEntry* entry) {
  const auto elements = [&](const NodeView& node) {
    return static_cast<double>(chip::elements(program.value(node.outputs()[0])));
  };
  double flops = 0.0;
  if (entry && entry->takes_several) {
    for (uint32_t n = 0; n < program.node_count(); ++n) flops += entry->flops_per_element * elements(program.node(n));
    return flops;
  }
  if (entry) {
    const NodeView node = program.node(head_of(program));
    return entry->flops ? entry->flops(program, node) : entry->flops_per_element * elements(node);
  }
  for (uint32_t n = 0; n < program.node_count(); ++n) {
    const NodeView node = program.node(n);
    const uint32_t counted = is_reduction(node.op()) ? node.inputs()[0] : node.outputs()[0];
    flops += 4.0 * static_cast<double>(chip::elements(program.value(counted)));  // a tile pass costs about four
  }
  return flops;
}

// Longer of compute and memory time. Tables that are not contractions run at a sixth of the peak.
double estimate(double flops, double bytes, bool contraction) {
  const Rates& rates = machine_rates();
  const double compute = flops / (rates.flops_f32 * (contraction ? 0.7 : 0.16));
  return rates.launch_ns + 1e9 * std::max(compute, bytes / rates.bytes_per_second);
}

// What the kernel does not take as it lies.
void ask_layouts(const Program& program, const NodeView& node, const KernelEntry& entry, TrmAnswer& answer) {
  if (entry.ask_layouts) {
    entry.ask_layouts(program, node, answer);
  } else if (!entry.strided_outputs) {
    ask_dense_outputs(program, answer);
  }
  answer.verdict = answer.conversion_count ? TRM_NATIVE_AFTER_CONVERSION : TRM_NATIVE;
}

// Elementwise regions write an element after every read of the same one.
void offer_in_place(const Program& program, TrmAnswer& answer) {
  if (is_reduction(program.node(program.node_count() - 1).op())) return;
  for (uint32_t k = 0; k < program.output_count(); ++k) {
    if (chip::is_dense(program.operand(program.input_count() + k))) answer.in_place[k] = TRM_ANY_INPUT;
  }
}

TrmAnswer answer_for(const Program& program) {
  TrmAnswer answer = sized<TrmAnswer>();
  std::fill_n(answer.in_place, TRM_MAX_OPERANDS, -1);
  if (program.operand_count() > TRM_MAX_OPERANDS) throw Refusal{TRM_REASON_SIZE, "more than 64 operands"};
  const Way way = way_of(program);
  if (way == Way::kEvaluator) {
    double flops = 0.0, bytes = 0.0;
    evaluator()->cost(program.get(), &flops, &bytes);
    answer.verdict = TRM_NATIVE;
    answer.runs_on_host = 1;
    answer.estimated_ns = 2000.0 + 50.0 * flops + 20.0 * bytes;
    chip::put_text(answer.text, "reference evaluator");
    return answer;
  }
  if (way == Way::kRegion) {
    prepare_region(program);  // compiling a tile program is quick; it knows best what it cannot do
    answer.verdict = TRM_NATIVE;
    answer.estimated_ns = estimate(flops_of(program, nullptr), bytes_of(program), false);
    if (!is_reduction(program.node(program.node_count() - 1).op())) ask_order_of_inputs(program, answer);
    answer.verdict = answer.conversion_count ? TRM_NATIVE_AFTER_CONVERSION : TRM_NATIVE;
    offer_in_place(program, answer);
    chip::put_text(answer.text, program.node_count() > 1 ? "one fused pass" : "");
    return answer;
  }
  const NodeView node = program.node(head_of(program));
  const KernelEntry& entry = *find_entry(node.op());
  const TrmValue typed = program.value(node.inputs().empty() ? node.outputs()[0] : node.inputs()[0]);
  if (!entry.dtypes.has(dtype_of(typed))) {
    throw Refusal{TRM_REASON_DTYPE,
                  "no " + std::string(name(dtype_of(typed))) + " kernel for " + std::string(node.op())};
  }
  ask_layouts(program, node, entry, answer);
  answer.estimated_ns = estimate(flops_of(program, &entry), bytes_of(program), entry.flops != nullptr);
  if (program.node_count() > 1) {
    chip::put_text(answer.text, entry.takes_several ? "several in one pass" : "with the elementwise nodes around it");
  }
  return answer;
}

Run evaluator_run(const Program& program) {
  return [program](void* const* values) {
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
    for (uint32_t i = 0; i < program.input_count(); ++i) inputs.push_back(values[program.input(i)]);
    for (uint32_t i = 0; i < program.output_count(); ++i) outputs.push_back(values[program.output(i)]);
    TrmErr err = sized<TrmErr>();
    if (evaluator()->run(program.get(), inputs.data(), outputs.data(), &err) != TRM_OK)
      throw Failure(TRM_FAULT, err.text);
  };
}

Run prepare_run(const Program& program) {
  switch (way_of(program)) {
    case Way::kRegion: return prepare_region(program);
    case Way::kEvaluator: return evaluator_run(program);
    case Way::kEntry: break;
  }
  const NodeView node = program.node(head_of(program));
  const KernelEntry& entry = *find_entry(node.op());
  TrmAnswer answer = sized<TrmAnswer>();
  ask_layouts(program, node, entry, answer);
  if (answer.conversion_count) throw Failure(TRM_UNSUPPORTED, std::string(node.op()) + " wants other layouts");
  return entry.prepare(program, node);
}

// ---- the bank -------------------------------------------------------------------------------------------------------

int32_t query(TrmDev*, const TrmProgram* given, TrmAnswer* answer, TrmErr* err) {
  return guarded(err, [&] {
    const auto refuse = [&](TrmReason reason, std::string_view text) {
      TrmAnswer no = sized<TrmAnswer>();
      std::fill_n(no.in_place, TRM_MAX_OPERANDS, -1);
      no.reason = reason;
      chip::put_text(no.text, text);
      store(answer, no);
    };
    try {
      store(answer, answer_for(Program(host->program, given)));
    } catch (const Refusal& refusal) {
      refuse(refusal.reason, refusal.text);
    } catch (const Failure& failure) {
      if (failure.code() != TRM_UNSUPPORTED) throw;
      refuse(TRM_REASON_REGION, failure.what());
    }
  });
}

// A kernel and what it reads from the program: the address of a known constant never changes. The ABI's name for it is
// opaque, and not to be defined: chips of one program would then have different classes of one name.
struct Prepared {
  Program program;
  Run run;
  std::vector<void*> known;        // by value
  std::vector<uint32_t> operands;  // value of each operand
};
Prepared* prepared(TrmKernel* kernel) { return reinterpret_cast<Prepared*>(kernel); }

int32_t prepare(TrmDev*, const TrmProgram* given, TrmKernel** kernel, TrmErr* err) {
  return guarded(err, [&] {
    const Program program(host->program, given);
    try {
      auto made = std::make_unique<Prepared>(Prepared{program, prepare_run(program), {}, {}});
      made->known.resize(program.value_count(), nullptr);
      for (uint32_t v = 0; v < program.value_count(); ++v) {
        const TrmValue value = program.value(v);
        if (value.known) made->known[v] = const_cast<void*>(value.constant_data);
      }
      for (uint32_t i = 0; i < program.input_count(); ++i) made->operands.push_back(program.input(i));
      for (uint32_t i = 0; i < program.output_count(); ++i) made->operands.push_back(program.output(i));
      *kernel = reinterpret_cast<TrmKernel*>(made.release());
    } catch (const Refusal& refusal) {
      throw Failure(TRM_UNSUPPORTED, refusal.text);
    }
  });
}

int32_t enqueue(TrmDev*, TrmKernel* opaque, const TrmMem* operands, uint32_t operand_count, const TrmMem*, TrmStream*,
                uint64_t tag, TrmErr* err) {
  const Prepared* kernel = prepared(opaque);
  return guarded(
      err,
      [&] {
        if (operand_count != kernel->operands.size())
          throw Failure(TRM_INVALID, "a kernel got the wrong number of operands");
        thread_local std::vector<void*> values;
        values = kernel->known;
        for (uint32_t i = 0; i < operand_count; ++i) {
          values[kernel->operands[i]] = reinterpret_cast<void*>(operands[i].handle + operands[i].offset);
        }
        kernel->run(values.data());
      },
      tag);
}

int32_t release(TrmDev*, TrmKernel* kernel) {
  delete prepared(kernel);
  return TRM_OK;
}

// Names for list_ops; query has the last word on types.
int32_t list_ops(const TrmOpDecl** ops, uint32_t* count) {
  static const std::vector<TrmOpDecl> list = [] {
    std::vector<TrmOpDecl> all;
    for (const KernelEntry& entry : all_entries()) all.push_back({entry.op.data(), entry.dtypes.bits, 0});
    for (const TileOpName& op : tile_op_names()) all.push_back({op.name, op.dtypes.bits, 0});
    return all;
  }();
  *ops = list.data();
  *count = static_cast<uint32_t>(list.size());
  return TRM_OK;
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

}  // namespace trireme::cpu
