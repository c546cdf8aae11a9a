// The model of time against what was measured on a card: eleven networks, one picture at a time, on an R200. The
// published latencies (milliseconds, Paddle Lite on Kunlunxin's R200) are of networks whose batch norms have been
// folded into the convolutions, as they are built here.
//
// ctest: slow
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "make_op.h"
#include "trireme/runtime/device.h"
#include "trireme/runtime/plan.h"

namespace trireme::testing {
namespace {

// A network as it is built: values of shape [1, C, H, W]; weights are known.
class Network {
 public:
  explicit Network(int64_t size) : input_(parameter(f32, {1, 3, size, size})) {}
  const Value& input() const { return input_; }

  Value conv(const Value& x, int64_t out, int64_t kernel, int64_t stride = 1, int64_t padding = -1,
             std::string_view act = "relu", int64_t groups = 1) {
    return conv(x, out, {kernel, kernel}, stride, padding < 0 ? Ints{kernel / 2, kernel / 2} : Ints{padding, padding},
                act, groups);
  }
  Value conv(const Value& x, int64_t out, Ints kernel, int64_t stride, Ints padding, std::string_view act = "relu",
             int64_t groups = 1) {
    const int64_t in = x.shape()[1];
    const Value y = op("conv2d", {x, known({out, in / groups, kernel[0], kernel[1]}), known({out})},
                       {{"stride", Ints{stride, stride}}, {"padding", padding}, {"groups", groups}});
    return activated(y, act);
  }
  Value depthwise(const Value& x, int64_t stride, std::string_view act) {
    return conv(x, x.shape()[1], 3, stride, 1, act, x.shape()[1]);
  }
  static Value activated(const Value& x, std::string_view act) {
    if (act.empty()) return x;
    if (act == "leaky_relu") return op("leaky_relu", {x}, {{"slope", 0.1}});
    return op(act, {x});
  }
  static Value max_pool(const Value& x, int64_t window, int64_t stride, int64_t padding = 0) {
    return op(
        "max_pool2d", {x},
        {{"window", Ints{window, window}}, {"stride", Ints{stride, stride}}, {"padding", Ints{padding, padding}}});
  }
  static Value average(const Value& x) { return op("adaptive_avg_pool2d", {x}, {{"size", Ints{1, 1}}}); }
  static Value average(const Value& x, int64_t window, int64_t padding) {
    return op("avg_pool2d", {x},
              {{"window", Ints{window, window}}, {"stride", Ints{1, 1}}, {"padding", Ints{padding, padding}}});
  }
  static Value concat(const std::vector<Value>& parts) { return op("concat", parts, {{"axis", int64_t{1}}}); }
  Value dense(const Value& x, int64_t out, std::string_view act = {}) {
    Value flat = x;
    if (x.shape().rank() == 4) flat = op("reshape", {x}, {{"shape", Ints{1, x.shape().elements()}}});
    return activated(op("linear", {flat, known({out, flat.shape()[1]}), known({out})}), act);
  }
  Graph classify(const Value& x, int64_t classes = 1000) {
    return Graph({input_}, {op("softmax", {dense(x, classes)}, {{"axis", int64_t{-1}}})});
  }

 private:
  static Value known(const Shape& shape) {
    return op("constant", {}, {{"value", std::make_shared<const Literal>(Literal::zeros(f32, shape))}});
  }
  Value input_;
};

Value basic_block(Network& n, const Value& x, int64_t out, int64_t stride) {
  const Value skip = stride != 1 || x.shape()[1] != out ? n.conv(x, out, 1, stride, 0, "") : x;
  const Value y = n.conv(n.conv(x, out, 3, stride), out, 3, 1, 1, "");
  return op("relu", {op("add", {y, skip})});
}
Value bottleneck(Network& n, const Value& x, int64_t out, int64_t stride) {
  const Value skip = stride != 1 || x.shape()[1] != out ? n.conv(x, out, 1, stride, 0, "") : x;
  const Value y = n.conv(n.conv(n.conv(x, out / 4, 1), out / 4, 3, stride), out, 1, 1, 0, "");
  return op("relu", {op("add", {y, skip})});
}

// He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition (2015).
Graph resnet(const std::vector<int>& blocks, bool deep) {
  Network n(224);
  Value x = Network::max_pool(n.conv(n.input(), 64, 7, 2), 3, 2, 1);
  for (size_t stage = 0; stage < blocks.size(); ++stage) {
    for (int k = 0; k < blocks[stage]; ++k) {
      const int64_t width = int64_t{64} << stage, stride = k == 0 && stage > 0 ? 2 : 1;
      x = deep ? bottleneck(n, x, 4 * width, stride) : basic_block(n, x, width, stride);
    }
  }
  return n.classify(Network::average(x));
}

// Howard et al.: MobileNets (2017).
Graph mobilenet_v1() {
  Network n(224);
  Value x = n.conv(n.input(), 32, 3, 2);
  const int64_t out[] = {64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024};
  const int64_t stride[] = {1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1};
  for (size_t i = 0; i < std::size(out); ++i) x = n.conv(n.depthwise(x, stride[i], "relu"), out[i], 1);
  return n.classify(Network::average(x));
}

// Sandler et al.: MobileNetV2 (2018).
Graph mobilenet_v2() {
  Network n(224);
  Value x = n.conv(n.input(), 32, 3, 2, 1, "relu6");
  const int64_t table[][4] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                              {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};  // expansion, channels, count, stride
  for (const auto& [expansion, channels, count, first] : table) {
    for (int64_t k = 0; k < count; ++k) {
      const int64_t stride = k == 0 ? first : 1;
      Value y = expansion == 1 ? x : n.conv(x, x.shape()[1] * expansion, 1, 1, 0, "relu6");
      y = n.conv(n.depthwise(y, stride, "relu6"), channels, 1, 1, 0, "");
      x = stride == 1 && x.shape()[1] == channels ? op("add", {y, x}) : y;
    }
  }
  return n.classify(Network::average(n.conv(x, 1280, 1, 1, 0, "relu6")));
}

// Simonyan, Zisserman: Very Deep Convolutional Networks (2014).
Graph vgg(const std::vector<int>& convolutions) {
  Network n(224);
  Value x = n.input();
  const int64_t widths[] = {64, 128, 256, 512, 512};
  for (size_t stage = 0; stage < 5; ++stage) {
    for (int k = 0; k < convolutions[stage]; ++k) x = n.conv(x, widths[stage], 3);
    x = Network::max_pool(x, 2, 2);
  }
  return n.classify(n.dense(n.dense(x, 4096, "relu"), 4096, "relu"));
}

// Redmon, Farhadi: YOLOv3 (2018), as a classifier of 256 x 256.
Graph darknet53() {
  Network n(256);
  Value x = n.conv(n.input(), 32, 3, 1, 1, "leaky_relu");
  const int blocks[] = {1, 2, 8, 8, 4};
  for (size_t stage = 0; stage < 5; ++stage) {
    const int64_t width = int64_t{64} << stage;
    x = n.conv(x, width, 3, 2, 1, "leaky_relu");
    for (int k = 0; k < blocks[stage]; ++k) {
      const Value y = n.conv(n.conv(x, width / 2, 1, 1, 0, "leaky_relu"), width, 3, 1, 1, "leaky_relu");
      x = op("add", {y, x});
    }
  }
  return n.classify(Network::average(x));
}

// Szegedy et al.: Rethinking the Inception Architecture (2015), without the auxiliary head.
Graph inception_v3() {
  Network n(299);
  const auto c = [&](const Value& x, int64_t out, Ints kernel, Ints padding, int64_t stride = 1) {
    return n.conv(x, out, std::move(kernel), stride, std::move(padding));
  };
  Value x = n.conv(n.conv(n.conv(n.input(), 32, 3, 2, 0), 32, 3, 1, 0), 64, 3);
  x = Network::max_pool(n.conv(n.conv(Network::max_pool(x, 3, 2), 80, 1), 192, 3, 1, 0), 3, 2);
  for (const int64_t pool : {32, 64, 64}) {
    x = Network::concat({n.conv(x, 64, 1), n.conv(n.conv(x, 48, 1), 64, 5),
                         n.conv(n.conv(n.conv(x, 64, 1), 96, 3), 96, 3), n.conv(Network::average(x, 3, 1), pool, 1)});
  }
  x = Network::concat(
      {n.conv(x, 384, 3, 2, 0), n.conv(n.conv(n.conv(x, 64, 1), 96, 3), 96, 3, 2, 0), Network::max_pool(x, 3, 2)});
  for (const int64_t m : {128, 160, 160, 192}) {
    Value a = c(c(n.conv(x, m, 1), m, {1, 7}, {0, 3}), 192, {7, 1}, {3, 0});
    Value b = c(c(n.conv(x, m, 1), m, {7, 1}, {3, 0}), m, {1, 7}, {0, 3});
    b = c(c(b, m, {7, 1}, {3, 0}), 192, {1, 7}, {0, 3});
    x = Network::concat({n.conv(x, 192, 1), a, b, n.conv(Network::average(x, 3, 1), 192, 1)});
  }
  const Value wide = c(c(n.conv(x, 192, 1), 192, {1, 7}, {0, 3}), 192, {7, 1}, {3, 0});
  x = Network::concat(
      {n.conv(n.conv(x, 192, 1), 320, 3, 2, 0), n.conv(wide, 192, 3, 2, 0), Network::max_pool(x, 3, 2)});
  for (int k = 0; k < 2; ++k) {
    const Value a = n.conv(x, 384, 1), b = n.conv(n.conv(x, 448, 1), 384, 3);
    x = Network::concat({n.conv(x, 320, 1), c(a, 384, {1, 3}, {0, 1}), c(a, 384, {3, 1}, {1, 0}),
                         c(b, 384, {1, 3}, {0, 1}), c(b, 384, {3, 1}, {1, 0}),
                         n.conv(Network::average(x, 3, 1), 192, 1)});
  }
  return n.classify(Network::average(x));
}

// Krizhevsky, Sutskever, Hinton (2012), in one column.
Graph alexnet() {
  Network n(224);
  Value x = Network::max_pool(n.conv(n.input(), 64, 11, 4, 2), 3, 2);
  x = Network::max_pool(n.conv(x, 192, 5), 3, 2);
  x = Network::max_pool(n.conv(n.conv(n.conv(x, 384, 3), 256, 3), 256, 3), 3, 2);
  return n.classify(n.dense(n.dense(x, 4096, "relu"), 4096, "relu"));
}

// Iandola et al.: SqueezeNet 1.1 (2016).
Graph squeezenet() {
  Network n(224);
  const auto fire = [&](const Value& x, int64_t squeeze, int64_t expand) {
    const Value s = n.conv(x, squeeze, 1);
    return Network::concat({n.conv(s, expand, 1), n.conv(s, expand, 3)});
  };
  Value x = Network::max_pool(n.conv(n.input(), 64, 3, 2, 0), 3, 2);
  x = Network::max_pool(fire(fire(x, 16, 64), 16, 64), 3, 2);
  x = Network::max_pool(fire(fire(x, 32, 128), 32, 128), 3, 2);
  x = fire(fire(fire(fire(x, 48, 192), 48, 192), 64, 256), 64, 256);
  x = Network::average(n.conv(x, 1000, 1));
  return Graph({n.input()}, {op("softmax", {op("reshape", {x}, {{"shape", Ints{1, 1000}}})}, {{"axis", int64_t{-1}}})});
}

TEST(KunlunLatency, ElevenPublishedNetworks) {
  struct Row {
    const char* name;
    double published_ms;
    Graph (*build)();
  };
  const Row rows[] = {
      {"ResNet-18", 0.413,
       [] {
         return resnet({2, 2, 2, 2}, false);
       }},
      {"ResNet-50", 0.909,
       [] {
         return resnet({3, 4, 6, 3}, true);
       }},
      {"ResNet-101", 1.553,
       [] {
         return resnet({3, 4, 23, 3}, true);
       }},
      {"MobileNet-v1", 0.485, mobilenet_v1},
      {"MobileNet-v2", 0.720, mobilenet_v2},
      {"VGG16", 1.401,
       [] {
         return vgg({2, 2, 3, 3, 3});
       }},
      {"VGG19", 1.517,
       [] {
         return vgg({2, 2, 4, 4, 4});
       }},
      {"DarkNet53", 1.047, darknet53},
      {"Inception-v3", 1.861, inception_v3},
      {"AlexNet", 0.576, alexnet},
      {"SqueezeNet", 0.552, squeezenet},
  };
  runtime::Device& xpu = runtime::Device::get("xpu:0");
  int close = 0;
  for (const Row& row : rows) {
    const auto plan = runtime::Plan::make(row.build(), {.target = &xpu, .fallback = runtime::Fallback::kError});
    const double modelled = plan->ledger().total_ns() * 1e-6, off = modelled / row.published_ms - 1;
    std::printf("%-14s published %6.3f ms   modelled %6.3f ms   %+5.1f %%   %d launches\n", row.name, row.published_ms,
                modelled, 100 * off, plan->ledger().launches);
    close += std::fabs(off) <= 0.10;
    EXPECT_LE(std::fabs(off), 0.20) << row.name;
  }
  EXPECT_GE(close, 8);
}

}  // namespace
}  // namespace trireme::testing
