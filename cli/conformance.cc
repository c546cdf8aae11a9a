// trireme conformance: other people's suites on a chip.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "trireme/base/error.h"
#include "trireme/certify/onnx_suite.h"
#include "trireme/certify/stablehlo_suite.h"

namespace trireme::cli {

namespace {

struct Options {
  DeviceOptions device;
  std::string suite, folder, filter;
  double seconds = 60.0;
  int workers = 1;
  bool json = false, list = false, random = false;
};

nlohmann::json counts(const std::map<certify::Verdict, int>& totals) {
  nlohmann::json out = nlohmann::json::object();
  for (const auto& [verdict, count] : totals) out[std::string(name(verdict))] = count;
  return out;
}

certify::SuiteResult result_of(const Options& options) {
  certify::OnnxSuiteOptions suite;
  suite.device = options.device.chip;
  suite.fallback = options.device.fallback == "warn" ? "allow" : options.device.fallback;
  suite.filter = options.filter;
  suite.random = options.random;
  suite.guard = {options.seconds, options.workers, options.suite};
  if (options.suite == "onnx") return certify::run_onnx_suite(options.folder, suite);
  if (options.random) throw Error(Code::kInvalidArgument, "--random goes with the suite onnx");
  return certify::run_stablehlo_suite(options.folder, suite);
}

void run_suite(const Options& options) {
  const certify::SuiteResult result = result_of(options);
  const auto totals = result.totals();
  if (options.json) {
    nlohmann::json out = counts(totals);
    for (const auto& [op, ends] : result.per_operator()) out["per_op"][op] = counts(ends);
    for (const auto& each : result.cases) {
      if (each.outcome.verdict == certify::Verdict::kPass && each.outcome.detail.empty() && !options.list) continue;
      out["cases"][each.path] = {
          {"verdict", name(each.outcome.verdict)}, {"detail", each.outcome.detail}, {"seconds", each.outcome.seconds}};
    }
    std::printf("%s\n", out.dump().c_str());
  } else {
    for (const auto& each : result.cases) {
      if (each.outcome.verdict == certify::Verdict::kPass && each.outcome.detail.empty() && !options.list) continue;
      std::printf("%-11s %s  %s\n", std::string(name(each.outcome.verdict)).c_str(), each.path.c_str(),
                  each.outcome.detail.c_str());
    }
    for (const auto& [verdict, count] : totals) std::printf("%s %d  ", std::string(name(verdict)).c_str(), count);
    std::printf("of %zu on %s\n", result.cases.size(), options.device.chip.c_str());
  }
  if (totals.at(certify::Verdict::kWrong) + totals.at(certify::Verdict::kCrash) + totals.at(certify::Verdict::kHang) >
      0) {
    throw CLI::RuntimeError(1);
  }
}

}  // namespace

void add_conformance(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("conformance", "Run a conformance suite; 1 when a case is wrong or crashes");
  command->add_option("suite", options->suite, "which suite: onnx or stablehlo")
      ->required()
      ->check(CLI::IsMember({"onnx", "stablehlo"}));
  command->add_option("folder", options->folder, "where its cases lie")->required();
  command->add_option("--filter", options->filter, "only cases with this in their path");
  command->add_option("--timeout", options->seconds, "seconds per case")->capture_default_str();
  command->add_option("--workers", options->workers, "processes at a time")->capture_default_str();
  command->add_flag("--random", options->random, "onnx: models without vectors, run each on random inputs");
  command->add_flag("--json", options->json, "print one JSON line");
  command->add_flag("--list", options->list, "list the cases that passed as well");
  options->device.add_to(*command);
  command->callback([options] { run_suite(*options); });
}

}  // namespace trireme::cli
