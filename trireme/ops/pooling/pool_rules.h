// What pools share: windows over the spatial axes of [N, C, spatial...].
#pragma once

#include "trireme/ops/convolution/spatial_lists.h"
#include "trireme/ops/numerics.h"
#include "trireme/ops/sizes.h"

namespace trireme {

inline constexpr std::string_view kPoolRank = "x is [N, C, spatial...], of the op's rank";
inline constexpr std::string_view kPoolLists =
    "window, stride, padding and dilation have one entry or one per spatial axis (an empty stride is the window); "
    "padding is at least 0 and at most half of window, the others are 1 or more";
inline constexpr std::string_view kPoolFits = "the dilated window fits into the padded input";

// The windows of a pool as reduce_window takes them: one entry per axis of x, 1 or 0 for N and C.
struct Pool {
  Ints window, stride, low, high, dilation;
  Ints padding;  // what the user asked for; `high` differs where ceil_mode adds a window that hangs over the end
  Ints sizes;    // of y
};

inline Pool pool_of(const AttributeReader& a, const Shape& x, int spatial, bool dilated) {
  const Ints window = per_axis(a.integers("window"), spatial), padding = per_axis(a.integers("padding"), spatial);
  const Ints stride = a.integers("stride").empty() ? window : per_axis(a.integers("stride"), spatial);
  const Ints dilation = dilated ? per_axis(a.integers("dilation"), spatial) : Ints(static_cast<size_t>(spatial), 1);
  Pool p{{1, 1}, {1, 1}, {0, 0}, {0, 0}, {1, 1}, {0, 0}, {x[0], x[1]}};
  for (size_t s = 0; s < window.size(); ++s) {
    const int64_t size = x[static_cast<int>(s) + 2], covered = bounded(Wide{dilation[s]} * (window[s] - 1) + 1);
    const int64_t room = bounded(Wide{size} + 2 * Wide{padding[s]} - covered);
    int64_t windows = room < 0 ? 0 : room / stride[s] + 1, high = padding[s];
    if (a.flag("ceil_mode") && room >= 0) {
      windows = room / stride[s] + (room % stride[s] != 0) + 1;
      if (Wide{windows - 1} * stride[s] >= Wide{size} + padding[s])
        --windows;  // it would lie in the padding altogether
      high = std::max<int64_t>(bounded(Wide{windows - 1} * stride[s] + covered - size - padding[s]), 0);
    }
    p.window.push_back(window[s]);
    p.stride.push_back(stride[s]);
    p.low.push_back(padding[s]);
    p.high.push_back(high);
    p.dilation.push_back(dilation[s]);
    p.padding.push_back(padding[s]);
    p.sizes.push_back(windows);
  }
  return p;
}

// Rules 1-3, in the order above.
inline void infer_pool(Infer& i, int spatial, bool dilated) {
  i.require(1, i.rank(0) == spatial + 2);
  const Ints &window = i.integers("window"), &stride = i.integers("stride"), &padding = i.integers("padding");
  i.require(2, is_per_axis(window, spatial, 1) && (stride.empty() || is_per_axis(stride, spatial, 1)));
  i.require(2, is_per_axis(padding, spatial, 0));
  i.require(2, !dilated || is_per_axis(i.integers("dilation"), spatial, 1));
  for (size_t s = 0; s < static_cast<size_t>(spatial); ++s) {
    i.require(2, per_axis(padding, spatial)[s] <= per_axis(window, spatial)[s] / 2);
  }
  const Pool p = pool_of(i, i.shape(0), spatial, dilated);
  for (size_t s = 2; s < p.sizes.size(); ++s) i.require(3, p.sizes[s] >= 1);
  i.output(i.dtype(0), p.sizes);
}

inline Value windowed(const Value& x, std::string_view kind, const Pool& p) {
  return ops::reduce_window(x, kind, p.window, p.stride, p.low, p.high, p.dilation);
}

inline Values decompose_max_pool(const Decompose& d, int spatial) {
  return windowed(d.x(0), "max", pool_of(d, d.x(0).shape(), spatial, true));
}
inline void max_pool_pullback(Pullback& p, int spatial) {
  const Pool pool = pool_of(p, p.x(0).shape(), spatial, true);
  p.dx(0) = ops::max_pool_gradient(p.x(0), p.y(), p.dy(), pool.window, pool.stride, pool.low, pool.high, pool.dilation);
}

// 1 / (number of elements that count) of each window, broadcastable to y: a scalar where all windows are alike. With
// count_include_pad the padding counts, but never what ceil_mode adds beyond it.
inline Value window_shares(const Pool& p, const Shape& x, bool count_include_pad, DType dtype) {
  std::vector<double> shares = {1.0};
  Ints sizes(p.sizes.size(), 1);
  bool alike = true;
  for (size_t a = 2; a < p.sizes.size(); ++a) {
    const int64_t margin = count_include_pad ? p.padding[a] : 0, size = x[static_cast<int>(a)];
    std::vector<double> next;
    for (double outer : shares) {
      for (int64_t t = 0; t < p.sizes[a]; ++t) {
        const int64_t first = t * p.stride[a] - p.low[a];
        const int64_t begin = std::max(first, -margin), end = std::min(first + p.window[a], size + margin);
        next.push_back(outer / static_cast<double>(end - begin));
        alike = alike && end - begin == p.window[a];
      }
    }
    shares = std::move(next);
    sizes[a] = p.sizes[a];
  }
  return alike ? ops::scalar(dtype, shares[0]) : ops::constant(Literal::from_doubles(dtype, Shape(sizes), shares));
}

inline Values decompose_avg_pool(const Decompose& d, int spatial) {
  const Value x = ops::widen(d.x(0));
  const Pool pool = pool_of(d, x.shape(), spatial, false);
  const Value shares = window_shares(pool, x.shape(), d.flag("count_include_pad"), x.dtype());
  return ops::as_type(windowed(x, "sum", pool) * shares, d.y().dtype());
}

// Each window hands its share back to its elements. Windows that tile x: a broadcast. Else a sum over windows of dy,
// set apart by the stride: element j is covered by the windows that start between j - window + 1 and j.
inline void avg_pool_pullback(Pullback& p, int spatial) {
  const Shape& x = p.x(0).shape();
  const Pool pool = pool_of(p, x, spatial, false);
  Value dy = ops::widen(p.dy());
  dy = dy * window_shares(pool, x, p.flag("count_include_pad"), dy.dtype());
  bool tiles = true, apart = false;
  for (int a = 2; a < x.rank(); ++a) {
    const auto at = static_cast<size_t>(a);
    tiles =
        tiles && pool.stride[at] == pool.window[at] && pool.low[at] == 0 && x[a] == pool.sizes[at] * pool.stride[at];
    apart = apart || pool.stride[at] > 1;
  }
  if (tiles) {
    Ints split = {x[0], x[1]}, spread = {x[0], x[1]};
    for (size_t a = 2; a < pool.sizes.size(); ++a) {
      split.insert(split.end(), {pool.sizes[a], 1});
      spread.insert(spread.end(), {pool.sizes[a], pool.window[a]});
    }
    dy = ops::reshape(ops::broadcast_to(ops::reshape(dy, split), spread), x.vector());
  } else {
    const auto rank = static_cast<size_t>(x.rank());
    const Ints zeros(rank, 0), ones(rank, 1);
    Ints low(rank, 0), high(rank, 0), interior(rank, 0);
    for (size_t a = 2; a < rank; ++a) {
      low[a] = pool.window[a] - 1 - pool.low[a];
      high[a] = x[static_cast<int>(a)] + pool.low[a] - (pool.sizes[a] - 1) * pool.stride[a] - 1;
      interior[a] = pool.stride[a] - 1;
    }
    if (apart) dy = ops::pad(dy, zeros, zeros, interior, 0.0);
    dy = ops::reduce_window(dy, "sum", pool.window, ones, low, high, ones);
  }
  p.dx(0) = ops::as_type(dy, p.x(0).dtype());
}

}  // namespace trireme
