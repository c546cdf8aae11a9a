// Regions: runs of elementwise nodes that meet become one, never in a circle, and a value that leaves one is the same
// number for all who read it.
#include "trireme/runtime/region.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "make_op.h"
#include "trireme/base/strings.h"
#include "trireme/certify/judge.h"
#include "trireme/runtime/host.h"
#include "trireme/runtime/plan.h"

namespace trireme::testing {
namespace {

using runtime::Buffer;
using runtime::Device;
using runtime::Plan;

std::shared_ptr<Plan> plan_on(const std::string& device, const Graph& graph) {
  return Plan::make(graph, {.target = &Device::get(device), .fallback = runtime::Fallback::kError});
}

std::vector<Literal> run(Plan& plan, Device& device, const std::vector<Literal>& inputs) {
  std::vector<runtime::BufferRef> buffers;
  for (const Literal& literal : inputs) buffers.push_back(Buffer::from(device, literal));
  std::vector<Literal> out;
  for (const auto& result : plan.run(buffers)) out.push_back(result->read());
  return out;
}

// 1 + x rounds to 1, and 1 - 1 is 0, whether the sum is stored or not: decompositions such as that of log1p make up for
// the rounding and need one number on both sides of a region's border.
class RegionOn : public ::testing::TestWithParam<const char*> {};
TEST_P(RegionOn, AStoredValueIsReadAsStored) {
  const std::string name = GetParam();
  const Shape shape{2, 40};
  const Value x = parameter(f16, shape), one = parameter(f16, shape);
  const Value sum = op("add", {x, one}), rest = op("sub", {sum, one});
  const auto plan = plan_on(name, Graph({x, one}, {sum, rest}));
  EXPECT_EQ(plan->ledger().launches, 1);
  const auto stored =
      run(*plan, Device::get(name), {Literal::filled(f16, shape, 4e-5), Literal::filled(f16, shape, 1.0)});
  ASSERT_EQ(stored.size(), 2U);
  for (int64_t i = 0; i < shape.elements(); ++i) {
    EXPECT_EQ(stored[0].at(i), 1.0);
    EXPECT_EQ(stored[1].at(i), 0.0);
  }
}

// A sum beyond the largest number of its type is infinite, though the register that holds it is not.
TEST_P(RegionOn, WhatIsFiniteIsSoInItsType) {
  const std::string name = GetParam();
  const Shape shape{3, 5};
  const Value x = parameter(f16, shape);
  const Value finite = op("is_finite", {op("add", {x, x})});
  const auto plan = plan_on(name, Graph({x}, {op("convert", {finite}, {{"dtype", f16}})}));
  for (const double value : {30000.0, 40000.0}) {
    const auto got = run(*plan, Device::get(name), {Literal::filled(f16, shape, value)});
    for (int64_t i = 0; i < shape.elements(); ++i) EXPECT_EQ(got[0].at(i), value < 32760 ? 1.0 : 0.0) << value;
  }
}

INSTANTIATE_TEST_SUITE_P(Chips, RegionOn, ::testing::Values("cpu", "xpu:0"));

// A step of AdamW: two moving averages, a corrected direction, decay. Four runs that join, in one launch.
TEST(Region, RunsThatMeetAreOne) {
  const Shape shape{6, 50};
  const Value w = parameter(f32, shape), g = parameter(f32, shape), m = parameter(f32, shape),
              v = parameter(f32, shape), rate = parameter(f32, shape);
  const Value first = op("add", {op("mul", {m, rate}), g});
  const Value second = op("add", {op("mul", {v, rate}), op("mul", {g, g})});
  const Value direction = op("div", {first, op("add", {op("sqrt", {second}), rate})});
  const Value next = op("sub", {op("sub", {w, op("mul", {w, rate})}), op("mul", {direction, rate})});
  const auto plan = plan_on("cpu", Graph({w, g, m, v, rate}, {next, first, second}));
  EXPECT_EQ(plan->ledger().launches, 1) << plan->ledger().launches;
}

// A plan on the cpu in which the result `donated[i]` may overwrite input i.
std::vector<Literal> run_overwriting(const Graph& graph, std::vector<int> donated, const std::vector<Literal>& inputs,
                                     uint64_t launches) {
  Device& device = Device::get("cpu");
  const auto plan = Plan::make(graph, {.target = &device, .donated = std::move(donated)});
  EXPECT_EQ(static_cast<uint64_t>(plan->ledger().launches), launches);
  std::vector<runtime::BufferRef> buffers;
  for (const Literal& literal : inputs) buffers.push_back(Buffer::from(device, literal));
  std::vector<Literal> out;
  for (const auto& result : plan->run(std::move(buffers))) out.push_back(result->read());
  return out;
}
Literal ramp(const Shape& shape, double from, double by) {
  std::vector<double> values(static_cast<size_t>(shape.elements()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = from + by * static_cast<double>(i);
  return Literal::from_doubles(f32, shape, values);
}

TEST(Region, AnInputThatIsAlsoReadTurnedIsNotOverwritten) {
  const Shape shape{64, 64};
  const Value x = parameter(f32, shape), turned = op("transpose", {x}, {{"order", Ints{1, 0}}});
  const auto y = run_overwriting(Graph({x}, {op("add", {x, turned})}), {0}, {ramp(shape, 0, 1)}, 1);
  for (int64_t i = 0; i < 64; ++i) {
    for (int64_t j = 0; j < 64; ++j) ASSERT_EQ(y[0].at(i * 64 + j), static_cast<double>(i * 64 + j + j * 64 + i));
  }
}

// Parameters of unlike shapes step in one launch; the second's gradient is the first, as it was before its step.
TEST(Region, StepsOfAnOptimizerAreOneLaunch) {
  const Shape a{5, 3000}, b{5, 3000}, c{7};
  const Value p = parameter(f32, a), g = parameter(f32, a), v = parameter(f32, a), q = parameter(f32, b),
              w = parameter(f32, b), r = parameter(f32, c), h = parameter(f32, c), u = parameter(f32, c),
              rate = parameter(f32, {});
  const auto step = [&](const Value& x, const Value& gradient, const Value& velocity) {
    return all_outputs(op("momentum_step", {x, gradient, velocity, rate}));
  };
  const Values first = step(p, g, v), second = step(q, p, w), third = step(r, h, u);
  const Graph graph({p, g, v, q, w, r, h, u, rate}, {first[0], first[1], second[0], second[1], third[0], third[1]});
  const std::vector<Literal> inputs = {ramp(a, 0, 1e-3),  ramp(a, 1, 1e-4), ramp(a, 2, 0),
                                       ramp(b, -3, 1e-3), ramp(b, 1, 0),    ramp(c, 1, 1),
                                       ramp(c, 0, 1),     ramp(c, 2, 1),    ramp({}, 0.5, 0)};
  const auto out = run_overwriting(graph, {0, -1, 1, 2, 3, 4, -1, 5, -1}, inputs, 1);
  const auto expect = [&](size_t at, size_t x, size_t gradient, size_t velocity) {
    for (int64_t i = 0; i < out[at].elements(); ++i) {
      const double moved = 0.9 * inputs[velocity].at(i) + inputs[gradient].at(i);
      ASSERT_NEAR(out[at + 1].at(i), moved, 1e-6 * (1 + std::abs(moved))) << i;
      ASSERT_NEAR(out[at].at(i), inputs[x].at(i) - 0.5 * moved, 1e-6 * (10 + std::abs(moved))) << i;
    }
  };
  expect(0, 0, 1, 2);
  expect(2, 3, 0, 4);
  expect(4, 5, 6, 7);
}

// The right run waits for the sum over the left one: merged, each would wait for the other.
TEST(Region, RunsThatWaitForEachOtherStayApart) {
  const Value x = parameter(f32, {4, 8});
  const Value left = op("exp", {op("neg", {x})});
  const Value sum = op("reduce_sum", {left}, {{"axes", Ints{1}}, {"keepdims", true}});
  const Value right = op("tanh", {op("abs", {op("broadcast_to", {sum}, {{"shape", Ints{4, 8}}})})});
  const Graph graph({x}, {op("add", {left, right})});
  std::mt19937 random(3);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<double> values(32);
  for (double& each : values) each = uniform(random);
  certify::OpenChip chip(chip::all_chips(runtime::host_services()).get("cpu"));
  EXPECT_NO_THROW(certify::verify_through_runtime(chip, graph, {Literal::from_doubles(f32, {4, 8}, values)}, "", true));
}

// Graphs of any shape of dependence: elementwise ops, sums that are spread again, transposes.
TEST(Region, RandomGraphsRunInSomeOrder) {
  certify::OpenChip chip(chip::all_chips(runtime::host_services()).get("cpu"));
  for (unsigned seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    std::mt19937 random(seed);
    const auto pick = [&](size_t size) { return static_cast<size_t>(random() % size); };
    const Shape shape{6, 6};
    std::vector<Value> values = {parameter(f32, shape), parameter(f32, shape)};
    const std::vector<Value> inputs = values;
    for (int k = 0; k < 24; ++k) {
      const Value x = values[values.size() - 1 - pick(std::min<size_t>(values.size(), 5))],
                  y = values[pick(values.size())];
      const auto half = [&](const Value& v) { return op("mul", {v, inputs[0]}); };
      switch (pick(6)) {
        case 0: values.push_back(op("tanh", {x})); break;
        case 1: values.push_back(half(op("add", {x, y}))); break;
        case 2: values.push_back(op("max", {x, y})); break;
        case 3: values.push_back(op("transpose", {x}, {{"order", Ints{1, 0}}})); break;
        case 4: {
          const Value most = op("reduce_max", {x}, {{"axes", Ints{static_cast<int64_t>(pick(2))}}, {"keepdims", true}});
          values.push_back(op("broadcast_to", {most}, {{"shape", Ints{6, 6}}}));
          break;
        }
        default: values.push_back(op("sub", {op("abs", {x}), op("neg", {y})})); values.back() = half(values.back());
      }
    }
    std::vector<Literal> given;
    std::uniform_real_distribution<double> uniform(-0.5, 0.5);
    for (size_t i = 0; i < inputs.size(); ++i) {
      std::vector<double> drawn(36);
      for (double& each : drawn) each = uniform(random);
      given.push_back(Literal::from_doubles(f32, shape, drawn));
    }
    const Graph graph(inputs, {op("add", {values.back(), op("tanh", {values[values.size() - 2]})}), values[9]});
    EXPECT_NO_THROW(certify::verify_through_runtime(chip, graph, given, "", true));
  }
}

}  // namespace
}  // namespace trireme::testing
