// What `trireme run` takes a model's inputs from: arrays, pictures, sounds and tables.
#pragma once

#include <CLI/App.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "trireme/core/literal.h"

namespace trireme::cli {

// What the model declares. A size of -1 is free.
struct WantedInput {
  DType dtype = f32;
  bool has_shape = false;
  std::vector<int64_t> sizes;
};

struct GivenInput {
  std::string name, file;
};

struct InputOptions {
  std::vector<std::string> inputs;
  std::string resize, crop, mean, deviation, layout = "nchw", channels = "rgb";
  double range = 0.0;  // 0: 255 where the model takes integers, else 1

  void add_to(CLI::App& command);
  // All of them but --input.
  void add_pictures_to(CLI::App& command);
  // The --input options, each a name of `known` and a file.
  std::vector<GivenInput> given(const std::vector<std::string>& known) const;
  // By suffix: .npy as it is; .png .jpg .jpeg f32 [1, C, H, W] (or [1, H, W, C]); .wav f32 [T] or [channels, T]; .csv
  // f32 [rows, columns], or in the declared shape where the count of numbers fits. All but .npy take the declared type,
  // and axes of size 1 in front until they have the declared rank.
  Literal read(const GivenInput& input, const WantedInput& wanted) const;
};

}  // namespace trireme::cli
