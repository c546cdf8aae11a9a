#include "bench/networks/bert_base.h"

#include "bench/networks/networks.h"

namespace trireme::bench {

Tensor BertBase::Layer::operator()(const Tensor& x) const {
  const Tensor y = attention_norm(x + attention(x));
  return output_norm(y + down(gelu(up(y))));
}

Tensor BertBase::operator()(const Tensor& tokens) const {
  Tensor x = norm(words(tokens) + positions.weight);
  for (const Layer& layer : layers) x = layer(x);
  return x;
}

Network bert_base(int64_t batch, int64_t length) {
  const nn::TrainingMode evaluation(false);
  BertBase net(length);
  const Tensor tokens(Literal::zeros(i64, {batch, length}));
  return {capture({tokens}, {net(tokens)}, {"tokens"}, {"features"}), nn::state_of(net)};
}

}  // namespace trireme::bench
