// Calibration and the quantise pass: ranges of known samples, the form of the quantised graph, its error against a
// bound derived from the sizes of the rounding steps, wrong input; and the real models, where they are at hand.
#include "trireme/passes/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/ir/op_decl.h"
#include "trireme/ir/registry.h"
#include "trireme/ops/ops.h"
#include "trireme/ops/value.h"
#include "trireme/passes/simplify.h"
#include "trireme/reference/evaluator.h"
#include "trireme/tensor/tensor.h"

namespace trireme::passes {
namespace {

Literal floats(const Shape& shape, const std::vector<double>& values) {
  return Literal::from_doubles(f32, shape, values);
}
std::vector<double> normal(int64_t count, uint64_t seed, double deviation = 1.0) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> draw(0.0, deviation);
  std::vector<double> out(static_cast<size_t>(count));
  for (double& x : out) x = draw(random);
  return out;
}
Value known(const Shape& shape, const std::vector<double>& values) { return ops::constant(floats(shape, values)); }
Value channels(const std::vector<double>& values, const Shape& shape, int axis = 1) {
  Ints sizes(static_cast<size_t>(shape.rank()), 1);
  sizes[static_cast<size_t>(axis)] = static_cast<int64_t>(values.size());
  return ops::broadcast_to(known(Shape(sizes), values), shape.vector());
}
Value convolution(const Value& x, const Value& w, int64_t pad, int64_t groups = 1) {
  return ops::convolution(x, w, {1, 1}, {pad, pad}, {pad, pad}, {1, 1}, {1, 1}, groups);
}

int count(const Graph& graph, std::string_view op, DType first_input) {
  int found = 0;
  for (const Node* node : graph.nodes()) {
    found += node->is(op) && !node->inputs().empty() && node->inputs()[0].dtype() == first_input;
  }
  return found;
}

// The ranges that the pass asks for, from samples, by min-max.
std::vector<Range> ranges_of(const Quantization& plan, const std::vector<Literal>& inputs) {
  std::vector<Range> ranges;
  for (const Literal& each : reference::evaluate(plan.activations(), inputs)) {
    Observer observer;
    observer.add(each, "activation");
    ranges.push_back(observer.range(CalibrationMethod::kMinMax, 100.0));
  }
  return ranges;
}

double relative_error(const Literal& expected, const Literal& got) {
  double error = 0.0, signal = 0.0;
  for (int64_t i = 0; i < expected.elements(); ++i) {
    error += std::pow(expected.at(i) - got.at(i), 2), signal += std::pow(expected.at(i), 2);
  }
  return std::sqrt(error / signal);
}

std::string refusal(const auto& f) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kInvalidArgument) << e.what();
    return e.what();
  }
  return "nothing was refused";
}

// ---- calibration ----------------------------------------------------------------------------------------------------

TEST(Calibration, MinMaxIsWhatWasSeen) {
  Observer observer;
  observer.add(floats({3}, {-1.5, 0.25, 3.0}), "x");
  observer.add(floats({2}, {7.5, -0.5}), "x");
  const Range range = observer.range(CalibrationMethod::kMinMax, 99.0);
  EXPECT_EQ(range.low, -1.5);
  EXPECT_EQ(range.high, 7.5);
  EXPECT_EQ(observer.count(), 5);
}

// Of the numbers 1 .. 10000 (and their negatives), the share above the end is what was asked for, to within a bin.
TEST(Calibration, PercentileLeavesItsShareOutside) {
  std::vector<double> up(10000), both;
  for (size_t i = 0; i < up.size(); ++i) up[i] = static_cast<double>(i + 1);
  for (const double x : up) both.push_back(x), both.push_back(-x);
  Observer one, two;
  for (const double x : up) one.add(floats({1}, {x}), "x");  // growing: the bins are merged many times
  two.add(floats({20000}, both), "x");
  EXPECT_NEAR(one.range(CalibrationMethod::kPercentile, 99.0).high, 9900, 20);
  EXPECT_NEAR(one.range(CalibrationMethod::kPercentile, 99.0).low, 100, 20);
  EXPECT_NEAR(two.range(CalibrationMethod::kPercentile, 95.0).high, 9000, 20);
  EXPECT_NEAR(two.range(CalibrationMethod::kPercentile, 95.0).low, -9000, 20);
  EXPECT_EQ(two.range(CalibrationMethod::kPercentile, 100.0).high, 10000);
}

// A rectified activation: most values are exact zeros, the rest decides about the upper end.
TEST(Calibration, ZerosCountAsValues) {
  std::vector<double> values(10000, 0.0);
  for (size_t i = 0; i < 1000; ++i) values[i] = static_cast<double>(i + 1);
  Observer observer;
  observer.add(floats({10000}, values), "x");
  const Range range = observer.range(CalibrationMethod::kPercentile, 99.0);
  EXPECT_NEAR(range.high, 900, 2);
  EXPECT_EQ(range.low, 0.0);
}

// A hundred thousand normal numbers and one far away: it is clipped, the bell is not.
TEST(Calibration, EntropyClipsWhatIsRare) {
  std::vector<double> values = normal(100000, 3);
  values.push_back(60.0);
  Observer observer;
  observer.add(floats({100001}, values), "x");
  const Range range = observer.range(CalibrationMethod::kEntropy, 100.0);
  EXPECT_GT(range.high, 2.5);
  EXPECT_LT(range.high, 12.0);
  EXPECT_LT(range.low, -2.5);
}

TEST(Calibration, ConstantsHaveARange) {
  for (const double value : {0.0, 5.0, -2.0, 1e-40}) {
    Observer observer;
    observer.add(floats({4}, {value, value, value, value}), "x");
    for (const auto method :
         {CalibrationMethod::kMinMax, CalibrationMethod::kPercentile, CalibrationMethod::kEntropy}) {
      const Range range = observer.range(method, 99.9);
      EXPECT_LE(range.low, range.high);
      EXPECT_NEAR(std::max(std::fabs(range.low), std::fabs(range.high)), std::fabs(value), std::fabs(value) * 1e-3);
    }
  }
}

TEST(Calibration, WrongSamplesAreRefused) {
  const Observer nothing;
  EXPECT_NE(refusal([&] { nothing.range(CalibrationMethod::kMinMax, 99.0); }).find("no value was seen"),
            std::string::npos);
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    Observer observer;
    EXPECT_NE(refusal([&] {
                observer.add(floats({2}, {1.0, bad}), "sample 3: conv");
              }).find("sample 3: conv"),
              std::string::npos);
  }
  Observer some;
  some.add(floats({2}, {1.0, 2.0}), "x");
  for (const double bad : {50.0, 100.5, std::nan("")}) {
    EXPECT_NE(refusal([&] { some.range(CalibrationMethod::kPercentile, bad); }).find("percentile"), std::string::npos);
  }
  EXPECT_NE(refusal([] { parse_calibration_method("max"); }).find("entropy"), std::string::npos);
}

// ---- the pass -------------------------------------------------------------------------------------------------------

// Convolution, bias, normalisation with known statistics, rectifier, pooling (with a slice that takes all, as imported
// pooling has), convolution, reshape, linear.
struct Network {
  Graph graph;
  Literal input;
  Network() {
    const Value x = parameter(f32, {2, 3, 12, 12});
    Value y = convolution(x, known({8, 3, 3, 3}, normal(216, 1, 0.3)), 1);
    y = y + channels(normal(8, 2), y.shape());
    y = ops::batch_norm_inference(y, known({8}, normal(8, 3)), known({8}, std::vector<double>(8, 1.7)),
                                  known({8}, {1, -1, 2, 0.5, 1, 1, -0.3, 1}), known({8}, normal(8, 4)), 1e-5);
    y = ops::relu(y);
    y = ops::reduce_window(y, "max", {1, 1, 2, 2}, {1, 1, 2, 2}, {0, 0, 0, 0}, {0, 0, 0, 0}, {1, 1, 1, 1});
    y = ops::slice(y, {0, 0, 0, 0}, y.shape().vector(), {1, 1, 1, 1});
    y = convolution(y, known({5, 8, 3, 3}, normal(360, 5, 0.2)), 1);
    y = ops::relu(y + channels(normal(5, 6), y.shape()));
    y = ops::linear(ops::reshape(y, {2, 180}), known({7, 180}, normal(1260, 7, 0.1)), known({7}, normal(7, 8)));
    graph = Graph({x}, {y}, {"x"}, {"y"});
    input = floats({2, 3, 12, 12}, normal(864, 9));
  }
};

TEST(Quantize, ANetworkStaysNearItself) {
  const Network network;
  const Quantization plan(network.graph);
  EXPECT_EQ(plan.products(), 3U);
  const Graph quantised = plan.with_ranges(ranges_of(plan, {network.input}));
  const Literal expected = reference::evaluate(network.graph, {{network.input}})[0];
  const Literal got = reference::evaluate(quantised, {{network.input}})[0];
  // Three layers, each with steps of 1/255 of the range and 1/127 of the weights: percents.
  EXPECT_LT(relative_error(expected, got), 0.03);
  EXPECT_GT(relative_error(expected, got), 1e-5);  // it was quantised
  const Literal now = reference::evaluate(plan.dynamic(), {{network.input}})[0];
  EXPECT_LT(relative_error(expected, now), 0.03);
  EXPECT_GT(relative_error(expected, now), 1e-5);
}

// Between quantised layers nothing but 8-bit numbers: the pooling and the reshape see u8, and no rectifier is left.
TEST(Quantize, ActivationsStayInEightBits) {
  const Network network;
  const Quantization plan(network.graph);
  const Graph quantised = simplify(plan.with_ranges(ranges_of(plan, {network.input})));
  EXPECT_EQ(count(quantised, "integer_convolution", u8), 2);
  EXPECT_EQ(count(quantised, "integer_dot_general", u8), 1);
  EXPECT_EQ(count(quantised, "convolution", f32), 0);
  EXPECT_EQ(count(quantised, "reduce_window", u8), 1);
  EXPECT_EQ(count(quantised, "reduce_window", f32), 0);
  EXPECT_EQ(count(quantised, "max", f32), 0);
  EXPECT_EQ(count(quantised, "relu", f32), 0);
  EXPECT_EQ(count(quantised, "rsqrt", f32), 0);       // the normalisation went into the scales
  EXPECT_EQ(count(quantised, "round_even", f32), 3);  // one rounding per layer
}

// Of the weights in 8 bits.
double largest_weight(const Graph& graph) {
  double largest = 0.0;
  for (const Node* node : graph.nodes()) {
    if (!node->is("constant") || node->outputs()[0].dtype != i8) continue;
    const Literal& numbers = *std::get<std::shared_ptr<const Literal>>(node->attributes()[0]);
    for (int64_t i = 0; i < numbers.elements(); ++i) largest = std::max(largest, std::fabs(numbers.at(i)));
  }
  return largest;
}

// |y - y'| <= sum |x| t/2 + sum |w| s/2 + K s t / 4, from |x - x'| <= s/2 and |w - w'| <= t/2.
void check_error_bound(bool reduce_range) {
  constexpr int64_t kM = 6, kK = 50, kN = 4;
  const std::vector<double> weights = normal(kK * kN, 11), x_values = normal(kM * kK, 12);
  const Value x = parameter(f32, {1, kM, kK});
  const Graph graph({x}, {ops::dot_general(x, known({1, kK, kN}, weights))});
  const Quantization plan(graph, reduce_range);
  const Literal input = floats({1, kM, kK}, x_values);
  double low = 0.0, high = 0.0;
  for (const double each : x_values) low = std::min(low, each), high = std::max(high, each);
  const double s = (high - low) / 255.0;
  const Literal expected = reference::evaluate(graph, {{input}})[0];
  const Graph quantised = plan.with_ranges(ranges_of(plan, {input}));
  const Literal got = reference::evaluate(quantised, {{input}})[0];
  const double most = reduce_range ? 64.0 : 127.0;
  EXPECT_EQ(largest_weight(quantised), most);
  EXPECT_EQ(largest_weight(Quantization(graph, reduce_range).dynamic()), most);
  for (int64_t i = 0; i < kM * kN; ++i) {
    double largest = 0.0, bound = 0.0;
    for (int64_t k = 0; k < kK; ++k)
      largest = std::max(largest, std::fabs(weights[static_cast<size_t>(k * kN + i % kN)]));
    const double t = largest / most;
    for (int64_t k = 0; k < kK; ++k) {
      bound += std::fabs(x_values[static_cast<size_t>(i / kN * kK + k)]) * t / 2 +
               std::fabs(weights[static_cast<size_t>(k * kN + i % kN)]) * s / 2 + s * t / 4;
    }
    EXPECT_LE(std::fabs(expected.at(i) - got.at(i)), bound * 1.0001);
  }
}
TEST(Quantize, AProductKeepsItsErrorBound) { check_error_bound(false); }
TEST(Quantize, WeightsOfSevenBitsKeepTheirs) { check_error_bound(true); }

// Concatenations and transpositions move 8-bit numbers of one scale.
TEST(Quantize, MovesEightBitNumbers) {
  const Value x = parameter(f32, {1, 8, 6, 6});
  const Value a = ops::relu(convolution(x, known({8, 8, 1, 1}, normal(64, 21)), 0));
  const Value b = ops::relu(convolution(x, known({8, 8, 3, 3}, normal(576, 22)), 1));
  const Value joined = ops::transpose(ops::concat({a, b}, 1), {0, 1, 3, 2});
  const Graph graph({x}, {convolution(joined, known({4, 16, 1, 1}, normal(64, 23)), 0)});
  const Quantization plan(graph);
  EXPECT_EQ(plan.activations().outputs().size(), 2U);  // x once for two readers
  const Literal input = floats({1, 8, 6, 6}, normal(288, 24));
  const Graph quantised = plan.with_ranges(ranges_of(plan, {input}));
  EXPECT_EQ(count(quantised, "concat", u8), 1);
  EXPECT_EQ(count(quantised, "concat", f32), 0);
  EXPECT_LT(relative_error(reference::evaluate(graph, {{input}})[0], reference::evaluate(quantised, {{input}})[0]),
            0.03);
}

TEST(Quantize, LeavesWhatItShould) {
  const Value x = parameter(f32, {1, 6, 5, 5}), w = parameter(f32, {4, 6, 1, 1});
  const Graph depthwise({x}, {convolution(x, known({6, 1, 3, 3}, normal(54, 31)), 1, 6)});
  EXPECT_EQ(Quantization(depthwise).products(), 0U);
  EXPECT_EQ(Quantization(Graph({x, w}, {convolution(x, w, 0)})).products(), 0U);
  const Value none = parameter(f32, {1, 0, 4});
  EXPECT_EQ(Quantization(Graph({none}, {ops::dot_general(none, known({1, 4, 2}, normal(8, 32)))})).products(), 0U);
}

// A channel of zeros, an activation that is always 0 or always the same: nothing is divided by 0.
TEST(Quantize, ZerosAndConstants) {
  std::vector<double> weights = normal(32, 41);
  for (size_t i = 0; i < 8; ++i) weights[i * 4 + 2] = 0.0;
  const Value x = parameter(f32, {1, 3, 8});
  const Graph graph({x}, {ops::dot_general(x, known({1, 8, 4}, weights)) + channels({1, 2, 3, 4}, {1, 3, 4}, 2)});
  const Quantization plan(graph);
  for (const double value : {0.0, 3.0, -0.5}) {
    const Literal input = Literal::filled(f32, {1, 3, 8}, value);
    const Literal expected = reference::evaluate(graph, {{input}})[0];
    for (const Graph& quantised : {plan.with_ranges(ranges_of(plan, {input})), plan.dynamic()}) {
      const Literal got = reference::evaluate(quantised, {{input}})[0];
      for (int64_t i = 0; i < 12; ++i) {
        EXPECT_NEAR(got.at(i), expected.at(i), std::fabs(value) * 0.2) << value;
        EXPECT_TRUE(i % 4 != 2 || got.at(i) == 3.0);
      }
    }
  }
}

// What is not a number stays so: dynamic ranges carry it to the outputs.
TEST(Quantize, DynamicCarriesNan) {
  const Value x = parameter(f32, {1, 2, 8});
  const Graph graph({x}, {ops::dot_general(x, known({1, 8, 3}, normal(24, 51)))});
  std::vector<double> values = normal(16, 52);
  values[5] = std::nan("");
  const Literal got = reference::evaluate(Quantization(graph).dynamic(), {{floats({1, 2, 8}, values)}})[0];
  for (int64_t i = 0; i < got.elements(); ++i) EXPECT_TRUE(std::isnan(got.at(i)));
}

TEST(Quantize, HalfPrecisionModelsToo) {
  const Value x = parameter(f16, {1, 4, 16});
  const Value w = ops::constant(Literal::from_doubles(f16, {1, 16, 5}, normal(80, 61)));
  const Graph graph({x}, {ops::relu(ops::dot_general(x, w))});
  const Quantization plan(graph);
  ASSERT_EQ(plan.products(), 1U);
  const Literal input = Literal::from_doubles(f16, {1, 4, 16}, normal(64, 62));
  const Graph quantised = plan.with_ranges(ranges_of(plan, {input}));
  EXPECT_EQ(quantised.outputs()[0].dtype(), f16);
  EXPECT_LT(relative_error(reference::evaluate(graph, {{input}})[0], reference::evaluate(quantised, {{input}})[0]),
            0.02);
}

TEST(Quantize, WrongInputIsRefused) {
  const Value x = parameter(f32, {1, 2, 4});
  std::vector<double> weights = normal(8, 71);
  const Quantization plan(Graph({x}, {ops::dot_general(x, known({1, 4, 2}, weights))}));
  EXPECT_NE(refusal([&] { plan.with_ranges({}); }).find("0 ranges for 1 activations"), std::string::npos);
  weights[5] = std::nan("");
  const Quantization broken(Graph({x}, {ops::dot_general(x, known({1, 4, 2}, weights))}));
  EXPECT_NE(refusal([&] { broken.dynamic(); }).find("output channel 1 is nan"), std::string::npos);
}

// The cpu chip computes the network's 8-bit form as the reference does; the reference keeps doubles where the chip has
// f32, so that now and then a number is rounded the other way: one step of 1/255.
TEST(Quantize, TheChipComputesTheSame) {
  const Network network;
  const Quantization plan(network.graph);
  for (const Graph& quantised : {plan.with_ranges(ranges_of(plan, {network.input})), plan.dynamic()}) {
    const Literal expected = reference::evaluate(quantised, {{network.input}})[0];
    const Literal got = run(quantised, {Tensor(network.input)})[0].literal();
    EXPECT_LT(relative_error(expected, got), 2e-3);
  }
}

}  // namespace
}  // namespace trireme::passes
