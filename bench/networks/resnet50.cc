#include "bench/networks/resnet50.h"

#include "bench/networks/networks.h"

namespace trireme::bench {

Bottleneck::Bottleneck(int64_t in, int64_t width, int64_t stride)
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

Tensor Bottleneck::operator()(const Tensor& x) {
  Tensor y = relu(reduce_norm(reduce(x)));
  y = relu(middle_norm(middle(y)));
  return relu(expand_norm(expand(y)) + (shortcut ? (*shortcut_norm)((*shortcut)(x)) : x));
}

ResNet50::ResNet50() {
  int64_t in = 64, width = 64;
  for (const int count : {3, 4, 6, 3}) {
    for (int k = 0; k < count; ++k, in = 4 * width) blocks.emplace_back(in, width, k == 0 && width > 64 ? 2 : 1);
    width *= 2;
  }
}

Tensor ResNet50::operator()(const Tensor& image) {
  Tensor x = max_pool2d(relu(norm(stem(image))), {3}, {2}, {1});
  for (Bottleneck& block : blocks) x = block(x);
  return head(flatten(global_avg_pool(x), 1));
}

Network resnet50(int64_t batch) { return classifier(ResNet50(), batch); }

}  // namespace trireme::bench
