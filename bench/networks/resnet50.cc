#include "bench/networks/networks.h"
#include "trireme/nn/layers.h"

namespace trireme::bench {

namespace {

struct Bottleneck {
  nn::Conv2d reduce, middle, expand;
  nn::BatchNorm reduce_norm, middle_norm, expand_norm;
  std::optional<nn::Conv2d> shortcut;
  std::optional<nn::BatchNorm> shortcut_norm;
  Bottleneck(int64_t in, int64_t width, int64_t stride)
      : reduce(in, width, 1, {.bias = false}),
        middle(width, width, 3, {.stride = stride, .padding = 1, .bias = false}),
        expand(width, 4 * width, 1, {.bias = false}),
        reduce_norm(width),
        middle_norm(width),
        expand_norm(4 * width) {
    if (in == 4 * width) return;
    shortcut.emplace(in, 4 * width, 1, nn::ConvOptions{.stride = stride, .bias = false});
    shortcut_norm.emplace(4 * width);
  }
  Tensor operator()(const Tensor& x) {
    Tensor y = relu(reduce_norm(reduce(x)));
    y = relu(middle_norm(middle(y)));
    return relu(expand_norm(expand(y)) + (shortcut ? (*shortcut_norm)((*shortcut)(x)) : x));
  }
};

}  // namespace

Graph resnet50(int64_t batch) {
  const nn::TrainingMode evaluation(false);
  const Tensor image = nn::filled({batch, 3, 224, 224}, 0.0);
  nn::Conv2d stem(3, 64, 7, {.stride = 2, .padding = 3, .bias = false});
  nn::BatchNorm norm(64);
  Tensor x = max_pool2d(relu(norm(stem(image))), {3}, {2}, {1});
  int64_t in = 64, width = 64;
  for (const int blocks : {3, 4, 6, 3}) {
    for (int k = 0; k < blocks; ++k, in = 4 * width) x = Bottleneck(in, width, k == 0 && width > 64 ? 2 : 1)(x);
    width *= 2;
  }
  return capture({image}, {nn::Linear(2048, 1000)(flatten(global_avg_pool(x), 1))}, {"image"}, {"logits"});
}

}  // namespace trireme::bench
