// Training: runs that stop and go on to the same bits, losses that fall, failures that say why, and configurations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/checkpoint/checkpoint.h"
#include "trireme/nn/layers.h"
#include "trireme/train/models.h"

namespace trireme::train {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string refusal(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& failure) {
    EXPECT_EQ(failure.code(), Code::kInvalidArgument) << failure.what();
    return failure.what();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

// --- the trainer --------------------------------------------------------------------------------------------------

// Two classes, apart by a line: x1 + x2 > 0.
data::DatasetPointer two_classes(int64_t count) {
  std::vector<double> x, y;
  for (int64_t i = 0; i < count; ++i) {
    const double a = std::sin(1.3 * static_cast<double>(i)), b = std::cos(2.1 * static_cast<double>(i) + 0.4);
    x.push_back(a), x.push_back(b);
    y.push_back(a + b > 0 ? 1 : 0);
  }
  return data::tensor_dataset(
      {{"x", Literal::from_doubles(f32, {count, 2}, x)}, {"label", Literal::from_doubles(i32, {count}, y)}},
      {"low", "high"});
}

struct Net {
  nn::Linear first{2, 8}, second{8, 2};
  nn::BatchNorm norm{8};
  nn::Dropout dropout{0.25};  // draws from the generator: resuming must restore it
  Tensor operator()(const Tensor& x) { return second(dropout(relu(norm(first(x))))); }
  template <class V>
  void each(V& v) {
    v("first", first), v("norm", norm), v("second", second);
  }
};

Loss classification() {
  return [](const Tensor& x, const Tensor& y) { return cross_entropy(x, y); };
}

TEST(Trainer, LearnsAnEasyTask) {
  seed(1);
  Net net;
  data::DataLoader train(two_classes(200), {.batch_size = 20, .seed = 1});
  data::DataLoader validation(two_classes(60), {.batch_size = 25, .shuffle = false});
  Options options;
  options.epochs = 25;
  options.optimizer.learning_rate = 0.02;
  Trainer trainer(model_of(net), classification(), options);
  const double before = trainer.evaluate(validation).loss;
  const Result result = trainer.fit(train, &validation);
  EXPECT_EQ(result.steps, 250);
  EXPECT_GT(before, 0.4);
  EXPECT_LT(result.loss, 0.2);
  EXPECT_GT(result.accuracy, 0.9);
  const auto line = nlohmann::json::parse(json(result));
  EXPECT_EQ(line["steps"], 250);
  EXPECT_EQ(line["loss"], result.loss);
}

struct Outcome {
  std::map<std::string, Literal> values;
  int64_t steps = 0;
};

// A process's run: everything anew from the seed, up to `steps`.
Outcome run_up_to(int64_t steps, const std::string& folder, DType amp = f32) {
  seed(7);
  Net net;
  data::DataLoader train(two_classes(70), {.batch_size = 10, .seed = 2, .workers = 2});
  Options options;
  options.steps = steps;
  options.schedule = optim::cosine_decay(0.05, 10, 0.001);
  options.optimizer.weight_decay = 0.01;
  options.optimizer.accumulate = 3;  // so that no stop falls on an update
  options.amp = amp;
  options.output_folder = folder;
  Trainer trainer(model_of(net), classification(), options);
  Outcome out;
  out.steps = trainer.fit(train, nullptr).steps;
  for (const auto& each : nn::state_of(net)) out.values[each.name] = each.tensor.literal();
  out.values["generator"] = generator_state().literal();
  return out;
}

class Resuming : public testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Trainer, Resuming, testing::Values(f32, bf16, f16),
                         [](const auto& info) { return std::string(name(info.param)); });

TEST_P(Resuming, EndsWithTheSameBits) {
  const TemporaryFolder whole, parts;
  const Outcome straight = run_up_to(10, whole.path(), GetParam());  // seven steps to an epoch: ends within the second
  const Outcome half = run_up_to(5, parts.path(), GetParam());
  const Outcome resumed = run_up_to(10, parts.path(), GetParam());
  EXPECT_EQ(straight.steps, 10);
  EXPECT_EQ(resumed.steps, 10);
  bool moved = false;
  for (const auto& [name, value] : straight.values) {
    EXPECT_TRUE(resumed.values.at(name).same_bytes(value)) << name;
    moved = moved || !half.values.at(name).same_bytes(value);
  }
  EXPECT_TRUE(moved);  // else the comparison says nothing
  // The optimizer's state too.
  const auto a = checkpoint::load_latest(whole.path()), b = checkpoint::load_latest(parts.path());
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->contents.facts, b->contents.facts);
  for (const auto& [name, value] : a->contents.tensors) {
    EXPECT_TRUE(b->contents.tensors.at(name).same_bytes(value)) << name;
  }
}

TEST(Trainer, GoesOnFromTheCheckpointBeforeADamagedOne) {
  const TemporaryFolder whole, parts;
  const Outcome straight = run_up_to(10, whole.path());
  run_up_to(5, parts.path());
  write_file_atomically(parts / "step-00000006.safetensors", read_file(parts / "step-00000005.safetensors") + "x");
  const Outcome resumed = run_up_to(10, parts.path());
  for (const auto& [name, value] : straight.values) EXPECT_TRUE(resumed.values.at(name).same_bytes(value)) << name;
}

TEST(Trainer, StopsEarly) {
  seed(1);
  Net net;
  data::DataLoader train(two_classes(40), {.batch_size = 20, .seed = 1});
  data::DataLoader validation(two_classes(20), {.batch_size = 20, .shuffle = false});
  Options options;
  options.epochs = 50;
  options.optimizer.learning_rate = 0.0;
  options.method = optim::Method::kSgd;
  options.patience = 2;
  net.norm.momentum = 0.0;  // nothing moves, so no evaluation is better than the first
  Trainer trainer(model_of(net), classification(), options);
  const Result result = trainer.fit(train, &validation);
  EXPECT_TRUE(result.stopped_early);
  EXPECT_EQ(result.steps, 3 * train.batches_per_epoch());
}

TEST(Trainer, StaysStoppedWhenRunAgain) {
  const TemporaryFolder folder;
  int64_t steps[2];
  for (int64_t& count : steps) {
    seed(1);
    Net net;
    net.norm.momentum = 0.0;
    data::DataLoader train(two_classes(40), {.batch_size = 20, .seed = 1});
    data::DataLoader validation(two_classes(20), {.batch_size = 20, .shuffle = false});
    Options options;
    options.epochs = 50;
    options.optimizer.learning_rate = 0.0;
    options.method = optim::Method::kSgd;
    options.patience = 2;
    options.output_folder = folder.path();
    Trainer trainer(model_of(net), classification(), options);
    const Result result = trainer.fit(train, &validation);
    EXPECT_TRUE(result.stopped_early);
    EXPECT_GT(result.loss, 0.0);
    count = result.steps;
  }
  EXPECT_EQ(steps[0], steps[1]);
}

TEST(Trainer, KeepsTheBestCheckpoint) {
  const TemporaryFolder folder;
  seed(1);
  Net net;
  data::DataLoader train(two_classes(60), {.batch_size = 20, .seed = 1});
  data::DataLoader validation(two_classes(30), {.batch_size = 30, .shuffle = false});
  Options options;
  options.epochs = 12;
  options.optimizer.learning_rate = 0.2;  // too much: losses go up and down
  options.output_folder = folder.path();
  Trainer trainer(model_of(net), classification(), options);
  const Result result = trainer.fit(train, &validation);
  EXPECT_LT(result.best_loss, result.loss);
  const auto best = checkpoint::load_latest(folder / "best");
  ASSERT_TRUE(best);
  std::vector<nn::NamedTensor> state;
  for (const auto& each : nn::state_of(net)) state.push_back({"model." + each.name, each.tensor, each.trainable});
  checkpoint::restore(state, best->contents, best->path);
  EXPECT_DOUBLE_EQ(trainer.evaluate(validation).loss, result.best_loss);
}

TEST(Trainer, RefusesToMixRunsInOneFolder) {
  const TemporaryFolder folder;
  run_up_to(5, folder.path());
  seed(7);
  Net net;
  Options options;
  options.resume = false;
  options.output_folder = folder.path();
  Trainer trainer(model_of(net), classification(), options);
  data::DataLoader train(two_classes(70), {.batch_size = 10, .seed = 2});
  EXPECT_THAT(refusal([&] { trainer.fit(train, nullptr); }), HasSubstr("of an earlier run and resume is off"));
}

TEST(Trainer, NarrowTypesTrainF32Weights) {
  for (const DType type : {bf16, f16}) {
    SCOPED_TRACE(name(type));
    seed(1);
    Net net;
    data::DataLoader train(two_classes(200), {.batch_size = 20, .seed = 1});
    data::DataLoader validation(two_classes(60), {.batch_size = 25, .shuffle = false});
    Options options;
    options.epochs = 25;
    options.optimizer.learning_rate = 0.02;
    options.amp = type;
    Trainer trainer(model_of(net), classification(), options);
    EXPECT_LT(trainer.fit(train, &validation).loss, 0.2);
    EXPECT_EQ(net.first.weight.dtype(), f32);
  }
}

TEST(Trainer, AnF16OverflowIsLeftOut) {
  // Gradients of this loss are about 1e3, so the first scales (65536 and down) overflow in f16, and steps are left out
  // until one fits; the loss itself is finite throughout.
  const TemporaryFolder folder;
  seed(1);
  Net net;
  Options options;
  options.amp = f16;
  options.steps = 40;
  options.output_folder = folder.path();
  options.optimizer.learning_rate = 0.02;
  options.detect_anomaly = true;  // checks after every step that all state is finite, running statistics included
  Trainer trainer(
      model_of(net), [](const Tensor& x, const Tensor& y) { return cross_entropy(x, y) * 1e3; }, options);
  const Literal before = net.first.weight.literal();
  data::DataLoader train(two_classes(200), {.batch_size = 20, .seed = 1});
  const Result result = trainer.fit(train, nullptr);
  EXPECT_EQ(result.steps, 40);
  EXPECT_FALSE(net.first.weight.literal().same_bytes(before));
  const auto state = checkpoint::load_latest(folder.path())->contents.tensors;
  EXPECT_LT(state.at("loss_scale.scale").at(0), 65536.0);
  EXPECT_LT(state.at("optimizer.steps").at(0), 40.0);
  EXPECT_GT(state.at("optimizer.steps").at(0), 20.0);
}

// A model that is fine until its third step, by `fail`, which gets a parameter that grows by one each step.
std::string third_step(const std::function<Tensor(const Tensor& grown)>& fail, const std::string& folder) {
  seed(1);
  const Tensor p = tensor({1.5});
  Model model{[&](const Tensor&) { return fail(p); }, {{"p", p, true}}};
  const Loss loss = [](const Tensor& x, const Tensor&) { return mean(x); };
  Options options;
  options.method = optim::Method::kSgd;
  options.optimizer.learning_rate = 1.0;
  options.detect_anomaly = true;
  options.classify = false;
  options.save_every = 1;
  options.output_folder = folder;
  Trainer trainer(model, loss, options);
  data::DataLoader train(two_classes(100), {.batch_size = 10, .seed = 1});
  return refusal([&] { trainer.fit(train, nullptr); });
}

TEST(Trainer, NamesTheOpOfTheStepThatFailsAndKeepsTheStateBeforeIt) {
  const TemporaryFolder forward, backward;
  // The loss is -p, so p is 1.5, 2.5, 3.5; then the loss, or only its gradient, is not finite.
  const std::string loss_fails = third_step([](const Tensor& p) { return sqrt(3.0 - p) * 0 - p; }, forward.path());
  EXPECT_THAT(loss_fails, AllOf(HasSubstr("the loss is nan at step 3"), HasSubstr("comes from sqrt f32[1] at"),
                                HasSubstr("train_test.cc")));
  // |3.5 - p| has a gradient; through sqrt(square) it is 0/0 where p is 3.5.
  const std::string gradient_fails =
      third_step([](const Tensor& p) { return sqrt(square(3.5 - p)) * 1e-30 - p; }, backward.path());
  EXPECT_THAT(gradient_fails, AllOf(HasSubstr("step 3 ends with model.p"), HasSubstr("train_test.cc")));
  for (const TemporaryFolder* folder : {&forward, &backward}) {
    const auto latest = checkpoint::load_latest(folder->path());
    ASSERT_TRUE(latest);
    EXPECT_EQ(latest->step, 2);
    EXPECT_EQ(latest->contents.tensors.at("model.p").at(0), 3.5);
  }
}

TEST(Trainer, NeverSavesAStateThatIsNotFinite) {
  const TemporaryFolder folder;
  seed(1);
  const Tensor p = tensor({1.5});
  Model model{[&](const Tensor&) { return sqrt(3.0 - p) * 0 - p; }, {{"p", p, true}}};
  Options options;
  options.method = optim::Method::kSgd;
  options.optimizer.learning_rate = 1.0;
  options.classify = false;
  options.save_every = 2;
  options.output_folder = folder.path();
  Trainer trainer(
      model, [](const Tensor& x, const Tensor&) { return mean(x); }, options);
  data::DataLoader train(two_classes(100), {.batch_size = 10, .seed = 1});
  EXPECT_THAT(refusal([&] { trainer.fit(train, nullptr); }),
              AllOf(HasSubstr("model.p, element 0 = nan after step 4"), HasSubstr("--detect-anomaly")));
  EXPECT_EQ(checkpoint::load_latest(folder.path())->step, 2);
}

TEST(Trainer, NamesTheOpBehindALossThatIsNotFinite) {
  for (const bool detect : {true, false}) {
    seed(1);
    nn::Linear linear(2, 1);
    Options options;
    options.detect_anomaly = detect;
    options.log_every = 1;
    options.classify = false;
    Model model{[&](const Tensor& x) { return log(linear(x) * 0.0 - 1.0); }, nn::state_of(linear)};  // log(-1)
    const Loss loss = [](const Tensor& x, const Tensor&) { return mean(x); };
    Trainer trainer(model, loss, options);
    data::DataLoader train(two_classes(20), {.batch_size = 10, .seed = 1});
    const std::string said = refusal([&] { trainer.fit(train, nullptr); });
    EXPECT_THAT(said, HasSubstr("at step 1"));
    EXPECT_THAT(said, HasSubstr(detect ? "comes from log f32[10, 1] at " : "--detect-anomaly"));
    if (detect) {
      EXPECT_THAT(said, HasSubstr("train_test.cc"));
    }
  }
}

// --- configurations -----------------------------------------------------------------------------------------------

constexpr const char* kSmall =
    "Global: {epochs: 3, seed: 4}\n"
    "Arch: {name: mlp, hidden: [16, 8]}\n"
    "Optimizer:\n"
    "  learning_rate: 2e-3\n"
    "  schedule: {name: cosine, last: 1e-4}\n"
    "DataLoader: {dataset: mnist}\n";

Config small(const std::vector<std::string>& overrides = {}) { return parse_config(kSmall, "a.yaml", overrides); }

TEST(Config, ReadsWhatIsThereAndKeepsDefaults) {
  const Config c = small();
  EXPECT_EQ(c.global.epochs, 3);
  EXPECT_EQ(c.arch.hidden, (std::vector<int64_t>{16, 8}));
  EXPECT_EQ(c.optimizer.learning_rate, 2e-3);
  EXPECT_EQ(c.optimizer.schedule.name, "cosine");
  EXPECT_EQ(c.optimizer.name, "adamw");
  EXPECT_EQ(c.data_loader.batch_size, 32);
  EXPECT_EQ(c.device(), "cpu");
}

TEST(Config, OverridesInOrder) {
  const Config c = small({"Global.epochs=9", "Arch.hidden=[5]", "Optimizer.schedule.name=polynomial",
                          "Global.use_xpu=true", "Global.epochs=8"});
  EXPECT_EQ(c.global.epochs, 8);
  EXPECT_EQ(c.arch.hidden, std::vector<int64_t>{5});
  EXPECT_EQ(c.optimizer.schedule.name, "polynomial");
  EXPECT_EQ(c.device(), "xpu");
  const std::string device = "refchip:0?persona=slow-link";
  EXPECT_EQ(small({"Global.use_xpu=true", "Global.device=" + device}).device(), device);
}

TEST(Config, NamesTheNearest) {
  const auto given = [](const std::string& text) { return refusal([&] { parse_config(text, "a.yaml"); }); };
  EXPECT_THAT(given("Globl: {}"), AllOf(HasSubstr("a.yaml:1: unknown section 'Globl'"), HasSubstr("'Global'")));
  EXPECT_THAT(given("Global:\n  epoch: 3"), AllOf(HasSubstr("a.yaml:2"), HasSubstr("did you mean 'epochs'?")));
  EXPECT_THAT(given("Optimizer: {schedule: {nam: step}}"), HasSubstr("did you mean 'name'?"));
  EXPECT_THAT(given("Arch: {name: lennet}"), HasSubstr("did you mean 'lenet'?"));
  EXPECT_THAT(given("Loss: {name: crossentropy}"), HasSubstr("did you mean 'cross_entropy'?"));
  EXPECT_THAT(given("Optimizer: {schedule: {name: cosin}}"), HasSubstr("did you mean 'cosine'?"));
  EXPECT_THAT(refusal([] { small({"Optimizer.lerning_rate=1"}); }), HasSubstr("did you mean 'learning_rate'?"));
  EXPECT_THAT(refusal([] { small({"Optimiser.learning_rate=1"}); }), HasSubstr("did you mean 'Optimizer'?"));
}

TEST(Config, RefusesWrongValues) {
  const auto given = [](const std::string& override_) { return refusal([&] { small({override_}); }); };
  EXPECT_THAT(given("Global.epochs=0"), HasSubstr("must be 1 or more; given 0"));
  EXPECT_THAT(given("Global.epochs=many"), HasSubstr("a whole number; given 'many'"));
  EXPECT_THAT(given("Global.epochs=2.5"), HasSubstr("a whole number"));
  EXPECT_THAT(given("Global.use_xpu=perhaps"), HasSubstr("true or false"));
  EXPECT_THAT(given("Optimizer.learning_rate=.nan"), HasSubstr("given .nan"));
  EXPECT_THAT(given("Optimizer.learning_rate=-1"), HasSubstr("0 or more"));
  EXPECT_THAT(given("Global.epochs"), HasSubstr("not Section.key=value"));
  EXPECT_THAT(given("Optimizer.schedule=3"), HasSubstr("is a section"));
  EXPECT_THAT(given("Global.epochs.more=3"), HasSubstr("Global.epochs"));
  EXPECT_THAT(given("Optimizer.schedule.name=step"), HasSubstr("Optimizer.schedule.last has a meaning only when"));
  EXPECT_THAT(given("Arch.name=lenet"), HasSubstr("Arch.hidden has a meaning only when Arch.name is mlp"));
  EXPECT_THAT(given("DataLoader.dataset=csv"), HasSubstr("DataLoader.path is missing"));
  EXPECT_THAT(given("DataLoader.dataset=idx"), HasSubstr("DataLoader.path is missing"));
  EXPECT_THAT(refusal([] { small({"DataLoader.dataset=idx", "DataLoader.path=a"}); }), HasSubstr("labels is missing"));
  EXPECT_THAT(given("DataLoader.length=9"), HasSubstr("only when DataLoader.dataset is text"));
  EXPECT_THAT(given("Global.amp=bf61"), HasSubstr("did you mean 'bf16'?"));
  EXPECT_THAT(given("Global.accumulate_steps=0"), HasSubstr("must be 1 or more; given 0"));
  EXPECT_THAT(refusal([] { parse_config("Arch: {name: mlp}", "b.yaml"); }), HasSubstr("DataLoader.dataset is missing"));
  EXPECT_THAT(refusal([] { parse_config("Global: {seed: 1, seed: 2}", "b.yaml"); }), HasSubstr("given twice"));
  EXPECT_THAT(refusal([] { parse_config("Global: {seed: [", "b.yaml"); }), HasSubstr("b.yaml:1: this is not YAML"));
  EXPECT_THAT(refusal([] { parse_config("- 1", "b.yaml"); }), HasSubstr("no map of sections"));
}

TEST(Config, TheExamplesAreValid) {
  for (const char* name : {"mnist", "iris"}) {
    EXPECT_NO_THROW(read_config(cat(TRIREME_SOURCE_DIR, "/examples/", name, ".yaml"))) << name;
  }
}

TEST(Config, SchedulesCountTheWarmUp) {
  const Options options = make_options(small({"Optimizer.warm_up=10"}), 20);  // 60 steps
  EXPECT_DOUBLE_EQ(options.schedule(5), 1e-3);
  EXPECT_DOUBLE_EQ(options.schedule(10), 2e-3);
  EXPECT_NEAR(options.schedule(35), (2e-3 + 1e-4) / 2, 1e-12);  // halfway through the other 50
  EXPECT_DOUBLE_EQ(options.schedule(60), 1e-4);
}

TEST(Config, SchedulesCountUpdates) {
  const Options options = make_options(small({"Global.accumulate_steps=4"}), 20);  // 60 batches, 15 updates
  EXPECT_EQ(options.optimizer.accumulate, 4);
  EXPECT_DOUBLE_EQ(options.schedule(15), 1e-4);
  EXPECT_GT(options.schedule(14), 1e-4);
}

TEST(Config, ModelsFitTheirData) {
  const auto table = two_classes(10);
  const Model mlp = make_model(small(), *table);
  EXPECT_EQ(mlp.forward(Tensor(Literal::zeros(f32, {3, 2}))).shape(), (Shape{3, 2}));
  EXPECT_EQ(mlp.state.size(), 6u);
  const auto images = data::tensor_dataset(
      {{"image", Literal::zeros(u8, {2, 3, 9, 8})}, {"label", Literal::zeros(i32, {2})}}, {"a", "b", "c"});
  const Config lenet = parse_config("{Arch: {name: lenet}, DataLoader: {dataset: mnist}}", "a.yaml");
  EXPECT_EQ(make_model(lenet, *images).forward(Tensor(Literal::zeros(u8, {2, 3, 9, 8}))).shape(), (Shape{2, 3}));
  EXPECT_THAT(refusal([&] { make_model(lenet, *table); }), HasSubstr("use mlp"));
  EXPECT_THAT(refusal([&] { make_model(small({"Arch.classes=1"}), *table); }), HasSubstr("the data set has 2"));
}

TEST(Config, ATableOfNumbersIsLearnt) {
  const TemporaryFolder folder;
  std::string rows = "a,b,y\n";
  for (int i = 0; i < 80; ++i) {
    const double a = std::sin(1.1 * i), b = std::cos(0.7 * i);
    rows += cat(a, ",", b, ",", 0.5 * a - 0.25 * b + 0.1, "\n");
  }
  write_file_atomically(folder / "table.csv", rows);
  const Config config =
      parse_config(cat("Global: {epochs: 40}\nArch: {name: mlp, hidden: [16]}\nLoss: {name: mse}\n",
                       "Optimizer: {learning_rate: 1e-2}\nDataLoader: {dataset: csv, label: y, hold_back: 16, path: ",
                       folder / "table.csv", "}\n"),
                   "table.yaml");
  seed(1);
  const data::Split split = load_data(config);
  ASSERT_EQ(split.train->size(), 64);
  ASSERT_EQ(split.validation->size(), 16);
  data::DataLoader train(split.train, {.batch_size = 16, .seed = 1});
  data::DataLoader validation(split.validation, {.batch_size = 16, .shuffle = false});
  Trainer trainer(make_model(config, *split.train), make_loss(config), make_options(config, train.batches_per_epoch()));
  EXPECT_LT(trainer.fit(train, &validation).loss, 2e-3);  // the targets' variance is about 0.16
}

}  // namespace
}  // namespace trireme::train
