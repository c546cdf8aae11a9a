// integer_dot_general: products of quantised matrices, with the elementwise nodes around them.
#include <algorithm>
#include <memory>

#include "chips/cpu/epilogue.h"
#include "chips/cpu/gemm_int8.h"
#include "chips/cpu/kernel.h"

namespace trireme::cpu {
namespace {

constexpr int64_t kWaitingSums = 1 << 18;  // a megabyte

class Int8Product {
 public:
  Int8Product(const Program& program, const NodeView& node)
      : x_(program.value(node.inputs()[0])),
        w_(program.value(node.inputs()[1])),
        in_x_(node.inputs()[0]),
        in_w_(node.inputs()[1]),
        out_(node.outputs()[0]),
        form_{dtype_of(x_) == i8, static_cast<int32_t>(node.integer("x_zero_point"))},
        kernel_(int8_kernel_for(w_)),
        epilogue_(Epilogue::of(program, node.number())) {
    if (epilogue_) out_ = epilogue_->target();
    shared_ = batch_ == 1 || w_.strides[0] == 0;
    if (w_.known && shared_) packed_ = pack(w_.constant_data, 0);
    // Pieces of C for the threads: rows, or columns where there are few rows.
    const auto threads = static_cast<int64_t>(host->threads());
    const double work = 2.0 * static_cast<double>(batch_ * m_ * n_) * static_cast<double>(k_);
    const int64_t wanted =
        threads == 1
            ? 1
            : std::clamp<int64_t>(static_cast<int64_t>(work / 4e6) / std::max<int64_t>(1, batch_), 1, 2 * threads);
    by_rows_ = m_ >= n_ / 4;
    const int64_t unit = by_rows_ ? kernel_.rows : kernel_.columns, size = by_rows_ ? m_ : n_;
    step_ = std::max<int64_t>(unit, ((size + wanted - 1) / wanted + unit - 1) / unit * unit);
    if (out_ == TRM_ABSENT) {  // sums that wait for the epilogue stay in the cache
      const int64_t other = std::max<int64_t>(1, by_rows_ ? n_ : m_);
      step_ = std::clamp(kWaitingSums / other / unit * unit, unit, step_);
    }
    pieces_ = (size + step_ - 1) / step_;
  }

  void run(void* const* values) const {
    if (batch_ * m_ * n_ == 0) return;
    auto* c = out_ == TRM_ABSENT ? nullptr : static_cast<int32_t*>(values[out_]);
    const DenseInput dense(x_, values[in_x_]);
    const auto* x = static_cast<const uint8_t*>(dense.data());
    std::vector<std::shared_ptr<const Packed>> packed(1, packed_);
    if (!packed_) {
      packed.clear();
      for (int64_t b = 0; b < (shared_ ? 1 : batch_); ++b) packed.push_back(pack(values[in_w_], b));
    }
    parallel_for(batch_ * pieces_, 1, [&](int64_t begin, int64_t end) {
      Epilogue::Session session;
      if (epilogue_) session = epilogue_->begin(values);
      for (int64_t task = begin; task < end; ++task) {
        const int64_t batch = task / pieces_, at = task % pieces_ * step_;
        const int64_t row = by_rows_ ? at : 0, rows = by_rows_ ? std::min(step_, m_ - at) : m_;
        const int64_t column = by_rows_ ? 0 : at, columns = by_rows_ ? n_ : std::min(step_, n_ - at);
        const Packed& weights = *packed[shared_ ? 0 : static_cast<size_t>(batch)];
        int32_t* target = c ? c + (batch * m_ + row) * n_ + column : nullptr;
        int64_t stride = n_;
        if (!c) {
          target = reinterpret_cast<int32_t*>(
              thread_scratch(kBlockScratch, static_cast<size_t>(rows * columns) * sizeof(int32_t)));
          stride = columns;
        }
        const auto left = [&](int64_t r, int64_t count, int64_t p, int64_t inner) {
          return panels_of(x + ((batch * m_ + row + r) * k_ + p), count, inner);
        };
        const auto right = [&](int64_t s, int64_t, int64_t p, int64_t) { return weights.panels.slice(p, column + s); };
        const auto done = [&](int64_t r0, int64_t row_count, int64_t s0, int64_t count) {
          if (!epilogue_) return;
          epilogue_->run_rows(session, batch * m_ + row + r0, row_count, column + s0, count,
                              c ? nullptr : target + r0 * stride + s0, stride);
        };
        multiply_int8(kernel_, Int8Left::kX, rows, columns, k_, left, right, weights.start.data() + column, target,
                      stride, false, done);
      }
    });
  }

 private:
  struct Packed {
    Int8Weights panels;
    std::vector<int32_t> start;
  };
  std::shared_ptr<const Packed> pack(const void* w, int64_t batch) const {
    const auto* from = static_cast<const int8_t*>(w) + batch * w_.strides[0];
    auto packed =
        std::shared_ptr<Packed>(new Packed{{kernel_, Int8Left::kX, from, w_.strides[1], w_.strides[2], k_, n_}, {}});
    packed->start = packed->panels.start(form_.correction(kernel_));
    return packed;
  }

  // Rows of x as panels, in a buffer of this thread.
  const int32_t* panels_of(const uint8_t* x, int64_t rows, int64_t inner) const {
    const int64_t slots = kernel_.slots(inner), padded = (rows + kernel_.rows - 1) / kernel_.rows * kernel_.rows;
    auto* panels = reinterpret_cast<int32_t*>(
        thread_scratch(kPackScratchA, static_cast<size_t>(padded * slots) * sizeof(int32_t)));
    for (int64_t r = 0; r < rows; r += kernel_.rows) {
      pack_int8_lines(kernel_, form_, x + r * k_, k_, inner, std::min(kernel_.rows, rows - r), kernel_.rows,
                      panels + r * slots);
    }
    return panels;
  }

  TrmValue x_, w_;
  uint32_t in_x_, in_w_, out_;
  int64_t batch_ = x_.dims[0], m_ = x_.dims[1], n_ = w_.dims[2], k_ = x_.dims[2];
  XForm form_;
  const Int8Kernel& kernel_;
  std::shared_ptr<const Epilogue> epilogue_;
  bool shared_ = false, by_rows_ = true;  // one matrix of weights for the whole batch
  std::shared_ptr<const Packed> packed_;
  int64_t step_ = 1, pieces_ = 1;
};

Run prepare_product(const Program& program, const NodeView& node) {
  const TrmValue x = program.value(node.inputs()[0]);
  if (x.dims[2] == 0) {  // nothing to sum
    return [out = node.outputs()[0], bytes = chip::elements(program.value(node.outputs()[0])) * 4](
               void* const* values) { std::memset(values[out], 0, static_cast<size_t>(bytes)); };
  }
  return [product = std::make_shared<Int8Product>(program, node)](void* const* values) { product->run(values); };
}

double flops_of_product(const Program& program, const NodeView& node) {
  // Counted as f32: four numbers in the place of one.
  return 0.5 * static_cast<double>(chip::elements(program.value(node.inputs()[0]))) *
         static_cast<double>(program.value(node.inputs()[1]).dims[2]);
}

void check_epilogue(const Program& program, const NodeView& node) {
  if (program.value(node.inputs()[0]).dims[2] == 0) throw Failure(TRM_UNSUPPORTED, "an empty sum has no epilogue");
  Epilogue::of(program, node.number());
}

constexpr KernelEntry kTable[] = {
    {"integer_dot_general", only(i8) | only(u8), false, prepare_product, flops_of_product, 0.0, check_epilogue}};

}  // namespace

std::span<const KernelEntry> int8_contraction_kernels() { return kTable; }

}  // namespace trireme::cpu
