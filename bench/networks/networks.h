// Networks that the comparison exports to ONNX, so that every framework runs the very same graph; those that read no
// ONNX build the network themselves and load its state. Weights are random, the same in each process.
#pragma once

#include <string>
#include <vector>

#include "trireme/ir/graph.h"
#include "trireme/nn/module.h"

namespace trireme::bench {

struct Network {
  Graph graph;
  std::vector<nn::NamedTensor> state;
};

template <class Net>
Network classifier(Net net, int64_t batch) {
  const nn::TrainingMode evaluation(false);
  const Tensor image = nn::filled({batch, 3, 224, 224}, 0.0);
  return {capture({image}, {net(image)}, {"image"}, {"logits"}), nn::state_of(net)};
}

// Image classifier (He et al. 2015, the stride in the 3 x 3 convolution): f32 [batch, 3, 224, 224] -> [batch, 1000].
Network resnet50(int64_t batch);

// Image classifier (Howard et al. 2019, MobileNetV3-Large): f32 [batch, 3, 224, 224] -> [batch, 1000].
Network mobilenet_v3(int64_t batch);

// Encoder of BERT-base (Devlin et al. 2018) without pooler: token numbers i64 [batch, length] -> f32
// [batch, length, 768].
Network bert_base(int64_t batch, int64_t length);

// One linear layer without bias: f32 [m, k] -> [m, n].
Network product(int64_t m, int64_t n, int64_t k);

// So many linear layers of 16 features with relu behind each, on one row: work for the framework, none for the machine.
Network chain(int64_t count);

// "resnet50_8" and "mobilenet_v3_1" (batch), "bert_base_8x128" (batch x length), "product_128x3072x768" (m x n x k) or
// "chain_100" (layers). Throws kInvalidArgument for other names.
Network network(const std::string& name);

}  // namespace trireme::bench
