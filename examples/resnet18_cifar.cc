// ResNet-18 with a stem for small pictures on the CIFAR-10 sample. The same source for every chip:
//   build/examples/resnet18_cifar --device cpu --output out/resnet18
#include "examples/example.h"
#include "trireme/data/cifar10.h"
#include "trireme/nn/layers.h"

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

int main(int argc, char** argv) {
  Example example("resnet18_cifar", "Trains ResNet-18 on 4,000 CIFAR-10 pictures, 500 of them held back");
  int64_t epochs = 30, batch = 50, width = 64, rows = 0;
  example.option("--epochs", epochs, "passes over the training pictures");
  example.option("--batch", batch, "pictures per step");
  example.option("--width", width, "channels of the first stage");
  example.option("--rows", rows, "train on the first pictures only; 0: all");
  return example.run(argc, argv, [&] {
    auto [train_set, validation_set] = data::hold_back_last(data::load_cifar10(), 500);
    if (rows > 0) train_set = data::hold_back_last(train_set, train_set->size() - rows).train;
    data::DataLoader train(train_set,
                           {.batch_size = batch, .drop_last = true, .seed = 1, .transform = data::augment_cifar10});
    data::DataLoader validation(validation_set,
                                {.batch_size = 100, .shuffle = false, .transform = data::normalise_cifar10});
    ResNet18 net(width);
    train::Options options;
    options.epochs = epochs;
    options.method = optim::Method::kMomentum;
    options.optimizer = {.weight_decay = 5e-4, .nesterov = true};
    options.schedule = optim::linear_warm_up(50, 1e-3, optim::cosine_decay(5e-2, epochs * train.batches_per_epoch()));
    options.output_folder = example.output;
    train::Trainer trainer(
        train::model_of(net), [](auto& x, auto& y) { return cross_entropy(x, y); }, options);
    return trainer.fit(train, &validation);
  });
}
