// StableHLO's own test files, where they are at hand, on every chip that is the meaning or runs all of it.
//
// ctest: slow timeout=900
#include <gtest/gtest.h>

#include <cstdlib>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/certify/stablehlo_suite.h"
#include "trireme/data/find.h"

namespace trireme::certify {
namespace {

using formats::stablehlo::Check;

Literal values(DType type, const std::vector<double>& list) {
  return Literal::from_doubles(type, Shape{static_cast<int64_t>(list.size())}, list);
}

TEST(StablehloSuite, ValuesAreComparedAsTheChecksSay) {
  Check equal, almost, close;
  almost.kind = Check::Kind::kAlmost;
  almost.tolerance = 1e-3;
  close.kind = Check::Kind::kClose;
  close.max_ulp = 3;
  const auto passes = [](const Check& check, DType type, double got, double expected, uint64_t ulp = 0) {
    return difference(check, values(type, {1.0, got}), values(type, {1.0, expected}), ulp).empty();
  };
  EXPECT_TRUE(passes(equal, i64, 7, 7));
  EXPECT_FALSE(passes(equal, i64, 7, 8));
  EXPECT_TRUE(passes(equal, f32, 0.0, -0.0));
  EXPECT_TRUE(passes(equal, f32, NAN, NAN));
  EXPECT_FALSE(passes(equal, f32, NAN, 1.0));
  EXPECT_FALSE(passes(equal, f32, 1.0, 1.0 + 0x1p-23));
  EXPECT_TRUE(passes(almost, f32, 5.0, 5.0009));
  EXPECT_FALSE(passes(almost, f32, 5.0, 5.0011));
  EXPECT_FALSE(passes(almost, f32, 1e-4, -1e-4));  // signs differ
  EXPECT_FALSE(passes(almost, f32, INFINITY, -INFINITY));
  EXPECT_TRUE(passes(close, f32, 1.0, 1.0 + 3 * 0x1p-23));
  EXPECT_FALSE(passes(close, f32, 1.0, 1.0 + 4 * 0x1p-23));
  EXPECT_TRUE(passes(close, f32, 1.0, 1.0 + 4 * 0x1p-23, 4));
  EXPECT_TRUE(passes(close, f16, 1.0, 1.0 + 3 * 0x1p-10));
  EXPECT_FALSE(passes(close, bf16, 1.0, 1.0 + 4 * 0x1p-7));
  EXPECT_TRUE(passes(close, f64, 0x1p-1074, -0x1p-1074));  // 2 apart, across 0
  EXPECT_FALSE(passes(close, f32, HUGE_VALF, 3.4e38));
  EXPECT_TRUE(passes(close, f32, NAN, NAN));
  EXPECT_FALSE(difference(equal, values(f32, {1}), values(f64, {1})).empty());
  EXPECT_FALSE(difference(equal, values(f32, {1}), values(f32, {1, 1})).empty());
}

Outcome outcome_of(const std::string& body) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "case.mlir", cat("func.func @main() {\n", body, "\n  return\n}\n"));
  SuiteOptions options;
  options.device = "cpu";
  return run_stablehlo_suite(folder.path(), options).cases.at(0).outcome;
}

TEST(StablehloSuite, ACaseEndsByWhatItsChecksSay) {
  const std::string sum =
      "%a = stablehlo.constant dense<[1, 2]> : tensor<2xi32>\n%b = stablehlo.add %a, %a : tensor<2xi32>\n";
  EXPECT_EQ(outcome_of(sum + "check.expect_eq_const %b, dense<[2, 4]> : tensor<2xi32>").verdict, Verdict::kPass);
  const Outcome wrong = outcome_of(sum + "check.expect_eq_const %b, dense<[2, 5]> : tensor<2xi32>");
  EXPECT_EQ(wrong.verdict, Verdict::kWrong);
  EXPECT_NE(wrong.detail.find("line 4: check.expect_eq_const: element 1 is 4, expected 5; 1 of 2"), std::string::npos)
      << wrong.detail;
  EXPECT_EQ(outcome_of(sum).verdict, Verdict::kUnsupported);  // checks nothing
  EXPECT_EQ(outcome_of("%a = stablehlo.constant dense<1> : tensor<i4>").verdict, Verdict::kUnsupported);
  EXPECT_EQ(outcome_of(sum + "%c = stablehlo.add %a, %d : tensor<2xi32>").verdict, Verdict::kWrong);
}

TEST(StablehloSuite, AFolderWithoutCasesIsRefused) {
  const TemporaryFolder folder;
  SuiteOptions options;
  options.device = "cpu";
  EXPECT_THROW(run_stablehlo_suite(folder.path(), options), Error);
  write_file_atomically(folder / "broken.mlir", "func.func @main() {");
  const SuiteResult result = run_stablehlo_suite(folder.path(), options);
  ASSERT_EQ(result.cases.size(), 1U);
  EXPECT_EQ(result.cases[0].outcome.verdict, Verdict::kWrong);
  EXPECT_NE(result.cases[0].outcome.detail.find("broken.mlir: line 1"), std::string::npos)
      << result.cases[0].outcome.detail;
  options.filter = "no such case";
  EXPECT_THROW(run_stablehlo_suite(folder.path(), options), Error);
}

struct Place {
  const char *device, *fallback;
};

class StablehloSuiteOn : public testing::TestWithParam<Place> {};

TEST_P(StablehloSuiteOn, Runs) {
  const std::string archive = data::look_for_data("stablehlo-vectors/stablehlo-testdata.tar.zst");
  if (archive.empty()) GTEST_SKIP() << "StableHLO's test files are not at hand (stablehlo-vectors in the data folder)";
  const TemporaryFolder folder;
  if (std::system(cat("zstd -q -d -c '", archive, "' | tar x -C '", folder.path(), "'").c_str()) != 0) {
    GTEST_SKIP() << "zstd and tar are needed to unpack the suite";
  }
  SuiteOptions options;
  options.device = GetParam().device;
  options.fallback = GetParam().fallback;
  const SuiteResult result = run_stablehlo_suite(folder.path(), options);
  for (const SuiteCase& each : result.cases) {
    const Outcome& outcome = each.outcome;
    EXPECT_TRUE(outcome.verdict == Verdict::kPass || outcome.verdict == Verdict::kUnsupported)
        << each.path << ": " << outcome.detail;
    EXPECT_EQ(outcome.verdict == Verdict::kUnsupported && outcome.detail.empty(), false) << each.path;
  }
  EXPECT_EQ(result.cases.size(), 2657U);
  EXPECT_GE(result.totals().at(Verdict::kPass), 1968);
}

// The meaning must do it all itself; a chip without every op and type gets help.
INSTANTIATE_TEST_SUITE_P(Chips, StablehloSuiteOn,
                         testing::Values(Place{"cpu", "error"}, Place{"reference", "error"},
                                         Place{"refchip:0?persona=mandatory", "allow"}));

}  // namespace
}  // namespace trireme::certify
