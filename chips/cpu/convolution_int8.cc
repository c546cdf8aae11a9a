// integer_convolution: quantised convolutions as products of 8-bit matrices, y[o, pixel] = sum over (c, kernel
// position) of w[o, c, position] x[c, pixel moved], with the elementwise nodes around them. The columns of the
// right-hand matrix are gathered from the image block by block; what lies outside of the image is the number that
// stands for 0.
#include <algorithm>
#include <memory>

#include "chips/cpu/convolution.h"
#include "chips/cpu/gemm_int8.h"
#include "chips/cpu/kernel.h"

namespace trireme::cpu {
namespace {

// Rows of the right-hand matrix, as bytes.
class Int8Columns {
 public:
  Int8Columns(const Geometry& g, const XForm& form) : g_(g), padding_(form.padding()) {
    const std::array<int64_t, 3> ones{1, 1, 1};
    // Same sizes in and out, steps of 1, rows without gaps: a row is the plane itself, shifted.
    by_shifts_ = g.stride == ones && g.spread == ones && g.kernel[0] == 1 && g.size[0] == 1 && g.pixels[0] == 1 &&
                 g.pixels[1] == g.size[1] && g.pixels[2] == g.size[2] && g.x_strides[4] == 1 &&
                 g.x_strides[3] == g.size[2];
  }

  // Neighbouring pixels of one output line; positions are where kernel position 0 reads, before spreading.
  struct Run {
    int64_t column, count, depth, height, width;
  };
  void list(int64_t column, int64_t columns, std::vector<Run>& runs) const {
    runs.clear();
    for (int64_t at = 0; at < columns && !by_shifts_;) {
      const int64_t pixel = column + at, width = pixel % g_.pixels[2], height = pixel / g_.pixels[2] % g_.pixels[1],
                    depth = pixel / g_.pixels[2] / g_.pixels[1];
      const int64_t count = std::min(columns - at, g_.pixels[2] - width);
      runs.push_back({at, count, depth * g_.stride[0] - g_.low[0], height * g_.stride[1] - g_.low[1],
                      width * g_.stride[2] - g_.low[2]});
      at += count;
    }
  }

  // Row k for pixels [column, column + columns) of the image whose channels start at `x`; `runs` as listed.
  void row(const uint8_t* x, int64_t k, int64_t column, int64_t columns, const std::vector<Run>& runs,
           uint8_t* to) const {
    const auto [kd, kh, kw] = g_.kernel;
    const int64_t w = k % kw, h = k / kw % kh, d = k / kw / kh % kd;
    const uint8_t* plane = x + k / kw / kh / kd * g_.x_strides[1];
    if (by_shifts_) return shifted(plane, h, w, column, columns, to);
    for (const Run& run : runs) {
      const int64_t depth = index(0, run.depth + d * g_.dilation[0]),
                    height = index(1, run.height + h * g_.dilation[1]);
      if (depth < 0 || height < 0) std::memset(to + run.column, padding_, static_cast<size_t>(run.count));
      else
        line(plane + depth * g_.x_strides[2] + height * g_.x_strides[3], run.width + w * g_.dilation[2], run.count,
             to + run.column);
    }
  }

 private:
  // Index along an axis of the input, or -1 where the padding or a gap is.
  int64_t index(size_t axis, int64_t at) const {
    if (at < 0 || at % g_.spread[axis] != 0) return -1;
    at /= g_.spread[axis];
    return at < g_.size[axis] ? at : -1;
  }

  void line(const uint8_t* from, int64_t start, int64_t count, uint8_t* to) const {
    const int64_t step = g_.x_strides[4], stride = g_.stride[2];
    if (g_.spread[2] != 1) {
      for (int64_t i = 0; i < count; ++i) {
        const int64_t at = index(2, start + i * stride);
        to[i] = at < 0 ? padding_ : from[at * step];
      }
      return;
    }
    // start + i stride must lie in [0, size).
    int64_t first = 0, last = count;
    if (start < 0) first = std::min(count, (-start + stride - 1) / stride);
    if (start + (count - 1) * stride >= g_.size[2]) {
      last = start >= g_.size[2] ? first : std::max(first, (g_.size[2] - start + stride - 1) / stride);
    }
    std::fill_n(to, first, padding_);
    const uint8_t* at = from + (start + first * stride) * step;
    if (stride * step == 1) {
      if (last > first) std::memcpy(to + first, at, static_cast<size_t>(last - first));
    } else {
      for (int64_t i = first; i < last; ++i, at += stride * step) to[i] = *at;
    }
    std::fill_n(to + last, count - last, padding_);
  }

  void shifted(const uint8_t* plane, int64_t h, int64_t w, int64_t column, int64_t columns, uint8_t* to) const {
    const int64_t width = g_.size[2], elements = g_.size[1] * width;
    const int64_t down = h * g_.dilation[1] - g_.low[1], right = w * g_.dilation[2] - g_.low[2];
    const int64_t shift = down * width + right;
    // Pixels whose line is inside, and whose element is inside the plane at all.
    const int64_t top = std::max<int64_t>(std::max<int64_t>(0, -down) * width, -shift);
    const int64_t bottom = std::min(std::min(g_.size[1], g_.size[1] - down) * width, elements - shift);
    const int64_t first = std::clamp<int64_t>(top - column, 0, columns);
    const int64_t last = std::clamp<int64_t>(bottom - column, first, columns);
    std::fill_n(to, first, padding_);
    if (last > first) std::memcpy(to + first, plane + column + first + shift, static_cast<size_t>(last - first));
    std::fill_n(to + last, columns - last, padding_);
    if (right == 0) return;
    // What would read the neighbouring line.
    const int64_t outside = std::min(width, right < 0 ? -right : right);
    for (int64_t start = (right < 0 ? 0 : width - outside) - column % width; start < columns; start += width) {
      for (int64_t i = std::max<int64_t>(0, start); i < std::min(columns, start + outside); ++i) to[i] = padding_;
    }
  }

  Geometry g_;
  uint8_t padding_;
  bool by_shifts_;
};

class Int8Convolution {
 public:
  Int8Convolution(const Program& program, const NodeView& node)
      : g_(geometry_of(program, node)),
        w_(program.value(g_.in_w)),
        form_{g_.type == i8, static_cast<int32_t>(node.integer("x_zero_point"))},
        columns_of_(g_, form_),
        epilogue_(Epilogue::of(program, node.number())) {
    if (epilogue_) g_.out = epilogue_->target();
    if (w_.known) packed_ = pack(w_.constant_data);
    // Blocks of columns whose sums stay in the second-level cache, and some for each thread.
    const int64_t width = kernel_.columns, pixels = g_.pixel_count(), rows = std::max<int64_t>(1, g_.group_outputs());
    const auto wanted = static_cast<int64_t>(host->threads() == 1 ? 1 : 2 * host->threads());
    const int64_t others = std::max<int64_t>(1, g_.groups * g_.images);
    column_step_ = std::clamp(65536 / rows, 4 * width, kInt8BlockColumns) / width * width;
    column_step_ = std::min(column_step_, std::max(width, (pixels * others / wanted + width - 1) / width * width));
    blocks_ = (pixels + column_step_ - 1) / column_step_;
    const int64_t pieces = (wanted + others * blocks_ - 1) / std::max<int64_t>(1, others * blocks_);
    const int64_t row_pieces = std::clamp<int64_t>(pieces, 1, std::max<int64_t>(1, rows / (8 * kernel_.rows)));
    row_step_ = ((rows + row_pieces - 1) / row_pieces + kernel_.rows - 1) / kernel_.rows * kernel_.rows;
    row_pieces_ = (rows + row_step_ - 1) / row_step_;
  }

  void run(void* const* values) const {
    if (g_.images * g_.pixel_count() * g_.outputs == 0) return;
    const auto* x = static_cast<const uint8_t*>(values[g_.in_x]);
    auto* y = g_.out == TRM_ABSENT ? nullptr : static_cast<int32_t*>(values[g_.out]);
    const auto weights = packed_ ? packed_ : pack(values[g_.in_w]);
    const int64_t tasks = g_.groups * g_.images * blocks_ * row_pieces_;
    const double work = 2.0 * static_cast<double>(row_step_ * column_step_) * static_cast<double>(g_.inner());
    parallel_for(tasks, static_cast<int64_t>(2e6 / std::max(1.0, work)) + 1, [&](int64_t begin, int64_t end) {
      Epilogue::Session session;
      if (epilogue_) session = epilogue_->begin(values);
      std::vector<Int8Columns::Run> runs;
      for (int64_t task = begin; task < end; ++task) {
        const int64_t row = task % row_pieces_ * row_step_, column = task / row_pieces_ % blocks_ * column_step_;
        const int64_t image = task / row_pieces_ / blocks_ % g_.images,
                      group = task / row_pieces_ / blocks_ / g_.images;
        multiply(*weights, x, y, group, image, row, column, runs, session);
      }
    });
  }

 private:
  struct Weights {
    std::vector<std::unique_ptr<Int8Weights>> groups;
    std::vector<std::vector<int32_t>> start;
  };
  std::shared_ptr<const Weights> pack(const void* memory) const {
    const DenseInput dense(w_, memory);
    const auto* w = static_cast<const int8_t*>(dense.data());
    auto weights = std::make_shared<Weights>();
    for (int64_t group = 0; group < g_.groups; ++group) {
      weights->groups.push_back(std::make_unique<Int8Weights>(kernel_, Int8Left::kWeights,
                                                              w + group * g_.group_outputs() * g_.inner(), 1,
                                                              g_.inner(), g_.inner(), g_.group_outputs()));
      weights->start.push_back(weights->groups.back()->start(form_.correction(kernel_)));
    }
    return weights;
  }

  // Outputs [row, row + row_step_) of the group for pixels [column, column + column_step_) of the image.
  void multiply(const Weights& weights, const uint8_t* x, int32_t* y, int64_t group, int64_t image, int64_t row,
                int64_t column, std::vector<Int8Columns::Run>& runs, Epilogue::Session& session) const {
    const int64_t rows = std::min(row_step_, g_.group_outputs() - row);
    const int64_t columns = std::min(column_step_, g_.pixel_count() - column);
    const int64_t first_line = image * g_.outputs + group * g_.group_outputs() + row;
    const uint8_t* channels = x + image * g_.x_strides[0] + group * g_.group_channels() * g_.x_strides[1];
    columns_of_.list(column, columns, runs);
    const Int8Weights& left = *weights.groups[static_cast<size_t>(group)];
    const auto a_source = [&](int64_t r, int64_t, int64_t p, int64_t) { return left.slice(p, row + r); };
    const auto b_source = [&](int64_t s, int64_t count, int64_t p, int64_t inner) {
      (void)s, (void)count;  // a block is never wider than one call asks for
      return gather(channels, column, columns, runs, p, inner);
    };
    int32_t* target = y ? y + first_line * g_.pixel_count() + column : nullptr;
    int64_t stride = g_.pixel_count();
    if (!y) {
      target = reinterpret_cast<int32_t*>(
          thread_scratch(kBlockScratch, static_cast<size_t>(rows * columns) * sizeof(int32_t)));
      stride = columns;
    }
    const auto done = [&](int64_t first, int64_t row_count, int64_t s, int64_t count) {
      if (!epilogue_) return;
      epilogue_->run_rows(session, first_line + first, row_count, column + s, count,
                          y ? nullptr : target + first * stride + s, stride);
    };
    multiply_int8(kernel_, Int8Left::kWeights, rows, columns, g_.inner(), a_source, b_source,
                  weights.start[static_cast<size_t>(group)].data() + row, target, stride, done);
  }

  // Rows [p, p + inner) as panels of columns, in a buffer of this thread.
  const int32_t* gather(const uint8_t* x, int64_t column, int64_t columns, const std::vector<Int8Columns::Run>& runs,
                        int64_t p, int64_t inner) const {
    const int64_t width = kernel_.columns, slots = kernel_.slots(inner);
    const int64_t padded = (columns + width - 1) / width * width;
    auto* panels = reinterpret_cast<int32_t*>(
        thread_scratch(kPackScratchB, static_cast<size_t>(padded * slots) * sizeof(int32_t)));
    uint8_t lines[4][kInt8BlockColumns];
    for (int64_t t = 0; t < kernel_.per_slot; ++t) std::fill_n(lines[t], padded, form_.padding());
    for (int64_t slot = 0; slot < slots; ++slot) {
      for (int64_t t = 0; t < kernel_.per_slot; ++t) {  // beyond the end the weights are 0, whatever stands here
        const int64_t k = slot * kernel_.per_slot + t;
        if (k < inner) columns_of_.row(x, p + k, column, columns, runs, lines[t]);
      }
      for (int64_t j = 0; j < padded; j += width) {
        const uint8_t* rows[4] = {lines[0] + j, lines[1] + j, lines[2] + j, lines[3] + j};
        int8_slots(kernel_, form_, rows, width, panels + j * slots + slot * width);
      }
    }
    return panels;
  }

  Geometry g_;
  TrmValue w_;
  XForm form_;
  Int8Columns columns_of_;
  const Int8Kernel& kernel_ = int8_kernel();
  std::shared_ptr<const Epilogue> epilogue_;
  std::shared_ptr<const Weights> packed_;
  int64_t column_step_ = 1, blocks_ = 0, row_step_ = 1, row_pieces_ = 1;
};

Run prepare_convolution(const Program& program, const NodeView& node) {
  const Geometry g = geometry_of(program, node);
  if (g.inner() == 0) {
    return [out = g.out, bytes = g.images * g.outputs * g.pixel_count() * 4](void* const* values) {
      std::memset(values[out], 0, static_cast<size_t>(bytes));
    };
  }
  return [c = std::make_shared<Int8Convolution>(program, node)](void* const* values) { c->run(values); };
}

double flops_of_convolution(const Program& program, const NodeView& node) {
  const Geometry g = geometry_of(program, node);  // counted as f32: four numbers in the place of one
  return 0.5 * static_cast<double>(g.images * g.outputs * g.pixel_count()) * static_cast<double>(g.inner());
}

void check_epilogue(const Program& program, const NodeView& node) {
  if (geometry_of(program, node).inner() == 0) throw Failure(TRM_UNSUPPORTED, "an empty sum has no epilogue");
  Epilogue::of(program, node.number());
}

constexpr KernelEntry kTable[] = {{"integer_convolution", only(i8) | only(u8), false, prepare_convolution,
                                   flops_of_convolution, 0.0, check_epilogue}};

}  // namespace

std::span<const KernelEntry> int8_convolution_kernels() { return kTable; }

}  // namespace trireme::cpu
