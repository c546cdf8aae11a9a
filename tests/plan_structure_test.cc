// What plans of known networks consist of on the cpu chip: kernels, copies, memory. These numbers do not depend on the
// machine, and a change for the worse is a mistake that no timing would show for certain.
#include <gtest/gtest.h>

#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/formats/open_model.h"
#include "trireme/runtime/explain.h"
#include "trireme/tensor/tensor.h"

namespace trireme::testing {
namespace {

struct Structure {
  const char* model;     // in the data folders
  int launches;          // kernels
  int rearranged;        // copies into another layout
  uint64_t arena_bytes;  // for the values between them
};
// The right-hand sides are what the planner reached when they were written down; smaller is better.
constexpr Structure kStructures[] = {
    {"mnist_8/model.onnx", 5, 1, 31360},
    {"picodet_s_320/picodet_s_320_coco.onnx", 212, 35, 3072000},
    {"squeezenet_fp16/SqueezeNet_fp16.onnx", 41, 0, 1964288},
    {"super_resolution_10/model.onnx", 4, 1, 25690112},
    {"style_candy/candy.onnx", 109, 8, 122880064},
    {"cifar10_cnn/ImageClassifier.onnx", 6, 1, 80832},
    {"gtcrn/gtcrn.onnx", 1051, 27, 459584},
};

class PlanStructure : public ::testing::TestWithParam<Structure> {};
INSTANTIATE_TEST_SUITE_P(Models, PlanStructure, ::testing::ValuesIn(kStructures), [](const auto& info) {
  const std::string name = info.param.model;
  return name.substr(0, name.find('/'));
});

TEST_P(PlanStructure, IsNoLargerThanItWas) {
  const char* data = std::getenv("TRIREME_DATA");
  const std::string path = cat(data != nullptr ? data : "../shared/data", "/onnx-models/", GetParam().model);
  if (!file_exists(path)) GTEST_SKIP() << path << " is not there";
  runtime::PlanOptions options;
  options.target = &runtime::Device::get("cpu");
  options.fallback = runtime::Fallback::kError;
  const auto ledger = runtime::explain(formats::open_model(path)->import_with(1).graph, options).ledger;
  EXPECT_LE(ledger.launches, GetParam().launches);
  EXPECT_LE(ledger.rearranged, GetParam().rearranged);
  EXPECT_LE(ledger.arena_bytes, GetParam().arena_bytes);
  EXPECT_EQ(ledger.copies, 0) << "nothing leaves the chip";
  EXPECT_LE(static_cast<double>(ledger.arena_bytes), 1.1 * static_cast<double>(ledger.live_bytes));
}

}  // namespace
}  // namespace trireme::testing
