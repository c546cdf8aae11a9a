#include "trireme/train/trainer.h"

#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "trireme/base/file.h"
#include "trireme/base/log.h"
#include "trireme/base/progress.h"
#include "trireme/base/strings.h"
#include "trireme/checkpoint/checkpoint.h"
#include "trireme/passes/autocast.h"
#include "trireme/train/anomaly.h"

namespace trireme::train {

namespace {

std::atomic<bool> interrupted{false};

constexpr const char* kAdvice =
    "Lower the learning rate, clip gradients (clip_norm), or run with --detect-anomaly to name the op";

// SIGINT and SIGTERM end the run after the current step, with a checkpoint; a second one ends the process.
class InterruptScope {
 public:
  InterruptScope() {
    interrupted = false;
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = true; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, &previous_int_);
    sigaction(SIGTERM, &action, &previous_term_);
  }
  ~InterruptScope() {
    sigaction(SIGINT, &previous_int_, nullptr);
    sigaction(SIGTERM, &previous_term_, nullptr);
  }
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

 private:
  struct sigaction previous_int_ {
  }, previous_term_{};
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string fixed(double value, int digits) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

// Appends JSON lines; cut back to the resumed step first, so that a run that was killed leaves no double lines.
class StepLog {
 public:
  StepLog(const std::string& folder, int64_t from_step) {
    if (folder.empty()) return;
    const std::string path = folder + "/log.jsonl";
    std::string kept;
    if (file_exists(path)) {
      for (const std::string& line : split(read_file(path), '\n')) {
        const auto row = nlohmann::json::parse(line, nullptr, false);
        if (row.is_object() && row.value("step", int64_t{0}) <= from_step) kept += line + "\n";
      }
    }
    write_file_atomically(path, kept);
    file_ = std::fopen(path.c_str(), "a");
  }
  ~StepLog() {
    if (file_ != nullptr) std::fclose(file_);
  }
  StepLog(const StepLog&) = delete;
  StepLog& operator=(const StepLog&) = delete;
  void write(const nlohmann::json& row) {
    if (file_ == nullptr) return;
    std::fprintf(file_, "%s\n", row.dump().c_str());
    std::fflush(file_);
  }

 private:
  std::FILE* file_ = nullptr;
};

}  // namespace

std::string json(const Result& r) {
  return nlohmann::json{{"loss", r.loss},
                        {"accuracy", r.accuracy},
                        {"best_loss", r.best_loss},
                        {"best_accuracy", r.best_accuracy},
                        {"steps", r.steps},
                        {"seconds", r.seconds},
                        {"chip", r.chip},
                        {"fallback_share", r.fallback_share},
                        {"stopped_early", r.stopped_early},
                        {"interrupted", r.interrupted}}
      .dump();
}

Trainer::Trainer(Model model, Loss loss, Options options)
    : model_(std::move(model)),
      loss_(std::move(loss)),
      options_(std::move(options)),
      optimizer_(options_.method, model_.state, options_.optimizer) {
  if (options_.amp == f16) scale_.emplace();
  const bool classify = options_.classify;
  evaluate_ = compile([this, classify](const Tensor& x, const Tensor& y) -> std::vector<Tensor> {
    const nn::TrainingMode evaluating(false);
    const Tensor output = model_.forward(x);
    const Tensor loss_value = loss_(output, y);
    const Tensor hits = classify ? sum(equal(argmax(output, -1), convert(y, i32))) : Tensor(0.0);
    return {loss_value, hits};
  });
}

std::vector<nn::NamedTensor> Trainer::everything() const {
  std::vector<nn::NamedTensor> all;
  for (const auto& each : model_.state) all.push_back({"model." + each.name, each.tensor, each.trainable});
  for (const auto& each : optimizer_.state()) all.push_back({"optimizer." + each.name, each.tensor, false});
  if (scale_) {
    for (const auto& each : scale_->state()) all.push_back({"loss_scale." + each.name, each.tensor, false});
  }
  all.push_back({"generator", generator_state(), false});
  return all;
}

// Forward, gradient and update, to be compiled as one.
Tensor Trainer::train_step(const Tensor& x, const Tensor& y) {
  const nn::TrainingMode training(true);
  std::vector<std::pair<Tensor, Tensor>> buffers;  // and what they held before
  for (const auto& each : model_.state) {
    if (scale_ && !each.trainable) buffers.emplace_back(each.tensor, Tensor(each.tensor.value()));
  }
  const Tensor loss = loss_(model_.forward(x), y);
  if (!scale_) {
    optimizer_.step(grad(loss, optimizer_.parameters()));
    return loss;
  }
  const auto [usable, gradients] = scale_->unscaled(grad(scale_->scaled(loss), optimizer_.parameters()));
  optimizer_.step(gradients, usable);
  // A step that is left out leaves running statistics alone too.
  for (auto& [buffer, before] : buffers) buffer.assign(where(usable, buffer, before));
  return loss;
}

void Trainer::save(int64_t step, const data::LoaderState& position, const std::string& folder) {
  const auto state = everything();
  checkpoint::Contents contents = checkpoint::collect(state);
  if (const std::string bad = first_not_finite(state); !bad.empty()) {
    throw Error(Code::kInvalidArgument,
                cat(bad, " after step ", step, ", so no checkpoint is written; the one before it is good. ", kAdvice));
  }
  contents.facts = {{"step", cat(step)},
                    {"loss", cat(loss_value_)},
                    {"epoch", cat(position.epoch)},
                    {"batch", cat(position.batch)},
                    {"best_loss", cat(best_loss_)},
                    {"best_accuracy", cat(best_accuracy_)},
                    {"has_best", cat(has_best_)},
                    {"evaluations_without_gain", cat(evaluations_without_gain_)}};
  checkpoint::save(folder, step, contents, options_.keep);
}

bool Trainer::resume(data::DataLoader& train, int64_t* step) {
  if (options_.output_folder.empty()) return false;
  const auto found = checkpoint::load_latest(options_.output_folder);
  if (!found) return false;
  if (!options_.resume) {
    throw Error(Code::kInvalidArgument, cat(found->path,
                                            " is of an earlier run and resume is off: choose another "
                                            "output folder, or remove this one"));
  }
  checkpoint::restore(everything(), found->contents, found->path);
  for (const char* inside : {"", "/best"}) checkpoint::prune(options_.output_folder + inside, options_.keep);
  const auto fact = [&](const std::string& name) {
    const auto at = found->contents.facts.find(name);
    if (at == found->contents.facts.end()) {
      throw Error(Code::kDataLoss,
                  cat(found->path, " lacks the fact '", name, "'; it was not written by a training run"));
    }
    return at->second;
  };
  *step = std::stoll(fact("step"));
  loss_value_ = std::stod(fact("loss"));
  best_loss_ = std::stod(fact("best_loss"));
  best_accuracy_ = std::stod(fact("best_accuracy"));
  has_best_ = fact("has_best") == "true";
  evaluations_without_gain_ = std::stoi(fact("evaluations_without_gain"));
  train.seek({std::stoll(fact("epoch")), std::stoll(fact("batch"))});
  log_info(cat("resumed from ", found->path));
  return true;
}

Trainer::Evaluation Trainer::evaluate(data::DataLoader& validation) {
  Evaluation out;
  double loss = 0.0, hits = 0.0, targets = 0.0;
  validation.seek({0, 0});
  while (const auto batch = validation.next()) {
    const auto results = evaluate_(Tensor(batch->fields[0]), Tensor(batch->fields[1]));
    const auto count = static_cast<double>(batch->examples.size());
    loss += results[0].item() * count;
    hits += results[1].item();
    out.examples += static_cast<int64_t>(batch->examples.size());
    targets += static_cast<double>(batch->fields[1].elements());
    if (batch->last) break;
  }
  out.loss = out.examples > 0 ? loss / static_cast<double>(out.examples) : 0.0;
  out.accuracy = targets > 0 ? hits / targets : 0.0;
  return out;
}

Result Trainer::fit(data::DataLoader& train, data::DataLoader* validation) {
  const auto start = std::chrono::steady_clock::now();
  const InterruptScope interrupts;
  auto step_function =
      compile([this](const Tensor& x, const Tensor& y) { return train_step(x, y); }, {.autocast = options_.amp});
  const int64_t per_epoch = train.batches_per_epoch();
  const int64_t total = options_.steps > 0 ? options_.steps : options_.epochs * per_epoch;
  const bool saves = !options_.output_folder.empty();
  Result result;
  int64_t step = 0;
  if (saves) make_folders(options_.output_folder);
  resume(train, &step);
  result.loss = loss_value_;
  StepLog log(options_.output_folder, step);
  Progress progress("train", total, "steps", step);
  Evaluation last{};
  bool evaluated = false;
  const auto out_of_patience = [&] { return options_.patience > 0 && evaluations_without_gain_ >= options_.patience; };
  const auto evaluate_now = [&] {
    if (validation == nullptr) return;
    last = evaluate(*validation);
    evaluated = true;
    log.write({{"step", step}, {"validation_loss", last.loss}, {"validation_accuracy", last.accuracy}});
    log_info(cat("step ", step, ": validation loss ", fixed(last.loss, 4),
                 options_.classify ? cat(", accuracy ", fixed(100 * last.accuracy, 2), "%") : ""));
    best_accuracy_ = std::max(best_accuracy_, last.accuracy);
    if (!has_best_ || last.loss < best_loss_) {
      best_loss_ = last.loss;
      has_best_ = true;
      evaluations_without_gain_ = 0;
      if (saves) save(step, train.state(), options_.output_folder + "/best");
    } else {
      ++evaluations_without_gain_;
    }
  };
  result.stopped_early = out_of_patience();
  while (step < total && !result.stopped_early) {
    const auto batch = train.next();
    if (!batch) break;
    if (options_.schedule) optimizer_.set_learning_rate(options_.schedule(step / options_.optimizer.accumulate));
    const Tensor x(batch->fields[0]), y(batch->fields[1]);
    const auto before = options_.detect_anomaly ? snapshot() : std::vector<Tensor>();
    const Tensor loss = step_function(x, y);
    ++step;
    progress.advance();
    if (options_.detect_anomaly) check_step(step, loss, before, x, y);
    if (step % options_.log_every == 0 || step == total) {
      loss_value_ = loss.item();
      if (!std::isfinite(loss_value_)) {
        throw Error(Code::kInvalidArgument, cat("the loss is ", loss_value_, " at step ", step, "; ", kAdvice));
      }
      result.loss = loss_value_;
      result.curve.emplace_back(step, loss_value_);
      progress.note("loss " + fixed(loss_value_, 4));
      log.write({{"step", step},
                 {"loss", loss_value_},
                 {"learning_rate", optimizer_.learning_rate()},
                 {"seconds", seconds_since(start)}});
    }
    const auto due = [&](int64_t every) { return every > 0 ? step % every == 0 : batch->last; };
    if (due(options_.evaluate_every) || step == total) evaluate_now();
    result.stopped_early = out_of_patience();
    if (saves && (due(options_.save_every) || step == total || result.stopped_early || interrupted)) {
      save(step, train.state(), options_.output_folder);
    }
    if (interrupted) {
      result.interrupted = true;
      result.loss = loss.item();
      log_warn(cat("interrupted at step ", step, saves ? "; run again to go on from here" : ""));
      break;
    }
  }
  if (!evaluated && validation != nullptr && !result.interrupted) {  // nothing was left to train
    last = evaluate(*validation);
    evaluated = true;
  }
  if (evaluated) {
    result.loss = last.loss;
    result.accuracy = last.accuracy;
  }
  result.best_loss = best_loss_;
  result.best_accuracy = best_accuracy_;
  result.steps = step;
  result.seconds = seconds_since(start);
  result.chip = current_device();
  if (step_function.engine() != nullptr) result.fallback_share = step_function.engine()->ledger().fallback_share();
  return result;
}

std::vector<Tensor> Trainer::snapshot() const {
  std::vector<Tensor> out;
  for (const auto& each : everything()) out.emplace_back(each.tensor.value());
  return out;
}

// Throws when the step's loss or what it updated is not finite: takes the step anew from the state before it, value by
// value.
void Trainer::check_step(int64_t step, const Tensor& loss, const std::vector<Tensor>& before, const Tensor& x,
                         const Tensor& y) {
  const auto state = everything();
  const double value = loss.item();
  const std::string bad = first_not_finite(state);
  if (std::isfinite(value) && bad.empty()) return;
  for (size_t i = 0; i < state.size(); ++i) Tensor(state[i].tensor).assign(before[i]);
  auto leaves = state;
  leaves.push_back({"the batch's input", x, false});
  leaves.push_back({"the batch's target", y, false});
  const nn::TrainingMode training(true);
  const Tensor again = loss_(model_.forward(x), y);
  std::vector<Tensor> wanted = {again};
  if (!scale_) {  // gradients of f16 overflow now and then, and such steps are left out
    for (const Tensor& g : grad(again, optimizer_.parameters())) wanted.push_back(g);
  }
  Graph graph({}, values_of(wanted));
  if (options_.amp != f32) graph = passes::autocast(graph, options_.amp);
  explain_anomaly(
      std::isfinite(value) ? cat("step ", step, " ends with ", bad) : cat("the loss is ", value, " at step ", step),
      graph.outputs(), leaves);
}

}  // namespace trireme::train
