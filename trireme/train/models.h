// What a configuration stands for: data, a model, a loss, the trainer's options.
#pragma once

#include "trireme/data/dataset.h"
#include "trireme/train/config.h"
#include "trireme/train/trainer.h"

namespace trireme::train {

// Examples of two fields, input and target. Held back: the last ones of mnist, the end of a text, else random ones by
// Global.seed.
// `validation` is null when nothing is held back. A path that does not exist is looked for in the data folders.
data::Split load_data(const Config& config);

// A model of the architectures below (architectures.h) for examples of `dataset`; it owns its layers. u8 images are
// scaled to [-1, 1].
//   mlp    any input, flattened; hidden layers with relu
//   lenet  images [C, H, W] of 4 x 4 and more: two convolutions with batch norm and pooling, then two linear layers
//   resnet18, mobilenet   such images: residual blocks, blocks of depthwise and pointwise convolutions
//   gpt    tokens [T]: embeddings, blocks of causal attention and a gelu layer, a linear head; logits [T, vocabulary]
//   lstm   tokens [T]: embeddings, recurrent layers, a linear head; logits [T, vocabulary]
//   bert   tokens [T]: as gpt, but attention sees all; the mean over the tokens goes into a classifier
// Outputs: Arch.classes or the classes of the data set; 1 for mse. Throws kInvalidArgument where they do not fit.
Model make_model(const Config& config, const data::Dataset& dataset);

// cross_entropy of logits [N, ..., C] and labels i32 [N, ...]; mse of outputs [N, 1] and numbers [N].
Loss make_loss(const Config& config);

// A run of Global.epochs of `steps_per_epoch` each.
Options make_options(const Config& config, int64_t steps_per_epoch);

}  // namespace trireme::train
