// Fused Transformer layers of Kunlun (XFT): a whole layer is one launch, and what passes between its parts never leaves
// the chip or lies in the workspace of the context.
//
// Public are the namespace, fused_multi_transformer_gpt with the order of its weights, xftTensor, xftVec and xftMat
// with their constructors, and the fields of NlpParam down to is_fuse_qkv (callers show them; no header of the vendor
// is public). Guesses are marked as such. Left out are masks of decoders, prefix caches, rotary embeddings and the
// communicator for tensor parallelism, which stand between the public arguments.
//
// Conventions, errors and numbers are those of xpu/xdnn.h and xpu/refactor/fusion.h: a layer gives what fc_fusion,
// qkv_attention, layer_norm and broadcast_add give one after the other, bit for bit. Weights are [outputs, inputs].
// <T, TW, TGEMM>: <float, float or int16_t, int16_t>, <float16, float16, float16>, <float16, int16_t, int16_t>,
// <bfloat16, bfloat16, tfloat32>.
//
// Time, on the virtual clock: the formula of xpu/xdnn.h with the sums over the parts: one launch, the weights of all
// matrices, the operations of all products, and the longer of all data and all vector instructions. Intermediate values
// count as data of the memory that they lie in, once written and as often as they are read; L3 of the context (_l3_mgr)
// is used where it is large enough. The absolute maxima of intermediate values are found while these are written.
#ifndef TRIREME_XPU_XFT_H
#define TRIREME_XPU_XFT_H

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "refactor/context.h"

namespace baidu::xpu::xft {

// NOLINTBEGIN(readability-identifier-naming): the public names of the vendor's interface

// A tensor of N axes, dense and row-major, with its max-pointer or null. A tensor without data is not given.
template <class T, int N>
struct xftTensor {
  T* data = nullptr;
  float* max = nullptr;
  std::array<int64_t, N> dims = {};

  xftTensor() = default;
  xftTensor(T* pointer, const std::array<int64_t, N>& extents) : data(pointer), dims(extents) {}
  xftTensor(T* pointer, float* maxptr, const std::array<int64_t, N>& extents)
      : data(pointer), max(maxptr), dims(extents) {}
};
template <class T>
using xftVec = xftTensor<T, 1>;
template <class T>
using xftMat = xftTensor<T, 2>;

struct NlpParam {
  int num_layer = 1;
  int n_head = 1;
  int size_per_head = 0;
  std::string hidden_act = "gelu";  // "relu", "gelu"; a guess: "gelu_tanh", the approximation by tanh
  bool is_fuse_qkv = true;          // must be
  // Guesses.
  bool is_pre_norm = true;  // norms stand before each half of a layer, else behind its sum
  bool is_causal = false;   // of transformer_encoder
  float epsilon = 1e-5f;    // of the norms
};

// The weights of all layers, one entry each: the norm of the attention half, the matrix of queries, keys and values
// (3 D x D) with its bias, the output (D x D), the norm of the feed-forward half, its matrices (F x D and D x F). D is
// n_head * size_per_head. A guess: the vendor's functions take the vectors one by one, in this order.
template <class TW>
struct LayerWeights {
  std::vector<xftVec<float>> ln_scale, ln_bias;
  std::vector<xftMat<TW>> qkv_weight;
  std::vector<xftVec<float>> qkv_bias;
  std::vector<xftMat<TW>> out_linear_weight;
  std::vector<xftVec<float>> out_linear_bias;
  std::vector<xftVec<float>> ffn_ln_scale, ffn_ln_bias;
  std::vector<xftMat<TW>> ffn1_weight;
  std::vector<xftVec<float>> ffn1_bias;
  std::vector<xftMat<TW>> ffn2_weight;
  std::vector<xftVec<float>> ffn2_bias;
};

// num_layer encoder layers over x (batch x length x D); out may be x. mask: batch or 1 x n_head or 1 x length or 1 x
// length floats by mask_shape, added to the scores of all layers, or null. A guess: the public encoder stack,
// baidu::xpu::api::transformer_encoder, has the same parts in another form.
template <class T, class TW, class TGEMM>
int transformer_encoder(api::Context* ctx, const xftTensor<T, 3>& x, const LayerWeights<TW>& weights,
                        xftTensor<T, 3>* out, const NlpParam& param, const float* mask = nullptr,
                        const std::vector<int64_t>& mask_shape = {});

// One new position: num_layer decoder layers over x (batch x 1 x D); out may be x. For each layer, caches of keys and
// values, batch x n_head x L x size_per_head (attn_layout "BHLD"; "LBHD" is not there), get those of x at `time_step`,
// and x attends to positions 0 ... time_step.
//
// Guesses: time_step lies on the device, so that a program need not be made anew for each step (the public one is an
// int of the host), and is clamped to 0 ... L - 1; cache_k_in and cache_v_in, where they are given, are read instead of
// cache_k and cache_v, which then become copies of them with the new position. The clock counts all L positions.
template <class T, class TW, class TGEMM>
int fused_multi_transformer_gpt(api::Context* ctx, const xftTensor<T, 3>& x, const LayerWeights<TW>& weights,
                                xftTensor<T, 3>* out, const std::vector<xftTensor<T, 4>>& cache_k,
                                const std::vector<xftTensor<T, 4>>& cache_v, const NlpParam& param,
                                const int* time_step, const std::string& attn_layout = "BHLD",
                                const std::vector<xftTensor<T, 4>>& cache_k_in = {},
                                const std::vector<xftTensor<T, 4>>& cache_v_in = {});

// NOLINTEND(readability-identifier-naming)

}  // namespace baidu::xpu::xft

#endif
