// Nodes: hash-consing (also under threads), lifetime, coercion, source lines; graphs: order, rewriting, the verifier.
#include "trireme/ir/node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <thread>

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

TEST(Node, SameContentIsTheSameNode) {
  const Value x = parameter(f32, {2, 3}), y = parameter(f32, {2, 3});
  EXPECT_EQ(ops::add(x, y), ops::add(x, y));
  EXPECT_FALSE(ops::add(x, y) == ops::add(y, x));
  EXPECT_FALSE(ops::add(x, y) == ops::mul(x, y));
  EXPECT_EQ(ops::reduce_sum(x, {1}, false), ops::reduce_sum(x, {1}, false));
  EXPECT_FALSE(ops::reduce_sum(x, {1}, false) == ops::reduce_sum(x, {1}, true));
  EXPECT_FALSE(x == y) << "two parameters are never the same";
  // Literals by content, bit by bit: -0.0 is not 0.0, nan is nan.
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(ops::scalar(f32, 1.5), ops::scalar(f32, 1.5));
  EXPECT_FALSE(ops::scalar(f32, 1.5) == ops::scalar(f64, 1.5));
  EXPECT_FALSE(ops::scalar(f32, 0.0) == ops::scalar(f32, -0.0));
  EXPECT_EQ(ops::scalar(f32, nan), ops::scalar(f32, nan));
  EXPECT_EQ(ops::fill({2}, f32, nan), ops::fill({2}, f32, nan));
  EXPECT_FALSE(ops::fill({2}, f32, 0.0) == ops::fill({2}, f32, -0.0));
}

TEST(Node, LivesAsLongAsItsValues) {
  const size_t before = live_nodes();
  {
    const Value x = parameter(f32, {2});
    Value y = ops::add(x, x);
    EXPECT_EQ(live_nodes(), before + 2);
    const Value copy = y;
    y = Value{};
    EXPECT_EQ(live_nodes(), before + 2);
    Value moved = copy;
    const Value taken = std::move(moved);
    EXPECT_EQ(taken, copy);
    for (int i = 0; i < 100; ++i) ops::mul(y ? y : x, ops::scalar(f32, i));
    EXPECT_EQ(live_nodes(), before + 2) << "temporaries are gone";
  }
  EXPECT_EQ(live_nodes(), before);
}

TEST(Node, RefusedNodesLeaveNothing) {
  const size_t before = live_nodes();
  {
    const Value x = parameter(f32, {2}), y = parameter(f32, {3});
    for (int i = 0; i < 10; ++i) EXPECT_THROW(ops::add(x, y), Error);
    EXPECT_EQ(live_nodes(), before + 2);
  }
  EXPECT_EQ(live_nodes(), before);
}

// Threads build and drop the same nodes at once: each must see one node for one content, and nothing may stay.
TEST(Node, FourThreadsShareNodes) {
  const size_t before = live_nodes();
  {
    const Value x = parameter(f32, {4});
    std::atomic<int> differing{0};
    const auto work = [&](int thread) {
      for (int round = 0; round < 3000; ++round) {
        const Value a = ops::add(x, ops::scalar(f32, round % 7));
        const Value b = ops::mul(a, ops::scalar(f32, (round + thread) % 5));
        const Value again = ops::add(x, ops::scalar(f32, round % 7));
        differing += !(a == again);
        const Value c = ops::mul(again, ops::scalar(f32, (round + thread) % 5));
        differing += !(b == c);
      }
    };
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) threads.emplace_back(work, t);
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(differing, 0);
    EXPECT_EQ(live_nodes(), before + 1);
  }
  EXPECT_EQ(live_nodes(), before);
}

// All threads make one new node at the same moment, many times: the losers' copies must vanish without harm.
TEST(Node, ThreadsRacingForOneNode) {
  constexpr int kThreads = 4, kRounds = 500;
  const Value x = parameter(f32, {4});
  std::vector<std::vector<Value>> made(kThreads, std::vector<Value>(kRounds));
  std::atomic<int> arrived{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < kRounds; ++round) {
        ++arrived;
        while (arrived < kThreads * (round + 1)) std::this_thread::yield();
        made[static_cast<size_t>(t)][static_cast<size_t>(round)] = ops::mul(x, ops::scalar(f32, round));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (int t = 1; t < kThreads; ++t) EXPECT_EQ(made[static_cast<size_t>(t)], made[0]);
}

TEST(Node, DeepChains) {
  const size_t before = live_nodes();
  {
    const Value x = parameter(f32, {1});
    Value y = x;
    for (int i = 0; i < 100000; ++i) y = ops::neg(y);
    const Graph graph({x}, {y});
    EXPECT_EQ(graph.nodes().size(), 100001u);
    const Value z = parameter(f32, {1});
    Rewriter rewrite;
    rewrite.replace(x, z);
    const Value image = rewrite(y);
    EXPECT_FALSE(image == y);
    EXPECT_EQ(Graph({z}, {image}).structural_hash(), graph.structural_hash());
    const std::vector<Literal> inputs{Literal::filled(f32, {1}, 3.0)};
    EXPECT_EQ(reference::evaluate(graph, inputs)[0].at(0), 3.0);
    verify(graph, "building");
  }
  EXPECT_EQ(live_nodes(), before) << "and destroying it overflows no stack";
}

TEST(Node, CoercionPromotesAndBroadcasts) {
  const Value x = parameter(bf16, {2, 1}), y = parameter(f16, {3}), n = parameter(i32, {3});
  const Value sum = ops::add(x, y);
  EXPECT_EQ(sum.type(), (TensorType{f32, {2, 3}}));
  EXPECT_EQ(ops::add(n, x).type(), (TensorType{bf16, {2, 3}}));
  EXPECT_EQ(ops::add(x, x).node().inputs()[0], x) << "nothing to do, nothing inserted";
  EXPECT_THROW(make_node(get_op("add"), {x, y}, {}), Error) << "a node itself is exact";
  EXPECT_EQ((x + 1.0).dtype(), bf16) << "a plain number does not widen";
}

TEST(Node, SourceIsTheOutermostLine) {
  const Value x = parameter(f32, {7});
  Value y;
  {
    const SourceScope user("model.cc", 12);
    const SourceScope inner("library.cc", 99);
    y = ops::exp(x);
  }
  EXPECT_EQ(y.node().source().text(), "model.cc:12");
  EXPECT_EQ(ops::log(x).node().source().text(), "unknown line");
  const SourceScope other("other.cc", 1);
  EXPECT_EQ(ops::exp(x), y) << "the line is no part of a node's identity";
}

TEST(Graph, OrderPutsProducersFirst) {
  const Value x = parameter(f32, {2}), y = parameter(f32, {2});
  const Value a = x * y, b = a + x, c = b * a;
  const auto order = Graph({x, y}, {c, a}).nodes();
  ASSERT_EQ(order.size(), 5u);
  EXPECT_EQ(order[0], &x.node());
  EXPECT_EQ(order[1], &y.node());
  for (size_t i = 0; i < order.size(); ++i) {
    for (const Value& v : order[i]->inputs()) {
      EXPECT_LT(std::find(order.begin(), order.end(), &v.node()) - order.begin(), static_cast<std::ptrdiff_t>(i));
    }
  }
}

TEST(Graph, StructureIgnoresHowParametersAreNumbered) {
  const auto build = [](bool swapped, double factor) {
    const Value x = parameter(f32, {2}), y = parameter(f32, {2});
    return Graph({x, y}, {swapped ? (y - x) * factor : (x - y) * factor});
  };
  EXPECT_EQ(build(false, 2).structural_hash(), build(false, 2).structural_hash());
  EXPECT_TRUE(same_structure(build(false, 2), build(false, 2)));
  EXPECT_FALSE(same_structure(build(false, 2), build(true, 2)));
  EXPECT_FALSE(same_structure(build(false, 2), build(false, 3)));
  EXPECT_NE(build(false, 2).structural_hash(), build(true, 2).structural_hash());
  EXPECT_NE(build(false, 2).structural_hash(), build(false, 3).structural_hash());
}

TEST(Rewriter, KeepsWhatDoesNotChange) {
  const Value x = parameter(f32, {2}), y = parameter(f32, {2}), z = parameter(f32, {2});
  const Value untouched = ops::exp(y), changed = ops::log(x) + untouched;
  Rewriter rewrite;
  rewrite.replace(x, z);
  EXPECT_EQ(rewrite(untouched), untouched);
  EXPECT_EQ(rewrite(changed), ops::log(z) + untouched);
}

TEST(Rewriter, ReplacesOneOutputOfSeveral) {
  const Value x = parameter(f32, {5}), z = parameter(f32, {2}), w = parameter(f32, {5});
  const Values top = ops::top_k(x, 2);
  ASSERT_EQ(top.size(), 2u);
  Rewriter rewrite;
  rewrite.replace(top[0], z);
  const Value both = top[0] + ops::convert(top[1], f32);
  EXPECT_EQ(rewrite(both), z + ops::convert(top[1], f32)) << "the other output stays";
  Rewriter deeper;
  deeper.replace(top[0], z);
  deeper.replace(x, w);
  EXPECT_EQ(deeper(both), z + ops::convert(ops::top_k(w, 2)[1], f32));
}

TEST(Verify, RefusesIllegalGraphs) {
  const Value x = parameter(f32, {2}), y = parameter(f32, {2});
  const auto refused = [](const Graph& graph, const char* what) {
    try {
      verify(graph, "test");
      ADD_FAILURE() << "accepted: " << what;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInternal);
      EXPECT_THAT(error.what(), HasSubstr("after test"));
      EXPECT_THAT(error.what(), HasSubstr(what));
    }
  };
  verify(Graph({x, y}, {x + y}), "test");
  verify(Graph({x, y}, {x}), "test");
  refused(Graph({x}, {x + y}), "no input");
  refused(Graph({x, x}, {x}), "twice");
  refused(Graph({x + y}, {x}), "not a parameter");
  refused(Graph({x}, {Value{}}), "empty");
  refused(Graph({x, y}, {x}, {"a", "a"}), "'a'");
  refused(Graph({x, y}, {x}, {"a"}), "number");
}

TEST(Graph, InliningReplacesTheParameters) {
  const Value x = parameter(f32, {2}), y = parameter(f32, {2});
  const Graph graph({x, y}, {x * y, x});
  const Value a = parameter(f32, {2});
  const Values out = inline_graph(graph, {a, a + 1.0});
  EXPECT_EQ(out[0], a * (a + 1.0));
  EXPECT_EQ(out[1], a);
}

}  // namespace
}  // namespace trireme
