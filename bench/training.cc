#include "bench/training.h"

#include <memory>
#include <optional>

#include "bench/networks/bert_base.h"
#include "bench/networks/resnet50.h"
#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/nn/layers.h"
#include "trireme/optim/optimizer.h"

namespace trireme::bench {

namespace {

struct TinyMlp {
  std::vector<nn::Linear> layers;
  TinyMlp() {
    for (int i = 0; i < 10; ++i) layers.emplace_back(16, 16);
  }
  Tensor operator()(Tensor x) {
    for (size_t i = 0; i + 1 < layers.size(); ++i) x = relu(layers[i](x));
    return layers.back()(x);
  }
  template <class V>
  void each(V& v) {
    v("layers", layers);
  }
};

struct LeNet {
  nn::Conv2d first{1, 16, 5, {.padding = 2, .bias = false}}, second{16, 32, 5, {.padding = 2, .bias = false}};
  nn::BatchNorm first_norm{16}, second_norm{32};
  nn::Linear hidden{32 * 7 * 7, 128}, output{128, 10};
  Tensor operator()(const Tensor& images) {
    const Tensor x = max_pool2d(relu(first_norm(first(images))), {2});
    return output(relu(hidden(flatten(max_pool2d(relu(second_norm(second(x))), {2}), 1))));
  }
  template <class V>
  void each(V& v) {
    v("first", first), v("first_norm", first_norm), v("second", second), v("second_norm", second_norm);
    v("hidden", hidden), v("output", output);
  }
};

// He et al. 2016, with a stem for small images.
struct ResNet18 {
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

  nn::Conv2d stem{3, 64, 3, {.padding = 1, .bias = false}};
  nn::BatchNorm norm{64};
  std::vector<Block> blocks;
  nn::Linear head{512, 10};
  ResNet18() {
    for (int64_t stage = 0, in = 64; stage < 4; ++stage) {
      for (int64_t k = 0; k < 2; ++k, in = int64_t{64} << stage) {
        blocks.emplace_back(in, int64_t{64} << stage, stage > 0 && k == 0 ? 2 : 1);
      }
    }
  }
  Tensor operator()(const Tensor& images) {
    Tensor x = relu(norm(stem(images)));
    for (Block& block : blocks) x = block(x);
    return head(flatten(global_avg_pool(x), 1));
  }
  template <class V>
  void each(V& v) {
    v("stem", stem), v("norm", norm), v("blocks", blocks), v("head", head);
  }
};

// The transformer of examples/char_gpt.cc without dropout, whose random numbers no two frameworks share.
struct CharGpt {
  static constexpr int64_t kWidth = 128, kVocabulary = 65, kContext = 128;
  struct Block {
    nn::LayerNorm first{kWidth}, second{kWidth};
    nn::Attention attention{kWidth, 4, /*causal=*/true};
    nn::Linear up{kWidth, 4 * kWidth}, down{4 * kWidth, kWidth};
    Tensor operator()(const Tensor& x) const {
      const Tensor y = x + attention(first(x));
      return y + down(gelu(up(second(y)), "tanh"));
    }
    template <class V>
    void each(V& v) {
      v("first", first), v("attention", attention), v("second", second), v("up", up), v("down", down);
    }
  };
  nn::Embedding characters{kVocabulary, kWidth}, positions{kContext, kWidth};
  std::vector<Block> blocks{4};
  nn::LayerNorm norm{kWidth};
  nn::Linear head{kWidth, kVocabulary, false};
  Tensor operator()(const Tensor& x) const {
    Tensor h = characters(x) + positions.weight;
    for (const Block& block : blocks) h = block(h);
    return head(norm(h));
  }
  template <class V>
  void each(V& v) {
    v("characters", characters), v("positions", positions), v("blocks", blocks), v("norm", norm), v("head", head);
  }
};

// BERT-base that tells two classes of sequences apart by the features of the first token.
struct BertClassifier {
  BertBase encoder{128};
  nn::Linear head{BertBase::kFeatures, 2};
  Tensor operator()(const Tensor& tokens) const {
    return head(reshape(narrow(encoder(tokens), 1, 0, 1), {tokens.size(0), BertBase::kFeatures}));
  }
  template <class V>
  void each(V& v) {
    v("encoder", encoder), v("head", head);
  }
};

template <class Net, class Loss>
TrainingStep make(DType autocast, Loss loss, optim::Method method, double rate) {
  const auto net = std::make_shared<Net>();
  auto state = nn::state_of(*net);
  const auto optimizer = std::make_shared<optim::Optimizer>(method, state, optim::Options{.learning_rate = rate});
  const auto step = [=](const std::vector<Tensor>& x) {
    const Tensor value = loss((*net)(x[0]), x[1]);
    optimizer->step(grad(value, optimizer->parameters()));
    return std::vector<Tensor>{value};
  };
  const auto function = std::make_shared<Compiled>(step, CompileOptions{.autocast = autocast});
  return {std::move(state),
          [function](const Literal& x, const Literal& y) {
            const nn::TrainingMode training(true);
            return (*function)({Tensor(x), Tensor(y)})[0].item();
          },
          [function]() -> const Graph& { return function->graph(); }};
}

}  // namespace

TrainingStep training_step(const std::string& name, DType autocast) {
  if (name == "tiny_mlp") {
    return make<TinyMlp>(
        autocast, [](const Tensor& x, const Tensor& y) { return mean(square(x - y)); }, optim::Method::kAdam, 1e-4);
  }
  const auto classes = [](const Tensor& x, const Tensor& y) { return cross_entropy(x, y); };
  if (name == "lenet") return make<LeNet>(autocast, classes, optim::Method::kMomentum, 1e-3);
  if (name == "resnet18") return make<ResNet18>(autocast, classes, optim::Method::kMomentum, 1e-3);
  // With 1e-3 the losses of f32 and f64 are 0.02 apart after two steps in PyTorch alone: nothing could be compared.
  if (name == "resnet50") return make<ResNet50>(autocast, classes, optim::Method::kMomentum, 1e-5);
  if (name == "char_gpt") return make<CharGpt>(autocast, classes, optim::Method::kAdamW, 1e-3);
  if (name == "bert_base") return make<BertClassifier>(autocast, classes, optim::Method::kAdamW, 1e-5);
  throw Error(Code::kInvalidArgument, cat("no training step '", name,
                                          "'; there are tiny_mlp, lenet, resnet18, resnet50, char_gpt and bert_base"));
}

}  // namespace trireme::bench
