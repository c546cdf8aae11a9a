#include "bench/networks/networks.h"
#include "trireme/nn/layers.h"

namespace trireme::bench {

namespace {

constexpr int64_t kVocabulary = 30522, kFeatures = 768, kHeads = 12, kLayers = 12;

struct Layer {
  nn::Attention attention{kFeatures, kHeads, /*is_causal=*/false};
  nn::Linear up{kFeatures, 4 * kFeatures}, down{4 * kFeatures, kFeatures};
  nn::LayerNorm attention_norm{kFeatures}, output_norm{kFeatures};
  Tensor operator()(const Tensor& x) const {
    const Tensor y = attention_norm(x + attention(x));
    return output_norm(y + down(gelu(up(y))));
  }
};

}  // namespace

Graph bert_base(int64_t length) {
  const nn::TrainingMode evaluation(false);
  const Tensor tokens(Literal::zeros(i64, {1, length}));
  const nn::Embedding words(kVocabulary, kFeatures);
  Tensor x = words(tokens) + nn::normal_init({length, kFeatures}, 0.02);
  x = nn::LayerNorm(kFeatures)(x);
  for (int64_t i = 0; i < kLayers; ++i) x = Layer()(x);
  return capture({tokens}, {x}, {"tokens"}, {"features"});
}

}  // namespace trireme::bench
