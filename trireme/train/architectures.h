// The networks that a configuration may name (Arch.name). Each owns its layers. u8 images are scaled to [-1, 1].
#pragma once

#include "trireme/core/shape.h"
#include "trireme/train/config.h"
#include "trireme/train/trainer.h"

namespace trireme::train {

// N examples in a batch, C channels, T tokens.
Model make_mlp(int64_t inputs, int64_t outputs, const Config& config);

// Images [N, C, H, W] to [N, outputs]. `image` is [C, H, W], of 4 x 4 pixels and more.
Model make_lenet(const Shape& image, int64_t outputs, const Config& config);
Model make_resnet18(const Shape& image, int64_t outputs, const Config& config);
Model make_mobilenet(const Shape& image, int64_t outputs, const Config& config);

// Tokens i32 [N, T], below `vocabulary`: the first two give logits of the next token at each place, [N, T, vocabulary];
// the third, classes of the whole, [N, outputs].
Model make_gpt(int64_t length, int64_t vocabulary, const Config& config);
Model make_lstm(int64_t vocabulary, const Config& config);
Model make_bert(int64_t length, int64_t vocabulary, int64_t outputs, const Config& config);

}  // namespace trireme::train
