#include "chips/cpu/weight_gradient.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "chips/cpu/gemm.h"
#include "chips/cpu/outer_kernel.h"
#include "chips/cpu/pixel_runs.h"
#include "chips/cpu/tile_program.h"
#include "chips/cpu/winograd_gradient.h"

namespace trireme::cpu {
namespace {

constexpr int64_t kTasks = 16;              // wanted; their number depends on the sizes alone, and so do the bits
constexpr int64_t kSliceFloats = 32 << 10;  // of the sums of one task: they stay in the cache
constexpr int64_t kImageFloats = 32 << 10;  // of the image under one chunk of pixels
constexpr int64_t kLeastPart = 512;         // pixels
constexpr double kTaskFlops = 5e5;          // pays for waking a thread

// The convolution whose weights are wanted. The axes of the node's image are channels, batch, ...; of its kernel
// outputs, batch, ...; of its result channels, outputs, ....
Geometry forward_of(const Geometry& g) {
  Geometry f = g;
  std::swap(f.images, f.channels);
  std::swap(f.kernel, f.pixels);
  std::swap(f.stride, f.dilation);
  std::swap(f.x_strides[0], f.x_strides[1]);
  return f;
}

// The first axis innermost: the channels of the image, the outputs of its gradient.
AxisOrder first_axis_last(uint32_t rank) {
  AxisOrder order = row_major_order();
  std::rotate(order.begin(), order.begin() + 1, order.begin() + rank);
  return order;
}
// The result as the weights lie: outputs, channels, ....
AxisOrder outputs_first() {
  AxisOrder order = row_major_order();
  std::swap(order[0], order[1]);
  return order;
}

class WeightGradient {
 public:
  WeightGradient(const Program& program, const Geometry& g) : f_(forward_of(g)), runs_(f_) {
    const TrmValue y = program.value(g.out);
    std::array<int64_t, 5> strides{};  // of the result: channels, outputs, kernel
    for (uint32_t a = 0; a < y.rank; ++a) strides[a < 2 ? a : a + 5 - y.rank] = y.strides[a];
    output_stride_ = strides[1];
    if (WinogradGradient::suits(f_)) winograd_.emplace(f_, strides);
    const OuterKernel& kernel = outer_kernel();
    run_count_ = runs_.runs(runs_.phases().front());
    rows_ = runs_.run_length();
    const bool lines = PixelRuns::is_framed(f_);  // a run is a line of the kernel, else a position of it
    for (int64_t run = 0; run < run_count_; ++run) {
      run_offsets_.push_back(lines ? run * strides[3]
                                   : run / f_.kernel[2] * strides[3] + run % f_.kernel[2] * strides[4]);
    }
    for (int64_t row = 0; row < rows_; ++row) {
      row_offsets_.push_back(row % f_.channels * strides[0] + row / f_.channels * strides[4]);
    }
    for (int64_t column = 0; column < f_.outputs; column += kernel.columns) {
      const int64_t columns = std::min(kernel.columns, f_.outputs - column);
      panels_.push_back({column, columns, round_up(columns, kernel.lanes), sums_});
      sums_ += panels_.back().width * rows_ * run_count_;
    }
    pixels_ = f_.images * f_.pixel_count();
    slices_ = std::clamp<int64_t>((sums_ + kSliceFloats - 1) / kSliceFloats, 1, units());
    parts_ = std::clamp<int64_t>(kTasks / slices_, 1, std::max<int64_t>(1, pixels_ / kLeastPart));
    chunk_ = std::clamp<int64_t>(kImageFloats / f_.channels, 64, kOuterCount);
  }

  void run(void* const* values) const {
    const float* image = runs_.prepare(static_cast<const std::byte*>(values[f_.in_x]));
    const auto* gradient = static_cast<const float*>(values[f_.in_w]);
    auto* y = static_cast<float*>(values[f_.out]);
    if (winograd_ && winograd_->run(image, gradient, y)) return;
    float* sums =
        reinterpret_cast<float*>(thread_scratch(kBlockScratch, static_cast<size_t>(parts_ * sums_) * sizeof(float)));
    const double flops = 2.0 * static_cast<double>(sums_) * static_cast<double>(pixels_);
    const auto grain = static_cast<int64_t>(kTaskFlops * static_cast<double>(parts_ * slices_) / flops) + 1;
    parallel_for(parts_ * slices_, grain, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t part = task / slices_, slice = task % slices_;
        sum(image, gradient, pixels_ * part / parts_, pixels_ * (part + 1) / parts_, units() * slice / slices_,
            units() * (slice + 1) / slices_, sums + part * sums_);
      }
    });
    constexpr int64_t kRowsAtOnce = 8;
    const int64_t row_blocks = (rows_ + kRowsAtOnce - 1) / kRowsAtOnce;
    parallel_for(
        static_cast<int64_t>(panels_.size()) * row_blocks,
        grain_for(kRowsAtOnce * run_count_ * outer_kernel().columns * parts_), [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            const int64_t first = i % row_blocks * kRowsAtOnce;
            write(panels_[static_cast<size_t>(i / row_blocks)], first, std::min(rows_, first + kRowsAtOnce), sums, y);
          }
        });
  }

 private:
  // Outputs [column, column + columns); its sums, at `offset`, are lines of `width` for each run and each row of it.
  struct Panel {
    int64_t column, columns, width, offset;
  };
  // A unit is one run of one panel.
  int64_t units() const { return static_cast<int64_t>(panels_.size()) * run_count_; }

  // Pixels [first, last) into the units [begin, end).
  void sum(const float* image, const float* gradient, int64_t first, int64_t last, int64_t begin, int64_t end,
           float* sums) const {
    const OuterKernel& kernel = outer_kernel();
    const int64_t blocks = (rows_ + kernel.rows - 1) / kernel.rows;
    thread_local std::vector<const float*> left;
    left.resize(static_cast<size_t>(run_count_ * chunk_));
    for (int64_t unit = begin; unit < end; ++unit) std::fill_n(sums_of(unit, sums), unit_size(unit), 0.0f);
    for (int64_t at = first; at < last; at += chunk_) {
      const int64_t count = std::min(chunk_, last - at);
      PixelRuns::Walk walk(runs_, runs_.phases().front(), image, at);
      for (int64_t k = 0; k < count; ++k) walk.next(left.data() + k, chunk_);
      for (int64_t unit = begin; unit < end; ++unit) {
        const Panel& panel = panels_[static_cast<size_t>(unit / run_count_)];
        const float* const* rows = left.data() + unit % run_count_ * chunk_;
        const float* right = gradient + at * f_.outputs + panel.column;
        for (int64_t b = 0; b < blocks; ++b) {
          const int64_t row = rows_ * b / blocks;
          kernel.block(rows_ * (b + 1) / blocks - row, panel.columns, count, rows, row, right, f_.outputs,
                       sums_of(unit, sums) + row * panel.width);
        }
      }
    }
  }
  int64_t unit_size(int64_t unit) const { return rows_ * panels_[static_cast<size_t>(unit / run_count_)].width; }
  float* sums_of(int64_t unit, float* sums) const {
    return sums + panels_[static_cast<size_t>(unit / run_count_)].offset + unit % run_count_ * unit_size(unit);
  }

  // Rows [first, last) of each run: the parts added up in their order, as the result lies.
  void write(const Panel& panel, int64_t first, int64_t last, const float* sums, float* y) const {
    const int64_t run_size = rows_ * panel.width;
    for (int64_t s = 0; s < panel.columns; ++s) {
      for (int64_t row = first; row < last; ++row) {
        const float* from = sums + panel.offset + row * panel.width + s;
        float* to = y + (panel.column + s) * output_stride_ + row_offsets_[static_cast<size_t>(row)];
        for (int64_t run = 0; run < run_count_; ++run, from += run_size) {
          float total = *from;
          for (int64_t part = 1; part < parts_; ++part) total += from[part * sums_];
          to[run_offsets_[static_cast<size_t>(run)]] = total;
        }
      }
    }
  }

  Geometry f_;
  PixelRuns runs_;
  std::optional<WinogradGradient> winograd_;
  std::vector<Panel> panels_;
  std::vector<int64_t> run_offsets_, row_offsets_;  // in the result
  int64_t output_stride_;
  int64_t run_count_, rows_, pixels_;
  int64_t sums_ = 0;                // floats
  int64_t slices_, parts_, chunk_;  // of the units, of the pixels; pixels at a time
};

// Whether the first axis lies within the second, as far as memory tells.
bool exchanged(const TrmValue& v) { return v.dims[0] == 1 || v.dims[1] == 1 || v.strides[0] < v.strides[1]; }

}  // namespace

bool is_weight_gradient(const Program& program, const NodeView& node) {
  const Geometry g = geometry_of(program, node);
  const TrmValue x = program.value(g.in_x), w = program.value(g.in_w);
  return g.type == f32 && x.rank <= 4 && g.groups == 1 && g.spread == std::array<int64_t, 3>{1, 1, 1} &&
         g.sums_over_pixels() && g.images * g.channels * g.outputs * g.pixel_count() > 0 && exchanged(x) &&
         exchanged(w) && !x.known && !w.known;
}

void ask_layouts_for_weight_gradient(const Program& program, const NodeView& node, TrmAnswer& answer) {
  const Geometry g = geometry_of(program, node);
  for (uint32_t i = 0; i < program.operand_count(); ++i) {
    const TrmValue v = program.operand(i);
    const bool output = i >= program.input_count();
    const bool image = !output && program.input(i) == g.in_x;
    if (image && PixelRuns::is_framed(forward_of(g))) continue;
    const AxisOrder order = output ? outputs_first() : first_axis_last(v.rank);
    if (!is_dense_in(v, order)) ask_order(program, i, order, answer);
  }
}

Run prepare_weight_gradient(const Program& program, const NodeView& node) {
  auto kernel = std::make_shared<WeightGradient>(program, geometry_of(program, node));
  return [kernel](void* const* values) { kernel->run(values); };
}

}  // namespace trireme::cpu
