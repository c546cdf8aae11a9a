// Training steps that the comparison times; bench/peers/torch_peer.py writes the same in PyTorch.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "trireme/nn/module.h"

namespace trireme::bench {

struct TrainingStep {
  std::vector<nn::NamedTensor> state;            // parameters, by name
  std::function<double(Literal, Literal)> step;  // one step on inputs and targets; the loss before it
  std::function<const Graph&()> graph;           // of one step, after the first
};

// tiny_mlp  ten linear layers 16 -> 16 with relu between, mean squared error, Adam; inputs and targets f32 [32, 16]
// lenet     two convolutions with batch norm and pooling, two linear layers, cross entropy, SGD with momentum; inputs
//           f32 [64, 1, 28, 28], targets i32 [64]
// resnet18  ResNet-18 for small images (stem of 3 x 3), cross entropy, SGD with momentum; inputs f32 [16, 3, 32, 32],
//           targets i32 [16]
// char_gpt  the transformer of examples/char_gpt.cc without dropout, AdamW; inputs and targets i32 [16, 128] below 65
// resnet50  bench/networks/resnet50.h, cross entropy, SGD with momentum; inputs f32 [8, 3, 224, 224], targets i32 [8]
// bert_base bench/networks/bert_base.h with two classes, AdamW; inputs i32 [8, 128], targets i32 [8]
// With `autocast` bf16 the products run on operands of that type and the parameters stay f32. Throws kInvalidArgument
// for other names.
TrainingStep training_step(const std::string& name, DType autocast);

}  // namespace trireme::bench
