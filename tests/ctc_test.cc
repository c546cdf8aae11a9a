#include "trireme/text/ctc.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "trireme/base/error.h"
#include "trireme/core/philox.h"

namespace trireme {
namespace {

using Text = std::vector<int32_t>;

// Rows of probabilities that add up to 1, from a stream of random words.
std::vector<double> random_rows(int64_t steps, int64_t classes, uint32_t stream) {
  std::vector<double> out(static_cast<size_t>(steps * classes));
  for (size_t i = 0; i < out.size(); ++i) out[i] = std::exp(philox_word({1, 2, stream, 0}, i) * 0x1p-32 * 4.0);
  for (int64_t t = 0; t < steps; ++t) {
    double sum = 0;
    for (int64_t k = 0; k < classes; ++k) sum += out[static_cast<size_t>(t * classes + k)];
    for (int64_t k = 0; k < classes; ++k) out[static_cast<size_t>(t * classes + k)] /= sum;
  }
  return out;
}

// The definition: every path, its probability added to its text's.
std::map<Text, double> by_all_paths(const std::vector<double>& rows, int64_t steps, int64_t classes, int64_t blank) {
  std::map<Text, double> out;
  int64_t paths = 1;
  for (int64_t t = 0; t < steps; ++t) paths *= classes;
  for (int64_t path = 0; path < paths; ++path) {
    Text text;
    double probability = 1.0;
    int64_t rest = path, before = blank;
    for (int64_t t = 0; t < steps; ++t, rest /= classes) {
      const int64_t k = rest % classes;
      probability *= rows[static_cast<size_t>(t * classes + k)];
      if (k != blank && k != before) text.push_back(static_cast<int32_t>(k));
      before = k;
    }
    out[text] += probability;
  }
  return out;
}

Literal logarithms(std::vector<double> rows, const Shape& shape) {
  for (double& v : rows) v = std::log(v);
  return Literal::from_doubles(f64, shape, rows);
}

TEST(Ctc, BeamEqualsTheSumOverAllPaths) {
  constexpr int64_t steps = 6, classes = 3;
  for (uint32_t stream = 0; stream < 20; ++stream) {
    for (int64_t blank = 0; blank < classes; ++blank) {
      const auto rows = random_rows(steps, classes, stream);
      const auto truth = by_all_paths(rows, steps, classes, blank);
      const auto found = ctc_beam(logarithms(rows, {steps, classes}), blank, 1000);
      ASSERT_EQ(found.size(), truth.size());
      double before = 0.0;  // log 1
      for (size_t i = 0; i < found.size(); ++i) {
        EXPECT_NEAR(std::exp(found[i].log_probability), truth.at(found[i].classes), 1e-12);
        EXPECT_LE(found[i].log_probability, before + 1e-12);
        before = found[i].log_probability;
      }
    }
  }
}

TEST(Ctc, ANarrowBeamNeverPromisesMore) {
  const auto rows = random_rows(6, 3, 7);
  const auto truth = by_all_paths(rows, 6, 3, 0);
  const auto found = ctc_beam(logarithms(rows, {6, 3}), 0, 2);
  ASSERT_EQ(found.size(), 2u);
  for (const auto& each : found) EXPECT_LE(std::exp(each.log_probability), truth.at(each.classes) + 1e-12);
}

// Two steps where blank is the best of each, but "a" the best text: 0.6 * 0.6 < 1 - 0.6 * 0.6.
TEST(Ctc, BeamBeatsGreedy) {
  const std::vector<double> rows = {0.6, 0.4, 0.6, 0.4};
  EXPECT_EQ(ctc_greedy(Literal::from_doubles(f32, {1, 2, 2}, rows), 0)[0], Text{});
  const auto found = ctc_beam(logarithms(rows, {2, 2}), 0);
  EXPECT_EQ(found[0].classes, Text{1});
  EXPECT_NEAR(std::exp(found[0].log_probability), 0.64, 1e-12);
}

TEST(Ctc, GreedyMergesRepeatsAndDropsBlanks) {
  // Paths  - a a - a b  and  b b b a a a, with classes a 0, b 1, blank 2.
  const std::vector<int> paths = {2, 0, 0, 2, 0, 1, 1, 1, 1, 0, 0, 0};
  std::vector<double> scores;
  for (const int best : paths) {
    for (int k = 0; k < 3; ++k) scores.push_back(k == best ? 5 : -k);
  }
  const auto texts = ctc_greedy(Literal::from_doubles(f32, {2, 6, 3}, scores), 2);
  EXPECT_EQ(texts, (std::vector<Text>{{0, 0, 1}, {1, 0}}));
  EXPECT_EQ(ctc_text(texts[0], {"a", "b"}), "aab");
  EXPECT_EQ(ctc_greedy(Literal::zeros(f32, {0, 6, 3}), 2).size(), 0u);
  EXPECT_EQ(ctc_greedy(Literal::zeros(f32, {2, 0, 3}), 2), (std::vector<Text>{{}, {}}));
}

TEST(Ctc, Refusals) {
  EXPECT_THROW(ctc_greedy(Literal::zeros(f32, {6, 3}), 2), Error);
  EXPECT_THROW(ctc_greedy(Literal::zeros(f32, {1, 6, 3}), 3), Error);
  EXPECT_THROW(ctc_greedy(Literal::zeros(i32, {1, 6, 3}), 2), Error);
  EXPECT_THROW(ctc_beam(Literal::zeros(f32, {6, 3}), -1), Error);
  EXPECT_THROW(ctc_beam(Literal::zeros(f32, {6, 3}), 0, 0), Error);
  EXPECT_THROW(ctc_text(Text{2}, {"a", "b"}), Error);
}

}  // namespace
}  // namespace trireme
