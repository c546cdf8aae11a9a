#include "trireme/nn/layers.h"

#include <cmath>

#include "trireme/base/strings.h"

namespace trireme::nn {

namespace {

Tensor bias_for(int64_t fan_in, int64_t out, bool wanted) {
  return wanted ? uniform_init({out}, 1.0 / std::sqrt(static_cast<double>(fan_in))) : Tensor();
}

int64_t fan_in_of(int64_t in, const ConvOptions& options, int64_t kernel_elements) {
  if (options.groups < 1 || in % options.groups != 0) {
    throw Error(Code::kInvalidArgument, cat("a convolution of ", in, " channels cannot have ", options.groups,
                                            " groups: the groups must divide the channels"));
  }
  return in / options.groups * kernel_elements;
}

}  // namespace

// Weights uniform within 1/sqrt(fan_in): kaiming with slope sqrt(5).
Linear::Linear(int64_t in, int64_t out, bool with_bias)
    : weight(kaiming_uniform({out, in}, in, std::sqrt(5.0))), bias(bias_for(in, out, with_bias)) {}
Tensor Linear::operator()(const Tensor& x) const { return linear(x, weight, bias); }

Conv2d::Conv2d(int64_t in, int64_t out, int64_t kernel, ConvOptions o) : options(o) {
  const int64_t fan_in = fan_in_of(in, o, kernel * kernel);
  weight = kaiming_uniform({out, in / o.groups, kernel, kernel}, fan_in, std::sqrt(5.0));
  bias = bias_for(fan_in, out, o.bias);
}
Tensor Conv2d::operator()(const Tensor& x) const {
  return conv2d(x, weight, bias, {options.stride}, {options.padding}, {options.dilation}, options.groups);
}

Conv1d::Conv1d(int64_t in, int64_t out, int64_t kernel, ConvOptions o) : options(o) {
  const int64_t fan_in = fan_in_of(in, o, kernel);
  weight = kaiming_uniform({out, in / o.groups, kernel}, fan_in, std::sqrt(5.0));
  bias = bias_for(fan_in, out, o.bias);
}
Tensor Conv1d::operator()(const Tensor& x) const {
  return conv1d(x, weight, bias, {options.stride}, {options.padding}, {options.dilation}, options.groups);
}

BatchNorm::BatchNorm(int64_t channels)
    : weight(filled({channels}, 1)),
      bias(filled({channels}, 0)),
      running_mean(filled({channels}, 0)),
      running_variance(filled({channels}, 1)) {}

Tensor BatchNorm::operator()(const Tensor& x) {
  if (!training()) return batch_norm_inference(x, running_mean, running_variance, weight, bias, epsilon);
  const auto out = batch_norm(x, weight, bias, epsilon);
  const double count = static_cast<double>(x.shape().elements()) / static_cast<double>(x.size(1));
  const double unbiased = count > 1 ? count / (count - 1) : 1.0;
  running_mean.assign(running_mean * (1 - momentum) + out[1].detach() * momentum);
  running_variance.assign(running_variance * (1 - momentum) + out[2].detach() * (momentum * unbiased));
  return out[0];
}

LayerNorm::LayerNorm(int64_t features) : weight(filled({features}, 1)), bias(filled({features}, 0)) {}
Tensor LayerNorm::operator()(const Tensor& x) const { return layer_norm(x, weight, bias, 1, epsilon); }

RmsNorm::RmsNorm(int64_t features) : weight(filled({features}, 1)) {}
Tensor RmsNorm::operator()(const Tensor& x) const { return rms_norm(x, weight, 1, epsilon); }

GroupNorm::GroupNorm(int64_t g, int64_t channels)
    : weight(filled({channels}, 1)), bias(filled({channels}, 0)), groups(g) {}
Tensor GroupNorm::operator()(const Tensor& x) const { return group_norm(x, groups, weight, bias, epsilon); }

Embedding::Embedding(int64_t count, int64_t features, double deviation)
    : weight(normal_init({count, features}, deviation)) {}
Tensor Embedding::operator()(const Tensor& indices) const { return embedding(weight, indices); }

Tensor Dropout::operator()(const Tensor& x) const {
  return training() && probability > 0 ? dropout(x, next_key(), probability) : x;
}

Attention::Attention(int64_t features, int64_t h, bool is_causal, int64_t kh, bool with_rotary)
    : query(features, features),
      key(features, features / h * (kh > 0 ? kh : h)),
      value(features, features / h * (kh > 0 ? kh : h)),
      output(features, features),
      heads(h),
      key_heads(kh > 0 ? kh : h),
      causal(is_causal),
      rotary(with_rotary) {
  if (features % heads != 0 || heads % key_heads != 0) {
    throw Error(Code::kInvalidArgument, cat("attention: heads (", heads, ") must divide the features (", features,
                                            ") and be a multiple of the key heads (", key_heads, ")"));
  }
}

Tensor Attention::operator()(const Tensor& x) const {
  const int64_t batch = x.size(0), time = x.size(1), features = x.size(2), width = features / heads;
  const auto split_heads = [&](const Tensor& t, int64_t count) {
    return transpose(reshape(t, {batch, time, count, width}), {0, 2, 1, 3});
  };
  Tensor q = split_heads(query(x), heads), k = split_heads(key(x), key_heads);
  const Tensor v = split_heads(value(x), key_heads);
  if (rotary) {
    const Tensor positions = iota({time}, i32, 0);
    q = rope(q, positions);
    k = rope(k, positions);
  }
  const Tensor y = attention(q, k, v, {}, causal);
  return output(reshape(transpose(y, {0, 2, 1, 3}), {batch, time, features}));
}

KeyValueCache::KeyValueCache(int64_t batch, int64_t heads, int64_t length, int64_t head_features)
    : keys(filled({batch, heads, length, head_features}, 0)),
      values(filled({batch, heads, length, head_features}, 0)) {}

FusedTransformerLayer::FusedTransformerLayer(const LayerNorm& first, const Attention& attention,
                                             const LayerNorm& second, const Linear& up, const Linear& down,
                                             const std::string& activation, bool pre_norm)
    : heads_(attention.heads),
      causal_(attention.causal),
      pre_norm_(pre_norm),
      epsilon_(first.epsilon),
      activation_(activation) {
  const auto want = [](bool holds, std::string_view what) {
    if (!holds) throw Error(Code::kInvalidArgument, cat("a fused Transformer layer has no ", what));
  };
  want(!attention.rotary, "rotary position embedding");
  want(attention.key_heads == attention.heads, "groups of heads that share their keys");
  want(first.epsilon == second.epsilon, cat("norms of different epsilons: ", first.epsilon, " and ", second.epsilon));
  for (const Linear* part : {&attention.query, &attention.key, &attention.value, &attention.output, &up, &down}) {
    want(static_cast<bool>(part->bias), "linear layers without biases");
  }
  const auto copied = [](const Tensor& t) { return Tensor(t.literal()); };
  qkv_weight_ = copied(concat({attention.query.weight, attention.key.weight, attention.value.weight}, 0));
  qkv_bias_ = copied(concat({attention.query.bias, attention.key.bias, attention.value.bias}, 0));
  output_weight_ = copied(attention.output.weight), output_bias_ = copied(attention.output.bias);
  first_weight_ = copied(first.weight), first_bias_ = copied(first.bias);
  up_weight_ = copied(up.weight), up_bias_ = copied(up.bias);
  down_weight_ = copied(down.weight), down_bias_ = copied(down.bias);
  second_weight_ = copied(second.weight), second_bias_ = copied(second.bias);
}

Tensor FusedTransformerLayer::operator()(const Tensor& x) const {
  return transformer_encoder_layer(x, qkv_weight_, qkv_bias_, output_weight_, output_bias_, first_weight_, first_bias_,
                                   up_weight_, up_bias_, down_weight_, down_bias_, second_weight_, second_bias_, heads_,
                                   {}, activation_, pre_norm_, causal_, epsilon_);
}

Tensor FusedTransformerLayer::step(const Tensor& x, const Tensor& position, KeyValueCache& cache) const {
  const std::vector<Tensor> out =
      transformer_decoder_step(x, cache.keys, cache.values, position, qkv_weight_, qkv_bias_, output_weight_,
                               output_bias_, first_weight_, first_bias_, up_weight_, up_bias_, down_weight_, down_bias_,
                               second_weight_, second_bias_, activation_, pre_norm_, epsilon_);
  cache.keys.assign(out[1]);
  cache.values.assign(out[2]);
  return out[0];
}

}  // namespace trireme::nn
