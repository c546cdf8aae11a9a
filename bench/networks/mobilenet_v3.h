// MobileNetV3-Large (Howard et al. 2019, table 1).
#pragma once

#include <optional>
#include <vector>

#include "trireme/nn/layers.h"

namespace trireme::bench {

// Scales each channel by what the means of all channels say.
struct SqueezeExcite {
  nn::Conv2d reduce, expand;
  explicit SqueezeExcite(int64_t channels);
  Tensor operator()(const Tensor& x) const;
  template <class V>
  void each(V& v) {
    v("reduce", reduce), v("expand", expand);
  }
};

struct InvertedResidual {
  struct Row {  // of the table
    int64_t kernel, inner, out;
    bool squeezes, hard_swish;
    int64_t stride;
  };
  Row row;
  bool residual;
  std::optional<nn::Conv2d> expand;  // none where the inner channels are those that come in
  std::optional<nn::BatchNorm> expand_norm;
  nn::Conv2d depthwise, project;
  nn::BatchNorm depthwise_norm, project_norm;
  std::optional<SqueezeExcite> squeeze;
  InvertedResidual(int64_t in, const Row& row);
  Tensor operator()(const Tensor& x);
  template <class V>
  void each(V& v) {
    if (expand) v("expand", *expand), v("expand_norm", *expand_norm);
    v("depthwise", depthwise), v("depthwise_norm", depthwise_norm);
    v("squeeze", squeeze);
    v("project", project), v("project_norm", project_norm);
  }
};

// Images [N, 3, 224, 224] -> logits [N, 1000].
struct MobileNetV3 {
  nn::Conv2d stem, last;
  nn::BatchNorm stem_norm{16}, last_norm{960};
  std::vector<InvertedResidual> blocks;
  nn::Linear hidden{960, 1280}, head{1280, 1000};
  MobileNetV3();
  Tensor operator()(const Tensor& image);
  template <class V>
  void each(V& v) {
    v("stem", stem), v("stem_norm", stem_norm), v("blocks", blocks);
    v("last", last), v("last_norm", last_norm), v("hidden", hidden), v("head", head);
  }
};

}  // namespace trireme::bench
