// Matrix products: fc_fusion, fc, fc_batched.
#include <vector>

#include "chips/kunlun/virtual/xdnn/arithmetic.h"
#include "chips/kunlun/virtual/xdnn/gemm.h"
#include "xpu/refactor/fusion.h"

namespace baidu::xpu::api {
namespace {

using namespace detail;

// A matrix as it lies: rows x columns of the product, or the other way round.
struct Matrix {
  int64_t rows, columns, ld;
  bool transposed;

  int64_t elements() const {  // from the first to the last
    const int64_t outer = transposed ? columns : rows, inner = transposed ? rows : columns;
    return outer == 0 || inner == 0 ? 0 : (outer - 1) * ld + inner;
  }
  bool fits() const { return ld >= (transposed ? rows : columns); }
  int64_t at(int64_t row, int64_t column) const { return transposed ? column * ld + row : row * ld + column; }
  int64_t column_step() const { return transposed ? ld : 1; }
};

template <class T>
double absolute_maximum(const T* x, const Matrix& matrix) {
  const int64_t outer = matrix.transposed ? matrix.columns : matrix.rows;
  const int64_t inner = matrix.transposed ? matrix.rows : matrix.columns;
  double greatest = 0;
  for (int64_t i = 0; i < outer; ++i) {
    const double one = detail::absolute_maximum(x + i * matrix.ld, inner);
    if (!(one <= greatest)) greatest = one;
    if (greatest != greatest) break;
  }
  return greatest;
}

struct Epilogue {
  float alpha, beta;
  const float* bias;
  Activation_t act;
};

template <class TX, class TW, class TY, class TGEMM>
void product(const TX* x, const Matrix& x_matrix, double x_max, const TW* w, const Matrix& w_matrix, double w_max,
             TY* y, int64_t ldy, const Epilogue& epilogue) {
  using Acc = Accumulator<TGEMM>;
  constexpr bool kByRow = std::is_same_v<TGEMM, int_with_ll_t>;
  const int64_t m = x_matrix.rows, n = w_matrix.columns, k = x_matrix.columns;
  std::vector<double> x_maxima(kByRow ? m : 1, x_max), w_maxima(kByRow ? n : 1, w_max);
  if constexpr (kByRow) {
    for (int64_t i = 0; i < m; ++i) {
      x_maxima[i] = detail::absolute_maximum(x + x_matrix.at(i, 0), k, x_matrix.column_step());
    }
    const int64_t row_step = w_matrix.transposed ? 1 : w_matrix.ld;
    for (int64_t j = 0; j < n; ++j) w_maxima[j] = detail::absolute_maximum(w + w_matrix.at(0, j), k, row_step);
  }
  multiply<Acc>({
      m,
      n,
      k,
      [&](int64_t i, int64_t from, int64_t count, Acc* row) {
        const double scale = scale_of<TGEMM>(x_maxima[kByRow ? i : 0]);
        const TX* source = x + x_matrix.at(i, from);
        const int64_t step = x_matrix.column_step();
        for (int64_t l = 0; l < count; ++l) row[l] = operand<TGEMM>(source[l * step], scale);
      },
      [&](int64_t l, int64_t from, int64_t count, Acc* row) {
        const TW* source = w + w_matrix.at(l, from);
        const int64_t step = w_matrix.column_step();
        if constexpr (kByRow) {
          for (int64_t j = 0; j < count; ++j) {
            row[j] = operand<TGEMM>(source[j * step], scale_of<TGEMM>(w_maxima[from + j]));
          }
        } else {
          const double scale = scale_of<TGEMM>(w_maxima[0]);
          for (int64_t j = 0; j < count; ++j) row[j] = operand<TGEMM>(source[j * step], scale);
        }
      },
      [&](int64_t i, int64_t from, int64_t count, const Acc* row) {
        const double x_unit = unit_of<TGEMM>(x_maxima[kByRow ? i : 0]);
        TY* target = y + i * ldy + from;
        for (int64_t j = 0; j < count; ++j) {
          const double unit = x_unit * unit_of<TGEMM>(w_maxima[kByRow ? from + j : 0]);
          float value = epilogue.alpha * static_cast<float>(row[j] * unit);
          if (epilogue.beta != 0) value += epilogue.beta * static_cast<float>(target[j]);
          if (epilogue.bias) value += epilogue.bias[from + j];
          target[j] = TY(activate(epilogue.act, value));
        }
      },
  });
}

// What is the same in all of them; `op` names the one that was called.
template <class TX, class TW, class TY, class TGEMM>
int products(Context* ctx, const char* op, int64_t batch, const TX* x, Matrix x_matrix, int64_t x_stride, const TW* w,
             Matrix w_matrix, int64_t w_stride, TY* y, int64_t ldy, int64_t y_stride, const float* x_maxptr,
             const float* w_maxptr, float* y_maxptr, Epilogue epilogue, bool w_is_weight) {
  constexpr int64_t kMost = int64_t{1} << 31;
  const int64_t m = x_matrix.rows, n = w_matrix.columns, k = x_matrix.columns;
  XDNN_CHECK(ctx, "the context is null");
  for (const int64_t extent : {batch, m, n, k}) {
    XDNN_CHECK(extent >= 0 && extent < kMost, "batch ", batch, ", m ", m, ", n ", n, ", k ", k,
               ": all must be from 0 to 2^31");
  }
  XDNN_CHECK(count_of({batch, m, n}) >= 0 && count_of({m, k}) >= 0 && count_of({k, n}) >= 0,
             "the product is too large");
  XDNN_CHECK(
      x_matrix.fits() && w_matrix.fits() && ldy >= n && x_matrix.ld < kMost && w_matrix.ld < kMost && ldy < kMost,
      "ldx ", x_matrix.ld, ", ldw ", w_matrix.ld, ", ldy ", ldy, ": rows must not overlap");
  XDNN_CHECK(x_stride >= 0 && w_stride >= 0 && y_stride >= 0, "strides must not be negative");
  XDNN_CHECK(batch <= 1 || y_stride >= (m - 1) * ldy + n, "results of a batch overlap: stride_c ", y_stride);
  XDNN_CHECK((!std::is_integral_v<TX> || x_maxptr) && (!std::is_integral_v<TW> || w_maxptr),
             "operands of an integer type need their max-pointers");
  if (batch == 0 || m == 0 || n == 0) return SUCCESS;

  const int64_t maxima = ctx->max_ptr_size();
  const auto extent = [&](const Matrix& matrix, int64_t stride) { return matrix.elements() + (batch - 1) * stride; };
  const int64_t x_count = extent(x_matrix, x_stride), w_count = extent(w_matrix, w_stride);
  const int64_t y_count = (m - 1) * ldy + n + (batch - 1) * y_stride;
  Work work{.operations = 2.0 * static_cast<double>(batch) * static_cast<double>(m) * static_cast<double>(n) *
                          static_cast<double>(k),
            .arithmetic = arithmetic_of<TGEMM>};
  add_pass<TGEMM, TX>(&work, x_maxptr, x_count);
  add_pass<TGEMM, TW>(&work, w_maxptr, w_count);
  const auto run = [=](const TX* x, const TW* w, TY* y, const float* x_maxptr, const float* w_maxptr, const float* bias,
                       float* y_maxptr) {
    double x_max = 1, w_max = 1;
    if (is_fixed<TGEMM> && !std::is_same_v<TGEMM, int_with_ll_t>) {
      const auto greatest = [&](const auto* data, const Matrix& matrix, int64_t stride, const float* given) {
        if (given) return maximum_of(given, maxima);
        double found = 0;
        for (int64_t b = 0; b < (stride == 0 ? 1 : batch); ++b) {
          const double one = absolute_maximum(data + b * stride, matrix);
          if (!(one <= found)) found = one;
        }
        return found;
      };
      x_max = greatest(x, x_matrix, x_stride, x_maxptr);
      w_max = greatest(w, w_matrix, w_stride, w_maxptr);
    }
    Epilogue after = epilogue;
    after.bias = bias;
    // Small products go side by side; inside of a piece multiply() has one thread.
    parallel(batch, 1, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        product<TX, TW, TY, TGEMM>(x + b * x_stride, x_matrix, x_max, w + b * w_stride, w_matrix, w_max,
                                   y + b * y_stride, ldy, after);
      }
    });
    if (!y_maxptr) return;
    double greatest = 0;
    for (int64_t b = 0; b < batch; ++b) {
      const double one = absolute_maximum(y + b * y_stride, Matrix{m, n, ldy, false});
      if (!(one <= greatest)) greatest = one;
    }
    std::fill_n(y_maxptr, maxima, static_cast<float>(greatest));
  };
  const double y_passes = epilogue.beta == 0 ? 1 : 2;
  return launch(ctx, op, work, run, In<TX>{x, x_count}, In<TW>{w, w_count, false, w_is_weight},
                Out<TY>{y, y_count, false, y_passes * static_cast<double>(batch * m * n)},
                In<float>{x_maxptr, maxima, true}, In<float>{w_maxptr, maxima, true}, In<float>{epilogue.bias, n, true},
                Out<float>{y_maxptr, maxima, true});
}

}  // namespace

template <class TX, class TW, class TY, class TGEMM>
int fc_fusion(Context* ctx, const TX* x, const TW* w, TY* y, int64_t m, int64_t n, int64_t k, bool x_trans,
              bool w_trans, const float* x_maxptr, const float* w_maxptr, float* y_maxptr, int64_t ldx, int64_t ldw,
              int64_t ldy, float alpha, float beta, const float* bias, const Activation_t& act) {
  if (ctx && ctx->dev().type() != kCPU && ctx->dev().type() < first_with<TGEMM>()) {
    return refuse("fc_fusion", NOT_IMPLEMENT, "the arithmetic is not there on this generation");
  }
  return products<TX, TW, TY, TGEMM>(ctx, "fc_fusion", 1, x, {m, k, ldx, x_trans}, 0, w, {k, n, ldw, w_trans}, 0, y,
                                     ldy, 0, x_maxptr, w_maxptr, y_maxptr, {alpha, beta, bias, act}, true);
}

template <class TX, class TW, class TY, class TGEMM>
int fc(Context* ctx, const TX* x, const TW* w, TY* y, int64_t m, int64_t n, int64_t k, bool x_trans, bool w_trans,
       const float* x_maxptr, const float* w_maxptr, float* y_maxptr) {
  return fc_fusion<TX, TW, TY, TGEMM>(ctx, x, w, y, m, n, k, x_trans, w_trans, x_maxptr, w_maxptr, y_maxptr,
                                      x_trans ? m : k, w_trans ? k : n, n, 1, 0, nullptr, Activation_t::LINEAR);
}

template <class TX, class TW, class TY, class TGEMM>
int fc_batched(Context* ctx, int64_t batch_size, bool x_trans, bool w_trans, int64_t m, int64_t n, int64_t k,
               float alpha, const TX* x, int64_t stride_a, const TW* w, int64_t stride_b, float beta, TY* y,
               int64_t stride_c, const float* x_maxptr, const float* w_maxptr) {
  if (ctx && ctx->dev().type() != kCPU && ctx->dev().type() < first_with<TGEMM>()) {
    return refuse("fc_batched", NOT_IMPLEMENT, "the arithmetic is not there on this generation");
  }
  return products<TX, TW, TY, TGEMM>(ctx, "fc_batched", batch_size, x, {m, k, x_trans ? m : k, x_trans}, stride_a, w,
                                     {k, n, w_trans ? k : n, w_trans}, stride_b, y, n, stride_c, x_maxptr, w_maxptr,
                                     nullptr, {alpha, beta, nullptr, Activation_t::LINEAR}, false);
}

#define XDNN_FC(TX, TW, TY, TGEMM)                                                                                \
  template int fc_fusion<TX, TW, TY, TGEMM>(Context*, const TX*, const TW*, TY*, int64_t, int64_t, int64_t, bool, \
                                            bool, const float*, const float*, float*, int64_t, int64_t, int64_t,  \
                                            float, float, const float*, const Activation_t&);                     \
  template int fc<TX, TW, TY, TGEMM>(Context*, const TX*, const TW*, TY*, int64_t, int64_t, int64_t, bool, bool,  \
                                     const float*, const float*, float*);                                         \
  template int fc_batched<TX, TW, TY, TGEMM>(Context*, int64_t, bool, bool, int64_t, int64_t, int64_t, float,     \
                                             const TX*, int64_t, const TW*, int64_t, float, TY*, int64_t,         \
                                             const float*, const float*);
XDNN_FOR_PRODUCTS(XDNN_FC)
#define XDNN_FC_BY_ROW(T) XDNN_FC(T, T, T, int_with_ll_t)
XDNN_FOR_FLOATS(XDNN_FC_BY_ROW)

}  // namespace baidu::xpu::api
