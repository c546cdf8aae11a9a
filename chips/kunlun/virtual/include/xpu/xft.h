// Fused Transformer blocks in the manner of XPU Faster Transformer, on top of the operator library: one call for a
// whole stack of layers, with one kernel for each product instead of one for each operator, and intermediate values in
// L3 where the context has it.
//
// T is float, float16 or bfloat16 and TW the same, or int16_t with TGEMM int16_t, or int8_t with TGEMM int8_t.
#ifndef TRIREME_XPU_XFT_H
#define TRIREME_XPU_XFT_H

#include <cstdint>
#include <vector>

#include "xdnn.h"

namespace xft {

// Weights of a layer. Matrices are output x input, as fc_fusion has them with w_trans; max-pointers may be null unless
// TW is an integer type. Biases may be null, scales and biases of norms must be given (a bias of rms norm may be null).
template <class TW>
struct LayerWeights {
  const TW *qkv, *out, *ffn1, *ffn2;  // ((heads + 2 kv_heads) head_dim) x hidden; hidden x (heads head_dim); see below
  const float *qkv_bias, *out_bias, *ffn1_bias, *ffn2_bias;
  const float *ln_scale, *ln_bias, *ffn_ln_scale, *ffn_ln_bias;
  const float *qkv_max, *out_max, *ffn1_max, *ffn2_max;
};

struct NlpParam {
  int64_t num_layer, n_head, size_per_head, hidden_dim, ffn_dim;
  int64_t n_kv_head = 0;  // 0: n_head
  enum Norm { kLayerNorm, kRmsNorm } norm = kLayerNorm;
  bool pre_norm = true;  // norm before each block; else after each residual sum
  // kSwiGlu: ffn1 is 2 ffn_dim x hidden, halves as api::swiglu has them; else ffn_dim x hidden.
  enum Activation { kGelu, kApproximateGelu, kRelu, kSwiGlu } hidden_act = kGelu;
  float eps = 1e-5f;
  // cos and sin rows of size_per_head / 2 floats for positions from 0 on; null: no rotary embedding.
  const float *rotary_cos = nullptr, *rotary_sin = nullptr;
  bool rotary_interleaved = false;
};

// x, y: batch x seq_len x hidden_dim. mask as in api::qkv_attention, or null. y may be x.
template <class T, class TW, class TGEMM>
int multi_encoder(baidu::xpu::api::Context* ctx, const T* x, T* y, const std::vector<LayerWeights<TW>>& layers,
                  const NlpParam& param, int64_t batch, int64_t seq_len, const float* mask = nullptr,
                  const std::vector<int64_t>& mask_shape = {});

// A step of a decoder: x, y are batch x step_len x hidden_dim, at positions from `position` on. The caches of each
// layer (batch x max_len x kv_heads x size_per_head) hold keys and values of the positions before, and get those of the
// step; position + step_len <= max_len. Attention is causal.
template <class T, class TW, class TGEMM>
int fused_multi_transformer_gpt(baidu::xpu::api::Context* ctx, const T* x, T* y,
                                const std::vector<LayerWeights<TW>>& layers, const std::vector<T*>& cache_k,
                                const std::vector<T*>& cache_v, const NlpParam& param, int64_t batch, int64_t step_len,
                                int64_t position, int64_t max_len);

}  // namespace xft

#endif
