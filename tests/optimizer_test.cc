// Optimizers against the formulas of their papers, worked in double; schedules against their closed forms.
#include "trireme/optim/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "trireme/base/error.h"
#include "trireme/optim/loss_scale.h"
#include "trireme/optim/schedule.h"

namespace trireme::optim {
namespace {

constexpr int kRows = 2, kColumns = 3, kSize = kRows * kColumns, kSteps = 5;

double start_value(int i) { return 0.3 * (i + 1) * (i % 2 == 0 ? 1.0 : -1.0); }
double gradient(int step, int i) { return 0.1 * std::sin(1.7 * step + 0.9 * i) + 0.02 * i; }

using Vector = std::vector<double>;

// The parameters after kSteps, by formula; g already has weight decay where the method couples it.
Vector expected(Method method, const Options& o) {
  Vector p(kSize), m(kSize), v(kSize);
  for (int i = 0; i < kSize; ++i) p[i] = start_value(i);
  for (int t = 1; t <= kSteps; ++t) {
    Vector ratio(kSize);
    for (int i = 0; i < kSize; ++i) {
      const double plain = gradient(t, i), g = plain + o.weight_decay * p[i];
      const double c1 = 1 - std::pow(o.beta1, t), c2 = 1 - std::pow(o.beta2, t);
      const auto adam = [&](double with) {
        m[i] = o.beta1 * m[i] + (1 - o.beta1) * with;
        v[i] = o.beta2 * v[i] + (1 - o.beta2) * with * with;
        return m[i] / c1 / (std::sqrt(v[i] / c2) + o.epsilon);
      };
      switch (method) {
        case Method::kSgd: p[i] -= o.learning_rate * g; break;
        case Method::kMomentum:
          m[i] = o.momentum * m[i] + g;
          p[i] -= o.learning_rate * (o.nesterov ? g + o.momentum * m[i] : m[i]);
          break;
        case Method::kAdam: p[i] -= o.learning_rate * adam(g); break;
        case Method::kAdamW: {
          const double update = adam(plain);
          p[i] -= o.learning_rate * (update + o.weight_decay * p[i]);
          break;
        }
        case Method::kLamb: ratio[i] = adam(plain) + o.weight_decay * p[i]; break;
        case Method::kRmsProp:
          v[i] = o.decay * v[i] + (1 - o.decay) * g * g;
          m[i] = o.momentum * m[i] + g / (std::sqrt(v[i]) + o.epsilon);
          p[i] -= o.learning_rate * m[i];
          break;
      }
    }
    if (method == Method::kLamb) {
      double length = 0, step = 0;
      for (int i = 0; i < kSize; ++i) length += p[i] * p[i], step += ratio[i] * ratio[i];
      for (int i = 0; i < kSize; ++i) p[i] -= o.learning_rate * std::sqrt(length) / std::sqrt(step) * ratio[i];
    }
  }
  return p;
}

Tensor matrix(const Vector& values) { return Tensor(Literal::from_doubles(f32, {kRows, kColumns}, values)); }
Tensor gradient_at(int step) {
  Vector g(kSize);
  for (int i = 0; i < kSize; ++i) g[i] = gradient(step, i);
  return matrix(g);
}
Tensor start() {
  Vector p(kSize);
  for (int i = 0; i < kSize; ++i) p[i] = start_value(i);
  return matrix(p);
}

void expect_near(const Tensor& found, const Vector& wanted, double tolerance = 2e-6) {
  const auto values = found.literal().to_doubles();
  ASSERT_EQ(values.size(), wanted.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], wanted[i], tolerance) << "element " << i;
}

void check(const std::string& name, Options options) {
  SCOPED_TRACE(name);
  const Method method = parse_method(name);
  const Vector wanted = expected(method, options);
  for (const bool compiled : {false, true}) {
    SCOPED_TRACE(compiled ? "compiled" : "eager");
    const Tensor p = start();
    Optimizer optimizer(method, {{"p", p, true}}, options);
    auto function = compile([&](const Tensor& g) {
      optimizer.step({g});
      return sum(g);
    });
    for (int t = 1; t <= kSteps; ++t) {
      if (compiled) eval({function(gradient_at(t))});
      else optimizer.step({gradient_at(t)});
    }
    expect_near(p, wanted);
  }
}

TEST(Optimizer, SgdIsTheFormula) { check("sgd", {.learning_rate = 0.1, .weight_decay = 0.05}); }
TEST(Optimizer, MomentumIsTheFormula) {
  check("momentum", {.learning_rate = 0.1, .weight_decay = 0.05});
  check("momentum", {.learning_rate = 0.1, .nesterov = true});
}
TEST(Optimizer, AdamIsTheFormula) { check("adam", {.learning_rate = 0.01, .weight_decay = 0.05}); }
TEST(Optimizer, AdamWIsTheFormula) { check("adamw", {.learning_rate = 0.01, .weight_decay = 0.5}); }
TEST(Optimizer, LambIsTheFormula) { check("lamb", {.learning_rate = 0.01, .weight_decay = 0.1}); }
TEST(Optimizer, RmsPropIsTheFormula) { check("rmsprop", {.learning_rate = 0.01, .weight_decay = 0.05}); }

TEST(Optimizer, ClipsToTheGlobalNorm) {
  const Tensor a(Literal::zeros(f32, {2})), b(Literal::zeros(f32, {1}));
  Optimizer optimizer(Method::kSgd, {{"a", a, true}, {"b", b, true}}, {.learning_rate = 1.0, .clip_norm = 6.5});
  optimizer.step({tensor({3, 4}), tensor({12})});  // norm 13: halved
  expect_near(a, {-1.5, -2});
  expect_near(b, {-6});
  optimizer.step({tensor({0.5, 0}), tensor({0})});  // short enough: as it is
  expect_near(a, {-2, -2});
}

TEST(Optimizer, DecaysMatricesAndLeavesVectorsUnlessAsked) {
  for (const bool vectors : {false, true}) {
    const Tensor w(Literal::filled(f32, {1, 2}, 1.0)), b(Literal::filled(f32, {2}, 1.0));
    Optimizer optimizer(Method::kSgd, {{"w", w, true}, {"b", b, true}},
                        {.learning_rate = 0.5, .weight_decay = 0.5, .decay_vectors = vectors});
    optimizer.step({Tensor(Literal::zeros(f32, {1, 2})), Tensor(Literal::zeros(f32, {2}))});
    expect_near(w, {0.75, 0.75});
    expect_near(b, vectors ? Vector{0.75, 0.75} : Vector{1, 1});
  }
}

TEST(Optimizer, AccumulatesTheMeanOfNGradients) {
  const Tensor p = tensor({1, 1});
  Optimizer optimizer(Method::kSgd, {{"p", p, true}}, {.learning_rate = 1.0, .accumulate = 2});
  optimizer.step({tensor({1, 0})});
  expect_near(p, {1, 1});
  optimizer.step({tensor({3, 1})});
  expect_near(p, {-1, 0.5});
  optimizer.step({tensor({9, 9})});
  expect_near(p, {-1, 0.5});
}

std::string refusal(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& failure) {
    EXPECT_EQ(failure.code(), Code::kInvalidArgument);
    return failure.what();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

// A linear model of four inputs and its squared error, by f(rows of x and y).
struct Regression {
  Tensor w = Tensor(Literal::from_doubles(f32, {4, 1}, std::vector<double>{0.5, -0.25, 0.125, 1}));
  static Tensor rows(int from, int count, double scale) {
    Vector values;
    for (int i = from * 4; i < (from + count) * 4; ++i) values.push_back(scale * std::sin(0.8 * i));
    return Tensor(Literal::from_doubles(f32, {count, 4}, values));
  }
  Tensor loss(const Tensor& x) const { return mean(square(matmul(x, w) - sum(x, {1}, true))); }
};

TEST(Optimizer, MicroBatchesAreOneLargeBatch) {
  for (const double clip : {0.0, 0.05}) {
    SCOPED_TRACE(clip);
    constexpr int kParts = 4, kRowsEach = 6;
    Regression one, many;
    const Options options{.learning_rate = 0.05, .weight_decay = 0.01, .clip_norm = clip};
    Options accumulating = options;
    accumulating.accumulate = kParts;
    Optimizer whole(Method::kAdamW, {{"w", one.w, true}}, options);
    Optimizer parts(Method::kAdamW, {{"w", many.w, true}}, accumulating);
    auto whole_step = compile([&](const Tensor& x) {
      const Tensor loss = one.loss(x);
      whole.step(grad(loss, whole.parameters()));
      return loss;
    });
    auto part_step = compile([&](const Tensor& x) {
      const Tensor loss = many.loss(x);
      parts.step(grad(loss, parts.parameters()));
      return loss;
    });
    const Vector before = one.w.literal().to_doubles();
    for (int t = 0; t < 5; ++t) {
      const double scale = 1.0 + 0.1 * t;
      eval({whole_step(Regression::rows(0, kParts * kRowsEach, scale))});
      for (int k = 0; k < kParts; ++k) eval({part_step(Regression::rows(k * kRowsEach, kRowsEach, scale))});
      expect_near(many.w, one.w.literal().to_doubles(), 1e-5);
    }
    EXPECT_GT(std::abs(one.w.literal().to_doubles()[0] - before[0]), 0.01);
  }
}

TEST(Optimizer, AnUnusableStepLeavesNoTrace) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto scalar = [](bool value) { return Tensor(Literal::filled(boolean, {}, value ? 1 : 0)); };
  for (const int accumulate : {1, 2}) {
    SCOPED_TRACE(accumulate);
    const Tensor p = tensor({1}), q = tensor({1});
    const Options options{.learning_rate = 0.1, .accumulate = accumulate};
    Optimizer plain(Method::kAdam, {{"p", p, true}}, options), guarded(Method::kAdam, {{"q", q, true}}, options);
    for (int t = 0; t < 6; ++t) {
      const Tensor g = tensor({static_cast<float>(std::cos(t))});
      plain.step({g});
      guarded.step({g}, scalar(true));
      guarded.step({tensor({static_cast<float>(nan)})}, scalar(false));
      ASSERT_TRUE(p.literal().same_bytes(q.literal())) << "step " << t;
    }
    for (size_t i = 0; i < plain.state().size(); ++i) {
      EXPECT_TRUE(plain.state()[i].tensor.literal().same_bytes(guarded.state()[i].tensor.literal()));
    }
    EXPECT_NE(p.item(), 1.0);
  }
}

TEST(Optimizer, ClipsElementsBeforeTheNorm) {
  const Tensor p(Literal::zeros(f32, {3})), q(Literal::zeros(f32, {2}));
  Optimizer values(Method::kSgd, {{"p", p, true}}, {.learning_rate = 1.0, .clip_value = 0.5});
  values.step({tensor({3, -0.25, -9})});
  expect_near(p, {-0.5, 0.25, 0.5});
  Optimizer both(Method::kSgd, {{"q", q, true}}, {.learning_rate = 1.0, .clip_value = 4, .clip_norm = 2.5});
  both.step({tensor({3, 100})});  // to (3, 4), of length 5, which is halved
  expect_near(q, {-1.5, -2});
}

TEST(LossScale, ScalesAndAdapts) {
  LossScale scale(8.0, 2);
  EXPECT_EQ(scale.scaled(tensor({3})).item(), 24.0);
  const auto good = scale.unscaled({tensor({16, 4}), tensor({8})});
  EXPECT_EQ(good.usable.item(), 1.0);
  expect_near(good.gradients[0], {2, 0.5});
  expect_near(good.gradients[1], {1});
  EXPECT_EQ(scale.scale(), 8.0);
  scale.unscaled({tensor({1})});
  EXPECT_EQ(scale.scale(), 16.0);  // two good steps in a row
  const auto bad = scale.unscaled({tensor({1}), tensor({std::numeric_limits<float>::infinity()})});
  EXPECT_EQ(bad.usable.item(), 0.0);
  EXPECT_EQ(scale.scale(), 8.0);
  refusal([] { LossScale(0.0); });
}

TEST(LossScale, SavesGradientsThatF16WouldLose) {
  // d loss / d w = 1e-9 x, below the smallest f16 (6e-8) on its way through the product.
  const Tensor w(Literal::filled(f32, {1, 1}, 1.0));
  LossScale scale;
  auto gradients = compile(
      [&](const Tensor& x) -> std::vector<Tensor> {
        const Tensor loss = sum(matmul(x, w)) * 1e-9;
        return {grad(loss, {w})[0], scale.unscaled(grad(scale.scaled(loss), {w})).gradients[0]};
      },
      {.autocast = f16});
  const auto found = gradients(Tensor(Literal::filled(f32, {1, 1}, 2.0)));
  EXPECT_EQ(found[0].item(), 0.0);
  EXPECT_NEAR(found[1].item(), 2e-9, 1e-11);
}

TEST(Optimizer, LeavesBuffersAloneAndFollowsTheRate) {
  const Tensor p = tensor({1}), buffer = tensor({1});
  Optimizer optimizer(Method::kSgd, {{"p", p, true}, {"buffer", buffer, false}}, {.learning_rate = 1.0});
  ASSERT_EQ(optimizer.parameters().size(), 1u);
  auto step = compile([&](const Tensor& g) {
    optimizer.step({g});
    return g;
  });
  eval({step(tensor({1}))});
  optimizer.set_learning_rate(0.25);
  eval({step(tensor({1}))});
  expect_near(p, {-0.25});
  expect_near(buffer, {1});
  EXPECT_EQ(step.engine()->traces(), 1);  // a new rate is no new plan
}

TEST(Optimizer, RefusesWhatItCannotDo) {
  EXPECT_NE(refusal([] { parse_method("adamv"); }).find("did you mean 'adam"), std::string::npos);
  const Tensor p = tensor({1});
  Optimizer optimizer(Method::kSgd, {{"p", p, true}}, {});
  refusal([&] { optimizer.step({}); });
  refusal([&] { Optimizer(Method::kSgd, {{"p", p, true}}, {.accumulate = 0}); });
  refusal([] { cosine_decay(1.0, 0); });
}

TEST(Schedule, ConstantAndStep) {
  const Schedule same = constant_rate(0.3), falling = step_decay(0.8, 10, 0.5);
  for (const int64_t s : {0, 1, 1000}) EXPECT_EQ(same(s), 0.3);
  EXPECT_DOUBLE_EQ(falling(0), 0.8);
  EXPECT_DOUBLE_EQ(falling(9), 0.8);
  EXPECT_DOUBLE_EQ(falling(10), 0.4);
  EXPECT_DOUBLE_EQ(falling(39), 0.1);
}

TEST(Schedule, MilestonesInAnyOrder) {
  const Schedule falling = multi_step_decay(1.0, {20, 5}, 0.1);
  EXPECT_DOUBLE_EQ(falling(4), 1.0);
  EXPECT_DOUBLE_EQ(falling(5), 0.1);
  EXPECT_DOUBLE_EQ(falling(19), 0.1);
  EXPECT_NEAR(falling(20), 0.01, 1e-15);
}

TEST(Schedule, CosineAndPolynomial) {
  const Schedule cosine = cosine_decay(0.5, 100, 0.1), power = polynomial_decay(0.5, 100, 2.0, 0.1);
  for (int64_t s = 0; s <= 100; s += 7) {
    const double part = static_cast<double>(s) / 100;
    EXPECT_NEAR(cosine(s), 0.3 + 0.2 * std::cos(std::numbers::pi * part), 1e-12);
    EXPECT_NEAR(power(s), 0.1 + 0.4 * (1 - part) * (1 - part), 1e-12);
  }
  EXPECT_DOUBLE_EQ(cosine(1000), 0.1);
  EXPECT_DOUBLE_EQ(power(1000), 0.1);
}

TEST(Schedule, WarmUpThenStartsAtItsBeginning) {
  const Schedule warm = linear_warm_up(4, 0.0, step_decay(0.8, 2, 0.5));
  for (int64_t s = 0; s < 4; ++s) EXPECT_DOUBLE_EQ(warm(s), 0.2 * static_cast<double>(s));
  EXPECT_DOUBLE_EQ(warm(4), 0.8);
  EXPECT_DOUBLE_EQ(warm(6), 0.4);
}

}  // namespace
}  // namespace trireme::optim
