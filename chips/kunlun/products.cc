// Matrix products on the SDNN units. Transposed operands are read as they lie.
#include <cmath>
#include <cstring>

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

Weight weight_of(Builder& b, uint32_t index) {
  const uint32_t value = b.node().inputs()[index];
  const TrmValue v = b.program().value(value);
  if (v.known && v.dtype == TRM_F32) {
    const std::vector<std::byte> bytes = packed(v);
    std::vector<float> floats(bytes.size() / sizeof(float));
    std::memcpy(floats.data(), bytes.data(), bytes.size());
    float greatest = 0;
    bool finite = true;
    for (const float w : floats) {
      greatest = std::max(greatest, std::fabs(w));
      finite &= std::isfinite(w);
    }
    if (finite) {
      constexpr double kLimit = 32767;
      const double scale = greatest > 0 ? kLimit / greatest : 0;
      std::vector<int16_t> numbers(floats.size());
      for (size_t i = 0; i < floats.size(); ++i) numbers[i] = static_cast<int16_t>(std::nearbyint(floats[i] * scale));
      const std::vector<float> maxima(b.card().sdnn, greatest);
      b.inline_constant(value);
      return {TRM_ABSENT, b.table(std::as_bytes(std::span(numbers))), b.table(std::as_bytes(std::span(maxima))),
              static_cast<double>(numbers.size() * sizeof(int16_t))};
    }
  }
  return {b.dense(index), TRM_ABSENT, TRM_ABSENT, static_cast<double>(bytes_of(b.input(index)))};
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

// y = act(x w + bias), with whatever tail the node has. `leading`: of w; 0: it is dense.
void fully_connected(Builder& b, const Matrix& x, const Weight& w, bool transposed, int64_t m, int64_t n, int64_t k,
                     uint32_t bias, int64_t leading = 0) {
  const Tail& tail = b.take_tail();
  want(tail.branch == TRM_ABSENT && tail.addend == TRM_ABSENT, TRM_REASON_REGION, "a product and a sum with a tensor");
  const uint32_t y = b.result();
  const api::Activation_t act = tail.act;
  if (leading == 0) leading = transposed ? k : n;
  by_product(b, b.input(0).dtype, w, [&]<class T, class TW, class TGEMM>(T, TW, TGEMM) {
    const double operations = 2.0 * static_cast<double>(m * n) * static_cast<double>(k);
    const double bytes = static_cast<double>(bytes_of(b.input(0)) + bytes_of(b.output())) + searched_bytes(b, w);
    b.product_step("fc_fusion", operations, w.bytes, bytes, [=](const Run& run) {
      return api::fc_fusion<T, TW, T, TGEMM>(run.context, run.at<T>(x.slot), w.at<TW>(run), run.at<T>(y), m, n, k,
                                             x.transposed, transposed, nullptr, w.maxima_at(run), nullptr, x.leading,
                                             leading, n, 1.0f, 0.0f, floats_at(run, bias), act);
    });
  });
}

void dot_general(Builder& b) {
  const TrmValue x = b.input(0), w = b.input(1);
  const int64_t batches = x.dims[0], m = x.dims[1], k = x.dims[2], n = w.dims[2];
  if (k == 0) return zero(b);
  const double operations = 2.0 * static_cast<double>(batches * m * n) * static_cast<double>(k);
  const Matrix xm = matrix(b, 0, batches > 1);
  if (batches == 1 && b.program().value(b.node().inputs()[1]).known) {
    const Weight weight = weight_of(b, 1);
    if (weight.is_fixed()) return fully_connected(b, xm, weight, false, m, n, k, TRM_ABSENT);
  }
  const Matrix wm = matrix(b, 1, batches > 1);
  if (batches == 1) {
    const Weight weight{wm.slot, TRM_ABSENT, TRM_ABSENT, static_cast<double>(bytes_of(w))};
    return fully_connected(b, xm, weight, wm.transposed, m, n, k, TRM_ABSENT, wm.leading);
  }
  const uint32_t y = b.result();
  by_product(b, x.dtype, [&]<class T, class TGEMM>(T, TGEMM) {
    b.product_step("fc_batched", operations, 0, x.dtype == TRM_F32 ? 2.0 * traffic(b) : traffic(b),
                   [=](const Run& run) {
                     return api::fc_batched<T, T, T, TGEMM>(run.context, batches, xm.transposed, wm.transposed, m, n, k,
                                                            1.0f, run.at<T>(xm.slot), xm.batch, run.at<T>(wm.slot),
                                                            wm.batch, 0.0f, run.at<T>(y), m * n, nullptr, nullptr);
                   });
  });
}

// y[..., o] = sum_i x[..., i] weight[o, i] + bias[o].
void linear(Builder& b) {
  const TrmValue x = b.input(0), weight = b.input(1);
  const int64_t k = weight.dims[1], n = weight.dims[0];
  want(k > 0, TRM_REASON_SHAPE, "nothing to sum over");
  const int64_t m = chip::elements(x) / k;
  const Matrix xm{b.dense(0), false, k, 0};
  const uint32_t bias = as_floats(b, 2);
  if (b.program().value(b.node().inputs()[1]).known) {
    const Weight known = weight_of(b, 1);
    if (known.is_fixed()) return fully_connected(b, xm, known, true, m, n, k, bias);
  }
  const Matrix wm = matrix(b, 1, false);
  const Weight given{wm.slot, TRM_ABSENT, TRM_ABSENT, static_cast<double>(bytes_of(weight))};
  fully_connected(b, xm, given, !wm.transposed, m, n, k, bias, wm.leading);
}

constexpr KernelEntry kEntries[] = {
    {"dot_general", chip_floats, dot_general},
    {"linear", chip_floats, linear},
};

}  // namespace

std::span<const KernelEntry> product_kernels() { return kEntries; }

}  // namespace trireme::kunlun
