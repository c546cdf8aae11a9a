// Pooling of images [N, C, H, W].
#include <algorithm>

#include "chips/kunlun/kernel.h"

namespace trireme::kunlun {
namespace {

struct Pool {
  std::vector<int64_t> window, stride, pad;
};

double traffic(const Builder& b) { return static_cast<double>(bytes_of(b.input(0)) + bytes_of(b.output())); }

std::vector<int64_t> pair(std::span<const int64_t> given) {
  if (given.size() == 1) return {given[0], given[0]};
  return {given.begin(), given.end()};
}

Pool attributes_of(const Builder& b) {
  want(b.input(0).rank == 4 && chip::elements(b.input(0)) > 0, TRM_REASON_SHAPE, "no image");
  Pool pool{pair(b.node().integers("window")), pair(b.node().integers("stride")), pair(b.node().integers("padding"))};
  if (pool.stride.empty()) pool.stride = pool.window;
  want(!b.node().flag("ceil_mode"), TRM_REASON_ATTRIBUTE, "windows that hang over");
  return pool;
}

// Attributes of a window over all four axes, where it is one over the last two.
Pool of_last_axes(const Builder& b) {
  want(b.input(0).rank == 4 && chip::elements(b.input(0)) > 0, TRM_REASON_SHAPE, "no image");
  const auto window = b.node().integers("window"), strides = b.node().integers("strides"),
             low = b.node().integers("low"), high = b.node().integers("high"), dilation = b.node().integers("dilation");
  for (size_t a = 0; a < 4; ++a) {
    want(dilation[a] == 1, TRM_REASON_ATTRIBUTE, "a dilated window");
    want(a >= 2 || (window[a] == 1 && strides[a] == 1 && low[a] == 0 && high[a] == 0), TRM_REASON_ATTRIBUTE,
         "a window over other axes than the last two");
    want(low[a] < window[a] && high[a] < window[a], TRM_REASON_ATTRIBUTE, "windows of padding alone");
  }
  return {{window[2], window[3]}, {strides[2], strides[3]}, {low[2], high[2], low[3], high[3]}};
}

// The library pools floats only, which hold a byte as it is.
template <class T>
void bytes_as_floats(Builder& b, const Pool& pool, uint32_t x, uint32_t y) {
  const TrmValue v = b.input(0);
  const int64_t from = chip::elements(v), to = chip::elements(b.output());
  const uint32_t floats = b.temporary(static_cast<size_t>(from) * sizeof(float));
  const uint32_t greatest = b.temporary(static_cast<size_t>(to) * sizeof(float));
  b.step("cast", 5.0 * static_cast<double>(from),
         [=](const Run& run) { return api::cast<T, float>(run.context, run.at<T>(x), run.at<float>(floats), from); });
  b.step("max_pool2d", 4.0 * static_cast<double>(from + to), [=](const Run& run) {
    return api::max_pool2d<float, int>(run.context, run.at<float>(floats), run.at<float>(greatest), nullptr, v.dims[0],
                                       v.dims[1], v.dims[2], v.dims[3], pool.window, pool.stride, pool.pad, true);
  });
  b.step("cast", 5.0 * static_cast<double>(to),
         [=](const Run& run) { return api::cast<float, T>(run.context, run.at<float>(greatest), run.at<T>(y), to); });
}

void max_call(Builder& b, const Pool& pool) {
  const uint32_t x = b.dense(0), y = b.result();
  const TrmValue v = b.input(0);
  if (v.dtype == TRM_U8) return bytes_as_floats<uint8_t>(b, pool, x, y);
  if (v.dtype == TRM_I8) return bytes_as_floats<int8_t>(b, pool, x, y);
  by_float(v.dtype, [&]<class T>(T) {
    b.step("max_pool2d", traffic(b), [=](const Run& run) {
      return api::max_pool2d<T, int>(run.context, run.at<T>(x), run.at<T>(y), nullptr, v.dims[0], v.dims[1], v.dims[2],
                                     v.dims[3], pool.window, pool.stride, pool.pad, true);
    });
  });
}

void max_pool(Builder& b) {
  for (const int64_t step : b.node().integers("dilation")) want(step == 1, TRM_REASON_ATTRIBUTE, "a dilated window");
  max_call(b, attributes_of(b));
}

void reduce_window(Builder& b) {
  want(b.node().string("kind") == "max", TRM_REASON_ATTRIBUTE, "only windows of maxima");
  max_call(b, of_last_axes(b));
}

void max_pool_gradient(Builder& b) {
  const Pool pool = of_last_axes(b);
  const uint32_t x = b.dense(0), y = b.dense(1), dy = b.dense(2), dx = b.result();
  const TrmValue v = b.input(0);
  by_float(v.dtype, [&]<class T>(T) {
    b.step("max_pool2d_grad", 2.0 * traffic(b), [=](const Run& run) {
      return api::max_pool2d_grad<T, int>(run.context, run.at<T>(x), run.at<T>(y), nullptr, run.at<T>(dy),
                                          run.at<T>(dx), v.dims[0], v.dims[1], v.dims[2], v.dims[3], pool.window,
                                          pool.stride, pool.pad, true);
    });
  });
}

void avg_pool(Builder& b) {
  const Pool pool = attributes_of(b);
  const bool padding_counts = b.node().flag("count_include_pad");
  const uint32_t x = b.dense(0), y = b.result();
  const TrmValue v = b.input(0);
  by_float(v.dtype, [&]<class T>(T) {
    b.step("avg_pool2d", traffic(b), [=](const Run& run) {
      return api::avg_pool2d<T>(run.context, run.at<T>(x), run.at<T>(y), v.dims[0], v.dims[1], v.dims[2], v.dims[3],
                                pool.window, pool.stride, pool.pad, padding_counts, true);
    });
  });
}

void adaptive_avg_pool(Builder& b) {
  const uint32_t x = b.dense(0), y = b.result();
  const TrmValue v = b.input(0), out = b.output();
  want(chip::elements(v) > 0, TRM_REASON_SHAPE, "no image");
  by_float(v.dtype, [&]<class T>(T) {
    b.step("adaptive_avg_pool2d", traffic(b), [=](const Run& run) {
      return api::adaptive_avg_pool2d<T>(run.context, run.at<T>(x), run.at<T>(y), v.dims[0], v.dims[1], v.dims[2],
                                         v.dims[3], out.dims[2], out.dims[3], true);
    });
  });
}

constexpr KernelEntry kEntries[] = {
    {"max_pool2d", chip_floats, max_pool},
    {"reduce_window", chip_floats | only(i8) | only(u8), reduce_window},
    {"max_pool_gradient", chip_floats, max_pool_gradient},
    {"avg_pool2d", chip_floats, avg_pool},
    {"adaptive_avg_pool2d", chip_floats, adaptive_avg_pool},
};

}  // namespace

std::span<const KernelEntry> pooling_kernels() { return kEntries; }

}  // namespace trireme::kunlun
