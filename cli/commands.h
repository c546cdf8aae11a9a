// The subcommands of `trireme`, one file each.
#pragma once

#include <CLI/App.hpp>

#include <string>

namespace trireme::cli {

// Options every command that computes has.
struct DeviceOptions {
  std::string chip = "cpu";
  std::string fallback = "warn";
  void add_to(CLI::App& command);
  // Sets the device and the fallback mode. Throws kNotFound, kInvalidArgument.
  void apply() const;
};

void add_chips(CLI::App& app);
void add_ops(CLI::App& app);
void add_run(CLI::App& app);
void add_explain(CLI::App& app);
void add_report(CLI::App& app);
void add_train(CLI::App& app);
void add_conformance(CLI::App& app);
void add_convert(CLI::App& app);
void add_certify(CLI::App& app);

}  // namespace trireme::cli
