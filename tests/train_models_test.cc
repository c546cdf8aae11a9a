// The networks a configuration may name, and the data sets that need no files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numbers>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/data/synthetic.h"
#include "trireme/train/architectures.h"
#include "trireme/train/job.h"

namespace trireme::train {
namespace {

using ::testing::HasSubstr;

Config with(const std::string& arch, const std::string& loader = "dataset: mnist") {
  return parse_config(cat("{Arch: {", arch, "}, DataLoader: {", loader, "}}"), "a.yaml");
}

int64_t parameters(const Model& model) {
  int64_t count = 0;
  for (const auto& each : model.state) count += each.trainable ? each.tensor.shape().elements() : 0;
  return count;
}

// --- networks -----------------------------------------------------------------------------------------------------

// The count of the common PyTorch version for CIFAR-10.
TEST(ImageModels, ResNet18HasThePublishedNumberOfParameters) {
  EXPECT_EQ(parameters(make_resnet18({3, 32, 32}, 10, with("name: resnet18, width: 64"))), 11173962);
}

TEST(ImageModels, MobileNetIsDepthwiseThenPointwise) {
  const Model model = make_mobilenet({3, 16, 16}, 7, with("name: mobilenet, width: 32"));
  int64_t expected = 3 * 32 * 9 + 2 * 32, in = 32;
  for (const int64_t out : {64, 128, 128, 256, 256, 512, 512}) {
    expected += 9 * in + 2 * in + in * out + 2 * out;
    in = out;
  }
  EXPECT_EQ(parameters(model), expected + 512 * 7 + 7);
  EXPECT_EQ(model.forward(Tensor(Literal::zeros(u8, {2, 3, 16, 16}))).shape(), (Shape{2, 7}));
}

// Which logits change when the token at place 3 does.
std::vector<bool> changed_by_place_3(const Model& model) {
  const std::vector<int32_t> tokens = {1, 4, 2, 0, 3, 1}, other = {1, 4, 2, 4, 3, 1};
  const auto logits = [&](const std::vector<int32_t>& given) {
    return model.forward(tensor(given, {1, 6})).literal().to_doubles();
  };
  const auto a = logits(tokens), b = logits(other);
  std::vector<bool> out;
  const size_t width = a.size() / 6;
  for (size_t t = 0; t < 6; ++t) {
    out.push_back(!std::equal(a.begin() + static_cast<std::ptrdiff_t>(t * width),
                              a.begin() + static_cast<std::ptrdiff_t>((t + 1) * width),
                              b.begin() + static_cast<std::ptrdiff_t>(t * width)));
  }
  return out;
}

TEST(TokenModels, WhatPredictsTheNextTokenDoesNotSeeIt) {
  seed(5);
  const std::vector<bool> from_there = {false, false, false, true, true, true};
  EXPECT_EQ(changed_by_place_3(make_gpt(6, 5, with("name: gpt, layers: 2, heads: 2, features: 8"))), from_there);
  EXPECT_EQ(changed_by_place_3(make_lstm(5, with("name: lstm, layers: 2, features: 8"))), from_there);
}

TEST(TokenModels, BertSeesEveryToken) {
  seed(5);
  const Model bert = make_bert(6, 5, 3, with("name: bert, layers: 1, heads: 2, features: 8"));
  const auto logits = [&](const std::vector<int32_t>& given) {
    const Tensor out = bert.forward(tensor(given, {1, 6}));
    EXPECT_EQ(out.shape(), (Shape{1, 3}));
    return out.literal().to_doubles();
  };
  const std::vector<int32_t> tokens = {1, 4, 2, 0, 3, 1};
  for (size_t t = 0; t < 6; ++t) {
    std::vector<int32_t> other = tokens;
    other[t] = (other[t] + 1) % 5;
    EXPECT_NE(logits(tokens), logits(other)) << t;
  }
}

// The equations of the cell in plain loops, on the model's own weights.
TEST(TokenModels, LstmIsTheCellOfThePapers) {
  seed(9);
  constexpr size_t kD = 3, kV = 4, kT = 5;
  const Model model = make_lstm(kV, with("name: lstm, layers: 1, features: 3"));
  std::map<std::string, std::vector<double>> weights;
  for (const auto& each : model.state) weights[each.name] = each.tensor.literal().to_doubles();
  const auto &embedding = weights.at("tokens.weight"), &wx = weights.at("layers.0.input.weight"),
             &bias = weights.at("layers.0.input.bias"), &wh = weights.at("layers.0.state.weight"),
             &head = weights.at("head.weight"), &head_bias = weights.at("head.bias");
  const std::vector<int32_t> tokens = {2, 0, 3, 3, 1};
  const auto got = model.forward(tensor(tokens, {1, kT})).literal().to_doubles();
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  std::vector<double> h(kD, 0.0), c(kD, 0.0);
  for (size_t t = 0; t < kT; ++t) {
    std::vector<double> gates(4 * kD);
    for (size_t g = 0; g < 4 * kD; ++g) {
      gates[g] = bias[g];
      for (size_t k = 0; k < kD; ++k) {
        gates[g] += wx[g * kD + k] * embedding[static_cast<size_t>(tokens[t]) * kD + k] + wh[g * kD + k] * h[k];
      }
    }
    for (size_t d = 0; d < kD; ++d) {  // in, forget, cell, out
      c[d] = sigmoid(gates[kD + d]) * c[d] + sigmoid(gates[d]) * std::tanh(gates[2 * kD + d]);
      h[d] = sigmoid(gates[3 * kD + d]) * std::tanh(c[d]);
    }
    for (size_t v = 0; v < kV; ++v) {
      double logit = head_bias[v];
      for (size_t d = 0; d < kD; ++d) logit += head[v * kD + d] * h[d];
      EXPECT_NEAR(got[t * kV + v], logit, 1e-5) << "place " << t << ", token " << v;
    }
  }
}

class EveryModel : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};
INSTANTIATE_TEST_SUITE_P(
    Train, EveryModel,
    ::testing::Values(std::pair("name: lenet", "dataset: wave_images, size: 8"),
                      std::pair("name: resnet18, width: 4", "dataset: wave_images, size: 8"),
                      std::pair("name: mobilenet, width: 4", "dataset: wave_images, size: 8"),
                      std::pair("name: mlp, hidden: [8]", "dataset: wave_images, size: 8"),
                      std::pair("name: bert, layers: 1, heads: 2, features: 8, dropout: 0.1, recompute: true",
                                "dataset: subject_tokens, length: 8, vocabulary: 16")));

// One step moves every parameter: none is left out of each() or of the gradient.
TEST_P(EveryModel, TrainsAllItsParameters) {
  Config config =
      with(cat(GetParam().first, ", classes: 4"), cat(GetParam().second, ", count: 24, hold_back: 8, batch_size: 8"));
  const Job job(config);
  std::vector<Literal> before;
  for (const auto& each : job.model().state) before.push_back(each.tensor.literal());
  const Result result = job.fit();
  EXPECT_EQ(result.steps, 2);
  EXPECT_TRUE(std::isfinite(result.loss));
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_FALSE(job.model().state[i].tensor.literal().same_bytes(before[i])) << job.model().state[i].name;
  }
}

// --- data ---------------------------------------------------------------------------------------------------------

// The direction in which a picture changes most is that of its class: from the structure tensor of its grey values.
TEST(WaveImages, TheClassIsTheDirectionOfTheWave) {
  constexpr int64_t kSize = 24, kClasses = 6;
  const auto set = data::wave_images(60, kSize, kClasses, 7);
  ASSERT_EQ(set->size(), 60);
  EXPECT_EQ(set->classes().size(), 6u);
  std::map<int, int> seen;
  for (int64_t i = 0; i < set->size(); ++i) {
    const data::Example example = set->example(i);
    const auto pixels = example[0].to_doubles();
    const auto grey = [&](int64_t y, int64_t x) {  // smoothed over 3 x 3 pixels and the colours, against the noise
      double sum = 0.0;
      for (int64_t c = 0; c < 3; ++c)
        for (int64_t v = -1; v <= 1; ++v)
          for (int64_t u = -1; u <= 1; ++u) sum += pixels[static_cast<size_t>((c * kSize + y + v) * kSize + x + u)];
      return sum;
    };
    double xx = 0.0, yy = 0.0, xy = 0.0;
    for (int64_t y = 2; y < kSize - 2; ++y) {
      for (int64_t x = 2; x < kSize - 2; ++x) {
        const double gx = grey(y, x + 1) - grey(y, x - 1), gy = grey(y + 1, x) - grey(y - 1, x);
        xx += gx * gx, yy += gy * gy, xy += gx * gy;
      }
    }
    const double direction = 0.5 * std::atan2(2 * xy, xx - yy);  // modulo a half turn
    const int label = static_cast<int>(example[1].at(0));
    const double off = std::remainder(direction - std::numbers::pi * label / kClasses, std::numbers::pi);
    EXPECT_LT(std::fabs(off), std::numbers::pi / (2 * kClasses)) << "example " << i << ", class " << label;
    ++seen[label];
  }
  EXPECT_EQ(seen.size(), 6u);
}

TEST(SubjectTokens, TokensOfTheClassAreMoreFrequent) {
  constexpr int64_t kClasses = 4, kVocabulary = 40, kLength = 50;
  const auto set = data::subject_tokens(200, kLength, kVocabulary, kClasses, 3);
  double own = 0.0;
  std::map<int, int> seen;
  for (int64_t i = 0; i < set->size(); ++i) {
    const data::Example example = set->example(i);
    const int label = static_cast<int>(example[1].at(0));
    ++seen[label];
    for (const double token : example[0].to_doubles()) {
      ASSERT_GE(token, 0);
      ASSERT_LT(token, kVocabulary);
      own += static_cast<int>(token) * kClasses / kVocabulary == label ? 1 : 0;
    }
  }
  const double count = 200.0 * kLength, expected = 0.4 + 0.6 / kClasses;
  EXPECT_NEAR(own / count, expected, 4 * std::sqrt(expected * (1 - expected) / count)) << "four deviations";
  EXPECT_EQ(seen.size(), 4u);
}

TEST(SyntheticData, IsAFunctionOfTheSeed) {
  for (const auto& make : {+[](uint64_t seed) { return data::wave_images(5, 8, 3, seed); },
                           +[](uint64_t seed) { return data::subject_tokens(5, 8, 9, 3, seed); }}) {
    const auto same = [&](uint64_t one, uint64_t other) {
      return make(one)->example(4)[0].same_bytes(make(other)->example(4)[0]);
    };
    EXPECT_TRUE(same(1, 1));
    EXPECT_FALSE(same(1, 2));
  }
  // The first examples do not depend on how many there are.
  EXPECT_TRUE(data::wave_images(5, 8, 3, 1)->example(2)[0].same_bytes(data::wave_images(9, 8, 3, 1)->example(2)[0]));
}

TEST(Config, RefusesWhatModelsAndDataDoNotHave) {
  const auto refused = [](const std::string& arch, const std::string& loader) -> std::string {
    try {
      const Job job(with(arch, loader));
    } catch (const Error& failure) {
      EXPECT_EQ(failure.code(), Code::kInvalidArgument) << failure.what();
      return failure.what();
    }
    ADD_FAILURE() << "accepted: " << arch << ", " << loader;
    return "";
  };
  EXPECT_THAT(refused("name: lenet", "dataset: wave_images"), HasSubstr("Arch.classes is missing"));
  EXPECT_THAT(refused("name: lenet, classes: 1", "dataset: wave_images"), HasSubstr("Arch.classes is 1"));
  EXPECT_THAT(refused("name: lenet, classes: 3", "dataset: wave_images, size: 3"), HasSubstr("at least 4 x 4"));
  EXPECT_THAT(refused("name: lenet, width: 3, classes: 3", "dataset: wave_images"),
              HasSubstr("Arch.width has a meaning only when Arch.name is resnet18 or mobilenet"));
  EXPECT_THAT(refused("name: bert, classes: 3", "dataset: wave_images"),
              HasSubstr("subject_tokens and bert go together"));
  EXPECT_THAT(refused("name: mlp, classes: 3", "dataset: subject_tokens"),
              HasSubstr("subject_tokens and bert go together"));
  EXPECT_THAT(refused("name: bert, classes: 9", "dataset: subject_tokens, vocabulary: 8"),
              HasSubstr("each class needs tokens of its own"));
  EXPECT_THAT(refused("name: resnet18, classes: 3", "dataset: wave_images, count: 4, hold_back: 4"),
              HasSubstr("keep some to train on"));
  EXPECT_THAT(refused("name: lenet, classes: 3", "dataset: wave_images, count: 0"), HasSubstr("must be 1 or more"));
}

}  // namespace
}  // namespace trireme::train
