// The table of `trireme tipc`: which models are taken through the chain train -> evaluate -> export -> infer, in which
// modes, and how far a chip may be from the cpu. A YAML file:
//
//   bands:                                           # may be left out, as may each of its keys
//     all: {cpu_share: 0.1}
//     int8: {outputs: 0.1}
//   models:
//     - name: lenet
//       config: lenet.yaml                           # as for `trireme train`; its path begins at the table's folder
//       options: [Global.epochs=2]                   # as -o of `trireme train`
//       modes: [normal, bf16, f16, int8]             # without it: all four
//       bands: {bf16: {loss: 0.1}}                   # for this model alone
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/train/config.h"

namespace trireme::certify {

enum class TipcMode : uint8_t {
  kNormal,  // f32
  kBf16,    // trained with autocast to bf16
  kF16,     // trained with autocast to f16
  kInt8,    // trained in f32; the exported model is quantised to 8 bits
};
// "normal", "bf16", "f16", "int8".
std::string_view name(TipcMode mode);

// The largest figures that pass.
struct TipcBands {
  double loss = 0.0;       // |chip - cpu| of any step's training loss, as a share of the cpu's first loss
  double accuracy = 0.0;   // |chip - cpu| of the accuracies, in shares of one
  double outputs = 0.0;    // of the exported model's outputs and the trainer's: root of the summed squares, relative
  double cpu_share = 0.0;  // share of a chip's time, by the ledger, that its plans spend on the cpu and in copies
};

struct TipcRow {
  std::string name;   // "lenet/bf16"
  std::string model;  // "lenet"
  TipcMode mode = TipcMode::kNormal;
  train::Config config;  // Global.amp by the mode
  TipcBands bands;
};

struct TipcTable {
  std::vector<TipcRow> rows;  // the modes of a model side by side, in the file's order
  std::string digest;         // of all that was read
};

// Throws kInvalidArgument, naming file, line and what is allowed, kNotFound for a file that does not exist.
TipcTable read_tipc_table(const std::string& path);

// The rows called so ("lenet/bf16"), or of a model called so ("lenet"), in the table's order; all when there are no
// names. Throws kInvalidArgument for a name that is neither.
std::vector<TipcRow> chosen_rows(const std::vector<TipcRow>& rows, const std::vector<std::string>& names);

}  // namespace trireme::certify
