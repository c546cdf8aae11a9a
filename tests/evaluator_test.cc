// The reference evaluator: elementary functions against NumPy's published vectors, control flow, rounding, the measured
// bounds of accuracy.h.
#include "trireme/reference/evaluator.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <numeric>

#include "trireme/base/strings.h"
#include "trireme/ir/op_decl.h"
#include "trireme/ops/ops.h"
#include "trireme/ops/value.h"
#include "trireme/reference/accuracy.h"

namespace trireme {
namespace {

std::vector<Evaluated> as_evaluated(const std::vector<Literal>& inputs) {
  std::vector<Evaluated> out;
  for (const Literal& literal : inputs) out.push_back(reference::to_evaluated(literal));
  return out;
}

// --- published vectors -----------------------------------------------------------------------------------------------

std::filesystem::path data_folder() {
  if (const char* set = std::getenv("TRIREME_DATA")) return set;
  return std::filesystem::path(TRIREME_SOURCE_DIR) / ".." / "shared" / "data";
}

// Steps between two numbers on the line of all floats.
template <class T, class Bits>
double steps_between(T a, T b) {
  if (std::isnan(a) && std::isnan(b)) return 0;
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<double>::infinity();
  const auto place = [](T v) {
    const auto bits = static_cast<std::make_signed_t<Bits>>(std::bit_cast<Bits>(v));
    return bits < 0 ? -static_cast<double>(bits & std::numeric_limits<std::make_signed_t<Bits>>::max())
                    : static_cast<double>(bits);
  };
  return std::fabs(place(a) - place(b));
}

struct Vector {
  uint64_t input, output;
  double ulp;
};

template <class T, class Bits>
void check_vectors(const std::vector<Vector>& vectors, Value (*function)(const Value&)) {
  std::vector<T> inputs;
  for (const Vector& v : vectors) inputs.push_back(std::bit_cast<T>(static_cast<Bits>(v.input)));
  const Shape shape{static_cast<int64_t>(inputs.size())};
  const Value x = parameter(dtype_of<T>(), shape);
  const std::vector<Literal> values{Literal::from(std::span<const T>(inputs), shape)};
  const Literal got = reference::evaluate(Graph({x}, {function(x)}), values)[0];
  for (size_t i = 0; i < vectors.size(); ++i) {
    const T want = std::bit_cast<T>(static_cast<Bits>(vectors[i].output)), have = got.values<T>()[i];
    const double steps = steps_between<T, Bits>(have, want);
    EXPECT_LE(steps, vectors[i].ulp) << "of " << inputs[i] << ": " << have << ", published " << want;
  }
}

void check_file(const std::string& name, Value (*function)(const Value&)) {
  const auto path = data_folder() / "math-vectors" / "numpy_umath" / ("umath-validation-set-" + name);
  std::ifstream file(path);
  if (!file) GTEST_SKIP() << "no " << path << "; set TRIREME_DATA to the folder that holds math-vectors";
  std::vector<Vector> narrow, wide;
  for (std::string line; std::getline(file, line);) {
    const auto parts = split(line, ',');
    if (parts.size() != 4 || !parts[0].starts_with("np.")) continue;
    const Vector vector{std::stoull(parts[1], nullptr, 16), std::stoull(parts[2], nullptr, 16), std::stod(parts[3])};
    (parts[0] == "np.float32" ? narrow : wide).push_back(vector);
  }
  ASSERT_GT(narrow.size() + wide.size(), 50u);
  check_vectors<float, uint32_t>(narrow, function);
  check_vectors<double, uint64_t>(wide, function);
}

TEST(Evaluator, SineAgreesWithNumpy) {
  check_file("sin", [](const Value& x) { return ops::sin(x); });
}
TEST(Evaluator, CosineAgreesWithNumpy) {
  check_file("cos", [](const Value& x) { return ops::cos(x); });
}
TEST(Evaluator, ExponentialAgreesWithNumpy) {
  check_file("exp", [](const Value& x) { return ops::exp(x); });
}
TEST(Evaluator, LogarithmAgreesWithNumpy) {
  check_file("log", [](const Value& x) { return ops::log(x); });
}

// --- control flow ----------------------------------------------------------------------------------------------------

TEST(Evaluator, Cond) {
  const Value s = parameter(f32, {2}), n = parameter(i32, {}), s2 = parameter(f32, {2}), n2 = parameter(i32, {});
  const Graph twice({s, n}, {s + s, n + 1.0}), square({s2, n2}, {ops::mul(s2, s2), n2 - 1.0});
  const Value p = parameter(boolean, {}), x = parameter(f32, {2}), k = parameter(i32, {});
  const Values out = ops::cond(p, {x, k}, twice, square);
  for (const bool taken : {true, false}) {
    const std::vector<Literal> inputs{Literal::filled(boolean, {}, taken), Literal::filled(f32, {2}, 3.0),
                                      Literal::filled(i32, {}, 10)};
    const auto got = reference::evaluate(Graph({p, x, k}, {out[0], out[1]}), inputs);
    EXPECT_EQ(got[0].at(1), taken ? 6.0 : 9.0);
    EXPECT_EQ(got[1].at(0), taken ? 11.0 : 9.0);
  }
}

TEST(Evaluator, WhileLoop) {
  // Collatz steps of 27: 111.
  const auto state = [] { return std::vector<Value>{parameter(i64, {}), parameter(i32, {})}; };
  const auto c = state(), b = state(), start = state();
  const Graph condition(c, {ops::compare(c[0], ops::scalar(i64, 1), "gt")});
  const Value odd = ops::compare(ops::rem(b[0], ops::scalar(i64, 2)), ops::scalar(i64, 1), "eq");
  const Value next = ops::select(odd, b[0] * 3.0 + 1.0, ops::div(b[0], ops::scalar(i64, 2)));
  const Graph body(b, {next, b[1] + 1.0});
  const Values out = ops::while_loop(start, condition, body);
  const std::vector<Literal> inputs{Literal::filled(i64, {}, 27), Literal::filled(i32, {}, 0)};
  const auto got = reference::evaluate(Graph(start, {out[0], out[1]}), inputs);
  EXPECT_EQ(got[0].at(0), 1.0);
  EXPECT_EQ(got[1].at(0), 111.0);
}

// --- rounding --------------------------------------------------------------------------------------------------------

TEST(Evaluator, KeepsDoubleBetweenNodes) {
  const Value x = parameter(f16, {});
  const std::vector<Literal> inputs{Literal::filled(f16, {}, 1.0)};
  // 1 + 2^-20 - 1 is lost in f16, kept between nodes, and rounded only where it is returned.
  const Graph graph({x}, {(x + 0x1p-20) - 1.0});
  EXPECT_EQ(reference::evaluate(graph, inputs)[0].at(0), 0x1p-20);
  EXPECT_EQ(reference::evaluate_rounded(graph, as_evaluated(inputs))[0].real[0], 0.0);
  EXPECT_EQ(reference::evaluate(Graph({x}, {x + 0x1p-20}), inputs)[0].at(0), 1.0);
  // A convert rounds: that is its meaning.
  const Value wide = parameter(f32, {});
  const std::vector<Literal> third{Literal::filled(f32, {}, 1.0 / 3.0)};
  const Graph narrowed({wide}, {ops::convert(ops::convert(wide, bf16), f32)});
  EXPECT_EQ(reference::evaluate(narrowed, third)[0].at(0), round_real(bf16, 1.0 / 3.0));
}

// A chip without erfc computes its decomposition in the type of x; the values are from tables.
TEST(Evaluator, ErfcKeepsItsTailIn16Bits) {
  for (const DType type : {bf16, f16}) {
    const Value x = parameter(type, {3});
    const Graph graph({x}, {decomposition_of(ops::erfc(x).node())[0]});
    const std::vector<double> given = {1.5390625, 2.09375, 2.71875};  // exact in both types, their squares in neither
    const std::vector<Literal> inputs = {Literal::from_doubles(type, {3}, given)};
    const auto y = reference::evaluate_rounded(graph, as_evaluated(inputs))[0].real;
    const double expected[] = {0.0295131837913, 0.00306632335205, 0.000120604992369};
    for (size_t i = 0; i < 3; ++i)
      EXPECT_NEAR(y[i] / expected[i], 1.0, 2 * unit_roundoff(type)) << name(type) << " " << given[i];
  }
}

TEST(Evaluator, PerturbationIsAFunctionOfTheSeed) {
  const Value x = parameter(f32, {10});
  const Graph graph({x}, {ops::exp(x)});
  const std::vector<Evaluated> inputs = as_evaluated({Literal::filled(f32, {10}, 0.5)});
  const auto truth = reference::evaluate_unrounded(graph, inputs)[0].real;
  const auto first = reference::evaluate_unrounded(graph, inputs, 1)[0].real;
  EXPECT_EQ(first, reference::evaluate_unrounded(graph, inputs, 1)[0].real);
  EXPECT_NE(first, reference::evaluate_unrounded(graph, inputs, 2)[0].real);
  for (size_t i = 0; i < truth.size(); ++i) {
    EXPECT_NE(first[i], truth[i]);
    EXPECT_NEAR(first[i], truth[i], 16 * 0x1p-24 * truth[i]);
  }
}

// --- bounds ----------------------------------------------------------------------------------------------------------

// A sum of `count` terms of both signs; what a chip may show grows with the terms, not with the result.
TEST(Accuracy, FollowsCancellation) {
  const Value x = parameter(f32, {1000});
  std::vector<double> values(1000);
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t pair = i / 2;
    values[i] = (i % 2 ? -1.0 : 1.0) * (1.0 + 1e-3 * static_cast<double>(pair));
  }
  const Graph graph({x}, {ops::reduce_sum(x)});
  const Literal literal = Literal::from_doubles(f32, {1000}, values);
  const auto expectation = reference::expect(graph, as_evaluated({literal}));
  EXPECT_NEAR(expectation.values[0].real[0], 0.0, 1e-3);
  float naive = 0;
  for (const float v : literal.values<float>()) naive += v;
  const double error = std::fabs(static_cast<double>(naive) - expectation.values[0].real[0]);
  EXPECT_LE(error, expectation.bounds[0].allowed[0]) << "an honest float sum is within the bound";
  EXPECT_LT(expectation.bounds[0].allowed[0], 1e-3) << "and the bound is not loose";
}

TEST(Accuracy, ExactOpsAllowNothing) {
  const Value x = parameter(f32, {3});
  const Graph copy({x}, {ops::neg(ops::max(x, x))});
  EXPECT_TRUE(reference::is_exact(copy));
  EXPECT_FALSE(reference::is_exact(Graph({x}, {ops::exp(x)})));
  EXPECT_FALSE(reference::is_exact(Graph({x}, {ops::sum(x)}))) << "composites are looked into";
  const auto expectation = reference::expect(copy, as_evaluated({Literal::filled(f32, {3}, 0.1)}));
  Literal off = Literal::filled(f32, {3}, -0.1);
  EXPECT_FALSE(reference::compare(expectation.values[0], expectation.bounds[0], off));
  off = Literal::filled(f32, {3}, std::nextafterf(-0.1f, 0.0f));
  EXPECT_TRUE(reference::compare(expectation.values[0], expectation.bounds[0], off));
}

TEST(Accuracy, FindsAWrongElement) {
  const Value x = parameter(f32, {4});
  const auto expectation = reference::expect(Graph({x}, {ops::exp(x)}), as_evaluated({Literal::filled(f32, {4}, 1.0)}));
  std::vector<double> values(4, std::exp(1.0));
  EXPECT_FALSE(
      reference::compare(expectation.values[0], expectation.bounds[0], Literal::from_doubles(f32, {4}, values)));
  values[1] *= 1 + 1e-4;
  values[2] *= 1 + 1e-5;
  const auto found =
      reference::compare(expectation.values[0], expectation.bounds[0], Literal::from_doubles(f32, {4}, values));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->index, 1);
  EXPECT_EQ(found->elements, 2);
  EXPECT_NE(found->text(4).find("element 1"), std::string::npos) << found->text(4);
}

TEST(Accuracy, NanAndInfinityMatchThemselves) {
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  const Value x = parameter(f16, {4});
  const auto expectation =
      reference::expect(Graph({x}, {ops::exp(x)}),
                        as_evaluated({Literal::from_doubles(f16, {4}, std::vector<double>{nan, infinity, 20, 1})}));
  const auto check = [&](std::vector<double> values) {
    return reference::compare(expectation.values[0], expectation.bounds[0], Literal::from_doubles(f16, {4}, values));
  };
  EXPECT_FALSE(check({nan, infinity, infinity, std::exp(1.0)})) << "exp(20) is too large for f16";
  EXPECT_TRUE(check({0, infinity, infinity, std::exp(1.0)}));
  EXPECT_TRUE(check({nan, -infinity, infinity, std::exp(1.0)}));
  EXPECT_TRUE(check({nan, 65504, infinity, std::exp(1.0)}));
  EXPECT_TRUE(check({nan, infinity, -infinity, std::exp(1.0)}));
  EXPECT_TRUE(check({nan, infinity, infinity, infinity}));
  EXPECT_TRUE(check({nan, infinity, infinity, nan}));
}

TEST(Accuracy, IntegersMayJumpOnlyWhereFloatsDo) {
  const Value x = parameter(f32, {2}), y = parameter(f32, {2});
  // exp(x) against its own rounded value: which is larger hangs on the last bit; against 100 it does not.
  const float e = std::exp(0.7f);
  const std::vector<Literal> inputs{Literal::filled(f32, {2}, 0.7f),
                                    Literal::from_doubles(f32, {2}, std::vector<double>{e, 100.0})};
  const auto expectation =
      reference::expect(Graph({x, y}, {ops::compare(ops::exp(x), y, "lt")}), as_evaluated(inputs), 16);
  const auto check = [&](double first, double second) {
    return reference::compare(expectation.values[0], expectation.bounds[0],
                              Literal::from_doubles(boolean, {2}, std::vector<double>{first, second}));
  };
  EXPECT_FALSE(check(0, 1));
  EXPECT_FALSE(check(1, 1));
  EXPECT_TRUE(check(1, 0));
}

}  // namespace
}  // namespace trireme
