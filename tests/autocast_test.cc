// Autocast: what becomes 16 bits and what stays f32, by the graph and by the numbers.
#include "trireme/passes/autocast.h"

#include <gtest/gtest.h>

#include <cmath>

#include "trireme/base/error.h"
#include "trireme/ir/op_decl.h"
#include "trireme/nn/layers.h"
#include "trireme/ops/ops.h"
#include "trireme/optim/optimizer.h"
#include "trireme/passes/gradient.h"
#include "trireme/reference/evaluator.h"

namespace trireme {
namespace {

Literal waves(const Shape& shape, double phase) {
  std::vector<double> values(static_cast<size_t>(shape.elements()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::sin(1.7 * static_cast<double>(i) + phase);
  return Literal::from_doubles(f32, shape, values);
}

// How often the graph narrows something that depends on `source` through views alone.
int narrowings_of(const Graph& graph, const Value& source) {
  int count = 0;
  for (const Node* node : graph.nodes()) {
    if (!node->is("convert") || node->outputs()[0].dtype != bf16) continue;
    Value at = node->inputs()[0];
    while (at.node().op().kind.value == Kind::kView) at = at.node().inputs()[0];
    count += at == source ? 1 : 0;
  }
  return count;
}

TEST(Autocast, NarrowsContractionsAndNothingElse) {
  const Value x = parameter(f32, {4, 6}), w = parameter(f32, {5, 6}), b = parameter(f32, {5});
  const Value y = ops::exp(ops::linear(ops::tanh(x), w, b));
  const Graph cast = passes::autocast(Graph({x, w, b}, {y}), bf16);
  verify(cast, "autocast");
  EXPECT_EQ(cast.inputs(), (std::vector<Value>{x, w, b}));
  EXPECT_EQ(cast.outputs()[0].type(), y.type());
  int contractions = 0;
  for (const Node* node : cast.nodes()) {
    const DType type = node->outputs()[0].dtype;
    if (node->op().kind.value == Kind::kContraction) {
      ++contractions;
      EXPECT_EQ(type, bf16);
    } else if (!node->is("convert")) {
      EXPECT_EQ(type, f32) << node->name();
    }
  }
  EXPECT_EQ(contractions, 1);
}

TEST(Autocast, NarrowsEachValueOnceForwardAndBackward) {
  const Value x = parameter(f32, {8, 6}), w1 = parameter(f32, {5, 6}), w2 = parameter(f32, {3, 5});
  const Value hidden = ops::linear(x, w1), loss = ops::sum(ops::square(ops::linear(ops::relu(hidden), w2)));
  const auto gradients = passes::gradient({loss}, {w1, w2});
  std::vector<Value> outputs = {loss};
  for (const Value& g : gradients) outputs.push_back(g);
  const Graph cast = passes::autocast(Graph({x, w1, w2}, outputs), bf16);
  verify(cast, "autocast");
  int contractions = 0;
  for (const Node* node : cast.nodes()) {
    if (node->op().kind.value != Kind::kContraction) continue;
    ++contractions;
    for (const Value& v : node->inputs()) EXPECT_TRUE(!v || v.dtype() == bf16) << node->name();
  }
  EXPECT_GE(contractions, 5);  // two forward; dw2, dh and dw1 backward
  for (const Value& v : {x, w1, w2}) EXPECT_EQ(narrowings_of(cast, v), 1);
  for (const Value& v : cast.outputs()) EXPECT_EQ(v.dtype(), f32);
}

TEST(Autocast, IsTheSameAsConvertingByHand) {
  const Tensor x(waves({7, 33}, 0.1)), w(waves({33, 9}, 0.7));
  auto cast = compile([](const Tensor& a, const Tensor& b) { return matmul(a, b) + 1; }, {.autocast = bf16});
  const Tensor by_hand = convert(matmul(convert(x, bf16), convert(w, bf16)), f32) + 1;
  EXPECT_TRUE(cast(x, w).literal().same_bytes(by_hand.literal()));
  EXPECT_FALSE((matmul(x, w) + 1).literal().same_bytes(by_hand.literal()));  // else nothing was narrowed
}

TEST(Autocast, SumsInF32) {
  // In bf16 a sum of ones stays at 256; 4096 fits.
  const Tensor x(Literal::filled(f32, {1, 4096}, 1.0)), w(Literal::filled(f32, {4096, 1}, 1.0));
  auto cast = compile([](const Tensor& a, const Tensor& b) { return matmul(a, b); }, {.autocast = bf16});
  EXPECT_EQ(cast(x, w).item(), 4096.0);
}

TEST(Autocast, LeavesTheMaskOfAttentionAndOtherTypes) {
  const Value q = parameter(f32, {1, 2, 3, 4}), mask = parameter(f32, {3, 3}), wide = parameter(f64, {2, 2});
  const Graph cast =
      passes::autocast(Graph({q, mask, wide}, {ops::attention(q, q, q, mask), ops::matmul(wide, wide)}), f16);
  verify(cast, "autocast");
  const Node& attention = cast.outputs()[0].node().inputs()[0].node();
  ASSERT_TRUE(attention.is("attention"));
  EXPECT_EQ(attention.inputs()[0].dtype(), f16);
  EXPECT_EQ(attention.inputs()[3].dtype(), f32);
  EXPECT_EQ(cast.outputs()[1].node().inputs()[0].dtype(), f64);
}

TEST(Autocast, NarrowsASliceAndNotItsSource) {
  const Value table = parameter(f32, {1000, 8}), w = parameter(f32, {8, 2});
  const Value rows = ops::slice(table, {3, 0}, {5, 8}, {1, 1});
  const Graph cast = passes::autocast(Graph({table, w}, {ops::matmul(rows, w)}), bf16);
  for (const Node* node : cast.nodes()) {
    if (node->is("convert")) {
      EXPECT_LE(node->outputs()[0].shape.elements(), 16);
    }
  }
}

TEST(Autocast, ReachesIntoControlFlow) {
  const Value flag = parameter(boolean, {}), x = parameter(f32, {2, 2}), inner = parameter(f32, {2, 2});
  const Graph yes({inner}, {ops::matmul(inner, inner)}), no({inner}, {inner});
  const Value y = ops::cond(flag, {x}, yes, no)[0];
  const Graph cast = passes::autocast(Graph({flag, x}, {y}), bf16);
  verify(cast, "autocast");
  const Graph& branch = OpView(cast.outputs()[0].node()).graph("then_graph");
  EXPECT_EQ(branch.outputs()[0].node().inputs()[0].dtype(), bf16);
}

TEST(Autocast, RefusesOtherTypes) {
  const Value x = parameter(f32, {2, 2});
  EXPECT_THROW(passes::autocast(Graph({x}, {x}), f64), Error);
}

struct Net {
  nn::Linear first{2, 16}, second{16, 1};
  Tensor operator()(const Tensor& x) { return second(tanh(first(x))); }
  template <class V>
  void each(V& v) {
    v("first", first), v("second", second);
  }
};

// Least squares of a smooth function; the last loss.
double train(DType type, DType* weights = nullptr) {
  seed(3);
  Net net;
  optim::Optimizer optimizer(optim::Method::kAdamW, nn::state_of(net), {.learning_rate = 0.02});
  auto step = compile(
      [&](const Tensor& x, const Tensor& y) {
        const Tensor loss = mean(square(net(x) - y));
        optimizer.step(grad(loss, optimizer.parameters()));
        return loss;
      },
      {.autocast = type});
  const Tensor x(waves({64, 2}, 0.3)), y = tanh(sum(x, {1}, true) * 2);
  double loss = 0.0;
  for (int i = 0; i < 150; ++i) loss = step(x, y).item();
  if (weights != nullptr) *weights = net.first.weight.dtype();
  return loss;
}

TEST(Autocast, TrainsWithMasterWeights) {
  DType weights = f64;
  const double exact = train(f32), narrow = train(bf16, &weights);
  EXPECT_EQ(weights, f32);
  EXPECT_LT(exact, 0.01);
  EXPECT_LT(narrow, 0.01);
  EXPECT_NE(exact, narrow);
}

}  // namespace
}  // namespace trireme
