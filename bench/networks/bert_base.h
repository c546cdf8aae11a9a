// Encoder of BERT-base (Devlin et al. 2018) without pooler.
#pragma once

#include <vector>

#include "trireme/nn/layers.h"

namespace trireme::bench {

struct BertBase {
  static constexpr int64_t kVocabulary = 30522, kFeatures = 768, kHeads = 12, kLayers = 12;

  struct Layer {
    nn::Attention attention{kFeatures, kHeads, /*causal=*/false};
    nn::Linear up{kFeatures, 4 * kFeatures}, down{4 * kFeatures, kFeatures};
    nn::LayerNorm attention_norm{kFeatures}, output_norm{kFeatures};
    Tensor operator()(const Tensor& x) const;
    template <class V>
    void each(V& v) {
      v("attention", attention), v("up", up), v("down", down);
      v("attention_norm", attention_norm), v("output_norm", output_norm);
    }
  };

  nn::Embedding words{kVocabulary, kFeatures}, positions;
  nn::LayerNorm norm{kFeatures};
  std::vector<Layer> layers{kLayers};

  // For sequences of just `length` tokens.
  explicit BertBase(int64_t length) : positions(length, kFeatures) {}
  // Token numbers [N, length] -> [N, length, kFeatures].
  Tensor operator()(const Tensor& tokens) const;
  template <class V>
  void each(V& v) {
    v("words", words), v("positions", positions), v("norm", norm), v("layers", layers);
  }
};

}  // namespace trireme::bench
