// The ONNX backend suite, where its data is at hand, on every chip that is the meaning or runs all of it; and the
// engine that survives cases which crash.
//
// ctest: slow timeout=900
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/certify/onnx_suite.h"
#include "trireme/data/find.h"

namespace trireme::certify {
namespace {

TEST(GuardedCases, ACrashOrAHangEndsOnlyItsCase) {
  GuardOptions options;
  options.seconds = 1.0;
  options.workers = 2;
  const auto outcomes = run_guarded(
      6, [] {},
      [](size_t i) -> Outcome {
        if (i == 1) ::raise(SIGKILL);
        if (i == 2) ::sleep(60);
        if (i == 4) ::_exit(7);
        return {i == 3 ? Verdict::kWrong : Verdict::kPass, i == 3 ? std::string(100000, 'x') : "", 0.0};
      },
      options);
  EXPECT_EQ(outcomes[0].verdict, Verdict::kPass);
  EXPECT_EQ(outcomes[1].verdict, Verdict::kCrash);
  EXPECT_NE(outcomes[1].detail.find("signal 9"), std::string::npos) << outcomes[1].detail;
  EXPECT_EQ(outcomes[2].verdict, Verdict::kCrash);
  EXPECT_NE(outcomes[2].detail.find("not finished"), std::string::npos) << outcomes[2].detail;
  EXPECT_EQ(outcomes[3].verdict, Verdict::kWrong);
  EXPECT_EQ(outcomes[3].detail.size(), 100000U);
  EXPECT_EQ(outcomes[4].verdict, Verdict::kCrash);
  EXPECT_NE(outcomes[4].detail.find("exit code 7"), std::string::npos) << outcomes[4].detail;
  EXPECT_EQ(outcomes[5].verdict, Verdict::kPass);
}

TEST(GuardedCases, AWorkerThatCannotStartEndsTheRun) {
  const auto run = [](const std::function<void()>& start) {
    return run_guarded(2, start, [](size_t) -> Outcome { return {Verdict::kPass, {}, 0.0}; });
  };
  try {
    run([] { throw Error(Code::kNotFound, "no such device"); });
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "no such device");
  }
  EXPECT_THROW(run([] { ::_exit(3); }), Error);
}

TEST(OnnxSuite, ValuesAreComparedAsTheSuiteDoes) {
  using formats::HostValue;
  const auto value = [](double v) {
    return HostValue(Literal::from_doubles(f32, Shape{2}, std::vector<double>{1.0, v}));
  };
  EXPECT_EQ(difference(value(1000.9), value(1000.0)), "");
  EXPECT_NE(difference(value(1001.1), value(1000.0)), "");
  EXPECT_EQ(difference(value(0.9e-7), value(0.0)), "");
  EXPECT_NE(difference(value(1.1e-7), value(0.0)), "");
  EXPECT_EQ(difference(value(NAN), value(NAN)), "");
  EXPECT_NE(difference(value(NAN), value(1.0)), "");
  EXPECT_NE(difference(value(INFINITY), value(-INFINITY)), "");
  EXPECT_NE(difference(value(1.0), HostValue(Literal::zeros(f32, {1, 2}))), "");
  EXPECT_NE(difference(value(1.0), HostValue(Literal::zeros(f64, {2}))), "");
}

TEST(OnnxSuite, AFolderWithoutCasesIsRefused) {
  const TemporaryFolder empty;
  OnnxSuiteOptions options;
  options.device = "cpu";
  EXPECT_THROW(run_onnx_suite(empty.path(), options), Error);
}

class OnnxSuiteOn : public testing::TestWithParam<const char*> {};

TEST_P(OnnxSuiteOn, Runs) {
  const std::string archive = data::look_for_data("onnx-conformance/onnx-v1.22.0-backend-data.tar.zst");
  if (archive.empty()) GTEST_SKIP() << "the ONNX backend suite is not at hand (onnx-conformance in the data folder)";
  const TemporaryFolder folder;
  if (std::system(cat("zstd -q -d --long=27 -c '", archive, "' | tar x -C '", folder.path(), "'").c_str()) != 0) {
    GTEST_SKIP() << "zstd and tar are needed to unpack the suite";
  }
  int passed = 0;
  // light: whole networks, minutes on a chip that is made to be plain.
  for (const std::string part : {"node", "simple", "pytorch-converted", "pytorch-operator"}) {
    OnnxSuiteOptions options;
    options.device = GetParam();
    const SuiteResult result = run_onnx_suite(folder / part, options);
    passed += result.totals().at(Verdict::kPass);
    for (const SuiteCase& each : result.cases) {
      EXPECT_TRUE(each.outcome.verdict == Verdict::kPass || each.outcome.verdict == Verdict::kUnsupported)
          << each.path << ": " << each.outcome.detail;
    }
  }
  EXPECT_GE(passed, 1881) << "of 1905";
}

INSTANTIATE_TEST_SUITE_P(Chips, OnnxSuiteOn, testing::Values("cpu", "reference", "refchip:0?persona=mandatory"));

}  // namespace
}  // namespace trireme::certify
