#include "trireme/certify/tipc_chain.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

#include "trireme/base/error.h"
#include "trireme/base/log.h"
#include "trireme/base/strings.h"
#include "trireme/certify/open_chip.h"
#include "trireme/checkpoint/export.h"
#include "trireme/passes/simplify.h"
#include "trireme/tensor/tensor.h"
#include "trireme/train/job.h"
#include "trireme/train/quantize.h"

namespace trireme::certify {

namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

constexpr int kCalibrationBatches = 8;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// Runs `work` on the current device alone, or, where that is refused, again with the cpu's help: then `why` has the
// reason.
void alone_or_helped(std::string& why, const std::function<void()>& work) {
  try {
    set_fallback(Fallback::kError);
    work();
  } catch (const Error& refused) {
    if (refused.code() != Code::kUnsupported) throw;
    if (why.empty()) why = refused.what();
    set_fallback(Fallback::kAllow);
    work();
  }
  set_fallback(Fallback::kAllow);
}

// Throws Finding kUnsupported when the current device cannot multiply matrices of this type by itself.
void require_products(DType type, const std::string& device) {
  std::string refused;
  alone_or_helped(refused, [&] {
    auto product = compile([](const Tensor& x) { return matmul(x, x); }, {.autocast = type});
    product(Tensor(Literal::filled(f32, {16, 16}, 1.0))).literal();
  });
  if (!refused.empty()) throw Finding(Verdict::kUnsupported, cat(device, " has no products of ", type));
}

// The first axis longer or shorter: rows that are too many go, missing ones repeat the first.
Literal with_rows(const Literal& value, int64_t rows) {
  const int64_t have = value.shape()[0];
  if (have == rows) return value;
  Literal out = Literal::zeros(value.dtype(), value.shape().with(0, rows));
  const size_t row = out.bytes() / static_cast<size_t>(rows);
  auto* to = static_cast<std::byte*>(out.mutable_data());
  const auto* from = static_cast<const std::byte*>(value.data());
  for (int64_t i = 0; i < rows; ++i) {
    std::memcpy(to + static_cast<size_t>(i) * row, from + static_cast<size_t>(i < have ? i : 0) * row, row);
  }
  return out;
}

// How well outputs meet their targets, and how far two sets of outputs are apart, summed over batches.
class Score {
 public:
  explicit Score(bool classifies) : classifies_(classifies) {}

  // Outputs [N, ..., C] (probabilities) with targets [N, ...], or numbers with numbers.
  void add(const Literal& outputs, const Literal& targets, const Literal& trainers) {
    const std::vector<double> got = outputs.to_doubles(), wanted = targets.to_doubles(), other = trainers.to_doubles();
    for (size_t i = 0; i < got.size(); ++i) {
      error_ += (got[i] - other[i]) * (got[i] - other[i]);
      signal_ += other[i] * other[i];
    }
    const size_t classes = got.size() / std::max<size_t>(wanted.size(), 1);
    for (size_t i = 0; i < wanted.size(); ++i) {
      const double* row = got.data() + i * classes;
      if (classifies_) {
        const auto target = static_cast<size_t>(wanted[i]);
        hits_ += static_cast<size_t>(std::max_element(row, row + classes) - row) == target ? 1 : 0;
        loss_ -= std::log(std::max(row[target], 1e-30));
      } else {
        loss_ += (*row - wanted[i]) * (*row - wanted[i]);
        sum_ += wanted[i];
        squares_ += wanted[i] * wanted[i];
      }
    }
    count_ += static_cast<double>(wanted.size());
  }
  double loss() const { return loss_ / count_; }
  // For this mean loss; of a classification by the hits.
  double accuracy(double loss) const {
    const double mean = sum_ / count_;
    return classifies_ ? hits_ / count_ : 1.0 - loss / (squares_ / count_ - mean * mean);
  }
  double off() const { return signal_ > 0 ? std::sqrt(error_ / signal_) : std::sqrt(error_); }

 private:
  bool classifies_;
  double error_ = 0.0, signal_ = 0.0, hits_ = 0.0, loss_ = 0.0, count_ = 0.0;
  double sum_ = 0.0, squares_ = 0.0;  // of the targets of a regression
};

// The inputs of the first batches of the training data, each of `batch` examples.
std::vector<train::Sample> calibration(const train::Job& job, int64_t batch) {
  const auto loader = job.loader(job.data().train, false);
  std::vector<train::Sample> out;
  for (int i = 0; i < kCalibrationBatches; ++i) {
    const auto next = loader->next();
    if (!next) break;
    out.push_back({with_rows(next->fields[0], batch)});
    if (next->last) break;
  }
  return out;
}

// The job of a checkpoint, in evaluation, next to the model that was exported from it.
void infer(const train::Job& job, const Graph& graph, int64_t batch, TipcChain& chain) {
  const Compiled exported([graph](const std::vector<Tensor>& inputs) { return run(graph, inputs); });
  auto trainers = compile([&job](const Tensor& x) {
    const nn::TrainingMode evaluating(false);
    return job.predict(x);
  });
  Score score(job.classifies());
  chain.infer_seconds = 0.0;
  const auto loader = job.loader(job.data().validation, false);
  while (const auto next = loader->next()) {
    const Literal &inputs = next->fields[0], &targets = next->fields[1];
    const auto begin = Clock::now();
    const Literal outputs = exported({Tensor(with_rows(inputs, batch))})[0].literal();
    chain.infer_seconds += seconds_since(begin);
    score.add(with_rows(outputs, inputs.shape()[0]), targets, trainers(Tensor(inputs)).literal());
    if (next->last) break;
  }
  chain.inferred_loss = score.loss();
  chain.inferred_accuracy = score.accuracy(score.loss());
  if (!job.classifies()) chain.accuracy = score.accuracy(chain.loss);
  chain.outputs_off = score.off();
  chain.infer_cpu_share = exported.ledger().fallback_share();
}

std::string chain_of(const TipcRow& row, const std::string& device, const std::string& folder, std::string& stage) {
  const auto at = [&](const char* next) {
    stage = next;
    log_info(cat(row.name, " on ", device, ": ", stage));
  };
  at("open");
  set_device(device);
  set_fallback(Fallback::kAllow);
  train::Config config = row.config;
  if (config.global.amp != "none") require_products(parse_dtype(config.global.amp), device);
  config.global.output_dir = folder + "/train";
  config.global.print_interval = 1;  // the whole curve is compared
  const auto job_of_row = [&] {
    try {
      return train::Job(config);
    } catch (const Error& failure) {
      if (failure.code() != Code::kNotFound) throw;
      throw Finding(Verdict::kUnsupported, cat("its data are missing: ", failure.what()));
    }
  };
  TipcChain chain;
  at("train");
  {
    const train::Job job = job_of_row();  // its initial values may be drawn with help
    std::vector<Tensor> initial;
    for (const auto& each : job.model().state) initial.push_back(each.tensor);
    eval(initial);
    alone_or_helped(chain.helped, [&] {  // refused before the first step, if at all
      const train::Result result = job.fit();
      if (result.interrupted) throw Error(Code::kInterrupted, "interrupted");
      for (const auto& [step, loss] : result.curve) chain.losses.push_back(loss);
      chain.train_seconds = result.seconds;
      chain.train_cpu_share = result.fallback_share;
    });
  }
  at("evaluate");
  const train::Job job = job_of_row();
  job.restore(false);
  alone_or_helped(chain.helped, [&] {
    const auto found = job.evaluate();
    chain.loss = found.loss;
    chain.accuracy = found.accuracy;
    chain.examples = found.examples;
  });
  at("export");
  const int64_t batch = std::min(config.data_loader.batch_size, job.data().validation->size());
  std::string exported = folder + "/model";
  job.export_to(exported, batch);
  if (row.mode == TipcMode::kInt8) {
    at("quantise");
    const Graph graph = passes::simplify(checkpoint::import_model(exported));
    exported = folder + "/quantised";
    alone_or_helped(chain.helped,
                    [&] { checkpoint::export_graph(exported, train::quantize(graph, calibration(job, batch))); });
  }
  at("infer");
  alone_or_helped(chain.helped, [&] { infer(job, checkpoint::import_model(exported), batch, chain); });
  return json(chain);
}

}  // namespace

std::string json(const TipcChain& chain) {
  return Json{{"losses", chain.losses},
              {"loss", chain.loss},
              {"accuracy", chain.accuracy},
              {"inferred_loss", chain.inferred_loss},
              {"inferred_accuracy", chain.inferred_accuracy},
              {"outputs_off", chain.outputs_off},
              {"train_cpu_share", chain.train_cpu_share},
              {"infer_cpu_share", chain.infer_cpu_share},
              {"helped", chain.helped},
              {"examples", chain.examples},
              {"train_seconds", chain.train_seconds},
              {"infer_seconds", chain.infer_seconds}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

TipcChain parse_tipc_chain(const std::string& text) {
  try {
    const Json found = Json::parse(text);
    TipcChain out;
    const auto number = [&](const char* key) {  // what is not finite is null in JSON
      return found.at(key).is_null() ? std::nan("") : found.at(key).get<double>();
    };
    for (const Json& loss : found.at("losses"))
      out.losses.push_back(loss.is_null() ? std::nan("") : loss.get<double>());
    out.loss = number("loss");
    out.accuracy = number("accuracy");
    out.inferred_loss = number("inferred_loss");
    out.inferred_accuracy = number("inferred_accuracy");
    out.outputs_off = number("outputs_off");
    out.train_cpu_share = number("train_cpu_share");
    out.infer_cpu_share = number("infer_cpu_share");
    out.helped = found.at("helped").get<std::string>();
    out.examples = found.at("examples").get<int64_t>();
    out.train_seconds = number("train_seconds");
    out.infer_seconds = number("infer_seconds");
    return out;
  } catch (const Json::exception& failure) {
    throw Error(Code::kDataLoss, cat("these are no figures of a chain: ", failure.what()));
  }
}

Outcome run_tipc_chain(const TipcRow& row, const std::string& device, const std::string& folder) {
  std::string stage;
  try {
    return {Verdict::kPass, chain_of(row, device, folder, stage), 0.0, {}};
  } catch (const Finding& finding) {
    return {finding.verdict(), finding.what(), 0.0, {}};
  } catch (const std::exception& failure) {
    return {Verdict::kWrong, cat(stage, ": ", failure.what()), 0.0, {}};
  }
}

}  // namespace trireme::certify
