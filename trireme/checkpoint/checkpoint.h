// Checkpoints: everything a run needs to go on exactly where it was, in one safetensors file.
//
// A file is written beside the others, whole or not at all, as step-00001200.safetensors. `load_latest` takes the
// newest that can be read; one that is damaged is named in a warning and the one before it is taken.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "trireme/nn/module.h"

namespace trireme::checkpoint {

struct Contents {
  std::map<std::string, Literal> tensors;
  std::map<std::string, std::string> facts;  // step, epoch, position of the loader, metrics, configuration
};

// Reads the tensors' values. Names must be unique.
Contents collect(const std::vector<nn::NamedTensor>& state);

// Gives every tensor of `state` its saved value. Throws kDataLoss listing what is missing, what has another shape or
// type, and, for a missing name, the nearest one in the file. `source` stands for the file in messages.
void restore(const std::vector<nn::NamedTensor>& state, const Contents& contents, const std::string& source);

// Writes step-<step>.safetensors into `folder` and removes all but the newest `keep`. Returns the path.
std::string save(const std::string& folder, int64_t step, const Contents& contents, int keep = 3);
// Removes all checkpoints but the newest `keep` (what a run killed inside save() leaves behind).
void prune(const std::string& folder, int keep);
// Throws kDataLoss when the file is damaged: it carries a digest of all it holds, the fact "digest".
Contents load(const std::string& path);

struct Found {
  std::string path;
  int64_t step;
  Contents contents;
};
// Nothing when the folder has no checkpoint. Throws kDataLoss when it has some and none can be read.
std::optional<Found> load_latest(const std::string& folder);

}  // namespace trireme::checkpoint
