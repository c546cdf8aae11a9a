// ResNet-18 with a stem for small pictures on the CIFAR-10 sample. The same source for every chip:
//   build/examples/resnet18_cifar --device cpu --output out/resnet18
#include <CLI/CLI.hpp>
#include <cstdio>

#include "trireme/data/find.h"
#include "trireme/data/image_sets.h"
#include "trireme/data/transform.h"
#include "trireme/nn/layers.h"
#include "trireme/train/trainer.h"

using namespace trireme;

struct Block {
  nn::Conv2d first, second;
  nn::BatchNorm first_norm, second_norm;
  std::optional<nn::Conv2d> shortcut;
  Block(int64_t in, int64_t out, int64_t stride)
      : first(in, out, 3, {.stride = stride, .padding = 1, .bias = false}),
        second(out, out, 3, {.padding = 1, .bias = false}),
        first_norm(out),
        second_norm(out) {
    if (in != out) shortcut.emplace(in, out, 1, nn::ConvOptions{.stride = stride, .bias = false});
  }
  Tensor operator()(const Tensor& x) {
    const Tensor y = second_norm(second(relu(first_norm(first(x)))));
    return relu(y + (shortcut ? (*shortcut)(x) : x));
  }
  template <class V>
  void each(V& v) {
    v("first", first), v("first_norm", first_norm), v("second", second), v("second_norm", second_norm);
    v("shortcut", shortcut);
  }
};

// x: f32 [N, 3, 32, 32] -> logits [N, 10]. `width` is 64 in the paper (He et al. 2016).
struct ResNet18 {
  nn::Conv2d stem;
  nn::BatchNorm norm;
  std::vector<Block> blocks;
  nn::Linear head;
  explicit ResNet18(int64_t width)
      : stem(3, width, 3, {.padding = 1, .bias = false}), norm(width), head(8 * width, 10) {
    for (int64_t stage = 0, in = width; stage < 4; ++stage) {
      for (int64_t k = 0; k < 2; ++k, in = width << stage)
        blocks.emplace_back(in, width << stage, stage > 0 && k == 0 ? 2 : 1);
    }
  }
  Tensor operator()(const Tensor& x) {
    Tensor h = relu(norm(stem(x)));
    for (Block& block : blocks) h = block(h);
    return head(flatten(global_avg_pool(h), 1));
  }
  template <class V>
  void each(V& v) {
    v("stem", stem), v("norm", norm), v("blocks", blocks), v("head", head);
  }
};

int main(int argc, char** argv) try {
  std::string device = "cpu", output = "out/resnet18";
  int64_t epochs = 30, batch = 50, width = 64, rows = 0;
  CLI::App app("Trains ResNet-18 on 4,000 CIFAR-10 pictures, 500 of them held back");
  app.add_option("--device", device, "chip:index, as `trireme chips` lists them")->capture_default_str();
  app.add_option("--output", output, "folder for checkpoints and the log")->capture_default_str();
  app.add_option("--epochs", epochs, "passes over the training pictures")->capture_default_str();
  app.add_option("--batch", batch, "pictures per step")->capture_default_str();
  app.add_option("--width", width, "channels of the first stage")->capture_default_str();
  app.add_option("--rows", rows, "train on the first pictures only; 0: all")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  set_device(device);
  seed(1);
  std::vector<std::string> pictures;
  for (int i = 0; i < 4; ++i)
    pictures.push_back(data::find_data("datasets/cifar10/cifar10_batch_" + std::to_string(i) + ".png"));
  const auto all = data::png_batches(pictures, data::find_data("datasets/cifar10/train_labels_0-3999.txt"));
  auto [train_set, validation_set] = data::hold_back_last(all, 500);
  if (rows > 0) train_set = data::hold_back_last(train_set, train_set->size() - rows).train;
  const auto scaled = [](const Literal& image) {
    const float mean[] = {0.4914f, 0.4822f, 0.4465f}, deviation[] = {0.2470f, 0.2435f, 0.2616f};
    return data::normalise(image, mean, deviation);
  };
  data::LoaderOptions loading{.batch_size = batch, .drop_last = true, .seed = 1};
  loading.transform = [&](data::Example e, data::RandomStream& random) {
    e[0] = scaled(data::random_flip(data::random_crop(e[0], 4, random), random));
    return e;
  };
  data::LoaderOptions checking{.batch_size = 100, .shuffle = false};
  checking.transform = [&](data::Example e, data::RandomStream&) {
    e[0] = scaled(e[0]);
    return e;
  };
  data::DataLoader train(train_set, loading), validation(validation_set, checking);
  ResNet18 net(width);
  train::Options options;
  options.epochs = epochs;
  options.method = optim::Method::kMomentum;
  options.optimizer = {.weight_decay = 5e-4, .nesterov = true};
  options.schedule = optim::linear_warm_up(50, 1e-3, optim::cosine_decay(5e-2, epochs * train.batches_per_epoch()));
  options.output_folder = output;
  train::Trainer trainer(
      train::model_of(net), [](auto& x, auto& y) { return cross_entropy(x, y); }, options);
  std::printf("%s\n", train::json(trainer.fit(train, &validation)).c_str());
} catch (const std::exception& failure) {
  std::fprintf(stderr, "resnet18_cifar: %s\n", failure.what());
  return 2;
}
