// Recurrent layers, their steps written out one after the other.
#include <cctype>

#include "trireme/base/strings.h"
#include "trireme/formats/onnx/call.h"

namespace trireme::formats::onnx {

namespace {

struct Activation {
  std::string name;
  double alpha = 0.0, beta = 0.0;
};

Value activate(const Call& c, const Activation& f, const Value& x) {
  if (f.name == "sigmoid") return ops::logistic(x);
  if (f.name == "tanh") return ops::tanh(x);
  if (f.name == "relu") return ops::relu(x);
  if (f.name == "affine") return x * f.alpha + f.beta;
  if (f.name == "leakyrelu") return ops::leaky_relu(x, f.alpha);
  if (f.name == "thresholdedrelu") return ops::select(ops::compare(x, f.alpha, "gt"), x, 0.0);
  if (f.name == "scaledtanh") return ops::tanh(x * f.beta) * f.alpha;
  if (f.name == "hardsigmoid") return ops::min(ops::max(x * f.alpha + f.beta, 0.0), 1.0);
  if (f.name == "elu") return ops::elu(x, f.alpha);
  if (f.name == "softsign") return ops::softsign(x);
  if (f.name == "softplus") return ops::softplus(x);
  c.unsupported(cat("activation '", f.name, "'"));
}

std::vector<Activation> activations_of(Call& c, const std::vector<std::string>& usual, int64_t directions) {
  std::vector<std::string> names = c.strings("activations");
  if (names.empty()) {
    for (int64_t d = 0; d < directions; ++d) names.insert(names.end(), usual.begin(), usual.end());
  }
  c.require(names.size() == usual.size() * static_cast<size_t>(directions), cat(names.size(), " activations"));
  const std::vector<double> alphas = c.numbers("activation_alpha"), betas = c.numbers("activation_beta");
  size_t alpha = 0, beta = 0;
  std::vector<Activation> out;
  for (std::string& name : names) {
    for (char& letter : name) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    Activation f{name};
    // Values are taken in order by the functions that have any.
    const bool has_alpha = name == "affine" || name == "leakyrelu" || name == "thresholdedrelu" ||
                           name == "scaledtanh" || name == "hardsigmoid" || name == "elu";
    const bool has_beta = name == "affine" || name == "scaledtanh" || name == "hardsigmoid";
    f.alpha = name == "leakyrelu" ? 0.01 : name == "hardsigmoid" ? 0.2F : 1.0;
    f.beta = name == "hardsigmoid" ? 0.5 : name == "scaledtanh" ? 1.0 : 0.0;
    if (has_alpha && alpha < alphas.size()) f.alpha = alphas[alpha++];
    if (has_beta && beta < betas.size()) f.beta = betas[beta++];
    out.push_back(f);
  }
  return out;
}

// One layer in one direction.
struct Layer {
  Value projected;       // [T, B, gates H]: the input times the weights, plus biases
  Value recurrent;       // [H, gates H]
  Value recurrent_bias;  // [gates H]
  Value peephole;        // [3 H], or absent
  std::vector<Activation> f;
  int64_t hidden = 0;
  double clip = 0.0;
  bool linear_before_reset = false, coupled = false;
};

struct State {
  Value h, c;
};

using Step = State (*)(const Call&, const Layer&, const Value& projected, const State&);

Value gate(const Value& v, int64_t hidden, int64_t k) {
  return ops::slice_axis(v, v.shape().rank() - 1, k * hidden, (k + 1) * hidden);
}
Value rows_of(const Value& v, const Value& like) { return broadcast(v, like.shape()); }
Value clipped(const Layer& l, const Value& v) { return l.clip > 0 ? ops::max(ops::min(v, l.clip), -l.clip) : v; }

State rnn_step(const Call& c, const Layer& l, const Value& projected, const State& s) {
  const Value sum = projected + ops::matmul(s.h, l.recurrent) + rows_of(l.recurrent_bias, projected);
  return {activate(c, l.f[0], clipped(l, sum)), {}};
}

State gru_step(const Call& c, const Layer& l, const Value& projected, const State& s) {
  const int64_t h = l.hidden;
  const auto part = [&](const Value& v, int64_t k) { return gate(v, h, k); };
  const Value update = activate(c, l.f[0],
                                clipped(l, part(projected, 0) + ops::matmul(s.h, part(l.recurrent, 0)) +
                                               rows_of(part(l.recurrent_bias, 0), s.h)));
  const Value reset = activate(c, l.f[0],
                               clipped(l, part(projected, 1) + ops::matmul(s.h, part(l.recurrent, 1)) +
                                              rows_of(part(l.recurrent_bias, 1), s.h)));
  const Value bias = rows_of(part(l.recurrent_bias, 2), s.h);
  const Value past = l.linear_before_reset ? reset * (ops::matmul(s.h, part(l.recurrent, 2)) + bias)
                                           : ops::matmul(reset * s.h, part(l.recurrent, 2)) + bias;
  const Value fresh = activate(c, l.f[1], clipped(l, part(projected, 2) + past));
  return {(1.0 - update) * fresh + update * s.h, {}};
}

State lstm_step(const Call& c, const Layer& l, const Value& projected, const State& s) {
  const Value sum = projected + ops::matmul(s.h, l.recurrent) + rows_of(l.recurrent_bias, projected);
  const auto part = [&](int64_t k) { return gate(sum, l.hidden, k); };
  const auto peep = [&](int64_t k, const Value& cell) {
    return l.peephole ? rows_of(gate(l.peephole, l.hidden, k), cell) * cell : ops::filled_like(cell, 0.0);
  };
  const bool peeps = static_cast<bool>(l.peephole);
  const auto with = [&](const Value& v, int64_t k, const Value& cell) {
    return clipped(l, peeps ? v + peep(k, cell) : v);
  };
  const Value input = activate(c, l.f[0], with(part(0), 0, s.c));
  const Value forget = l.coupled ? 1.0 - input : activate(c, l.f[0], with(part(2), 2, s.c));
  const Value cell = forget * s.c + input * activate(c, l.f[1], clipped(l, part(3)));
  const Value output = activate(c, l.f[0], with(part(1), 1, cell));
  return {output * activate(c, l.f[2], cell), cell};
}

// x [T, B, ...] with the first `length` steps of each row turned around.
Value turned(const Value& x, const Value& lengths) {
  if (!lengths) return ops::reverse(x, {0});
  const int64_t steps = x.shape()[0], batch = x.shape()[1];
  const Ints grid = {steps, batch};
  const Value length = ops::broadcast_to(ops::reshape(lengths, {1, batch}), grid), step = ops::iota(grid, i64, 0);
  const Value source = ops::select(ops::compare(step, length, "lt"), length - step - 1.0, step);
  const Value place = source * static_cast<double>(batch) + ops::iota(grid, i64, 1);
  const Value rows = ops::reshape(x, {steps * batch, x.shape()[2]});
  return ops::gather(rows, place, 0);
}

void recurrent(Call& c, int64_t gates, Step step, const std::vector<std::string>& usual) {
  const std::string direction = c.string("direction", "forward");
  c.require(direction == "forward" || direction == "reverse" || direction == "bidirectional",
            cat("direction '", direction, "'"));
  const int64_t directions = direction == "bidirectional" ? 2 : 1;
  const bool batch_first = c.integer("layout", 0) != 0, cells = gates == 4;
  const DType type = ops::wide_type(c.dtype(0));
  Value x = ops::as_type(c.x(0), type);
  c.require(x.shape().rank() == 3 && c.rank(1) == 3 && c.rank(2) == 3, "X, W and R have three axes");
  if (batch_first) x = ops::transpose(x, {1, 0, 2});
  const int64_t steps = x.shape()[0], batch = x.shape()[1], inputs = x.shape()[2], hidden = c.shape(2)[2];
  c.require(c.shape(1) == Shape({directions, gates * hidden, inputs}) &&
                c.shape(2) == Shape({directions, gates * hidden, hidden}),
            cat("W is ", c.shape(1), ", R is ", c.shape(2)));
  if (steps > 4096) c.unsupported(cat(steps, " steps; at most 4096"));
  const auto f = activations_of(c, usual, directions);
  const Value lengths = c.has(4) ? ops::as_type(c.x(4), i64) : Value();
  const auto row = [&](const Value& v, int64_t d) {
    const Value one = ops::slice_axis(ops::as_type(v, type), 0, d, d + 1);
    return ops::reshape(one, v.shape().without(0).vector());
  };
  const auto start = [&](int input, int64_t d) {
    if (!c.has(input)) return ops::filled(type, {batch, hidden}, 0.0);
    const Value v = batch_first ? ops::transpose(c.x(input), {1, 0, 2}) : c.x(input);
    return row(v, d);
  };
  std::vector<Value> all, last_h, last_c;
  for (int64_t d = 0; d < directions; ++d) {
    const bool backward = direction == "reverse" || d == 1;
    Layer l;
    l.hidden = hidden;
    l.clip = c.number("clip", 0.0);
    l.linear_before_reset = c.integer("linear_before_reset", 0) != 0;
    l.coupled = c.integer("input_forget", 0) != 0;
    l.f.assign(f.begin() + static_cast<std::ptrdiff_t>(usual.size()) * d,
               f.begin() + static_cast<std::ptrdiff_t>(usual.size()) * (d + 1));
    l.recurrent = ops::transpose(row(c.x(2), d), {1, 0});
    const int64_t width = gates * hidden;
    const Value biases = c.has(3) ? row(c.x(3), d) : ops::filled(type, {2 * width}, 0.0);
    l.recurrent_bias = ops::slice_axis(biases, 0, width, 2 * width);
    if (cells && c.has(7)) l.peephole = row(c.x(7), d);
    const Value sequence = backward ? turned(x, lengths) : x;
    const Value flat =
        ops::matmul(ops::reshape(sequence, {steps * batch, inputs}), ops::transpose(row(c.x(1), d), {1, 0}));
    l.projected = ops::reshape(flat + rows_of(ops::slice_axis(biases, 0, 0, width), flat), {steps, batch, width});
    State state{start(5, d), cells ? start(6, d) : Value()};
    std::vector<Value> outputs;
    for (int64_t t = 0; t < steps; ++t) {
      const Value now = ops::reshape(ops::slice_axis(l.projected, 0, t, t + 1), {batch, width});
      State next = step(c, l, now, state);
      Value shown = next.h;
      if (lengths) {  // a row that is over keeps its state and shows zeros
        const Value runs =
            broadcast(ops::reshape(ops::compare(lengths, static_cast<double>(t), "gt"), {batch, 1}), {batch, hidden});
        shown = ops::select(runs, next.h, 0.0);
        next.h = ops::select(runs, next.h, state.h);
        if (cells) next.c = ops::select(runs, next.c, state.c);
      }
      state = next;
      outputs.push_back(ops::reshape(shown, {1, batch, hidden}));
    }
    Value y = outputs.empty()       ? ops::filled(type, {0, batch, hidden}, 0.0)
              : outputs.size() == 1 ? outputs[0]
                                    : ops::concat(outputs, 0);
    if (backward) y = turned(y, lengths);
    all.push_back(ops::reshape(y, {steps, 1, batch, hidden}));
    last_h.push_back(ops::reshape(state.h, {1, batch, hidden}));
    if (cells) last_c.push_back(ops::reshape(state.c, {1, batch, hidden}));
  }
  const auto joined = [&](const std::vector<Value>& parts, int64_t axis) {
    return ops::as_type(parts.size() == 1 ? parts[0] : ops::concat(parts, axis), c.dtype(0));
  };
  const Value y = joined(all, 1), h = joined(last_h, 0);
  c.result(0, batch_first ? ops::transpose(y, {2, 0, 1, 3}) : y);
  c.result(1, batch_first ? ops::transpose(h, {1, 0, 2}) : h);
  if (cells) {
    const Value cell = joined(last_c, 0);
    c.result(2, batch_first ? ops::transpose(cell, {1, 0, 2}) : cell);
  }
}

void rnn(Call& c) { recurrent(c, 1, rnn_step, {"Tanh"}); }
void gru(Call& c) { recurrent(c, 3, gru_step, {"Sigmoid", "Tanh"}); }
void lstm(Call& c) { recurrent(c, 4, lstm_step, {"Sigmoid", "Tanh", "Tanh"}); }

}  // namespace

std::span<const Mapping> recurrent_mappings() {
  static constexpr Mapping table[] = {{"GRU", gru}, {"LSTM", lstm}, {"RNN", rnn}};
  return table;
}

}  // namespace trireme::formats::onnx
