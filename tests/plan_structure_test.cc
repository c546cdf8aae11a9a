// What plans of known networks consist of on the cpu chip: kernels, copies, memory. These numbers do not depend on the
// machine (the chip is kept to AVX2), and a change for the worse is a mistake that no timing would show for certain.
//
// ctest: links=trireme_workloads
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "bench/networks/networks.h"
#include "bench/training.h"
#include "trireme/base/strings.h"
#include "trireme/data/find.h"
#include "trireme/formats/open_model.h"
#include "trireme/passes/autocast.h"
#include "trireme/passes/quantize.h"
#include "trireme/passes/simplify.h"
#include "trireme/runtime/explain.h"
#include "trireme/tensor/tensor.h"

namespace trireme::testing {
namespace {

// Before the chip is asked what it can do.
[[maybe_unused]] const int kCapped = setenv("TRIREME_CPU_ISA", "avx2", /*overwrite=*/1);

struct Structure {
  const char* model;     // in the data folders; or a network or training step of the benchmarks, and its precision
  int launches;          // kernels
  int rearranged;        // copies into another layout
  uint64_t arena_bytes;  // for the values between them
  int64_t side = 0;      // of the picture, where a model takes any
};
// The right-hand sides are what the planner reached when they were written down; smaller is better.
constexpr Structure kModels[] = {
    {"mnist_8/model.onnx", 5, 1, 31360},
    {"picodet_s_320/picodet_s_320_coco.onnx", 212, 35, 3072000},
    {"squeezenet_fp16/SqueezeNet_fp16.onnx", 41, 0, 1964288},
    {"super_resolution_10/model.onnx", 4, 1, 25690112},
    {"style_candy/candy.onnx", 109, 8, 122880064},
    {"cifar10_cnn/ImageClassifier.onnx", 6, 1, 80832},
    {"gtcrn/gtcrn.onnx", 1051, 27, 459584},
    {"ppocr_v3_det/model.onnx", 111, 0, 9216384, 320},
};
constexpr Structure kNetworks[] = {
    {"resnet50_1 f32", 63, 0, 7226624},
    {"resnet50_8 f32", 63, 0, 57804032},
    {"resnet50_1 bf16", 65, 0, 8430848},
    {"resnet50_1 int8", 60, 1, 7426048},
    {"mobilenet_v3_1 f32", 106, 0, 4014336},
    {"mobilenet_v3_1 int8", 92, 1, 3411968},
    {"bert_base_1x128 f32", 122, 0, 3538944},
    {"bert_base_1x128 bf16", 134, 0, 1572864},
    {"bert_base_1x128 int8-dynamic", 374, 0, 3649536},
};
struct Step : Structure {
  DType x_type;
  Shape x;
  DType y_type;
  Shape y;
};
const Step kSteps[] = {
    {{"tiny_mlp f32", 45, 10, 40000}, f32, {32, 16}, f32, {32, 16}},
    {{"lenet f32", 66, 4, 18132032}, f32, {64, 1, 28, 28}, i32, {64}},
    {{"resnet18 f32", 345, 4, 92340096}, f32, {16, 3, 32, 32}, i32, {16}},
    {{"char_gpt f32", 279, 25, 93863936}, i32, {16, 128}, i32, {16, 128}},
    {{"char_gpt bf16", 368, 37, 84267008}, i32, {16, 128}, i32, {16, 128}},
    {{"resnet50 f32", 982, 4, 823986176}, f32, {8, 3, 224, 224}, i32, {8}},
};

template <class T>
std::string test_name(const ::testing::TestParamInfo<T>& info) {
  std::string name = info.param.model;
  name = name.substr(0, name.find('/'));
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}

void check(const Structure& structure, const Graph& graph) {
  runtime::PlanOptions options;
  options.target = &runtime::Device::get("cpu");
  options.fallback = runtime::Fallback::kError;
  const auto ledger = runtime::explain(graph, options).ledger;
  EXPECT_LE(ledger.launches, structure.launches);
  EXPECT_LE(ledger.rearranged, structure.rearranged);
  EXPECT_LE(ledger.arena_bytes, structure.arena_bytes);
  EXPECT_EQ(ledger.copies, 0) << "nothing leaves the chip";
  EXPECT_LE(static_cast<double>(ledger.arena_bytes), 1.1 * static_cast<double>(ledger.live_bytes));
}

// "NAME PRECISION"
std::pair<std::string, std::string> parts_of(const Structure& structure) {
  const std::string text = structure.model;
  const size_t space = text.find(' ');
  return {text.substr(0, space), text.substr(space + 1)};
}

class PlanOfModel : public ::testing::TestWithParam<Structure> {};
INSTANTIATE_TEST_SUITE_P(PlanStructure, PlanOfModel, ::testing::ValuesIn(kModels), test_name<Structure>);
TEST_P(PlanOfModel, IsNoLargerThanItWas) {
  const std::string file = cat("onnx-models/", GetParam().model), path = data::look_for_data(file);
  if (path.empty()) GTEST_SKIP() << "no " << file << " in the data folders; set TRIREME_DATA";
  const auto model = formats::open_model(path);
  const int64_t side = GetParam().side;
  check(GetParam(), side == 0
                        ? model->import_with(1).graph
                        : model->import({formats::Binding::of_type(formats::Elem::kFloat, {1, 3, side, side})}).graph);
}

class PlanOfNetwork : public ::testing::TestWithParam<Structure> {};
INSTANTIATE_TEST_SUITE_P(PlanStructure, PlanOfNetwork, ::testing::ValuesIn(kNetworks), test_name<Structure>);
TEST_P(PlanOfNetwork, IsNoLargerThanItWas) {
  const auto [name, precision] = parts_of(GetParam());
  static std::map<std::string, Graph> networks;  // drawing the parameters takes longest
  if (!networks.contains(name)) networks.emplace(name, bench::network(name).graph);
  Graph graph = networks.at(name);
  if (precision == "bf16") graph = passes::autocast(graph, bf16);
  if (precision == "int8") {
    const passes::Quantization plan(graph);
    const std::vector<passes::Range> ranges(plan.activations().outputs().size(), {-1.0, 3.0});
    graph = passes::simplify(plan.with_ranges(ranges));
  }
  if (precision == "int8-dynamic") graph = passes::simplify(passes::Quantization(graph).dynamic());
  check(GetParam(), graph);
}

class PlanOfStep : public ::testing::TestWithParam<Step> {};
INSTANTIATE_TEST_SUITE_P(PlanStructure, PlanOfStep, ::testing::ValuesIn(kSteps), test_name<Step>);
TEST_P(PlanOfStep, IsNoLargerThanItWas) {
  const auto [name, precision] = parts_of(GetParam());
  const bench::TrainingStep step = bench::training_step(name, precision == "bf16" ? bf16 : f32);
  step.step(Literal::zeros(GetParam().x_type, GetParam().x), Literal::zeros(GetParam().y_type, GetParam().y));
  check(GetParam(), step.graph());
}

}  // namespace
}  // namespace trireme::testing
