// A character-level transformer (about 0.8 M parameters) on tiny-shakespeare. The same source for every chip:
//   build/examples/char_gpt --device cpu --output out/char_gpt
#include "examples/example.h"
#include "trireme/data/find.h"
#include "trireme/data/text.h"
#include "trireme/nn/layers.h"

using namespace trireme;

constexpr int64_t kWidth = 128, kHeads = 4, kLayers = 4;

struct Block {
  nn::LayerNorm first{kWidth}, second{kWidth};
  nn::Attention attention{kWidth, kHeads, /*causal=*/true};
  nn::Linear up{kWidth, 4 * kWidth}, down{4 * kWidth, kWidth};
  nn::Dropout dropout{0.1};
  Tensor operator()(const Tensor& x) {
    const Tensor y = x + dropout(attention(first(x)));
    return y + dropout(down(gelu(up(second(y)), "tanh")));
  }
  template <class V>
  void each(V& v) {
    v("first", first), v("attention", attention), v("second", second), v("up", up), v("down", down);
  }
};

// characters: i32 [N, T] -> logits [N, T, vocabulary].
struct Gpt {
  nn::Embedding characters, positions;
  std::vector<Block> blocks{kLayers};
  nn::LayerNorm norm{kWidth};
  nn::Linear head;
  Gpt(int64_t vocabulary, int64_t context)
      : characters(vocabulary, kWidth), positions(context, kWidth), head(kWidth, vocabulary, false) {}
  Tensor operator()(const Tensor& x) {
    Tensor h = characters(x) + positions(iota({x.size(1)}, i32, 0));
    for (Block& block : blocks) h = block(h);
    return head(norm(h));
  }
  template <class V>
  void each(V& v) {
    v("characters", characters), v("positions", positions), v("blocks", blocks), v("norm", norm), v("head", head);
  }
};

int main(int argc, char** argv) {
  Example example("char_gpt", "Trains a character-level transformer on tiny-shakespeare");
  int64_t steps = 2500, batch = 16, context = 128;
  example.option("--steps", steps, "training steps");
  example.option("--batch", batch, "windows per step");
  example.option("--context", context, "characters per window");
  return example.run(argc, argv, [&] {
    const auto text = data::read_text(data::find_data("datasets/text/tinyshakespeare.txt"), {.length = context});
    data::DataLoader train(text.split.train, {.batch_size = batch, .drop_last = true, .seed = 1});
    data::DataLoader validation(text.split.validation, {.batch_size = batch, .shuffle = false, .drop_last = true});
    Gpt gpt(text.vocabulary.size(), context);
    train::Options options;
    options.steps = steps;
    options.optimizer = {.weight_decay = 0.1, .beta2 = 0.99, .clip_norm = 1.0};
    options.schedule =
        optim::linear_warm_up(100, 1e-5, optim::cosine_decay(2e-3, std::max<int64_t>(steps - 100, 1), 1e-4));
    options.output_folder = example.output;
    options.evaluate_every = 500;
    train::Trainer trainer(
        train::model_of(gpt), [](auto& x, auto& y) { return cross_entropy(x, y); }, options);
    return trainer.fit(train, &validation);
  });
}
