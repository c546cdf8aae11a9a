// Training on the Kunlun chip: almost all of a step's modelled time is the chip's own, and losses stay as near to the
// CPU's as the chip's fixed point lets them.
//
// ctest: links=trireme_kunlun_virtual shards=2
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "trireme/base/strings.h"
#include "trireme/certify/cases.h"
#include "trireme/data/synthetic.h"
#include "trireme/optim/optimizer.h"
#include "trireme/runtime/explain.h"
#include "trireme/tensor/tensor.h"
#include "trireme/train/architectures.h"

namespace trireme::train {
namespace {

using Json = nlohmann::json;

// Each case runs in a process of its own, since a process has one virtual card.
std::vector<Json> in_processes(size_t count, const std::function<Json(size_t)>& work) {
  const auto guarded = [&](size_t i) -> certify::Outcome { return {certify::Verdict::kPass, work(i).dump(), 0.0, {}}; };
  std::vector<Json> out;
  for (const auto& outcome : certify::run_guarded(count, [] {}, guarded, {.fresh_each = true})) {
    EXPECT_EQ(outcome.verdict, certify::Verdict::kPass) << outcome.detail;
    out.push_back(Json::parse(outcome.detail, nullptr, false));
  }
  return out;
}

struct Network {
  const char* name;
  const char* arch;            // Arch of a configuration
  int64_t batch, size, kinds;  // images of size x size, or so many tokens; classes, or the vocabulary
  optim::Method method = optim::Method::kAdamW;
  double rate = 1e-3;
};

struct Batch {
  Tensor x, y;
};

Config config_of(const Network& network) {
  return parse_config(cat("{Arch: {name: ", network.arch, "}, DataLoader: {dataset: mnist}}"), "network.yaml");
}
Model model_of(const Network& network) {
  const Config config = config_of(network);
  seed(7);
  const std::string_view name = network.name;
  if (name == "resnet18") return make_resnet18({3, network.size, network.size}, network.kinds, config);
  if (name == "gpt") return make_gpt(network.size, network.kinds, config);
  return make_bert(network.size, network.kinds, 8, config);
}
// What the network can learn: the mean of a picture's first channel, the next token of a walk, what all tokens have in
// common.
Batch batch_of(const Network& network, uint32_t number) {
  std::mt19937 random(number);
  const auto n = static_cast<size_t>(network.batch), t = static_cast<size_t>(network.size);
  std::vector<int32_t> labels;
  if (std::string_view(network.name) == "resnet18") {
    std::vector<double> pixels;
    for (size_t i = 0; i < n; ++i) {
      labels.push_back(static_cast<int32_t>(random() % static_cast<uint32_t>(network.kinds)));
      for (size_t p = 0; p < 3 * t * t; ++p) {
        pixels.push_back(static_cast<double>(random() % 128) + 12.0 * (p < t * t ? labels.back() : 0));
      }
    }
    return {Tensor(Literal::from_doubles(u8, {network.batch, 3, network.size, network.size}, pixels)),
            tensor(labels, {network.batch})};
  }
  const bool next = std::string_view(network.name) == "gpt";
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < n; ++i) {
    int64_t token = random() % static_cast<uint32_t>(network.kinds);
    if (!next) labels.push_back(static_cast<int32_t>(token % 8));
    for (size_t k = 0; k < t; ++k) {
      tokens.push_back(static_cast<int32_t>(token));
      token = (token + (next ? 1 + random() % 2 : 8)) % network.kinds;
      if (next) labels.push_back(static_cast<int32_t>(token));
    }
  }
  const Tensor x = tensor(tokens, {network.batch, network.size});
  return {x, next ? tensor(labels, {network.batch, network.size}) : tensor(labels, {network.batch})};
}

// ---- where the time goes

// As they are known: ResNet-18 of 11 million parameters on pictures of CIFAR-10, a character GPT of 0.8 million, a BERT
// of two layers and 128 features.
constexpr Network kKnown[] = {
    {"resnet18", "resnet18, width: 64", 32, 32, 10},
    {"gpt", "gpt, layers: 4, heads: 4, features: 128", 16, 128, 65},
    {"bert", "bert, layers: 2, heads: 2, features: 128, dropout: 0.1", 32, 128, 1024},
};

// The step is traced on the CPU, where it runs once, and planned for the card.
Json share_on_card(const Network& network, const char* card) {
  setenv("XPUSIM_DEVICE_MODEL", card, 1);
  set_device("cpu");
  const Model model = model_of(network);
  optim::Optimizer optimizer(optim::Method::kAdamW, model.state, {});
  auto step = compile([&](const Tensor& x, const Tensor& y) {
    const nn::TrainingMode training(true);
    const Tensor loss = cross_entropy(model.forward(x), y);
    optimizer.step(grad(loss, optimizer.parameters()));
    return loss;
  });
  const Batch batch = batch_of(network, 1);
  step(batch.x, batch.y).item();
  runtime::PlanOptions options;
  options.target = &runtime::Device::get("xpu:0");
  options.fallback = runtime::Fallback::kAllow;
  const runtime::Ledger ledger = runtime::explain(step.engine()->graph(), options).ledger;
  return {{"share", 1.0 - ledger.fallback_share()}, {"chip", options.target->props().name}, {"text", ledger.line()}};
}

TEST(KunlunTraining, NearlyAllOfAStepIsTheChipsOwn) {
  const char* cards[] = {"R200", "P800"};
  const auto found = in_processes(6, [&](size_t i) { return share_on_card(kKnown[i / 2], cards[i % 2]); });
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_TRUE(found[i].is_object());
    SCOPED_TRACE(cat(kKnown[i / 2].name, " on ", cards[i % 2], ": ", found[i]["text"].get<std::string>()));
    EXPECT_EQ(found[i]["chip"], i % 2 == 0 ? "R200" : "KL3") << "what the driver calls a P800";
    EXPECT_GE(found[i]["share"].get<double>(), 0.99);
    std::cout << kKnown[i / 2].name << " on " << cards[i % 2] << ": " << found[i]["share"] << '\n';
  }
}

// ---- how far losses are from the CPU's

// Calm trainings: with a larger rate the ResNet, through its many small batch norms, makes 2^-16 in its weights to 2 %
// of the loss within ten steps, on any chip.
constexpr Network kSmall[] = {
    {"resnet18", "resnet18, width: 8", 24, 12, 4, optim::Method::kSgd, 2e-4},
    {"gpt", "gpt, layers: 2, heads: 2, features: 32", 8, 16, 24, optim::Method::kAdamW, 2e-3},
    {"bert", "bert, layers: 2, heads: 2, features: 32, dropout: 0.1", 16, 16, 32, optim::Method::kAdamW, 2e-3},
};
constexpr int kSteps = 12;

// The losses of kSteps steps. Each step sees its weights off by up to `off` of the largest magnitude in each tensor,
// as drawn from `draw`, and updates them as they are.
Json losses_of(const Network& network, const std::string& device, double off, uint32_t draw) {
  set_device(device);
  set_fallback(Fallback::kAllow);
  const Model model = model_of(network);
  optim::Optimizer optimizer(network.method, model.state, {.learning_rate = network.rate});
  std::vector<Tensor> state;
  for (const auto& each : model.state) state.push_back(each.tensor);
  eval(state);
  if (device != "cpu") set_fallback(Fallback::kError);
  auto step = compile([&](const Tensor& x, const Tensor& y) {
    const nn::TrainingMode training(true);
    const Tensor loss = cross_entropy(model.forward(x), y);
    optimizer.step(grad(loss, optimizer.parameters()));
    return loss;
  });
  std::mt19937 random(draw);
  std::uniform_real_distribution<double> uniform(-off, off);
  Json losses = Json::array();
  for (int k = 0; k < kSteps; ++k) {
    std::vector<Literal> added;
    for (const Tensor& weight : optimizer.parameters()) {
      if (off == 0) break;
      const Literal value = weight.literal();
      double most = 0;
      for (const double w : value.to_doubles()) most = std::max(most, std::fabs(w));
      std::vector<double> noise(static_cast<size_t>(value.elements()));
      for (double& each : noise) each = most * uniform(random);
      added.push_back(Literal::from_doubles(f32, value.shape(), noise));
      Tensor(weight).assign(weight + Tensor(added.back()));
    }
    const Batch batch = batch_of(network, static_cast<uint32_t>(k));
    losses.push_back(step(batch.x, batch.y).item());
    for (size_t i = 0; i < added.size(); ++i) {
      const Tensor& weight = optimizer.parameters()[i];
      Tensor(weight).assign(weight - Tensor(added[i]));
    }
  }
  return losses;
}

// The farthest apart, as a share of the first loss.
double apart(const Json& a, const Json& b) {
  double most = 0;
  for (int k = 0; k < kSteps; ++k) {
    most = std::max(most, std::fabs(a[k].get<double>() - b[k].get<double>()) / b[0].get<double>());
  }
  return most;
}

// The band. In fixed point of 16 bits an operand of a product is off by up to half a step, 2^-16 of the largest
// magnitude in its tensor. How that grows through depth and steps depends on the network, so it is measured: the CPU
// trains with weights that are off by so much, drawn anew in each step. That is a yardstick and not yet the band: a
// layer has three products in a step (its result and the gradients of its input and of its weight) with six operands,
// and weights are two of them. They are also the ones that lose least, since the largest weight is about twice the root
// mean square, the largest activation five times and the largest gradient eight times. Errors add up as squares, so the
// chip may be sqrt((2 * 2^2 + 2 * 5^2 + 2 * 8^2) / (2 * 2^2)) = 4.8 times as far off as the yardstick. As both are
// single draws of chance, the band is about three times that. An arithmetic of 8 bits would be 256 times as far off.
constexpr double kStep = 1.0 / 65536, kFactor = 16;

TEST(KunlunTraining, LossesStayInTheBandOfTheFixedPoint) {
  struct Run {
    const char* card;
    const char* device;
    double off;
    uint32_t draw;
  };
  const Run runs[] = {{"R200", "cpu", 0, 0},           {"R200", "cpu", kStep, 1}, {"R200", "cpu", kStep, 2},
                      {"R200", "cpu", 256 * kStep, 1}, {"R200", "xpu:0", 0, 0},   {"P800", "xpu:0", 0, 0}};
  constexpr size_t kRuns = std::size(runs);
  const auto found = in_processes(kRuns * std::size(kSmall), [&](size_t i) {
    const Run& run = runs[i % kRuns];
    setenv("XPUSIM_DEVICE_MODEL", run.card, 1);
    return losses_of(kSmall[i / kRuns], run.device, run.off, run.draw);
  });
  for (size_t n = 0; n < std::size(kSmall); ++n) {
    SCOPED_TRACE(kSmall[n].name);
    const Json* of = &found[n * kRuns];
    for (size_t i = 0; i < kRuns; ++i) ASSERT_EQ(of[i].size(), static_cast<size_t>(kSteps));
    EXPECT_LT(of[0][kSteps - 1].get<double>(), 0.98 * of[0][0].get<double>()) << "it learns";
    const double yardstick = std::max(apart(of[1], of[0]), apart(of[2], of[0])), band = kFactor * yardstick;
    std::cout << kSmall[n].name << ": yardstick " << yardstick << ", R200 " << apart(of[4], of[0]) << ", P800 "
              << apart(of[5], of[0]) << ", 8 bits " << apart(of[3], of[0]) << '\n';
    EXPECT_LE(apart(of[4], of[0]), band);
    EXPECT_LE(apart(of[5], of[0]), band);
    EXPECT_GT(apart(of[4], of[0]), 0.0) << "fixed point is not f32";
    EXPECT_GT(apart(of[3], of[0]), band) << "8 bits are told from 16";
  }
}

}  // namespace
}  // namespace trireme::train
