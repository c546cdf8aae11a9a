// Pools: a window's largest element, mean or norm.
#include "trireme/base/strings.h"
#include "trireme/formats/onnx/call.h"
#include "trireme/formats/onnx/ops/windows.h"

namespace trireme::formats::onnx {

Window window_of(Call& c, const Shape& image, Ints kernel) {
  c.require(image.rank() >= 3, cat("the image ", image, " has no spatial axes"));
  const auto axes = static_cast<size_t>(image.rank() - 2);
  Window out;
  out.kernel = c.integers("kernel_shape", kernel);
  out.strides = c.integers("strides", Ints(axes, 1));
  out.dilations = c.integers("dilations", Ints(axes, 1));
  const Ints pads = c.integers("pads", Ints(2 * axes, 0));
  const std::string automatic = c.string("auto_pad", "NOTSET");
  const bool up = c.integer("ceil_mode", 0) != 0;
  c.require(out.kernel.size() == axes && out.strides.size() == axes && out.dilations.size() == axes &&
                pads.size() == 2 * axes,
            "kernel_shape, strides and dilations have one entry per spatial axis, pads two");
  for (size_t a = 0; a < axes; ++a) {
    const int64_t size = image[static_cast<int>(a) + 2], stride = out.strides[a];
    c.require(out.kernel[a] >= 1 && stride >= 1 && out.dilations[a] >= 1,
              "kernel, strides and dilations are 1 or more");
    const int64_t reach = bounded(Wide{out.kernel[a] - 1} * out.dilations[a] + 1);
    int64_t low = pads[a], high = pads[a + axes];
    if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
      const int64_t count = (size + stride - 1) / stride;
      const int64_t total = std::max<int64_t>(0, bounded(Wide{count - 1} * stride + reach - size));
      low = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
      high = total - low;
    } else if (automatic == "VALID") {
      low = high = 0;
    }
    out.low_given.push_back(low);
    out.high_given.push_back(high);
    const int64_t room = bounded(Wide{size} + low + high - reach);
    c.require(room >= 0, cat("a kernel that reaches over ", reach, " does not fit into ", size, " padded by ", low,
                             " and ", high));
    int64_t count = room / stride + 1;
    if (up && room % stride != 0) {
      ++count;
      if ((count - 1) * stride >= size + low) --count;  // a window may not start in the padding behind
      high = std::max(high, bounded(Wide{count - 1} * stride + reach - size - low));
    }
    out.low.push_back(low);
    out.high.push_back(high);
    out.result.push_back(count);
  }
  return out;
}

namespace {

// The fold over each window of x, [N, C, spatial...].
Value over_windows(Call& c, const Value& x, std::string_view kind, const Window& w, const Ints& low, const Ints& high) {
  for (size_t a = 0; a < low.size(); ++a) c.require(low[a] >= 0 && high[a] >= 0, "pads are 0 or more");
  const auto whole = [](const Ints& spatial, int64_t first) {
    Ints out = {first, first};
    out.insert(out.end(), spatial.begin(), spatial.end());
    return out;
  };
  const Value y = ops::reduce_window(x, kind, whole(w.kernel, 1), whole(w.strides, 1), whole(low, 0), whole(high, 0),
                                     whole(w.dilations, 1));
  Ints begin(whole(w.result, 0).size(), 0), end = y.shape().vector(), one(begin.size(), 1);
  for (size_t a = 0; a < w.result.size(); ++a) end[a + 2] = std::min(end[a + 2], w.result[a]);
  return ops::slice(y, begin, end, one);
}

Window pool_window(Call& c) {
  c.require(c.given("kernel_shape"), "kernel_shape is missing");
  return window_of(c, c.shape(0), {});
}

// Which element of the image [spatial...] is the largest of each window, counted over the whole tensor.
Value places_of_largest(Call& c, const Value& x, const Window& w) {
  const Shape& shape = x.shape();
  const int rank = shape.rank();
  const bool columns = c.integer("storage_order", 0) != 0;
  Value place = ops::filled(i64, shape, 0.0);
  int64_t step = 1;
  for (int k = 0; k < rank - 2; ++k) {  // the last axis runs fastest, or with storage_order the first
    const int axis = columns ? 2 + k : rank - 1 - k;
    place = place + ops::iota(shape.vector(), i64, axis) * static_cast<double>(step);
    step *= shape[axis];
  }
  place = place + ops::iota(shape.vector(), i64, 1) * static_cast<double>(step) +
          ops::iota(shape.vector(), i64, 0) * static_cast<double>(step * shape[1]);
  Ints low = {0, 0}, high = {0, 0}, none(static_cast<size_t>(rank), 0);
  low.insert(low.end(), w.low.begin(), w.low.end());
  high.insert(high.end(), w.high.begin(), w.high.end());
  const double least = is_float(x.dtype()) ? -std::numeric_limits<double>::infinity() : lowest(x.dtype());
  const Value values = ops::pad(x, low, high, none, least), places = ops::pad(place, low, high, none, -1.0);
  if (Shape(w.kernel).elements() > 4096)
    c.unsupported("the places of the largest in windows of more than 4096 elements");
  Value best, where;
  for_each_index(Shape(w.kernel), [&](int64_t, const int64_t* tap) {
    Ints begin = {0, 0}, end = {shape[0], shape[1]}, steps = {1, 1};
    for (size_t a = 0; a < w.kernel.size(); ++a) {
      begin.push_back(tap[a] * w.dilations[a]);
      end.push_back(begin.back() + (w.result[a] - 1) * w.strides[a] + 1);
      steps.push_back(w.strides[a]);
    }
    const Value v = ops::slice(values, begin, end, steps), p = ops::slice(places, begin, end, steps);
    if (!best) {
      best = v;
      where = p;
      return;
    }
    // A place in the padding never wins over one inside.
    const Value better =
        ops::or_(ops::compare(v, best, "gt"), ops::and_(ops::compare(where, 0.0, "lt"), ops::compare(p, 0.0, "ge")));
    best = ops::select(better, v, best);
    where = ops::select(better, p, where);
  });
  return where;
}

void max_pool(Call& c) {
  const Window w = pool_window(c);
  c.result(over_windows(c, c.x(0), "max", w, w.low, w.high));
  if (c.wants(1)) c.result(1, places_of_largest(c, c.x(0), w));
}

void average_pool(Call& c) {
  const Window w = pool_window(c);
  const Value x = ops::widen(c.x(0));
  const Value sum = over_windows(c, x, "sum", w, w.low, w.high);
  // How many elements a window counts: those of the image, or of the image and its given padding.
  Ints sizes = {1, 1}, low = w.low, high = w.high;
  for (size_t a = 0; a < w.kernel.size(); ++a) {
    int64_t size = x.shape()[static_cast<int>(a) + 2];
    if (c.integer("count_include_pad", 0) != 0) {
      size += w.low_given[a] + w.high_given[a];
      low[a] = 0;
      high[a] -= w.high_given[a];
    }
    sizes.push_back(size);
  }
  const Value count = over_windows(c, ops::filled(x.dtype(), Shape(sizes), 1.0), "sum", w, low, high);
  c.result(ops::as_type(sum / broadcast(count, sum.shape()), c.dtype(0)));
}

Value power(const Value& x, double p) {
  return p == 1.0 ? ops::abs(x) : p == 2.0 ? x * x : ops::pow(ops::abs(x), ops::filled_like(x, p));
}
Value inverse_power(const Value& x, double p) {
  return p == 1.0 ? x : p == 2.0 ? ops::sqrt(x) : ops::pow(x, ops::filled_like(x, 1.0 / p));
}
double norm_of(Call& c) { return c.opset() < 2 ? c.number("p", 2.0) : static_cast<double>(c.integer("p", 2)); }

void lp_pool(Call& c) {
  const Window w = pool_window(c);
  const double p = norm_of(c);
  const Value sum = over_windows(c, power(ops::widen(c.x(0)), p), "sum", w, w.low, w.high);
  c.result(ops::as_type(inverse_power(sum, p), c.dtype(0)));
}

Ints spatial_axes(Call& c) {
  c.require(c.rank(0) >= 2, "x is [N, C, spatial...]");
  return ops::axes_from(2, c.rank(0));
}
void global_average(Call& c) {
  c.result(ops::as_type(ops::mean_kept(ops::widen(c.x(0)), spatial_axes(c)), c.dtype(0)));
}
void global_max(Call& c) {
  const Ints axes = spatial_axes(c);
  c.result(axes.empty() ? c.x(0) : ops::reduce_max(c.x(0), axes, true));
}
void global_lp(Call& c) {
  const double p = norm_of(c);
  c.result(ops::as_type(inverse_power(ops::sum_kept(power(ops::widen(c.x(0)), p), spatial_axes(c)), p), c.dtype(0)));
}

// Elements put back where a max pool found them. Indices count over the whole output of the pool's input.
void max_unpool(Call& c) {
  const Value &x = c.x(0), &places = c.x(1);
  const auto axes = static_cast<size_t>(c.rank(0) - 2);
  const Ints kernel = c.integers("kernel_shape"), strides = c.integers("strides", Ints(axes, 1)),
             pads = c.integers("pads", Ints(2 * axes, 0));
  c.require(kernel.size() == axes && strides.size() == axes && pads.size() == 2 * axes, "one entry per spatial axis");
  Ints inferred = {x.shape()[0], x.shape()[1]};
  for (size_t a = 0; a < axes; ++a) {
    inferred.push_back(
        bounded(Wide{x.shape()[static_cast<int>(a) + 2] - 1} * strides[a] - pads[a] - pads[a + axes] + kernel[a]));
  }
  const Ints wanted = c.has(2) ? c.known_ints(2) : inferred;
  const auto filled = [&](const Ints& sizes, const Value& at) {
    const Shape shape(sizes);
    const Value empty = ops::filled(x.dtype(), {shape.elements()}, 0.0);
    const Value flat = ops::reshape(at, {at.shape().elements()});
    return ops::reshape(ops::scatter_set(empty, flat, ops::reshape(x, {x.shape().elements()}), 0), sizes);
  };
  if (wanted == inferred) {
    c.result(filled(inferred, places));
    return;
  }
  // Indices count in the inferred size; each is moved to the wanted one.
  const Shape from(inferred), to(wanted);
  c.require(from.rank() == to.rank(), "output_shape has other axes");
  const Strides step_from = dense_strides(from), step_to = dense_strides(to);
  Value rest = places, moved = ops::filled(i64, places.shape(), 0.0);
  for (int a = 0; a < from.rank(); ++a) {
    const Value size = ops::filled(i64, places.shape(), static_cast<double>(step_from[static_cast<size_t>(a)]));
    moved = moved + ops::div(rest, size) * static_cast<double>(step_to[static_cast<size_t>(a)]);
    rest = ops::rem(rest, size);
  }
  c.result(filled(wanted, moved));
}

}  // namespace

std::span<const Mapping> pooling_mappings() {
  static constexpr Mapping table[] = {
      {"AveragePool", average_pool}, {"GlobalAveragePool", global_average},
      {"GlobalLpPool", global_lp},   {"GlobalMaxPool", global_max},
      {"LpPool", lp_pool},           {"MaxPool", max_pool},
      {"MaxUnpool", max_unpool, 9},
  };
  return table;
}

}  // namespace trireme::formats::onnx
