#include "trireme/data/transform.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::data {

namespace {

struct Size {
  int64_t channels, height, width;
};

Size size_of_image(const Literal& image, std::string_view what) {
  if (image.shape().rank() != 3) {
    throw Error(Code::kInvalidArgument,
                cat(what, ": an image is [channels, height, width]; given ", image.dtype(), image.shape()));
  }
  return {image.shape()[0], image.shape()[1], image.shape()[2]};
}

// The window of `image` whose top left corner is (top, left), zero outside the image. Any element type.
Literal window(const Literal& image, int64_t top, int64_t left, int64_t height, int64_t width) {
  const Size from = size_of_image(image, "crop");
  Literal out = Literal::zeros(image.dtype(), {from.channels, height, width});
  const size_t element = size_of(image.dtype());
  const auto* source = static_cast<const std::byte*>(image.data());
  auto* target = static_cast<std::byte*>(out.mutable_data());
  const int64_t first = std::max<int64_t>(0, -left), last = std::min(width, from.width - left);
  if (first >= last) return out;
  for (int64_t channel = 0; channel < from.channels; ++channel) {
    for (int64_t row = std::max<int64_t>(0, -top); row < std::min(height, from.height - top); ++row) {
      const int64_t read = (channel * from.height + top + row) * from.width + left + first;
      const int64_t write = (channel * height + row) * width + first;
      std::memcpy(target + static_cast<size_t>(write) * element, source + static_cast<size_t>(read) * element,
                  static_cast<size_t>(last - first) * element);
    }
  }
  return out;
}

// For each output position the inputs it gathers: weights[i] belongs to input first + i; they add up to 1.
struct Taps {
  int64_t first;
  std::vector<double> weights;
};

std::vector<Taps> triangle_taps(int64_t from, int64_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to), reach = std::max(scale, 1.0);
  std::vector<Taps> out;
  for (int64_t i = 0; i < to; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;  // pixel k covers [k, k + 1)
    const auto low = std::max<int64_t>(0, static_cast<int64_t>(std::floor(center - reach)));
    const auto high = std::min(from - 1, static_cast<int64_t>(std::ceil(center + reach)));
    Taps taps{low, {}};
    double sum = 0;
    for (int64_t k = low; k <= high; ++k) {
      const double weight = std::max(0.0, 1.0 - std::abs(static_cast<double>(k) + 0.5 - center) / reach);
      taps.weights.push_back(weight);
      sum += weight;
    }
    for (double& weight : taps.weights) weight /= sum;
    out.push_back(std::move(taps));
  }
  return out;
}

}  // namespace

Literal normalise(const Literal& image, std::span<const float> mean, std::span<const float> deviation) {
  const Size size = size_of_image(image, "normalise");
  const auto fits = [&](size_t count) { return count == 1 || static_cast<int64_t>(count) == size.channels; };
  if (!fits(mean.size()) || !fits(deviation.size())) {
    throw Error(Code::kInvalidArgument,
                cat("normalise: an image of ", size.channels, " channels needs 1 or ", size.channels,
                    " means and deviations; given ", mean.size(), " and ", deviation.size()));
  }
  Literal out = Literal::zeros(f32, image.shape());
  auto* to = static_cast<float*>(out.mutable_data());
  convert_elements(image.dtype(), image.data(), f32, to, image.elements());
  const float unit = image.dtype() == u8 ? 1.0f / 255.0f : 1.0f;
  const int64_t area = size.height * size.width;
  for (int64_t channel = 0; channel < size.channels; ++channel) {
    const float m = mean[mean.size() == 1 ? 0 : static_cast<size_t>(channel)];
    const float d = deviation[deviation.size() == 1 ? 0 : static_cast<size_t>(channel)];
    for (int64_t i = channel * area; i < (channel + 1) * area; ++i) to[i] = (to[i] * unit - m) / d;
  }
  return out;
}

Literal random_crop(const Literal& image, int64_t padding, RandomStream& random) {
  const Size size = size_of_image(image, "random_crop");
  if (padding < 0) throw Error(Code::kInvalidArgument, cat("random_crop: padding is ", padding, "; give 0 or more"));
  const auto places = static_cast<uint64_t>(2 * padding + 1);
  const int64_t top = static_cast<int64_t>(random.below(places)) - padding;
  const int64_t left = static_cast<int64_t>(random.below(places)) - padding;
  return window(image, top, left, size.height, size.width);
}

Literal random_flip(const Literal& image, RandomStream& random) {
  const Size size = size_of_image(image, "random_flip");
  if (random.below(2) == 0) return image;
  Literal out = Literal::zeros(image.dtype(), image.shape());
  const size_t element = size_of(image.dtype());
  const auto* from = static_cast<const std::byte*>(image.data());
  auto* to = static_cast<std::byte*>(out.mutable_data());
  for (int64_t row = 0; row < size.channels * size.height; ++row) {
    for (int64_t column = 0; column < size.width; ++column) {
      const int64_t mirrored = row * size.width + size.width - 1 - column;
      std::memcpy(to + static_cast<size_t>(row * size.width + column) * element,
                  from + static_cast<size_t>(mirrored) * element, element);
    }
  }
  return out;
}

Literal center_crop(const Literal& image, int64_t height, int64_t width) {
  const Size size = size_of_image(image, "center_crop");
  if (height < 1 || width < 1 || height > size.height || width > size.width) {
    throw Error(Code::kInvalidArgument, cat("center_crop: cannot take ", height, " x ", width, " out of ", size.height,
                                            " x ", size.width, "; resize first or take less"));
  }
  return window(image, (size.height - height) / 2, (size.width - width) / 2, height, width);
}

Literal resize_weights(int64_t from, int64_t to) {
  if (from < 1 || to < 1)
    throw Error(Code::kInvalidArgument, cat("resize: from ", from, " to ", to, "; both are 1 or more"));
  Literal out = Literal::zeros(f32, {to, from});
  auto* row = static_cast<float*>(out.mutable_data());
  for (const Taps& taps : triangle_taps(from, to)) {
    std::copy(taps.weights.begin(), taps.weights.end(), row + taps.first);
    row += from;
  }
  return out;
}

Literal resize(const Literal& image, int64_t height, int64_t width) {
  const Size size = size_of_image(image, "resize");
  if (image.dtype() != u8 && image.dtype() != f32) {
    throw Error(Code::kInvalidArgument, cat("resize: the image is ", image.dtype(), "; u8 and f32 are resized"));
  }
  if (height < 1 || width < 1 || size.height < 1 || size.width < 1) {
    throw Error(Code::kInvalidArgument, cat("resize: from ", size.height, " x ", size.width, " to ", height, " x ",
                                            width, "; every size must be 1 or more"));
  }
  if (size.height == height && size.width == width) return image;
  std::vector<float> pixels(static_cast<size_t>(image.elements()));
  convert_elements(image.dtype(), image.data(), f32, pixels.data(), image.elements());
  const std::vector<Taps> across = triangle_taps(size.width, width), down = triangle_taps(size.height, height);

  std::vector<double> narrow(static_cast<size_t>(size.channels * size.height * width));  // rows done
  for (int64_t row = 0; row < size.channels * size.height; ++row) {
    for (int64_t x = 0; x < width; ++x) {
      const Taps& taps = across[static_cast<size_t>(x)];
      double sum = 0;
      for (size_t k = 0; k < taps.weights.size(); ++k) {
        sum += taps.weights[k] * static_cast<double>(pixels[static_cast<size_t>(row * size.width + taps.first) + k]);
      }
      narrow[static_cast<size_t>(row * width + x)] = sum;
    }
  }
  Literal out = Literal::zeros(image.dtype(), {size.channels, height, width});
  void* target = out.mutable_data();
  for (int64_t channel = 0; channel < size.channels; ++channel) {
    for (int64_t y = 0; y < height; ++y) {
      const Taps& taps = down[static_cast<size_t>(y)];
      for (int64_t x = 0; x < width; ++x) {
        double sum = 0;
        for (size_t k = 0; k < taps.weights.size(); ++k) {
          const int64_t row = channel * size.height + taps.first + static_cast<int64_t>(k);
          sum += taps.weights[k] * narrow[static_cast<size_t>(row * width + x)];
        }
        const auto at = static_cast<size_t>((channel * height + y) * width + x);
        if (image.dtype() == u8) static_cast<uint8_t*>(target)[at] = static_cast<uint8_t>(std::lround(sum));
        else static_cast<float*>(target)[at] = static_cast<float>(sum);
      }
    }
  }
  return out;
}

}  // namespace trireme::data
