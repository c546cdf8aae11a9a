// Networks that the comparison exports to ONNX, so that every framework runs the very same graph. Weights are random.
#pragma once

#include <string>

#include "trireme/ir/graph.h"

namespace trireme::bench {

// Image classifier (He et al. 2015, the stride in the 3 x 3 convolution): f32 [batch, 3, 224, 224] -> [batch, 1000].
Graph resnet50(int64_t batch);

// Encoder of BERT-base (Devlin et al. 2018) without pooler: token numbers i64 [batch, length] -> f32
// [batch, length, 768].
Graph bert_base(int64_t batch, int64_t length);

// One linear layer without bias: f32 [m, k] times a constant [k, n].
Graph product(int64_t m, int64_t n, int64_t k);

// So many linear layers of 16 features with relu behind each, on one row: work for the framework, none for the machine.
Graph chain(int64_t count);

// "resnet50_8" (batch), "bert_base_8x128" (batch x length), "product_128x3072x768" (m x n x k) or "chain_100" (layers).
// Throws kInvalidArgument for other names.
Graph network(const std::string& name);

}  // namespace trireme::bench
