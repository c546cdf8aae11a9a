// One chain of `trireme tipc`: train -> evaluate -> export (-> quantise) -> infer, each step from the files the step
// before left, as the commands do it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trireme/certify/cases.h"
#include "trireme/certify/tipc_table.h"

namespace trireme::certify {

// What a chain found out.
struct TipcChain {
  std::vector<double> losses;  // of each training step
  // Of the checkpoint, on the examples held back. The accuracy of a regression is the share of the targets' variance
  // that it explains, 1 - loss / variance.
  double loss = 0.0, accuracy = 0.0;
  // Of the exported model on the same examples.
  double inferred_loss = 0.0, inferred_accuracy = 0.0;
  // Its outputs against the trainer's: root of the summed squares of the differences, relative.
  double outputs_off = 0.0;
  // Shares of estimated time that the plans of a training step and of an inference spend off the chip.
  double train_cpu_share = 0.0, infer_cpu_share = 0.0;
  std::string helped;    // why the chip did not do it alone; empty when it did
  int64_t examples = 0;  // held back
  double train_seconds = 0.0, infer_seconds = 0.0;
};

std::string json(const TipcChain& chain);
// Throws kDataLoss for a text that is none.
TipcChain parse_tipc_chain(const std::string& text);

// Runs the chain of a row on a device ("xpu:0") in this process; `folder` gets the checkpoints and exported models.
// Where the device has all that is needed it computes alone, so that nothing is right because the cpu was cheaper.
// A pass has the chain as JSON in its detail; kUnsupported is a row that cannot be run here, with the reason: its data
// are not on this machine, or the device has no products of the mode's type. The stage is told on standard error, so
// that a process that dies or hangs has said where.
Outcome run_tipc_chain(const TipcRow& row, const std::string& device, const std::string& folder);

}  // namespace trireme::certify
