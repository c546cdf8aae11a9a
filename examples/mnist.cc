// A digit classifier: LeNet's shape with batch norm, trained on MNIST. The same source for every chip:
//   build/examples/mnist --device cpu --output out/mnist
#include "trireme/data/mnist.h"
#include "examples/example.h"
#include "trireme/checkpoint/export.h"
#include "trireme/nn/layers.h"

using namespace trireme;

// x: u8 [N, 1, 28, 28] -> logits [N, 10].
struct Net {
  nn::Conv2d first{1, 16, 5, {.padding = 2, .bias = false}}, second{16, 32, 5, {.padding = 2, .bias = false}};
  nn::BatchNorm first_norm{16}, second_norm{32};
  nn::Linear hidden{32 * 7 * 7, 128}, output{128, 10};
  nn::Dropout dropout{0.3};

  Tensor operator()(const Tensor& images) {
    Tensor x = convert(images, f32) * (1.0 / 127.5) - 1.0;
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

int main(int argc, char** argv) {
  Example example("mnist", "Trains a digit classifier on MNIST");
  int epochs = 5;
  int64_t batch = 100, rows = 0;
  example.option("--epochs", epochs, "passes over the training rows");
  example.option("--batch", batch, "images per step");
  example.option("--rows", rows, "train on the first rows only; 0: all");
  return example.run(argc, argv, [&] {
    const data::Mnist mnist = data::load_mnist();
    auto [train_set, validation_set] = data::hold_back_last(mnist.train, 5000);
    if (rows > 0) train_set = data::hold_back_last(train_set, train_set->size() - rows).train;
    data::DataLoader train(train_set, {.batch_size = batch, .drop_last = true, .seed = 1});
    data::DataLoader validation(validation_set, {.batch_size = 250, .shuffle = false});

    Net net;
    train::Options options;
    options.epochs = epochs;
    options.optimizer.weight_decay = 1e-2;
    options.schedule = optim::cosine_decay(2e-3, epochs * train.batches_per_epoch(), 1e-5);
    options.output_folder = example.output;
    train::Trainer trainer(
        train::model_of(net), [](auto& x, auto& y) { return cross_entropy(x, y); }, options);
    const train::Result result = trainer.fit(train, &validation);

    const Tensor images(Literal::zeros(u8, {250, 1, 28, 28}));
    checkpoint::export_model(example.output + "/model", {images}, {softmax(net(images))}, {"images"}, {"probabilities"},
                             nn::state_of(net));
    return result;
  });
}
