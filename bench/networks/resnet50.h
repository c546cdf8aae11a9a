// ResNet-50 (He et al. 2015), the stride in the 3 x 3 convolution.
#pragma once

#include <optional>
#include <vector>

#include "trireme/nn/layers.h"

namespace trireme::bench {

struct Bottleneck {
  nn::Conv2d reduce, middle, expand;
  nn::BatchNorm reduce_norm, middle_norm, expand_norm;
  std::optional<nn::Conv2d> shortcut;
  std::optional<nn::BatchNorm> shortcut_norm;
  Bottleneck(int64_t in, int64_t width, int64_t stride);
  Tensor operator()(const Tensor& x);
  template <class V>
  void each(V& v) {
    v("reduce", reduce), v("middle", middle), v("expand", expand);
    v("reduce_norm", reduce_norm), v("middle_norm", middle_norm), v("expand_norm", expand_norm);
    if (shortcut) v("shortcut", *shortcut), v("shortcut_norm", *shortcut_norm);
  }
};

// Images [N, 3, 224, 224] -> logits [N, 1000].
struct ResNet50 {
  nn::Conv2d stem{3, 64, 7, {.stride = 2, .padding = 3, .bias = false}};
  nn::BatchNorm norm{64};
  std::vector<Bottleneck> blocks;
  nn::Linear head{2048, 1000};
  ResNet50();
  Tensor operator()(const Tensor& image);
  template <class V>
  void each(V& v) {
    v("stem", stem), v("norm", norm), v("blocks", blocks), v("head", head);
  }
};

}  // namespace trireme::bench
