// The gradient pass: random graphs against finite differences, and its rules one by one.
#include "trireme/passes/gradient.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "trireme/base/strings.h"
#include "trireme/ir/graph.h"
#include "trireme/ir/op_decl.h"
#include "trireme/ir/registry.h"
#include "trireme/ops/ops.h"
#include "trireme/ops/value.h"
#include "trireme/reference/evaluator.h"

namespace trireme {
namespace {

using ::testing::HasSubstr;

double value_at(const Value& y, const std::vector<Value>& x, const std::vector<double>& at) {
  std::vector<Literal> inputs;
  for (size_t i = 0; i < x.size(); ++i) inputs.push_back(Literal::filled(x[i].dtype(), x[i].shape(), at[i]));
  return reference::evaluate(Graph(x, {y}), inputs)[0].at(0);
}

// Random expressions over smooth ops with shared subexpressions, reductions, views and products.
class RandomGraph {
 public:
  explicit RandomGraph(uint32_t seed) : random_(seed) {}

  Value build(const std::vector<Value>& leaves, int steps) {
    std::vector<Value> pool = leaves;
    for (int i = 0; i < steps; ++i) {
      const Value& a = pool[pick(pool.size())];
      const Value& b = pool[pick(pool.size())];
      pool.push_back(apply(a, b));
    }
    Value sum;
    for (const Value& v : pool) {
      const Value part = ops::reduce_sum(ops::sin(v));
      sum = sum ? sum + part : part;
    }
    return sum;
  }

 private:
  size_t pick(size_t count) { return std::uniform_int_distribution<size_t>(0, count - 1)(random_); }

  // All values are [3, 3], so that any two fit.
  Value apply(const Value& a, const Value& b) {
    switch (pick(11)) {
      case 0: return ops::tanh(a);
      case 1: return ops::sin(a) * b;
      case 2: return a + ops::cos(b);
      case 3: return a / (2.0 + ops::sin(b));
      case 4: return ops::transpose(a, {1, 0}) - b;
      case 5: return ops::matmul(ops::tanh(a), ops::sin(b));
      case 6: return ops::broadcast_to(ops::reduce_sum(ops::sin(a), {0}, true), {3, 3}) * 0.5;
      case 7: return ops::exp(ops::sin(a));
      case 8: return ops::reshape(ops::slice(ops::concat({a, b}, 0), {1, 0}, {4, 3}, {1, 1}), {3, 3});
      case 9: return ops::reverse(a, {1}) * a;
      default: return ops::rsqrt(1.5 + ops::sin(a));
    }
  }

  std::mt19937 random_;
};

TEST(Gradient, RandomGraphsAgreeWithDifferences) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> uniform(-1.5, 1.5);
    const std::vector<Value> x{parameter(f64, {3, 3}), parameter(f64, {3, 3})};
    const Value y = RandomGraph(seed).build(x, 3 + static_cast<int>(seed % 12));
    const auto gradients = passes::gradient({y}, x);
    std::vector<std::vector<double>> at(2, std::vector<double>(9));
    for (auto& values : at) {
      for (double& v : values) v = uniform(random);
    }
    const auto run = [&](const std::vector<Value>& outputs) {
      std::vector<Literal> inputs;
      for (const auto& values : at) inputs.push_back(Literal::from_doubles(f64, {3, 3}, values));
      return reference::evaluate(Graph(x, outputs), inputs);
    };
    const auto exact = run(gradients);
    for (size_t i = 0; i < 2; ++i) {
      for (size_t k = 0; k < 9; ++k) {
        const double start = at[i][k], h = 0x1p-13;
        const auto loss = [&](double t) {
          at[i][k] = start + t;
          const double out = run({y})[0].at(0);
          at[i][k] = start;
          return out;
        };
        const double wide = (loss(h) - loss(-h)) / (2 * h), narrow = (loss(h / 2) - loss(-h / 2)) / h;
        const double slope = (4 * narrow - wide) / 3, given = exact[i].at(static_cast<int64_t>(k));
        EXPECT_NEAR(given, slope, 1e-6 * (1.0 + std::fabs(slope)))
            << "seed " << seed << ", input " << i << "[" << k << "]";
      }
    }
  }
}

TEST(Gradient, HigherDerivativesOfAPolynomial) {
  const Value x = parameter(f64, {});
  Value y = x * x * x * x;
  const double at = 1.7;
  for (const double want : {4 * at * at * at, 12 * at * at, 24 * at, 24.0, 0.0}) {
    y = passes::gradient({y}, {x})[0];
    EXPECT_NEAR(value_at(y, {x}, {at}), want, 1e-12);
  }
}

TEST(Gradient, SeedsScaleAndSum) {
  const Value x = parameter(f64, {}), s = parameter(f64, {}), t = parameter(f64, {});
  const Value dx = passes::gradient({x * x, ops::exp(x)}, {x}, {s, t})[0];
  EXPECT_NEAR(value_at(dx, {x, s, t}, {0.5, 3.0, -2.0}), 3.0 * 2 * 0.5 - 2.0 * std::exp(0.5), 1e-12);
  const Value ones = passes::gradient({x * x, ops::exp(x)}, {x}, {Value{}, t})[0];
  EXPECT_NEAR(value_at(ones, {x, t}, {0.5, -2.0}), 2 * 0.5 - 2.0 * std::exp(0.5), 1e-12);
}

TEST(Gradient, OfTheSameOutputTwiceCountsTwice) {
  const Value x = parameter(f64, {});
  const Value y = x * x;
  EXPECT_NEAR(value_at(passes::gradient({y, y}, {x})[0], {x}, {3.0}), 12.0, 1e-12);
}

TEST(Gradient, OfWhatDoesNotDependIsZero) {
  const Value x = parameter(f64, {}), y = parameter(f64, {2});
  const auto out = passes::gradient({x * x}, {y, x});
  EXPECT_EQ(out[0].type(), y.type());
  EXPECT_EQ(value_at(out[0], {x, y}, {1.0, 1.0}), 0.0);
}

TEST(Gradient, WithRespectToIntermediateValues) {
  const Value x = parameter(f64, {});
  const Value a = ops::sin(x), y = a * a * x;
  const auto out = passes::gradient({y}, {a, x, y});
  const double s = std::sin(0.7);
  EXPECT_NEAR(value_at(out[0], {x}, {0.7}), 2 * s * 0.7, 1e-12);
  EXPECT_NEAR(value_at(out[1], {x}, {0.7}), s * s + 2 * s * std::cos(0.7) * 0.7, 1e-12) << "through a as well";
  EXPECT_EQ(value_at(out[2], {x}, {0.7}), 1.0);
}

TEST(Gradient, OneOutputOfSeveral) {
  const Value x = parameter(f64, {4});
  const Values top = ops::top_k(x, 2);
  const auto dx = passes::gradient({ops::reduce_sum(top[0] * top[0])}, {x})[0];
  const std::vector<Literal> inputs{Literal::from_doubles(f64, {4}, std::vector<double>{1, 7, -3, 5})};
  EXPECT_EQ(reference::evaluate(Graph({x}, {dx}), inputs)[0].to_doubles(), (std::vector<double>{0, 14, 0, 10}));
}

// A composite whose inputs are one and the same value, or depend on each other.
TEST(Gradient, CompositesOfRepeatedInputs) {
  const Value x = parameter(f64, {2, 2});
  const std::vector<double> values{0.3, -0.7, 1.1, 0.5};
  const auto check = [&](const Value& y) {
    const Value loss = ops::reduce_sum(y);
    const Value dx = passes::gradient({loss}, {x})[0];
    const auto run = [&](const Value& v, const std::vector<double>& at) {
      const std::vector<Literal> inputs{Literal::from_doubles(f64, {2, 2}, at)};
      return reference::evaluate(Graph({x}, {v}), inputs)[0];
    };
    for (size_t k = 0; k < 4; ++k) {
      auto up = values, down = values;
      up[k] += 1e-5;
      down[k] -= 1e-5;
      const double slope = (run(loss, up).at(0) - run(loss, down).at(0)) / 2e-5;
      EXPECT_NEAR(run(dx, values).at(static_cast<int64_t>(k)), slope, 1e-8) << y.node().name() << " " << k;
    }
  };
  check(ops::matmul(x, x));
  check(ops::matmul(x, ops::sin(x)));
  check(ops::matmul(ops::matmul(x, x), x));
}

TEST(Gradient, MistakesAreNamed) {
  const Value n = parameter(i32, {2}), x = parameter(f32, {2});
  try {
    passes::gradient({x}, {n});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("i32[2]"));
  }
  // Every op without a gradient that can stand between floats names itself and its reason.
  const OpDecl* blocked = nullptr;
  for (const OpDecl* op : all_ops()) {
    const auto& inputs = op->inputs.list;
    if (op->gradient.way != Gradient::Way::kNone || inputs.size() != 1 || !inputs[0].types.has(f32)) continue;
    if (!op->attributes.list.empty()) continue;
    const Value y = make_node(*op, {x}, {});
    if (!is_float(y.dtype())) continue;
    blocked = op;
    try {
      passes::gradient({y}, {x});
      ADD_FAILURE() << op->id() << " has no gradient and none was missed";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kUnsupported);
      EXPECT_THAT(error.what(), HasSubstr(std::string(op->id())));
      EXPECT_THAT(error.what(), HasSubstr(std::string(op->gradient.reason)));
    }
  }
  (void)blocked;
}

TEST(Gradient, IntegerPathsCarryNone) {
  const Value x = parameter(f64, {4}), n = parameter(i32, {4});
  const Value y = ops::reduce_sum(x * ops::convert(ops::convert(x, i32) + n, f64));
  const auto dx = passes::gradient({y}, {x})[0];
  const std::vector<Literal> inputs{Literal::filled(f64, {4}, 2.5), Literal::filled(i32, {4}, 3)};
  EXPECT_EQ(reference::evaluate(Graph({x, n}, {dx}), inputs)[0].at(0), 5.0) << "only the factor, not the steps";
}

TEST(Gradient, LongChains) {
  const Value x = parameter(f64, {});
  Value y = x;
  for (int i = 0; i < 20000; ++i) y = ops::neg(y);
  EXPECT_EQ(value_at(passes::gradient({y}, {x})[0], {x}, {1.0}), 1.0);
}

}  // namespace
}  // namespace trireme
