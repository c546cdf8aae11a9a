// DataLoader: batches of a data set, made ahead of time by worker threads.
//
// What comes out depends on the data set, the options and the position only, never on the number of workers or on
// timing: epoch e visits the examples in a permutation drawn from (seed, e), and random transforms draw from
// (seed, e, example). To resume exactly, keep state() and seek() to it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "trireme/data/dataset.h"
#include "trireme/data/random.h"

namespace trireme::data {

// Applied to each example on a worker's thread. It must be a pure function of its arguments.
using Transform = std::function<Example(Example, RandomStream&)>;

struct LoaderOptions {
  int64_t batch_size = 32;
  bool shuffle = true;
  bool drop_last = false;  // leave out the last, smaller batch of an epoch
  uint64_t seed = 0;
  int64_t epochs = 0;    // next() ends after so many; 0 means never
  int workers = 1;       // 0: next() makes the batch itself
  int64_t prefetch = 4;  // batches that may wait or be in the making
  Transform transform;
};

struct Batch {
  int64_t epoch = 0;
  int64_t index = 0;              // within the epoch
  bool last = false;              // of its epoch
  std::vector<int64_t> examples;  // indices into the data set
  std::vector<Literal> fields;    // [batch, ...] each
};

// The batch that next() gives out next.
struct LoaderState {
  int64_t epoch = 0;
  int64_t batch = 0;
  bool operator==(const LoaderState&) const = default;
};

class DataLoader {
 public:
  DataLoader(DatasetPointer dataset, LoaderOptions options);
  // May be called at any time; waits for the examples that are just being read.
  ~DataLoader();
  DataLoader(const DataLoader&) = delete;
  DataLoader& operator=(const DataLoader&) = delete;

  // The next batch, or nothing after the last epoch. An exception on the way to a batch surfaces here as an Error that
  // names the example; the position stays, so that the next call reports it again unless seek() moves on.
  std::optional<Batch> next();
  LoaderState state() const;
  void seek(const LoaderState& state);
  int64_t batches_per_epoch() const;
  const Dataset& dataset() const;

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

// Joins examples along a new first axis. All must agree in types and shapes.
std::vector<Literal> stack(const std::vector<Example>& examples);

}  // namespace trireme::data
