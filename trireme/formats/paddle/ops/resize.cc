// Images resized (nearest, bilinear and bicubic, as both versions of the operators have it) or read at computed places.
#include "trireme/base/strings.h"
#include "trireme/formats/paddle/call.h"

namespace trireme::formats::paddle {

namespace {

constexpr int64_t kMostPixels = 1 << 20;  // along one axis

enum class Mode : uint8_t { kNearest, kLinear, kCubic };

struct Axis {
  int64_t from = 0, to = 0;
  double scale = 0.0;  // given, else 0
};

// The distance in the image between neighbours in the result.
double step_of(const Axis& axis, bool align_corners) {
  if (align_corners) {
    return axis.to > 1 ? static_cast<double>(axis.from - 1) / static_cast<double>(axis.to - 1) : 0.0;
  }
  return axis.scale > 0.0 ? 1.0 / axis.scale : static_cast<double>(axis.from) / static_cast<double>(axis.to);
}

double cubic_weight(double x) {  // a = -0.75
  constexpr double a = -0.75;
  x = std::abs(x);
  if (x <= 1.0) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2.0 ? ((x - 5) * x + 8) * x * a - 4 * a : 0.0;
}

// A sum of elements picked along one axis: in each tap one index and one weight per element of the result.
Value resampled(const Value& x, int axis, const std::vector<Ints>& index,
                const std::vector<std::vector<double>>& weight) {
  Value y;
  for (size_t t = 0; t < index.size(); ++t) {
    Value part = ops::gather(x, int64s(index[t]), axis);
    if (!weight.empty()) {
      const Value w = ops::along_axis(ops::float_vector(x.dtype(), weight[t]), axis, x.shape().rank());
      part = part * broadcast(w, part.shape());
    }
    y = y ? y + part : part;
  }
  return y;
}

Value resized(const Value& x, int at, const Axis& axis, Mode mode, bool align_corners, bool half_pixel) {
  const double step = step_of(axis, align_corners);
  const int64_t last = axis.from - 1;
  const int taps = mode == Mode::kNearest ? 1 : mode == Mode::kLinear ? 2 : 4;
  std::vector<Ints> index(static_cast<size_t>(taps));
  std::vector<std::vector<double>> weight(mode == Mode::kNearest ? 0 : static_cast<size_t>(taps));
  for (int64_t o = 0; o < axis.to; ++o) {
    const auto place = static_cast<double>(o);
    if (mode == Mode::kNearest) {
      index[0].push_back(
          std::clamp<int64_t>(static_cast<int64_t>(step * place + (align_corners ? 0.5 : 0.0)), 0, last));
      continue;
    }
    double source = half_pixel ? step * (place + 0.5) - 0.5 : step * place;
    if (mode == Mode::kLinear) source = std::max(source, 0.0);
    const double base = std::floor(source);
    for (int t = 0; t < taps; ++t) {
      const double tap = base + t - (taps == 4 ? 1 : 0);
      const double distance = std::abs(source - tap);
      index[static_cast<size_t>(t)].push_back(std::clamp<int64_t>(static_cast<int64_t>(tap), 0, last));
      weight[static_cast<size_t>(t)].push_back(mode == Mode::kLinear ? 1.0 - distance : cubic_weight(distance));
    }
  }
  return resampled(x, at, index, weight);
}

// What is given wins in this order: OutSize or SizeTensor, scales, out_h and out_w.
std::vector<Axis> axes_of(Call& c, const Shape& image) {
  const auto count = static_cast<size_t>(image.rank() - 2);
  static constexpr std::string_view kSizes[] = {"out_d", "out_h", "out_w"};
  std::vector<Axis> out(count);
  std::vector<double> scales = c.has("Scale") ? c.known_numbers("Scale") : c.numbers("scale");
  if (scales.size() == 1) scales.resize(count, scales[0]);
  Ints sizes;
  if (c.has("SizeTensor") || c.has("OutSize")) sizes = c.sizes(c.has("SizeTensor") ? "" : "OutSize", "SizeTensor", "");
  c.require(sizes.empty() || sizes.size() == count, cat("sizes ", sizes, " for ", count, " axes"));
  for (size_t a = 0; a < count; ++a) {
    Axis& axis = out[a];
    axis.from = image[static_cast<int>(a) + 2];
    const double scale = scales.size() == count ? scales[a] : 0.0;
    if (!sizes.empty()) {
      axis.to = sizes[a];
    } else if (scale > 0.0) {
      const double size = std::floor(static_cast<double>(axis.from) * scale);
      c.require(size <= kMostPixels, cat("scale ", scale));
      axis.to = static_cast<int64_t>(size);
      axis.scale = scale;
    } else {
      axis.to = c.integer(kSizes[3 - count + a], -1);
    }
    c.require(axis.from >= 1 && axis.to >= 1 && axis.to <= kMostPixels,
              cat(image, " to size ", axis.to, " along axis ", a + 2));
  }
  return out;
}

void interpolate(Call& c, Mode mode, bool newer) {
  const Channels channels(c, "data_layout");
  const Value image = c.x("X");
  const Value x = channels.first(image);
  c.require(x.shape().rank() >= 3 && x.shape().rank() <= 5, cat("X is ", x.shape()));
  std::vector<Axis> axes = axes_of(c, x.shape());
  const bool align = c.flag("align_corners", !newer);
  const bool half = !align && (mode == Mode::kCubic || (mode == Mode::kLinear && c.integer("align_mode", 1) == 0));
  bool exact = axes.size() == 2;  // the composite divides sizes, as the operators do without scales
  for (Axis& axis : axes) {
    if (!newer) axis.scale = 0.0;
    exact = exact && (axis.scale == 0.0 || axis.scale * static_cast<double>(axis.from) == static_cast<double>(axis.to));
  }
  exact = exact && is_float(x.dtype()) && (mode == Mode::kNearest ? !align : align || half);
  if (exact) {
    const std::string_view name = mode == Mode::kNearest ? "nearest" : mode == Mode::kLinear ? "bilinear" : "bicubic";
    c.result(channels.back(ops::interpolate(x, {axes[0].to, axes[1].to}, name, align)));
    return;
  }
  Value y = mode == Mode::kNearest ? x : is_float(x.dtype()) ? ops::widen(x) : ops::convert(x, f32);
  for (size_t a = 0; a < axes.size(); ++a) {
    if (axes[a].from == axes[a].to && (axes[a].scale == 0.0 || axes[a].scale == 1.0)) continue;
    y = resized(y, static_cast<int>(a) + 2, axes[a], mode, align, half);
  }
  c.result(ops::as_type(channels.back(y), image.dtype()));
}

template <Mode mode, bool newer>
void interpolate(Call& c) {
  interpolate(c, mode, newer);
}

// Read at computed places.
void grid_sampler(Call& c) {
  const std::string mode = c.string("mode", "bilinear"), padding = c.string("padding_mode", "zeros");
  if (mode != "bilinear" || (padding != "zeros" && padding != "border")) {
    c.unsupported(cat("mode '", mode, "' with padding_mode '", padding, "'; supported: bilinear with zeros or border"));
  }
  c.result("Output", ops::grid_sample(c.x("X"), c.x("Grid"), padding == "border", c.flag("align_corners", true)));
}

}  // namespace

std::span<const Mapping> resize_mappings() {
  static constexpr Mapping table[] = {
      {"bicubic_interp", interpolate<Mode::kCubic, false>},
      {"bicubic_interp_v2", interpolate<Mode::kCubic, true>},
      {"bilinear_interp", interpolate<Mode::kLinear, false>},
      {"bilinear_interp_v2", interpolate<Mode::kLinear, true>},
      {"grid_sampler", grid_sampler},
      {"linear_interp_v2", interpolate<Mode::kLinear, true>},
      {"nearest_interp", interpolate<Mode::kNearest, false>},
      {"nearest_interp_v2", interpolate<Mode::kNearest, true>},
      {"trilinear_interp_v2", interpolate<Mode::kLinear, true>},
  };
  return table;
}

}  // namespace trireme::formats::paddle
