// nn::FusedTransformerLayer: the layer it is made from, whole and position by position, on the CPU and on the xpu,
// where it is one launch.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "trireme/base/error.h"
#include "trireme/nn/layers.h"
#include "trireme/runtime/ledger.h"

namespace trireme {
namespace {

constexpr int64_t kTime = 6, kFeatures = 16, kHeads = 2;

struct Parts {
  nn::LayerNorm first{kFeatures}, second{kFeatures};
  nn::Attention attention;
  nn::Linear up{kFeatures, 4 * kFeatures}, down{4 * kFeatures, kFeatures};
  explicit Parts(bool causal, int64_t key_heads = 0, bool rotary = false)
      : attention(kFeatures, kHeads, causal, key_heads, rotary) {
    first.weight = nn::uniform_init({kFeatures}, 1.5), first.bias = nn::uniform_init({kFeatures}, 0.5);
    second.weight = nn::uniform_init({kFeatures}, 1.5), second.bias = nn::uniform_init({kFeatures}, 0.5);
  }
  Tensor operator()(const Tensor& x, bool pre_norm, const std::string& activation) const {
    const auto act = [&](const Tensor& t) {
      return activation == "relu" ? relu(t) : gelu(t, activation == "gelu" ? "none" : "tanh");
    };
    if (pre_norm) {
      const Tensor h = x + attention(first(x));
      return h + down(act(up(second(h))));
    }
    const Tensor h = first(x + attention(x));
    return second(h + down(act(up(h))));
  }
  nn::FusedTransformerLayer fused(bool pre_norm, const std::string& activation) const {
    return {first, attention, second, up, down, activation, pre_norm};
  }
};

Tensor input() {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> uniform(-2, 2);
  std::vector<float> values(2 * kTime * kFeatures);
  for (float& value : values) value = uniform(random);
  return tensor(values, {2, kTime, kFeatures});
}

void expect_near(const Tensor& got, const Tensor& expected, double allowed) {
  const Literal a = got.literal(), b = expected.literal();
  ASSERT_EQ(a.shape(), b.shape());
  for (int64_t i = 0; i < a.elements(); ++i) ASSERT_NEAR(a.at(i), b.at(i), allowed) << i;
}

// On a device: the whole layer and its steps, and how many launches a compiled step has.
int steps_are_the_layer(double allowed) {
  const Parts parts(/*causal=*/true);
  const nn::FusedTransformerLayer fused = parts.fused(true, "gelu_tanh");
  const Tensor x = input(), expected = parts(x, true, "gelu_tanh");
  expect_near(fused(x), expected, allowed);
  nn::KeyValueCache cache(2, kHeads, kTime + 3, kFeatures / kHeads);
  auto step = compile([&](const Tensor& now, const Tensor& position) { return fused.step(now, position, cache); });
  for (int64_t t = 0; t < kTime; ++t) {
    const Tensor now = slice(x, {0, t, 0}, {2, t + 1, kFeatures}, {1, 1, 1});
    const Tensor y = step(now, tensor(std::vector<int32_t>{static_cast<int32_t>(t)}, Shape{}));
    expect_near(y, slice(expected, {0, t, 0}, {2, t + 1, kFeatures}, {1, 1, 1}), allowed);
  }
  EXPECT_EQ(step.engine()->traces(), 1) << "every step has the same plan";
  return step.engine()->ledger().launches;
}

TEST(FusedTransformerLayer, IsTheLayerItIsMadeFrom) {
  for (const bool pre_norm : {true, false}) {
    for (const bool causal : {true, false}) {
      for (const char* activation : {"gelu", "gelu_tanh", "relu"}) {
        SCOPED_TRACE(::testing::Message() << activation << ", pre_norm " << pre_norm << ", causal " << causal);
        const Parts parts(causal);
        expect_near(parts.fused(pre_norm, activation)(input()), parts(input(), pre_norm, activation), 1e-5);
      }
    }
  }
}

TEST(FusedTransformerLayer, StepsAreTheLayer) { steps_are_the_layer(1e-5); }

TEST(FusedTransformerLayer, IsOneLaunchOnTheXpu) {
  set_device("xpu:0");
  const int launches = steps_are_the_layer(5e-3);  // fixed point of 16 bits
  set_device("cpu");
  EXPECT_EQ(launches, 1);
}

TEST(FusedTransformerLayer, KeepsItsOwnWeights) {
  Parts parts(false);
  const nn::FusedTransformerLayer fused = parts.fused(true, "gelu_tanh");
  const Literal before = fused(input()).literal();
  parts.up.weight.assign(parts.up.weight * 2.0);
  EXPECT_TRUE(fused(input()).literal().same_bytes(before));
}

TEST(FusedTransformerLayer, RefusesWhatTheOpsLack) {
  const auto text_of = [](const Parts& parts) {
    try {
      parts.fused(true, "gelu_tanh");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(text_of(Parts(true, 1)).find("share their keys"), std::string::npos);
  EXPECT_NE(text_of(Parts(true, 0, true)).find("rotary"), std::string::npos);
  Parts bare(true);
  bare.up.bias = Tensor();
  EXPECT_NE(text_of(bare).find("without biases"), std::string::npos);
  Parts uneven(true);
  uneven.second.epsilon = 1e-3;
  EXPECT_NE(text_of(uneven).find("epsilons"), std::string::npos);
}

}  // namespace
}  // namespace trireme
