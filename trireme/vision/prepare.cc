#include "trireme/vision/prepare.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/data/transform.h"

namespace trireme::vision {

namespace {

using Channels = PrepareOptions::Channels;
using Layout = PrepareOptions::Layout;

constexpr int64_t kMostSide = 1 << 15;

struct Size {
  int64_t height, width;
};

// {side} or {height, width}; for a side, `shorter` gives the size.
template <class Square>
Size size_of(const std::vector<int64_t>& given, std::string_view what, Square&& square) {
  const bool sound = (given.size() == 1 || given.size() == 2) &&
                     std::all_of(given.begin(), given.end(), [](int64_t s) { return s >= 1 && s <= kMostSide; });
  if (!sound) {
    throw Error(Code::kInvalidArgument, cat(what, " takes one or two sizes of 1 to ", kMostSide, "; given ", given));
  }
  return given.size() == 2 ? Size{given[0], given[1]} : square(given[0]);
}

Tensor grey(const Tensor& x) {  // [3, H, W] -> [1, H, W]
  return sum(x * tensor<float>({0.299f, 0.587f, 0.114f}, {3, 1, 1}), {0}, true);
}

// One number per channel, [C, 1, 1].
Tensor per_channel(const std::vector<double>& given, int64_t channels, std::string_view what) {
  if (given.size() != 1 && static_cast<int64_t>(given.size()) != channels) {
    throw Error(Code::kInvalidArgument,
                cat(what, " has ", given.size(), " numbers for ", channels, " channels; give 1 or ", channels));
  }
  return Tensor(Literal::from_doubles(f32, {static_cast<int64_t>(given.size()), 1, 1}, given));
}

}  // namespace

Tensor prepare(const Literal& pixels, const PrepareOptions& options) {
  const Shape& shape = pixels.shape();
  if (pixels.dtype() != u8 || shape.rank() != 3 || (shape[2] != 1 && shape[2] != 3) || shape.elements() == 0) {
    throw Error(Code::kInvalidArgument,
                cat("pixels are u8 [height, width, 1 or 3], not empty; given ", pixels.dtype(), shape));
  }
  Size size{shape[0], shape[1]};
  Tensor x = transpose(convert(Tensor(pixels), f32), {2, 0, 1});
  if (options.channels == Channels::kGrey && x.size(0) == 3) x = grey(x);
  if (options.channels != Channels::kGrey && x.size(0) == 1) x = concat({x, x, x}, 0);
  if (options.channels == Channels::kBgr) x = flip(x, {0});

  if (!options.resize.empty()) {
    const Size to = size_of(options.resize, "resize", [&](int64_t side) {
      const double scale = static_cast<double>(side) / static_cast<double>(std::min(size.height, size.width));
      const auto scaled = [&](int64_t s) { return std::max<int64_t>(1, std::llround(static_cast<double>(s) * scale)); };
      return Size{scaled(size.height), scaled(size.width)};
    });
    if (to.height != size.height) x = matmul(Tensor(data::resize_weights(size.height, to.height)), x);
    if (to.width != size.width) x = matmul(x, transpose(Tensor(data::resize_weights(size.width, to.width)), {1, 0}));
    size = to;
  }
  if (!options.crop.empty()) {
    const Size to = size_of(options.crop, "crop", [](int64_t side) { return Size{side, side}; });
    if (to.height > size.height || to.width > size.width) {
      throw Error(Code::kInvalidArgument, cat("cannot crop ", to.height, " x ", to.width, " out of ", size.height,
                                              " x ", size.width, "; resize first or take less"));
    }
    x = narrow(narrow(x, 1, (size.height - to.height) / 2, to.height), 2, (size.width - to.width) / 2, to.width);
  }

  const int64_t channels = x.size(0);
  if (!std::isfinite(options.range) || options.range <= 0) {
    throw Error(Code::kInvalidArgument, cat("range is ", options.range, "; white becomes a number above 0, 1 or 255"));
  }
  x = x * (options.range / 255.0);
  if (!options.mean.empty()) x = x - per_channel(options.mean, channels, "mean");
  if (!options.deviation.empty()) {
    if (std::find(options.deviation.begin(), options.deviation.end(), 0.0) != options.deviation.end()) {
      throw Error(Code::kInvalidArgument, "a deviation is 0; it is divided by");
    }
    x = x / per_channel(options.deviation, channels, "deviation");
  }
  x = unsqueeze(x, {0});
  return options.layout == Layout::kNhwc ? transpose(x, {0, 2, 3, 1}) : x;
}

namespace {

template <class Number>
Number parse_one(std::string_view text, std::string_view whole, std::string_view what, std::string_view form) {
  Number value{};
  const std::string_view part = trim(text);
  const auto [end, reason] = std::from_chars(part.data(), part.data() + part.size(), value);
  if (part.empty() || reason != std::errc() || end != part.data() + part.size()) {
    throw Error(Code::kInvalidArgument, cat(what, " '", whole.substr(0, 80), "' is not ", form));
  }
  return value;
}

}  // namespace

std::vector<int64_t> parse_size(std::string_view text, std::string_view what) {
  constexpr std::string_view form = "a side like 256 or height x width like 224x320";
  std::vector<int64_t> out;
  for (const std::string& part : split(text, 'x')) out.push_back(parse_one<int64_t>(part, text, what, form));
  size_of(out, what, [](int64_t side) { return Size{side, side}; });
  return out;
}

std::vector<double> parse_numbers(std::string_view text, std::string_view what) {
  std::vector<double> out;
  for (const std::string& part : split(text, ',')) {
    out.push_back(parse_one<double>(part, text, what, "a list of numbers like 0.485,0.456,0.406"));
    if (!std::isfinite(out.back())) throw Error(Code::kInvalidArgument, cat(what, ": ", out.back(), " is not finite"));
  }
  return out;
}

Layout parse_layout(std::string_view text) {
  if (text == "nchw") return Layout::kNchw;
  if (text == "nhwc") return Layout::kNhwc;
  throw Error(Code::kInvalidArgument, cat("layout '", text.substr(0, 40), "' is neither nchw nor nhwc"));
}

Channels parse_channels(std::string_view text) {
  if (text == "rgb") return Channels::kRgb;
  if (text == "bgr") return Channels::kBgr;
  if (text == "grey") return Channels::kGrey;
  throw Error(Code::kInvalidArgument, cat("channels '", text.substr(0, 40), "' are not rgb, bgr or grey"));
}

}  // namespace trireme::vision
