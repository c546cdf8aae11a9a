// The ONNX backend suite, where its data is at hand, on every chip that is the meaning or runs all of it; and the
// engine that survives cases which crash.
//
// ctest: slow command timeout=900
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/certify/onnx_suite.h"
#include "trireme/data/find.h"
#include "trireme/formats/onnx/model.h"
#include "trireme/formats/session.h"

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
  EXPECT_EQ(outcomes[2].verdict, Verdict::kHang);
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

// The archive's contents below the folder; false, with the reason as a skip, where that cannot be.
#define UNPACK(name, folder)                                                                                     \
  const std::string archive = data::look_for_data(name);                                                         \
  if (archive.empty()) GTEST_SKIP() << name << " is not in the data folders";                                    \
  if (std::system(cat("zstd -q -d --long=27 -c '", archive, "' | tar x -C '", folder.path(), "'").c_str()) != 0) \
  GTEST_SKIP() << "zstd and tar are needed to unpack " << name

struct On {
  const char* device;
  const char* fallback;
  int least;  // cases of 1,905 that pass
  const char* persona = "";
  friend std::ostream& operator<<(std::ostream& out, const On& on) { return out << on.device << on.persona; }
};

class OnnxSuiteOn : public testing::TestWithParam<On> {};

TEST_P(OnnxSuiteOn, Runs) {
  const TemporaryFolder folder;
  UNPACK("onnx-conformance/onnx-v1.22.0-backend-data.tar.zst", folder);
  int passed = 0;
  // light: whole networks, minutes on a chip that is made to be plain.
  for (const std::string part : {"node", "simple", "pytorch-converted", "pytorch-operator"}) {
    OnnxSuiteOptions options;
    options.device = GetParam().device;
    options.fallback = GetParam().fallback;
    const SuiteResult result = run_onnx_suite(folder / part, options);
    passed += result.totals().at(Verdict::kPass);
    for (const SuiteCase& each : result.cases) {
      EXPECT_TRUE(each.outcome.verdict == Verdict::kPass || each.outcome.verdict == Verdict::kUnsupported)
          << each.path << ": " << each.outcome.detail;
    }
  }
  EXPECT_GE(passed, GetParam().least) << "of 1905";
}

// On its own, the chip that has the mandatory primitives runs what needs no type it lacks (f16, f64, i64, small
// integers); everything else is decomposed or refused by name.
INSTANTIATE_TEST_SUITE_P(Chips, OnnxSuiteOn,
                         testing::Values(On{"cpu", "error", 1881}, On{"reference", "error", 1881},
                                         On{"refchip:0?persona=mandatory", "allow", 1881},
                                         On{"refchip:0?persona=mandatory", "error", 1180}));

// 13 device functions: the persona is chosen before the plug-in is loaded, hence another process.
TEST(OnnxSuite, RunsOnAChipOfThirteenFunctions) {
  const TemporaryFolder folder;
  UNPACK("onnx-conformance/onnx-v1.22.0-backend-data.tar.zst", folder);
  int passed = 0;
  for (const std::string part : {"node", "simple", "pytorch-converted", "pytorch-operator"}) {
    const std::string command =
        cat("TRIREME_REFCHIP_PERSONA=minimal-13 '", TRIREME_BINARY_DIR, "/trireme' conformance onnx '", folder / part,
            "' --chip refchip --fallback allow --json >'", folder / "log", "' 2>/dev/null");
    EXPECT_EQ(std::system(command.c_str()), 0) << "a case is wrong or crashes:\n" << read_file(folder / "log");
    passed += nlohmann::json::parse(read_file(folder / "log"))["pass"].get<int>();
  }
  EXPECT_GE(passed, 1881) << "of 1905";
}

// 472 models that come without outputs. Four read a shape, axes or scales from an input or assume a size, and random
// ones make no sense there.
TEST(OnnxSuite, TheBurnCorpusRuns) {
  const TemporaryFolder folder;
  UNPACK("onnx-import-corpus/burn-onnx-tests.tar.zst", folder);
  OnnxSuiteOptions options;
  options.device = "cpu";
  options.random = true;
  const SuiteResult result = run_onnx_suite(folder.path(), options);
  EXPECT_EQ(result.cases.size(), 472u);
  const std::map<std::string, std::map<std::string, formats::HostValue>> sensible = {
      {"expand_with_where_shape", {{"input", formats::HostValue(Literal::filled(f32, {1, 1, 4}, 2.0))}}},
      {"reshape_with_1d_tensor",
       {{"input", formats::HostValue(Literal::filled(f32, {12}, 2.0))},
        {"shape", formats::HostValue(Literal::from_doubles(i64, {2}, std::vector<double>{3, 4}))}}},
      {"resize_with_scales_tensor",
       {{"input_tensor", formats::HostValue(Literal::filled(f32, {1, 3, 4, 4}, 2.0))},
        {"scales_input", formats::HostValue(Literal::from_doubles(f32, {4}, std::vector<double>{1, 1, 1.5, 2}))}}}};
  int refused = 0;
  for (const SuiteCase& each : result.cases) {
    if (each.outcome.verdict == Verdict::kPass) continue;
    const std::string file = each.path.substr(each.path.find_last_of('/') + 1);
    const auto inputs = sensible.find(file.substr(0, file.find('.')));
    if (inputs == sensible.end()) {  // ONNX allows only axes of size 1
      EXPECT_EQ(file, "squeeze_shape_noop.onnx") << each.outcome.detail;
      EXPECT_NE(each.outcome.detail.find("axis 0 of [2] is not of size 1"), std::string::npos) << each.outcome.detail;
      ++refused;
      continue;
    }
    formats::Session session(formats::onnx::Model::load(folder / each.path));
    const Literal y = session.run(inputs->second).at(0).tensor;
    EXPECT_GE(y.elements(), 12) << each.path;
    for (int64_t i = 0; i < y.elements(); ++i) ASSERT_EQ(y.at(i), 2.0) << each.path;
  }
  EXPECT_EQ(refused, 1);
}

}  // namespace
}  // namespace trireme::certify
