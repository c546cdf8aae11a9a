// The rest of C4: a composite that the chip takes whole against what it is made of, on the same chip, and its gradient.
// (The composite itself against the reference is among the op cases.)
#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/certify/judge.h"
#include "trireme/certify/level.h"
#include "trireme/certify/op_case.h"
#include "trireme/passes/gradient.h"

namespace trireme::certify {
namespace {

std::string parts_and_gradient(const Subject& subject, const OpCase& given, uint64_t seed) {
  OpenChip& chip = subject.open();
  const Instance instance = instantiate(given, seed);
  const Graph whole = instance.graph();
  const TrmAnswer answer = chip.query(runtime::make_program(whole));
  if (answer.verdict == TRM_NO) throw Finding(Verdict::kUnsupported, answer.text);
  const Graph parts(instance.parameters, decomposition_of(whole.outputs()[0].node()));
  verify_through_runtime(chip, parts, instance.inputs, ", computed by its parts");
  std::vector<Value> from, to;
  for (const Value& v : whole.outputs()) {
    if (is_float(v.dtype())) from.push_back(v);
  }
  for (const Value& v : instance.parameters) {
    if (is_float(v.dtype())) to.push_back(v);
  }
  if (from.empty() || to.empty()) return "parts";
  Graph gradient;
  try {
    gradient = Graph(instance.parameters, passes::gradient(from, to));
  } catch (const Error& none) {
    if (none.code() != Code::kUnsupported) throw;
    return "parts";
  }
  verify_through_runtime(chip, gradient, instance.inputs, " of the gradient");
  return "parts and gradient";
}

}  // namespace

std::vector<Case> gradient_cases(uint64_t seed) {
  std::vector<Case> out;
  for (const OpDecl* op : registered_ops()) {
    if (!op->is_composite() || op->meaning.decompose == nullptr || is_host_work(*op)) continue;
    for (const OpCase& given : cases_of(*op)) {
      if (given.uses_dtype && given.dtype != f32) continue;
      out.push_back({Part::kComposites,
                     Level::kComplete,
                     cat(given.name(), ", parts and gradient"),
                     std::string(op->id()),
                     std::string(name(given.leading_dtype())),
                     false,
                     [given, seed](const Subject& subject) { return parts_and_gradient(subject, given, seed); },
                     {}});
    }
  }
  return out;
}

}  // namespace trireme::certify
