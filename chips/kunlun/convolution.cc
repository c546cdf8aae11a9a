// Convolutions on the SDNN units: the fused form with a bias, and the primitive in its three uses, which are the
// result, the gradient of the weight (the same with other axes) and the gradient of the input, a transposed
// convolution.
#include <algorithm>

#include "chips/kunlun/arithmetic.h"

namespace trireme::kunlun {
namespace {

// Attributes of one to three spatial axes; a single one becomes the second of two.
struct Window {
  std::vector<int64_t> stride, low, high, dilation, input_dilation;
};

std::vector<int64_t> spread(std::span<const int64_t> given, size_t spatial) {
  if (given.size() == 1) return std::vector<int64_t>(spatial, given[0]);
  return {given.begin(), given.end()};
}

// x [N, C, L] as [N, C, 1, L].
void lift(std::vector<int64_t>& list, int64_t first) {
  if (list.size() == 1) list.insert(list.begin(), first);
}
TrmValue lifted(const TrmValue& v) {
  if (v.rank != 3) return v;
  TrmValue out = v;
  out.rank = 4;
  out.dims[2] = 1;
  out.strides[2] = v.strides[2] * v.dims[2];
  out.dims[3] = v.dims[2];
  out.strides[3] = v.strides[2];
  return out;
}

std::vector<int64_t> pads(const Window& window) {
  std::vector<int64_t> out;
  for (size_t i = 0; i < window.low.size(); ++i) {
    out.push_back(window.low[i]);
    out.push_back(window.high[i]);
  }
  return out;  // top, bottom, left, right; in three dimensions front and back before them
}

double operations(const TrmValue& w, const TrmValue& y) {
  double kernel = 2.0;
  for (uint32_t a = 1; a < w.rank; ++a) kernel *= static_cast<double>(w.dims[a]);
  return kernel * static_cast<double>(chip::elements(y));
}

void forward(Builder& b, const Window& window, int64_t groups, uint32_t bias) {
  const TrmValue x = lifted(b.input(0)), w = lifted(b.input(1));
  const Tail& tail = b.take_tail();
  want(x.rank == 4 || tail.result == TRM_ABSENT, TRM_REASON_REGION, "nothing can follow three dimensions");
  const auto also = [&](uint32_t value) { return value == TRM_ABSENT ? TRM_ABSENT : b.dense_value_of(value); };
  const uint32_t xs = b.dense(0), branch = also(tail.branch), addend = also(tail.addend);
  const Weight weight = weight_of(b, 1);
  const uint32_t y = b.result();
  const api::Activation_t act = tail.act;
  const std::vector<int64_t> kernel(w.dims + 2, w.dims + w.rank), pad = pads(window);
  double bytes = static_cast<double>(bytes_of(b.input(0)) + bytes_of(b.output())) + searched_bytes(b, weight);
  for (const uint32_t added : {branch, addend}) {
    if (added != TRM_ABSENT) bytes += static_cast<double>(bytes_of(b.output()));
  }
  by_product(b, x.dtype, weight, [&]<class T, class TW, class TGEMM>(T, TW, TGEMM) {
    if (x.rank == 5) {
      want(bias == TRM_ABSENT, TRM_REASON_ATTRIBUTE, "no bias in three dimensions");
      b.product_step("conv3d", operations(w, b.output()), weight.bytes, bytes, [=](const Run& run) {
        return api::conv3d<T, TW, T, TGEMM>(run.context, run.at<T>(xs), weight.at<TW>(run), run.at<T>(y), x.dims[0],
                                            x.dims[1], x.dims[2], x.dims[3], x.dims[4], w.dims[0], kernel,
                                            window.stride, pad, window.dilation, groups, nullptr, weight.maxima_at(run),
                                            nullptr, true);
      });
      return;
    }
    b.product_step("conv2d_fusion", operations(w, b.output()), weight.bytes, bytes, [=](const Run& run) {
      const auto at = [&](uint32_t slot) -> const T* { return slot == TRM_ABSENT ? nullptr : run.at<T>(slot); };
      return api::conv2d_fusion<T, TW, T, TGEMM>(
          run.context, run.at<T>(xs), weight.at<TW>(run), run.at<T>(y), x.dims[0], x.dims[1], x.dims[2], x.dims[3],
          w.dims[0], kernel, window.stride, pad, window.dilation, groups, nullptr, weight.maxima_at(run), nullptr, true,
          floats_at(run, bias), at(branch), act, at(addend));
    });
  });
}

// A convolution of x with zeros between its elements and a step of 1: the transposed convolution with the weight's
// channels exchanged and its spatial axes reversed. As the gradient of an input it comes with a view that is just that,
// so nothing has to be copied.
void transposed(Builder& b, const Window& window, int64_t groups) {
  const TrmValue x = lifted(b.input(0)), w = lifted(b.input(1)), y = lifted(b.output());
  want(x.rank == 4, TRM_REASON_SHAPE, "no transposed convolution in three dimensions");
  const std::vector<int64_t> kernel(w.dims + 2, w.dims + w.rank);
  std::vector<int64_t> pad;
  for (size_t i = 0; i < kernel.size(); ++i) {
    want(window.stride[i] == 1, TRM_REASON_ATTRIBUTE, "steps and input dilation together");
    const int64_t reach = (kernel[i] - 1) * window.dilation[i];
    want(window.low[i] <= reach, TRM_REASON_ATTRIBUTE, "more padding than the kernel reaches");
    want(window.high[i] - reach < window.input_dilation[i], TRM_REASON_ATTRIBUTE,
         "more padding than the kernel reaches");
    pad.push_back(reach - window.low[i]);
    pad.push_back(std::max<int64_t>(0, reach - window.high[i]));  // what is left grows the output
  }
  // [groups, channels in, channels out, kernel], read from [groups * out, in, kernel].
  const int64_t out = w.dims[0] / groups;
  TrmValue view = w;
  view.rank = 5;
  int64_t first = 0;
  view.dims[0] = groups, view.strides[0] = w.strides[0] * out;
  view.dims[1] = w.dims[1], view.strides[1] = w.strides[1];
  view.dims[2] = out, view.strides[2] = w.strides[0];
  for (uint32_t a = 2; a < 4; ++a) {
    view.dims[a + 1] = w.dims[a];
    view.strides[a + 1] = -w.strides[a];
    first += (w.dims[a] - 1) * w.strides[a];
  }
  // A reversed view starts at its last element: only where it does is the memory there from there on.
  uint32_t weight = b.raw(1);
  weight = chip::is_dense(view) ? b.raw(1) : b.dense(weight, view, first);
  const int64_t shift = chip::is_dense(view) ? first : 0;
  const uint32_t xs = b.dense(0), ys = b.result();
  by_product(b, x.dtype, [&]<class T, class TGEMM>(T, TGEMM) {
    const double operations = 2.0 * static_cast<double>(chip::elements(x)) * static_cast<double>(out) *
                              static_cast<double>(kernel[0] * kernel[1]);
    const double bytes = static_cast<double>(bytes_of(b.input(0)) + bytes_of(b.output()));
    b.product_step("conv2d_transpose_v2", operations, static_cast<double>(bytes_of(w)), bytes, [=](const Run& run) {
      return api::conv2d_transpose_v2<T, T, T, TGEMM>(run.context, run.at<T>(xs), run.at<T>(weight) + shift,
                                                      run.at<T>(ys), x.dims[0], x.dims[1], y.dims[2], y.dims[3],
                                                      y.dims[1], kernel, window.input_dilation, pad, window.dilation,
                                                      groups, nullptr, nullptr, nullptr, true);
    });
  });
}

void convolution(Builder& b) {
  const size_t spatial = b.input(0).rank - 2;
  Window window{spread(b.node().integers("strides"), spatial), spread(b.node().integers("low"), spatial),
                spread(b.node().integers("high"), spatial), spread(b.node().integers("dilation"), spatial),
                spread(b.node().integers("input_dilation"), spatial)};
  lift(window.stride, 1), lift(window.low, 0), lift(window.high, 0), lift(window.dilation, 1);
  lift(window.input_dilation, 1);
  const int64_t groups = b.node().integer("groups");
  want(b.input(1).dims[1] > 0 && b.input(0).dims[0] > 0, TRM_REASON_SHAPE, "nothing to sum over");
  const bool plain =
      std::all_of(window.input_dilation.begin(), window.input_dilation.end(), [](int64_t step) { return step == 1; });
  if (plain) forward(b, window, groups, TRM_ABSENT);
  else transposed(b, window, groups);
}

void conv(Builder& b) {
  const size_t spatial = b.input(0).rank - 2;
  Window window{spread(b.node().integers("stride"), spatial),
                spread(b.node().integers("padding"), spatial),
                spread(b.node().integers("padding"), spatial),
                spread(b.node().integers("dilation"), spatial),
                {}};
  lift(window.stride, 1), lift(window.low, 0), lift(window.high, 0), lift(window.dilation, 1);
  forward(b, window, b.node().integer("groups"), as_floats(b, 2));
}

constexpr KernelEntry kEntries[] = {
    {"convolution", chip_floats, convolution},
    {"conv1d", chip_floats, conv},
    {"conv2d", chip_floats, conv},
};

}  // namespace

std::span<const KernelEntry> convolution_kernels() { return kEntries; }

}  // namespace trireme::kunlun
