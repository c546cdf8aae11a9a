// What each operator of Paddle means: programs of one operation, their values from the formulas of the format,
// computed apart from this code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <span>

#include "paddle_writer.h"
#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/formats/paddle/model.h"
#include "trireme/formats/paddle/program.h"
#include "trireme/formats/session.h"

namespace trireme::formats::paddle {
namespace {

using namespace paddle_writer;  // NOLINT: short names for what this file is about
using ::testing::HasSubstr;
using Numbers = std::vector<double>;
using Attributes = std::vector<Message>;

struct Given {
  std::string parameter;
  std::vector<Literal> values;
};
using Inputs = std::vector<Given>;

Literal numbers_of(const Numbers& values, const Shape& shape, DType type = f32) {
  return Literal::from_doubles(type, shape, values);
}
Given one(const std::string& parameter, const Numbers& values, const Shape& shape, DType type = f32) {
  return {parameter, {numbers_of(values, shape, type)}};
}
Given ints(const std::string& parameter, const Numbers& values, DType type = i64) {
  return one(parameter, values, Shape{static_cast<int64_t>(values.size())}, type);
}

// The operation's results for outputs {parameter, count}; every input is one of the model's.
std::vector<Literal> run(const std::string& type, const Inputs& inputs, const Attributes& attributes = {},
                         const std::vector<std::pair<std::string, int>>& outputs = {{"Out", 1}}) {
  BlockParts block;
  std::map<std::string, HostValue> values;
  Named in, out;
  for (const Given& each : inputs) {
    in.push_back({each.parameter, {}});
    for (const Literal& value : each.values) {
      const std::string name = cat("in", values.size());
      in.back().second.push_back(name);
      block.variables.push_back(variable(name, static_cast<int>(data_type_of(value.dtype())), value.shape().vector()));
      block.operations.push_back(feed(name, static_cast<int64_t>(values.size())));
      values[name] = HostValue(value);
    }
  }
  std::vector<Message> fetches;
  for (const auto& [parameter, count] : outputs) {
    out.push_back({parameter, {}});
    for (int k = 0; k < count; ++k) {
      const std::string name = cat("out", fetches.size());
      out.back().second.push_back(name);
      fetches.push_back(fetch(name, static_cast<int64_t>(fetches.size())));
    }
  }
  block.operations.push_back(op(type, in, out, attributes));
  block.operations.insert(block.operations.end(), fetches.begin(), fetches.end());
  const std::string bytes = program({block});
  Session session(Model::parse(std::as_bytes(std::span(bytes.data(), bytes.size())), {}, "test"));
  std::vector<Literal> results;
  for (const HostValue& each : session.run(values)) results.push_back(each.tensor);
  return results;
}

void expect(const Literal& got, const Shape& shape, const Numbers& values, double tolerance = 2e-6) {
  EXPECT_EQ(got.shape().text(), shape.text());
  ASSERT_EQ(got.elements(), static_cast<int64_t>(values.size()));
  for (int64_t i = 0; i < got.elements(); ++i) {
    const double wanted = values[static_cast<size_t>(i)];
    if (std::isfinite(wanted)) EXPECT_NEAR(got.at(i), wanted, tolerance * (1 + std::abs(wanted))) << i;
    else EXPECT_EQ(std::isnan(got.at(i)), std::isnan(wanted)) << i;
  }
}
void expect_refused(const std::string& type, const Inputs& inputs, const Attributes& attributes,
                    const std::string& why) {
  try {
    run(type, inputs, attributes);
    ADD_FAILURE() << type << ": nothing was thrown";
  } catch (const Error& error) {
    EXPECT_THAT(std::string(error.what()), HasSubstr(why));
    EXPECT_THAT(std::string(error.what()), HasSubstr(cat("(", type, ", makes 'out0')")));
  }
}

Numbers wave(int64_t count, double step = 1.3) {
  Numbers out;
  for (int64_t i = 0; i < count; ++i) out.push_back(std::sin(step * static_cast<double>(i)));
  return out;
}
Numbers counted(int64_t count, double first = 0.0) {
  Numbers out;
  for (int64_t i = 0; i < count; ++i) out.push_back(first + static_cast<double>(i));
  return out;
}

// --- elementwise ---

TEST(PaddleOps, TheAxisSaysWhereTheSmallerOperandBegins) {
  const Given x = one("X", counted(12), {2, 3, 2});
  expect(run("elementwise_add", {x, one("Y", {100, 200, 300}, {3})}, {integer("axis", 1)})[0], {2, 3, 2},
         {100, 101, 202, 203, 304, 305, 106, 107, 208, 209, 310, 311});
  expect(run("elementwise_mul", {x, one("Y", {1, 10}, {2})}, {integer("axis", 0)})[0], {2, 3, 2},
         {0, 1, 2, 3, 4, 5, 60, 70, 80, 90, 100, 110});
  expect(run("elementwise_sub", {x, one("Y", {1, 2}, {2})}, {integer("axis", -1)})[0], {2, 3, 2},
         {-1, -1, 1, 1, 3, 3, 5, 5, 7, 7, 9, 9});
  expect(run("elementwise_add", {x, one("Y", {100, 200}, {2, 1})}, {integer("axis", 0)})[0], {2, 3, 2},
         {100, 101, 102, 103, 104, 105, 206, 207, 208, 209, 210, 211});
  expect(run("elementwise_max", {one("X", {1, 5}, {2}), one("Y", {4, 2}, {2})})[0], {2}, {4, 5});
  expect(run("elementwise_min", {one("X", {1, 5}, {2}), one("Y", {4, 2}, {2})})[0], {2}, {1, 2});
  expect(run("elementwise_pow", {one("X", {2, 3}, {2}), one("Y", {3, 2}, {2})})[0], {2}, {8, 9});
  expect(run("elementwise_div", {one("X", {7, -7}, {2}), one("Y", {2, 2}, {2})})[0], {2}, {3.5, -3.5});
  expect(run("elementwise_floordiv", {one("X", {7, -7}, {2}, i64), one("Y", {2, 2}, {2}, i64)})[0], {2}, {3, -4});
  expect(run("elementwise_mod", {one("X", {7, -7}, {2}, i64), one("Y", {3, 3}, {2}, i64)})[0], {2}, {1, 2});
  expect(run("multiply", {one("X", {7, -7}, {2}), one("Y", {2, 3}, {2})})[0], {2}, {14, -21});
  expect(run("grad_add", {one("X", {7, -7}, {2}), one("Y", {2, 3}, {2})})[0], {2}, {9, -4});
  expect(run("sum", {{"X", {numbers_of({1, 2}, {2}), numbers_of({3, 4}, {2}), numbers_of({5, 6}, {2})}}})[0], {2},
         {9, 12});
  expect_refused("elementwise_add", {x, one("Y", {1, 2, 3}, {3})}, {integer("axis", 2)}, "do not broadcast");
  expect_refused("elementwise_add", {x, one("Y", {1, 2, 3, 4}, {2, 2})}, {integer("axis", 2)}, "beyond 3 axes");
}

TEST(PaddleOps, ComparisonsAndLogic) {
  const Given x = one("X", {1, 2, 3}, {3}), y = one("Y", {2, 2, 2}, {3});
  const std::map<std::string, Numbers> expected = {{"equal", {0, 1, 0}},        {"not_equal", {1, 0, 1}},
                                                   {"less_than", {1, 0, 0}},    {"less_equal", {1, 1, 0}},
                                                   {"greater_than", {0, 0, 1}}, {"greater_equal", {0, 1, 1}}};
  for (const auto& [type, values] : expected) expect(run(type, {x, y})[0], {3}, values);
  const Given a = one("X", {0, 0, 1, 1}, {4}, boolean), b = one("Y", {0, 1, 0, 1}, {4}, boolean);
  expect(run("logical_and", {a, b})[0], {4}, {0, 0, 0, 1});
  expect(run("logical_or", {a, b})[0], {4}, {0, 1, 1, 1});
  expect(run("logical_xor", {a, b})[0], {4}, {0, 1, 1, 0});
  expect(run("logical_not", {a})[0], {4}, {1, 1, 0, 0});
  expect(run("bitwise_and", {one("X", {6}, {1}, i32), one("Y", {3}, {1}, i32)})[0], {1}, {2});
  expect(run("bitwise_or", {one("X", {6}, {1}, i32), one("Y", {3}, {1}, i32)})[0], {1}, {7});
  expect(run("bitwise_xor", {one("X", {6}, {1}, i32), one("Y", {3}, {1}, i32)})[0], {1}, {5});
  expect(run("bitwise_not", {one("X", {6}, {1}, i32)})[0], {1}, {-7});
  expect(run("where", {one("Condition", {1, 0}, {2}, boolean), one("X", {1, 2}, {2}), one("Y", {3, 4}, {2})})[0], {2},
         {1, 4});
}

TEST(PaddleOps, FunctionsOfOneElement) {
  const Numbers at = {-4, -1.5, -0.5, 0.25, 0.5, 2.5, 7};
  const auto each = [&](const std::string& type, auto f, const Attributes& attributes = {}) {
    SCOPED_TRACE(type);
    Numbers wanted;
    for (double x : at) wanted.push_back(f(x));
    expect(run(type, {one("X", at, {7})}, attributes)[0], {7}, wanted, 1e-5);
  };
  const auto logistic = [](double x) { return 1 / (1 + std::exp(-x)); };
  const auto clamp = [](double x, double low, double high) { return std::min(std::max(x, low), high); };
  each("relu", [](double x) { return std::max(x, 0.0); });
  each("relu6", [&](double x) { return clamp(x, 0, 6); }, {number("threshold", 6)});
  each("relu6", [&](double x) { return clamp(x, 0, 3); }, {number("threshold", 3)});
  each("brelu", [&](double x) { return clamp(x, 1, 4); }, {number("t_min", 1), number("t_max", 4)});
  each("sigmoid", logistic);
  each("logsigmoid", [&](double x) { return std::log(logistic(x)); });
  each("tanh", [](double x) { return std::tanh(x); });
  each("tanh_shrink", [](double x) { return x - std::tanh(x); });
  each("stanh", [](double x) { return 1.5 * std::tanh(0.5 * x); }, {number("scale_a", 0.5), number("scale_b", 1.5)});
  each("hard_sigmoid", [&](double x) { return clamp(0.2 * x + 0.5, 0, 1); });
  each("hard_sigmoid", [&](double x) { return clamp(0.25 * x + 0.125, 0, 1); },
       {number("slope", 0.25), number("offset", 0.125)});
  each("hard_swish", [&](double x) { return x * clamp(x + 3, 0, 6) / 6; });
  each("hard_swish", [&](double x) { return x * clamp(x + 2, 0, 5) / 4; },
       {number("threshold", 5), number("scale", 4), number("offset", 2)});
  each("swish", [&](double x) { return x * logistic(x); });
  each("swish", [&](double x) { return x * logistic(2 * x); }, {number("beta", 2)});
  each("silu", [&](double x) { return x * logistic(x); });
  each("mish", [](double x) { return x * std::tanh(std::log1p(std::exp(x))); });
  each("leaky_relu", [](double x) { return x > 0 ? x : 0.02 * x; });
  each("leaky_relu", [](double x) { return x > 0 ? x : 0.25 * x; }, {number("alpha", 0.25)});
  each("elu", [](double x) { return x > 0 ? x : 0.5 * std::expm1(x); }, {number("alpha", 0.5)});
  each("celu", [](double x) { return x > 0 ? x : 2 * std::expm1(x / 2); }, {number("alpha", 2)});
  each("selu", [](double x) { return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * std::expm1(x)); });
  each("gelu", [](double x) { return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0))); });
  each("gelu", [](double x) { return x * 0.5 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); },
       {flag("approximate", true)});
  each("softplus", [](double x) { return 2 * x > 4 ? x : std::log1p(std::exp(2 * x)) / 2; },
       {number("beta", 2), number("threshold", 4)});
  each("softsign", [](double x) { return x / (1 + std::abs(x)); });
  each("hard_shrink", [](double x) { return std::abs(x) > 0.5 ? x : 0; });
  each("softshrink", [](double x) { return x > 1 ? x - 1 : x < -1 ? x + 1 : 0; }, {number("lambda", 1)});
  each("thresholded_relu", [](double x) { return x > 1 ? x : 0; });
  each("abs", [](double x) { return std::abs(x); });
  each("exp", [](double x) { return std::exp(x); });
  each("expm1", [](double x) { return std::expm1(x); });
  each("square", [](double x) { return x * x; });
  each("floor", [](double x) { return std::floor(x); });
  each("ceil", [](double x) { return std::ceil(x); });
  each("round", [](double x) { return std::round(x); });
  each("sign", [](double x) { return x > 0 ? 1.0 : -1.0; });
  each("sin", [](double x) { return std::sin(x); });
  each("cos", [](double x) { return std::cos(x); });
  each("tan", [](double x) { return std::tan(x); });
  each("sinh", [](double x) { return std::sinh(x); });
  each("cosh", [](double x) { return std::cosh(x); });
  each("atan", [](double x) { return std::atan(x); });
  each("asinh", [](double x) { return std::asinh(x); });
  each("erf", [](double x) { return std::erf(x); });
  each("reciprocal", [](double x) { return 1 / x; });
  each("pow", [](double x) { return x * x * x; }, {number("factor", 3)});
  each("scale", [](double x) { return 2 * x + 1; }, {number("scale", 2), number("bias", 1)});
  each("scale", [](double x) { return 2 * (x + 1); },
       {number("scale", 2), number("bias", 1), flag("bias_after_scale", false)});
  each("increment", [](double x) { return x + 2; }, {number("step", 2)});
  each("clip", [&](double x) { return clamp(x, -1, 2); }, {number("min", -1), number("max", 2)});
  each("dropout", [](double x) { return x * 0.75; }, {number("dropout_prob", 0.25), flag("is_test", true)});
  each("dropout", [](double x) { return x; },
       {number("dropout_prob", 0.25), flag("is_test", true), text("dropout_implementation", "upscale_in_train")});
  for (const char* copy : {"assign", "share_data", "memcpy"}) each(copy, [](double x) { return x; });
  const Numbers above = {0.25, 0.5, 1, 4};
  const auto positive = [&](const std::string& type, double (*f)(double), const Numbers& x) {
    Numbers wanted;
    for (double v : x) wanted.push_back(f(v));
    expect(run(type, {one("X", x, {static_cast<int64_t>(x.size())})})[0], {static_cast<int64_t>(x.size())}, wanted,
           1e-5);
  };
  positive("sqrt", std::sqrt, above);
  positive(
      "rsqrt", [](double x) { return 1 / std::sqrt(x); }, above);
  positive("log", std::log, above);
  positive("log2", std::log2, above);
  positive("log10", std::log10, above);
  positive("log1p", std::log1p, above);
  positive("acosh", std::acosh, {1, 2, 4});
  positive("acos", std::acos, {-0.5, 0.25});
  positive("asin", std::asin, {-0.5, 0.25});
  positive("atanh", std::atanh, {-0.5, 0.25});
}

TEST(PaddleOps, NumbersThatComeAsTensors) {
  expect(run("scale", {one("X", {1, 2}, {2}), one("ScaleTensor", {3}, {1})}, {number("bias", 0.5)})[0], {2},
         {3.5, 6.5});
  expect(run("scale", {one("X", {1, 2}, {2}, i64), one("ScaleTensor", {3}, {1})})[0], {2}, {3, 6});
  expect(run("clip", {one("X", {1, 5, 9}, {3}), one("Min", {2}, {1}), one("Max", {6}, {1})})[0], {3}, {2, 5, 6});
  expect(run("pow", {one("X", {2, 3}, {2}), one("FactorTensor", {3}, {1})})[0], {2}, {8, 27});
  const double inf = INFINITY;
  expect(run("isinf_v2", {one("X", {1, inf, NAN}, {3})})[0], {3}, {0, 1, 0});
  expect(run("isnan_v2", {one("X", {1, inf, NAN}, {3})})[0], {3}, {0, 0, 1});
  expect(run("isfinite_v2", {one("X", {1, inf, NAN}, {3})})[0], {3}, {1, 0, 0});
  const Given x = one("X", {-1, 2, -3, 4}, {1, 2, 2});
  expect(run("prelu", {x, one("Alpha", {0.5}, {1})}, {text("mode", "all")})[0], {1, 2, 2}, {-0.5, 2, -1.5, 4});
  expect(run("prelu", {x, one("Alpha", {0.5, 0.25}, {2})}, {text("mode", "channel")})[0], {1, 2, 2},
         {-0.5, 2, -0.75, 4});
  expect(run("prelu", {x, one("Alpha", {2, 3, 4, 5}, {1, 2, 2})}, {text("mode", "element")})[0], {1, 2, 2},
         {-2, 2, -12, 4});
  expect_refused("dropout", {one("X", {1}, {1})}, {flag("is_test", false)}, "training mode");
}

// --- windows ---

TEST(PaddleOps, Convolutions) {
  const Given x = one("Input", counted(9), {1, 1, 3, 3});
  const Given k = one("Filter", {1, 0, 0, 1}, {1, 1, 2, 2});
  const std::vector<std::pair<std::string, int>> out = {{"Output", 1}};
  expect(run("conv2d", {x, k}, {}, out)[0], {1, 1, 2, 2}, {4, 6, 10, 12});
  expect(run("conv2d", {x, k}, {integers("paddings", {1, 0, 0, 1})}, out)[0], {1, 1, 3, 3},
         {1, 2, 0, 4, 6, 2, 10, 12, 5});
  expect(run("conv2d", {x, k}, {text("padding_algorithm", "SAME"), integers("dilations", {3, 3})}, out)[0],
         {1, 1, 3, 3}, {4, 6, 2, 10, 12, 5, 6, 7, 8});
  expect(run("conv2d", {x, k},
             {text("padding_algorithm", "VALID"), integers("paddings", {5, 5}), integers("strides", {2, 2})}, out)[0],
         {1, 1, 1, 1}, {4});
  expect(run("conv2d", {x, k}, {integers("dilations", {2, 2})}, out)[0], {1, 1, 1, 1}, {8});
  // Channels last, two groups.
  expect(run("depthwise_conv2d", {one("Input", {1, 10, 2, 20}, {1, 1, 2, 2}), one("Filter", {3, 5}, {2, 1, 1, 1})},
             {integer("groups", 2), text("data_format", "NHWC")}, out)[0],
         {1, 1, 2, 2}, {3, 50, 6, 100});
  expect(
      run("conv3d",
          {one("Input", counted(8), {1, 1, 2, 2, 2}), one("Filter", {1, 1, 1, 1, 1, 1, 1, 2}, {1, 1, 2, 2, 2})},
          {integers("strides", {1, 1, 1}), integers("paddings", {0, 0, 0}), integers("dilations", {1, 1, 1})}, out)[0],
      {1, 1, 1, 1, 1}, {35});
  expect_refused("conv2d", {x, k}, {flag("fuse_relu", true)}, "a pass fused");
  expect_refused("conv2d", {x, k}, {integers("strides", {0, 1})}, "1 or more");
  expect_refused("conv2d", {x, k}, {integers("paddings", {-1, 1})}, "0 or more");
  expect_refused("conv2d", {x, one("Filter", {1}, {1})}, {}, "Filter is [1]");
}

TEST(PaddleOps, TransposedConvolutions) {
  const std::vector<std::pair<std::string, int>> out = {{"Output", 1}};
  const Given x = one("Input", wave(24), {1, 4, 3, 2}), w = one("Filter", wave(48, 0.7), {4, 2, 3, 2});
  const Numbers expected = {-0.3659453, -0.04581906, -1.685211,  -1.190163,  0.8113818,  0.7747132,  1.34235,
                            1.254837,   -1.024583,   -1.281867,  -0.707365,  -0.8439822, 0.9891644,  0.5523539,
                            -0.1744558, -0.1386686,  -1.14547,   -1.012127,  0.8718731,  1.137835,   0.973916,
                            1.182206,   -0.4530575,  -0.593096,  -1.046803,  -0.66622,   0.3942027,  0.4048404,
                            1.124298,   1.057036,    -1.051763,  -1.377187,  -0.8799925, -1.145304,  0.546731,
                            0.7096044,  0.5273179,   0.4323142,  -1.995932,  -1.59177,   -0.2000868, -0.1132214,
                            2.192116,   2.499659,    -0.1844137, -0.2382778, -1.128534,  -1.467522};
  const Attributes common = {integers("strides", {2, 1}), integer("groups", 2), integers("paddings", {1, 1, 0, 1})};
  Attributes with = common;
  with.push_back(integers("output_padding", {1, 0}));
  expect(run("conv2d_transpose", {x, w}, with, out)[0], {1, 4, 6, 2}, expected, 1e-5);
  with = common;
  with.push_back(integers("output_size", {6, 2}));
  expect(run("conv2d_transpose", {x, w}, with, out)[0], {1, 4, 6, 2}, expected, 1e-5);
  with = common;
  with.push_back(integers("output_size", {60, 2}));
  expect_refused("conv2d_transpose", {x, w}, with, "a size of 60");
  // Every kernel on its own.
  expect(
      run("depthwise_conv2d_transpose", {one("Input", {1, 2}, {1, 2, 1, 1}), one("Filter", {1, 2, 3, 4}, {2, 1, 1, 2})},
          {integer("groups", 2)}, out)[0],
      {1, 2, 1, 2}, {1, 2, 6, 8});
  expect(
      run("conv3d_transpose", {one("Input", {2}, {1, 1, 1, 1, 1}), one("Filter", {1, 2}, {1, 1, 1, 1, 2})},
          {integers("strides", {1, 1, 1}), integers("paddings", {0, 0, 0}), integers("dilations", {1, 1, 1})}, out)[0],
      {1, 1, 1, 1, 2}, {2, 4});
}

// Offsets of whole pixels read another pixel, halves the mean of neighbours; outside is 0.
TEST(PaddleOps, DeformableConvolutions) {
  const Given x = one("Input", counted(9, 1), {1, 1, 3, 3}), w = one("Filter", {2, 1}, {1, 1, 1, 2});
  const auto offsets = [](double down, double across) {  // the first element's; the second stays
    Numbers out;
    for (double v : {down, across, 0.0, 0.0}) out.insert(out.end(), 6, v);
    return one("Offset", out, {1, 4, 3, 2});
  };
  const std::vector<std::pair<std::string, int>> out = {{"Output", 1}};
  expect(run("deformable_conv_v1", {x, w, offsets(0, 0)}, {}, out)[0], {1, 1, 3, 2}, {4, 7, 13, 16, 22, 25});
  expect(run("deformable_conv_v1", {x, w, offsets(1, 0)}, {}, out)[0], {1, 1, 3, 2}, {10, 13, 19, 22, 8, 9});
  expect(run("deformable_conv",
             {x, w, offsets(0, 0.5), one("Mask", {1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0}, {1, 2, 3, 2})}, {}, out)[0],
         {1, 1, 3, 2}, {3, 5, 9, 11, 15, 17});
}

TEST(PaddleOps, Pools) {
  const Given x = one("X", wave(25), {1, 1, 5, 5});
  const auto pool = [&](const std::string& kind, const Attributes& more) {
    Attributes all = {text("pooling_type", kind)};
    all.insert(all.end(), more.begin(), more.end());
    return run("pool2d", {x}, all)[0];
  };
  expect(pool("max", {integers("ksize", {3, 3}), integers("strides", {2, 2}), integers("paddings", {1, 1})}),
         {1, 1, 3, 3},
         {0.9985433, 0.9985433, -0.6877661, 0.9985433, 0.9985433, -0.4193609, 0.9287952, 0.9287952, -0.2142525});
  const Attributes ceil = {integers("ksize", {3, 2}), integers("strides", {2, 2}), integers("paddings", {1, 0}),
                           flag("ceil_mode", true)};
  expect(pool("avg", ceil), {1, 1, 3, 3},
         {0.5443054, -0.1702482, -0.8227191, 0.6924896, -0.4042751, -0.5953924, 0.7810554, -0.6034968, -0.3168067});
  Attributes inclusive = ceil;
  inclusive.push_back(flag("exclusive", false));
  expect(pool("avg", inclusive), {1, 1, 3, 3},
         {0.3628703, -0.1134988, -0.2742397, 0.6924896, -0.4042751, -0.2976962, 0.5207036, -0.4023312, -0.1056022});
  const Attributes adaptive = {integers("ksize", {3, 2}), flag("adaptive", true)};
  expect(pool("max", adaptive), {1, 1, 3, 2}, {0.9985433, 0.5155014, 0.9985433, 0.3190984, 0.9287952, -0.1086366});
  expect(pool("avg", adaptive), {1, 1, 3, 2}, {0.5019702, -0.3877385, 0.497017, -0.4679809, 0.4492741, -0.5079334});
  double sum = 0, most = -1;
  for (double v : wave(25)) {
    sum += v;
    most = std::max(most, v);
  }
  expect(pool("avg", {integers("ksize", {-1, -1}), flag("global_pooling", true)}), {1, 1, 1, 1}, {sum / 25});
  expect(pool("max", {integers("ksize", {1, 1}), flag("adaptive", true)}), {1, 1, 1, 1}, {most});
  expect(run("pool2d", {one("X", counted(8), {1, 2, 2, 2})},
             {text("pooling_type", "max"), integers("ksize", {2, 2}), text("data_format", "NHWC")})[0],
         {1, 1, 1, 2}, {6, 7});
  const Attributes cube = {text("pooling_type", "avg"), integers("ksize", {2, 1, 1}), flag("adaptive", true)};
  expect(run("pool3d", {one("X", counted(8), {1, 1, 2, 2, 2})}, cube)[0], {1, 1, 2, 1, 1}, {1.5, 5.5});
  expect(run("max_pool2d_with_index", {one("X", counted(16), {1, 1, 4, 4})},
             {integers("ksize", {2, 2}), integers("strides", {2, 2})})[0],
         {1, 1, 2, 2}, {5, 7, 13, 15});
  expect_refused("pool2d", {x}, {text("pooling_type", "most"), integers("ksize", {2, 2})}, "must be max or avg");
  expect_refused("pool2d", {x}, {text("pooling_type", "max"), integers("ksize", {0, 2})}, "1 or more");
}

// --- normalisation and products ---

TEST(PaddleOps, Normalisations) {
  const std::vector<std::pair<std::string, int>> y = {{"Y", 1}};
  const Given x = one("X", {1, 2, 3, 5, -1, 0, 4, 4}, {1, 4, 2});
  const Given scale = one("Scale", {1, 2, 3, 4}, {4}), bias = one("Bias", {0.5, 0, -1, 2}, {4});
  expect(run("group_norm", {x, scale, bias}, {integer("groups", 2)}, y)[0], {1, 4, 2},
         {-0.6832133, -0.007091394, 0.3380609, 3.042548, -4.622217, -3.305047, 5.95151, 5.95151}, 1e-5);
  expect(run("instance_norm", {x, scale, bias}, {}, y)[0], {1, 4, 2},
         {-0.49998, 1.49998, -1.99999, 1.99999, -3.99994, 1.99994, 2, 2}, 1e-4);
  const Given mean = one("Mean", {1, 0, 0, 2}, {4}), variance = one("Variance", {1, 4, 1, 4}, {4});
  expect(run("batch_norm", {x, mean, variance, scale, bias}, {flag("is_test", true), number("epsilon", 0)}, y)[0],
         {1, 4, 2}, {0.5, 1.5, 3, 5, -4, -1, 6, 6});
  expect(run("batch_norm", {one("X", {1, 3, -1, 4}, {1, 1, 1, 4}), mean, variance, scale, bias},
             {flag("use_global_stats", true), number("epsilon", 0), text("data_layout", "NHWC")}, y)[0],
         {1, 1, 1, 4}, {0.5, 3, -4, 6});
  expect(run("sync_batch_norm", {x, mean, variance, scale, bias}, {flag("is_test", true), number("epsilon", 0)}, y)[0],
         {1, 4, 2}, {0.5, 1.5, 3, 5, -4, -1, 6, 6});
  const double s = std::sqrt(0.25 + 1e-5);
  expect(run("layer_norm", {one("X", {1, 2, 5, 6}, {2, 2}), one("Scale", {1, 2}, {2}), one("Bias", {0, 1}, {2})}, {},
             y)[0],
         {2, 2}, {-0.5 / s, 1 / s + 1, -0.5 / s, 1 / s + 1});
  expect(run("norm", {one("X", {3, 4}, {1, 2})}, {integer("axis", 1)})[0], {1, 2}, {0.6, 0.8});
  expect(run("p_norm", {one("X", {3, -4}, {1, 2})}, {integer("axis", 1), number("porder", 1)})[0], {1}, {7});
  const double e = std::exp(1.0);
  expect(run("softmax", {one("X", {0, 1}, {2, 1})}, {integer("axis", 0)})[0], {2, 1}, {1 / (1 + e), e / (1 + e)});
  expect(run("log_softmax", {one("X", {0, 1}, {1, 2})})[0], {1, 2}, {-std::log(1 + e), 1 - std::log(1 + e)});
  expect_refused("batch_norm", {x, mean, variance, scale, bias}, {}, "training mode");
}

TEST(PaddleOps, Products) {
  const Given x = one("X", {1, 2, 3, 4, 5, 6}, {2, 3});
  expect(run("matmul_v2", {x, one("Y", {1, 0, 1, 1, 1, 0}, {2, 3})}, {flag("trans_y", true)})[0], {2, 2},
         {4, 3, 10, 9});
  expect(run("matmul", {x, one("Y", {1, 1}, {2, 1})}, {flag("transpose_X", true), number("alpha", 0.5)})[0], {3, 1},
         {2.5, 3.5, 4.5});
  expect(run("bmm", {one("X", {1, 2}, {2, 1, 1}), one("Y", {3, 4}, {2, 1, 1})})[0], {2, 1, 1}, {3, 8});
  expect(run("mul", {one("X", counted(8), {2, 1, 2, 2}), one("Y", {1, 2, 3, 4, 5, 6, 7, 8}, {2, 2, 2})},
             {integer("x_num_col_dims", 2), integer("y_num_col_dims", 2)})[0],
         {2, 1, 2}, {34, 40, 98, 120});
  expect(run("fc", {one("Input", {1, 2, 3, 4}, {2, 2}), one("W", {1, -1, 1, -1}, {2, 2}), one("Bias", {1, 1}, {2})},
             {text("activation_type", "relu")})[0],
         {2, 2}, {4, 0, 8, 0});
  expect_refused("mul", {x, one("Y", {1, 2}, {2})}, {}, "leading axes of [2]");
}

// --- shapes ---

TEST(PaddleOps, Reshaping) {
  const Given x = one("X", counted(6), {2, 3});
  const auto shape_of = [&](const std::string& type, const Inputs& more, const Attributes& attributes) {
    Inputs inputs = {x};
    inputs.insert(inputs.end(), more.begin(), more.end());
    const Literal got = run(type, inputs, attributes)[0];
    EXPECT_EQ(got.to_doubles(), counted(6));
    return got.shape().text();
  };
  EXPECT_EQ(shape_of("reshape2", {}, {integers("shape", {0, 1, -1})}), "[2, 1, 3]");
  EXPECT_EQ(shape_of("reshape", {ints("Shape", {3, 2}, i32)}, {integers("shape", {6})}), "[3, 2]");
  EXPECT_EQ(shape_of("reshape2", {{"ShapeTensor", {numbers_of({-1}, {1}, i32), numbers_of({6}, {1}, i32)}}}, {}),
            "[1, 6]");
  EXPECT_EQ(shape_of("unsqueeze2", {}, {integers("axes", {0, -1})}), "[1, 2, 3, 1]");
  EXPECT_EQ(shape_of("unsqueeze", {ints("AxesTensor", {1}, i32)}, {}), "[2, 1, 3]");
  EXPECT_EQ(shape_of("flatten", {}, {integer("axis", 0)}), "[1, 6]");
  EXPECT_EQ(shape_of("flatten2", {}, {integer("axis", 1)}), "[2, 3]");
  EXPECT_EQ(shape_of("flatten_contiguous_range", {}, {integer("start_axis", 0), integer("stop_axis", -1)}), "[6]");
  EXPECT_EQ(run("squeeze2", {one("X", {1, 2}, {1, 2, 1})}, {integers("axes", {0, 1})})[0].shape().text(), "[2, 1]");
  EXPECT_EQ(run("squeeze", {one("X", {1, 2}, {1, 2, 1})})[0].shape().text(), "[2]");
  expect(run("transpose2", {x}, {integers("axis", {1, 0})})[0], {3, 2}, {0, 3, 1, 4, 2, 5});
  expect(run("transpose", {x}, {integers("axis", {0, 1})})[0], {2, 3}, counted(6));
  expect_refused("reshape2", {x}, {integers("shape", {4, -1})}, "[2, 3] as");
  expect_refused("reshape2", {x}, {integers("shape", {-1, -1})}, "two sizes open");
  expect_refused("transpose2", {x}, {integers("axis", {0, 7})}, "axis 7");
}

TEST(PaddleOps, JoiningAndCutting) {
  const Given x = one("X", counted(6), {2, 3});
  const Given pair = {"X", {numbers_of({1, 2}, {2}), numbers_of({3, 4}, {2})}};
  expect(run("concat", {pair}, {integer("axis", 0)})[0], {4}, {1, 2, 3, 4});
  expect(run("concat", {pair, ints("AxisTensor", {-1}, i32)})[0], {4}, {1, 2, 3, 4});
  expect(run("stack", {pair}, {integer("axis", 1)}, {{"Y", 1}})[0], {2, 2}, {1, 3, 2, 4});
  auto parts = run("split", {x}, {integer("axis", 1), integers("sections", {1, -1})}, {{"Out", 2}});
  expect(parts[0], {2, 1}, {0, 3});
  expect(parts[1], {2, 2}, {1, 2, 4, 5});
  parts = run("split", {x}, {integer("axis", 0), integer("num", 2)}, {{"Out", 2}});
  expect(parts[1], {1, 3}, {3, 4, 5});
  expect(run("unstack", {x}, {integer("axis", 0)}, {{"Y", 2}})[1], {3}, {3, 4, 5});
  expect(run("unbind", {x}, {integer("axis", 1)}, {{"Out", 3}})[2], {2}, {2, 5});
  const Given in = one("Input", counted(6), {2, 3});
  expect(run("slice", {in}, {integers("axes", {1}), integers("starts", {-2}), integers("ends", {10000000})})[0], {2, 2},
         {1, 2, 4, 5});
  expect(
      run("slice", {in},
          {integers("axes", {0}), integers("starts", {1}), integers("ends", {2}), integers("decrease_axis", {0})})[0],
      {3}, {3, 4, 5});
  expect(run("slice", {in, ints("StartsTensor", {1}, i32), ints("EndsTensor", {3}, i32)}, {integers("axes", {1})})[0],
         {2, 2}, {1, 2, 4, 5});
  expect(run("slice", {in}, {integers("axes", {1}), integers("starts", {2}), integers("ends", {1})})[0], {2, 0}, {});
  const Given row = one("Input", counted(7), {7});
  const auto strided = [&](int64_t start, int64_t end, int64_t stride, const Numbers& wanted) {
    expect(run("strided_slice", {row},
               {integers("axes", {0}), integers("starts", {start}), integers("ends", {end}),
                integers("strides", {stride})})[0],
           {static_cast<int64_t>(wanted.size())}, wanted);
  };
  strided(1, 6, 2, {1, 3, 5});
  strided(5, 1, -2, {5, 3});
  strided(-1, -100, -3, {6, 3, 0});
  strided(100, 0, -1, {6, 5, 4, 3, 2, 1});
  strided(3, 5, -1, {});
  expect_refused("split", {x}, {integer("axis", 1), integer("num", 2)}, "2 equal parts");
  expect_refused("split", {x}, {integer("axis", 1), integers("sections", {1, 1})}, "sections [1, 1] of 3");
}

TEST(PaddleOps, RepeatingAndPadding) {
  const Given x = one("X", {1, 2}, {2, 1});
  expect(run("expand_v2", {x}, {integers("shape", {2, -1, 3})})[0], {2, 2, 3}, {1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2});
  expect(run("expand_as_v2", {x, one("Y", counted(4), {2, 2})})[0], {2, 2}, {1, 1, 2, 2});
  expect(run("expand", {x}, {integers("expand_times", {1, 2})})[0], {2, 2}, {1, 1, 2, 2});
  expect(run("tile", {x}, {integers("repeat_times", {2})})[0], {2, 2}, {1, 1, 2, 2});
  expect(run("tile", {x, ints("RepeatTimes", {2, 1}, i32)})[0], {4, 1}, {1, 2, 1, 2});
  expect(run("flip", {one("X", counted(4), {2, 2})}, {integers("axis", {-1})})[0], {2, 2}, {1, 0, 3, 2});
  expect(run("roll", {one("X", counted(4), {2, 2})}, {integers("shifts", {1})})[0], {2, 2}, {3, 0, 1, 2});
  const Given image = one("X", {1, 2, 3, 4}, {1, 1, 2, 2});
  expect(run("pad2d", {image}, {integers("paddings", {1, 0, 0, 1}), number("pad_value", 9)})[0], {1, 1, 3, 3},
         {9, 9, 9, 1, 2, 9, 3, 4, 9});
  expect(run("pad2d", {image}, {integers("paddings", {0, 1, 1, 0}), text("mode", "reflect")})[0], {1, 1, 3, 3},
         {2, 1, 2, 4, 3, 4, 2, 1, 2});
  expect(run("pad3d", {one("X", {1, 2, 3, 4}, {1, 1, 1, 2, 2})},
             {integers("paddings", {1, 0, 0, 1, 0, 0}), text("mode", "replicate"), text("data_format", "NCDHW")})[0],
         {1, 1, 1, 3, 3}, {1, 1, 2, 3, 3, 4, 3, 3, 4});
  expect(run("pad", {one("X", {1}, {1, 1})}, {integers("paddings", {1, 0, 0, 1})})[0], {2, 2}, {0, 0, 1, 0});
  expect(run("pixel_shuffle", {one("X", counted(4), {1, 4, 1, 1})}, {integer("upscale_factor", 2)})[0], {1, 1, 2, 2},
         counted(4));
  expect(run("shuffle_channel", {one("X", counted(4), {1, 4, 1, 1})}, {integer("group", 2)})[0], {1, 4, 1, 1},
         {0, 2, 1, 3});
  expect(run("tril_triu", {one("X", {1, 2, 3, 4}, {2, 2})}, {flag("lower", false)})[0], {2, 2}, {1, 2, 0, 4});
  expect(run("tril", {one("X", {1, 2, 3, 4}, {2, 2})}, {integer("diagonal", -1)})[0], {2, 2}, {0, 0, 3, 0});
  expect(run("triu", {one("X", {1, 2, 3, 4}, {2, 2})}, {integer("diagonal", 1)})[0], {2, 2}, {0, 2, 0, 0});
  const auto grid = run("meshgrid", {{"X", {numbers_of({1, 2}, {2}), numbers_of({3, 4}, {2})}}}, {}, {{"Out", 2}});
  expect(grid[0], {2, 2}, {1, 1, 2, 2});
  expect(grid[1], {2, 2}, {3, 4, 3, 4});
  expect(run("unfold", {image}, {integers("kernel_sizes", {2, 1}), integers("paddings", {0, 0, 0, 0})}, {{"Y", 1}})[0],
         {1, 2, 2}, {1, 2, 3, 4});
  expect_refused("pad2d", {image}, {integers("paddings", {-1, 0, 0, 1})}, "paddings");
}

// --- values out of nothing ---

TEST(PaddleOps, Creation) {
  const Given x = one("X", counted(6), {2, 3});
  const auto made = [&](const std::string& type, const Inputs& inputs, const Attributes& attributes, DType dtype,
                        const Shape& shape, const Numbers& values) {
    const Literal got = run(type, inputs, attributes)[0];
    EXPECT_EQ(got.dtype(), dtype) << type;
    expect(got, shape, values);
  };
  made("fill_constant", {}, {integers("shape", {2}), integer("dtype", kInt64), number("value", 3)}, i64, {2}, {3, 3});
  made("fill_constant", {}, {integers("shape", {1}), integer("dtype", kFloat), text("str_value", "-0.5")}, f32, {1},
       {-0.5});
  made("fill_constant", {ints("ShapeTensor", {1, 2}, i32)}, {integer("dtype", kFloat), number("value", 1)}, f32, {1, 2},
       {1, 1});
  made("fill", {}, {integers("shape", {2}), integer("dtype", kFloat), number("value", 3)}, f32, {2}, {3, 3});
  EXPECT_EQ(run("empty", {}, {integers("shape", {2, 1}), integer("dtype", kInt64)})[0].shape().text(), "[2, 1]");
  made("fill_any_like", {x}, {number("value", 2), integer("dtype", kInt32)}, i32, {2, 3}, {2, 2, 2, 2, 2, 2});
  made("fill_zeros_like", {x}, {}, f32, {2, 3}, {0, 0, 0, 0, 0, 0});
  made("fill_constant_batch_size_like", {one("Input", counted(6), {2, 3})},
       {integers("shape", {-1, 1}), number("value", 4), integer("dtype", kFloat)}, f32, {2, 1}, {4, 4});
  made("assign_value", {}, {integers("shape", {2}), integer("dtype", kFloat), reals("fp32_values", {1.5, 2})}, f32, {2},
       {1.5, 2});
  made("assign_value", {}, {integers("shape", {2}), integer("dtype", kInt32), integers("int32_values", {7, 8})}, i32,
       {2}, {7, 8});
  made("cast", {x}, {integer("in_dtype", kFloat), integer("out_dtype", kInt32)}, i32, {2, 3}, counted(6));
  made("shape", {one("Input", counted(6), {2, 3})}, {}, i32, {2}, {2, 3});
  made("size", {one("Input", counted(6), {2, 3})}, {}, i64, {}, {6});
  made("range", {one("Start", {5}, {1}, i64), one("End", {0}, {1}, i64), one("Step", {-2}, {1}, i64)}, {}, i64, {3},
       {5, 3, 1});
  made("range", {one("Start", {0}, {1}), one("End", {1}, {1}), one("Step", {0.25}, {1})}, {}, f32, {4},
       {0, 0.25, 0.5, 0.75});
  made("linspace", {one("Start", {0}, {1}), one("Stop", {1}, {1}), one("Num", {3}, {1}, i32)},
       {integer("dtype", kFloat)}, f32, {3}, {0, 0.5, 1});
  made("eye", {}, {integer("num_rows", 2), integer("num_columns", -1), integer("dtype", kFloat)}, f32, {2, 2},
       {1, 0, 0, 1});
  made("one_hot", {one("X", {1, 0}, {2, 1}, i64)}, {integer("depth", 3)}, f32, {2, 3}, {0, 1, 0, 1, 0, 0});
  made("one_hot_v2", {one("X", {2}, {1}, i64)}, {integer("depth", 3)}, f32, {1, 3}, {0, 0, 1});
  expect_refused("fill_constant", {}, {integers("shape", {int64_t{1} << 30, int64_t{1} << 30})}, "2^48");
  expect_refused("range", {one("Start", {0}, {1}), one("End", {1e12}, {1}), one("Step", {1}, {1})}, {}, "a range of");
  expect_refused("cast", {x}, {integer("out_dtype", 23)}, "element type 23");
}

// --- indices, reductions, order ---

TEST(PaddleOps, Indexing) {
  const Given x = one("X", counted(6), {2, 3});
  expect(run("gather", {x, one("Index", {1, 0}, {2, 1}, i32)})[0], {2, 3}, {3, 4, 5, 0, 1, 2});
  expect(run("gather", {x, ints("Index", {2, 0}), ints("Axis", {1}, i32)})[0], {2, 2}, {2, 0, 5, 3});
  expect(run("index_select", {x, ints("Index", {1})}, {integer("dim", 1)})[0], {2, 1}, {1, 4});
  expect(run("gather_nd", {x, one("Index", {1, -1, 0, 0}, {2, 2}, i64)})[0], {2}, {5, 0});
  expect(run("scatter", {x, ints("Ids", {1}), one("Updates", {7, 8, 9}, {1, 3})})[0], {2, 3}, {0, 1, 2, 7, 8, 9});
  expect(run("scatter", {one("X", {1, 1, 1}, {3}), ints("Ids", {0, 0, 2}), one("Updates", {2, 3, 4}, {3})},
             {flag("overwrite", false)})[0],
         {3}, {5, 1, 4});
  expect(run("scatter_nd_add", {x, one("Index", {1, 1, 1, 1}, {2, 2}, i64), one("Updates", {10, 20}, {2})})[0], {2, 3},
         {0, 1, 2, 3, 34, 5});
  expect(run("index_sample", {x, one("Index", {2, 0, 1, 1}, {2, 2}, i64)})[0], {2, 2}, {2, 0, 4, 4});
  expect(run("take_along_axis", {one("Input", counted(6), {2, 3}), one("Index", {1, 0, 1}, {1, 3}, i64)},
             {integer("Axis", 0)}, {{"Result", 1}})[0],
         {1, 3}, {3, 1, 5});
  const Given w = one("W", counted(6), {3, 2});
  expect(run("lookup_table_v2", {w, ints("Ids", {2, 0})})[0], {2, 2}, {4, 5, 0, 1});
  expect(run("lookup_table_v2", {w, ints("Ids", {2, 1})}, {integer("padding_idx", 2)})[0], {2, 2}, {0, 0, 2, 3});
  expect(run("lookup_table", {w, one("Ids", {1, 1}, {2, 1}, i64)})[0], {2, 2}, {2, 3, 2, 3});
  expect(run("masked_select", {x, one("Mask", {1, 0, 0, 0, 1, 1}, {2, 3}, boolean)}, {}, {{"Y", 1}})[0], {3},
         {0, 4, 5});
  expect(run("where_index", {one("Condition", {0, 1, 0, 1}, {2, 2}, boolean)})[0], {2, 2}, {0, 1, 1, 1});
}

TEST(PaddleOps, Reductions) {
  const Given x = one("X", {1, 2, 3, 4, 5, 9}, {2, 3});
  expect(run("reduce_sum", {x}, {integers("dim", {1})})[0], {2}, {6, 18});
  expect(run("reduce_mean", {x}, {integers("dim", {-1}), flag("keep_dim", true)})[0], {2, 1}, {2, 6});
  expect(run("reduce_max", {x}, {flag("reduce_all", true), integers("dim", {0})})[0], {}, {9});
  expect(run("reduce_min", {x}, {integers("dim", {0})})[0], {3}, {1, 2, 3});
  expect(run("reduce_prod", {x}, {integers("dim", {0})})[0], {3}, {4, 10, 27});
  expect(run("reduce_all", {one("X", {1, 0, 1, 1}, {2, 2}, boolean)}, {integers("dim", {1})})[0], {2}, {0, 1});
  expect(run("reduce_any", {one("X", {1, 0, 0, 0}, {2, 2}, boolean)}, {integers("dim", {1})})[0], {2}, {1, 0});
  expect(run("mean", {x})[0], {}, {4});
  expect(run("logsumexp", {one("X", {0, 0}, {2})}, {flag("reduce_all", true)})[0], {}, {std::log(2.0)});
  EXPECT_EQ(run("arg_max", {x}, {integer("axis", 1), integer("dtype", kInt32)})[0].dtype(), i32);
  expect(run("arg_max", {x}, {integer("axis", 1)})[0], {2}, {2, 2});
  expect(run("arg_min", {x}, {flag("flatten", true), flag("keepdims", true)})[0], {1, 1}, {0});
  auto both = run("top_k_v2", {x}, {integer("k", 2), integer("axis", 1)}, {{"Out", 1}, {"Indices", 1}});
  expect(both[0], {2, 2}, {3, 2, 9, 5});
  expect(both[1], {2, 2}, {2, 1, 2, 1});
  expect(run("top_k_v2", {x, one("K", {1}, {1}, i32)}, {integer("axis", 0), flag("largest", false)})[0], {1, 3},
         {1, 2, 3});
  expect(run("top_k", {x}, {integer("k", 1)})[0], {2, 1}, {3, 9});
  both = run("argsort", {one("X", {3, 1, 2}, {3})}, {flag("descending", true)}, {{"Out", 1}, {"Indices", 1}});
  expect(both[0], {3}, {3, 2, 1});
  expect(both[1], {3}, {0, 2, 1});
  expect(run("cumsum", {x}, {integer("axis", 1)})[0], {2, 3}, {1, 3, 6, 4, 9, 18});
  expect(run("cumsum", {x}, {flag("flatten", true), flag("reverse", true), flag("exclusive", true)})[0], {6},
         {23, 21, 18, 14, 9, 0});
  expect(run("cumprod", {x}, {integer("dim", 1)})[0], {2, 3}, {1, 2, 6, 4, 20, 180});
  expect_refused("top_k", {x}, {integer("k", 4)}, "k is 4");
}

TEST(PaddleOps, PartsReplaced) {
  const Given x = one("Input", counted(6), {2, 3});
  const Attributes row = {integers("axes", {0}), integers("starts", {1}), integers("ends", {2}), integers("steps", {1}),
                          integers("decrease_axes", {0})};
  expect(run("set_value", {x, one("ValueTensor", {7, 8, 9}, {3})}, row)[0], {2, 3}, {0, 1, 2, 7, 8, 9});
  expect(run("set_value", {x},
             {integers("axes", {1, 0}), integers("starts", {-2, 0}), integers("ends", {100, 2}),
              integers("steps", {1, 1}), integers("shape", {1}), reals("fp32_values", {5})})[0],
         {2, 3}, {0, 5, 5, 3, 5, 5});
  expect_refused("set_value", {x, one("ValueTensor", {7, 8}, {2})}, row, "do not broadcast");
  expect_refused("set_value", {x, one("ValueTensor", {7}, {1})},
                 {integers("axes", {1}), integers("starts", {0}), integers("ends", {3}), integers("steps", {2})},
                 "steps [2]");
  expect(run("put_along_axis", {x, one("Index", {2, 0}, {2, 1}, i64), one("Value", {9}, {1})}, {integer("Axis", 1)},
             {{"Result", 1}})[0],
         {2, 3}, {0, 1, 9, 9, 4, 5});
  expect(run("index_add", {one("X", counted(6), {2, 3}), ints("Index", {1, 1}), one("AddValue", {1, 2, 3, 4}, {2, 2})},
             {integer("axis", 1)})[0],
         {2, 3}, {0, 4, 2, 3, 11, 5});
  expect(run("diag_v2", {one("X", {1, 2}, {2})}, {integer("offset", 1)})[0], {3, 3}, {0, 1, 0, 0, 0, 2, 0, 0, 0});
  expect(run("diag_v2", {one("X", counted(6), {2, 3})}, {integer("offset", -1)})[0], {1}, {3});
  expect(run("diagonal", {one("Input", counted(8), {2, 2, 2})}, {integer("axis1", 2), integer("axis2", 0)})[0], {2, 2},
         {0, 5, 2, 7});
  expect(run("repeat_interleave", {one("X", {1, 2}, {1, 2})}, {integer("Repeats", 2), integer("dim", 1)})[0], {1, 4},
         {1, 1, 2, 2});
  // Two frames of four channels: the first moves forward, the second back.
  expect(run("temporal_shift", {one("X", counted(8, 1), {2, 4, 1, 1})},
             {integer("seg_num", 2), number("shift_ratio", 0.25)})[0],
         {2, 4, 1, 1}, {0, 6, 3, 4, 1, 0, 7, 8});
  expect(run("addmm", {one("Input", {1, 1}, {2}), one("X", {1, 2}, {1, 2}), one("Y", {1, 0, 0, 1}, {2, 2})},
             {number("Alpha", 2), number("Beta", 3)})[0],
         {1, 2}, {5, 7});
  expect(run("affine_channel",
             {one("X", {1, 2, 3, 4}, {1, 2, 2}), one("Scale", {2, 3}, {2}), one("Bias", {0, 1}, {2})})[0],
         {1, 2, 2}, {2, 4, 10, 13});
}

// Two layers in both directions against a plain loop.
void expect_recurrent(const std::string& mode, int gates) {
  SCOPED_TRACE(mode);
  const int steps = 3, batch = 2, size = 2, layers = 2, inputs = 3;
  auto make = [seed = 0.0](int64_t count) mutable {
    Numbers out;
    for (int64_t i = 0; i < count; ++i) out.push_back(static_cast<double>(static_cast<float>(std::sin(seed += 0.83))));
    return out;
  };
  const auto logistic = [](double v) { return 1 / (1 + std::exp(-v)); };
  const int count = layers * 2, wide = gates * size;
  Given weights = {"WeightList", {}}, biases = {"", {}};
  std::vector<Numbers> w, b;
  for (int k = 0; k < count; ++k) {
    for (int width : {k < 2 ? inputs : 2 * size, size}) {
      w.push_back(make(wide * width));
      weights.values.push_back(numbers_of(w.back(), {wide, width}));
      b.push_back(make(wide));
      biases.values.push_back(numbers_of(b.back(), {wide}));
    }
  }
  weights.values.insert(weights.values.end(), biases.values.begin(), biases.values.end());
  const Numbers x = make(steps * batch * inputs);
  Given states = {"PreState", {}};
  std::vector<Numbers> start;
  for (int k = 0; k < (mode == "LSTM" ? 2 : 1); ++k) {
    start.push_back(make(count * batch * size));
    states.values.push_back(numbers_of(start.back(), {count, batch, size}));
  }
  Numbers layer_input = x, last_h, last_c;
  int width = inputs;
  for (int layer = 0; layer < layers; ++layer) {
    Numbers out(static_cast<size_t>(steps * batch * 2 * size));
    for (int side = 0; side < 2; ++side) {
      const int k = layer * 2 + side;
      for (int n = 0; n < batch; ++n) {
        Numbers h, c;
        for (int j = 0; j < size; ++j) {
          h.push_back(start[0][static_cast<size_t>((k * batch + n) * size + j)]);
          if (mode == "LSTM") c.push_back(start[1][static_cast<size_t>((k * batch + n) * size + j)]);
        }
        for (int s = 0; s < steps; ++s) {
          const int t = side == 0 ? s : steps - 1 - s;
          Numbers from_x, from_h;
          for (int g = 0; g < wide; ++g) {
            double a = b[static_cast<size_t>(2 * k)][static_cast<size_t>(g)],
                   r = b[static_cast<size_t>(2 * k + 1)][static_cast<size_t>(g)];
            for (int i = 0; i < width; ++i) {
              a += w[static_cast<size_t>(2 * k)][static_cast<size_t>(g * width + i)] *
                   layer_input[static_cast<size_t>((t * batch + n) * width + i)];
            }
            for (int i = 0; i < size; ++i)
              r += w[static_cast<size_t>(2 * k + 1)][static_cast<size_t>(g * size + i)] * h[static_cast<size_t>(i)];
            from_x.push_back(a);
            from_h.push_back(r);
          }
          for (int j = 0; j < size; ++j) {
            const auto gate = [&](int g) {
              return from_x[static_cast<size_t>(g * size + j)] + from_h[static_cast<size_t>(g * size + j)];
            };
            double& now = h[static_cast<size_t>(j)];
            if (mode == "LSTM") {
              double& cell = c[static_cast<size_t>(j)];
              cell = logistic(gate(1)) * cell + logistic(gate(0)) * std::tanh(gate(2));
              now = logistic(gate(3)) * std::tanh(cell);
            } else if (mode == "GRU") {
              const double candidate = std::tanh(from_x[static_cast<size_t>(2 * size + j)] +
                                                 logistic(gate(0)) * from_h[static_cast<size_t>(2 * size + j)]);
              now = logistic(gate(1)) * now + (1 - logistic(gate(1))) * candidate;
            } else {
              now = mode == "RNN_RELU" ? std::max(gate(0), 0.0) : std::tanh(gate(0));
            }
          }
          for (int j = 0; j < size; ++j)
            out[static_cast<size_t>(((t * batch + n) * 2 + side) * size + j)] = h[static_cast<size_t>(j)];
        }
        last_h.insert(last_h.end(), h.begin(), h.end());
        last_c.insert(last_c.end(), c.begin(), c.end());
      }
    }
    layer_input = out;
    width = 2 * size;
  }
  const auto got =
      run("rnn", {one("Input", x, {steps, batch, inputs}), states, weights},
          {text("mode", mode), integer("hidden_size", size), integer("num_layers", layers), flag("is_bidirec", true)},
          {{"Out", 1}, {"State", mode == "LSTM" ? 2 : 1}});
  expect(got[0], {steps, batch, 2 * size}, layer_input, 1e-5);
  expect(got[1], {count, batch, size}, last_h, 1e-5);
  if (mode == "LSTM") expect(got[2], {count, batch, size}, last_c, 1e-5);
}
TEST(PaddleOps, RecurrentLayers) {
  expect_recurrent("LSTM", 4);
  expect_recurrent("GRU", 3);
  expect_recurrent("RNN_TANH", 1);
  expect_recurrent("RNN_RELU", 1);
}

// --- images and boxes ---

TEST(PaddleOps, ResizedImages) {
  const Given x = one("X", {1, 2, 3, 4, 5, 10}, {1, 1, 2, 3});
  const auto resized = [&](const std::string& type, const Attributes& more, const Numbers& wanted) {
    Attributes all = {integer("out_h", 3), integer("out_w", 4)};
    all.insert(all.end(), more.begin(), more.end());
    SCOPED_TRACE(type);
    expect(run(type, {x}, all)[0], {1, 1, 3, 4}, wanted);
  };
  const Message align = flag("align_corners", true), free = flag("align_corners", false),
                half = integer("align_mode", 0), whole = integer("align_mode", 1);
  const Numbers aligned = {1, 1.666667, 2.333333, 3, 2.5, 3.166667, 4.5, 6.5, 4, 4.666667, 6.666667, 10};
  resized("bilinear_interp", {}, aligned);
  resized("bilinear_interp_v2", {align, whole}, aligned);
  const Numbers by_corner = {1, 1.75, 2.5, 3, 3, 3.75, 5.833333, 7.666667, 4, 4.75, 7.5, 10};
  resized("bilinear_interp", {free, whole}, by_corner);
  resized("bilinear_interp_v2", {}, by_corner);
  resized("bilinear_interp_v2", {free, half}, {1, 1.625, 2.375, 3, 2.5, 3.125, 4.625, 6.5, 4, 4.625, 6.875, 10});
  resized("nearest_interp_v2", {free}, {1, 1, 2, 3, 1, 1, 2, 3, 4, 4, 5, 10});
  resized("nearest_interp", {align}, {1, 2, 2, 3, 4, 5, 5, 10, 4, 5, 5, 10});
  resized("bicubic_interp_v2", {free},
          {0.667806, 1.307515, 2.084676, 2.439216, 2.428223, 2.810059, 4.690918, 6.715332, 4.188639, 4.312602, 7.29716,
           10.99145});
  resized("bicubic_interp", {align},
          {1, 1.574074, 2.425926, 3, 2.5, 2.851852, 4.555556, 6.5, 4, 4.12963, 6.685185, 10});
  // The size as one tensor, as a tensor each, and by scales.
  const Numbers doubled = {1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 10, 10, 4, 4, 5, 5, 10, 10};
  expect(run("nearest_interp_v2", {x, ints("OutSize", {4, 6}, i32)})[0], {1, 1, 4, 6}, doubled);
  expect(run("nearest_interp_v2", {x, {"SizeTensor", {numbers_of({4}, {1}, i32), numbers_of({6}, {1}, i32)}}})[0],
         {1, 1, 4, 6}, doubled);
  expect(run("nearest_interp_v2", {x}, {reals("scale", {2, 2}), integer("out_h", -1)})[0], {1, 1, 4, 6}, doubled);
  expect(run("nearest_interp", {x, one("Scale", {2}, {1})}, {free})[0], {1, 1, 4, 6}, doubled);
  // Newer: the distance follows from the scale, not from the sizes.
  expect(run("nearest_interp_v2", {one("X", counted(3), {1, 1, 1, 3})}, {reals("scale", {1, 1.5})})[0], {1, 1, 1, 4},
         {0, 0, 1, 2});
  expect(run("bilinear_interp_v2", {one("X", {0, 3, 6}, {1, 1, 1, 3})}, {reals("scale", {1, 1.5})})[0], {1, 1, 1, 4},
         {0, 2, 4, 6});
  expect(run("linear_interp_v2", {one("X", {0, 4}, {1, 1, 2})}, {integer("out_w", 4), text("data_layout", "NCHW")})[0],
         {1, 1, 4}, {0, 2, 4, 4});
  expect(run("trilinear_interp_v2", {one("X", {0, 4}, {1, 1, 2, 1, 1})},
             {integer("out_d", 4), integer("out_h", 1), integer("out_w", 1), flag("align_corners", true)})[0],
         {1, 1, 4, 1, 1}, {0, 4.0 / 3, 8.0 / 3, 4});
  expect(run("grid_sampler", {one("X", {1, 2, 3, 4}, {1, 1, 2, 2}), one("Grid", {-1, 1, 0, 0, 3, -1}, {1, 1, 3, 2})},
             {}, {{"Output", 1}})[0],
         {1, 1, 1, 3}, {3, 2.5, 0});
  expect(run("grid_sampler", {one("X", {1, 2, 3, 4}, {1, 1, 2, 2}), one("Grid", {3, -1}, {1, 1, 1, 2})},
             {text("padding_mode", "border")}, {{"Output", 1}})[0],
         {1, 1, 1, 1}, {2});
  expect_refused("nearest_interp_v2", {x}, {integer("out_h", 0), integer("out_w", 4)}, "to size 0");
  expect_refused("nearest_interp_v2", {x}, {reals("scale", {1e30F, 1})}, "scale");
}

TEST(PaddleOps, PriorBoxes) {
  const Inputs inputs = {one("Input", Numbers(2, 0), {1, 1, 1, 2}), one("Image", Numbers(800, 0), {1, 1, 20, 40})};
  Attributes attributes = {reals("min_sizes", {8}), reals("max_sizes", {16}), reals("aspect_ratios", {1, 2}),
                           flag("flip", true), reals("variances", {0.1F, 0.1F, 0.2F, 0.2F})};
  const std::vector<std::pair<std::string, int>> out = {{"Boxes", 1}, {"Variances", 1}};
  const auto head = [](const Literal& boxes) {
    const Numbers all = boxes.to_doubles();
    return numbers_of({all.begin(), all.begin() + 16}, {16});
  };
  auto got = run("prior_box", inputs, attributes, out);
  EXPECT_EQ(got[0].shape().text(), "[1, 2, 4, 4]");
  expect(head(got[0]), {16},
         {0.15, 0.3, 0.35, 0.7, 0.1085786, 0.3585786, 0.3914214, 0.6414214, 0.1792893, 0.2171573, 0.3207107, 0.7828427,
          0.1085786, 0.2171573, 0.3914214, 0.7828427});
  expect(head(got[1]), {16}, {0.1, 0.1, 0.2, 0.2, 0.1, 0.1, 0.2, 0.2, 0.1, 0.1, 0.2, 0.2, 0.1, 0.1, 0.2, 0.2});
  attributes.push_back(flag("min_max_aspect_ratios_order", true));
  expect(head(run("prior_box", inputs, attributes, out)[0]), {16},
         {0.15, 0.3, 0.35, 0.7, 0.1085786, 0.2171573, 0.3914214, 0.7828427, 0.1085786, 0.3585786, 0.3914214, 0.6414214,
          0.1792893, 0.2171573, 0.3207107, 0.7828427});
}

TEST(PaddleOps, BoxesCodedAndDecoded) {
  const std::vector<std::pair<std::string, int>> out = {{"OutputBox", 1}};
  const Given priors = one("PriorBox", {1, 2, 5, 8, 0, 0, 2, 2}, {2, 4});
  const Given variances = one("PriorBoxVar", {0.1, 0.1, 0.2, 0.2, 0.1, 0.1, 0.2, 0.2}, {2, 4});
  const Numbers decoded = {1.097458, 1.339396, 5.302542, 7.460604, 0.3812692, -0.2918247, 2.018731, 2.691825};
  const Numbers codes = {0.5, -1, 0.25, 0.1, 1, 1, -1, 2};
  expect(run("box_coder", {priors, variances, one("TargetBox", codes, {1, 2, 4})},
             {text("code_type", "decode_center_size")}, out)[0],
         {1, 2, 4}, decoded);
  expect(run("box_coder", {priors, one("TargetBox", codes, {2, 1, 4})},
             {text("code_type", "decode_center_size"), integer("axis", 1), reals("variance", {0.1F, 0.1F, 0.2F, 0.2F})},
             out)[0],
         {2, 1, 4}, decoded);
  expect(run("box_coder", {priors, variances, one("TargetBox", {2, 2, 4, 6}, {1, 4})}, {}, out)[0], {1, 2, 4},
         {0, -1.666667, -3.465736, -2.027326, 10, 15, 0, 3.465736}, 1e-5);
  expect(run("iou_similarity", {one("X", {0, 0, 2, 2}, {1, 4}), one("Y", {1, 1, 3, 3, 5, 5, 6, 6}, {2, 4})})[0], {1, 2},
         {1.0 / 7, 0});
}

TEST(PaddleOps, YoloBoxes) {
  const auto got = run("yolo_box", {one("X", wave(28), {1, 14, 1, 2}), one("ImgSize", {64, 96}, {1, 2}, i32)},
                       {integers("anchors", {10, 13, 16, 30}), integer("class_num", 2), number("conf_thresh", 0.25),
                        integer("downsample_ratio", 32), number("scale_x_y", 1.1F)},
                       {{"Boxes", 1}, {"Scores", 1}});
  expect(got[0], {1, 4, 4},
         {20.89986, 5.590879, 27.10014, 63, 74.51834, 2.464399, 93.1185, 38.23745, 11.77831, 0, 20.7237, 63, 71.86792,
          0, 87.64712, 63},
         1e-5);
  expect(got[1], {1, 4, 2}, {0.1835343, 0.1602366, 0.2318042, 0.09008767, 0.1878975, 0.2798963, 0.1905188, 0.1006212},
         1e-5);
}

// --- the list in the guide ---

TEST(PaddleOps, TheGuideListsEveryOperator) {
  const std::string guide = read_file(std::string(TRIREME_SOURCE_DIR) + "/docs/guide/paddle.md");
  const size_t begin = guide.find("## Operators"), end = guide.find("\n## ", begin + 1);
  std::vector<std::string> listed;
  const std::string section = guide.substr(begin, end - begin);
  for (size_t at = section.find('`'); at != std::string::npos; at = section.find('`', at + 1)) {
    const size_t close = section.find('`', at + 1);
    listed.push_back(section.substr(at + 1, close - at - 1));
    at = close;
  }
  std::sort(listed.begin(), listed.end());
  EXPECT_EQ(listed, supported_operators());
}

}  // namespace
}  // namespace trireme::formats::paddle
