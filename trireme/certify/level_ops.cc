// C2 and C4: every op of the registry over its declared cases, element types and layouts; at the values where formulas
// break; on tensors of more than 2^16 elements, and on small ones whose elements lie gigabytes apart; and, where a chip
// takes several nodes at once, on random programs. A failure is shrunk before it is told.
#include <algorithm>
#include <chrono>
#include <set>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/certify/judge.h"
#include "trireme/certify/large_tensors.h"
#include "trireme/certify/level.h"
#include "trireme/certify/op_case.h"
#include "trireme/certify/random_case.h"
#include "trireme/certify/shrink.h"
#include "trireme/certify/special_values.h"
#include "trireme/ir/registry.h"
#include "trireme/ir/text.h"

namespace trireme::certify {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int64_t kBig = 70001;  // an index of 16 bits wraps before the end

std::string shown(const Program& program) {
  std::string out = cat("\n", print(program.graph));
  for (const Literal& literal : program.inputs) append(out, cat("  ", literal.text(8), "\n"));
  return out;
}

std::string phrase(const Verified& verified) {
  if (verified.verdict == TRM_NO) throw Finding(Verdict::kUnsupported, verified.reason);
  if (verified.on_host) return "on the host, as it says";
  return verified.verdict == TRM_NATIVE ? "native" : "native after conversion";
}

// verify(), and of a failure the smallest program that still fails.
std::string verified(OpenChip& chip, const Program& program, const std::span<const NamedLayout> layouts) {
  const auto check = [&](const Program& p) {
    if (layouts.size() > 1) return verify(chip, p.graph, p.inputs);
    return verify(chip, p.graph, p.inputs, layouts[0]);
  };
  try {
    return phrase(check(program));
  } catch (const Finding& finding) {
    if (!is_failure(finding.verdict())) throw;
    std::string told = finding.what();
    const auto end = Clock::now() + std::chrono::seconds(8);
    const Program least = shrink(program, [&](const Program& p) {
      if (Clock::now() > end) return false;
      try {
        check(p);
        return false;
      } catch (const Finding& again) {
        if (again.verdict() != finding.verdict()) return false;
        told = again.what();
        return true;
      }
    });
    throw Finding(finding.verdict(), told + shown(least));
  }
}

Program program_of(const OpCase& given, uint64_t seed) {
  Instance instance = instantiate(given, seed);
  return {instance.graph(), std::move(instance.inputs)};
}

// verified() for a case: its sizes shrink before its nodes do.
std::string verified_case(const Subject& subject, OpCase given, const std::function<Program(const OpCase&)>& make,
                          std::span<const NamedLayout> layouts) {
  OpenChip& chip = subject.open();
  try {
    const Program program = make(given);
    if (layouts.size() > 1) return phrase(verify(chip, program.graph, program.inputs));
    return phrase(verify(chip, program.graph, program.inputs, layouts[0]));
  } catch (const Finding& finding) {
    if (!is_failure(finding.verdict())) throw;
    const auto end = Clock::now() + std::chrono::seconds(8);
    const auto fails = [&](const OpCase& smaller) {
      try {
        const Program program = make(smaller);
        if (layouts.size() > 1) verify(chip, program.graph, program.inputs);
        else verify(chip, program.graph, program.inputs, layouts[0]);
        return false;
      } catch (const Finding& again) {
        return again.verdict() == finding.verdict();
      }
    };
    for (bool better = true; better && Clock::now() < end;) {
      better = false;
      std::set<int64_t> sizes;
      for (const Operand& operand : given.operands) sizes.insert(operand.type.shape.begin(), operand.type.shape.end());
      for (const int64_t size : sizes) {
        for (const int64_t to : {int64_t{1}, int64_t{2}, size / 2, size - 1}) {
          if (to >= size || to < 1 || Clock::now() > end) continue;
          const auto smaller = resized(given, size, to);
          if (!smaller || !fails(*smaller)) continue;
          given = *smaller;
          better = true;
          break;
        }
      }
    }
    return verified(chip, make(given), layouts);
  }
}

bool is_floating_case(const OpCase& given) {
  return std::any_of(given.operands.begin(), given.operands.end(),
                     [](const Operand& o) { return !o.absent && is_float(o.type.dtype); });
}

// The types that a chip of level "Trains" must have: f32, and bool for what knows no floats; i32 for indices.
bool is_required(const OpCase& given) {
  const Tier tier = given.op->tier.value;
  if (tier != Tier::kBringUp && tier != Tier::kMandatory) return false;
  const auto& inputs = given.op->inputs.list;
  const bool floats = inputs.empty() || inputs[0].types.has(f32) || (inputs[0].types.bits & same_as_first.bits) != 0;
  if (given.uses_dtype && given.dtype != (floats ? f32 : boolean)) return false;
  std::vector<DType> types;
  for (const Operand& operand : given.operands) {
    if (!operand.absent) types.push_back(operand.type.dtype);
  }
  for (const Value& y : all_outputs(instantiate(given).make())) types.push_back(y.dtype());
  const bool some_f32 = std::find(types.begin(), types.end(), f32) != types.end();
  if (floats && tier == Tier::kMandatory && !some_f32) return false;  // pow of integers
  return std::all_of(types.begin(), types.end(), [](DType t) { return t == f32 || t == i32 || t == boolean; });
}

Level level_of(const OpDecl& op) {
  const bool mandatory = op.tier.value == Tier::kBringUp || op.tier.value == Tier::kMandatory;
  return mandatory ? Level::kTrains : Level::kComplete;
}

Part part_of(const OpDecl& op) { return op.is_composite() ? Part::kComposites : Part::kOps; }

Case case_of(const OpCase& given, const std::string& what, std::function<Program(const OpCase&)> make,
             std::span<const NamedLayout> layouts) {
  const OpDecl& op = *given.op;
  Case out{part_of(op),
           level_of(op),
           cat(given.name(), what),
           std::string(op.id()),
           std::string(name(given.leading_dtype())),
           false,
           {},
           {}};
  out.run = [given, make, layouts](const Subject& subject) { return verified_case(subject, given, make, layouts); };
  out.program = [given, make] { return shown(make(given)); };
  return out;
}

// Where the oracle's answer does not depend on the order of operations.
bool takes_special_values(const OpDecl& op) {
  if (op.meaning.truth == nullptr) return false;
  if (op.kind.value == Kind::kElementwise) return true;
  return op.kind.value == Kind::kReduction && op.accuracy.ulp == 0.0 && !op.accuracy.accumulates;
}

// Declared cases stay small; these do not.
constexpr std::pair<std::string_view, std::string_view> kBigCases[] = {
    {"strided_copy", "[70001]"},
    {"strided_copy", "[3,30011]"},
    {"gather", "[70001] i32[65]:0..70000"},
    {"gather", "[40003,2] i32[9]:39990..40002"},
    {"scatter_add", "[70001] i32[65]:0..70000 [65]"},
    {"scatter_add", "[7] i32[70001]:0..6 [70001]"},
    {"reduce_sum", "[70001]"},
    {"reduce_sum", "[2,70001] axes=[1]"},
    {"reduce_sum", "[70001,2] axes=[0]"},
    {"reduce_max", "[70001]"},
    {"reduce_min", "[70001]"},
    {"argmax", "[70001]"},
    {"cumsum", "[70001]"},
    {"sort", "[9001]"},
    {"dot_general", "[1,3,70001] [1,70001,2]"},
    {"dot_general", "[1,70001,2] [1,2,1]"},
    {"dot_general", "[2,67,129] [2,129,65]"},
};

}  // namespace

std::vector<Case> op_cases(uint64_t seed) {
  std::vector<Case> out;
  const std::span<const NamedLayout> layouts = all_layouts(), dense_only = layouts.subspan(0, 1);
  const auto plain = [seed](const OpCase& given) { return program_of(given, seed); };
  for (const OpDecl* op : registered_ops()) {
    if (is_host_work(*op)) continue;
    std::set<std::pair<DType, bool>> special;
    bool big = false;
    std::set<size_t>
        far;  // sizes of the types that were laid far apart: offsets in bytes and in elements wrap elsewhere
    for (const OpCase& given : cases_of(*op)) {
      out.push_back(case_of(given, "", plain, layouts));
      out.back().required = is_required(given);
      if (given.operands.empty() || given.operands[0].absent || op->is_composite()) continue;
      const Shape& shape = given.operands[0].type.shape;
      const bool f32_or_byte = given.leading_dtype() == f32 || size_of(given.leading_dtype()) == 1;
      if (shape.elements() > 1 && f32_or_byte && far.insert(size_of(given.leading_dtype())).second) {
        for (size_t k = 0; k < far_layouts().size(); ++k) {
          out.push_back(case_of(given, cat(", ", far_layouts()[k].name), plain, far_layouts().subspan(k, 1)));
          out.back().level = Level::kComplete;
        }
      }
      if (shape.elements() < 9) continue;
      if (takes_special_values(*op) && special.insert({given.dtype, false}).second) {
        for (uint64_t draw = 0; draw < 3; ++draw) {
          const auto make = [seed, draw](const OpCase& g) {
            Program program = program_of(g, seed);
            program.inputs = inputs_from(
                g, [](DType t) { return special_values(t, false); }, seed * 7 + draw);
            return program;
          };
          out.push_back(case_of(given, cat(", special values ", draw + 1), make, dense_only));
        }
        if (is_floating_case(given)) {
          const auto make = [seed](const OpCase& g) {
            Program program = program_of(g, seed);
            program.inputs = inputs_from(
                g, [](DType t) { return is_float(t) ? denormals(t) : special_values(t, false); }, seed * 7 + 5);
            return program;
          };
          out.push_back(case_of(given, ", denormals", make, dense_only));
        }
      }
      if (!big && op->kind.value == Kind::kElementwise && shape.rank() == 1) {
        if (const auto wide = resized(given, shape[0], kBig)) {
          big = true;
          out.push_back(case_of(*wide, cat(", ", kBig, " elements"), plain, dense_only));
        }
      }
    }
  }
  for (const auto& [op, text] : kBigCases) {
    out.push_back(case_of(parse_case(get_op(op), text, f32), "", plain, dense_only));
  }
  for (Case& each : large_tensor_cases()) out.push_back(std::move(each));
  for (uint64_t k = 0; k < 48; ++k) {
    const auto make = [seed, k] { return random_program(seed * 101 + k, 2 + static_cast<int>(k % 8)); };
    out.push_back({Part::kOps, Level::kTrains, cat("random program ", k + 1), "", "", false,
                   [make, layouts](const Subject& subject) { return verified(subject.open(), make(), layouts); },
                   [make] { return shown(make()); }});
  }
  return out;
}

}  // namespace trireme::certify
