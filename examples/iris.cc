// A small multi-layer perceptron on the Iris table. The same source for every chip: build/examples/iris --device cpu
#include "examples/example.h"
#include "trireme/data/csv.h"
#include "trireme/data/find.h"
#include "trireme/nn/layers.h"

using namespace trireme;

// x: f32 [N, 4] -> logits [N, 3].
struct Mlp {
  nn::Linear first{4, 32}, second{32, 3};
  Tensor operator()(const Tensor& x) { return second(relu(first(x))); }
  template <class V>
  void each(V& v) {
    v("first", first), v("second", second);
  }
};

int main(int argc, char** argv) {
  Example example("iris", "Trains a classifier on the Iris table");
  int epochs = 60;
  example.option("--epochs", epochs, "passes over the table");
  return example.run(argc, argv, [&] {
    const auto table =
        data::read_csv(data::find_data("datasets/iris/Iris.csv"), {.label = "Species", .ignore = {"Id"}});
    const auto [train_set, validation_set] = data::hold_back_random(table.dataset, 30, 1);
    data::DataLoader train(train_set, {.batch_size = 20, .seed = 1});
    data::DataLoader validation(validation_set, {.batch_size = 30, .shuffle = false});
    Mlp mlp;
    train::Options options;
    options.epochs = epochs;
    options.optimizer.learning_rate = 1e-2;
    options.output_folder = example.output;
    options.evaluate_every = epochs * train.batches_per_epoch();
    train::Trainer trainer(
        train::model_of(mlp), [](auto& x, auto& y) { return cross_entropy(x, y); }, options);
    return trainer.fit(train, &validation);
  });
}
