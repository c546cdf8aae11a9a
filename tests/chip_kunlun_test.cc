// The Kunlun chip where it differs from others: products in fixed point, what follows them in the same launch, regions
// as one kernel, and a clock that can be asked. (Every op of it is in op_chip_test and op_runtime_test.)
//
// ctest: links=trireme_kunlun_virtual
#include <gtest/gtest.h>

#include <random>

#include "make_op.h"
#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/certify/judge.h"
#include "trireme/reference/evaluator.h"
#include "trireme/runtime/host.h"
#include "trireme/runtime/plan.h"
#include "xpu/runtime.h"
#include "xpu/simulator.h"

namespace trireme::testing {
namespace {

using certify::OpenChip;

OpenChip& xpu() {
  static OpenChip* opened = [] {
    for (const auto& chip : chip::all_chips(runtime::host_services()).chips) {
      if (chip->name() == "xpu") return new OpenChip(*chip);
    }
    throw std::logic_error("no xpu is built in");
  }();
  return *opened;
}

Literal random_literal(const Shape& shape, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-2.0, 2.0);
  std::vector<double> values(static_cast<size_t>(shape.elements()));
  for (double& value : values) value = uniform(random);
  return Literal::from_doubles(f32, shape, values);
}

Value known(const Shape& shape, uint32_t seed) {
  return op("constant", {}, {{"value", std::make_shared<const Literal>(random_literal(shape, seed))}});
}

std::shared_ptr<runtime::Plan> plan_of(const Graph& graph) {
  return runtime::Plan::make(graph, {.target = &runtime::Device::get("xpu:0"), .fallback = runtime::Fallback::kError});
}

// Runs a graph of f32 parameters on the xpu alone and holds it against the reference, in the arithmetic that the chip
// states. Returns the number of launches.
int check(const Graph& graph) {
  std::vector<Literal> inputs;
  for (const Value& v : graph.inputs()) {
    inputs.push_back(random_literal(v.shape(), 7 + static_cast<uint32_t>(inputs.size())));
  }
  EXPECT_NO_THROW(certify::verify_through_runtime(xpu(), graph, inputs, "", /*alone=*/true));
  return plan_of(graph)->ledger().launches;
}

// ---- what follows a product

TEST(ChipKunlun, SumsAndActivationsFollowAConvolutionInOneLaunch) {
  const Value x = parameter(f32, {2, 6, 9, 8}), branch = parameter(f32, {2, 4, 9, 8}),
              addend = parameter(f32, {2, 4, 9, 8});
  const Value conv = op("conv2d", {x, known({4, 6, 3, 3}, 1), known({4}, 2)}, {{"padding", Ints{1, 1}}});
  for (const char* act : {"relu", "relu6", "sigmoid", "tanh", "silu", "gelu", "hard_swish", "leaky_relu"}) {
    SCOPED_TRACE(act);
    const Value whole = op("add", {op(act, {op("add", {conv, branch})}), addend});
    EXPECT_EQ(check(Graph({x, branch, addend}, {whole})), 1);
    EXPECT_EQ(check(Graph({x}, {op(act, {op("linear", {x, known({5, 8}, 3), known({5}, 4)})})})), 1);
  }
}

TEST(ChipKunlun, WhatCannotFollowIsALaunchOfItsOwn) {
  const Value x = parameter(f32, {1, 3, 5, 5});
  const Value conv = op("conv2d", {x, known({4, 3, 3, 3}, 1)}, {{"padding", Ints{1, 1}}});
  EXPECT_EQ(check(Graph({x}, {op("exp", {op("relu", {conv})})})), 2);  // no second activation
  EXPECT_EQ(check(Graph({x}, {conv, op("relu", {conv})})), 2);         // the sum itself is wanted too
  const Value pixels = parameter(f32, {1, 4, 5, 5});
  EXPECT_EQ(check(Graph({x, pixels}, {op("mul", {conv, pixels})})), 2);  // no product with a tensor
}

// A known weight is made fixed-point ahead; the library does the same to others when it runs. The bits are the same.
TEST(ChipKunlun, KnownWeightsChangeNoBit) {
  const Value x = parameter(f32, {2, 6, 9, 8}), w = parameter(f32, {4, 6, 3, 3});
  const std::vector<std::pair<std::string_view, Attribute>> padded = {{"padding", Ints{1, 1}}};
  const Literal picture = random_literal(x.shape(), 5), weight = random_literal(w.shape(), 6);
  const Graph given({x, w}, {op("conv2d", {x, w}, padded)}),
      ahead({x}, {op("conv2d", {x, known(w.shape(), 6)}, padded)});
  runtime::Device& device = runtime::Device::get("xpu:0");
  const std::vector both = {runtime::Buffer::from(device, picture), runtime::Buffer::from(device, weight)};
  const Literal first = plan_of(given)->run(both)[0]->read();
  const Literal second = plan_of(ahead)->run(std::span(both).first(1))[0]->read();
  EXPECT_TRUE(first.same_bytes(second));
}

// ---- regions

TEST(ChipKunlun, ElementwiseNodesAreOneLaunch) {
  const Value x = parameter(f32, {7, 300}), y = parameter(f32, {7, 300});
  Value z = x;
  for (int k = 0; k < 6; ++k) z = op("add", {op("mul", {op("tanh", {z}), y}), x});
  EXPECT_EQ(check(Graph({x, y}, {z})), 1);
  // With a reduction behind: of rows, of all (small and large).
  EXPECT_EQ(check(Graph({x, y}, {op("reduce_sum", {z}, {{"axes", Ints{1}}})})), 1);
  EXPECT_EQ(check(Graph({x, y}, {op("reduce_max", {z}, {{"axes", Ints{}}})})), 1);
  const Value large = parameter(f32, {600, 700});
  EXPECT_EQ(check(Graph({large}, {op("reduce_sum", {op("mul", {large, large})}, {{"axes", Ints{}}})})), 1);
}

// More operands than a launch takes: the region falls into parts.
TEST(ChipKunlun, ARegionThatIsTooLargeFallsApart) {
  std::vector<Value> inputs = {parameter(f32, {5, 70})};
  Value z = inputs[0];
  for (int k = 0; k < 24; ++k) {
    inputs.push_back(parameter(f32, {5, 70}));
    z = op("tanh", {op("mul", {z, inputs.back()})});
  }
  const int launches = check(Graph(inputs, {z}));
  EXPECT_GT(launches, 1);
  EXPECT_LE(launches, 4);
}

// ---- time

// What the planner expects is what the clock of the device says.
TEST(ChipKunlun, TheClockAgreesWithTheLedger) {
  const Value x = parameter(f32, {16, 64, 32, 32}), m = parameter(f32, {1024, 1024}), v = parameter(f32, {3, 50});
  const Value conv = op("conv2d", {x, known({64, 64, 3, 3}, 1)}, {{"padding", Ints{1, 1}}});
  const std::vector<std::pair<const char*, Graph>> graphs = {
      {"convolution", Graph({x}, {op("relu", {conv})})},
      {"product", Graph({m}, {op("linear", {m, known({1024, 1024}, 2)})})},
      {"small", Graph({v}, {op("softmax", {v}, {{"axis", int64_t{-1}}})})},
      {"region", Graph({m}, {op("exp", {op("mul", {op("add", {m, m}), m})})})},
      {"reduction", Graph({m}, {op("reduce_sum", {op("mul", {m, m})}, {{"axes", Ints{1}}})})},
      {"norm", Graph({m}, {op("layer_norm", {m, known({1024}, 3), known({1024}, 4)})})},
  };
  runtime::Device& device = runtime::Device::get("xpu:0");
  for (const auto& [name, graph] : graphs) {
    const auto plan = plan_of(graph);
    const std::vector inputs = {runtime::Buffer::from(device, random_literal(graph.inputs()[0].shape(), 9))};
    uint64_t before = 0, after = 0;
    plan->run(inputs);
    device.synchronize();
    ASSERT_EQ(xpusim_clock(&before), 0);
    constexpr int kRuns = 4;
    for (int k = 0; k < kRuns; ++k) plan->run(inputs);
    device.synchronize();
    ASSERT_EQ(xpusim_clock(&after), 0);
    const double measured = static_cast<double>(after - before) / kRuns, expected = plan->ledger().total_ns();
    EXPECT_NEAR(measured / expected, 1.0, 0.15) << name << ": " << measured << " ns, expected " << expected;
  }
}

}  // namespace
}  // namespace trireme::testing
