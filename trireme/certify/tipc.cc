#include "trireme/certify/tipc.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/certify/run_state.h"
#include "trireme/runtime/device.h"
#include "trireme/tensor/tensor.h"

namespace trireme::certify {

namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

struct Facts {
  std::string device, chip_name, build_id, host;  // host: the device of the reference chains
};

// Opens the device in a child process and describes it. An Error there is told with its code's number in front.
Facts describe(const std::string& chip, double seconds) {
  const auto open = [&](size_t) -> Outcome {
    try {
      set_device(chip);
      const runtime::Device& device = runtime::Device::get(current_device());
      const Json facts = {{"device", device.name()},
                          {"name", device.props().name},
                          {"build_id", device.chip().build_id()},
                          {"host", runtime::Device::host().name()}};
      return {Verdict::kPass, facts.dump(-1, ' ', false, Json::error_handler_t::replace), 0.0, {}};
    } catch (const Error& failure) {
      return {Verdict::kWrong, cat(static_cast<int>(failure.code()), " ", failure.what()), 0.0, {}};
    }
  };
  const GuardOptions guard{.seconds = seconds, .title = "open", .capture = true};
  const Outcome outcome = run_guarded(
      1, [] {}, open, guard)[0];
  if (outcome.verdict == Verdict::kWrong) {
    const size_t space = outcome.detail.find(' ');
    throw Error(static_cast<Code>(std::stoi(outcome.detail)), outcome.detail.substr(space + 1));
  }
  if (outcome.verdict != Verdict::kPass) {
    throw Error(Code::kDeviceFault, cat("the chip '", chip, "' does not open: ", outcome.detail));
  }
  const Json facts = Json::parse(outcome.detail);
  return {facts["device"], facts["name"], facts["build_id"], facts["host"]};
}

// A chain to be run: a row on the chip, or what rows are compared with.
struct Unit {
  std::string key;  // "truth lenet/bf16"
  TipcRow row;
  std::string device;
  Outcome outcome;
};

std::string chip_key(const std::string& row) { return "chip " + row; }
std::string truth_key(const std::string& model, TipcMode mode) {
  return cat("truth ", model, "/", name(mode == TipcMode::kInt8 ? TipcMode::kNormal : mode));
}

// References come before the rows that need them, each once.
std::vector<Unit> units_of(const std::vector<TipcRow>& rows, const Facts& facts) {
  std::vector<Unit> out;
  const auto add = [&](const std::string& key, const TipcRow& row, const std::string& device) {
    if (std::none_of(out.begin(), out.end(), [&](const Unit& unit) { return unit.key == key; })) {
      out.push_back({key, row, device, {}});
    }
  };
  for (const TipcRow& row : rows) {
    for (const TipcMode mode : {TipcMode::kNormal, row.mode}) {
      TipcRow reference = row;
      reference.mode = mode == TipcMode::kInt8 ? TipcMode::kNormal : mode;
      if (reference.mode == TipcMode::kNormal) reference.config.global.amp = "none";
      reference.name = cat(row.model, "/", name(reference.mode));
      add(truth_key(row.model, mode), reference, facts.host);
    }
    add(chip_key(row.name), row, facts.device);
  }
  return out;
}

void run_units(std::vector<Unit>& units, const TipcOptions& options, RunState& state) {
  std::vector<size_t> order;
  for (size_t i = 0; i < units.size(); ++i) {
    if (!state.restore(units[i].key, units[i].outcome)) order.push_back(i);
  }
  const TemporaryFolder folder;
  const auto place = [&](size_t i) { return folder / cat(i); };
  const auto work = [&](size_t i) { return run_tipc_chain(units[i].row, units[i].device, place(i)); };
  const GuardOptions guard{.seconds = options.seconds,
                           .title = cat("tipc ", options.chip),
                           .capture = true,
                           .fresh_each = true,
                           .settled = [&](size_t i, const Outcome& outcome) {
                             units[i].outcome = outcome;
                             state.keep(units[i].key, outcome);
                             state.write();
                             std::error_code ignored;
                             std::filesystem::remove_all(place(i), ignored);
                             return true;
                           }};
  run_guarded(
      units.size(), [] {}, work, guard, &order);
}

std::string told(const Outcome& outcome) {
  return outcome.verdict == Verdict::kWrong ? outcome.detail : cat(name(outcome.verdict), ": ", outcome.detail);
}

TipcResult judge(const TipcRow& row, const std::vector<Unit>& units, bool on_cpu) {
  const auto find = [&](const std::string& key) -> const Unit& {
    return *std::find_if(units.begin(), units.end(), [&](const Unit& unit) { return unit.key == key; });
  };
  const Unit &mine = find(chip_key(row.name)), &same = find(truth_key(row.model, row.mode)),
             &plain = find(truth_key(row.model, TipcMode::kNormal));
  TipcResult out;
  out.name = row.name;
  out.seconds = mine.outcome.seconds;
  for (const Unit* unit : {&plain, &same, &mine}) {
    const Outcome& outcome = unit->outcome;
    if (outcome.verdict == Verdict::kPass) continue;
    const bool skipped = outcome.verdict == Verdict::kUnsupported;
    out.verdict = skipped ? TipcVerdict::kSkip : TipcVerdict::kFail;
    if (skipped) out.detail = outcome.detail;
    else out.detail = cat(unit == &mine ? "" : cat("what it is held against, on ", unit->device, ": "), told(outcome));
    return out;
  }
  out.chain = parse_tipc_chain(mine.outcome.detail);
  out.checks = check_chain(row, out.chain, parse_tipc_chain(same.outcome.detail),
                           parse_tipc_chain(plain.outcome.detail), on_cpu);
  const bool passed = std::all_of(out.checks.begin(), out.checks.end(), [](auto& check) { return check.passed(); });
  out.verdict = passed ? TipcVerdict::kPass : TipcVerdict::kFail;
  return out;
}

// The farthest that two curves are apart, as a share of the first value of the second; and where.
std::pair<double, size_t> farthest(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size() || b.empty()) return {HUGE_VAL, 0};
  std::pair<double, size_t> out{0.0, 0};
  for (size_t i = 0; i < a.size(); ++i) {
    const double off = std::fabs(a[i] - b[i]) / std::fabs(b[0]);
    if (!(off <= out.first)) out = {off, i};
    if (std::isnan(off)) break;
  }
  return out;
}

double mean(const double* from, size_t count) {
  return std::accumulate(from, from + count, 0.0) / static_cast<double>(count);
}

}  // namespace

std::string_view name(TipcVerdict verdict) {
  return verdict == TipcVerdict::kPass ? "pass" : verdict == TipcVerdict::kFail ? "fail" : "skip";
}

std::vector<TipcCheck> check_chain(const TipcRow& row, const TipcChain& chain, const TipcChain& same,
                                   const TipcChain& plain, bool on_cpu) {
  const auto brief = [](double value) { return static_cast<float>(value); };  // as many digits as tell f32 apart
  std::vector<TipcCheck> out;
  const auto [off, step] = farthest(chain.losses, same.losses);
  out.push_back(
      {"loss", off, row.bands.loss,
       chain.losses.size() == same.losses.size() && !same.losses.empty()
           ? cat("step ", step + 1, ": ", brief(chain.losses[step]), ", on the host ", brief(same.losses[step]))
           : cat(chain.losses.size(), " steps, on the host ", same.losses.size())});

  // A fifth of the steps at each end, because single batches scatter.
  const size_t part = std::max<size_t>(chain.losses.size() / 5, 1);
  double first = std::nan(""), last = std::nan("");
  if (!chain.losses.empty()) {
    first = mean(chain.losses.data(), part);
    last = mean(chain.losses.data() + chain.losses.size() - part, part);
  }
  out.push_back(
      {"learns", last / first, 0.99, cat("mean loss at the end ", brief(last), ", at the beginning ", brief(first))});

  const double evaluated = std::fabs(chain.accuracy - plain.accuracy);
  const double inferred = std::fabs(chain.inferred_accuracy - plain.accuracy);
  out.push_back({"accuracy", evaluated >= inferred || std::isnan(evaluated) ? evaluated : inferred, row.bands.accuracy,
                 cat(brief(chain.accuracy), " evaluated, ", brief(chain.inferred_accuracy), " inferred, ",
                     brief(plain.accuracy), " in f32 on the host")});

  out.push_back({"outputs", chain.outputs_off, row.bands.outputs,
                 cat("relative error of the exported model on ", chain.examples, " examples")});
  if (!on_cpu) {
    out.push_back({"cpu_share", std::max(chain.train_cpu_share, chain.infer_cpu_share), row.bands.cpu_share,
                   cat(brief(chain.train_cpu_share), " of a training step, ", brief(chain.infer_cpu_share),
                       " of an inference", chain.helped.empty() ? "" : "; " + chain.helped.substr(0, 200))});
  }
  return out;
}

int TipcReport::count(TipcVerdict verdict) const {
  return static_cast<int>(
      std::count_if(rows.begin(), rows.end(), [&](const TipcResult& row) { return row.verdict == verdict; }));
}

bool TipcReport::passed() const { return count(TipcVerdict::kFail) == 0 && count(TipcVerdict::kPass) > 0; }

TipcReport tipc(const TipcOptions& options) {
  const auto begin = Clock::now();
  const TipcTable table = read_tipc_table(options.table);
  const std::vector<TipcRow> rows = chosen_rows(table.rows, options.rows);
  const Facts facts = describe(options.chip, options.seconds);
  std::vector<Unit> units = units_of(rows, facts);
  RunState state(options.state_file, {{"device", facts.device}, {"build_id", facts.build_id}, {"table", table.digest}});
  run_units(units, options, state);
  TipcReport out;
  out.device = facts.device;
  out.chip_name = facts.chip_name;
  out.build_id = facts.build_id;
  out.table = options.table;
  for (const TipcRow& row : rows) out.rows.push_back(judge(row, units, facts.device == facts.host));
  out.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return out;
}

}  // namespace trireme::certify
