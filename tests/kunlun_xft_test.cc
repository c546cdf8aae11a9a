// The library of fused Transformer layers of the virtual Kunlun device by itself: against the operators of XDNN one
// after the other, its clock against the formula of its header, and arguments that break its rules. (The chip that uses
// it: chip_kunlun_transformer_test.)
//
// ctest: links=trireme_kunlun_virtual
#include "xpu/xft.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <random>

#include "chips/kunlun/virtual/generation.h"
#include "kunlun.h"
#include "xpu/xdnn.h"

namespace trireme::testing {
namespace {

namespace api = baidu::xpu::api;
namespace xft = baidu::xpu::xft;
using ::testing::HasSubstr;

struct Extents {
  int64_t batch, length, width, inner;
  int heads;
  int64_t rows() const { return batch * length; }
  int64_t features() const { return rows() * width; }
};

std::vector<float> random_floats(int64_t count, unsigned seed, float most = 1) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-most, most);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = uniform(random);
  return values;
}

// The weights of one layer, on the host.
struct Values {
  std::vector<float> ln_scale, ln_bias, qkv, qkv_bias, out, out_bias, ffn_ln_scale, ffn_ln_bias, ffn1, ffn1_bias, ffn2,
      ffn2_bias;
  Values(const Extents& e, unsigned seed)
      : ln_scale(random_floats(e.width, seed)),
        ln_bias(random_floats(e.width, seed + 1)),
        qkv(random_floats(3 * e.width * e.width, seed + 2, 0.3f)),
        qkv_bias(random_floats(3 * e.width, seed + 3)),
        out(random_floats(e.width * e.width, seed + 4, 0.3f)),
        out_bias(random_floats(e.width, seed + 5)),
        ffn_ln_scale(random_floats(e.width, seed + 6)),
        ffn_ln_bias(random_floats(e.width, seed + 7)),
        ffn1(random_floats(e.inner * e.width, seed + 8, 0.3f)),
        ffn1_bias(random_floats(e.inner, seed + 9)),
        ffn2(random_floats(e.inner * e.width, seed + 10, 0.3f)),
        ffn2_bias(random_floats(e.width, seed + 11)) {}
};

class KunlunXft : public KunlunTest {
 protected:
  void SetUp() override {
    KunlunTest::SetUp();
    context_.reset(api::create_context());
  }
  void TearDown() override {
    context_.reset();
    KunlunTest::TearDown();
  }
  void restart(const std::string& model) {
    context_.reset();
    start({{"XPUSIM_DEVICE_MODEL", model}});
    context_.reset(api::create_context());
  }
  api::Context* context() const { return context_.get(); }

  static xft::xftVec<float> vec(const std::vector<float>& values) {
    return {device_array(values), {static_cast<int64_t>(values.size())}};
  }
  static xft::xftMat<float> mat(const std::vector<float>& values, int64_t rows) {
    return {device_array(values), {rows, static_cast<int64_t>(values.size()) / rows}};
  }
  static xft::LayerWeights<float> on_device(const std::vector<Values>& layers, const Extents& e) {
    xft::LayerWeights<float> w;
    for (const Values& v : layers) {
      w.ln_scale.push_back(vec(v.ln_scale));
      w.ln_bias.push_back(vec(v.ln_bias));
      w.qkv_weight.push_back(mat(v.qkv, 3 * e.width));
      w.qkv_bias.push_back(vec(v.qkv_bias));
      w.out_linear_weight.push_back(mat(v.out, e.width));
      w.out_linear_bias.push_back(vec(v.out_bias));
      w.ffn_ln_scale.push_back(vec(v.ffn_ln_scale));
      w.ffn_ln_bias.push_back(vec(v.ffn_ln_bias));
      w.ffn1_weight.push_back(mat(v.ffn1, e.inner));
      w.ffn1_bias.push_back(vec(v.ffn1_bias));
      w.ffn2_weight.push_back(mat(v.ffn2, e.width));
      w.ffn2_bias.push_back(vec(v.ffn2_bias));
    }
    return w;
  }
  static xft::xftTensor<float, 3> tensor(float* data, const Extents& e) { return {data, {e.batch, e.length, e.width}}; }

  // Nanoseconds on the clock of the device; all of it has to be queued inside of `f`.
  template <class F>
  uint64_t timed(F f) {
    EXPECT_EQ(xpu_wait(context()->xpu_stream), 0);
    const uint64_t before = now_ns();
    f();
    EXPECT_EQ(xpu_wait(context()->xpu_stream), 0);
    return now_ns() - before;
  }

 private:
  struct Destroy {
    void operator()(api::Context* context) const { api::destroy_context(context); }
  };
  std::unique_ptr<api::Context, Destroy> context_;
};

xft::NlpParam param_of(const Extents& e, const std::string& act, bool pre_norm, bool causal = false) {
  xft::NlpParam param;
  param.n_head = e.heads;
  param.size_per_head = static_cast<int>(e.width / e.heads);
  param.hidden_act = act;
  param.is_pre_norm = pre_norm;
  param.is_causal = causal;
  return param;
}

// A layer as one operator of XDNN after the other, on the host.
std::vector<float> in_parts(const Extents& e, const Values& v, const xft::NlpParam& p, std::vector<float> x,
                            const float* mask = nullptr, const std::vector<int64_t>& mask_shape = {}) {
  api::Context host(api::kCPU);
  const int64_t rows = e.rows(), width = e.width;
  using Vec = std::vector<float>;
  const auto norm = [&](const Vec& from, const Vec& scale, const Vec& bias) {
    Vec to(from.size());
    EXPECT_EQ(api::layer_norm<float>(&host, from.data(), to.data(), rows, width, p.epsilon, scale.data(), bias.data(),
                                     nullptr, nullptr),
              0);
    return to;
  };
  const auto linear = [&](const Vec& from, const Vec& weight, const Vec& bias, api::Activation_t act) {
    const int64_t n = static_cast<int64_t>(bias.size()), k = static_cast<int64_t>(weight.size()) / n;
    Vec to(static_cast<size_t>(rows * n));
    EXPECT_EQ((api::fc_fusion<float, float, float, int16_t>(&host, from.data(), weight.data(), to.data(), rows, n, k,
                                                            false, true, nullptr, nullptr, nullptr, k, k, n, 1, 0,
                                                            bias.data(), act)),
              0);
    return to;
  };
  const auto sum = [&](const Vec& a, const Vec& b) {
    Vec to(a.size());
    EXPECT_EQ(api::add<float>(&host, a.data(), b.data(), to.data(), static_cast<int64_t>(a.size())), 0);
    return to;
  };
  const Vec joint = linear(p.is_pre_norm ? norm(x, v.ln_scale, v.ln_bias) : x, v.qkv, v.qkv_bias, {});
  Vec parts[3];
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t part = 0; part < 3; ++part) {
      const auto from = joint.begin() + (r * 3 + part) * width;
      parts[part].insert(parts[part].end(), from, from + width);
    }
  }
  Vec attended(x.size());
  EXPECT_EQ(
      (api::qkv_attention<float, int16_t>(
          &host, parts[0].data(), parts[1].data(), parts[2].data(), attended.data(), nullptr, nullptr, nullptr, nullptr,
          {e.batch, e.length, e.length, e.heads, e.heads, width / e.heads, p.is_causal}, mask, mask_shape)),
      0);
  Vec y = sum(x, linear(attended, v.out, v.out_bias, {}));
  if (!p.is_pre_norm) y = norm(y, v.ln_scale, v.ln_bias);
  const api::Activation_t act = p.hidden_act == "relu"   ? api::Activation_t::RELU
                                : p.hidden_act == "gelu" ? api::Activation_t::GELU
                                                         : api::Activation_t::LINEAR;
  Vec inner = linear(p.is_pre_norm ? norm(y, v.ffn_ln_scale, v.ffn_ln_bias) : y, v.ffn1, v.ffn1_bias, act);
  if (p.hidden_act == "gelu_tanh") {
    for (float& h : inner) {
      const double d = h;
      h = static_cast<float>(0.5 * d * (1 + std::tanh(std::sqrt(2 / M_PI) * (d + 0.044715 * d * d * d))));
    }
  }
  y = sum(y, linear(inner, v.ffn2, v.ffn2_bias, {}));
  return p.is_pre_norm ? y : norm(y, v.ffn_ln_scale, v.ffn_ln_bias);
}

TEST_F(KunlunXft, ALayerIsItsPartsBitForBit) {
  const Extents e{2, 5, 12, 20, 3};
  const Values values(e, 10);
  const auto weights = on_device({values}, e);
  const std::vector<float> x = random_floats(e.features(), 1, 2), mask = random_floats(2 * 5 * 5, 2);
  const std::vector<int64_t> mask_shape = {2, 1, 5, 5};
  for (const char* act : {"gelu", "relu", "gelu_tanh"}) {
    for (const bool pre_norm : {true, false}) {
      for (const bool causal : {true, false}) {
        SCOPED_TRACE(::testing::Message() << act << ", pre_norm " << pre_norm << ", causal " << causal);
        const xft::NlpParam param = param_of(e, act, pre_norm, causal);
        auto out = tensor(device_array(std::vector<float>(x.size())), e);
        ASSERT_EQ((xft::transformer_encoder<float, float, int16_t>(context(), tensor(device_array(x), e), weights, &out,
                                                                   param, device_array(mask), mask_shape)),
                  0)
            << api::xdnn_last_error();
        ASSERT_EQ(xpu_wait(), 0);
        const std::vector<float> y = host_array(out.data, x.size());
        const std::vector<float> expected = in_parts(e, values, param, x, mask.data(), mask_shape);
        for (size_t i = 0; i < y.size(); ++i) {
          if (param.hidden_act == "gelu_tanh") ASSERT_NEAR(y[i], expected[i], 2e-3) << i;  // other steps of fixed point
          else ASSERT_EQ(y[i], expected[i]) << i;
        }
      }
    }
  }
}

// As every operator does, on memory of the host.
TEST_F(KunlunXft, ACpuContextGivesTheSameBits) {
  const Extents e{1, 4, 8, 16, 2};
  Values v(e, 10);
  const auto vec = [](std::vector<float>& values) {
    return xft::xftVec<float>(values.data(), {static_cast<int64_t>(values.size())});
  };
  const auto mat = [](std::vector<float>& values, int64_t rows) {
    return xft::xftMat<float>(values.data(), {rows, static_cast<int64_t>(values.size()) / rows});
  };
  const xft::LayerWeights<float> weights{{vec(v.ln_scale)},     {vec(v.ln_bias)},     {mat(v.qkv, 24)},
                                         {vec(v.qkv_bias)},     {mat(v.out, 8)},      {vec(v.out_bias)},
                                         {vec(v.ffn_ln_scale)}, {vec(v.ffn_ln_bias)}, {mat(v.ffn1, 16)},
                                         {vec(v.ffn1_bias)},    {mat(v.ffn2, 8)},     {vec(v.ffn2_bias)}};
  const xft::NlpParam param = param_of(e, "relu", true);
  std::vector<float> x = random_floats(e.features(), 1, 2);
  const std::vector<float> expected = in_parts(e, v, param, x);
  api::Context host(api::kCPU);
  auto out = tensor(x.data(), e);
  ASSERT_EQ((xft::transformer_encoder<float, float, int16_t>(&host, out, weights, &out, param)), 0);
  EXPECT_EQ(x, expected);
}

TEST_F(KunlunXft, LayersFollowEachOther) {
  const Extents e{1, 4, 8, 16, 2};
  const std::vector<Values> values = {Values(e, 10), Values(e, 40), Values(e, 70)};
  const std::vector<float> x = random_floats(e.features(), 1, 2);
  std::vector<float> expected = x;
  xft::NlpParam param = param_of(e, "gelu", false);
  for (const Values& v : values) expected = in_parts(e, v, param, expected);
  param.num_layer = 3;
  auto out = tensor(device_array(x), e);  // in place
  ASSERT_EQ((xft::transformer_encoder<float, float, int16_t>(context(), out, on_device(values, e), &out, param)), 0);
  ASSERT_EQ(xpu_wait(), 0);
  EXPECT_EQ(host_array(out.data, x.size()), expected);
}

// Weights that are fixed-point already, with 16-bit floats around: the only form of float16 that callers show.
TEST_F(KunlunXft, FixedPointWeightsOfFloat16Layers) {
  const Extents e{1, 3, 8, 16, 2};
  const Values values(e, 10);
  const auto weights = on_device({values}, e);
  xft::LayerWeights<int16_t> fixed{.ln_scale = weights.ln_scale,
                                   .ln_bias = weights.ln_bias,
                                   .qkv_bias = weights.qkv_bias,
                                   .out_linear_bias = weights.out_linear_bias,
                                   .ffn_ln_scale = weights.ffn_ln_scale,
                                   .ffn_ln_bias = weights.ffn_ln_bias,
                                   .ffn1_bias = weights.ffn1_bias,
                                   .ffn2_bias = weights.ffn2_bias};
  const auto fixed_mat = [&](const std::vector<float>& w, int64_t rows) -> xft::xftMat<int16_t> {
    float most = 0;
    for (const float each : w) most = std::max(most, std::fabs(each));
    std::vector<int16_t> numbers;
    for (const float each : w) numbers.push_back(static_cast<int16_t>(std::nearbyint(each * 32767.0 / most)));
    return {device_array(numbers),
            device_array(std::vector<float>(static_cast<size_t>(context()->max_ptr_size()), most)),
            {rows, static_cast<int64_t>(w.size()) / rows}};
  };
  fixed.qkv_weight = {fixed_mat(values.qkv, 3 * e.width)};
  fixed.out_linear_weight = {fixed_mat(values.out, e.width)};
  fixed.ffn1_weight = {fixed_mat(values.ffn1, e.inner)};
  fixed.ffn2_weight = {fixed_mat(values.ffn2, e.width)};
  const std::vector<float> x = random_floats(e.features(), 1, 2);
  const std::vector<api::float16> halves(x.begin(), x.end());
  const xft::NlpParam param = param_of(e, "gelu", true);
  const std::array<int64_t, 3> dims = {1, 3, 8};
  xft::xftTensor<api::float16, 3> out(device_array(halves), dims);
  ASSERT_EQ((xft::transformer_encoder<api::float16, int16_t, int16_t>(context(), out, fixed, &out, param)), 0);
  ASSERT_EQ(xpu_wait(), 0);
  const std::vector<api::float16> y = host_array(out.data, x.size());
  const std::vector<float> expected = in_parts(e, values, param, x);
  // Ten roundings to 11 bits of values up to 8.
  for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(static_cast<float>(y[i]), expected[i], 0.04) << i;
}

// ---- the decoder

// Steps with a cache give what the whole sequence gives, but for the steps of fixed point, which differ: absolute
// maxima are those of fewer rows.
TEST_F(KunlunXft, StepsWithACacheAreTheCausalLayer) {
  const Extents e{2, 6, 8, 16, 2}, one{2, 1, 8, 16, 2};
  const std::vector<Values> values = {Values(e, 10), Values(e, 40)};
  xft::NlpParam param = param_of(e, "gelu", true, true);
  const std::vector<float> x = random_floats(e.features(), 1, 2);
  std::vector<float> expected = x;
  for (const Values& v : values) expected = in_parts(e, v, param, expected);
  param.num_layer = 2;
  const auto weights = on_device(values, e);
  constexpr int64_t kLength = 9;
  const std::array<int64_t, 4> lies = {e.batch, e.heads, kLength, e.width / e.heads};
  const auto cache = [&] {
    // What lies behind the position must not count, whatever it is.
    return xft::xftTensor<float, 4>(device_array(std::vector<float>(static_cast<size_t>(e.batch * kLength * e.width),
                                                                    std::numeric_limits<float>::quiet_NaN())),
                                    lies);
  };
  const std::vector<xft::xftTensor<float, 4>> keys = {cache(), cache()}, cached_values = {cache(), cache()};
  for (int t = 0; t < e.length; ++t) {
    std::vector<float> now;
    for (int64_t n = 0; n < e.batch; ++n) {
      const auto from = x.begin() + (n * e.length + t) * e.width;
      now.insert(now.end(), from, from + e.width);
    }
    auto out = tensor(device_array(now), one);
    ASSERT_EQ((xft::fused_multi_transformer_gpt<float, float, int16_t>(
                  context(), out, weights, &out, keys, cached_values, param, device_array(std::vector<int>{t}))),
              0)
        << api::xdnn_last_error();
    ASSERT_EQ(xpu_wait(), 0);
    const std::vector<float> y = host_array(out.data, now.size());
    for (int64_t n = 0; n < e.batch; ++n) {
      for (int64_t d = 0; d < e.width; ++d) {
        const auto got = y[static_cast<size_t>(n * e.width + d)];
        ASSERT_NEAR(got, expected[static_cast<size_t>((n * e.length + t) * e.width + d)], 5e-3) << t;
      }
    }
  }
}

TEST_F(KunlunXft, ACopiedCacheIsLeftAsItWas) {
  const Extents e{1, 1, 8, 16, 2};
  const auto weights = on_device({Values(e, 10)}, e);
  const std::array<int64_t, 4> lies = {1, 2, 4, 4};
  const std::vector<float> x = random_floats(8, 1), k = random_floats(32, 2), v = random_floats(32, 3);
  float *first_k = device_array(k), *first_v = device_array(v), *own_k = device_array(k), *own_v = device_array(v),
        *copy_k = device_array(std::vector<float>(32)), *copy_v = device_array(std::vector<float>(32));
  auto out = tensor(device_array(x), e), other = tensor(device_array(x), e);
  const int* step = device_array(std::vector<int>{2});
  const xft::NlpParam param = param_of(e, "relu", false);
  const auto run = [&](xft::xftTensor<float, 3>* y, float* keys, float* values,
                       const std::vector<xft::xftTensor<float, 4>>& keys_in,
                       const std::vector<xft::xftTensor<float, 4>>& values_in) {
    return xft::fused_multi_transformer_gpt<float, float, int16_t>(
        context(), *y, weights, y, {{keys, lies}}, {{values, lies}}, param, step, "BHLD", keys_in, values_in);
  };
  ASSERT_EQ(run(&out, own_k, own_v, {}, {}), 0) << api::xdnn_last_error();
  ASSERT_EQ(run(&other, copy_k, copy_v, {{first_k, lies}}, {{first_v, lies}}), 0) << api::xdnn_last_error();
  ASSERT_EQ(xpu_wait(), 0);
  EXPECT_EQ(host_array(out.data, 8), host_array(other.data, 8));
  EXPECT_EQ(host_array(own_k, 32), host_array(copy_k, 32));
  EXPECT_EQ(host_array(own_v, 32), host_array(copy_v, 32));
  EXPECT_EQ(host_array(first_k, 32), k);
  EXPECT_EQ(host_array(first_v, 32), v);
  EXPECT_NE(host_array(own_k, 32), k);
}

// ---- time

// One launch, and all of the weights, the products and the data: nothing is hidden in it.
TEST_F(KunlunXft, TheClockCountsEveryPart) {
  const Extents e{1, 16, 256, 1024, 4};
  const auto weights = on_device({Values(e, 10)}, e);
  auto x = tensor(device_array(random_floats(e.features(), 1)), e), out = x;
  const auto& card = *trireme::xpu::find_generation("R200");
  const auto& costs = trireme::xpu::default_costs();
  const double weight_bytes = 4.0 * (4 * 256 * 256 + 2 * 256 * 1024);
  const double operations = 2.0 * 16 * (4 * 256 * 256 + 2 * 256 * 1024) + 4.0 * 16 * 16 * 256;
  const double product_ns = costs.weight_factor * weight_bytes / card.memory_gbps +
                            costs.operation_factor * operations / (card.fp16_tops * 1e3);
  // x twice, y, and the values between; the weights once more, for their maxima.
  const double data_ns = 4.0 * (18 * e.features() + 2 * e.rows() * e.inner) / card.memory_gbps;
  const double expected =
      costs.launch + product_ns + std::max(0.0, data_ns + weight_bytes / card.memory_gbps - costs.launch);
  const auto measured = static_cast<double>(timed([&] {
    ASSERT_EQ((xft::transformer_encoder<float, float, int16_t>(context(), x, weights, &out, param_of(e, "gelu", true))),
              0);
  }));
  EXPECT_NEAR(measured, expected, costs.launch_call * 3 + 0.01 * expected);
  EXPECT_GT(expected, costs.launch + 11000);  // so that the parts count
}

TEST_F(KunlunXft, L3HoldsWhatPassesBetweenTheParts) {
  const Extents e{64, 32, 16, 1024, 2};
  const auto weights = on_device({Values(e, 10)}, e);
  const std::vector<float> input = random_floats(e.features(), 1);
  const auto run = [&](std::vector<float>* y) {
    auto x = tensor(device_array(input), e), out = x;
    const uint64_t ns = timed([&] {
      ASSERT_EQ(
          (xft::transformer_encoder<float, float, int16_t>(context(), x, weights, &out, param_of(e, "gelu", true))), 0);
    });
    *y = host_array(out.data, input.size());
    return ns;
  };
  std::vector<float> first, second;
  const uint64_t in_gm = run(&first);
  constexpr size_t kBytes = 16 << 20;
  void* l3 = nullptr;
  ASSERT_EQ(xpu_malloc(&l3, kBytes, XPU_MEM_L3), 0);
  ASSERT_EQ(context()->_l3_mgr.set(l3, kBytes), 0);
  const uint64_t in_l3 = run(&second);
  EXPECT_EQ(first, second);
  EXPECT_LT(in_l3, in_gm);
  ASSERT_EQ(context()->_l3_mgr.set(nullptr, 0), 0);
  EXPECT_EQ(xpu_free(l3), 0);
}

// ---- what it refuses

TEST_F(KunlunXft, RefusesWhatBreaksItsRules) {
  const Extents e{1, 1, 8, 16, 2};
  const auto good = on_device({Values(e, 10)}, e);
  const xft::NlpParam param = param_of(e, "gelu", true);
  auto x = tensor(device_array(random_floats(8, 1)), e), out = x;
  const auto encode = [&](const xft::LayerWeights<float>& w, const xft::NlpParam& p) {
    return xft::transformer_encoder<float, float, int16_t>(context(), x, w, &out, p);
  };
  const auto refused = [&](int code, int expected, const char* text) {
    EXPECT_EQ(code, expected);
    EXPECT_THAT(api::xdnn_last_error(), HasSubstr(text));
  };
  EXPECT_EQ(encode(good, param), api::SUCCESS);
  xft::NlpParam p = param;
  p.hidden_act = "tanh";
  refused(encode(good, p), api::INVALID_PARAM, "hidden_act is 'tanh'");
  p = param;
  p.n_head = 3;
  refused(encode(good, p), api::INVALID_PARAM, "3 heads of 4 are no 8 features");
  p = param;
  p.num_layer = 2;
  refused(encode(good, p), api::INVALID_PARAM, "for 2 layers");
  p = param;
  p.num_layer = 0;
  refused(encode(good, p), api::INVALID_PARAM, "0 layers");
  p = param;
  p.epsilon = -1;
  refused(encode(good, p), api::INVALID_PARAM, "epsilon");
  p = param;
  p.is_fuse_qkv = false;
  refused(encode(good, p), api::NOT_IMPLEMENT, "one matrix");
  xft::LayerWeights<float> w = good;
  w.qkv_bias[0].dims = {8};
  refused(encode(w, param), api::INVALID_PARAM, "a vector of layer 0");
  w = good;
  w.ffn2_weight[0].dims = {16, 8};
  refused(encode(w, param), api::INVALID_PARAM, "a matrix of layer 0");
  w = good;
  w.out_linear_weight[0].data = nullptr;
  refused(encode(w, param), api::INVALID_PARAM, "is null");
  refused(xft::transformer_encoder<float, float, int16_t>(context(), x, good, &out, param, x.data, {1, 2, 3, 1}),
          api::INVALID_PARAM, "the mask [1, 2, 3, 1]");
  refused(xft::transformer_encoder<float, float, int16_t>(nullptr, x, good, &out, param), api::INVALID_PARAM,
          "the context is null");

  const std::array<int64_t, 4> lies = {1, 2, 4, 4};
  const auto decode = [&](const std::array<int64_t, 4>& dims, const int* step, const char* layout) {
    const std::vector<xft::xftTensor<float, 4>> cache = {{device_array(std::vector<float>(32)), dims}};
    return xft::fused_multi_transformer_gpt<float, float, int16_t>(context(), x, good, &out, cache, cache, param, step,
                                                                   layout);
  };
  const int* step = device_array(std::vector<int>{1});
  EXPECT_EQ(decode(lies, step, "BHLD"), api::SUCCESS);
  refused(decode({1, 4, 4, 2}, step, "BHLD"), api::INVALID_PARAM, "a cache is not [1, 2, 4, 4]");
  refused(decode(lies, nullptr, "BHLD"), api::INVALID_PARAM, "time_step is null");
  refused(decode(lies, step, "LBHD"), api::NOT_IMPLEMENT, "LBHD");
}

TEST_F(KunlunXft, AGenerationWithoutTheArithmeticSaysSo) {
  restart("K200");
  const Extents e{1, 2, 8, 16, 2};
  const std::array<int64_t, 3> dims = {1, 2, 8};
  xft::LayerWeights<api::float16> none;
  xft::xftTensor<api::float16, 3> x(nullptr, dims);
  EXPECT_EQ((xft::transformer_encoder<api::float16, api::float16, api::float16>(context(), x, none, &x,
                                                                                param_of(e, "gelu", true))),
            api::NOT_IMPLEMENT);
}

}  // namespace
}  // namespace trireme::testing
