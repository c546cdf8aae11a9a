// A character-level transformer (about 0.8 M parameters) on tiny-shakespeare. The same source for every chip:
//   build/examples/char_gpt --device cpu --output out/char_gpt
#include <CLI/CLI.hpp>
#include <cstdio>

#include "trireme/data/find.h"
#include "trireme/data/text.h"
#include "trireme/nn/layers.h"
#include "trireme/train/trainer.h"

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

int main(int argc, char** argv) try {
  std::string device = "cpu", output = "out/char_gpt";
  int64_t steps = 3000, batch = 32, context = 128;
  CLI::App app("Trains a character-level transformer on tiny-shakespeare");
  app.add_option("--device", device, "chip:index, as `trireme chips` lists them")->capture_default_str();
  app.add_option("--output", output, "folder for checkpoints and the log")->capture_default_str();
  app.add_option("--steps", steps, "training steps")->capture_default_str();
  app.add_option("--batch", batch, "windows per step")->capture_default_str();
  app.add_option("--context", context, "characters per window")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  set_device(device);
  seed(1);
  const auto text = data::read_text(data::find_data("datasets/text/tinyshakespeare.txt"), {.length = context});
  data::DataLoader train(text.split.train, {.batch_size = batch, .drop_last = true, .seed = 1});
  data::DataLoader validation(text.split.validation, {.batch_size = batch, .shuffle = false, .drop_last = true});
  Gpt gpt(text.vocabulary.size(), context);
  train::Options options;
  options.steps = steps;
  options.optimizer = {.weight_decay = 0.1, .beta2 = 0.99, .clip_norm = 1.0};
  options.schedule =
      optim::linear_warm_up(100, 1e-5, optim::cosine_decay(2e-3, std::max<int64_t>(steps - 100, 1), 1e-4));
  options.output_folder = output;
  options.evaluate_every = 500;
  train::Trainer trainer(
      train::model_of(gpt), [](auto& x, auto& y) { return cross_entropy(x, y); }, options);
  const train::Result result = trainer.fit(train, &validation);
  std::printf("%s\n", train::json(result).c_str());
  return result.interrupted ? 130 : 0;
} catch (const std::exception& failure) {
  std::fprintf(stderr, "char_gpt: %s\n", failure.what());
  return 2;
}
