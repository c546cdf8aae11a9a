// Single cases of the certifier, each in a child process as there, on personas of refchip: where offsets pass 2^31 and
// 2^32, kernels that are kept as bytes, and models.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "persona.h"
#include "trireme/base/strings.h"
#include "trireme/certify/cases.h"
#include "trireme/certify/judge.h"
#include "trireme/certify/layout.h"
#include "trireme/certify/level.h"
#include "trireme/certify/op_case.h"
#include "trireme/ops/ops.h"
#include "trireme/reference/accuracy.h"
#include "trireme/reference/evaluator.h"

namespace trireme::testing {
namespace {

using certify::Case, certify::Finding, certify::Outcome, certify::Verdict;
using Json = nlohmann::json;

using Which = std::function<bool(const Case&)>;
Which has(const std::string& words) {
  return [words](const Case& c) { return c.name.find(words) != std::string::npos; };
}

// How those of the cases end on the chip of a persona, by name.
std::map<std::string, Outcome> ends(const std::string& persona, const std::vector<Case>& cases, const Which& which) {
  const chip::Chip& chip = persona_chip(persona);  // its devices are opened in the child alone
  std::vector<const Case*> chosen;
  for (const Case& each : cases) {
    if (which(each)) chosen.push_back(&each);
  }
  EXPECT_FALSE(chosen.empty());
  const certify::Subject subject{chip, nullptr, 1};
  const auto work = [&](size_t i) -> Outcome {
    try {
      return {Verdict::kPass, chosen[i]->run(subject), 0.0, {}};
    } catch (const Finding& finding) {
      return {finding.verdict(), finding.what(), 0.0, {}};
    }
  };
  const auto outcomes = certify::run_guarded(chosen.size(), [] {}, work, {.seconds = 30});
  std::map<std::string, Outcome> out;
  for (size_t i = 0; i < chosen.size(); ++i) out[chosen[i]->name] = outcomes[i];
  return out;
}

void expect_all(const std::map<std::string, Outcome>& outcomes, Verdict verdict) {
  for (const auto& [name, outcome] : outcomes) {
    EXPECT_EQ(certify::name(outcome.verdict), certify::name(verdict)) << name << ": " << outcome.detail;
  }
}
size_t failures(const std::map<std::string, Outcome>& outcomes) {
  size_t count = 0;
  for (const auto& [name, outcome] : outcomes) count += certify::is_failure(outcome.verdict);
  return count;
}

// ---- where 32 bits end --------------------------------------------------------------------------------------------

TEST(FarApart, ElementsLieWhereTheStridesSay) {
  const std::vector<double> values = {1, 2, 3, 4, 5, 6};
  for (const DType type : {f32, u8, f64}) {
    const Literal literal = Literal::from_doubles(type, {3, 2}, values);
    const certify::Layout layout = certify::far_apart(literal);
    const auto item = static_cast<int64_t>(size_of(type));
    EXPECT_GT(layout.strides[0] * 2 * item, int64_t{1} << 32);
    EXPECT_LE(layout.reach, (uint64_t{1} << 32) + 1024);
    for (int64_t row = 0; row < 3; ++row) {
      const auto at = static_cast<uint64_t>(row * layout.strides[0] * item);
      ASSERT_TRUE(layout.pieces.contains(at));
      EXPECT_EQ(0, std::memcmp(layout.pieces.at(at).data(), static_cast<const char*>(literal.data()) + row * 2 * item,
                               static_cast<size_t>(2 * item)));
    }
    const certify::Layout repeated = certify::far_apart_repeated(literal);
    EXPECT_EQ(repeated.strides[1], 0);
    EXPECT_EQ(repeated.values.to_doubles(), (std::vector<double>{1, 1, 3, 3, 5, 5}));
    EXPECT_EQ(repeated.pieces.size(), 3u);
  }
  const Literal scalar = Literal::scalar(1.0f);
  EXPECT_EQ(certify::far_apart(scalar).reach, 0u) << "nothing to lay apart";
}

TEST(FarApart, WrappedOffsetsAreFound) {
  const auto cases = certify::op_cases(1);
  const Which far = [](const Case& c) {
    return c.name.find("far apart") != std::string::npos && (c.op == "gather" || c.op == "add" || c.op == "reduce_sum");
  };
  const auto honest = ends("full", cases, far);
  expect_all(honest, Verdict::kPass);
  EXPECT_EQ(honest.size(), 12u) << "three ops in two types and two layouts";
  EXPECT_GE(failures(ends("broken-wrapped-stride", cases, far)), 10u);
  const auto gathers = ends("broken-wrapped-gather-offset", cases, far);
  EXPECT_GE(failures(gathers), 1u);
  for (const auto& [name, outcome] : gathers) {
    EXPECT_TRUE(name.starts_with("gather") || !certify::is_failure(outcome.verdict)) << name << outcome.detail;
  }
  expect_all(ends("tiny-memory", cases, far), Verdict::kUnsupported);
  expect_all(ends("whole-memory", cases, far), Verdict::kUnsupported);
}

TEST(FarApart, WrappedCopiesAreFound) {
  const auto cases = certify::op_cases(1);
  const Which copies = has("copies behind 2^32");
  expect_all(ends("full", cases, copies), Verdict::kPass);
  expect_all(ends("broken-wrapped-copy", cases, copies), Verdict::kWrong);
  expect_all(ends("tiny-memory", cases, copies), Verdict::kUnsupported);
  expect_all(ends("whole-memory", cases, copies), Verdict::kUnsupported);
}

TEST(LargeTensors, AreSkippedWithTheReason) {
  for (const auto& [name, outcome] : ends("tiny-memory", certify::op_cases(1), has("2^31 elements"))) {
    EXPECT_EQ(outcome.verdict, Verdict::kUnsupported) << name;
    EXPECT_NE(outcome.detail.find("not tried: it takes"), std::string::npos) << name << ": " << outcome.detail;
  }
}

// ---- kernels that are kept ----------------------------------------------------------------------------------------

const Which kKept = [](const Case& c) {
  return c.name.find("kernels come back") != std::string::npos || c.name.find("are refused") != std::string::npos;
};

TEST(KeptKernels, OfHonestChipsComeBackAndSpoiltOnesAreRefused) {
  for (const char* persona : {"full", "engine-only", "handle-only", "no-bf16"}) {
    SCOPED_TRACE(persona);
    const auto outcomes = ends(persona, certify::engine_cases(1), kKept);
    EXPECT_EQ(outcomes.size(), 3u);
    expect_all(outcomes, Verdict::kPass);
  }
  expect_all(ends("minimal-13", certify::engine_cases(1), kKept), Verdict::kUnsupported);  // it withholds the slots
}

TEST(KeptKernels, EveryBrokenChipIsFound) {
  for (const auto& [defect, found_by] : {std::pair{"one-kept-kernel", "kept kernels come back"},
                                         {"stale-kept-kernel", "stale kernels are refused"},
                                         {"truncated-kept-kernel", "damaged kernels are refused"},
                                         {"any-kept-kernel", "damaged kernels are refused"}}) {
    SCOPED_TRACE(defect);
    const auto outcomes = ends(cat("broken-", defect), certify::engine_cases(1), kKept);
    EXPECT_TRUE(certify::is_failure(outcomes.at(found_by).verdict)) << outcomes.at(found_by).detail;
  }
}

// ---- bounds --------------------------------------------------------------------------------------------------------

// A sum in a region: of differences, one after another in f32, which is right; and one that is off by less than bf16
// would be, which is not.
TEST(Bounds, ASumInARegionMayBeTakenInAnyOrder) {
  const Value x = parameter(f32, {7, 600}), y = parameter(f32, {7, 600});
  const Graph graph({x, y}, {ops::reduce_sum(ops::sub(x, y), {})});
  int beyond_the_measured = 0, narrow_refused = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    std::vector<double> a(4200), b(4200);
    for (size_t i = 0; i < a.size(); ++i) {
      a[i] = certify::uniform(seed, i, 0.0, 1.0);
      b[i] = certify::uniform(seed + 100, i, -0.4, 0.4);
    }
    const std::vector<Literal> inputs = {Literal::from_doubles(f32, {7, 600}, a),
                                         Literal::from_doubles(f32, {7, 600}, b)};
    float sum = 0.0f;
    for (int64_t i = 0; i < 4200; ++i) sum += static_cast<float>(inputs[0].at(i)) - static_cast<float>(inputs[1].at(i));
    const auto expected = certify::expect(graph, inputs);
    EXPECT_NO_THROW(certify::compare_all(expected, {Literal::scalar(sum)}, ""));
    const double off = sum + 1.0;
    try {
      certify::compare_all(expected, {Literal::from_doubles(f32, {}, std::vector<double>{off})}, "");
    } catch (const Finding&) {
      ++narrow_refused;
    }
    std::vector<Evaluated> values;
    for (const Literal& literal : inputs) values.push_back(reference::to_evaluated(literal));
    const auto measured = reference::expect(graph, values, 8);
    beyond_the_measured += reference::compare(measured.values[0], measured.bounds[0], Literal::scalar(sum)).has_value();
  }
  EXPECT_EQ(narrow_refused, 20);
  EXPECT_GT(beyond_the_measured, 0) << "else this shows nothing";
}

// ---- models -------------------------------------------------------------------------------------------------------

TEST(Models, AreTrainedSavedLoadedExportedAndTheGainsTold) {
  const auto outcomes = ends("missing-top20", certify::model_cases(1), has("a transformer block"));
  expect_all(outcomes, Verdict::kPass);
  const Json figure = Json::parse(outcomes.at("a transformer block").detail);
  EXPECT_GT(figure["planned_ns"], 0.0);
  ASSERT_GT(figure["gains_ns"].size(), 0u);
  for (const auto& [op, ns] : figure["gains_ns"].items()) {
    EXPECT_GT(ns, 0.0) << op;
    EXPECT_LT(ns, figure["planned_ns"]) << op;
  }
  EXPECT_TRUE(outcomes.contains("a transformer block, products in bf16"));
}

TEST(Models, WhatIsNotClaimedIsNotTried) {
  for (const auto& [name, outcome] : ends("no-bf16", certify::model_cases(1), has("products in bf16"))) {
    EXPECT_EQ(outcome.verdict, Verdict::kUnsupported) << name;
    EXPECT_EQ(outcome.detail, "it does not claim arithmetic in bf16");
  }
  const auto ranks = ends("full", certify::model_cases(1), has("two ranks"));
  expect_all(ranks, Verdict::kUnsupported);
}

}  // namespace
}  // namespace trireme::testing
