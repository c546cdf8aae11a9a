#include "chips/cpu/max_pool_gradient.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "chips/cpu/window_kernel.h"

namespace trireme::cpu {
namespace {

constexpr int64_t kLeastLine = 64;  // channels that a thread takes of a pixel

struct Windows {
  uint32_t x, y, dy, dx;  // values
  // Memory is [outer, size..., inner]: images and channels, or with channels last images, and the channels inside.
  int64_t outer, inner;
  // With three spatial axes; missing ones come first.
  std::array<int64_t, 3> size{1, 1, 1}, windows{1, 1, 1}, window{1, 1, 1}, stride{1, 1, 1}, low{}, dilation{1, 1, 1};

  Windows(const Program& program, const NodeView& node)
      : x(node.inputs()[0]), y(node.inputs()[1]), dy(node.inputs()[2]), dx(node.outputs()[0]) {
    const TrmValue image = program.value(x), result = program.value(y);
    // A constant lies as it lies, for nobody can be asked for another order.
    for (const uint32_t input : {x, y, dy}) {
      if (program.value(input).known) throw Failure(TRM_UNSUPPORTED, "a known image");
    }
    const auto sizes = node.integers("window"), strides = node.integers("strides"), lows = node.integers("low"),
               dilations = node.integers("dilation");
    if (image.rank < 3 || image.rank > 5) throw Failure(TRM_UNSUPPORTED, "windows over one to three axes are taken");
    for (uint32_t a = 0; a < image.rank; ++a) {
      if (a < 2) {
        if (sizes[a] == 1 && strides[a] == 1 && result.dims[a] == image.dims[a]) continue;
        throw Failure(TRM_UNSUPPORTED, "windows over images or channels");
      }
      const size_t to = a + 3 - image.rank;
      size[to] = image.dims[a], windows[to] = result.dims[a], window[to] = sizes[a], stride[to] = strides[a];
      low[to] = lows[a], dilation[to] = dilations[a];
    }
    const bool last = order_of(image) != row_major_order();
    outer = image.dims[0] * (last ? 1 : image.dims[1]);
    inner = last ? image.dims[1] : 1;
  }
  int64_t taps() const { return window[0] * window[1] * window[2]; }
  int64_t pixels() const { return size[0] * size[1] * size[2]; }
  int64_t results() const { return windows[0] * windows[1] * windows[2]; }

  // The pixels that the taps of each window meet, all in row-major order; -1: padding.
  std::vector<int64_t> met() const {
    std::vector<int64_t> met;
    const auto at = [&](size_t a, int64_t result, int64_t tap) {
      const int64_t index = result * stride[a] - low[a] + tap * dilation[a];
      return index >= 0 && index < size[a] ? index : -1;
    };
    for (int64_t r = 0; r < results(); ++r) {
      for (int64_t t = 0; t < taps(); ++t) {
        const int64_t d = at(0, r / windows[2] / windows[1], t / window[2] / window[1]),
                      h = at(1, r / windows[2] % windows[1], t / window[2] % window[1]),
                      w = at(2, r % windows[2], t % window[2]);
        met.push_back(std::min({d, h, w}) < 0 ? -1 : (d * size[1] + h) * size[2] + w);
      }
    }
    return met;
  }
};

// One plane of an image whose channels lie one after the other.
template <class T>
void run_plane(const Windows& p, const int64_t* met, const T* x, const T* y, const T* dy, T* dx) {
  std::fill_n(dx, p.pixels(), T{0});
  for (int64_t r = 0; r < p.results(); ++r, met += p.taps()) {
    for (int64_t t = 0; t < p.taps(); ++t) {
      if ((met[t] < 0 ? -std::numeric_limits<T>::infinity() : x[met[t]]) != y[r]) continue;
      if (met[t] >= 0) dx[met[t]] += dy[r];
      break;
    }
  }
}

// Channels [begin, end) of one image whose channels lie side by side.
template <class T>
void run_channels(const Windows& p, const int64_t* met, const T* x, const T* y, const T* dy, T* dx, int64_t begin,
                  int64_t end) {
  thread_local std::vector<const T*> from;
  thread_local std::vector<T*> to;
  from.resize(static_cast<size_t>(p.taps()));
  to.resize(from.size());
  for (int64_t pixel = 0; pixel < p.pixels(); ++pixel) std::fill_n(dx + pixel * p.inner + begin, end - begin, T{0});
  const FirstMaximum<T> first = first_maximum<T>();
  for (int64_t r = 0; r < p.results(); ++r) {
    for (size_t t = 0; t < from.size(); ++t) {
      const int64_t pixel = *met++;
      from[t] = pixel < 0 ? nullptr : x + pixel * p.inner + begin;
      to[t] = pixel < 0 ? nullptr : dx + pixel * p.inner + begin;
    }
    const int64_t at = r * p.inner + begin;
    first(p.taps(), end - begin, from.data(), y + at, dy + at, to.data());
  }
}

template <class T>
Run prepare(const Windows& p) {
  return [p, all = p.met()](void* const* values) {
    const T* x = static_cast<const T*>(values[p.x]);
    const T* y = static_cast<const T*>(values[p.y]);
    const T* dy = static_cast<const T*>(values[p.dy]);
    T* dx = static_cast<T*>(values[p.dx]);
    const int64_t work = p.results() * p.taps() + p.pixels();
    const int64_t pieces = std::clamp<int64_t>(host->threads() / std::max<int64_t>(1, p.outer), 1,
                                               std::max<int64_t>(1, p.inner / kLeastLine));
    parallel_for(p.outer * pieces, grain_for(work * p.inner / pieces), [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t piece = task % pieces;
        const int64_t in = task / pieces * p.pixels() * p.inner, out = task / pieces * p.results() * p.inner;
        if (p.inner == 1) run_plane(p, all.data(), x + in, y + out, dy + out, dx + in);
        else
          run_channels(p, all.data(), x + in, y + out, dy + out, dx + in, p.inner * piece / pieces,
                       p.inner * (piece + 1) / pieces);
      }
    });
  };
}

}  // namespace

void ask_layouts_for_max_pool_gradient(const Program& program, const NodeView& node, TrmAnswer& answer) {
  const Windows checked(program, node);
  const AxisOrder order = order_of(program.value(checked.x));
  for (uint32_t i = 0; i < program.operand_count(); ++i) {
    if (!is_dense_in(program.operand(i), order)) ask_order(program, i, order, answer);
  }
}

Run prepare_max_pool_gradient(const Program& program, const NodeView& node) {
  const Windows p(program, node);
  const DType type = dtype_of(program.value(p.x));
  if (type != f32 && type != f64) {
    throw Failure(TRM_UNSUPPORTED, "max_pool_gradient is for f32 and f64, not " + std::string(name(type)));
  }
  return type == f32 ? prepare<float>(p) : prepare<double>(p);
}

}  // namespace trireme::cpu
