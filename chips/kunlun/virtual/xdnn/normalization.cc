// Softmax and normalisations, of xpu/refactor/nn.h.
#include <algorithm>
#include <cmath>

#include "chips/kunlun/virtual/xdnn/rows.h"
#include "xpu/refactor/nn.h"

namespace baidu::xpu::api {

using namespace detail;

namespace {

// Numbers `step` apart, as floats in a row and back.
template <class T>
void read_row(const T* x, int64_t count, int64_t step, float* row) {
  for (int64_t i = 0; i < count; ++i) row[i] = static_cast<float>(x[i * step]);
}
template <class T>
void write_row(const float* row, int64_t count, int64_t step, T* y) {
  for (int64_t i = 0; i < count; ++i) y[i * step] = T(row[i]);
}

template <class T>
int softmax(Context* ctx, const char* op, bool logarithm, const T* x, T* y, const std::vector<int64_t>& xshape,
            int64_t axis) {
  const int64_t count = count_of(xshape);
  XDNN_CHECK(count >= 0, text(xshape), " is no shape");
  XDNN_CHECK(normalize_axis(&axis, xshape.size()), "there is no axis ", axis, " of ", text(xshape));
  const Cut cut = cut_at(xshape, axis);
  const auto run = [=](const T* x, T* y) {
    parallel(cut.outer * cut.inner, std::max<int64_t>(1, 4096 / cut.extent), [&](int64_t begin, int64_t end) {
      std::vector<float> row(static_cast<size_t>(cut.extent));
      for (int64_t line = begin; line < end; ++line) {
        const int64_t first = line / cut.inner * cut.extent * cut.inner + line % cut.inner;
        read_row(x + first, cut.extent, cut.inner, row.data());
        const float greatest = greatest_of(row.data(), cut.extent);
        for (float& value : row) value -= greatest;
        const float sum = sum_over<float>(cut.extent, [&](int64_t i) { return std::exp(row[i]); });
        const float log_sum = std::log(sum);
        for (float& value : row) value = logarithm ? value - log_sum : std::exp(value) / sum;
        write_row(row.data(), cut.extent, cut.inner, y + first);
      }
    });
  };
  return launch(ctx, op, {.vector_ops = 2 * kFunction * static_cast<double>(count)}, run, In<T>{x, count},
                Out<T>{y, count});
}

struct Moments {
  float mean, variance;
};
Moments moments_of(const float* row, int64_t count) {
  const auto n = static_cast<float>(count);
  const float mean = sum_over<float>(count, [&](int64_t i) { return row[i]; }) / n;
  return {mean, sum_over<float>(count, [&](int64_t i) { return (row[i] - mean) * (row[i] - mean); }) / n};
}

// Elements of n x c x pixels, or n x pixels x c.
struct Image {
  int64_t n, c, pixels;
  bool is_nchw;

  int64_t count() const { return n * c * pixels; }
  int64_t at(int64_t image, int64_t channel) const {  // of the first pixel
    return is_nchw ? (image * c + channel) * pixels : image * pixels * c + channel;
  }
  int64_t step() const { return is_nchw ? 1 : c; }
};

constexpr double kCost = 4 * kCheap;  // of a norm, per element

}  // namespace

template <class T>
int softmax(Context* ctx, const T* x, T* y, const std::vector<int64_t>& xshape, int64_t axis) {
  return softmax(ctx, "softmax", false, x, y, xshape, axis);
}
template <class T>
int log_softmax(Context* ctx, const T* x, T* y, const std::vector<int64_t>& xshape, int64_t axis) {
  return softmax(ctx, "log_softmax", true, x, y, xshape, axis);
}

template <class T>
int layer_norm(Context* ctx, const T* x, T* y, int64_t m, int64_t n, float eps, const float* scale, const float* bias,
               float* mean, float* var, bool is_rstd) {
  const char* op = "layer_norm";
  const int64_t count = count_of({m, n});
  XDNN_CHECK(count >= 0, m, " rows of ", n, " are no matrix");
  XDNN_CHECK(n > 0 || m == 0, "rows without elements have no mean");
  const auto run = [=](const T* x, T* y, const float* scale, const float* bias, float* mean, float* var) {
    parallel(m, std::max<int64_t>(1, 8192 / n), [&](int64_t begin, int64_t end) {
      std::vector<float> row(static_cast<size_t>(n));
      for (int64_t r = begin; r < end; ++r) {
        read_row(x + r * n, n, 1, row.data());
        const Moments moments = moments_of(row.data(), n);
        const float rstd = 1 / std::sqrt(moments.variance + eps);
        for (int64_t i = 0; i < n; ++i) {
          row[i] = (row[i] - moments.mean) * rstd * (scale ? scale[i] : 1) + (bias ? bias[i] : 0);
        }
        write_row(row.data(), n, 1, y + r * n);
        if (mean) mean[r] = moments.mean;
        if (var) var[r] = is_rstd ? rstd : moments.variance;
      }
    });
  };
  return launch(ctx, op, {.vector_ops = kCost * static_cast<double>(count)}, run, In<T>{x, count}, Out<T>{y, count},
                In<float>{scale, n, true}, In<float>{bias, n, true}, Out<float>{mean, m, true},
                Out<float>{var, m, true});
}

template <class T>
int rms_layer_norm(Context* ctx, const T* x, T* y, int64_t m, int64_t n, float eps, const float* scale,
                   const float* bias, float* var, bool is_rstd) {
  const char* op = "rms_layer_norm";
  const int64_t count = count_of({m, n});
  XDNN_CHECK(count >= 0, m, " rows of ", n, " are no matrix");
  XDNN_CHECK(n > 0 || m == 0, "rows without elements have no mean");
  const auto run = [=](const T* x, T* y, const float* scale, const float* bias, float* var) {
    parallel(m, std::max<int64_t>(1, 8192 / n), [&](int64_t begin, int64_t end) {
      std::vector<float> row(static_cast<size_t>(n));
      for (int64_t r = begin; r < end; ++r) {
        read_row(x + r * n, n, 1, row.data());
        const float square = sum_over<float>(n, [&](int64_t i) { return row[i] * row[i]; }) / static_cast<float>(n);
        const float rstd = 1 / std::sqrt(square + eps);
        for (int64_t i = 0; i < n; ++i) row[i] = row[i] * rstd * (scale ? scale[i] : 1) + (bias ? bias[i] : 0);
        write_row(row.data(), n, 1, y + r * n);
        if (var) var[r] = is_rstd ? rstd : square;
      }
    });
  };
  return launch(ctx, op, {.vector_ops = kCost * static_cast<double>(count)}, run, In<T>{x, count}, Out<T>{y, count},
                In<float>{scale, n, true}, In<float>{bias, n, true}, Out<float>{var, m, true});
}

template <class T>
int batch_norm(Context* ctx, const T* x, T* y, int64_t n, int64_t c, int64_t h, int64_t w, float eps, float momentum,
               const float* scale, const float* bias, float* batch_mean, float* batch_inv_std, float* global_mean,
               float* global_var, bool is_nchw) {
  const char* op = "batch_norm";
  const int64_t count = count_of({n, c, h, w});
  XDNN_CHECK(count >= 0, text({n, c, h, w}), " is no shape");
  XDNN_CHECK(count > 0 || c == 0, "channels of ", text({n, c, h, w}), " are empty: they have no mean");
  const Image image{n, c, h * w, is_nchw};
  const auto run = [=](const T* x, T* y, const float* scale, const float* bias, float* batch_mean, float* batch_inv_std,
                       float* global_mean, float* global_var) {
    parallel(c, std::max<int64_t>(1, 8192 / (image.n * image.pixels)), [&](int64_t begin, int64_t end) {
      const int64_t size = image.n * image.pixels;
      std::vector<float> row(static_cast<size_t>(size));
      for (int64_t channel = begin; channel < end; ++channel) {
        for (int64_t i = 0; i < image.n; ++i) {
          read_row(x + image.at(i, channel), image.pixels, image.step(), row.data() + i * image.pixels);
        }
        const Moments moments = moments_of(row.data(), size);
        const float rstd = 1 / std::sqrt(moments.variance + eps);
        for (float& value : row) value = (value - moments.mean) * rstd * scale[channel] + bias[channel];
        for (int64_t i = 0; i < image.n; ++i) {
          write_row(row.data() + i * image.pixels, image.pixels, image.step(), y + image.at(i, channel));
        }
        batch_mean[channel] = moments.mean;
        batch_inv_std[channel] = rstd;
        if (global_mean) global_mean[channel] = momentum * global_mean[channel] + (1 - momentum) * moments.mean;
        if (global_var) global_var[channel] = momentum * global_var[channel] + (1 - momentum) * moments.variance;
      }
    });
  };
  return launch(ctx, op, {.vector_ops = kCost * static_cast<double>(count)}, run, In<T>{x, count}, Out<T>{y, count},
                In<float>{scale, c}, In<float>{bias, c}, Out<float>{batch_mean, c}, Out<float>{batch_inv_std, c},
                Out<float>{global_mean, c, true}, Out<float>{global_var, c, true});
}

template <class T>
int batch_norm_infer(Context* ctx, const T* x, T* y, int64_t n, int64_t c, int64_t h, int64_t w, float eps,
                     const float* scale, const float* bias, const float* mean, const float* var, bool is_nchw) {
  const char* op = "batch_norm_infer";
  const int64_t count = count_of({n, c, h, w});
  XDNN_CHECK(count >= 0, text({n, c, h, w}), " is no shape");
  if (count == 0) return SUCCESS;
  const Image image{n, c, h * w, is_nchw};
  const auto run = [=](const T* x, T* y, const float* scale, const float* bias, const float* mean, const float* var) {
    parallel(c, std::max<int64_t>(1, 8192 / (image.n * image.pixels)), [&](int64_t begin, int64_t end) {
      for (int64_t channel = begin; channel < end; ++channel) {
        const float factor = scale[channel] / std::sqrt(var[channel] + eps);
        for (int64_t i = 0; i < image.n; ++i) {
          const int64_t first = image.at(i, channel), step = image.step();
          for (int64_t p = 0; p < image.pixels; ++p) {
            const auto value = static_cast<float>(x[first + p * step]);
            y[first + p * step] = T((value - mean[channel]) * factor + bias[channel]);
          }
        }
      }
    });
  };
  return launch(ctx, op, {.vector_ops = 2 * kCheap * static_cast<double>(count)}, run, In<T>{x, count},
                Out<T>{y, count}, In<float>{scale, c}, In<float>{bias, c}, In<float>{mean, c}, In<float>{var, c});
}

template <class T>
int group_norm(Context* ctx, const T* x, T* y, int64_t n, int64_t c, int64_t h, int64_t w, int64_t groups, float eps,
               const float* scale, const float* bias, float* mean, float* var, bool is_nchw) {
  const char* op = "group_norm";
  const int64_t count = count_of({n, c, h, w});
  XDNN_CHECK(count >= 0, text({n, c, h, w}), " is no shape");
  XDNN_CHECK(groups > 0 && c % groups == 0, c, " channels do not fall into ", groups, " groups");
  const Image image{n, c, h * w, is_nchw};
  const int64_t channels = c / groups, size = channels * h * w;
  if (count == 0) return SUCCESS;
  const auto run = [=](const T* x, T* y, const float* scale, const float* bias, float* mean, float* var) {
    parallel(n * groups, std::max<int64_t>(1, 8192 / size), [&](int64_t begin, int64_t end) {
      std::vector<float> row(static_cast<size_t>(size));
      for (int64_t g = begin; g < end; ++g) {
        const int64_t i = g / groups, first = g % groups * channels;
        for (int64_t k = 0; k < channels; ++k) {
          read_row(x + image.at(i, first + k), image.pixels, image.step(), row.data() + k * image.pixels);
        }
        const Moments moments = moments_of(row.data(), size);
        const float rstd = 1 / std::sqrt(moments.variance + eps);
        for (int64_t k = 0; k < channels; ++k) {
          float* part = row.data() + k * image.pixels;
          const float factor = scale ? scale[first + k] : 1, added = bias ? bias[first + k] : 0;
          for (int64_t p = 0; p < image.pixels; ++p) part[p] = (part[p] - moments.mean) * rstd * factor + added;
          write_row(part, image.pixels, image.step(), y + image.at(i, first + k));
        }
        if (mean) mean[g] = moments.mean;
        if (var) var[g] = moments.variance;
      }
    });
  };
  return launch(ctx, op, {.vector_ops = kCost * static_cast<double>(count)}, run, In<T>{x, count}, Out<T>{y, count},
                In<float>{scale, c, true}, In<float>{bias, c, true}, Out<float>{mean, n * groups, true},
                Out<float>{var, n * groups, true});
}

#define XDNN_NORMALIZATIONS(T)                                                                                         \
  template int softmax<T>(Context*, const T*, T*, const std::vector<int64_t>&, int64_t);                               \
  template int log_softmax<T>(Context*, const T*, T*, const std::vector<int64_t>&, int64_t);                           \
  template int layer_norm<T>(Context*, const T*, T*, int64_t, int64_t, float, const float*, const float*, float*,      \
                             float*, bool);                                                                            \
  template int rms_layer_norm<T>(Context*, const T*, T*, int64_t, int64_t, float, const float*, const float*, float*,  \
                                 bool);                                                                                \
  template int batch_norm<T>(Context*, const T*, T*, int64_t, int64_t, int64_t, int64_t, float, float, const float*,   \
                             const float*, float*, float*, float*, float*, bool);                                      \
  template int batch_norm_infer<T>(Context*, const T*, T*, int64_t, int64_t, int64_t, int64_t, float, const float*,    \
                                   const float*, const float*, const float*, bool);                                    \
  template int group_norm<T>(Context*, const T*, T*, int64_t, int64_t, int64_t, int64_t, int64_t, float, const float*, \
                             const float*, float*, float*, bool);
XDNN_FOR_FLOATS(XDNN_NORMALIZATIONS)

}  // namespace baidu::xpu::api
