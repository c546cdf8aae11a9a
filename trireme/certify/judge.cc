#include "trireme/certify/judge.h"

#include <algorithm>
#include <cmath>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/ir/op_decl.h"
#include "trireme/reference/evaluator.h"
#include "trireme/runtime/device.h"
#include "trireme/runtime/plan.h"

namespace trireme::certify {
namespace {

// The sign of a zero is part of an elementwise result where IEEE 754 fixes it: everywhere but in max and min.
bool signs_matter(const Graph& graph) {
  const OpDecl& op = graph.outputs()[0].node().op();
  return op.kind.value == Kind::kElementwise && op.accuracy.ulp <= 0.5 && op.id() != "max" && op.id() != "min";
}

void check_answer(const OpenChip& chip, const TrmAnswer& answer, size_t inputs, size_t outputs) {
  const auto lie = [](const std::string& text) { throw Finding(Verdict::kLie, text); };
  if (answer.verdict > TRM_NATIVE_AFTER_CONVERSION) lie(cat("query answers with the verdict ", answer.verdict));
  if (!(answer.estimated_ns >= 0) || std::isinf(answer.estimated_ns)) {
    lie(cat("query estimates ", answer.estimated_ns, " ns"));
  }
  if (answer.verdict == TRM_NO) return;
  if (answer.workspace_bytes > chip.space().bytes) {
    lie(cat("query asks for a workspace of ", answer.workspace_bytes, " bytes; the device has ", chip.space().bytes));
  }
  for (size_t k = 0; k < outputs; ++k) {
    if (answer.in_place[k] < TRM_ANY_INPUT || answer.in_place[k] >= static_cast<int32_t>(inputs)) {
      lie(cat("query offers output ", k, " the memory of input ", answer.in_place[k], "; there are ", inputs));
    }
  }
}

std::vector<Evaluated> evaluated(const std::vector<Literal>& inputs) {
  std::vector<Evaluated> out;
  for (const Literal& literal : inputs) out.push_back(reference::to_evaluated(literal));
  return out;
}

// Draws of the measured bound: of thousands of elements none may have them all near zero by chance.
constexpr int kEvaluations = 8;

// Sums of k terms may be taken in any order in f32: |error| <= k u sum |terms|, element by element (Higham, Accuracy
// and Stability, section 3.1). The terms' magnitudes come from the op on |inputs|, their number from the op on ones.
// The measured bound alone is too tight for thousands of terms, where the roundings of a partial sum pile up. Of a
// region it holds for the outputs that a sum gives; the terms are then what the ops in front of it make.
void allow_any_order(reference::Expectation& expectation, const Graph& graph, const std::vector<Evaluated>& inputs) {
  for (size_t k = 0; k < graph.outputs().size(); ++k) {
    const Node& sum = graph.outputs()[k].node();
    if (!sum.op().accuracy.accumulates) continue;
    std::vector<Value> terms, parameters, operands;
    for (const Value& input : sum.inputs()) {
      operands.emplace_back();  // of an optional input that is absent it stays empty
      if (!input) continue;
      terms.push_back(input);
      operands.back() = parameter(input.dtype(), input.shape());
      parameters.push_back(operands.back());
    }
    std::vector<Evaluated> values = reference::evaluate_unrounded(Graph(graph.inputs(), terms), inputs);
    const Value alone = make_node(sum.op(), operands, sum.attributes());
    const Graph op(parameters, {all_outputs(alone)[graph.outputs()[k].index()]});
    for (Evaluated& value : values) {
      for (double& v : value.real) v = std::fabs(v);
    }
    const Evaluated sizes = reference::evaluate_unrounded(op, values)[0];
    for (Evaluated& value : values) std::fill(value.real.begin(), value.real.end(), 1.0);
    const Evaluated counts = reference::evaluate_unrounded(op, values)[0];
    if (!sizes.floating()) continue;
    const double last = unit_roundoff(sizes.type.dtype), unit = std::min(unit_roundoff(f32), last);
    for (size_t i = 0; i < sizes.real.size(); ++i) {
      double& allowed = expectation.bounds[k].allowed[i];
      const double any_order = counts.real[i] * unit * sizes.real[i];
      if (std::isfinite(any_order)) allowed = std::max(allowed, any_order + 2 * last * sizes.real[i]);
    }
  }
}

bool offers_memory(const TrmAnswer& answer, size_t outputs) {
  return std::any_of(answer.in_place, answer.in_place + outputs, [](int32_t input) { return input != -1; });
}

}  // namespace

bool is_host_work(const OpDecl& op) {
  return op.kind.value == Kind::kView || op.kind.value == Kind::kControl || op.tier.value == Tier::kHost;
}

reference::Expectation expect(const Graph& graph, const std::vector<Literal>& inputs, uint32_t fixed_point_bits) {
  reference::Expectation out = reference::expect(graph, evaluated(inputs), kEvaluations, fixed_point_bits);
  allow_any_order(out, graph, evaluated(inputs));
  return out;
}

void compare_all(const reference::Expectation& expectation, const std::vector<Literal>& got, std::string_view where,
                 bool signs) {
  for (size_t k = 0; k < got.size(); ++k) {
    const Evaluated& truth = expectation.values[k];
    if (const auto off = reference::compare(truth, expectation.bounds[k], got[k])) {
      throw Finding(Verdict::kWrong, cat("output ", k, where, ": ", off->text(got[k].elements())));
    }
    if (!signs || !truth.floating()) continue;
    for (int64_t i = 0; i < got[k].elements(); ++i) {
      const double expected = truth.real[static_cast<size_t>(i)], value = got[k].at(i);
      if (expected == 0.0 && value == 0.0 && std::signbit(expected) != std::signbit(value)) {
        throw Finding(Verdict::kWrong,
                      cat("output ", k, where, ": element ", i, " is ", std::signbit(value) ? "-0" : "0", ", expected ",
                          std::signbit(expected) ? "-0" : "0"));
      }
    }
  }
}

void verify_through_runtime(const OpenChip& chip, const Graph& graph, const std::vector<Literal>& inputs,
                            std::string_view where, bool alone) {
  runtime::Device& device = runtime::Device::get(chip.name());
  const auto plan = runtime::Plan::make(
      graph, {.target = &device, .fallback = alone ? runtime::Fallback::kError : runtime::Fallback::kAllow});
  std::vector<runtime::BufferRef> buffers;
  for (const Literal& literal : inputs) buffers.push_back(runtime::Buffer::from(device, literal));
  std::vector<Literal> out;
  for (const auto& result : plan->run(buffers)) out.push_back(result->read());
  compare_all(expect(graph, inputs, plan->ledger().fixed_point_bits), out, where);
}

Verified verify(OpenChip& chip, const Graph& graph, const std::vector<Literal>& inputs, const NamedLayout& layout) {
  std::vector<Layout> laid;
  std::vector<Literal> values;
  for (const Literal& literal : inputs) {
    laid.push_back(layout.lay_out(literal));
    values.push_back(laid.back().values);
    // Memory without offsets never holds a view that begins inside a chunk: the host copies it first.
    if (chip.space().addressing == TRM_WHOLE && laid.back().origin > 0)
      return verify(chip, graph, inputs, all_layouts()[0]);
  }
  const runtime::ProgramRef program = program_of(graph, laid);
  const TrmAnswer answer = chip.query(program);
  check_answer(chip, answer, inputs.size(), graph.outputs().size());
  Verified out{answer.verdict, answer.runs_on_host != 0, answer.text};
  if (answer.verdict == TRM_NO) {
    TrmKernel* kernel = nullptr;
    if (chip.prepare(program, &kernel) == TRM_OK) {
      chip.compute().release(chip.device(), kernel);
      throw Finding(Verdict::kLie, cat("query says no (\"", answer.text, "\"), and prepare works"));
    }
    return out;
  }
  const std::string where = layout.lay_out == dense ? std::string() : cat(" of inputs that lie ", layout.name);
  const reference::Expectation expectation = expect(graph, values, answer.fixed_point_bits);
  const bool signs = signs_matter(graph);
  if (answer.verdict == TRM_NATIVE_AFTER_CONVERSION) {
    if (std::any_of(laid.begin(), laid.end(), [](const Layout& input) { return input.reach > 0; })) {
      throw Finding(Verdict::kUnsupported, "it wants its operands converted, so it never meets them far apart");
    }
    // The host converts; the chip need not have the conversion itself.
    verify_through_runtime(chip, graph, values, cat(where, ", converted as asked"));
    return out;
  }
  const auto& outputs = graph.outputs();
  const std::vector<Literal> first = chip.run(program, answer, laid, outputs);
  compare_all(expectation, first, where, signs);
  const std::vector<Literal> again = chip.run(program, answer, laid, outputs, {.noise = 77});
  compare_all(expectation, again, cat(where, ", run again"), signs);
  for (size_t k = 0; k < first.size() && chip.has_flag(TRM_DETERMINISTIC); ++k) {
    if (!first[k].same_bytes(again[k])) {
      throw Finding(Verdict::kLie, cat("the device says it is deterministic, and output ", k, where,
                                       " has other bits when run again"));
    }
  }
  if (layout.lay_out == dense && offers_memory(answer, outputs.size())) {
    compare_all(expectation, chip.run(program, answer, laid, outputs, {.noise = 5, .in_place = true}),
                ", computed in place as offered", signs);
  }
  return out;
}

Verified verify(OpenChip& chip, const Graph& graph, const std::vector<Literal>& inputs) {
  const NamedLayout& first = all_layouts()[0];
  const Verified out = verify(chip, graph, inputs, first);
  if (out.verdict == TRM_NATIVE_AFTER_CONVERSION) return out;
  for (const NamedLayout& layout : all_layouts().subspan(1)) {
    const bool differs = std::any_of(inputs.begin(), inputs.end(), [&](const Literal& literal) {
      return !is_dense(literal.shape(), layout.lay_out(literal).strides);
    });
    if (differs) verify(chip, graph, inputs, layout);
  }
  return out;
}

}  // namespace trireme::certify
