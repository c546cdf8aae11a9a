// The command `trireme`. Exit codes: 0 done; 1 the job ran and failed its own check; 2 wrong use or bad input;
// 3 a device failed; 130 interrupted.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>

#include "cli/commands.h"
#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/tensor/tensor.h"

namespace trireme::cli {

void DeviceOptions::add_to(CLI::App& command) {
  command.add_option("--chip", chip, "device: chip, chip:index or chip:index?key=value (see `trireme chips`)")
      ->capture_default_str();
  command.add_option("--fallback", fallback, "when the chip needs help from the CPU: error, warn or allow")
      ->capture_default_str()
      ->check(CLI::IsMember({"error", "warn", "allow"}));
}

void DeviceOptions::apply() const {
  set_device(chip);
  set_fallback(fallback == "error" ? Fallback::kError : fallback == "allow" ? Fallback::kAllow : Fallback::kWarn);
}

}  // namespace trireme::cli

int main(int argc, char** argv) {
  CLI::App app("Trireme: a model is written once and trains and runs on any AI chip", "trireme");
  app.set_version_flag("--version", "trireme 0.1.0");
  app.require_subcommand(1);
  trireme::cli::add_chips(app);
  trireme::cli::add_ops(app);
  trireme::cli::add_run(app);
  trireme::cli::add_explain(app);
  trireme::cli::add_report(app);
  trireme::cli::add_train(app);
  trireme::cli::add_conformance(app);
  trireme::cli::add_convert(app);
  trireme::cli::add_quantize(app);
  trireme::cli::add_certify(app);
  trireme::cli::add_tipc(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::RuntimeError& failure) {  // a command's own verdict
    return failure.get_exit_code();
  } catch (const CLI::ParseError& failure) {
    return app.exit(failure) == 0 ? 0 : 2;
  } catch (const trireme::Error& failure) {
    std::fprintf(stderr, "trireme: %s\n", failure.what());
    const bool device = failure.code() == trireme::Code::kDeviceFault ||
                        failure.code() == trireme::Code::kOutOfMemory || failure.code() == trireme::Code::kTimeout;
    return failure.code() == trireme::Code::kInterrupted ? 130 : device ? 3 : 2;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "trireme: %s\n", failure.what());
    return 2;
  }
  return 0;
}
