// Lazy tensors, compiled functions and gradients, end to end on the host chip.
#include "trireme/tensor/tensor.h"

#include <gtest/gtest.h>

#include "trireme/base/error.h"
#include "trireme/runtime/plan_cache.h"

namespace trireme {
namespace {

TEST(Tensor, ComputesWhenRead) {
  const Tensor x = tensor({1, 2, 3});
  const Tensor y = x * 2 + 1;
  EXPECT_EQ(y.literal().to_doubles(), (std::vector<double>{3, 5, 7}));
}

TEST(Tensor, SharesWorkAndPlans) {
  const Tensor x = tensor({1, 2, 3});
  const Tensor a = tan(x), b = tan(x);
  EXPECT_EQ(a.value(), b.value());
  a.literal();
  const size_t plans = runtime::plans_made();
  for (int i = 0; i < 5; ++i) tan(tensor({4, 5, 6})).literal();
  EXPECT_EQ(runtime::plans_made(), plans);
}

TEST(Tensor, GradientOfMatmul) {
  const Tensor x = tensor<float>({1, 2, 3, 4}, {2, 2}), w = tensor<float>({5, 6, 7, 8}, {2, 2});
  const auto g = grad(sum(matmul(x, w)), {x, w});
  EXPECT_EQ(g[0].literal().to_doubles(), (std::vector<double>{11, 15, 11, 15}));
  EXPECT_EQ(g[1].literal().to_doubles(), (std::vector<double>{4, 4, 6, 6}));
}

TEST(Tensor, MistakesShowOnTheUsersLine) {
  const Tensor x = tensor<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  try {
    matmul(x, x);
    FAIL() << "a product of (2,3) and (2,3) must be refused";
  } catch (const Error& failure) {
    EXPECT_EQ(failure.rule(), "matmul_c2");
    EXPECT_NE(std::string(failure.what()).find("[2, 3]"), std::string::npos);
  }
}

TEST(Compile, UpdatesVariablesInPlace) {
  Tensor w = tensor({1, 1});
  auto step = compile([&](const Tensor& x) {
    const Tensor loss = sum(w * x * w * x);
    w.assign(w - 0.1 * grad(loss, {w})[0]);
    return loss;
  });
  double expected[2] = {1, 1};
  const double x[2] = {1, 2};
  for (int i = 0; i < 5; ++i) {
    double loss = 0;
    for (int k = 0; k < 2; ++k) loss += expected[k] * x[k] * expected[k] * x[k];
    EXPECT_NEAR(step(tensor({1, 2})).item(), loss, 1e-5 * (1 + loss));
    for (int k = 0; k < 2; ++k) expected[k] -= 0.1 * 2 * expected[k] * x[k] * x[k];
  }
  EXPECT_NEAR(w.literal().at(0), expected[0], 1e-5);
  EXPECT_NEAR(w.literal().at(1), expected[1], 1e-5);
  EXPECT_EQ(step.engine()->traces(), 1);
}

TEST(Compile, KeepsOldValuesOthersHold) {
  Tensor w = tensor({1, 2});
  const Tensor lazy_double = w * 2;
  auto step = compile([&](const Tensor& x) {
    w.assign(w + x);
    return sum(w);
  });
  EXPECT_DOUBLE_EQ(step(tensor({10, 10})).item(), 23);
  EXPECT_DOUBLE_EQ(step(tensor({10, 10})).item(), 43);
  EXPECT_EQ(lazy_double.literal().to_doubles(), (std::vector<double>{2, 4}));
  EXPECT_EQ(w.literal().to_doubles(), (std::vector<double>{21, 22}));
}

TEST(Compile, SeesWhatIsAssignedFromOutside) {
  Tensor rate = tensor({1}), w = tensor({0});
  rate.assign(tensor({2}));  // before the trace
  auto step = compile([&](const Tensor& x) {
    w.assign(w + rate * x);
    return sum(w);
  });
  EXPECT_DOUBLE_EQ(step(tensor({1})).item(), 2);
  rate.assign(tensor({5}));
  EXPECT_DOUBLE_EQ(step(tensor({1})).item(), 7);
  w.assign(tensor({100}));
  EXPECT_DOUBLE_EQ(step(tensor({1})).item(), 105);
  rate.assign(rate * 2);  // a lazy value
  EXPECT_DOUBLE_EQ(step(tensor({1})).item(), 115);
}

TEST(Compile, RefusesToReadInside) {
  auto f = compile([&](const Tensor& x) { return x * (x * 2).item(); });
  EXPECT_THROW(f(tensor({1})), Error);
}

TEST(Random, SameSeedSameNumbers) {
  seed(7);
  const Literal a = next_key().literal(), b = next_key().literal();
  seed(7);
  EXPECT_TRUE(a.same_bytes(next_key().literal()));
  EXPECT_TRUE(b.same_bytes(next_key().literal()));
  EXPECT_FALSE(a.same_bytes(b));
}

}  // namespace
}  // namespace trireme
