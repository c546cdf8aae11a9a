// Networks for sequences of tokens.
#include "trireme/nn/layers.h"
#include "trireme/train/architectures.h"
#include "trireme/train/owned.h"

namespace trireme::train {

namespace {

// Attention and a gelu layer, each behind a layer norm and beside what came in.
struct Block {
  nn::LayerNorm first, second;
  nn::Attention attention;
  nn::Linear up, down;
  nn::Dropout dropout;
  Block(int64_t features, int64_t heads, bool is_causal, double drop)
      : first(features),
        second(features),
        attention(features, heads, is_causal),
        up(features, 4 * features),
        down(4 * features, features),
        dropout{drop} {}
  Tensor operator()(const Tensor& x) {
    const Tensor y = x + dropout(attention(first(x)));
    return y + dropout(down(gelu(up(second(y)), "tanh")));
  }
  template <class V>
  void each(V& v) {
    v("first", first), v("attention", attention), v("second", second), v("up", up), v("down", down);
  }
};

// tokens i32 [N, T] to features [N, T, D].
struct Transformer {
  nn::Embedding tokens, positions;
  std::vector<Block> blocks;
  nn::LayerNorm norm;
  bool recompute;
  Transformer(int64_t length, int64_t vocabulary, bool is_causal, const decltype(Config::arch)& arch)
      : tokens(vocabulary, arch.features),
        positions(length, arch.features),
        norm(arch.features),
        recompute(arch.recompute) {
    for (int64_t i = 0; i < arch.layers; ++i) blocks.emplace_back(arch.features, arch.heads, is_causal, arch.dropout);
  }
  Tensor operator()(const Tensor& x) {
    Tensor h = tokens(x) + positions(iota({x.size(1)}, i32, 0));
    for (Block& block : blocks) {
      const auto run = [&](const Tensor& in) { return block(in); };
      h = recompute ? checkpointed(run)(h) : run(h);
    }
    return norm(h);
  }
  template <class V>
  void each(V& v) {
    v("tokens", tokens), v("positions", positions), v("blocks", blocks), v("norm", norm);
  }
};

struct Gpt {
  Transformer body;
  nn::Linear head;
  Gpt(int64_t length, int64_t vocabulary, const decltype(Config::arch)& arch)
      : body(length, vocabulary, true, arch), head(arch.features, vocabulary, false) {}
  Tensor operator()(const Tensor& x) { return head(body(x)); }
  // The names of the body are the model's own.
  template <class V>
  void each(V& v) {
    body.each(v);
    v("head", head);
  }
};

// The encoder of BERT (Devlin et al. 2019), normalised before each part, with a classifier on the mean over the tokens.
struct Bert {
  Transformer body;
  nn::Linear pooler, head;
  Bert(int64_t length, int64_t vocabulary, int64_t out, const decltype(Config::arch)& arch)
      : body(length, vocabulary, false, arch), pooler(arch.features, arch.features), head(arch.features, out) {}
  Tensor operator()(const Tensor& x) { return head(tanh(pooler(mean(body(x), {1})))); }
  template <class V>
  void each(V& v) {
    body.each(v);
    v("pooler", pooler), v("head", head);
  }
};

// Long short-term memory (Hochreiter, Schmidhuber 1997; with the forget gate of Gers et al. 2000), its steps laid out
// in the graph. x [N, T, D] to [N, T, D].
struct LstmLayer {
  nn::Linear input, state;  // to the gates in, forget, cell, out: [4 D]
  explicit LstmLayer(int64_t features) : input(features, 4 * features), state(features, 4 * features, false) {}
  Tensor operator()(const Tensor& x) {
    Tensor h = zeros({x.size(0), x.size(2)}), c = h;
    std::vector<Tensor> outputs;
    for (const Tensor& now : unstack(input(x), 1)) {
      const std::vector<Tensor> gates = chunk(now + state(h), 4, 1);
      c = sigmoid(gates[1]) * c + sigmoid(gates[0]) * tanh(gates[2]);
      h = sigmoid(gates[3]) * tanh(c);
      outputs.push_back(h);
    }
    return stack(outputs, 1);
  }
  template <class V>
  void each(V& v) {
    v("input", input), v("state", state);
  }
};

struct Lstm {
  nn::Embedding tokens;
  std::vector<LstmLayer> layers;
  nn::Dropout dropout;
  nn::Linear head;
  Lstm(int64_t vocabulary, const decltype(Config::arch)& arch)
      : tokens(vocabulary, arch.features, 1.0), dropout{arch.dropout}, head(arch.features, vocabulary) {
    for (int64_t i = 0; i < arch.layers; ++i) layers.emplace_back(arch.features);
  }
  Tensor operator()(const Tensor& x) {
    Tensor h = tokens(x);
    for (LstmLayer& layer : layers) h = dropout(layer(h));
    return head(h);
  }
  template <class V>
  void each(V& v) {
    v("tokens", tokens), v("layers", layers), v("head", head);
  }
};

}  // namespace

Model make_gpt(int64_t length, int64_t vocabulary, const Config& config) {
  return owned<Gpt>(length, vocabulary, config.arch);
}
Model make_lstm(int64_t vocabulary, const Config& config) { return owned<Lstm>(vocabulary, config.arch); }
Model make_bert(int64_t length, int64_t vocabulary, int64_t outputs, const Config& config) {
  return owned<Bert>(length, vocabulary, outputs, config.arch);
}

}  // namespace trireme::train
