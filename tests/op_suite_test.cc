// Proof of every op of the registry, from its declaration alone: meaning against decomposition, types, text form,
// hash-consing, cost, and that no question is answered emptily. No op is named here. Gradients: op_gradient_test.cc;
// refusals: error_labels_test.cc; chips: op_chip_test.cc.
// ctest: timeout=600
#include <gtest/gtest.h>

#include <cctype>
#include <cmath>
#include <map>
#include <set>

#include "op_case.h"
#include "trireme/base/strings.h"
#include "trireme/ir/text.h"
#include "trireme/passes/gradient.h"
#include "trireme/reference/accuracy.h"
#include "trireme/reference/evaluator.h"
#include "trireme/runtime/program.h"

namespace trireme::testing {
namespace {

std::vector<Evaluated> evaluated(const std::vector<Literal>& inputs) {
  std::vector<Evaluated> out;
  for (const Literal& literal : inputs) out.push_back(reference::to_evaluated(literal));
  return out;
}

class OpSuite : public ::testing::TestWithParam<const OpDecl*> {
 protected:
  const OpDecl& op() const { return *GetParam(); }

  // Runs `body` for every case and type; a failure names the case.
  template <class F>
  void for_each_case(F body) {
    for (const OpCase& given : cases_of(op())) {
      SCOPED_TRACE(given.name());
      try {
        body(given, instantiate(given));
      } catch (const std::exception& failure) {
        ADD_FAILURE() << failure.what();
      }
    }
  }
};

// --- every question has an answer --------------------------------------------------------------------------------

TEST_P(OpSuite, Declared) {
  const std::string name(op().id());
  ASSERT_FALSE(name.empty());
  EXPECT_TRUE(std::islower(static_cast<unsigned char>(name[0]))) << name;
  for (char c : name) EXPECT_TRUE(std::islower(static_cast<unsigned char>(c)) || std::isdigit(c) || c == '_') << name;
  const std::string_view doc = op().doc.value;
  ASSERT_FALSE(doc.empty());
  EXPECT_EQ(doc.back(), '.') << "the doc ends in a period: " << doc;
  EXPECT_FALSE(op().outputs.list.empty());
  EXPECT_FALSE(op().family.empty());
  std::set<std::string_view> names;
  for (const InputSpec& spec : op().inputs.list) {
    EXPECT_TRUE(names.insert(spec.name).second) << "two inputs called " << spec.name;
    EXPECT_NE(spec.types.bits, 0u) << "input " << spec.name << " allows no type";
    EXPECT_LE(spec.domain.low, spec.domain.high) << "input " << spec.name;
    EXPECT_TRUE(spec.arity != Arity::kVariadic || &spec == &op().inputs.list.back()) << "only the last may be variadic";
  }
  for (const AttributeSpec& spec : op().attributes.list) {
    EXPECT_TRUE(names.insert(spec.name).second) << "two inputs or attributes called " << spec.name;
    EXPECT_FALSE(spec.doc.empty()) << "attribute " << spec.name << " has no doc";
  }
  for (std::string_view rule : op().rules.list) EXPECT_FALSE(rule.empty());
  switch (op().gradient.way) {
    case Gradient::Way::kNone: EXPECT_FALSE(op().gradient.reason.empty()); break;
    case Gradient::Way::kDecomposition: EXPECT_NE(op().meaning.decompose, nullptr); break;
    case Gradient::Way::kPullback: EXPECT_NE(op().gradient.pullback, nullptr); break;
  }
}

TEST_P(OpSuite, MeaningFitsTheTier) {
  const bool truth = op().meaning.truth != nullptr, body = op().meaning.decompose != nullptr;
  switch (op().tier.value) {
    case Tier::kComposite:
      EXPECT_TRUE(body);
      EXPECT_FALSE(truth) << "a composite means what its decomposition means";
      break;
    case Tier::kExpected: EXPECT_TRUE(truth && body) << "a primitive of tier E has a truth and a decomposition"; break;
    case Tier::kBringUp:
    case Tier::kMandatory:
      EXPECT_TRUE(truth);
      EXPECT_FALSE(body) << "a primitive that can be decomposed belongs to tier E";
      break;
    case Tier::kHost: EXPECT_TRUE(truth || body || op().kind.value == Kind::kControl); break;
  }
}

TEST_P(OpSuite, HasCases) {
  if (op().kind.value == Kind::kControl || (op().kind.value == Kind::kSource && op().cases.texts.empty())) {
    GTEST_SKIP() << "sources and control flow take attributes that a case cannot spell";
  }
  EXPECT_FALSE(op().cases.texts.empty());
  size_t elements = 0;
  for_each_case([&](const OpCase&, const Instance& instance) {
    const Values outputs = all_outputs(instance.make());
    for (const Value& y : outputs) elements += static_cast<size_t>(y.shape().elements());
    const auto& names = op().outputs.list;
    EXPECT_TRUE(names.back().ends_with("...") || outputs.size() == names.size())
        << "the rule states " << outputs.size() << " outputs";
    EXPECT_EQ(instance.make(), outputs[0]) << "building the same again gives the same node";
    const runtime::Work work = runtime::work_of(outputs[0].node());
    EXPECT_TRUE(std::isfinite(work.flops) && work.flops >= 0) << "cost " << work.flops;
    EXPECT_TRUE(std::isfinite(work.bytes) && work.bytes >= 0) << "bytes " << work.bytes;
  });
  EXPECT_GT(elements, 0u) << "no case has an output element";
}

// --- meaning -----------------------------------------------------------------------------------------------------

// Checks the nodes of a decomposition: ends in primitives, never contains the node itself.
void check_body(const Node& node, const Values& body) {
  std::set<const Node*> seen, inputs;
  for (const Value& v : node.inputs()) {
    if (v) inputs.insert(&v.node());
  }
  std::vector<Value> kept(body.begin(), body.end());
  for (size_t at = 0; at < kept.size(); ++at) {
    const Value value = kept[at];
    const Node& part = value.node();
    if (inputs.contains(&part) || !seen.insert(&part).second) continue;
    ASSERT_NE(&part, &node) << "the decomposition of " << node.name() << " contains the node itself";
    ASSERT_FALSE(part.is("parameter")) << "the decomposition makes a parameter";
    ASSERT_LT(kept.size(), 100000u) << "the decomposition does not end";
    for (const Value& v : part.inputs()) {
      if (v) kept.push_back(v);
    }
    if (part.op().meaning.decompose != nullptr) {
      for (const Value& v : decomposition_of(part)) kept.push_back(v);
    }
  }
}

TEST_P(OpSuite, TruthAgreesWithDecomposition) {
  if (op().meaning.truth == nullptr || op().meaning.decompose == nullptr) GTEST_SKIP() << "has only one of them";
  for_each_case([&](const OpCase&, const Instance& instance) {
    const Value first = instance.make();
    const Values body = decomposition_of(first.node());
    check_body(first.node(), body);
    const Graph parts(instance.parameters, body);
    const auto inputs = evaluated(instance.inputs);
    const auto truth = reference::evaluate_unrounded(instance.graph(), inputs);
    const auto rounded = reference::evaluate_rounded(parts, inputs);
    const auto expectation = reference::expect(parts, inputs);
    for (size_t i = 0; i < truth.size(); ++i) {
      const auto deviation = reference::compare(truth[i], expectation.bounds[i], reference::to_literal(rounded[i]));
      EXPECT_FALSE(deviation) << "output " << i << " of the decomposition: " << deviation->text(truth[i].elements());
    }
  });
}

bool has_nan(const Evaluated& value) {
  for (double v : value.real) {
    if (std::isnan(v)) return true;
  }
  return false;
}

// Composites: the parts exist, fit the types the rule states, and narrow types do not turn numbers into nan.
TEST_P(OpSuite, CompositeEvaluates) {
  if (op().meaning.truth != nullptr || op().meaning.decompose == nullptr) GTEST_SKIP() << "no composite";
  std::map<std::string_view, std::vector<bool>> nan_in_double;
  for_each_case([&](const OpCase& given, const Instance& instance) {
    const Value first = instance.make();
    const Values body = decomposition_of(first.node());
    check_body(first.node(), body);
    const Graph parts(instance.parameters, body);
    const auto inputs = evaluated(instance.inputs);
    const auto values = reference::evaluate_unrounded(parts, inputs);
    const auto rounded = reference::evaluate_rounded(parts, inputs);
    auto [at, new_case] = nan_in_double.try_emplace(given.text);
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(values[i].type, first.node().outputs()[i]);
      if (new_case) at->second.push_back(has_nan(values[i]));
      EXPECT_EQ(has_nan(values[i]), at->second[i]) << "output " << i << " has nan in one type and not in another";
      EXPECT_EQ(has_nan(rounded[i]), at->second[i]) << "output " << i << " computed in its own type";
    }
  });
}

// A composite computed step by step in its own type stays near its meaning: it does not overflow half way, and does not
// cancel more than its own bound says.
TEST_P(OpSuite, CompositeIsStable) {
  if (op().meaning.truth != nullptr || op().meaning.decompose == nullptr) GTEST_SKIP() << "no composite";
  for_each_case([&](const OpCase&, const Instance& instance) {
    const Graph graph = instance.graph();
    const auto inputs = evaluated(instance.inputs);
    const auto expectation = reference::expect(graph, inputs);
    const auto rounded = reference::evaluate_rounded(graph, inputs);
    for (size_t i = 0; i < rounded.size(); ++i) {
      const auto deviation =
          reference::compare(expectation.values[i], expectation.bounds[i], reference::to_literal(rounded[i]));
      EXPECT_FALSE(deviation) << "output " << i << ": " << deviation->text(rounded[i].elements());
    }
  });
}

// --- text form ---------------------------------------------------------------------------------------------------

void check_text(const Graph& graph) {
  const std::string text = print(graph);
  const Graph parsed = parse_graph(text);
  EXPECT_EQ(print(parsed), text);
  EXPECT_EQ(parsed.structural_hash(), graph.structural_hash()) << text;
  EXPECT_TRUE(same_structure(parsed, graph)) << text;
  verify(parsed, "parse");
}

TEST_P(OpSuite, TextRoundTrip) {
  for_each_case([&](const OpCase&, const Instance& instance) {
    const Graph graph = instance.graph();
    check_text(graph);
    if (op().gradient.way == Gradient::Way::kNone) return;
    std::vector<Value> y, x;
    for (const Value& v : graph.outputs()) {
      if (is_float(v.dtype())) y.push_back(v);
    }
    for (const Value& v : graph.inputs()) {
      if (is_float(v.dtype())) x.push_back(v);
    }
    if (y.empty() || x.empty()) return;
    check_text(Graph(graph.inputs(), passes::gradient(y, x)));
  });
}

INSTANTIATE_TEST_SUITE_P(Ops, OpSuite, ::testing::ValuesIn(registered_ops()), OpName());

TEST(OpSuiteItself, SeesTheRegistry) { EXPECT_GT(registered_ops().size(), 5u); }

}  // namespace
}  // namespace trireme::testing
