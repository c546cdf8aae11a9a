// Layers. Shapes: N batch, C channels, T time, D features.
#pragma once

#include <string>
#include <vector>

#include "trireme/nn/module.h"

namespace trireme::nn {

// y = x w^T + b. x [..., in] -> [..., out]; weight [out, in].
struct Linear {
  Tensor weight, bias;
  Linear(int64_t in, int64_t out, bool with_bias = true);
  Tensor operator()(const Tensor& x) const;
  template <class V>
  void each(V& v) {
    v("weight", weight);
    v("bias", bias);
  }
};

struct ConvOptions {
  int64_t stride = 1, padding = 0, dilation = 1, groups = 1;
  bool bias = true;
};

// x [N, C, H, W] -> [N, out, H', W']; weight [out, in / groups, kernel, kernel].
struct Conv2d {
  Tensor weight, bias;
  ConvOptions options;
  Conv2d(int64_t in, int64_t out, int64_t kernel, ConvOptions options = {});
  Tensor operator()(const Tensor& x) const;
  template <class V>
  void each(V& v) {
    v("weight", weight);
    v("bias", bias);
  }
};

// x [N, C, T] -> [N, out, T'].
struct Conv1d {
  Tensor weight, bias;
  ConvOptions options;
  Conv1d(int64_t in, int64_t out, int64_t kernel, ConvOptions options = {});
  Tensor operator()(const Tensor& x) const;
  template <class V>
  void each(V& v) {
    v("weight", weight);
    v("bias", bias);
  }
};

// Normalises over N and the spatial axes. In training mode by the batch's statistics, which also move the running ones:
// r <- (1 - momentum) r + momentum b, with the unbiased batch variance; in evaluation by the running ones.
struct BatchNorm {
  Tensor weight, bias, running_mean, running_variance;
  double momentum = 0.1, epsilon = 1e-5;
  explicit BatchNorm(int64_t channels);
  Tensor operator()(const Tensor& x);
  template <class V>
  void each(V& v) {
    v("weight", weight);
    v("bias", bias);
    v.buffer("running_mean", running_mean);
    v.buffer("running_variance", running_variance);
  }
};

// Over the last axis.
struct LayerNorm {
  Tensor weight, bias;
  double epsilon = 1e-5;
  explicit LayerNorm(int64_t features);
  Tensor operator()(const Tensor& x) const;
  template <class V>
  void each(V& v) {
    v("weight", weight);
    v("bias", bias);
  }
};

// Over the last axis: y = x / rms(x) * weight (Zhang, Sennrich 2019).
struct RmsNorm {
  Tensor weight;
  double epsilon = 1e-6;
  explicit RmsNorm(int64_t features);
  Tensor operator()(const Tensor& x) const;
  template <class V>
  void each(V& v) {
    v("weight", weight);
  }
};

// Over groups of channels of x [N, C, ...] (Wu, He 2018).
struct GroupNorm {
  Tensor weight, bias;
  int64_t groups;
  double epsilon = 1e-5;
  GroupNorm(int64_t groups, int64_t channels);
  Tensor operator()(const Tensor& x) const;
  template <class V>
  void each(V& v) {
    v("weight", weight);
    v("bias", bias);
  }
};

// indices [...] -> [..., features]; weight [count, features].
struct Embedding {
  Tensor weight;
  Embedding(int64_t count, int64_t features, double deviation = 0.02);
  Tensor operator()(const Tensor& indices) const;
  template <class V>
  void each(V& v) {
    v("weight", weight);
  }
};

// Zeroes elements with the given probability and scales the rest up, in training mode only.
struct Dropout {
  double probability;
  Tensor operator()(const Tensor& x) const;
  template <class V>
  void each(V&) {}
};

// Multi-head attention, x [N, T, D] -> [N, T, D]; with fewer key heads than heads, grouped-query (Ainslie et al. 2023).
struct Attention {
  Linear query, key, value, output;
  int64_t heads, key_heads;
  bool causal, rotary;
  Attention(int64_t features, int64_t heads, bool causal, int64_t key_heads = 0, bool rotary = false);
  Tensor operator()(const Tensor& x) const;
  template <class V>
  void each(V& v) {
    v("query", query);
    v("key", key);
    v("value", value);
    v("output", output);
  }
};

// The keys and values of the positions that a layer has seen, [N, heads, length, D / heads] each; zeros at first.
struct KeyValueCache {
  Tensor keys, values;
  KeyValueCache(int64_t batch, int64_t heads, int64_t length, int64_t head_features);
};

// A whole layer of a Transformer for inference, by the ops transformer_encoder_layer and transformer_decoder_step,
// which a chip may have as one kernel. Its weights are copies of the parts' at that time, in the form that the ops
// take.
class FusedTransformerLayer {
 public:
  // With `pre_norm` the layer h = x + attention(first(x)), h + down(activation(up(second(h)))), else h = first(x +
  // attention(x)), second(h + down(activation(up(h)))). activation: 'gelu', 'gelu_tanh' or 'relu'. Throws
  // kInvalidArgument for rotary or grouped-query attention, linear layers without biases, and norms whose epsilons
  // differ.
  FusedTransformerLayer(const LayerNorm& first, const Attention& attention, const LayerNorm& second, const Linear& up,
                        const Linear& down, const std::string& activation, bool pre_norm = true);
  // x [N, T, D] -> [N, T, D].
  Tensor operator()(const Tensor& x) const;
  // One new position of a causal layer, x [N, 1, D] -> [N, 1, D]. `position`: a scalar of i32, which may be an input of
  // a compiled function. The cache is assigned.
  Tensor step(const Tensor& x, const Tensor& position, KeyValueCache& cache) const;

 private:
  Tensor qkv_weight_, qkv_bias_, output_weight_, output_bias_, first_weight_, first_bias_, up_weight_, up_bias_,
      down_weight_, down_bias_, second_weight_, second_bias_;
  int64_t heads_;
  bool causal_, pre_norm_;
  double epsilon_;
  std::string activation_;
};

}  // namespace trireme::nn
