// C7: small models trained on the chip and on the cpu, side by side. The band of the losses is measured: the cpu trains
// again on inputs that differ by a few roundings of the arithmetic that the chip states, and the chip may be 16 times
// as far off as the farthest of those.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/certify/level.h"
#include "trireme/certify/op_case.h"
#include "trireme/nn/layers.h"
#include "trireme/optim/optimizer.h"
#include "trireme/runtime/device.h"
#include "trireme/tensor/tensor.h"

namespace trireme::certify {
namespace {

constexpr int kSteps = 6, kDisturbed = 3;

// Features f32 [16, 12] -> logits [16, 5].
struct Mlp {
  nn::Linear first{12, 24}, second{24, 5};
  static Shape input() { return {16, 12}; }
  Tensor operator()(const Tensor& x) { return second(tanh(first(x))); }
  template <class V>
  void each(V& v) {
    v("first", first), v("second", second);
  }
};

// Images f32 [6, 2, 8, 8] -> logits [6, 5].
struct Convolutions {
  nn::Conv2d first{2, 4, 3, {.padding = 1}}, second{4, 4, 3, {.stride = 2, .padding = 1}};
  nn::BatchNorm norm{4};
  nn::Linear head{4, 5};
  static Shape input() { return {6, 2, 8, 8}; }
  Tensor operator()(const Tensor& x) { return head(flatten(global_avg_pool(relu(second(relu(norm(first(x)))))), 1)); }
  template <class V>
  void each(V& v) {
    v("first", first), v("norm", norm), v("second", second), v("head", head);
  }
};

// Vectors f32 [3, 7, 8] -> logits [3, 5], by one transformer block.
struct Transformer {
  nn::LayerNorm first{8}, second{8};
  nn::Attention attention{8, 2, /*causal=*/true};
  nn::Linear up{8, 16}, down{16, 8}, head{8, 5};
  static Shape input() { return {3, 7, 8}; }
  Tensor operator()(const Tensor& x) {
    Tensor h = x + attention(first(x));
    h = h + down(gelu(up(second(h)), "tanh"));
    return head(mean(h, {1}));
  }
  template <class V>
  void each(V& v) {
    v("first", first), v("attention", attention), v("second", second), v("up", up), v("down", down), v("head", head);
  }
};

struct Training {
  std::vector<double> losses;
  std::vector<double> logits;  // of the trained model, in evaluation
  std::vector<Literal> weights;
  runtime::Ledger ledger;
  std::string helped;  // why not alone; empty when it was
};

// Which inputs: run 0 has the true ones, the others are off by roundings of f32 and of fixed point with so many bits.
struct Disturbance {
  uint64_t run = 0;
  uint32_t fixed_point_bits = 0;
};

Literal inputs_of(const Shape& shape, uint64_t seed, const Disturbance& disturbance) {
  const uint64_t disturbed = disturbance.run;
  const uint32_t bits = disturbance.fixed_point_bits;
  const double half_step = bits == 0 ? 0.0 : 0.5 / (std::ldexp(1.0, static_cast<int>(bits) - 1) - 1.0);
  std::vector<double> values(static_cast<size_t>(shape.elements()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = uniform(seed, i, -1.0, 1.0);
    if (disturbed == 0) continue;
    const double draw = uniform(seed + disturbed, i, -1.0, 1.0);
    values[i] += draw * (values[i] * 4 * 0x1p-24 + half_step);
  }
  return Literal::from_doubles(f32, shape, values);
}

// `weights` of another run make it infer only.
template <class Net>
Training train_with(Fallback fallback, const std::string& device, uint64_t seed_value, const Disturbance& disturbance,
                    const std::vector<Literal>* weights) {
  set_device(runtime::Device::host().name());  // the chip need not draw random numbers for the weights
  set_fallback(Fallback::kAllow);
  seed(seed_value + 11);
  Net net;
  auto state = nn::state_of(net);
  std::vector<Literal> initial;
  for (const auto& each : state) initial.push_back(each.tensor.literal());
  set_device(device);
  set_fallback(fallback);
  for (size_t i = 0; i < state.size(); ++i) {
    state[i].tensor.assign(Tensor(weights != nullptr ? (*weights)[i] : initial[i]));
  }
  Training out;
  const Shape shape = Net::input();
  std::vector<double> classes;
  for (int64_t i = 0; i < shape[0]; ++i) classes.push_back(static_cast<double>(i % 5));
  const Tensor x(inputs_of(shape, seed_value, disturbance)), labels(Literal::from_doubles(i32, {shape[0]}, classes));
  if (weights == nullptr) {
    const nn::TrainingMode mode(true);
    optim::Optimizer optimizer(optim::Method::kMomentum, state, {.learning_rate = 0.05, .momentum = 0.9});
    auto step = compile([&](const Tensor& input, const Tensor& target) {
      const Tensor loss = cross_entropy(net(input), target);
      optimizer.step(grad(loss, optimizer.parameters()));
      return loss;
    });
    for (int k = 0; k < kSteps; ++k) out.losses.push_back(step(x, labels).item());
    out.ledger = step.engine()->ledger();
    for (const auto& each : state) out.weights.push_back(each.tensor.literal());
  }
  const nn::TrainingMode mode(false);
  out.logits = net(x).literal().to_doubles();
  set_device(runtime::Device::host().name());
  return out;
}

// On the chip alone where it has all that is needed, so that nothing is right because the cpu was cheaper.
template <class Net>
Training train(const std::string& device, uint64_t seed, const Disturbance& disturbance = {},
               const std::vector<Literal>* weights = nullptr) {
  try {
    return train_with<Net>(Fallback::kError, device, seed, disturbance, weights);
  } catch (const Error& refused) {
    if (refused.code() != Code::kUnsupported) throw;
    Training helped = train_with<Net>(Fallback::kAllow, device, seed, disturbance, weights);
    helped.helped = refused.what();
    return helped;
  }
}

double farthest(const std::vector<double>& a, const std::vector<double>& b) {
  double most = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = std::fabs(a[i] - b[i]);
    most = std::isfinite(d) ? std::max(most, d) : HUGE_VAL;
  }
  return most;
}

template <class Net>
std::string side_by_side(const Subject& subject) {
  const std::string cpu = runtime::Device::host().name(), chip = subject.chip.name();
  const Training truth = train<Net>(cpu, subject.seed), mine = train<Net>(chip, subject.seed);
  double scatter = 0.0, logits_scatter = 0.0;
  const Training inferred = train<Net>(cpu, subject.seed, {}, &mine.weights);  // the chip's weights, carried over
  for (uint64_t k = 1; k <= kDisturbed; ++k) {
    const Disturbance off{k, mine.ledger.fixed_point_bits};
    scatter = std::max(scatter, farthest(train<Net>(cpu, subject.seed, off).losses, truth.losses));
    const Training other = train<Net>(cpu, subject.seed, off, &mine.weights);
    logits_scatter = std::max(logits_scatter, farthest(other.logits, inferred.logits));
  }
  const double ulp = 0x1p-23, band = 16 * scatter + 8 * ulp * truth.losses.front();
  const double off = farthest(mine.losses, truth.losses);
  if (!(off <= band)) {
    throw Finding(
        Verdict::kWrong,
        cat("the losses of ", kSteps, " steps are up to ", off, " from those of the CPU; allowed ", band,
            ", 16 times the scatter of the CPU over roundings of its inputs in the arithmetic that the chip states"));
  }
  if (!(truth.losses.back() < truth.losses.front())) throw Finding(Verdict::kWrong, "the model does not learn");
  const double most = std::fabs(*std::max_element(inferred.logits.begin(), inferred.logits.end(),
                                                  [](double a, double b) { return std::fabs(a) < std::fabs(b); }));
  const double logits_band = 16 * logits_scatter + 16 * ulp * most, logits_off = farthest(mine.logits, inferred.logits);
  if (!(logits_off <= logits_band)) {
    throw Finding(Verdict::kWrong,
                  cat("the trained model, its weights carried over to the CPU, infers otherwise there: ", logits_off,
                      " off, allowed ", logits_band));
  }
  return nlohmann::json{{"first_loss", mine.losses.front()},
                        {"last_loss", mine.losses.back()},
                        {"off_by", off},
                        {"band", band},
                        {"share_on_chip", 1.0 - mine.ledger.fallback_share()},
                        {"helped_because", mine.helped}}
      .dump();
}

}  // namespace

std::vector<Case> model_cases(uint64_t) {
  std::vector<Case> out;
  const auto add = [&](const char* name, std::string (*run)(const Subject&)) {
    out.push_back({Part::kModels, Level::kTrains, name, "", "", false, run, {}});
  };
  add("two linear layers", side_by_side<Mlp>);
  add("convolutions with batch norm", side_by_side<Convolutions>);
  add("a transformer block", side_by_side<Transformer>);
  return out;
}

}  // namespace trireme::certify
