#include "trireme/certify/certificate.h"

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/certify/run_state.h"
#include "trireme/chip/chip.hpp"
#include "trireme/runtime/host.h"

namespace trireme::certify {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

bool is_path(const std::string& chip) { return chip.find('/') != std::string::npos || chip.ends_with(".so"); }

TrmChipEntry entry_in(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw Finding(Verdict::kWrong, cat("it cannot be loaded: ", dlerror()));
  void* symbol = dlsym(library, "trm_chip_entry_v1");
  if (symbol == nullptr) throw Finding(Verdict::kWrong, "it does not export trm_chip_entry_v1");
  return reinterpret_cast<TrmChipEntry>(symbol);
}

TrmChipEntry entry_of(const std::string& chip) {
  if (is_path(chip)) return entry_in(chip);
  std::vector<std::string_view> known;
  for (const chip::BuiltinChip& builtin : chip::builtin_chips()) {
    if (chip == builtin.name) return builtin.entry;
    known.emplace_back(builtin.name);
  }
  for (const chip::BuiltinChip& builtin : chip::builtin_chips()) {  // a chip need not be called as its folder is
    if (chip::Chip::from_entry(builtin.entry, runtime::host_services(), "built in")->name() == chip)
      return builtin.entry;
  }
  const std::string near = nearest_name(chip, known);
  throw Error(Code::kNotFound,
              cat("no chip '", chip, "' is built in", near.empty() ? "" : cat("; did you mean '", near, "'?"),
                  "; of a plug-in give the path of its .so"));
}

// The first case of all: loads the chip as no later case does, without the loader's own guard, and describes it.
std::string describe(const std::string& name) {
  const auto chip = chip::Chip::from_entry(entry_of(name), runtime::host_services(), is_path(name) ? name : "built in");
  const uint32_t devices = chip->device_count();
  Json out = {{"chip", chip->name()},
              {"vendor", chip->vendor()},
              {"version", chip->plugin_version()},
              {"build_id", chip->build_id()},
              {"path", chip->path()},
              {"devices", devices},
              {"computes", chip->compute() != nullptr},
              {"communicates", chip->comm() != nullptr},
              {"partitions", chip->compute() != nullptr && chip->compute()->partition != nullptr},
              {"device", ""},
              {"faults", chip->device().fault_inject != nullptr}};
  if (devices == 0) throw Finding(Verdict::kUnsupported, "it has no device here");
  TrmProps props = chip::sized<TrmProps>();
  TrmErr err = chip::sized<TrmErr>();
  if (chip->device().props(0, &props, &err) != TRM_OK)
    throw Finding(Verdict::kWrong, cat("props of device 0: ", err.text));
  out["device"] = std::string(props.name, strnlen(props.name, sizeof props.name));
  out["faults"] = out["faults"].get<bool>() || (props.flags & TRM_SYNC_ONLY) != 0;
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Outcome outcome_of(const std::function<std::string()>& work) {
  Outcome out;
  try {
    out.detail = work();
    out.verdict = Verdict::kPass;
  } catch (const Finding& finding) {
    out.verdict = finding.verdict();
    out.detail = finding.what();
  } catch (const Error& failure) {  // a small device is no wrong one
    out.verdict = failure.code() == Code::kOutOfMemory ? Verdict::kUnsupported : Verdict::kWrong;
    out.detail = failure.what();
  } catch (const std::exception& failure) {
    out.verdict = Verdict::kWrong;
    out.detail = failure.what();
  }
  return out;
}

// A pass during which something was printed is none: standard output is the program's.
void judge_printing(Outcome& outcome) {
  if (outcome.printed.empty() || is_failure(outcome.verdict)) return;
  outcome.verdict = Verdict::kWrong;
  outcome.detail = cat("it prints to standard output: \"", std::string(trim(outcome.printed)), "\"");
}

std::vector<Case> cases_up_to(const CertifyOptions& options, const Certificate& certificate) {
  std::vector<Case> all;
  const auto add = [&](std::vector<Case> cases, size_t share) {
    size_t number = options.seed % share;
    for (Case& each : cases) {
      const bool chosen = number++ % share == 0 ? !each.alone || options.share == 1 : each.required;
      if (each.level <= options.level && chosen) all.push_back(std::move(each));
    }
  };
  add(abi_cases(), 1);
  add(runtime_cases(options.seed), 1);
  if (!certificate.computes) return all;
  add(op_cases(options.seed), options.share);
  add(honesty_cases(options.seed), options.share);
  add(gradient_cases(options.seed), options.share);
  add(engine_cases(options.seed), 1);
  if (options.share == 1) {  // a sample is about ops
    add(model_cases(options.seed), 1);
    add(speed_cases(), 1);
  }
  return all;
}

// Who wants the first failure only finds it sooner when ops, which come by name, are mixed.
void mix(std::vector<size_t>& order, const std::vector<Case>& cases, uint64_t seed) {
  const auto is_of_ops = [&](size_t i) { return !cases[i].op.empty(); };
  const auto begin = std::stable_partition(order.begin(), order.end(), [&](size_t i) { return !is_of_ops(i); });
  std::shuffle(begin, order.end(), std::mt19937_64(seed));
}

std::string key(const CaseResult& result) { return cat(name(result.part), " ", result.name); }

// Why the level is not reached; empty when it is.
std::string missing(const Certificate& certificate, Level level) {
  for (const CaseResult& result : certificate.cases) {
    if (result.level > level) continue;
    const std::string who = cat(name(result.part), " ", result.name);
    if (!result.done) return cat(who, " was not run");
    if (is_failure(result.outcome.verdict)) return cat(who, ": ", name(result.outcome.verdict));
    if (result.required && result.outcome.verdict == Verdict::kUnsupported) {
      return cat(who, ": required, and the chip says \"", result.outcome.detail, "\"");
    }
  }
  if (level >= Level::kTrains && !certificate.computes) return "it has no compute bank";
  if (level >= Level::kComplete) {
    if (!certificate.faults_shown) {
      return "it is asynchronous and has no fault_inject, so how it reports late faults could not be shown";
    }
    const auto low = [](const CaseResult& r) {
      return r.op == "dot_general" && (r.dtype == "f16" || r.dtype == "bf16") && r.outcome.verdict == Verdict::kPass;
    };
    if (std::none_of(certificate.cases.begin(), certificate.cases.end(), low)) return "it has neither f16 nor bf16";
  }
  if (level >= Level::kEngine && !certificate.partitions) return "it is no engine: the slot partition is null";
  return {};
}

void decide(Certificate& certificate) {
  certificate.reached = Level::kNone;
  certificate.why_not_more.clear();
  for (const Level level : {Level::kBoots, Level::kTrains, Level::kComplete, Level::kEngine}) {
    if (level > certificate.asked) break;
    certificate.why_not_more = missing(certificate, level);
    if (!certificate.why_not_more.empty()) break;
    certificate.reached = level;
  }
}

}  // namespace

std::map<Verdict, int> Certificate::totals() const {
  std::map<Verdict, int> out;
  for (const CaseResult& result : cases) {
    if (result.done) ++out[result.outcome.verdict];
  }
  return out;
}

Certificate certify(const CertifyOptions& options) {
  const auto begin = Clock::now();
  if (is_path(options.chip)) {
    if (!file_exists(options.chip)) throw Error(Code::kNotFound, cat("no chip plug-in at ", options.chip));
    ::setenv("TRIREME_CHIPS", std::filesystem::absolute(options.chip).c_str(), 1);
  } else {
    entry_of(options.chip);  // or throws
  }
  const std::string where = is_path(options.chip) ? std::filesystem::absolute(options.chip).string() : options.chip;
  Certificate out;
  out.chip = options.chip;
  out.seed = options.seed;
  out.asked = options.level;

  GuardOptions guard{.seconds = std::min(options.seconds, 20.0), .title = "load", .capture = true};
  CaseResult load{Part::kAbi, Level::kBoots, "load", "", "", true, true, {}};
  load.outcome = run_guarded(
      1, [] {}, [&](size_t) { return outcome_of([&] { return describe(where); }); }, guard)[0];
  if (load.outcome.verdict == Verdict::kPass) {
    const Json facts = Json::parse(load.outcome.detail);
    out.chip = facts["chip"];
    out.vendor = facts["vendor"];
    out.version = facts["version"];
    out.build_id = facts["build_id"];
    out.path = facts["path"];
    out.device = facts["device"];
    out.computes = facts["computes"];
    out.partitions = facts["partitions"];
    out.communicates = facts["communicates"];
    out.faults_shown = facts["faults"];
    load.outcome.detail = cat(facts["devices"].get<uint32_t>(), " devices");
  }
  judge_printing(load.outcome);
  const bool loaded = !out.build_id.empty() || !out.vendor.empty();
  out.cases.push_back(load);
  if (loaded && !(options.stop_at_failure && is_failure(load.outcome.verdict))) {
    const std::vector<Case> cases = cases_up_to(options, out);
    RunState state(options.state_file, {{"chip", out.chip},
                                        {"build_id", out.build_id},
                                        {"seed", cat(options.seed)},
                                        {"level", std::string(name(options.level))}});
    std::vector<size_t> order, alone;
    for (const Case& each : cases) {
      CaseResult result{each.part, each.level, each.name, each.op, each.dtype, each.required, false, {}};
      result.done = state.restore(key(result), result.outcome);
      if (!result.done) (each.alone ? alone : order).push_back(out.cases.size() - 1);
      out.cases.push_back(result);
    }
    if (options.stop_at_failure) mix(order, cases, options.seed);
    static std::unique_ptr<Subject> subject;  // of the child
    const auto start = [&] {
      const chip::Chip& chip = chip::all_chips(runtime::host_services()).get(out.chip);
      subject.reset(new Subject{chip, entry_of(where), options.seed});
    };
    const auto work = [&](size_t i) { return outcome_of([&] { return cases[i].run(*subject); }); };
    bool failed = false;
    guard = {.seconds = options.seconds,
             .workers = options.workers,
             .title = cat("certify ", out.chip),
             .capture = true,
             .fresh_after_failure = true,
             .settled = [&](size_t i, const Outcome& outcome) {
               CaseResult& result = out.cases[i + 1];
               result.outcome = outcome;
               result.done = true;
               judge_printing(result.outcome);
               const Verdict verdict = outcome.verdict;
               if ((verdict == Verdict::kCrash || verdict == Verdict::kHang) && cases[i].program) {
                 append(result.outcome.detail, cases[i].program());
               }
               state.keep(key(result), result.outcome);
               failed = failed || is_failure(result.outcome.verdict);
               return !(options.stop_at_failure && failed);
             }};
    try {
      run_guarded(cases.size(), start, work, guard, &order);
      if (!alone.empty() && !(options.stop_at_failure && failed)) {
        guard.workers = 1;
        guard.title = cat("certify ", out.chip, ", large tensors");
        run_guarded(cases.size(), start, work, guard, &alone);
      }
    } catch (const Error& failure) {  // a child that cannot even begin
      if (failure.code() != Code::kInvalidArgument) throw;
      out.cases[0].outcome = {Verdict::kCrash, failure.what(), 0.0, {}};
    }
    state.write();
  }
  decide(out);
  out.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return out;
}

}  // namespace trireme::certify
