// C7: small models trained on the chip and on the cpu, side by side, saved, loaded, exported and run. The band of the
// losses is measured: the cpu trains again on inputs that differ by a few roundings of the arithmetic that the chip
// states, and the chip may be 16 times as far off as the farthest of those.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/certify/level.h"
#include "trireme/certify/op_case.h"
#include "trireme/checkpoint/checkpoint.h"
#include "trireme/checkpoint/export.h"
#include "trireme/nn/layers.h"
#include "trireme/optim/optimizer.h"
#include "trireme/runtime/device.h"
#include "trireme/runtime/explain.h"
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
  // The same of the model that was read from its checkpoint, and of the exported one.
  std::vector<double> loaded_logits, exported_logits;
  std::vector<Literal> weights;
  runtime::Ledger ledger;
  Graph step;
  std::string helped;  // why not alone; empty when it was
};

// Which inputs: run 0 has the true ones, the others are off by roundings of the type of the products and of fixed point
// with so many bits.
struct Disturbance {
  uint64_t run = 0;
  uint32_t fixed_point_bits = 0;
  DType products = f32;
};

// f32 or, by autocast, bf16 or f16; whether the trained model is also saved, loaded and exported.
struct Mode {
  DType products = f32;
  bool save = false;
};

// A folder of its own, removed with what is in it.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "trireme-certify-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw Error(Code::kIo, cat("cannot make the folder ", name));
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Literal inputs_of(const Shape& shape, uint64_t seed, const Disturbance& disturbance) {
  const uint64_t disturbed = disturbance.run;
  const uint32_t bits = disturbance.fixed_point_bits;
  // Of a narrow type one: the next moves the input to another value, where an f32 stays near.
  const double roundings = disturbance.products == f32 ? 4.0 : 1.0;
  const double half_step = bits == 0 ? 0.0 : 0.5 / (std::ldexp(1.0, static_cast<int>(bits) - 1) - 1.0);
  std::vector<double> values(static_cast<size_t>(shape.elements()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = uniform(seed, i, -1.0, 1.0);
    if (disturbed == 0) continue;
    const double draw = uniform(seed + disturbed, i, -1.0, 1.0);
    values[i] += draw * (values[i] * roundings * unit_roundoff(disturbance.products) + half_step);
  }
  return Literal::from_doubles(f32, shape, values);
}

// The trained model by way of a checkpoint, into a model of other weights, and by way of an exported folder. What was
// saved comes back bit for bit, or it throws.
template <class Net>
void save_and_load(Net& net, const std::vector<nn::NamedTensor>& state, const std::string& device, const Tensor& x,
                   Training& out) {
  const Folder folder;
  const auto saved = checkpoint::collect(state);
  checkpoint::save(folder.path(), kSteps, saved);
  set_device(runtime::Device::host().name());
  seed(77);
  Net other;
  set_device(device);
  auto loaded = nn::state_of(other);
  for (auto& each : loaded) each.tensor.assign(Tensor(each.tensor.literal()));  // onto the device
  const auto found = checkpoint::load_latest(folder.path());
  if (!found) throw Finding(Verdict::kWrong, "the checkpoint that was saved is not found");
  checkpoint::restore(loaded, found->contents, found->path);
  for (size_t i = 0; i < state.size(); ++i) {
    if (!loaded[i].tensor.literal().same_bytes(out.weights[i])) {
      throw Finding(Verdict::kWrong,
                    cat("the weight ", state[i].name, " has other bits after it was saved and loaded"));
    }
  }
  out.loaded_logits = other(x).literal().to_doubles();
  const std::string exported = folder.path() + "/exported";
  checkpoint::export_model(exported, {x}, {net(x)}, {"x"}, {"logits"}, state);
  out.exported_logits = run(checkpoint::import_model(exported), {x})[0].literal().to_doubles();
}

// `weights` of another run make it infer only.
template <class Net>
Training train_with(Fallback fallback, const std::string& device, uint64_t seed_value, const Mode& mode,
                    const Disturbance& disturbance, const std::vector<Literal>* weights) {
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
    const nn::TrainingMode training(true);
    optim::Optimizer optimizer(optim::Method::kMomentum, state, {.learning_rate = 0.05, .momentum = 0.9});
    auto step = compile(
        [&](const Tensor& input, const Tensor& target) {
          const Tensor loss = cross_entropy(net(input), target);
          optimizer.step(grad(loss, optimizer.parameters()));
          return loss;
        },
        {.autocast = mode.products});
    for (int k = 0; k < kSteps; ++k) out.losses.push_back(step(x, labels).item());
    out.ledger = step.engine()->ledger();
    out.step = step.engine()->graph();
    for (const auto& each : state) out.weights.push_back(each.tensor.literal());
  }
  const nn::TrainingMode training(false);
  out.logits =
      compile([&](const Tensor& input) { return net(input); }, {.autocast = mode.products})(x).literal().to_doubles();
  if (mode.save && weights == nullptr) save_and_load(net, state, device, x, out);
  set_device(runtime::Device::host().name());
  return out;
}

// On the chip alone where it has all that is needed, so that nothing is right because the cpu was cheaper.
template <class Net>
Training train(const std::string& device, uint64_t seed, const Mode& mode, const Disturbance& disturbance = {},
               const std::vector<Literal>* weights = nullptr) {
  try {
    return train_with<Net>(Fallback::kError, device, seed, mode, disturbance, weights);
  } catch (const Error& refused) {
    if (refused.code() != Code::kUnsupported) throw;
    Training helped = train_with<Net>(Fallback::kAllow, device, seed, mode, disturbance, weights);
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

// What another kernel on the chip would bring to a step of training (docs/guide/explain.md).
nlohmann::json gains_of(const Graph& step, const std::string& chip, double& planned_ns) {
  const auto told =
      runtime::explain(step, {.target = &runtime::Device::get(chip), .fallback = runtime::Fallback::kAllow});
  planned_ns = told.total_ns;
  nlohmann::json out = nlohmann::json::object();
  for (const runtime::Gain& gain : told.gains) out[gain.op] = gain.saved_ns;
  return out;
}

template <class Net>
std::string side_by_side(const Subject& subject, DType products) {
  const std::string cpu = runtime::Device::host().name(), chip = subject.chip.name();
  if (products != f32 && (subject.open().props().native_dtypes & (1u << static_cast<uint32_t>(products))) == 0) {
    throw Finding(Verdict::kUnsupported, cat("it does not claim arithmetic in ", name(products)));
  }
  const bool plain = products == f32;
  const Training truth = train<Net>(cpu, subject.seed, {products});
  const Training mine = train<Net>(chip, subject.seed, {products, plain});
  double scatter = 0.0, logits_scatter = 0.0;
  const Training inferred = train<Net>(cpu, subject.seed, {products}, {}, &mine.weights);  // carried over
  for (uint64_t k = 1; k <= kDisturbed; ++k) {
    const Disturbance off{k, mine.ledger.fixed_point_bits, products};
    scatter = std::max(scatter, farthest(train<Net>(cpu, subject.seed, {products}, off).losses, truth.losses));
    const Training other = train<Net>(cpu, subject.seed, {products}, off, &mine.weights);
    logits_scatter = std::max(logits_scatter, farthest(other.logits, inferred.logits));
  }
  const double unit = 2 * unit_roundoff(products), band = 16 * scatter + 8 * 0x1p-23 * truth.losses.front();
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
  const double logits_band = 16 * logits_scatter + (plain ? 16 : 1) * unit * most;
  const auto expect_near = [&](const std::vector<double>& logits, const std::vector<double>& wanted, const char* who) {
    const double far = farthest(logits, wanted);
    if (far <= logits_band && logits.size() == wanted.size()) return;
    throw Finding(Verdict::kWrong, cat(who, " infers otherwise: ", far, " off, allowed ", logits_band));
  };
  expect_near(mine.logits, inferred.logits, "the trained model, beside the CPU with its weights,");
  nlohmann::json figure = {{"first_loss", mine.losses.front()},
                           {"last_loss", mine.losses.back()},
                           {"off_by", off},
                           {"band", band},
                           {"share_on_chip", 1.0 - mine.ledger.fallback_share()},
                           {"helped_because", mine.helped}};
  if (plain) {
    expect_near(mine.loaded_logits, mine.logits, "the model that was saved and loaded");
    expect_near(mine.exported_logits, mine.logits, "the exported model");
    double planned_ns = 0.0;
    figure["gains_ns"] = gains_of(mine.step, chip, planned_ns);
    figure["planned_ns"] = planned_ns;
  }
  return figure.dump();
}

std::string two_ranks(const Subject& subject) {
  throw Finding(Verdict::kUnsupported, subject.chip.comm() == nullptr
                                           ? "the chip has no communication bank"
                                           : "the host does not drive the communication bank yet");
}

}  // namespace

std::vector<Case> model_cases(uint64_t) {
  std::vector<Case> out;
  const auto add = [&](const std::string& name, std::function<std::string(const Subject&)> run) {
    out.push_back({Part::kModels, Level::kTrains, name, "", "", false, std::move(run), {}});
  };
  const auto add_model = [&](const std::string& model, std::string (*run)(const Subject&, DType)) {
    for (const DType products : {f32, bf16, f16}) {
      add(products == f32 ? model : cat(model, ", products in ", name(products)),
          [run, products](const Subject& subject) { return run(subject, products); });
    }
  };
  add_model("two linear layers", side_by_side<Mlp>);
  add_model("convolutions with batch norm", side_by_side<Convolutions>);
  add_model("a transformer block", side_by_side<Transformer>);
  add("two ranks", two_ranks);
  return out;
}

}  // namespace trireme::certify
