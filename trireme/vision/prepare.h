// From pixels to what a model takes, as graph ops, so that any chip can do it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "trireme/tensor/tensor.h"

namespace trireme::vision {

// In this order: the channels, the size, the middle, the numbers, the axes.
struct PrepareOptions {
  enum class Channels : uint8_t { kRgb, kBgr, kGrey };
  enum class Layout : uint8_t { kNchw, kNhwc };

  Channels channels = Channels::kRgb;
  std::vector<int64_t> resize;          // {height, width}; {side}: the shorter side becomes this; empty: as it is
  std::vector<int64_t> crop;            // {height, width} or {side} of the middle; empty: all
  double range = 1.0;                   // what white becomes: 1 or 255
  std::vector<double> mean, deviation;  // (x - mean) / deviation after that, one for all channels or one for each
  Layout layout = Layout::kNchw;
};

// pixels u8 [height, width, 1 or 3], red green blue, as data::decode_image gives them -> f32 [1, C, H, W] or
// [1, H, W, C]. Resized by a triangle filter, free of aliasing (data::resize), as two matrix products.
Tensor prepare(const Literal& pixels, const PrepareOptions& options = {});

// "224x224" -> {224, 224}, "256" -> {256}; "0.5,0.5,0.5" -> numbers; "nchw"; "bgr". kInvalidArgument says what is
// wrong; `what` names the option in messages.
std::vector<int64_t> parse_size(std::string_view text, std::string_view what);
std::vector<double> parse_numbers(std::string_view text, std::string_view what);
PrepareOptions::Layout parse_layout(std::string_view text);
PrepareOptions::Channels parse_channels(std::string_view text);

}  // namespace trireme::vision
