// Images: resizing, sampling at computed places, boxes.
#include <algorithm>
#include <cmath>

#include "trireme/base/strings.h"
#include "trireme/formats/onnx/call.h"
#include "trireme/vision/boxes.h"

namespace trireme::formats::onnx {

namespace {

// --- Resize ---

struct ResizeRule {
  std::string mode, transform, nearest, policy;
  bool antialias = false, exclude_outside = false;
  double cubic = -0.75, beyond = 0.0;
};

// What an element of the result reads along one axis: as many (index, weight) pairs for each.
struct Taps {
  std::vector<Ints> index;                  // [tap][element]
  std::vector<std::vector<double>> weight;  // the same
  std::vector<bool> outside;                // elements that take the extrapolation value
};

double cubic_weight(double x, double a) {
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((x - 5) * x + 8) * x * a - 4 * a : 0.0;
}

double source_of(const ResizeRule& r, double x, double scale, int64_t in, int64_t out, double roi_begin,
                 double roi_end) {
  const double size = scale * static_cast<double>(in), last = static_cast<double>(in - 1);
  if (r.transform == "align_corners") return size == 1.0 ? 0.0 : x * last / (size - 1);
  if (r.transform == "asymmetric") return x / scale;
  if (r.transform == "tf_crop_and_resize") {
    const double inside =
        size == 1.0 ? (roi_end - roi_begin) * last / 2 : x * (roi_end - roi_begin) * last / (size - 1);
    return inside + roi_begin * last;
  }
  if (r.transform == "pytorch_half_pixel" && size == 1.0) return -0.5;
  double shift = 0.0;
  if (r.transform == "half_pixel_symmetric") {
    shift = static_cast<double>(in) / 2 * (1 - static_cast<double>(out) / size);
  }
  return shift + (x + 0.5) / scale - 0.5;
}

Taps taps_of(const ResizeRule& r, double scale, int64_t in, int64_t out, double roi_begin, double roi_end) {
  Taps taps;
  const double shrink = r.antialias ? std::min(scale, 1.0) : 1.0;
  const int64_t last = in - 1;
  const auto add = [&](size_t tap, int64_t index, double weight) {
    if (taps.index.size() <= tap) {
      taps.index.emplace_back();
      taps.weight.emplace_back();
    }
    taps.index[tap].push_back(std::clamp<int64_t>(index, 0, last));
    taps.weight[tap].push_back(weight);
  };
  for (int64_t i = 0; i < out; ++i) {
    const double x = source_of(r, static_cast<double>(i), scale, in, out, roi_begin, roi_end);
    taps.outside.push_back(r.transform == "tf_crop_and_resize" && (x < 0 || x > static_cast<double>(last)));
    const double floor = std::floor(x);
    const auto base = static_cast<int64_t>(floor);
    if (r.mode == "nearest") {
      const double part = x - floor;
      bool up = false;
      if (r.nearest == "round_prefer_floor") up = part > 0.5;
      else if (r.nearest == "round_prefer_ceil") up = part >= 0.5;
      else if (r.nearest == "ceil") up = part > 0.0;
      add(0, base + (up ? 1 : 0), 1.0);
      continue;
    }
    // A kernel around x: a triangle or a cubic, made wider by what the image shrinks.
    const double reach = (r.mode == "linear" ? 1.0 : 2.0) / shrink;
    const auto first = static_cast<int64_t>(std::floor(x - reach)) + 1;
    const auto count = static_cast<int64_t>(std::ceil(2 * reach));
    std::vector<double> weights;
    double sum = 0.0;
    for (int64_t k = 0; k < count; ++k) {
      const double distance = (static_cast<double>(first + k) - x) * shrink;
      double w = r.mode == "linear" ? std::max(0.0, 1 - std::abs(distance)) : cubic_weight(distance, r.cubic);
      if (r.exclude_outside && (first + k < 0 || first + k > last)) w = 0.0;
      weights.push_back(w);
      sum += w;
    }
    for (int64_t k = 0; k < count; ++k) {
      const double w = weights[static_cast<size_t>(k)];
      add(static_cast<size_t>(k), first + k, r.antialias || r.exclude_outside ? w / sum : w);
    }
  }
  return taps;
}

Value resampled(const Value& x, int axis, const Taps& taps) {
  Value y;
  for (size_t t = 0; t < taps.index.size(); ++t) {
    const bool unused = std::all_of(taps.weight[t].begin(), taps.weight[t].end(), [](double w) { return w == 0.0; });
    if (unused && taps.index.size() > 1) continue;
    const Value picked = ops::gather(x, int64s(taps.index[t]), axis);
    const bool whole = std::all_of(taps.weight[t].begin(), taps.weight[t].end(), [](double w) { return w == 1.0; });
    const Value part =
        whole
            ? picked
            : picked * broadcast(ops::along_axis(ops::float_vector(x.dtype(), taps.weight[t]), axis, x.shape().rank()),
                                 picked.shape());
    y = y ? y + part : part;
  }
  return y;
}

void resize_to(Call& c, const ResizeRule& r, const std::vector<double>& scales, const Ints& sizes,
               const std::vector<double>& roi) {
  const bool integers = !is_float(c.dtype(0));
  const Elem elem = c.elem(0);
  Value x = r.mode == "nearest" ? c.x(0) : integers ? ops::convert(c.x(0), f32) : ops::widen(c.x(0));
  const int rank = x.shape().rank();
  Value outside;
  const Shape from = x.shape();
  for (int a = 0; a < rank; ++a) {
    const auto i = static_cast<size_t>(a);
    const bool crops = r.transform == "tf_crop_and_resize";
    if (sizes[i] == from[a] && scales[i] == 1.0 && !crops) continue;
    c.require(sizes[i] >= 0 && from[a] >= 1, cat("axis ", a, " of ", from, " to ", sizes[i]));
    if (sizes[i] > (int64_t{1} << 24)) c.unsupported(cat("a size of ", sizes[i]));
    const double begin = crops ? roi[i] : 0.0, end = crops ? roi[i + static_cast<size_t>(rank)] : 1.0;
    if (sizes[i] == 0) {
      x = ops::slice_axis(x, a, 0, 0);
      continue;
    }
    const Taps taps = taps_of(r, scales[i], from[a], sizes[i], begin, end);
    x = resampled(x, a, taps);
    if (std::find(taps.outside.begin(), taps.outside.end(), true) != taps.outside.end()) {
      std::vector<double> flags(taps.outside.begin(), taps.outside.end());
      const Value mask = ops::constant(Literal::from_doubles(boolean, Shape{sizes[i]}, flags));
      const Value wide = broadcast(ops::along_axis(mask, a, rank), Shape(sizes));
      outside = outside ? ops::or_(outside, wide) : wide;
    }
  }
  if (outside) x = ops::select(outside, r.beyond, x);
  if (integers && r.mode != "nearest") {
    x = ops::min(ops::max(ops::round_even(x), lowest(c.dtype(0))), highest(c.dtype(0)));
  }
  c.result(0, Item(elem, ops::as_type(x, c.dtype(0))));
}

void resize(Call& c) {
  const Shape& from = c.shape(0);
  const auto rank = static_cast<size_t>(from.rank());
  ResizeRule r;
  r.mode = c.string("mode", "nearest");
  const bool old = c.opset() < 11;  // X, scales
  r.transform = c.string("coordinate_transformation_mode", old ? "asymmetric" : "half_pixel");
  r.nearest = c.string("nearest_mode", old ? "floor" : "round_prefer_floor");
  r.policy = c.string("keep_aspect_ratio_policy", "stretch");
  r.antialias = c.integer("antialias", 0) != 0;
  r.exclude_outside = c.integer("exclude_outside", 0) != 0;
  r.cubic = c.number("cubic_coeff_a", -0.75);
  r.beyond = c.number("extrapolation_value", 0.0);
  if (r.mode == "bilinear" || r.mode == "trilinear") r.mode = "linear";
  if (r.mode != "nearest" && r.mode != "linear" && r.mode != "cubic") c.unsupported(cat("mode '", r.mode, "'"));
  if (r.transform == "tf_half_pixel_for_nn") r.transform = "half_pixel";
  const Ints axes = c.given("axes") ? c.axes(c.integers("axes"), from.rank()) : ops::iota_axes(from.rank());
  const int at = old ? 1 : 2;
  std::vector<double> given_scales;
  Ints given_sizes;
  if (c.has(at) && c.shape(at).elements() > 0) given_scales = c.known_numbers(at);
  else if (c.has(3)) given_sizes = c.known_ints(3);
  else c.invalid("neither scales nor sizes are given");
  c.require((given_sizes.empty() ? given_scales.size() : given_sizes.size()) == axes.size(), "one entry per axis");
  std::vector<double> scales(rank, 1.0), roi(2 * rank, 0.0);
  std::fill(roi.begin() + static_cast<std::ptrdiff_t>(rank), roi.end(), 1.0);
  Ints sizes = from.vector();
  if (r.transform == "tf_crop_and_resize") {
    const std::vector<double> given = c.known_numbers(1);
    c.require(given.size() == 2 * axes.size(), "roi has two entries per axis");
    for (size_t k = 0; k < axes.size(); ++k) {
      roi[static_cast<size_t>(axes[k])] = given[k];
      roi[static_cast<size_t>(axes[k]) + rank] = given[k + axes.size()];
    }
  }
  if (given_sizes.empty()) {
    for (size_t k = 0; k < axes.size(); ++k) {
      const auto a = static_cast<size_t>(axes[k]);
      c.require(given_scales[k] > 0.0, cat("scale ", given_scales[k]));
      scales[a] = given_scales[k];
      const double crop = r.transform == "tf_crop_and_resize" ? roi[a + rank] - roi[a] : 1.0;
      const double size = std::floor(static_cast<double>(from[static_cast<int>(a)]) * crop * scales[a]);
      c.require(size >= 0 && size < 1e12, cat("scale ", given_scales[k]));
      sizes[a] = static_cast<int64_t>(size);
    }
  } else {
    double factor = 0.0;
    for (size_t k = 0; k < axes.size(); ++k) {
      const auto a = static_cast<size_t>(axes[k]);
      const double scale = static_cast<double>(given_sizes[k]) / static_cast<double>(from[static_cast<int>(a)]);
      sizes[a] = given_sizes[k];
      scales[a] = scale;
      const bool smaller = r.policy == "not_larger";
      factor = k == 0 ? scale : smaller ? std::min(factor, scale) : std::max(factor, scale);
    }
    if (r.policy != "stretch") {  // one factor for all axes
      for (int64_t axis : axes) {
        const auto a = static_cast<size_t>(axis);
        scales[a] = factor;
        sizes[a] = static_cast<int64_t>(std::floor(factor * static_cast<double>(from[static_cast<int>(a)]) + 0.5));
      }
    }
  }
  resize_to(c, r, scales, sizes, roi);
}

void upsample(Call& c) {
  ResizeRule r;
  r.mode = c.string("mode", "nearest");
  if (r.mode == "bilinear") r.mode = "linear";
  r.transform = "asymmetric";
  r.nearest = "floor";
  const Shape& from = c.shape(0);
  std::vector<double> scales;
  if (c.opset() >= 9) scales = c.known_numbers(1);
  else if (c.given("scales")) scales = c.numbers("scales");
  else scales = {1.0, 1.0, c.number("height_scale"), c.number("width_scale")};
  c.require(static_cast<int>(scales.size()) == from.rank(), "one scale per axis");
  Ints sizes;
  for (size_t a = 0; a < scales.size(); ++a) {
    const double size = std::floor(static_cast<double>(from[static_cast<int>(a)]) * scales[a]);
    c.require(scales[a] > 0 && size < 1e12, cat("scale ", scales[a]));
    sizes.push_back(static_cast<int64_t>(size));
  }
  resize_to(c, r, scales, sizes, {});
}

// --- sampling at computed places ---

// x mirrored at `low` and `high` until it lies between.
Value reflected(const Value& x, double low, double high) {
  const double range = high - low;
  if (range <= 0.0) return ops::filled_like(x, low);
  const Value t = ops::remainder(x - low, ops::filled_like(x, 2 * range));
  return ops::min(t, 2 * range - t) + low;
}

void grid_sample(Call& c) {
  const Value x = ops::widen(c.x(0)), grid = ops::as_type(c.x(1), x.dtype());
  const Shape &shape = x.shape(), &places = grid.shape();
  const int axes = shape.rank() - 2;
  c.require(axes >= 1 && places.rank() == shape.rank() && places[places.rank() - 1] == axes && places[0] == shape[0],
            cat("X is ", shape, ", grid is ", places));
  std::string mode = c.string("mode", c.opset() < 20 ? "bilinear" : "linear");
  if (mode == "bilinear") mode = "linear";
  if (mode == "bicubic") mode = "cubic";
  const std::string padding = c.string("padding_mode", "zeros");
  const bool align = c.integer("align_corners", 0) != 0;
  Ints points(places.begin(), places.end() - 1);
  struct Tap {
    Value index, weight, inside;  // weight and inside may be absent
  };
  std::vector<std::vector<Tap>> per_axis;
  for (int a = 0; a < axes; ++a) {
    const int64_t size = shape[a + 2];
    c.require(size >= 1, "an axis is empty");
    const double length = static_cast<double>(size);
    const Value g = ops::reshape(ops::slice_axis(grid, places.rank() - 1, axes - 1 - a, axes - a), points);
    Value at = align ? (g + 1.0) * ((length - 1) / 2) : ((g + 1.0) * length - 1.0) * 0.5;
    const double low = align ? 0.0 : -0.5, high = align ? length - 1 : length - 0.5;
    if (mode == "nearest") at = ops::round_even(at);
    if (padding == "border") at = ops::min(ops::max(at, 0.0), length - 1);
    if (padding == "reflection") at = reflected(at, low, high);
    std::vector<Tap> taps;
    const auto tap = [&](const Value& place, const Value& weight) {
      Tap t;
      t.weight = weight;
      Value index = place;
      if (padding == "reflection") index = ops::round_even(reflected(place, low, high));
      if (padding == "zeros")
        t.inside = ops::and_(ops::compare(place, 0.0, "ge"), ops::compare(place, length - 1, "le"));
      t.index = ops::convert(ops::min(ops::max(index, 0.0), length - 1), i64);
      taps.push_back(t);
    };
    if (mode == "nearest") {
      tap(ops::round_even(at), {});
    } else if (mode == "linear") {
      const Value floor = ops::floor(at), part = at - floor;
      tap(floor, 1.0 - part);
      tap(floor + 1.0, part);
    } else if (mode == "cubic") {
      constexpr double a0 = -0.75;
      const Value floor = ops::floor(at), part = at - floor;
      const auto far = [&](const Value& d) { return ((a0 * d - 5 * a0) * d + 8 * a0) * d - 4 * a0; };
      const auto near = [&](const Value& d) { return ((a0 + 2) * d - (a0 + 3)) * d * d + 1.0; };
      tap(floor - 1.0, far(part + 1.0));
      tap(floor, near(part));
      tap(floor + 1.0, near(1.0 - part));
      tap(floor + 2.0, far(2.0 - part));
    } else {
      c.unsupported(cat("mode '", mode, "'"));
    }
    per_axis.push_back(std::move(taps));
  }
  const int64_t n = shape[0], channels = shape[1];
  const int64_t inner = n == 0 || channels == 0 ? 0 : shape.elements() / (n * channels);
  Ints last = {0};
  for (int a = 2; a < shape.rank(); ++a) last.push_back(a);
  last.push_back(1);
  const Value pixels = ops::reshape(ops::transpose(x, last), {n * inner, channels});
  const Value image = ops::iota(points, i64, 0) * static_cast<double>(inner);
  Value sum;
  std::vector<size_t> choice(static_cast<size_t>(axes), 0);
  for (bool more = true; more;) {
    Value index, weight, inside;
    for (int a = 0; a < axes; ++a) {
      const Tap& t = per_axis[static_cast<size_t>(a)][choice[static_cast<size_t>(a)]];
      index = index ? index * static_cast<double>(shape[a + 2]) + t.index : t.index;
      if (t.weight) weight = weight ? weight * t.weight : t.weight;
      if (t.inside) inside = inside ? ops::and_(inside, t.inside) : t.inside;
    }
    if (inside) weight = ops::select(inside, weight ? weight : ops::filled(x.dtype(), Shape(points), 1.0), 0.0);
    Value part = ops::gather(pixels, image + index, 0);
    if (weight) {
      Ints spread = points;
      spread.push_back(1);
      part = part * broadcast(ops::reshape(weight, spread), part.shape());
    }
    sum = sum ? sum + part : part;
    more = false;
    for (size_t a = choice.size(); a-- > 0;) {
      if (++choice[a] < per_axis[a].size()) {
        more = true;
        break;
      }
      choice[a] = 0;
    }
  }
  Ints back = {0, axes + 1};
  for (int a = 1; a <= axes; ++a) back.push_back(a);
  c.result(ops::as_type(ops::transpose(sum, back), c.dtype(0)));
}

void affine_grid(Call& c) {
  const Value theta = ops::widen(c.x(0));
  const Ints size = c.known_ints(1);
  const bool align = c.integer("align_corners", 0) != 0;
  const auto axes = static_cast<int64_t>(size.size()) - 2;
  c.require((axes == 2 || axes == 3) && theta.shape() == Shape({size[0], axes, axes + 1}),
            cat("theta is ", theta.shape()));
  Ints grid(size.begin() + 2, size.end());
  const int64_t count = Shape(grid).elements();
  std::vector<Value> rows;  // x (the last axis) first, then 1
  for (int64_t a = axes - 1; a >= 0; --a) {
    const double length = static_cast<double>(grid[static_cast<size_t>(a)]);
    const Value step = ops::iota(grid, theta.dtype(), a);
    const Value place = align ? (length > 1 ? step * (2.0 / (length - 1)) - 1.0 : step - 1.0)
                              : step * (2.0 / length) + (1.0 / length - 1.0);
    rows.push_back(ops::reshape(place, {count, 1}));
  }
  rows.push_back(ops::filled(theta.dtype(), {count, 1}, 1.0));
  const Value places =
      ops::broadcast_to(ops::reshape(ops::concat(rows, 1), {1, count, axes + 1}), {size[0], count, axes + 1});
  Ints out = {size[0]};
  out.insert(out.end(), grid.begin(), grid.end());
  out.push_back(axes);
  c.result(ops::as_type(ops::reshape(ops::dot_general(places, ops::transpose(theta, {0, 2, 1})), out), c.dtype(0)));
}

void roi_align(Call& c) {
  const Value x = ops::widen(c.x(0)), rois = ops::as_type(c.x(1), x.dtype());
  const Shape& shape = x.shape();
  c.require(shape.rank() == 4 && rois.shape().rank() == 2 && rois.shape()[1] == 4, "X is [N, C, H, W], rois [R, 4]");
  const int64_t count = rois.shape()[0], height = c.integer("output_height", 1), width = c.integer("output_width", 1);
  const int64_t ratio = c.integer("sampling_ratio", 0);
  const double scale = c.number("spatial_scale", 1.0);
  const bool half =
      c.string("coordinate_transformation_mode", c.opset() < 16 ? "output_half_pixel" : "half_pixel") == "half_pixel";
  const bool largest = c.string("mode", "avg") == "max";
  c.require(height >= 1 && width >= 1 && shape[2] >= 1 && shape[3] >= 1, "sizes are 1 or more");
  struct Axis {
    Value place;  // [R, bins, samples]
    Value used;   // samples that count
    int64_t bins, samples;
  };
  const auto axis_of = [&](int from, int64_t bins) {
    const auto column = [&](int k) { return ops::reshape(ops::slice_axis(rois, 1, k, k + 1), {count, 1, 1}) * scale; };
    const Value start = column(from) - (half ? 0.5 : 0.0);
    Value length = column(from + 2) - (half ? 0.5 : 0.0) - start;
    if (!half) length = ops::max(length, 1.0);
    const Value bin = length * (1.0 / static_cast<double>(bins));
    Axis out;
    out.bins = bins;
    Value samples = ops::filled_like(bin, static_cast<double>(ratio));
    out.samples = ratio;
    if (ratio <= 0) {  // as many as the bin is long: their number depends on the boxes
      samples = ops::max(ops::ceil(bin), 1.0);
      double most = 1.0;
      for (double v : c.known(samples).to_doubles()) most = std::max(most, v);
      c.require(most < 1e6, "a box is too large");
      out.samples = static_cast<int64_t>(most);
    }
    const Ints places = {count, bins, out.samples};
    const Value each = broadcast(samples, Shape(places));
    const Value sample = ops::iota(places, x.dtype(), 2);
    out.place = broadcast(start, Shape(places)) +
                broadcast(bin, Shape(places)) * (ops::iota(places, x.dtype(), 1) + (sample + 0.5) / each);
    out.used = ops::convert(ops::compare(sample, each, "lt"), x.dtype()) / each;
    return out;
  };
  const Axis down = axis_of(1, height), across = axis_of(0, width);
  // All pairs of places: [R, bins down, samples down, bins across, samples across].
  const Ints all = {count, down.bins, down.samples, across.bins, across.samples};
  const auto spread_down = [&](const Value& v) {
    return ops::broadcast_to(ops::reshape(v, {count, down.bins, down.samples, 1, 1}), all);
  };
  const auto spread_across = [&](const Value& v) {
    return ops::broadcast_to(ops::reshape(v, {count, 1, 1, across.bins, across.samples}), all);
  };
  const auto ends = [&](const Value& place, int64_t size) {
    const double last = static_cast<double>(size - 1);
    const Value inside =
        ops::and_(ops::compare(place, -1.0, "ge"), ops::compare(place, static_cast<double>(size), "le"));
    const Value at = ops::min(ops::max(place, 0.0), last), low = ops::floor(at);
    return std::array<Value, 4>{low, ops::min(low + 1.0, last), at - low, ops::convert(inside, x.dtype())};
  };
  const auto [top, bottom, dy, in_y] = ends(down.place, shape[2]);
  const auto [left, right, dx, in_x] = ends(across.place, shape[3]);
  const int64_t inner = shape[2] * shape[3];
  const Value pixels = ops::reshape(ops::transpose(x, {0, 2, 3, 1}), {shape[0] * inner, shape[1]});
  const Value base =
      ops::broadcast_to(ops::reshape(ops::as_type(c.x(2), i64), {count, 1, 1, 1, 1}), all) * static_cast<double>(inner);
  Value folded;
  for (int corner = 0; corner < 4; ++corner) {
    const Value row = spread_down(ops::convert(corner / 2 == 0 ? top : bottom, i64));
    const Value column = spread_across(ops::convert(corner % 2 == 0 ? left : right, i64));
    const Value weight =
        spread_down((corner / 2 == 0 ? 1.0 - dy : dy) * in_y) * spread_across((corner % 2 == 0 ? 1.0 - dx : dx) * in_x);
    const Value part = ops::gather(pixels, base + row * static_cast<double>(shape[3]) + column, 0);
    Ints wide = all;
    wide.push_back(1);
    const Value scaled = part * broadcast(ops::reshape(weight, wide), part.shape());
    folded = !folded ? scaled : largest ? ops::max(folded, scaled) : folded + scaled;
  }
  Ints wide = all;
  wide.push_back(1);
  Value y;
  if (largest) {
    const Value used = ops::reshape(ops::compare(spread_down(down.used) * spread_across(across.used), 0.0, "gt"), wide);
    y = ops::reduce_max(ops::select(broadcast(used, folded.shape()), folded, ops::lowest_like(folded)), {2, 4});
  } else {
    const Value share = ops::reshape(spread_down(down.used) * spread_across(across.used), wide);
    y = ops::reduce_sum(folded * broadcast(share, folded.shape()), {2, 4});
  }
  c.result(ops::as_type(ops::transpose(y, {0, 3, 1, 2}), c.dtype(0)));
}

// Which boxes stay depends on the values alone, so they are chosen when the model is imported.
void non_max_suppression(Call& c) {
  const Shape &b = c.shape(0), &s = c.shape(1);
  c.require(b.rank() == 3 && b[2] == 4 && s.rank() == 3 && s[0] == b[0] && s[2] == b[1],
            cat("boxes ", b, ", scores ", s));
  const std::vector<double> boxes = c.known_numbers(0), scores = c.known_numbers(1);
  const int64_t most = c.has(2) ? c.known_int(2) : 0;
  const double overlap = c.has(3) ? c.known_numbers(3).at(0) : 0.0;
  const double least = c.has(4) ? c.known_numbers(4).at(0) : -std::numeric_limits<double>::infinity();
  const bool centred = c.integer("center_point_box", 0) != 0;
  const auto box = [&](int64_t batch, int64_t k) {
    const double* v = boxes.data() + (batch * b[1] + k) * 4;
    if (centred) return vision::Box{v[0] - v[2] / 2, v[1] - v[3] / 2, v[0] + v[2] / 2, v[1] + v[3] / 2};
    // Any two opposite corners, y before x.
    return vision::Box{std::min(v[1], v[3]), std::min(v[0], v[2]), std::max(v[1], v[3]), std::max(v[0], v[2])};
  };
  Ints chosen;
  for (int64_t batch = 0; batch < b[0]; ++batch) {
    std::vector<vision::Box> all;
    for (int64_t k = 0; k < s[2]; ++k) all.push_back(box(batch, k));
    for (int64_t kind = 0; kind < s[1]; ++kind) {
      const std::span<const double> of_kind(scores.data() + (batch * s[1] + kind) * s[2], static_cast<size_t>(s[2]));
      for (const int64_t k : vision::suppress(all, of_kind, {overlap, least, most})) {
        chosen.insert(chosen.end(), {batch, kind, k});
      }
    }
  }
  const auto count = static_cast<int64_t>(chosen.size() / 3);
  c.result(ops::constant(Literal::from(std::span<const int64_t>(chosen), Shape{count, 3})));
}

}  // namespace

std::span<const Mapping> vision_mappings() {
  static constexpr Mapping table[] = {
      {"AffineGrid", affine_grid, 20}, {"GridSample", grid_sample, 16}, {"NonMaxSuppression", non_max_suppression, 10},
      {"Resize", resize, 10},          {"RoiAlign", roi_align, 10},     {"Upsample", upsample, 1, 9},
  };
  return table;
}

}  // namespace trireme::formats::onnx
