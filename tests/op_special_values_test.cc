// Primitives with a truth and a decomposition, at the values where formulas break: NaN, infinities, signed zeros,
// denormals, the largest numbers, and numbers where a rounding or a range changes. Truth and decomposition agree in
// every floating type, NaN for NaN, infinity for infinity, and for elementwise ops down to the sign of zero.
#include <gtest/gtest.h>

#include <cmath>

#include "op_case.h"
#include "trireme/base/strings.h"
#include "trireme/certify/special_values.h"
#include "trireme/reference/accuracy.h"
#include "trireme/reference/evaluator.h"

namespace trireme::testing {
namespace {

using certify::special_values;

// The case's inputs with special values in place of all floating ones.
std::vector<Evaluated> special_inputs(const Instance& instance, bool sums, uint64_t seed) {
  std::vector<Evaluated> out;
  for (const Literal& literal : instance.inputs) {
    Evaluated value = reference::to_evaluated(literal);
    const auto pool = special_values(literal.dtype(), sums);
    for (size_t i = 0; i < value.real.size(); ++i) {
      value.real[i] = pool[static_cast<size_t>(uniform(seed + out.size(), i, 0.0, static_cast<double>(pool.size())))];
    }
    out.push_back(std::move(value));
  }
  return out;
}

std::string text_of(const std::vector<Evaluated>& inputs, size_t at) {
  std::string out;
  for (const Evaluated& x : inputs) {
    if (at < x.real.size()) append(out, cat(out.empty() ? "" : ", ", x.real[at]));
  }
  return out;
}

class OpSpecialValues : public ::testing::TestWithParam<const OpDecl*> {};

TEST_P(OpSpecialValues, TruthAgreesWithDecomposition) {
  const OpDecl& op = *GetParam();
  const Kind kind = op.kind.value;
  const bool sums = kind == Kind::kReduction, elementwise = kind == Kind::kElementwise;
  size_t checked = 0;
  for (const OpCase& given : cases_of(op)) {
    SCOPED_TRACE(given.name());
    const Instance instance = instantiate(given);
    const Value first = instance.make();
    const Graph parts(instance.parameters, decomposition_of(first.node()));
    for (uint64_t draw = 0; draw < 8; ++draw) {
      const auto inputs = special_inputs(instance, sums, seed_of(given.text) + 10 * draw);
      const auto truth = reference::evaluate_unrounded(instance.graph(), inputs);
      const auto computed = reference::evaluate_rounded(parts, inputs);
      const auto expectation = reference::expect(instance.graph(), inputs);
      for (size_t k = 0; k < truth.size(); ++k) {
        const DType type = truth[k].type.dtype;
        for (size_t i = 0; i < truth[k].integer.size(); ++i, ++checked) {
          ASSERT_EQ(computed[k].integer[i], truth[k].integer[i]) << "output " << k << " of " << text_of(inputs, i);
        }
        for (size_t i = 0; i < truth[k].real.size(); ++i, ++checked) {
          const double expected = round_real(type, truth[k].real[i]), got = computed[k].real[i];
          const std::string where =
              cat("output ", k, "[", i, "] of (", text_of(inputs, i), ") is ", got, ", not ", expected);
          ASSERT_EQ(std::isnan(got), std::isnan(expected)) << where;
          if (std::isnan(got)) continue;
          if (expected == 0.0 && elementwise) {
            ASSERT_EQ(std::signbit(got), std::signbit(expected)) << where;
          }
          if (std::isinf(got) && std::isinf(expected)) {
            ASSERT_EQ(got, expected) << where;
          }
          if (got == expected) continue;
          const double allowed = expectation.bounds[k].allowed[i];
          ASSERT_LE(std::fabs(got - expected), allowed) << where;
        }
      }
    }
  }
  EXPECT_GT(checked, 0u);
}

std::vector<const OpDecl*> ops_with_both_meanings() {
  std::vector<const OpDecl*> out;
  for (const OpDecl* op : registered_ops()) {
    bool floating = false;
    for (const InputSpec& input : op->inputs.list) floating = floating || input.types.has(f32);
    // A padded convolution multiplies its zeros with infinities or leaves them out; both are right.
    if (op->meaning.truth && op->meaning.decompose && floating && op->kind.value != Kind::kContraction)
      out.push_back(op);
  }
  return out;
}

INSTANTIATE_TEST_SUITE_P(Ops, OpSpecialValues, ::testing::ValuesIn(ops_with_both_meanings()), OpName());

}  // namespace
}  // namespace trireme::testing
