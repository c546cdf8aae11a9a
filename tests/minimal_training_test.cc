// The smallest chip that computes (refchip minimal-13: eight device and five compute functions, 19 primitives) trains
// with the CPU's help: a small residual net and a transformer block, compared with the same training on the cpu.
//
// The two round differently: the cpu fuses regions, the chip takes one primitive at a time. After the steps, no
// parameter may be farther from the cpu's than a thousandth of the way that the model's fastest parameter went.
//
// ctest: slow
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iostream>
#include <sstream>

#include "persona.h"
#include "trireme/nn/layers.h"
#include "trireme/optim/optimizer.h"
#include "trireme/tensor/tensor.h"

namespace trireme::testing {
namespace {

struct Block {
  nn::Conv2d first, second;
  nn::BatchNorm first_norm, second_norm;
  explicit Block(int64_t channels)
      : first(channels, channels, 3, {.padding = 1, .bias = false}),
        second(channels, channels, 3, {.padding = 1, .bias = false}),
        first_norm(channels),
        second_norm(channels) {}
  Tensor operator()(const Tensor& x) { return relu(second_norm(second(relu(first_norm(first(x))))) + x); }
  template <class V>
  void each(V& v) {
    v("first", first), v("second", second), v("first_norm", first_norm), v("second_norm", second_norm);
  }
};

// Images f32 [N, 3, 8, 8] -> logits [N, 4].
struct ResNet {
  nn::Conv2d stem{3, 4, 3, {.padding = 1, .bias = false}};
  nn::BatchNorm norm{4};
  Block block{4};
  nn::Linear head{4, 4};
  Tensor operator()(const Tensor& x) {
    const Tensor h = max_pool2d(relu(norm(stem(x))), {2});
    return head(flatten(global_avg_pool(block(h)), 1));
  }
  template <class V>
  void each(V& v) {
    v("stem", stem), v("norm", norm), v("block", block), v("head", head);
  }
};

// Characters i32 [N, 6] -> logits [N, 6, 11].
struct Gpt {
  nn::Embedding characters{11, 8, 0.3}, positions{6, 8, 0.3};
  nn::LayerNorm first{8}, second{8}, last{8};
  nn::Attention attention{8, 2, /*causal=*/true};
  nn::Linear up{8, 32}, down{32, 8}, head{8, 11, false};
  Tensor operator()(const Tensor& x) {
    Tensor h = characters(x) + positions(iota({x.size(1)}, i32, 0));
    h = h + attention(first(h));
    h = h + down(gelu(up(second(h)), "tanh"));
    return head(last(h));
  }
  template <class V>
  void each(V& v) {
    v("characters", characters), v("positions", positions), v("first", first), v("attention", attention);
    v("second", second), v("up", up), v("down", down), v("last", last), v("head", head);
  }
};

struct Training {
  std::vector<std::string> names;
  std::vector<Literal> before, after;
  std::vector<double> losses;
  runtime::Ledger ledger;
};

template <class Net>
Training train(runtime::Device& device, const Literal& x, const Literal& labels, optim::Method method,
               const optim::Options& options, int steps) {
  set_device(device.name());
  set_fallback(Fallback::kAllow);
  seed(11);
  const nn::TrainingMode mode(true);
  Net net;
  Training out;
  for (const nn::NamedTensor& each : nn::state_of(net)) {
    out.names.push_back(each.name);
    out.before.push_back(each.tensor.literal());
  }
  optim::Optimizer optimizer(method, nn::state_of(net), options);
  auto step = compile([&](const Tensor& input, const Tensor& target) {
    const Tensor loss = cross_entropy(net(input), target);
    optimizer.step(grad(loss, optimizer.parameters()));
    return loss;
  });
  const Tensor input(x), target(labels);
  for (int i = 0; i < steps; ++i) out.losses.push_back(step(input, target).item());
  for (const nn::NamedTensor& each : nn::state_of(net)) out.after.push_back(each.tensor.literal());
  out.ledger = step.engine()->ledger();
  set_device("cpu");
  return out;
}

void compare(const Training& chip, const Training& cpu) {
  double way = 0.0;
  for (size_t p = 0; p < cpu.names.size(); ++p) {
    ASSERT_TRUE(chip.before[p].same_bytes(cpu.before[p])) << cpu.names[p] << " starts elsewhere";
    for (int64_t i = 0; i < cpu.after[p].elements(); ++i) {
      way = std::max(way, std::abs(cpu.after[p].at(i) - cpu.before[p].at(i)));
    }
  }
  double worst = 0.0;
  for (size_t p = 0; p < cpu.names.size(); ++p) {
    for (int64_t i = 0; i < cpu.after[p].elements(); ++i) {
      const double off = std::abs(chip.after[p].at(i) - cpu.after[p].at(i));
      worst = std::max(worst, off);
      ASSERT_LE(off, 1e-3 * way) << cpu.names[p] << "[" << i << "]";
    }
  }
  for (size_t i = 0; i < cpu.losses.size(); ++i) EXPECT_NEAR(chip.losses[i], cpu.losses[i], 1e-4) << "step " << i;
  EXPECT_LT(cpu.losses.back(), cpu.losses.front()) << "it learns";
  std::cout << "loss " << chip.losses.front() << " -> " << chip.losses.back() << " (cpu " << cpu.losses.back()
            << "), parameters moved up to " << way << ", differ by up to " << worst << "\n"
            << chip.ledger.line() << '\n';
}

Literal wave(const Shape& shape) {
  std::vector<double> values;
  for (int64_t i = 0; i < shape.elements(); ++i) values.push_back(std::sin(0.7 * static_cast<double>(i * i % 101)));
  return Literal::from_doubles(f32, shape, values);
}

// minimal-13 as it is built in; and with rates that make it take whatever it can.
runtime::Device& eager() {
  std::ifstream file(TRIREME_SOURCE_DIR "/chips/refchip/personas/minimal-13.json");
  std::stringstream text;
  text << file.rdbuf();
  std::string json = text.str();
  const std::string name = "\"minimal-13\"";
  json.replace(json.find(name), name.size(),
               "'minimal-eager', 'max_delay_us': 0, 'rates': {'flops_f32': 1e15, 'memory_bandwidth': 1e15, "
               "'link_bandwidth': 1e15, 'link_latency_ns': 0, 'launch_latency_ns': 0}");
  return persona_device(write_persona("minimal-eager", json));
}

void expect_help(const runtime::Ledger& ledger) {
  EXPECT_GT(ledger.fallback_share(), 0.0);
  EXPECT_LT(ledger.fallback_share(), 1.0);
  EXPECT_GT(ledger.launches, 10);
}

TEST(MinimalTraining, ResidualNet) {
  const Literal images = wave({4, 3, 8, 8}), labels = Literal::from<int32_t>(std::vector<int32_t>{0, 1, 2, 3}, {4});
  const optim::Options options{.learning_rate = 0.05, .momentum = 0.9};
  const auto on = [&](runtime::Device& device) {
    return train<ResNet>(device, images, labels, optim::Method::kMomentum, options, 4);
  };
  const Training cpu = on(runtime::Device::host());
  for (runtime::Device* device : {&persona_device("minimal-13"), &eager()}) {
    const Training chip = on(*device);
    compare(chip, cpu);
    expect_help(chip.ledger);
  }
}

// An epsilon well above the rounding of gradients: those that are zero by symmetry (of the keys' bias) stay small.
TEST(MinimalTraining, TransformerBlock) {
  std::vector<int32_t> text, next;
  for (int32_t i = 0; i < 12; ++i) {
    text.push_back(i * 3 % 11);
    next.push_back((i + 1) * 3 % 11);
  }
  const Literal x = Literal::from<int32_t>(text, {2, 6}), y = Literal::from<int32_t>(next, {2, 6});
  const optim::Options options{.learning_rate = 0.01, .weight_decay = 0.1, .epsilon = 1e-3, .clip_norm = 1.0};
  const auto on = [&](runtime::Device& device) { return train<Gpt>(device, x, y, optim::Method::kAdamW, options, 4); };
  const Training cpu = on(runtime::Device::host());
  for (runtime::Device* device : {&persona_device("minimal-13"), &eager()}) {
    const Training chip = on(*device);
    compare(chip, cpu);
    expect_help(chip.ledger);
  }
}

}  // namespace
}  // namespace trireme::testing
