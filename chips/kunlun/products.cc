// Matrix products on the SDNN units. Transposed operands are read as they lie.
#include "chips/kunlun/arithmetic.h"

namespace trireme::kunlun {

uint32_t as_floats(Builder& b, uint32_t index) {
  if (!b.has(index)) return TRM_ABSENT;
  const uint32_t from = b.dense(index);
  const uint32_t dtype = b.input(index).dtype;
  if (dtype == TRM_F32) return from;
  const int64_t count = chip::elements(b.input(index));
  const uint32_t to = b.temporary(static_cast<size_t>(count) * sizeof(float));
  by_float(dtype, [&]<class T>(T) {
    b.step("cast", static_cast<double>(count) * sizeof(float),
           [=](const Run& run) { return api::cast<T, float>(run.context, run.at<T>(from), run.at<float>(to), count); });
  });
  return to;
}

namespace {

// The last two axes of a value as a matrix in memory: its rows, or its columns when `transposed`, are `leading` apart.
struct Matrix {
  uint32_t slot;
  bool transposed;
  int64_t leading, batch;
};

Matrix matrix(Builder& b, uint32_t index, bool packed) {
  const TrmValue v = b.input(index);
  const uint32_t r = v.rank - 2, c = v.rank - 1;
  const int64_t rows = v.dims[r], columns = v.dims[c];
  const int64_t batch = v.rank == 3 && v.dims[0] > 1 ? v.strides[0] : 0;
  const auto fits = [&](int64_t inner, int64_t inner_size, int64_t outer, int64_t outer_size) {
    return (inner == 1 || inner_size == 1) &&
           (outer_size == 1 || (packed ? outer == inner_size : outer >= inner_size)) && batch >= 0;
  };
  if (fits(v.strides[c], columns, v.strides[r], rows)) {
    return {b.raw(index), false, rows == 1 ? columns : v.strides[r], batch};
  }
  if (fits(v.strides[r], rows, v.strides[c], columns)) {
    return {b.raw(index), true, columns == 1 ? rows : v.strides[c], batch};
  }
  return {b.dense(index), false, columns, rows * columns};
}

void zero(Builder& b) {
  const uint32_t y = b.result();
  const int64_t bytes = static_cast<int64_t>(bytes_of(b.output()));
  b.step("constant", static_cast<double>(bytes),
         [=](const Run& run) { return api::constant<int8_t>(run.context, run.at<int8_t>(y), bytes, int8_t{0}); });
}

double traffic(const Builder& b) {
  return static_cast<double>(bytes_of(b.input(0)) + bytes_of(b.input(1)) + bytes_of(b.output()));
}

void dot_general(Builder& b) {
  const TrmValue x = b.input(0), w = b.input(1);
  const int64_t batches = x.dims[0], m = x.dims[1], k = x.dims[2], n = w.dims[2];
  if (k == 0) return zero(b);
  const Matrix xm = matrix(b, 0, batches > 1), wm = matrix(b, 1, batches > 1);
  const uint32_t y = b.result();
  by_product(b, x.dtype, [&]<class T, class TGEMM>(T, TGEMM) {
    b.products(2.0 * static_cast<double>(batches * m * n) * static_cast<double>(k));
    if (batches > 1) {
      b.step("fc_batched", traffic(b), [=](const Run& run) {
        return api::fc_batched<T, T, T, TGEMM>(run.context, batches, xm.transposed, wm.transposed, m, n, k, 1.0f,
                                               run.at<T>(xm.slot), xm.batch, run.at<T>(wm.slot), wm.batch, 0.0f,
                                               run.at<T>(y), m * n, nullptr, nullptr);
      });
      return;
    }
    b.step("fc_fusion", traffic(b), [=](const Run& run) {
      return api::fc_fusion<T, T, T, TGEMM>(run.context, run.at<T>(xm.slot), run.at<T>(wm.slot), run.at<T>(y), m, n, k,
                                            xm.transposed, wm.transposed, nullptr, nullptr, nullptr, xm.leading,
                                            wm.leading, n, 1.0f, 0.0f, nullptr, api::Activation_t::LINEAR);
    });
  });
}

// y[..., o] = sum_i x[..., i] weight[o, i] + bias[o].
void linear(Builder& b) {
  const TrmValue x = b.input(0), weight = b.input(1);
  const int64_t k = weight.dims[1], n = weight.dims[0];
  want(k > 0, TRM_REASON_SHAPE, "nothing to sum over");
  const int64_t m = chip::elements(x) / k;
  const uint32_t xs = b.dense(0), bias = as_floats(b, 2), y = b.result();
  const Matrix wm = matrix(b, 1, false);
  by_product(b, x.dtype, [&]<class T, class TGEMM>(T, TGEMM) {
    b.products(2.0 * static_cast<double>(m * n) * static_cast<double>(k));
    b.step("fc_fusion", traffic(b), [=](const Run& run) {
      return api::fc_fusion<T, T, T, TGEMM>(run.context, run.at<T>(xs), run.at<T>(wm.slot), run.at<T>(y), m, n, k,
                                            false, !wm.transposed, nullptr, nullptr, nullptr, k, wm.leading, n, 1.0f,
                                            0.0f, floats_at(run, bias), api::Activation_t::LINEAR);
    });
  });
}

constexpr KernelEntry kEntries[] = {
    {"dot_general", chip_floats, dot_general},
    {"linear", chip_floats, linear},
};

}  // namespace

std::span<const KernelEntry> product_kernels() { return kEntries; }

}  // namespace trireme::kunlun
