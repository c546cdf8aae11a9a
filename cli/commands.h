// The subcommands of `trireme`, one file each.
#pragma once

#include <CLI/App.hpp>

#include <string>

#include "trireme/ir/graph.h"

namespace trireme::cli {

// Options every command that computes has.
struct DeviceOptions {
  std::string chip = "cpu";
  std::string fallback = "warn";
  void add_to(CLI::App& command);
  // Sets the device and the fallback mode. Throws kNotFound, kInvalidArgument.
  void apply() const;
};

// Writes a model as ONNX (NAME.onnx) or as an exported folder (a name without a dot). Throws kUnsupported for others.
void save_model(const Graph& graph, const std::string& to);

void add_chips(CLI::App& app);
void add_ops(CLI::App& app);
void add_run(CLI::App& app);
void add_explain(CLI::App& app);
void add_report(CLI::App& app);
void add_train(CLI::App& app);
void add_conformance(CLI::App& app);
void add_convert(CLI::App& app);
void add_quantize(CLI::App& app);
void add_certify(CLI::App& app);
void add_tipc(CLI::App& app);

}  // namespace trireme::cli
