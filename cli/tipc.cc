// trireme tipc: models trained, evaluated, exported and run on a chip, held against the cpu.
#include <cstdio>
#include <memory>

#include "cli/commands.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/certify/tipc.h"

namespace trireme::cli {

namespace {

struct Options {
  certify::TipcOptions run;
  std::string page;
  bool json = false;
};

void print(const certify::TipcReport& report) {
  using certify::TipcVerdict;
  for (const certify::TipcResult& row : report.rows) {
    std::string line;
    for (const certify::TipcCheck& check : row.checks) {
      char text[96];
      std::snprintf(text, sizeof text, " %s%s %.2g/%.2g", check.passed() ? "" : "!", check.name.c_str(), check.figure,
                    check.limit);
      line += text;
    }
    if (!row.detail.empty()) line += " " + row.detail;
    std::printf("%s %-22s%s\n", std::string(name(row.verdict)).c_str(), row.name.c_str(), line.c_str());
    for (const certify::TipcCheck& check : row.checks) {
      if (!check.passed()) std::printf("     %s: %s\n", check.name.c_str(), check.detail.c_str());
    }
  }
  std::printf("%s %s: %d rows pass, %d fail, %d skipped; %.0f s\n", report.device.c_str(),
              report.passed()                        ? "passes"
              : report.count(TipcVerdict::kFail) > 0 ? "FAILS"
                                                     : "FAILS, for nothing could be run",
              report.count(TipcVerdict::kPass), report.count(TipcVerdict::kFail), report.count(TipcVerdict::kSkip),
              report.seconds);
}

}  // namespace

void add_tipc(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "tipc", "Train, evaluate, export and run the models of a table on a chip, against the cpu; 1 when one fails");
  command->add_option("config", options->run.table, "YAML file with the rows (docs/guide/tipc.md)")->required();
  command->add_option("--chip", options->run.chip, "device: chip, chip:index or chip:index?key=value")->required();
  command->add_option("--row", options->run.rows, "only this row (lenet/bf16) or model (lenet); may be repeated")
      ->take_all();
  command->add_option("--timeout", options->run.seconds, "seconds for one row's chain")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--resume", options->run.state_file, "keep what is done in this file, and go on from it");
  command->add_option("--page", options->page, "write the results as a Markdown page to this file");
  command->add_flag("--json", options->json, "print one JSON line, and nothing else");
  command->callback([options] {
    const certify::TipcReport report = certify::tipc(options->run);
    if (!options->page.empty()) write_file_atomically(options->page, certify::page_markdown(report));
    if (options->json) std::printf("%s\n", certify::json(report).c_str());
    else print(report);
    if (!report.passed()) throw CLI::RuntimeError(1);
  });
}

}  // namespace trireme::cli
