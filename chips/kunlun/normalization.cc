// Softmax and normalisations, whole.
#include "chips/kunlun/arithmetic.h"

namespace trireme::kunlun {
namespace {

double traffic(const Builder& b) { return static_cast<double>(bytes_of(b.input(0)) + bytes_of(b.output())); }

template <bool kLog>
void softmax(Builder& b) {
  const uint32_t x = b.dense(0), y = b.result();
  const api::Shape shape = b.input(0).rank == 0 ? api::Shape{1} : shape_of(b.input(0));
  const int64_t axis = b.input(0).rank == 0 ? 0 : axis_of(b.node(), "axis", b.input(0).rank);
  by_float(b.input(0).dtype, [&]<class T>(T) {
    b.step(kLog ? "log_softmax" : "softmax", traffic(b), [=](const Run& run) {
      return kLog ? api::log_softmax<T>(run.context, run.at<T>(x), run.at<T>(y), shape, axis)
                  : api::softmax<T>(run.context, run.at<T>(x), run.at<T>(y), shape, axis);
    });
  });
}

// Rows of the last `axes` axes together.
struct Rows {
  int64_t count, size;
};
Rows rows_of(const Builder& b) {
  const TrmValue x = b.input(0);
  int64_t size = 1;
  for (int64_t a = x.rank - b.node().integer("axes"); a < x.rank; ++a) size *= x.dims[a];
  want(size > 0, TRM_REASON_SHAPE, "rows without elements");
  return {chip::elements(x) / size, size};
}

void layer_norm(Builder& b) {
  const Rows rows = rows_of(b);
  const uint32_t x = b.dense(0), weight = as_floats(b, 1), bias = as_floats(b, 2), y = b.result();
  const auto epsilon = static_cast<float>(b.node().number("epsilon"));
  by_float(b.input(0).dtype, [&]<class T>(T) {
    b.step("layer_norm", traffic(b), [=](const Run& run) {
      return api::layer_norm<T>(run.context, run.at<T>(x), run.at<T>(y), rows.count, rows.size, epsilon,
                                floats_at(run, weight), floats_at(run, bias), nullptr, nullptr);
    });
  });
}

void rms_norm(Builder& b) {
  const Rows rows = rows_of(b);
  const uint32_t x = b.dense(0), weight = as_floats(b, 1), y = b.result();
  const auto epsilon = static_cast<float>(b.node().number("epsilon"));
  by_float(b.input(0).dtype, [&]<class T>(T) {
    b.step("rms_layer_norm", traffic(b), [=](const Run& run) {
      return api::rms_layer_norm<T>(run.context, run.at<T>(x), run.at<T>(y), rows.count, rows.size, epsilon,
                                    floats_at(run, weight), nullptr, nullptr);
    });
  });
}

// x [N, C, ...] as n x c x h x w.
struct Image {
  int64_t n, c, h, w;
};
Image image_of(const TrmValue& x) {
  Image image{x.dims[0], x.dims[1], 1, 1};
  for (uint32_t a = 2; a < x.rank; ++a) image.w *= x.dims[a];
  want(image.n * image.w > 0, TRM_REASON_SHAPE, "channels without elements");
  return image;
}

// A float vector where one is not given.
uint32_t or_constant(Builder& b, uint32_t slot, int64_t count, float value) {
  if (slot != TRM_ABSENT) return slot;
  const uint32_t made = b.temporary(static_cast<size_t>(count) * sizeof(float));
  b.step("constant", static_cast<double>(count) * sizeof(float),
         [=](const Run& run) { return api::constant<float>(run.context, run.at<float>(made), count, value); });
  return made;
}

// The library writes 1 / sqrt(variance + epsilon). The variance itself it adds to a running one: with a momentum of 0
// to none, but what was there is still multiplied by it, so it must be a number.
void batch_norm(Builder& b) {
  const Image i = image_of(b.input(0));
  const uint32_t x = b.dense(0), y = b.result();
  const uint32_t weight = or_constant(b, as_floats(b, 1), i.c, 1.0f), bias = or_constant(b, as_floats(b, 2), i.c, 0.0f);
  const uint32_t mean = b.result(1), variance = or_constant(b, TRM_ABSENT, 2 * i.c, 0.0f);
  const uint32_t inverse = b.temporary(static_cast<size_t>(i.c) * sizeof(float)), out = b.result(2);
  const auto epsilon = static_cast<float>(b.node().number("epsilon"));
  by_float(b.input(0).dtype, [&]<class T>(T) {
    b.step("batch_norm", traffic(b), [=](const Run& run) {
      return api::batch_norm<T>(run.context, run.at<T>(x), run.at<T>(y), i.n, i.c, i.h, i.w, epsilon, 0.0f,
                                run.at<float>(weight), run.at<float>(bias), run.at<float>(mean), run.at<float>(inverse),
                                run.at<float>(variance), run.at<float>(variance) + i.c, true);
    });
  });
  b.step("copy", 8.0 * static_cast<double>(i.c), [=](const Run& run) {
    return api::copy<float>(run.context, run.at<float>(variance) + i.c, run.at<float>(out), i.c);
  });
}

void batch_norm_inference(Builder& b) {
  const Image i = image_of(b.input(0));
  const uint32_t x = b.dense(0), mean = as_floats(b, 1), variance = as_floats(b, 2), y = b.result();
  const uint32_t weight = or_constant(b, as_floats(b, 3), i.c, 1.0f), bias = or_constant(b, as_floats(b, 4), i.c, 0.0f);
  const auto epsilon = static_cast<float>(b.node().number("epsilon"));
  by_float(b.input(0).dtype, [&]<class T>(T) {
    b.step("batch_norm_infer", traffic(b), [=](const Run& run) {
      return api::batch_norm_infer<T>(run.context, run.at<T>(x), run.at<T>(y), i.n, i.c, i.h, i.w, epsilon,
                                      run.at<float>(weight), run.at<float>(bias), run.at<float>(mean),
                                      run.at<float>(variance), true);
    });
  });
}

void group_norm(Builder& b) {
  const Image i = image_of(b.input(0));
  const int64_t groups = b.node().integer("groups");
  const uint32_t x = b.dense(0), weight = as_floats(b, 1), bias = as_floats(b, 2), y = b.result();
  const auto epsilon = static_cast<float>(b.node().number("epsilon"));
  by_float(b.input(0).dtype, [&]<class T>(T) {
    b.step("group_norm", traffic(b), [=](const Run& run) {
      return api::group_norm<T>(run.context, run.at<T>(x), run.at<T>(y), i.n, i.c, i.h, i.w, groups, epsilon,
                                floats_at(run, weight), floats_at(run, bias), nullptr, nullptr, true);
    });
  });
}

constexpr KernelEntry kEntries[] = {
    {"softmax", chip_floats, softmax<false>}, {"log_softmax", chip_floats, softmax<true>},
    {"layer_norm", chip_floats, layer_norm},  {"rms_norm", chip_floats, rms_norm},
    {"batch_norm", chip_floats, batch_norm},  {"batch_norm_inference", chip_floats, batch_norm_inference},
    {"group_norm", chip_floats, group_norm},
};

}  // namespace

std::span<const KernelEntry> normalization_kernels() { return kEntries; }

}  // namespace trireme::kunlun
