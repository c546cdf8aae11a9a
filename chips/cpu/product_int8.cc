#include "chips/cpu/product_int8.h"

#include <algorithm>
#include <utility>

#include "chips/cpu/gemm.h"
#include "chips/cpu/kernel.h"

namespace trireme::cpu {
namespace {

constexpr int64_t kWaitingSums = 1 << 18;  // a megabyte

}  // namespace

Int8Product::Int8Product(const Int8Kernel& kernel, const XForm& form, const Sizes& sizes,
                         std::shared_ptr<const Epilogue> epilogue, uint32_t out, Lines lines)
    : kernel_(kernel),
      form_(form),
      sizes_(sizes),
      epilogue_(std::move(epilogue)),
      out_(epilogue_ ? epilogue_->target() : out),
      lines_(std::move(lines)) {
  // Pieces of the result for the threads: rows, or columns where there are few rows.
  const int64_t batch = sizes_.batch, m = sizes_.m, n = sizes_.n;
  const auto threads = static_cast<int64_t>(host->threads());
  const double work = 2.0 * static_cast<double>(batch * m * n) * static_cast<double>(sizes_.k);
  const int64_t wanted =
      threads == 1
          ? 1
          : std::clamp<int64_t>(static_cast<int64_t>(work / 4e6) / std::max<int64_t>(1, batch), 1, 2 * threads);
  by_rows_ = m >= n / 4;
  const int64_t unit = by_rows_ ? kernel_.rows : kernel_.columns, size = by_rows_ ? m : n;
  step_ = std::max<int64_t>(unit, round_up((size + wanted - 1) / wanted, unit));
  if (out_ == TRM_ABSENT) {  // sums that wait for the epilogue stay in the cache
    const int64_t other = std::max<int64_t>(1, by_rows_ ? n : m);
    step_ = std::clamp(kWaitingSums / other / unit * unit, unit, step_);
  }
  pieces_ = (size + step_ - 1) / step_;
}

std::shared_ptr<const Int8Product::Weights> Int8Product::pack(const int8_t* w, int64_t k_stride,
                                                              int64_t n_stride) const {
  auto weights =
      std::shared_ptr<Weights>(new Weights{{kernel_, Int8Left::kX, w, k_stride, n_stride, sizes_.k, sizes_.n}, {}});
  weights->start = weights->panels.start(kernel_.correction(form_));
  return weights;
}

void Int8Product::run(void* const* values, const uint8_t* x,
                      std::span<const std::shared_ptr<const Weights>> weights) const {
  if (sizes_.batch * sizes_.m * sizes_.n == 0) return;
  auto* c = out_ == TRM_ABSENT ? nullptr : static_cast<int32_t*>(values[out_]);
  const int64_t width = sizes_.width();
  parallel_for(sizes_.batch * pieces_, 1, [&](int64_t begin, int64_t end) {
    Epilogue::Session session;
    if (epilogue_) session = epilogue_->begin(values);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t batch = task / pieces_, at = task % pieces_ * step_;
      const int64_t row = by_rows_ ? at : 0, rows = by_rows_ ? std::min(step_, sizes_.m - at) : sizes_.m;
      const int64_t column = by_rows_ ? 0 : at, columns = by_rows_ ? sizes_.n : std::min(step_, sizes_.n - at);
      const int64_t to_row = batch * sizes_.rows + row, to_column = batch * sizes_.columns + column;
      const Weights& here = *weights[weights.size() == 1 ? 0 : static_cast<size_t>(batch)];
      int32_t* target = c ? c + to_row * width + to_column : nullptr;
      int64_t stride = width;
      const bool roomy = c == nullptr && !epilogue_->likes_gapless_rows();
      if (!c) {
        stride = roomy ? round_up(columns, kernel_.columns) : columns;
        target = reinterpret_cast<int32_t*>(
            thread_scratch(kBlockScratch, static_cast<size_t>(rows * stride) * sizeof(int32_t)));
      }
      const auto left = [&](int64_t r, int64_t some, int64_t p, int64_t inner) {
        return left_panels(x, batch, row + r, some, p, inner);
      };
      const auto right = [&](int64_t s, int64_t, int64_t p, int64_t) { return here.panels.slice(p, column + s); };
      const auto done = [&](int64_t r, int64_t row_count, int64_t s, int64_t column_count) {
        if (!epilogue_) return;
        epilogue_->run_rows(session, to_row + r, row_count, to_column + s, column_count,
                            c ? nullptr : target + r * stride + s, stride);
      };
      multiply_int8(kernel_, Int8Left::kX, rows, columns, sizes_.k, left, right, here.start.data() + column, target,
                    stride, roomy, done);
    }
  });
}

// In a buffer of this thread.
const int32_t* Int8Product::left_panels(const uint8_t* x, int64_t batch, int64_t row, int64_t rows, int64_t p,
                                        int64_t inner) const {
  const int64_t slots = kernel_.slots(inner);
  auto* panels = reinterpret_cast<int32_t*>(
      thread_scratch(kPackScratchA, static_cast<size_t>(round_up(rows, kernel_.rows) * slots) * sizeof(int32_t)));
  for (int64_t r = 0; r < rows; r += kernel_.rows) {
    lines_(x, batch, row + r, std::min(kernel_.rows, rows - r), p, inner, panels + r * slots);
  }
  return panels;
}

}  // namespace trireme::cpu
