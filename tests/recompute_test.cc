// Recompute: the same bits with less memory.
#include "trireme/passes/recompute.h"

#include <gtest/gtest.h>

#include <cmath>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/ir/text.h"
#include "trireme/nn/layers.h"
#include "trireme/ops/ops.h"
#include "trireme/optim/optimizer.h"
#include "trireme/reference/evaluator.h"

namespace trireme {
namespace {

constexpr int64_t kWidth = 64, kRows = 256;

// Two linear layers with a batch norm (assigns variables) and dropout (draws a key): an activation is kRows x kWidth.
struct Part {
  nn::Linear up{kWidth, 4 * kWidth}, down{4 * kWidth, kWidth};
  nn::BatchNorm norm{4 * kWidth};
  nn::Dropout dropout{0.2};
  Tensor operator()(const Tensor& x) { return x + down(dropout(gelu(norm(up(x)), "tanh"))); }
  template <class V>
  void each(V& v) {
    v("up", up), v("down", down), v("norm", norm);
  }
};

struct Stack {
  std::vector<Part> parts{8};
  bool recompute = false;
  Tensor operator()(Tensor x) {
    for (Part& part : parts) {
      const auto run = [&](const Tensor& in) { return part(in); };
      x = recompute ? checkpointed(run)(x) : run(x);
    }
    return x;
  }
  template <class V>
  void each(V& v) {
    v("parts", parts);
  }
};

struct Outcome {
  std::vector<Literal> values;  // losses, then parameters and running statistics
  uint64_t arena = 0;
};

template <class Net>
Outcome train(Net& net, const Tensor& x, const optim::Options& options, const CompileOptions& compiled = {}) {
  optim::Optimizer optimizer(optim::Method::kAdamW, nn::state_of(net), options);
  auto step = compile(
      [&](const Tensor& in) {
        const nn::TrainingMode training(true);
        const Tensor loss = mean(square(net(in)));
        optimizer.step(grad(loss, optimizer.parameters()));
        return loss;
      },
      compiled);
  Outcome out;
  for (int i = 0; i < 3; ++i) out.values.push_back(step(x).literal());
  for (const auto& each : nn::state_of(net)) out.values.push_back(each.tensor.literal());
  out.values.push_back(generator_state().literal());
  out.arena = step.engine()->ledger().arena_bytes;
  return out;
}

Outcome train_stack(bool recompute, const optim::Options& options = {}, const CompileOptions& compiled = {}) {
  seed(5);
  Stack stack;
  stack.recompute = recompute;
  const Tensor x = normal(next_key(), {kRows, kWidth});
  return train(stack, x, options, compiled);
}

void expect_same(const Outcome& a, const Outcome& b) {
  ASSERT_EQ(a.values.size(), b.values.size());
  for (size_t i = 0; i < a.values.size(); ++i) EXPECT_TRUE(a.values[i].same_bytes(b.values[i])) << "value " << i;
}

TEST(Recompute, SameBitsInLessMemory) {
  const Outcome kept = train_stack(false), again = train_stack(true);
  expect_same(kept, again);
  RecordProperty("bytes_kept", cat(kept.arena));
  RecordProperty("bytes_again", cat(again.arena));
  // Kept: several values of kRows x 4 kWidth in each of 8 parts; again: those of one part, and one of kRows x kWidth
  // each.
  EXPECT_LT(again.arena, kept.arena / 3) << again.arena << " of " << kept.arena;
}

TEST(Recompute, AlsoWhenGradientsAreClippedTogether) {
  const optim::Options options{.clip_norm = 0.1};
  const Outcome kept = train_stack(false, options), again = train_stack(true, options);
  expect_same(kept, again);
  EXPECT_LT(again.arena, kept.arena / 2) << again.arena << " of " << kept.arena;
}

TEST(Recompute, GoesWithAutocast) {
  const CompileOptions narrow{.autocast = bf16};
  const Outcome kept = train_stack(false, {}, narrow), again = train_stack(true, {}, narrow);
  expect_same(kept, again);
  EXPECT_LT(again.arena, kept.arena / 2) << again.arena << " of " << kept.arena;
}

struct Transformer {
  struct Block {
    nn::LayerNorm norm{32};
    nn::Attention attention{32, 4, true};
    nn::Linear up{32, 128}, down{128, 32};
    nn::Dropout dropout{0.1};
    Tensor operator()(const Tensor& x) {
      const Tensor y = x + dropout(attention(norm(x)));
      return y + dropout(down(gelu(up(y), "tanh")));
    }
    template <class V>
    void each(V& v) {
      v("norm", norm), v("attention", attention), v("up", up), v("down", down);
    }
  };
  std::vector<Block> blocks{6};
  int inner = 0;  // 1: each block is a segment; 2: pairs of such blocks are segments too
  Tensor operator()(Tensor x) {
    const auto one = [&](size_t i) {
      const auto run = [this, i](const Tensor& in) { return blocks[i](in); };
      return [this, run](const Tensor& in) { return inner > 0 ? checkpointed(run)(in) : run(in); };
    };
    for (size_t i = 0; i < blocks.size(); i += 2) {
      const auto pair = [&](const Tensor& in) { return one(i + 1)(one(i)(in)); };
      x = inner > 1 ? checkpointed(pair)(x) : pair(x);
    }
    return x;
  }
  template <class V>
  void each(V& v) {
    v("blocks", blocks);
  }
};

Outcome train_transformer(int inner) {
  seed(6);
  Transformer net;
  net.inner = inner;
  const Tensor x = normal(next_key(), {4, 48, 32});
  return train(net, x, {});
}

TEST(Recompute, TransformersAndSegmentsWithinSegments) {
  const Outcome kept = train_transformer(0), again = train_transformer(1), nested = train_transformer(2);
  expect_same(kept, again);
  expect_same(kept, nested);
  RecordProperty("bytes_kept", cat(kept.arena));
  RecordProperty("bytes_again", cat(again.arena));
  RecordProperty("bytes_nested", cat(nested.arena));
  EXPECT_LT(again.arena, kept.arena / 2) << again.arena << " of " << kept.arena;
  EXPECT_LT(nested.arena, kept.arena / 2) << nested.arena << " of " << kept.arena;
}

TEST(Recompute, SecondDerivatives) {
  const auto cube = [](const Tensor& a) { return a * a * a; };
  auto second = compile([&](const Tensor& a) {
    const Tensor first = grad(sum(checkpointed(cube)(a)), {a})[0];
    return grad(sum(first), {a})[0];
  });
  EXPECT_EQ(second(tensor({1, 2, -3})).literal().to_doubles(), (std::vector<double>{6, 12, -18}));
}

TEST(Recompute, SeveralArgumentsAndResultsOfAnyType) {
  const auto f = [](const Tensor& a, const Tensor& b) -> std::vector<Tensor> {
    return {a * exp(b), argmax(a + b, 0), Tensor(2.0)};
  };
  auto whole = compile([&](const Tensor& a, const Tensor& b) -> std::vector<Tensor> {
    const auto parts = checkpointed(f)(a, b);
    const auto g = grad(sum(parts[0] * parts[2]), {a, b});
    return {parts[1], g[0], g[1]};
  });
  const auto out = whole(tensor({1, 2}), tensor({0, 0}));
  EXPECT_EQ(out[0].item(), 1);
  EXPECT_EQ(out[1].literal().to_doubles(), (std::vector<double>{2, 2}));
  EXPECT_EQ(out[2].literal().to_doubles(), (std::vector<double>{2, 4}));
}

TEST(Recompute, ASegmentMeansItsBody) {
  const Value x = parameter(f32, {3}), inner = parameter(f32, {3}), again = parameter(f32, {3}),
              dy = parameter(f32, {3});
  const Graph body({inner}, {ops::exp(inner)}), backward({again, dy}, {ops::mul(ops::exp(again), dy)});
  const Graph graph({x}, {ops::segment({x}, body, backward, 1)[0]});
  const Literal in = Literal::from_doubles(f32, {3}, std::vector<double>{0, 1, -2});
  const std::vector<Literal> inputs{in};
  const auto plain = reference::evaluate(Graph({x}, {ops::exp(x)}), inputs);
  EXPECT_TRUE(reference::evaluate(graph, inputs)[0].same_bytes(plain[0]));
  EXPECT_TRUE(same_structure(passes::recompute(graph), Graph({x}, {ops::exp(x)})));
  EXPECT_TRUE(same_structure(parse_graph(print(graph)), graph));
  EXPECT_TRUE(run(graph, {Tensor(in)})[0].literal().same_bytes(exp(Tensor(in)).literal()));
}

TEST(Recompute, OutsideACompiledFunctionItIsTheFunction) {
  const auto f = checkpointed([](const Tensor& a) { return a + 1; });
  EXPECT_EQ(f(tensor({1})).item(), 2);
  EXPECT_THROW(compile([&](const Tensor& a) { return f(Tensor()) + a; })(tensor({1})), Error);
}

}  // namespace
}  // namespace trireme
