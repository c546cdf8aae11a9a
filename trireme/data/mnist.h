// The handwritten digits of MNIST from wherever they can be had. In this order: PNG batches or idx files in the data
// folders (data/find.h: datasets/mnist or mnist), idx files downloaded earlier, a download from the canonical addresses
// (checked by SHA-256, kept in the cache folder), and last digits drawn from fonts (data/digits.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trireme/data/dataset.h"

namespace trireme::data {

struct MnistOptions {
  bool search = true, download = true, draw = true;  // the steps that may be taken
  std::string cache;                                 // folder for downloads; empty: ~/.cache/trireme/mnist
  std::vector<std::string> mirrors = {"https://ossci-datasets.s3.amazonaws.com/mnist/",
                                      "https://storage.googleapis.com/cvdf-datasets/mnist/"};
  int64_t drawn_count = 60000;
  uint64_t drawn_seed = 1;
};

struct Mnist {
  DatasetPointer train;  // 60,000 rows; fields "image" u8 [1, 28, 28], "label" i32 []
  std::string source;    // one line: which of the ways it was, and where
  bool drawn = false;    // not MNIST, but digits drawn here
};

// Says on the log what it took. kNotFound, with every reason, when no allowed step succeeds.
Mnist load_mnist(const MnistOptions& options = {});

// Runs a program without a shell, its standard output going to *output. Returns the exit status, or -1 when it cannot
// be started or is killed.
int run_program(const std::vector<std::string>& words, std::string* output);

}  // namespace trireme::data
