// Convolutions as matrix products: y[o, pixel] = sum over (c, kernel position) of w[o, c, position] x[c, pixel moved].
// The weights are packed once (ahead, when they are known); the columns of the right-hand matrix are gathered from the
// image block by block (image_columns.h). Depthwise convolutions run directly.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "chips/cpu/channels_last.h"
#include "chips/cpu/convolution.h"
#include "chips/cpu/depthwise_gradient.h"
#include "chips/cpu/gemm.h"
#include "chips/cpu/image_columns.h"
#include "chips/cpu/weight_gradient.h"

namespace trireme::cpu {

Geometry geometry_of(const Program& program, const NodeView& node) {
  const TrmValue x = program.value(node.inputs()[0]), w = program.value(node.inputs()[1]),
                 y = program.value(node.outputs()[0]);
  Geometry g{node.inputs()[0],
             node.inputs()[1],
             node.outputs()[0],
             dtype_of(x),
             x.dims[0],
             x.dims[1],
             w.dims[0],
             node.integer("groups"),
             {},
             {},
             {},
             {},
             {},
             {},
             {},
             {}};
  const uint32_t spatial = x.rank - 2, missing = 3 - spatial;
  g.size.fill(1), g.kernel.fill(1), g.pixels.fill(1), g.stride.fill(1), g.low.fill(0), g.dilation.fill(1),
      g.spread.fill(1);
  g.x_strides = {x.strides[0], x.strides[1], 0, 0, 0};
  const auto strides = node.integers("strides"), low = node.integers("low"), dilation = node.integers("dilation"),
             spread = node.integers("input_dilation");
  for (uint32_t a = 0; a < spatial; ++a) {
    const size_t to = a + missing;
    g.size[to] = x.dims[a + 2];
    g.kernel[to] = w.dims[a + 2];
    g.pixels[to] = y.dims[a + 2];
    g.x_strides[to + 2] = x.strides[a + 2];
    if (!strides.empty()) g.stride[to] = strides[a];
    if (!low.empty()) g.low[to] = low[a];
    if (!dilation.empty()) g.dilation[to] = dilation[a];
    if (!spread.empty()) g.spread[to] = spread[a];
  }
  return g;
}

namespace {

template <class T>
class Convolution {
 public:
  Convolution(const Geometry& g, const TrmValue& w, std::shared_ptr<const Epilogue> epilogue)
      : g_(g), w_(w), columns_of_(g), kernel_(columns_of_.kernel()), epilogue_(std::move(epilogue)) {
    if (epilogue_) g_.out = epilogue_->target();
    if (w.known) packed_ = pack_weights(w.constant_data);
    flat_ = g_.pixel_count() < 128 && g_.images > 1;
    images_ = flat_ ? 1 : g_.images;
    columns_ = flat_ ? g_.images * g_.pixel_count() : g_.pixel_count();
    blocks_ = (columns_ + kBlockColumns - 1) / kBlockColumns;
    column_step_ = blocks_ == 0 ? width_ : round_up((columns_ + blocks_ - 1) / blocks_, width_);
    // Too few blocks for the threads: the blocks are gathered first, then shared by pieces of the outputs.
    const int64_t rows = kernel_.rows;
    const int64_t tasks = g_.groups * images_ * blocks_, wanted = 2 * static_cast<int64_t>(host->threads());
    const int64_t pieces =
        tasks >= wanted || host->threads() == 1 ? 1 : (wanted + tasks - 1) / std::max<int64_t>(1, tasks);
    row_pieces_ = std::clamp<int64_t>(pieces, 1, std::max<int64_t>(1, g_.group_outputs() / (2 * rows)));
    row_step_ = round_up((g_.group_outputs() + row_pieces_ - 1) / row_pieces_, rows);
  }

  void run(void* const* values) const {
    if (g_.images * g_.pixel_count() * g_.outputs == 0) return;
    auto* y = g_.out == TRM_ABSENT ? nullptr : static_cast<std::byte*>(values[g_.out]);
    if (g_.inner() == 0) {
      std::memset(y, 0, static_cast<size_t>(g_.images * g_.outputs * g_.pixel_count()) * size_of(g_.type));
      return;
    }
    const auto weights = packed_ ? packed_ : pack_weights(values[g_.in_w]);
    const auto* x = static_cast<const std::byte*>(values[g_.in_x]);
    const int64_t blocks = g_.groups * images_ * blocks_;
    const auto gather_grain = static_cast<int64_t>(1e5) / (column_step_ * std::min(kInner, g_.inner())) + 1;
    const auto grain =
        static_cast<int64_t>(5e5 / (2.0 * static_cast<double>(row_step_ * column_step_ * g_.inner()))) + 1;
    if (row_pieces_ == 1) {
      parallel_for(blocks, grain, [&](int64_t begin, int64_t end) {
        thread_local typename ImageColumns<T>::Block block;
        Epilogue::Session session;
        if (epilogue_) session = epilogue_->begin(values);
        for (int64_t b = begin; b < end; ++b) {
          const int64_t columns = list(block, x, b);
          const auto source = [&](int64_t, int64_t, int64_t p, int64_t inner) {
            T* panels = reinterpret_cast<T*>(
                thread_scratch(kPackScratchB, static_cast<size_t>(kBlockColumns * kInner) * sizeof(T)));
            columns_of_.pack(block, p, inner, panels);
            return static_cast<const T*>(panels);
          };
          multiply(*weights, b, 0, columns, source, y, session);
        }
      });
      return;
    }
    // Panels of all blocks, slice after slice.
    const int64_t slices = (g_.inner() + kInner - 1) / kInner, block_size = column_step_ * kernel_.slots(g_.inner());
    std::vector<T> storage(static_cast<size_t>(blocks * block_size) + 64 / sizeof(T));
    T* panels = storage.data();
    while (reinterpret_cast<uintptr_t>(panels) % 64 != 0) ++panels;
    parallel_for(blocks * slices, gather_grain, [&](int64_t begin, int64_t end) {
      thread_local typename ImageColumns<T>::Block block;
      for (int64_t i = begin; i < end; ++i) {
        list(block, x, i / slices);
        const int64_t p = i % slices * kInner;
        columns_of_.pack(block, p, std::min(kInner, g_.inner() - p),
                         panels + i / slices * block_size + kernel_.slots(p) * column_step_);
      }
    });
    parallel_for(blocks * row_pieces_, grain, [&](int64_t begin, int64_t end) {
      Epilogue::Session session;
      if (epilogue_) session = epilogue_->begin(values);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t b = i / row_pieces_, columns = std::min(column_step_, columns_ - b % blocks_ * column_step_);
        const auto source = [&](int64_t, int64_t, int64_t p, int64_t) {
          return panels + b * block_size + kernel_.slots(p) * column_step_;
        };
        multiply(*weights, b, i % row_pieces_ * row_step_, columns, source, y, session);
      }
    });
  }

 private:
  struct Weights {
    std::vector<std::unique_ptr<PackedMatrix<T>>> groups;
    // Outputs whose weights are all denormals, or nearly (channels that a decay has put to sleep), where a processor
    // takes a hundred times as long: their weights are packed times kRaise, and their sums multiplied by 1 / kRaise.
    // Powers of two, so nothing is rounded but results that are denormals themselves.
    std::vector<uint8_t> raised;  // one per output; empty: none
  };
  static constexpr T kRaise = T{1ULL << 63} * 2;                           // 2^64
  static constexpr T kFaint = std::numeric_limits<T>::min() * T{1 << 26};  // times kRaise far from any overflow

  std::shared_ptr<const Weights> pack_weights(const void* memory) const {
    const DenseInput dense(w_, memory);  // w may be a turned or mirrored view
    auto weights = std::make_shared<Weights>();
    MatrixView left{dense.data(), g_.type, g_.inner(), 1};
    const std::vector<T> raised = register_type(g_.type) == g_.type ? raise(left, *weights) : std::vector<T>();
    if (!raised.empty()) left.data = raised.data();
    for (int64_t group = 0; group < g_.groups; ++group) {
      weights->groups.push_back(std::make_unique<PackedMatrix<T>>(kernel_, PackedMatrix<T>::Side::kLeft,
                                                                  left.at(group * g_.group_outputs(), 0).transposed(),
                                                                  g_.inner(), g_.group_outputs()));
    }
    return weights;
  }
  // The weights with the faint outputs raised; empty when there are none.
  std::vector<T> raise(const MatrixView& left, Weights& weights) const {
    std::vector<uint8_t> raised(static_cast<size_t>(g_.outputs));
    const T* from = static_cast<const T*>(left.data);
    bool any = false;
    for (int64_t o = 0; o < g_.outputs; ++o) {
      const T* row = from + o * g_.inner();
      const bool faint = std::all_of(row, row + g_.inner(), [](T w) { return std::abs(w) < kFaint; });
      raised[static_cast<size_t>(o)] = faint && std::any_of(row, row + g_.inner(), [](T w) { return w != 0; });
      any |= raised[static_cast<size_t>(o)] != 0;
    }
    if (!any) return {};
    std::vector<T> values(from, from + g_.outputs * g_.inner());
    for (int64_t o = 0; o < g_.outputs; ++o) {
      if (!raised[static_cast<size_t>(o)]) continue;
      kernel_.scale(g_.inner(), kRaise, values.data() + o * g_.inner());
    }
    weights.raised = std::move(raised);
    return values;
  }

  void lower(const Weights& weights, int64_t output, T* sums, int64_t count) const {
    if (weights.raised.empty() || !weights.raised[static_cast<size_t>(output)]) return;
    kernel_.scale(count, 1 / kRaise, sums);
  }

  // Block b is (group, image, block of columns); returns how many columns it has.
  int64_t list(typename ImageColumns<T>::Block& block, const std::byte* x, int64_t b) const {
    const int64_t column = b % blocks_ * column_step_, columns = std::min(column_step_, columns_ - column);
    columns_of_.list(block, x, b / blocks_ / images_, flat_ ? -1 : b / blocks_ % images_, column, columns);
    return columns;
  }

  // Outputs [row, row + row_step_) of the group, for the columns of block b.
  template <class Source>
  void multiply(const Weights& weights, int64_t b, int64_t row, int64_t columns, const Source& source, std::byte* y,
                Epilogue::Session& session) const {
    const int64_t group = b / blocks_ / images_, image = b / blocks_ % images_, column = b % blocks_ * column_step_;
    const int64_t rows = std::min(row_step_, g_.group_outputs() - row);
    if (rows <= 0 || columns <= 0) return;
    const PackedMatrix<T>& left = *weights.groups[static_cast<size_t>(group)];
    const auto a_source = [&](int64_t r, int64_t, int64_t p, int64_t) { return left.slice(p, row + r); };
    const int64_t pixel_count = g_.pixel_count(), first_output = group * g_.group_outputs() + row;
    if (!flat_ && y && register_type(g_.type) == g_.type) {
      T* target = reinterpret_cast<T*>(y) + (image * g_.outputs + first_output) * pixel_count + column;
      const auto done = [&](int64_t first, int64_t row_count, int64_t first_column, int64_t count) {
        for (int64_t r = first; r < first + row_count; ++r) {
          lower(weights, first_output + r, target + r * pixel_count + first_column, count);
          if (!epilogue_) continue;
          epilogue_->run(session, image * g_.outputs + first_output + r, column + first_column, count, nullptr);
        }
      };
      multiply_blocks(kernel_, rows, columns, g_.inner(), a_source, source, target, pixel_count, done);
      return;
    }
    T* block = reinterpret_cast<T*>(thread_scratch(kBlockScratch, static_cast<size_t>(rows * columns) * sizeof(T)));
    multiply_blocks(kernel_, rows, columns, g_.inner(), a_source, source, block, columns,
                    [](int64_t, int64_t, int64_t, int64_t) {});
    for (int64_t r = 0; r < rows; ++r) lower(weights, first_output + r, block + r * columns, columns);
    for (int64_t at = 0; at < columns;) {
      const int64_t n = flat_ ? (column + at) / pixel_count : image;
      const int64_t pixel = flat_ ? (column + at) % pixel_count : column + at;
      const int64_t here = std::min(columns - at, pixel_count - pixel);
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t line = n * g_.outputs + first_output + r;
        finish_run(g_, epilogue_.get(), session, y, line, pixel, block + r * columns + at, here);
      }
      at += here;
    }
  }

  Geometry g_;
  TrmValue w_;
  ImageColumns<T> columns_of_;
  const MicroKernel<T>& kernel_;
  std::shared_ptr<const Epilogue> epilogue_;
  std::shared_ptr<const Weights> packed_;
  bool flat_;  // small images: the columns run through the pixels of all of them
  int64_t width_ = kernel_.columns;
  int64_t images_, columns_, blocks_, column_step_, row_pieces_, row_step_;
};

Run prepare_convolution(const Program& program, const NodeView& node) {
  if (runs_channels_last(program, node)) return prepare_channels_last(program, node);
  if (is_weight_gradient(program, node)) return prepare_weight_gradient(program, node);
  if (is_depthwise_gradient(program, node)) return prepare_depthwise_gradient(program, node);
  const Geometry g = geometry_of(program, node);
  const TrmValue w = program.value(g.in_w);
  const bool direct = g.group_channels() == 1 && g.group_outputs() <= 4;
  auto epilogue = Epilogue::of(program, node.number());
  if (g.type == f64) {
    if (direct) return prepare_depthwise<double>(g, w, std::move(epilogue));
    return [c = std::make_shared<Convolution<double>>(g, w, std::move(epilogue))](void* const* v) { c->run(v); };
  }
  if (direct) return prepare_depthwise<float>(g, w, std::move(epilogue));
  return [c = std::make_shared<Convolution<float>>(g, w, std::move(epilogue))](void* const* v) { c->run(v); };
}

void check_epilogue(const Program& program, const NodeView& node) {
  if (geometry_of(program, node).inner() == 0) throw Failure(TRM_UNSUPPORTED, "an empty sum has no epilogue");
  if (is_weight_gradient(program, node) || is_depthwise_gradient(program, node))
    throw Failure(TRM_UNSUPPORTED, "a gradient of weights is computed alone");
  if (runs_channels_last(program, node)) check_channels_last(program, node);
  else Epilogue::of(program, node.number());
}

void ask_layouts(const Program& program, const NodeView& node, TrmAnswer& answer) {
  if (runs_channels_last(program, node)) return ask_channels_last(program, node, answer);
  if (is_weight_gradient(program, node)) return ask_layouts_for_weight_gradient(program, node, answer);
  if (is_depthwise_gradient(program, node)) return ask_layouts_for_depthwise_gradient(program, node, answer);
  ask_dense_outputs(program, answer);
}

double flops_of_convolution(const Program& program, const NodeView& node) {
  const Geometry g = geometry_of(program, node);
  return 2.0 * static_cast<double>(g.images * g.outputs * g.pixel_count()) * static_cast<double>(g.inner());
}

constexpr KernelEntry kTable[] = {
    {"convolution", floats, false, prepare_convolution, flops_of_convolution, 0.0, check_epilogue, ask_layouts}};

}  // namespace

std::span<const KernelEntry> convolution_kernels() { return kTable; }

}  // namespace trireme::cpu
