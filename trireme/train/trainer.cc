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
#include "trireme/ir/op_decl.h"

namespace trireme::train {

namespace {

std::atomic<bool> interrupted{false};

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
  all.push_back({"generator", generator_state(), false});
  return all;
}

void Trainer::save(int64_t step, const data::LoaderState& position, const std::string& folder) {
  checkpoint::Contents contents = checkpoint::collect(everything());
  contents.facts = {{"step", cat(step)},
                    {"epoch", cat(position.epoch)},
                    {"batch", cat(position.batch)},
                    {"best_loss", cat(best_loss_)},
                    {"best_accuracy", cat(best_accuracy_)},
                    {"has_best", cat(has_best_)},
                    {"evaluations_without_gain", cat(evaluations_without_gain_)}};
  checkpoint::save(folder, step, contents, options_.keep);
}

bool Trainer::resume(data::DataLoader& train, int64_t* step) {
  if (!options_.resume || options_.output_folder.empty()) return false;
  const auto found = checkpoint::load_latest(options_.output_folder);
  if (!found) return false;
  checkpoint::restore(everything(), found->contents, found->path);
  const auto fact = [&](const std::string& name) {
    const auto at = found->contents.facts.find(name);
    if (at == found->contents.facts.end()) {
      throw Error(Code::kDataLoss,
                  cat(found->path, " lacks the fact '", name, "'; it was not written by a training run"));
    }
    return at->second;
  };
  *step = std::stoll(fact("step"));
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
  auto step_function = compile([this](const Tensor& x, const Tensor& y) {
    const nn::TrainingMode training(true);
    const Tensor loss = loss_(model_.forward(x), y);
    optimizer_.step(grad(loss, optimizer_.parameters()));
    return loss;
  });
  const int64_t per_epoch = train.batches_per_epoch();
  const int64_t total = options_.steps > 0 ? options_.steps : options_.epochs * per_epoch;
  Result result;
  int64_t step = 0;
  if (!options_.output_folder.empty()) make_folders(options_.output_folder);
  resume(train, &step);
  StepLog log(options_.output_folder, step);
  Progress progress("train", total, "steps", step);
  Evaluation last{};
  bool evaluated = false;
  const auto evaluate_now = [&] {
    if (validation == nullptr) return;
    last = evaluate(*validation);
    evaluated = true;
    log.write({{"step", step}, {"validation_loss", last.loss}, {"validation_accuracy", last.accuracy}});
    log_info(cat("step ", step, ": validation loss ", fixed(last.loss, 4),
                 options_.classify ? cat(", accuracy ", fixed(100 * last.accuracy, 2), "%") : ""));
    if (!has_best_ || last.loss < best_loss_) {
      best_loss_ = last.loss;
      has_best_ = true;
      evaluations_without_gain_ = 0;
      if (!options_.output_folder.empty()) save(step, train.state(), options_.output_folder + "/best");
    } else {
      ++evaluations_without_gain_;
    }
    best_accuracy_ = std::max(best_accuracy_, last.accuracy);
    result.stopped_early = options_.patience > 0 && evaluations_without_gain_ >= options_.patience;
  };
  while (step < total && !result.stopped_early) {
    const auto batch = train.next();
    if (!batch) break;
    if (options_.schedule) optimizer_.set_learning_rate(options_.schedule(step));
    const Tensor x(batch->fields[0]), y(batch->fields[1]);
    const Tensor loss = step_function(x, y);
    ++step;
    progress.advance();
    const bool last_of_epoch = batch->last;
    if (step % options_.log_every == 0 || step == total || options_.detect_anomaly) {
      const double value = loss.item();
      if (!std::isfinite(value)) explain_anomaly(step, value, x, y);
      result.loss = value;
      result.curve.emplace_back(step, value);
      progress.note("loss " + fixed(value, 4));
      log.write({{"step", step},
                 {"loss", value},
                 {"learning_rate", optimizer_.learning_rate()},
                 {"seconds", seconds_since(start)}});
    }
    const bool due = options_.evaluate_every > 0 ? step % options_.evaluate_every == 0 : last_of_epoch;
    if (due || step == total) evaluate_now();
    const bool save_due = options_.save_every > 0 ? step % options_.save_every == 0 : last_of_epoch;
    if (!options_.output_folder.empty() && (save_due || step == total || interrupted)) {
      save(step, train.state(), options_.output_folder);
    }
    if (interrupted) {
      result.interrupted = true;
      log_warn(
          cat("interrupted at step ", step, options_.output_folder.empty() ? "" : "; run again to go on from here"));
      break;
    }
  }
  if (!evaluated && validation != nullptr && !result.interrupted) evaluate_now();
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

// Evaluates the loss graph value by value until the first that is not finite.
void Trainer::explain_anomaly(int64_t step, double loss, const Tensor& x, const Tensor& y) {
  const std::string head = cat("the loss is ", loss, " at step ", step);
  if (!options_.detect_anomaly) {
    throw Error(Code::kInvalidArgument, head +
                                            "; lower the learning rate, clip gradients (clip_norm), or run with "
                                            "--detect-anomaly to name the op");
  }
  const nn::TrainingMode training(true);
  const Tensor value = loss_(model_.forward(x), y);
  for (const Node* node : Graph({}, {value.value()}).nodes()) {
    if (node->is("parameter") || !is_float(node->outputs()[0].dtype)) continue;
    const Literal found = Tensor(Value(*node)).literal();
    for (int64_t i = 0; i < found.elements(); ++i) {
      if (std::isfinite(found.at(i))) continue;
      throw Error(Code::kInvalidArgument,
                  cat(head, ": the first value that is not finite comes from ", node->name(), " ", node->outputs()[0],
                      " at ", node->source(), ", element ", i, " = ", found.at(i)));
    }
  }
  throw Error(Code::kInvalidArgument, head +
                                          ": the parameters became non-finite in the update before this step; lower "
                                          "the learning rate or clip gradients (clip_norm)");
}

}  // namespace trireme::train
