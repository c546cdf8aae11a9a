// Networks for vectors and images.
#include <memory>
#include <optional>

#include "trireme/nn/layers.h"
#include "trireme/train/architectures.h"
#include "trireme/train/owned.h"

namespace trireme::train {

namespace {

Tensor as_float(const Tensor& x) { return x.dtype() == u8 ? convert(x, f32) * (1.0 / 127.5) - 1.0 : x; }

struct Mlp {
  std::vector<nn::Linear> layers;
  nn::Dropout dropout;
  Mlp(int64_t in, const std::vector<int64_t>& hidden, int64_t out, double drop) : dropout{drop} {
    for (const int64_t features : hidden) {
      layers.emplace_back(in, features);
      in = features;
    }
    layers.emplace_back(in, out);
  }
  Tensor operator()(const Tensor& input) {
    Tensor x = as_float(input);
    if (x.rank() > 2) x = flatten(x, 1);
    for (size_t i = 0; i + 1 < layers.size(); ++i) x = dropout(relu(layers[i](x)));
    return layers.back()(x);
  }
  template <class V>
  void each(V& v) {
    v("layers", layers);
  }
};

struct LeNet {
  nn::Conv2d first, second;
  nn::BatchNorm first_norm{16}, second_norm{32};
  nn::Linear hidden, output;
  nn::Dropout dropout;
  LeNet(const Shape& image, int64_t out, double drop)
      : first(image[0], 16, 5, {.padding = 2, .bias = false}),
        second(16, 32, 5, {.padding = 2, .bias = false}),
        hidden(32 * (image[1] / 4) * (image[2] / 4), 128),
        output(128, out),
        dropout{drop} {}
  Tensor operator()(const Tensor& images) {
    Tensor x = as_float(images);
    x = max_pool2d(relu(first_norm(first(x))), {2});
    x = max_pool2d(relu(second_norm(second(x))), {2});
    return output(dropout(relu(hidden(flatten(x, 1)))));
  }
  template <class V>
  void each(V& v) {
    v("first", first), v("first_norm", first_norm), v("second", second), v("second_norm", second_norm);
    v("hidden", hidden), v("output", output);
  }
};

// A convolution without bias, then batch norm.
struct NormedConv {
  nn::Conv2d conv;
  nn::BatchNorm norm;
  NormedConv(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1, int64_t groups = 1)
      : conv(in, out, kernel, {.stride = stride, .padding = kernel / 2, .groups = groups, .bias = false}), norm(out) {}
  Tensor operator()(const Tensor& x) { return norm(conv(x)); }
  template <class V>
  void each(V& v) {
    v("conv", conv), v("norm", norm);
  }
};

struct ResidualBlock {
  NormedConv first, second;
  std::optional<NormedConv> shortcut;
  ResidualBlock(int64_t in, int64_t out, int64_t stride) : first(in, out, 3, stride), second(out, out, 3) {
    if (in != out) shortcut.emplace(in, out, 1, stride);
  }
  Tensor operator()(const Tensor& x) {
    const Tensor y = second(relu(first(x)));
    return relu(y + (shortcut ? (*shortcut)(x) : x));
  }
  template <class V>
  void each(V& v) {
    v("first", first), v("second", second), v("shortcut", shortcut);
  }
};

// With a stem for small pictures; a width of 64 is the paper's (He et al. 2016).
struct ResNet18 {
  NormedConv stem;
  std::vector<ResidualBlock> blocks;
  nn::Dropout dropout;
  nn::Linear head;
  ResNet18(int64_t channels, int64_t width, int64_t out, double drop)
      : stem(channels, width, 3), dropout{drop}, head(8 * width, out) {
    for (int64_t stage = 0, in = width; stage < 4; ++stage) {
      for (int64_t k = 0; k < 2; ++k, in = width << stage) {
        blocks.emplace_back(in, width << stage, stage > 0 && k == 0 ? 2 : 1);
      }
    }
  }
  Tensor operator()(const Tensor& images) {
    Tensor x = relu(stem(as_float(images)));
    for (ResidualBlock& block : blocks) x = block(x);
    return head(dropout(flatten(global_avg_pool(x), 1)));
  }
  template <class V>
  void each(V& v) {
    v("stem", stem), v("blocks", blocks), v("head", head);
  }
};

// Depthwise, then pointwise.
struct SeparableConv {
  NormedConv depthwise, pointwise;
  SeparableConv(int64_t in, int64_t out, int64_t stride) : depthwise(in, in, 3, stride, in), pointwise(in, out, 1) {}
  Tensor operator()(const Tensor& x) { return relu6(pointwise(relu6(depthwise(x)))); }
  template <class V>
  void each(V& v) {
    v("depthwise", depthwise), v("pointwise", pointwise);
  }
};

// The layers of MobileNet (Howard et al. 2017) for small pictures: its stem keeps the size, and its five equal blocks
// in the middle are one. A width of 32 is the paper's.
struct MobileNet {
  NormedConv stem;
  std::vector<SeparableConv> blocks;
  nn::Dropout dropout;
  nn::Linear head;
  MobileNet(int64_t channels, int64_t width, int64_t out, double drop)
      : stem(channels, width, 3), dropout{drop}, head(16 * width, out) {
    int64_t in = width;
    for (const auto& [factor, stride] : {std::pair{2, 1}, {4, 2}, {4, 1}, {8, 2}, {8, 1}, {16, 2}, {16, 1}}) {
      blocks.emplace_back(in, factor * width, stride);
      in = factor * width;
    }
  }
  Tensor operator()(const Tensor& images) {
    Tensor x = relu6(stem(as_float(images)));
    for (SeparableConv& block : blocks) x = block(x);
    return head(dropout(flatten(global_avg_pool(x), 1)));
  }
  template <class V>
  void each(V& v) {
    v("stem", stem), v("blocks", blocks), v("head", head);
  }
};

}  // namespace

Model make_mlp(int64_t inputs, int64_t outputs, const Config& config) {
  return owned<Mlp>(inputs, config.arch.hidden, outputs, config.arch.dropout);
}
Model make_lenet(const Shape& image, int64_t outputs, const Config& config) {
  return owned<LeNet>(image, outputs, config.arch.dropout);
}
Model make_resnet18(const Shape& image, int64_t outputs, const Config& config) {
  return owned<ResNet18>(image[0], config.arch.width, outputs, config.arch.dropout);
}
Model make_mobilenet(const Shape& image, int64_t outputs, const Config& config) {
  return owned<MobileNet>(image[0], config.arch.width, outputs, config.arch.dropout);
}

}  // namespace trireme::train
