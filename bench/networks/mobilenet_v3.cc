#include "bench/networks/mobilenet_v3.h"

#include "bench/networks/networks.h"

namespace trireme::bench {

namespace {

// Weights whose outputs are about as large as their inputs behind a relu: the values of a network as deep as this one
// would fade away with the layers' own.
nn::Conv2d convolution(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1, int64_t groups = 1) {
  nn::Conv2d conv(in, out, kernel, {.stride = stride, .padding = kernel / 2, .groups = groups, .bias = false});
  conv.weight = nn::kaiming_uniform(conv.weight.shape(), in / groups * kernel * kernel);
  return conv;
}

// A quarter of the channels, rounded to a multiple of eight.
int64_t squeezed(int64_t channels) { return (channels / 4 + 4) / 8 * 8; }

}  // namespace

SqueezeExcite::SqueezeExcite(int64_t channels)
    : reduce(channels, squeezed(channels), 1), expand(squeezed(channels), channels, 1) {}

Tensor SqueezeExcite::operator()(const Tensor& x) const {
  return x * hard_sigmoid(expand(relu(reduce(global_avg_pool(x)))));
}

InvertedResidual::InvertedResidual(int64_t in, const Row& r)
    : row(r),
      residual(r.stride == 1 && in == r.out),
      depthwise(convolution(r.inner, r.inner, r.kernel, r.stride, r.inner)),
      project(convolution(r.inner, r.out, 1)),
      depthwise_norm(r.inner),
      project_norm(r.out) {
  if (in != r.inner) expand = convolution(in, r.inner, 1), expand_norm.emplace(r.inner);
  if (r.squeezes) squeeze.emplace(r.inner);
}

Tensor InvertedResidual::operator()(const Tensor& x) {
  const auto activation = [&](const Tensor& y) { return row.hard_swish ? hard_swish(y) : relu(y); };
  Tensor y = expand ? activation((*expand_norm)((*expand)(x))) : x;
  y = activation(depthwise_norm(depthwise(y)));
  y = project_norm(project(squeeze ? (*squeeze)(y) : y));
  return residual ? x + y : y;
}

MobileNetV3::MobileNetV3() : stem(convolution(3, 16, 3, 2)), last(convolution(160, 960, 1)) {
  constexpr InvertedResidual::Row kRows[] = {
      {3, 16, 16, false, false, 1}, {3, 64, 24, false, false, 2}, {3, 72, 24, false, false, 1},
      {5, 72, 40, true, false, 2},  {5, 120, 40, true, false, 1}, {5, 120, 40, true, false, 1},
      {3, 240, 80, false, true, 2}, {3, 200, 80, false, true, 1}, {3, 184, 80, false, true, 1},
      {3, 184, 80, false, true, 1}, {3, 480, 112, true, true, 1}, {3, 672, 112, true, true, 1},
      {5, 672, 160, true, true, 2}, {5, 960, 160, true, true, 1}, {5, 960, 160, true, true, 1},
  };
  int64_t in = 16;
  for (const InvertedResidual::Row& row : kRows) blocks.emplace_back(in, row), in = row.out;
}

Tensor MobileNetV3::operator()(const Tensor& image) {
  Tensor x = hard_swish(stem_norm(stem(image)));
  for (InvertedResidual& block : blocks) x = block(x);
  x = hard_swish(last_norm(last(x)));
  return head(hard_swish(hidden(flatten(global_avg_pool(x), 1))));
}

Network mobilenet_v3(int64_t batch) { return classifier(MobileNetV3(), batch); }

}  // namespace trireme::bench
