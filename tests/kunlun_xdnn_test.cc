// The operator library of the virtual Kunlun device by itself: against the C++ library and plain loops, on the device
// and on a CPU context, with arguments that break its rules. (What the chip uses of it, op_chip_test holds against the
// reference as well.)
//
// ctest: links=trireme_kunlun_virtual
#include "xpu/xdnn.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>

#include "chips/kunlun/virtual/generation.h"
#include "kunlun.h"

namespace trireme::testing {
namespace {

namespace api = baidu::xpu::api;
using ::testing::HasSubstr;

class KunlunXdnn : public KunlunTest {
 protected:
  void SetUp() override {
    KunlunTest::SetUp();
    context_.reset(api::create_context());
  }
  void TearDown() override {
    context_.reset();
    KunlunTest::TearDown();
  }
  api::Context* context() const { return context_.get(); }

  static std::vector<float> random_floats(size_t count, float low = -2, float high = 2, unsigned seed = 1) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform(low, high);
    std::vector<float> values(count);
    for (float& value : values) value = uniform(random);
    return values;
  }

  // Runs call(context, inputs on the device..., result) there and on the CPU; both must give the same bits.
  template <class TY, class Call, class... Inputs>
  std::vector<TY> on_both(size_t results, Call call, const std::vector<Inputs>&... inputs) {
    TY* result = device_array(std::vector<TY>(results));
    EXPECT_EQ(call(context(), device_array(inputs)..., result), api::SUCCESS) << api::xdnn_last_error();
    EXPECT_EQ(xpu_wait(), 0);
    const std::vector<TY> there = host_array(result, results);
    api::Context host(api::kCPU);
    std::vector<TY> here(results);
    EXPECT_EQ(call(&host, inputs.data()..., here.data()), api::SUCCESS) << api::xdnn_last_error();
    EXPECT_EQ(std::memcmp(there.data(), here.data(), results * sizeof(TY)), 0) << "the device and a CPU context differ";
    return there;
  }

 private:
  struct Destroy {
    void operator()(api::Context* context) const { api::destroy_context(context); }
  };
  std::unique_ptr<api::Context, Destroy> context_;
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST_F(KunlunXdnn, FunctionsOfOneNumber) {
  struct Row {
    const char* name;
    int (*call)(api::Context*, const float*, float*, int64_t);
    double (*truth)(double);
    float low = -3, high = 3;
  };
  const Row rows[] = {
      {"exp", api::exp<float>, std::exp},
      {"exp2", api::exp2<float>, std::exp2},
      {"expm1", api::expm1<float>, std::expm1},
      {"log", api::log<float>, std::log, 0.01f, 9},
      {"log2", api::log2<float>, std::log2, 0.01f, 9},
      {"log10", api::log10<float>, std::log10, 0.01f, 9},
      {"log1p", api::log1p<float>, std::log1p, -0.9f, 9},
      {"sqrt", api::sqrt<float>, std::sqrt, 0, 9},
      {"rsqrt", api::rsqrt<float>, [](double x) { return 1 / std::sqrt(x); }, 0.1f, 9},
      {"cbrt", api::cbrt<float>, std::cbrt},
      {"reciprocal", api::reciprocal<float>, [](double x) { return 1 / x; }, 0.1f, 9},
      {"erf", api::erf<float>, std::erf},
      {"floor", api::floor<float>, std::floor},
      {"ceil", api::ceil<float>, std::ceil},
      {"trunc", api::trunc<float>, std::trunc},
      {"round_half_even", api::round_half_even<float>, std::nearbyint},
      {"sin", api::sin<float>, std::sin},
      {"cos", api::cos<float>, std::cos},
      {"tan", api::tan<float>, std::tan, -1, 1},
      {"arcsin", api::arcsin<float>, std::asin, -1, 1},
      {"arccos", api::arccos<float>, std::acos, -1, 1},
      {"arctan", api::arctan<float>, std::atan},
      {"sinh", api::sinh<float>, std::sinh},
      {"cosh", api::cosh<float>, std::cosh},
      {"asinh", api::asinh<float>, std::asinh},
      {"acosh", api::acosh<float>, std::acosh, 1, 9},
      {"atanh", api::atanh<float>, std::atanh, -0.9f, 0.9f},
      {"abs", api::abs<float>, std::fabs},
      {"neg", api::neg<float>, [](double x) { return -x; }},
      {"square", api::square<float>, [](double x) { return x * x; }},
      {"sign", api::sign<float>, [](double x) { return x > 0   ? 1.0
                                                       : x < 0 ? -1.0
                                                               : x; }},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const std::vector<float> x = random_floats(1000, row.low, row.high);
    const auto y = on_both<float>(
        x.size(), [&](api::Context* ctx, const float* in, float* out) { return row.call(ctx, in, out, 1000); }, x);
    for (size_t i = 0; i < x.size(); ++i) {
      const double truth = row.truth(x[i]);
      ASSERT_NEAR(y[i], truth, 4e-7 * std::fabs(truth) + 1e-7) << x[i];
    }
  }
}

TEST_F(KunlunXdnn, Activations) {
  struct Row {
    const char* name;
    int (*call)(api::Context*, const float*, float*, int64_t, const float*, float*);
    double (*truth)(double);
  };
  const Row rows[] = {
      {"relu", api::relu<float>, [](double x) { return std::max(x, 0.0); }},
      {"relu6", api::relu6<float>, [](double x) { return std::clamp(x, 0.0, 6.0); }},
      {"sigmoid", api::sigmoid<float>, sigmoid},
      {"log_sigmoid", api::log_sigmoid<float>, [](double x) { return -std::log1p(std::exp(-x)); }},
      {"tanh", api::tanh<float>, std::tanh},
      {"gelu", api::gelu<float>, [](double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); }},
      {"quick_gelu", api::quick_gelu<float>, [](double x) { return x * sigmoid(1.702 * x); }},
      {"swish", api::swish<float>, [](double x) { return x * sigmoid(x); }},
      {"hard_swish", api::hard_swish<float>, [](double x) { return x * std::clamp(x + 3, 0.0, 6.0) / 6; }},
      {"softsign", api::softsign<float>, [](double x) { return x / (1 + std::fabs(x)); }},
      {"tanh_shrink", api::tanh_shrink<float>, [](double x) { return x - std::tanh(x); }},
  };
  const std::vector<float> x = random_floats(1000, -8, 8);
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const auto y = on_both<float>(
        x.size(),
        [&](api::Context* ctx, const float* in, float* out) { return row.call(ctx, in, out, 1000, nullptr, nullptr); },
        x);
    for (size_t i = 0; i < x.size(); ++i) {
      const double truth = row.truth(x[i]);
      ASSERT_NEAR(y[i], truth, 1e-6 * std::fabs(truth) + 1e-6) << x[i];
    }
  }
  // The absolute maximum of the result, as many times as there are SDNN units.
  float* const maxima = device_array(std::vector<float>(6, -1));
  float* const y = device_array(std::vector<float>(1000));
  ASSERT_EQ(api::relu<float>(context(), device_array(x), y, 1000, nullptr, maxima), api::SUCCESS);
  EXPECT_EQ(xpu_wait(), 0);
  EXPECT_THAT(host_array(maxima, 6), ::testing::Each(*std::max_element(x.begin(), x.end())));
}

TEST_F(KunlunXdnn, IntegersDivideAndWrap) {
  constexpr int kLeast = std::numeric_limits<int>::min(), kGreatest = std::numeric_limits<int>::max();
  const std::vector<int> x = {7, -7, 7, -7, kLeast, 5, kGreatest, kLeast}, y = {2, 2, -2, -2, -1, 0, 1, 1};
  const auto result = [&](auto call) {
    return on_both<int>(
        x.size(), [&](api::Context* ctx, const int* a, const int* b, int* c) { return call(ctx, a, b, c, 8); }, x, y);
  };
  EXPECT_EQ(result(api::div<int>), (std::vector{3, -3, -3, 3, kLeast, 0, kGreatest, kLeast}));
  EXPECT_EQ(result(api::floordiv<int>), (std::vector{3, -4, -4, 3, kLeast, 0, kGreatest, kLeast}));
  EXPECT_EQ(result(api::mod<int>), (std::vector{1, 1, -1, -1, 0, 0, 0, 0}));
  EXPECT_EQ(result(api::fmod<int>), (std::vector{1, -1, 1, -1, 0, 0, 0, 0}));
  EXPECT_EQ(result(api::add<int>), (std::vector{9, -5, 5, -9, kGreatest, 5, kLeast, kLeast + 1}));
}

TEST_F(KunlunXdnn, ShapesBroadcast) {
  const std::vector<float> x = random_floats(6), y = random_floats(3);
  const auto z = on_both<float>(
      6,
      [](api::Context* ctx, const float* a, const float* b, float* c) {
        return api::broadcast_sub<float>(ctx, a, b, c, {2, 3}, {3});
      },
      x, y);
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(z[i], x[i] - y[i % 3]);
  float* const out = device_array(std::vector<float>(6));
  EXPECT_EQ(api::broadcast_sub<float>(context(), device_array(x), device_array(y), out, {2, 3}, {2}),
            api::INVALID_PARAM);
  EXPECT_THAT(api::xdnn_last_error(), HasSubstr("do not broadcast"));
}

TEST_F(KunlunXdnn, ReductionsOverAnyAxes) {
  const api::Shape shape = {3, 4, 5, 6};
  const std::vector<float> x = random_floats(360);
  for (const api::Shape& axes : {api::Shape{3}, api::Shape{0}, api::Shape{1, 2}, api::Shape{0, 3}, api::Shape{}}) {
    std::vector<double> sums, greatest;
    std::vector<bool> gone(4, axes.empty());
    for (const int64_t axis : axes) gone[static_cast<size_t>(axis)] = true;
    int64_t results = 1;
    for (size_t a = 0; a < 4; ++a) results *= gone[a] ? 1 : shape[a];
    sums.assign(static_cast<size_t>(results), 0);
    greatest.assign(static_cast<size_t>(results), -1e9);
    for (int64_t i = 0; i < 360; ++i) {
      const int64_t index[] = {i / 120, i / 30 % 4, i / 6 % 5, i % 6};
      int64_t at = 0;
      for (size_t a = 0; a < 4; ++a) at = gone[a] ? at : at * shape[a] + index[a];
      sums[static_cast<size_t>(at)] += x[static_cast<size_t>(i)];
      greatest[static_cast<size_t>(at)] =
          std::max<double>(greatest[static_cast<size_t>(at)], x[static_cast<size_t>(i)]);
    }
    const auto reduced = [&](auto call) {
      return on_both<float>(
          sums.size(), [&](api::Context* ctx, const float* in, float* out) { return call(ctx, in, out, shape, axes); },
          x);
    };
    const auto sum = reduced(api::reduce_sum<float>), most = reduced(api::reduce_max<float>);
    for (size_t i = 0; i < sums.size(); ++i) {
      EXPECT_NEAR(sum[i], sums[i], 1e-4);
      EXPECT_EQ(most[i], static_cast<float>(greatest[i]));
    }
  }
}

// ---- products

// The truth of a convolution on n x c x h x w, in doubles.
std::vector<double> convolved(const std::vector<float>& x, const std::vector<float>& w, int64_t n, int64_t c, int64_t h,
                              int64_t width, int64_t f, int64_t k, int64_t stride, int64_t pad, int64_t group) {
  const int64_t oh = (h + 2 * pad - k) / stride + 1, ow = (width + 2 * pad - k) / stride + 1, channels = c / group;
  std::vector<double> y(static_cast<size_t>(n * f * oh * ow));
  for (int64_t i = 0; i < static_cast<int64_t>(y.size()); ++i) {
    const int64_t image = i / (f * oh * ow), out = i / (oh * ow) % f, row = i / ow % oh, column = i % ow;
    for (int64_t l = 0; l < channels * k * k; ++l) {
      const int64_t channel = out / (f / group) * channels + l / (k * k);
      const int64_t r = row * stride - pad + l / k % k, s = column * stride - pad + l % k;
      if (r < 0 || r >= h || s < 0 || s >= width) continue;
      y[static_cast<size_t>(i)] +=
          static_cast<double>(x[static_cast<size_t>(((image * c + channel) * h + r) * width + s)]) *
          w[static_cast<size_t>(out * channels * k * k + l)];
    }
  }
  return y;
}

TEST_F(KunlunXdnn, ConvolutionsInEveryArithmetic) {
  constexpr int64_t kN = 2, kC = 6, kH = 7, kW = 5, kF = 8, kKernel = 3;
  const std::vector<float> x = random_floats(kN * kC * kH * kW);
  for (const int64_t group : {int64_t{1}, int64_t{2}}) {
    const std::vector<float> w = random_floats(static_cast<size_t>(kF * kC / group * 9), -1, 1, 2);
    const std::vector<double> truth = convolved(x, w, kN, kC, kH, kW, kF, kKernel, 2, 1, group);
    const auto run = [&](auto call) {
      return on_both<float>(
          truth.size(),
          [&](api::Context* ctx, const float* a, const float* b, float* out) {
            return call(ctx, a, b, out, kN, kC, kH, kW, kF, std::vector<int64_t>{3, 3}, std::vector<int64_t>{2, 2},
                        std::vector<int64_t>{1, 1}, std::vector<int64_t>{1, 1}, group, nullptr, nullptr, nullptr, true);
          },
          x, w);
    };
    const auto farthest = [&](const std::vector<float>& y) {
      double most = 0;
      for (size_t i = 0; i < y.size(); ++i) most = std::max(most, std::fabs(y[i] - truth[i]));
      return most;
    };
    // Half a step of each operand: 54 products of up to 2 and 1.
    const double terms = static_cast<double>(kC / group * 9);
    EXPECT_LT(farthest(run(api::conv2d<float, float, float, float>)), 1e-5);
    EXPECT_LT(farthest(run(api::conv2d<float, float, float, int32_t>)), 1e-5);
    EXPECT_LT(farthest(run(api::conv2d<float, float, float, int16_t>)), terms * 2.0 / 32767);
    EXPECT_LT(farthest(run(api::conv2d<float, float, float, int8_t>)), terms * 2.0 / 127);
    EXPECT_LT(farthest(run(api::conv2d<float, float, float, api::float16>)), terms * 2.0 / 1024);
    EXPECT_GT(farthest(run(api::conv2d<float, float, float, int8_t>)), 1e-3);  // it is not secretly exact
  }
}

// Channels last is the same convolution.
TEST_F(KunlunXdnn, ConvolutionsWithChannelsLast) {
  constexpr int64_t kN = 2, kC = 3, kH = 6, kW = 5, kF = 4;
  const std::vector<float> x = random_floats(kN * kC * kH * kW), w = random_floats(kF * kC * 9, -1, 1, 2);
  std::vector<float> x_last(x.size()), w_last(w.size());
  for (int64_t i = 0; i < kN * kC * kH * kW; ++i) {
    const int64_t n = i / (kC * kH * kW), c = i / (kH * kW) % kC, p = i % (kH * kW);
    x_last[static_cast<size_t>((n * kH * kW + p) * kC + c)] = x[static_cast<size_t>(i)];
  }
  for (int64_t i = 0; i < kF * kC * 9; ++i) {
    w_last[static_cast<size_t>((i / (kC * 9) * 9 + i % 9) * kC + i / 9 % kC)] = w[static_cast<size_t>(i)];
  }
  const auto run = [&](bool first, const std::vector<float>& a, const std::vector<float>& b) {
    return on_both<float>(
        kN * kF * kH * kW,
        [&](api::Context* ctx, const float* in, const float* weight, float* out) {
          return api::conv2d<float, float, float, int16_t>(ctx, in, weight, out, kN, kC, kH, kW, kF, {3, 3}, {1, 1},
                                                           {1, 1}, {1, 1}, 1, nullptr, nullptr, nullptr, first);
        },
        a, b);
  };
  const std::vector<float> first = run(true, x, w), last = run(false, x_last, w_last);
  for (int64_t i = 0; i < kN * kF * kH * kW; ++i) {
    const int64_t n = i / (kF * kH * kW), f = i / (kH * kW) % kF, p = i % (kH * kW);
    ASSERT_EQ(first[static_cast<size_t>(i)], last[static_cast<size_t>((n * kH * kW + p) * kF + f)]);
  }
}

// Numbers that were made fixed-point ahead give the same bits as those the product makes itself.
TEST_F(KunlunXdnn, QuantizedAheadOrOnTheWay) {
  constexpr int64_t kM = 5, kN = 7, kK = 9;
  const std::vector<float> x = random_floats(kM * kK), w = random_floats(kN * kK, -1, 1, 2);
  float* const y = device_array(std::vector<float>(kM * kN));
  const float *const dx = device_array(x), *const dw = device_array(w);
  ASSERT_EQ(
      (api::fc<float, float, float, int16_t>(context(), dx, dw, y, kM, kN, kK, false, true, nullptr, nullptr, nullptr)),
      api::SUCCESS);
  ASSERT_EQ(xpu_wait(), 0);
  const std::vector<float> on_the_way = host_array(y, kM * kN);
  float* const maxima = device_array(std::vector<float>(6));
  int16_t* const numbers = device_array(std::vector<int16_t>(kN * kK));
  ASSERT_EQ(api::findmax<float>(context(), dw, maxima, kN * kK), api::SUCCESS);
  ASSERT_EQ((api::quantization<float, int16_t>(context(), dw, numbers, kN * kK, maxima)), api::SUCCESS);
  ASSERT_EQ((api::fc<float, int16_t, float, int16_t>(context(), dx, numbers, y, kM, kN, kK, false, true, nullptr,
                                                     maxima, nullptr)),
            api::SUCCESS);
  ASSERT_EQ(xpu_wait(), 0);
  EXPECT_EQ(host_array(y, kM * kN), on_the_way);
}

// ---- rules

TEST_F(KunlunXdnn, ArgumentsThatBreakARule) {
  float* const x = device_array(std::vector<float>(24));
  const auto refused = [](int code, const char* words) {
    EXPECT_EQ(code, api::INVALID_PARAM);
    EXPECT_THAT(api::xdnn_last_error(), HasSubstr(words));
  };
  refused(api::exp<float>(nullptr, x, x, 24), "context");
  refused(api::exp<float>(context(), nullptr, x, 24), "null");
  refused(api::exp<float>(context(), x, x, -1), "negative");
  refused(api::exp<float>(context(), x, x, 25), "no memory of the device");
  refused(api::softmax<float>(context(), x, x, {4, 6}, 2), "axis");
  refused(api::reduce_sum<float>(context(), x, x, {4, 6}, {1, 1}), "twice");
  refused(api::concat<float>(context(), {x, x}, x, {{2, 3}, {2, 4}}, 0), "does not go beside");
  refused(api::argmax<float>(context(), x, device_array(std::vector<int64_t>(4)), {4, 0}, 1), "empty");
  refused((api::max_pool2d<float, int>(context(), x, x, nullptr, 1, 1, 4, 6, {2, 2}, {2, 2}, {2, 2}, true)),
          "hold no element");
  refused((api::conv2d<float, float, float, float>(context(), x, x, x, 1, 1, 4, 6, 1, {9, 9}, {1, 1}, {0, 0}, {1, 1}, 1,
                                                   nullptr, nullptr, nullptr, true)),
          "does not fit");
  refused((api::fc<float, int16_t, float, int16_t>(context(), x, device_array(std::vector<int16_t>(4)), x, 2, 2, 2,
                                                   false, false, nullptr, nullptr, nullptr)),
          "max-pointer");
  EXPECT_EQ(xpu_wait(), 0);  // none of them reached the device
}

TEST_F(KunlunXdnn, AnIndexOutOfRangeIsAFaultOfTheDevice) {
  float* const x = device_array(random_floats(6));
  float* const y = device_array(std::vector<float>(4));
  ASSERT_EQ((api::gather<float, int>(context(), x, device_array(std::vector{2, -1}), y, {3, 2}, 2, 0)), api::SUCCESS);
  ASSERT_EQ(xpu_wait(), 0);
  const auto table = host_array(x, 6);
  EXPECT_EQ(host_array(y, 4), (std::vector{table[4], table[5], table[4], table[5]}));
  ASSERT_EQ((api::gather<float, int>(context(), x, device_array(std::vector{0, 3}), y, {3, 2}, 2, 0)), api::SUCCESS);
  EXPECT_EQ(xpu_wait(), -XPUERR_KEXCEPTION);
  EXPECT_THAT(xpusim_fault_text(0), HasSubstr("index 3"));
}

TEST_F(KunlunXdnn, GenerationsLackArithmetic) {
  start({{"XPUSIM_DEVICE_MODEL", "K200"}});
  api::Context first{api::Device(api::kXPU1)};
  auto* const halves = device_array(std::vector<api::float16>(4));
  EXPECT_EQ(api::exp<api::float16>(&first, halves, halves, 4), api::NOT_IMPLEMENT);
}

TEST_F(KunlunXdnn, AContextBelongsToItsDevice) {
  start({{"XPUSIM_DEVICE_MODEL", "R480-X8"}});
  api::Context other{api::Device(api::kXPU2)};
  ASSERT_EQ(xpu_set_device(1), 0);
  float* const x = device_array(std::vector<float>(4));
  EXPECT_EQ(api::exp<float>(&other, x, x, 4), api::INVALID_PARAM);
  EXPECT_THAT(api::xdnn_last_error(), HasSubstr("current device is 1"));
}

// ---- time

TEST_F(KunlunXdnn, AProductTakesWhatTheFormulaSays) {
  const xpu::Generation& card = *xpu::find_generation("R200");
  const xpu::Costs& costs = xpu::default_costs();
  constexpr int64_t kM = 64, kN = 1024, kK = 2048;
  float* const y = device_array(std::vector<float>(kM * kN));
  const float* const x = device_array(std::vector<float>(kM * kK));
  int16_t* const w = device_array(std::vector<int16_t>(kN * kK));
  float* const maxima = device_array(std::vector<float>(6, 1));
  const uint64_t before = now_ns();
  ASSERT_EQ(
      (api::fc<float, int16_t, float, int16_t>(context(), x, w, y, kM, kN, kK, false, true, maxima, maxima, nullptr)),
      api::SUCCESS);
  ASSERT_EQ(xpu_wait(), 0);
  const double weights = costs.weight_factor * kN * kK * sizeof(int16_t) / card.memory_gbps;
  const double products = costs.operation_factor * 2.0 * kM * kN * kK / (card.fp16_tops * 1e3);
  EXPECT_NEAR(static_cast<double>(now_ns() - before), costs.launch + weights + products, 0.1 * costs.launch);
}

}  // namespace
}  // namespace trireme::testing
