// Pools: windows that slide, windows that share out the image (adaptive), the whole image (global).
#include "trireme/base/strings.h"
#include "trireme/formats/paddle/call.h"
#include "trireme/formats/paddle/windows.h"

namespace trireme::formats::paddle {

namespace {

Ints with_channels(const Ints& spatial, int64_t first) {
  Ints out = {first, first};
  out.insert(out.end(), spatial.begin(), spatial.end());
  return out;
}

Value over_windows(const Value& x, std::string_view kind, const Window& w) {
  return ops::reduce_window(x, kind, with_channels(w.kernel, 1), with_channels(w.strides, 1), with_channels(w.low, 0),
                            with_channels(w.high, 0), with_channels(w.dilations, 1));
}

// Along one axis, output o folds x[floor(o in / out)] .. x[ceil((o + 1) in / out) - 1].
Value adaptive(Call& c, const Value& x, int axis, int64_t out, bool largest) {
  const int64_t in = x.shape()[axis];
  c.require(in >= 1 && out >= 1, cat("axis ", axis, " of ", x.shape(), " to ", out));
  if (out > 4096) c.unsupported(cat("an adaptive pool to ", out));
  std::vector<Value> parts;
  for (int64_t o = 0; o < out; ++o) {
    const int64_t begin = bounded(Wide{o} * in / out), end = bounded((Wide{o + 1} * in + out - 1) / out);
    const Value part = ops::slice_axis(x, axis, begin, end);
    parts.push_back(largest ? ops::reduce_max(part, {axis}, true) : ops::mean_kept(part, {axis}));
  }
  return parts.size() == 1 ? parts[0] : ops::concat(parts, axis);
}

Value adaptive_pool(Call& c, Value x, const Ints& sizes, bool largest) {
  if (!largest && sizes.size() == 2) return ops::adaptive_avg_pool2d(x, sizes);
  for (size_t a = 0; a < sizes.size(); ++a) x = adaptive(c, x, static_cast<int>(a) + 2, sizes[a], largest);
  return x;
}

// An average counts the elements of the image in a window, or (not exclusive) all of the window's.
Value average(const Value& x, const Window& w, bool exclusive) {
  const Value sum = over_windows(x, "sum", w);
  if (!exclusive) return sum * (1.0 / static_cast<double>(Shape(w.kernel).elements()));
  Ints sizes = x.shape().vector();
  sizes[0] = sizes[1] = 1;
  const Value count = over_windows(ops::filled(x.dtype(), Shape(sizes), 1.0), "sum", w);
  return sum / broadcast(count, sum.shape());
}

void pool(Call& c) {
  const Channels channels(c, "data_format");
  const Value image = c.x("X");
  const Value x = channels.first(ops::widen(image));
  const int rank = x.shape().rank();
  c.require(rank >= 3 && rank <= 5, cat("X is ", x.shape()));
  const std::string kind = c.string("pooling_type", "max");
  c.require(kind == "max" || kind == "avg", cat("pooling_type '", kind, "' must be max or avg"));
  const bool largest = kind == "max";
  Ints kernel = c.integers("ksize");
  Value y;
  if (c.flag("global_pooling") || (c.flag("adaptive") && kernel == Ints(static_cast<size_t>(rank - 2), 1))) {
    const Ints axes = ops::axes_from(2, rank);
    y = largest ? ops::reduce_max(x, axes, true) : ops::mean_kept(x, axes);
  } else if (c.flag("adaptive")) {
    c.require(static_cast<int>(kernel.size()) == rank - 2, cat("ksize ", kernel, " for ", x.shape()));
    y = adaptive_pool(c, x, kernel, largest);
  } else {
    Window w = window_of(c, x.shape(), kernel);
    if (c.flag("ceil_mode")) {  // a last window that hangs over the end
      for (size_t a = 0; a < w.kernel.size(); ++a) {
        const int64_t room = x.shape()[static_cast<int>(a) + 2] + w.low[a] + w.high[a] - w.kernel[a];
        if (room > 0 && room % w.strides[a] != 0) w.high[a] += w.strides[a] - room % w.strides[a];
      }
    }
    y = largest ? over_windows(x, "max", w) : average(x, w, c.flag("exclusive", true));
  }
  c.result(ops::as_type(channels.back(y), image.dtype()));
}

// Without the places of the largest, which only training asks for.
void max_pool_with_index(Call& c) {
  if (c.flag("global_pooling") || c.flag("adaptive")) c.unsupported("a global or adaptive pool with indices");
  const Value x = c.x("X");
  c.require(x.shape().rank() >= 3 && x.shape().rank() <= 5, cat("X is ", x.shape()));
  c.result(over_windows(x, "max", window_of(c, x.shape(), c.integers("ksize"))));
}

}  // namespace

std::span<const Mapping> pooling_mappings() {
  static constexpr Mapping table[] = {
      {"max_pool2d_with_index", max_pool_with_index},
      {"pool2d", pool},
      {"pool3d", pool},
  };
  return table;
}

}  // namespace trireme::formats::paddle
