// trireme certify: proves a chip, from the eight functions it boots with to whole models.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/certify/certificate.h"

namespace trireme::cli {

namespace {

struct Options {
  certify::CertifyOptions run;
  std::string level = "complete", html;
  bool json = false;
};

void print_failures(const certify::Certificate& certificate) {
  for (const certify::CaseResult& result : certificate.cases) {
    if (!result.done || !is_failure(result.outcome.verdict)) continue;
    std::printf("%-6s %s %s\n       %s\n", std::string(name(result.outcome.verdict)).c_str(),
                std::string(name(result.part)).c_str(), result.name.c_str(), result.outcome.detail.c_str());
  }
}

void certify_chip(const Options& options) {
  certify::CertifyOptions run = options.run;
  run.level = certify::parse_level(options.level);
  const certify::Certificate certificate = certify::certify(run);
  if (!options.html.empty()) write_file_atomically(options.html, certify::page_html(certificate));
  if (options.json) {
    std::printf("%s\n", certify::card_json(certificate).c_str());
  } else {
    print_failures(certificate);
    std::string counts;
    for (const auto& [verdict, count] : certificate.totals()) {
      append(counts, cat(counts.empty() ? "" : ", ", count, " ", name(verdict)));
    }
    std::printf("%s (%s) %s: level \"%s\", seed %llu, %.0f s; %s\n", certificate.chip.c_str(),
                certificate.device.c_str(), certificate.certified() ? "is certified" : "is NOT certified",
                std::string(name(certificate.reached)).c_str(), static_cast<unsigned long long>(certificate.seed),
                certificate.seconds, counts.c_str());
    if (!certificate.why_not_more.empty()) std::printf("not more because: %s\n", certificate.why_not_more.c_str());
  }
  if (!certificate.certified()) throw CLI::RuntimeError(1);
}

}  // namespace

void add_certify(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("certify", "Prove a chip; 1 when it does not reach the level");
  command->add_option("chip", options->run.chip, "name of a chip, or path of a plug-in");
  command->add_option("--level", options->level, "boots, trains, complete or engine")->capture_default_str();
  command->add_option("--seed", options->run.seed, "of values, shapes and orders")->capture_default_str();
  command->add_option("--timeout", options->run.seconds, "seconds per case")->capture_default_str();
  command->add_option("--workers", options->run.workers, "processes at a time")->capture_default_str();
  command->add_option("--resume", options->run.state_file, "keep what is done in this file, and go on from it");
  command->add_option("--html", options->html, "write a page about it to this file");
  command->add_flag("--json", options->json, "print the chip card, one JSON line, and nothing else");
  command->callback([options] {
    if (options->run.chip.empty()) throw Error(Code::kInvalidArgument, "which chip? `trireme chips` lists them");
    certify_chip(*options);
  });
}

}  // namespace trireme::cli
