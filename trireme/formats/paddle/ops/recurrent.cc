// Recurrent layers, their steps written out one after the other.
#include "trireme/base/strings.h"
#include "trireme/formats/paddle/call.h"

namespace trireme::formats::paddle {

namespace {

constexpr int64_t kMaxSteps = 4096;

struct Layer {
  Value input_weight, state_weight, input_bias, state_bias;  // [gates h, i], [gates h, h], [gates h], [gates h]
};
struct State {
  Value h, c;  // [batch, h]; c only in LSTMs
};

// x w^T + b for x [..., i] with all axes but the last as rows.
Value affine(const Value& x, const Value& w, const Value& b) {
  const Value y = ops::matmul(x, ops::transpose(w, {1, 0}));
  return y + broadcast(b, y.shape());
}

// One step: gates from the input (already multiplied) and from the state, both [batch, gates h].
State step(const std::string& mode, const Value& from_input, const Value& from_state, const State& last) {
  const int64_t size = last.h.shape()[1];
  const auto part = [&](const Value& v, int64_t k) { return ops::slice_axis(v, 1, k * size, (k + 1) * size); };
  const auto both = [&](int64_t k) { return part(from_input, k) + part(from_state, k); };
  if (mode == "LSTM") {
    const Value in = ops::logistic(both(0)), forget = ops::logistic(both(1)), out = ops::logistic(both(3));
    const Value c = forget * last.c + in * ops::tanh(both(2));
    return {out * ops::tanh(c), c};
  }
  if (mode == "GRU") {
    const Value reset = ops::logistic(both(0)), update = ops::logistic(both(1));
    const Value candidate = ops::tanh(part(from_input, 2) + reset * part(from_state, 2));
    return {(last.h - candidate) * update + candidate, {}};
  }
  return {mode == "RNN_RELU" ? ops::relu(from_input + from_state) : ops::tanh(from_input + from_state), {}};
}

// x [time, batch, i]; the outputs of all steps [time, batch, h], and the last state.
Value direction(const std::string& mode, const Value& x, const Layer& layer, bool backward, State* state) {
  const int64_t steps = x.shape()[0], batch = x.shape()[1];
  const Value gates = affine(x, layer.input_weight, layer.input_bias);
  const int64_t width = gates.shape()[2];
  std::vector<Value> outputs(static_cast<size_t>(steps));
  for (int64_t k = 0; k < steps; ++k) {
    const int64_t t = backward ? steps - 1 - k : k;
    const Value now = ops::reshape(ops::slice_axis(gates, 0, t, t + 1), {batch, width});
    *state = step(mode, now, affine(state->h, layer.state_weight, layer.state_bias), *state);
    outputs[static_cast<size_t>(t)] = state->h;
  }
  return ops::stack(outputs, 0);
}

// WeightList has the weights of input and state for each layer and direction, then the biases in the same order.
void rnn(Call& c) {
  const std::string mode = c.string("mode", "RNN_TANH");
  const int64_t gates = mode == "LSTM" ? 4 : mode == "GRU" ? 3 : mode == "RNN_TANH" || mode == "RNN_RELU" ? 1 : 0;
  if (gates == 0) c.unsupported(cat("mode '", mode, "'; supported: LSTM, GRU, RNN_TANH, RNN_RELU"));
  if (c.has("SequenceLength")) c.unsupported("SequenceLength");
  Value x = c.x("Input");
  const int64_t layers = c.integer("num_layers", 1), size = c.integer("hidden_size", 1),
                directions = c.flag("is_bidirec") ? 2 : 1;
  c.require(x.shape().rank() == 3 && x.shape()[0] >= 1,
            cat("Input is ", x.shape(), "; it must be [time, batch, size]"));
  if (x.shape()[0] > kMaxSteps) c.unsupported(cat(x.shape()[0], " steps; at most ", kMaxSteps));
  c.require(layers >= 1 && layers <= 1024 && size >= 1, cat(layers, " layers of size ", size));
  const int64_t count = layers * directions;
  const std::vector<Value> weights = c.list("WeightList"), states = c.list("PreState");
  c.require(static_cast<int64_t>(weights.size()) == 4 * count, cat(weights.size(), " weights for ", count, " layers"));
  c.require(states.size() == (mode == "LSTM" ? 2U : 1U), cat(states.size(), " states"));
  const int64_t batch = x.shape()[1];
  for (const Value& each : states) {
    c.require(each.shape() == Shape({count, batch, size}),
              cat("a state is ", each.shape(), "; it must be ", Shape({count, batch, size})));
  }
  const auto start = [&](const Value& all, int64_t k) {
    return ops::reshape(ops::slice_axis(all, 0, k, k + 1), {batch, size});
  };
  std::vector<Value> last_h, last_c;
  for (int64_t layer = 0; layer < layers; ++layer) {
    std::vector<Value> sides;
    for (int64_t side = 0; side < directions; ++side) {
      const int64_t k = layer * directions + side;
      const auto weight = [&](int64_t index) { return weights[static_cast<size_t>(index)]; };
      const Layer parts = {weight(2 * k), weight(2 * k + 1), weight(2 * (count + k)), weight(2 * (count + k) + 1)};
      const int64_t wide = gates * size;
      c.require(parts.input_weight.shape() == Shape({wide, x.shape()[2]}) &&
                    parts.state_weight.shape() == Shape({wide, size}) && parts.input_bias.shape() == Shape{wide} &&
                    parts.state_bias.shape() == Shape{wide},
                cat("the weights of layer ", layer, " do not fit ", x.shape(), " and size ", size));
      State state = {start(states[0], k), mode == "LSTM" ? start(states[1], k) : Value()};
      sides.push_back(direction(mode, x, parts, side == 1, &state));
      last_h.push_back(state.h);
      if (mode == "LSTM") last_c.push_back(state.c);
    }
    x = sides.size() == 1 ? sides[0] : ops::concat(sides, 2);
  }
  c.result(x);
  c.result("State", ops::stack(last_h, 0), 0);
  if (mode == "LSTM") c.result("State", ops::stack(last_c, 0), 1);
}

}  // namespace

std::span<const Mapping> recurrent_mappings() {
  static constexpr Mapping table[] = {
      {"rnn", rnn},
  };
  return table;
}

}  // namespace trireme::formats::paddle
