// integer_convolution: quantised convolutions as products of 8-bit matrices, y[o, pixel] = sum over (c, kernel
// position) of w[o, c, position] x[c, pixel moved], with the elementwise nodes around them. The columns of the
// right-hand matrix are gathered from the image block by block, or ahead for several tasks that need them; what lies
// outside of the image is the number that stands for 0.
#include <algorithm>
#include <memory>
#include <numeric>

#include "chips/cpu/channels_last_int8.h"
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
    are_lines_ = g.spread == ones && g.kernel[0] == 1 && g.size[0] == 1 && g.pixels[0] == 1 && g.low[0] == 0 &&
                 g.x_strides[4] == 1 && g.x_strides[3] == g.size[2];
    are_planes_ = by_shifts_ && g.positions() == 1 && g.low[1] == 0 && g.low[2] == 0;
  }

  // Rows are the planes of channels as they lie in memory.
  bool are_planes() const { return are_planes_; }
  // Rows are these planes, shifted, with padding where another line would be read.
  bool are_shifts() const { return by_shifts_; }

  // Rows are pieces of the lines of one image, without gaps in memory.
  bool are_lines() const { return are_lines_; }

  // By how many pixels the row of a kernel position is shifted: `down` lines and `right` elements.
  struct Shift {
    int64_t down, right, pixels;
  };
  Shift shift(int64_t h, int64_t w) const {
    const int64_t down = h * g_.dilation[1] - g_.low[1], right = w * g_.dilation[2] - g_.low[2];
    return {down, right, down * g_.size[2] + right};
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

  // A row: its channel's plane and its position in the kernel.
  struct Tap {
    const uint8_t* plane;
    int64_t d, h, w;
  };
  // Row k of the image whose channels start at `x`.
  Tap tap(const uint8_t* x, int64_t k) const {
    const auto [kd, kh, kw] = g_.kernel;
    return {x + k / kw / kh / kd * g_.x_strides[1], k / kw / kh % kd, k / kw % kh, k % kw};
  }
  // The one behind it.
  void next(Tap& tap) const {
    if (++tap.w < g_.kernel[2]) return;
    tap.w = 0;
    if (++tap.h < g_.kernel[1]) return;
    tap.h = 0;
    if (++tap.d < g_.kernel[0]) return;
    tap.d = 0;
    tap.plane += g_.x_strides[1];
  }

  // Pixels [column, column + columns) of a row; `runs` as listed.
  void row(const Tap& tap, int64_t column, int64_t columns, const std::vector<Run>& runs, uint8_t* to) const {
    if (by_shifts_) return shifted(tap.plane, tap.h, tap.w, column, columns, to);
    row(tap.plane, 0, tap.d, tap.h, tap.w, runs, padding_, to);
  }
  // The same of a plane of another type, which starts at element `origin`.
  template <class T>
  void row(const T* plane, int64_t origin, int64_t d, int64_t h, int64_t w, const std::vector<Run>& runs, T padding,
           T* to) const {
    for (const Run& run : runs) {
      const int64_t depth = index(0, run.depth + d * g_.dilation[0]),
                    height = index(1, run.height + h * g_.dilation[1]);
      if (depth < 0 || height < 0) std::fill_n(to + run.column, run.count, padding);
      else
        line(plane + (depth * g_.x_strides[2] + height * g_.x_strides[3] - origin), run.width + w * g_.dilation[2],
             run.count, padding, to + run.column);
    }
  }
  // Lines [first, last) are all that the rows of these pixels read.
  std::pair<int64_t, int64_t> lines_of(const std::vector<Run>& runs) const {
    const int64_t first = std::clamp<int64_t>(runs.front().height, 0, g_.size[1]);
    const int64_t last = runs.back().height + (g_.kernel[1] - 1) * g_.dilation[1] + 1;
    return {first, std::clamp(last, first, g_.size[1])};
  }

 private:
  // Index along an axis of the input, or -1 where the padding or a gap is.
  int64_t index(size_t axis, int64_t at) const {
    if (g_.spread[axis] != 1) {
      if (at % g_.spread[axis] != 0) return -1;
      at /= g_.spread[axis];
    }
    return at < g_.size[axis] ? at : -1;  // negative stays negative
  }

  template <class T>
  void line(const T* from, int64_t start, int64_t count, T padding, T* to) const {
    const int64_t step = g_.x_strides[4], stride = g_.stride[2];
    if (const int64_t spread = g_.spread[2]; spread != 1) {
      std::fill_n(to, count, padding);
      const int64_t every =
          spread / std::gcd(spread, stride);  // so many outputs from one that reads an element to the next
      int64_t i = 0;
      while (i < every && (start + i * stride) % spread != 0) ++i;
      if (i == every) return;  // none does
      for (; i < count; i += every) {
        const int64_t at = (start + i * stride) / spread;
        if (start + i * stride >= 0 && at < g_.size[2]) to[i] = from[at * step];
      }
      return;
    }
    // start + i stride must lie in [0, size).
    int64_t first = 0, last = count;
    if (start < 0) first = std::min(count, (-start + stride - 1) / stride);
    if (start + (count - 1) * stride >= g_.size[2]) {
      last = start >= g_.size[2] ? first : std::max(first, (g_.size[2] - start + stride - 1) / stride);
    }
    std::fill_n(to, first, padding);
    const T* at = from + (start + first * stride) * step;
    if (stride * step == 1) {
      if (last > first) std::memcpy(to + first, at, static_cast<size_t>(last - first) * sizeof(T));
    } else if (stride * step == 2) {  // in a loop that the compiler turns into vectors
      for (int64_t i = 0; i < last - first; ++i) to[first + i] = at[2 * i];
    } else {
      for (int64_t i = first; i < last; ++i, at += stride * step) to[i] = *at;
    }
    std::fill_n(to + last, count - last, padding);
  }

  void shifted(const uint8_t* plane, int64_t h, int64_t w, int64_t column, int64_t columns, uint8_t* to) const {
    const int64_t width = g_.size[2], elements = g_.size[1] * width;
    const auto [down, right, shift] = this->shift(h, w);
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
  bool by_shifts_, are_lines_, are_planes_;
};

class Int8Convolution {
 public:
  Int8Convolution(const Program& program, const NodeView& node)
      : g_(geometry_of(program, node)),
        w_(program.value(g_.in_w)),
        form_{g_.type == i8, static_cast<int32_t>(node.integer("x_zero_point"))},
        columns_of_(g_, form_),
        kernel_(int8_kernel_for(w_)),
        epilogue_(Epilogue::of(program, node.number())) {
    if (epilogue_) g_.out = epilogue_->target();
    by_channels_ = columns_of_.are_lines() && !columns_of_.are_planes() && g_.group_channels() % kernel_.per_slot == 0;
    if (w_.known) packed_ = pack(w_.constant_data);
    cut(static_cast<int64_t>(host->threads()));
  }

  void run(void* const* values) const {
    if (g_.images * g_.pixel_count() * g_.outputs == 0) return;
    const auto* x = static_cast<const uint8_t*>(values[g_.in_x]);
    auto* y = g_.out == TRM_ABSENT ? nullptr : static_cast<int32_t*>(values[g_.out]);
    const auto weights = packed_ ? packed_ : pack(values[g_.in_w]);
    const int64_t blocks = g_.groups * g_.images * blocks_;
    // Where several tasks need the same columns, these are gathered first.
    std::unique_ptr<int32_t[]> storage;
    const int32_t* panels = nullptr;
    if (row_pieces_ > 1) {
      storage = std::make_unique_for_overwrite<int32_t[]>(static_cast<size_t>(blocks * block_size() + 16));
      int32_t* at = storage.get();
      while (reinterpret_cast<uintptr_t>(at) % 64 != 0) ++at;
      gather_all(x, blocks, at);
      panels = at;
    }
    const double work =
        2.0 * static_cast<double>(g_.group_outputs() * g_.pixel_count()) * static_cast<double>(g_.inner());
    const auto grain = static_cast<int64_t>(2e6 * static_cast<double>(blocks_ * row_pieces_) / std::max(1.0, work)) + 1;
    parallel_for(blocks * row_pieces_, grain, [&](int64_t begin, int64_t end) {
      Epilogue::Session session;
      if (epilogue_) session = epilogue_->begin(values);
      std::vector<Int8Columns::Run> runs;
      for (int64_t task = begin; task < end; ++task) {
        const int64_t number = task / row_pieces_;
        const int32_t* gathered = panels ? panels + number * block_size() : nullptr;
        multiply(*weights, x, y, block(number), task % row_pieces_, gathered, runs, session);
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
    std::vector<int8_t> moved;
    if (by_channels_) {
      moved = channels_together(w);
      w = moved.data();
    }
    auto weights = std::make_shared<Weights>();
    for (int64_t group = 0; group < g_.groups; ++group) {
      weights->groups.push_back(std::make_unique<Int8Weights>(kernel_, Int8Left::kWeights,
                                                              w + group * g_.group_outputs() * g_.inner(), 1,
                                                              g_.inner(), g_.inner(), g_.group_outputs()));
      weights->start.push_back(weights->groups.back()->start(kernel_.correction(form_)));
    }
    return weights;
  }

  // The weights in the order of the columns where a slot holds neighbouring channels.
  std::vector<int8_t> channels_together(const int8_t* w) const {
    const int64_t per_slot = kernel_.per_slot, positions = g_.positions();
    std::vector<int8_t> moved(static_cast<size_t>(g_.outputs * g_.inner()));
    auto to = moved.begin();
    for (int64_t o = 0; o < g_.outputs; ++o) {
      for (int64_t channel = 0; channel < g_.group_channels(); channel += per_slot) {
        const int8_t* from = w + o * g_.inner() + channel * positions;
        for (int64_t position = 0; position < positions; ++position) {
          for (int64_t t = 0; t < per_slot; ++t) *to++ = from[t * positions + position];
        }
      }
    }
    return moved;
  }

  // The tasks: blocks of columns whose sums stay in the second-level cache, as many for each thread; where there are
  // few columns, pieces of the outputs.
  void cut(int64_t threads) {
    const int64_t rows = std::max<int64_t>(1, g_.group_outputs()), others = std::max<int64_t>(1, g_.groups * g_.images);
    const auto pieces = [](int64_t count, int64_t size) { return (count + size - 1) / size; };
    column_panels_ = pieces(g_.pixel_count(), kernel_.columns), row_panels_ = pieces(rows, kernel_.rows);
    const int64_t most = std::clamp(65536 / rows, 4 * kernel_.columns, kInt8BlockColumns) / kernel_.columns;
    blocks_ = pieces(column_panels_, most);
    const int64_t most_row_pieces = std::max<int64_t>(1, row_panels_ / 2);
    const bool few_columns = column_panels_ * kernel_.columns <= kInt8BlockColumns / 2;
    if (threads > 1 && others < threads && few_columns && most_row_pieces >= threads) {
      blocks_ = 1;
      row_pieces_ = std::min(pieces(2 * threads, others), most_row_pieces);
    } else if (threads > 1) {
      const int64_t wanted = pieces(blocks_ * others, threads) * threads;
      blocks_ = std::clamp<int64_t>(pieces(wanted, others), 1, std::max<int64_t>(1, column_panels_));
      if (blocks_ * others < threads) row_pieces_ = std::min(pieces(threads, blocks_ * others), most_row_pieces);
    }
  }

  // Columns of one image for one group.
  struct Block {
    int64_t group, image, column, columns;
  };
  Block block(int64_t number) const {
    const int64_t at = number % blocks_, others = number / blocks_, width = kernel_.columns;
    const int64_t first = at * column_panels_ / blocks_ * width, last = (at + 1) * column_panels_ / blocks_ * width;
    return {others / g_.images, others % g_.images, first, std::min(last, g_.pixel_count()) - first};
  }
  int64_t padded(int64_t columns) const { return (columns + kernel_.columns - 1) / kernel_.columns * kernel_.columns; }
  // Slots of all slices of the largest block.
  int64_t block_size() const {
    return (column_panels_ + blocks_ - 1) / blocks_ * kernel_.columns * kernel_.slots(g_.inner());
  }
  const uint8_t* channels(const uint8_t* x, const Block& block) const {
    return x + block.image * g_.x_strides[0] + block.group * g_.group_channels() * g_.x_strides[1];
  }

  // The columns of all blocks, slice after slice.
  void gather_all(const uint8_t* x, int64_t blocks, int32_t* panels) const {
    const int64_t rows = by_channels_ ? 256 : 64;  // of a piece; a slice is a multiple of it
    const int64_t pieces = (g_.inner() + rows - 1) / rows;
    const int64_t grain = grain_for(rows * block(0).columns / 4);
    parallel_for(blocks * pieces, grain, [&](int64_t begin, int64_t end) {
      std::vector<Int8Columns::Run> runs;
      for (int64_t i = begin; i < end; ++i) {
        const Block here = block(i / pieces);
        columns_of_.list(here.column, here.columns, runs);
        const int64_t k = i % pieces * rows, p = k / kInt8Inner * kInt8Inner;
        const int64_t inner = std::min(kInt8Inner, g_.inner() - p);
        gather(channels(x, here), here, runs, p, inner, k - p, std::min(k - p + rows, inner),
               panels + i / pieces * block_size() + kernel_.slots(p) * padded(here.columns));
      }
    });
  }

  // One piece of the outputs for a block of columns, which are `gathered` if that is not null.
  void multiply(const Weights& weights, const uint8_t* x, int32_t* y, const Block& block, int64_t row_piece,
                const int32_t* gathered, std::vector<Int8Columns::Run>& runs, Epilogue::Session& session) const {
    const int64_t row = row_piece * row_panels_ / row_pieces_ * kernel_.rows;
    const int64_t rows = std::min((row_piece + 1) * row_panels_ / row_pieces_ * kernel_.rows, g_.group_outputs()) - row;
    const int64_t first_line = block.image * g_.outputs + block.group * g_.group_outputs() + row;
    const int64_t wide = padded(block.columns);
    if (!gathered) columns_of_.list(block.column, block.columns, runs);
    const Int8Weights& left = *weights.groups[static_cast<size_t>(block.group)];
    const auto a_source = [&](int64_t r, int64_t, int64_t p, int64_t) { return left.slice(p, row + r); };
    const auto b_source = [&](int64_t, int64_t, int64_t p, int64_t inner) -> const int32_t* {
      // A block is never wider than one call asks for.
      if (gathered) return gathered + kernel_.slots(p) * wide;
      auto* panels = reinterpret_cast<int32_t*>(
          thread_scratch(kPackScratchB, static_cast<size_t>(wide * kernel_.slots(inner)) * sizeof(int32_t)));
      gather(channels(x, block), block, runs, p, inner, 0, inner, panels);
      return panels;
    };
    int32_t* target = y ? y + first_line * g_.pixel_count() + block.column : nullptr;
    int64_t stride = g_.pixel_count();
    if (!y) {
      target =
          reinterpret_cast<int32_t*>(thread_scratch(kBlockScratch, static_cast<size_t>(rows * wide) * sizeof(int32_t)));
      stride = wide;
    }
    const auto done = [&](int64_t first, int64_t row_count, int64_t s, int64_t count) {
      if (!epilogue_) return;
      epilogue_->run_rows(session, first_line + first, row_count, block.column + s, count,
                          y ? nullptr : target + first * stride + s, stride);
    };
    multiply_int8(kernel_, Int8Left::kWeights, rows, block.columns, g_.inner(), a_source, b_source,
                  weights.start[static_cast<size_t>(block.group)].data() + row, target, stride, y == nullptr, done);
  }

  // Rows [p + first, p + last) of the slice [p, p + inner), as lines of panels of columns.
  void gather(const uint8_t* x, const Block& block, const std::vector<Int8Columns::Run>& runs, int64_t p, int64_t inner,
              int64_t first, int64_t last, int32_t* panels) const {
    if (by_channels_ && columns_of_.are_shifts()) return gather_shifts(x, block, p, inner, first, last, panels);
    if (by_channels_) return gather_lines(x, block, runs, p, inner, first, last, panels);
    const int64_t width = kernel_.columns, per_slot = kernel_.per_slot, step = width * kernel_.slots(inner);
    const int64_t wide = padded(block.columns);
    // Planes are read where they are, but for the last panel if it is not whole.
    const int64_t whole = columns_of_.are_planes() ? block.columns / width : 0, rest = wide / width - whole;
    const int64_t column = block.column + whole * width, columns = block.columns - whole * width;
    uint8_t lines[4][kInt8BlockColumns];
    for (auto& line : lines) std::memset(line, form_.padding(), static_cast<size_t>(wide));
    Int8Columns::Tap tap = columns_of_.tap(x, p + first);
    for (int64_t k = first; k < last; k += per_slot) {
      const uint8_t* planes[4] = {lines[0], lines[1], lines[2], lines[3]};
      for (int64_t t = 0; t < per_slot && k + t < inner; ++t) {  // beyond, weights are 0, whatever stands here
        if (whole > 0) planes[t] = tap.plane + block.column;
        if (rest > 0) columns_of_.row(tap, column, columns, runs, lines[t]);
        columns_of_.next(tap);
      }
      int32_t* to = panels + k / per_slot * width;
      if (whole > 0) int8_slots(kernel_, form_, planes, whole, step, to);
      const uint8_t* const rows[4] = {lines[0], lines[1], lines[2], lines[3]};
      if (rest > 0) int8_slots(kernel_, form_, rows, rest, step, to + whole * step);
    }
  }

  // The same where slots hold neighbouring channels. Their bytes are put side by side once for all kernel positions, in
  // one line of slots for each of the kernel's columns: what that column must not read is padding there. The rows are
  // then pieces of these lines.
  void gather_shifts(const uint8_t* x, const Block& block, int64_t p, int64_t inner, int64_t first, int64_t last,
                     int32_t* panels) const {
    const int64_t width = kernel_.columns, per_slot = kernel_.per_slot, step = width * kernel_.slots(inner);
    const int64_t across = g_.kernel[2], positions = g_.positions(), wide = padded(block.columns);
    const int64_t lowest = columns_of_.shift(0, 0).pixels;
    const int64_t highest = columns_of_.shift(g_.kernel[1] - 1, across - 1).pixels;
    const int64_t length = padded(wide + highest - lowest) + width;
    auto* lines = reinterpret_cast<int32_t*>(
        thread_scratch(kPackScratchA, static_cast<size_t>(across * length) * sizeof(int32_t)));
    int64_t ready = -1;
    for (int64_t slot = first / per_slot; slot * per_slot < last; ++slot) {
      const int64_t channels = (p / per_slot + slot) / positions, position = (p / per_slot + slot) % positions;
      if (channels != ready) {
        slot_lines(x + channels * per_slot * g_.x_strides[1], block.column + lowest, length, lines);
        ready = channels;
      }
      const int64_t w = position % across;
      const int32_t* from = lines + w * length + columns_of_.shift(position / across, w).pixels - lowest;
      deal(from, wide, step, panels + slot * width);
    }
  }

  // A line of slots to panels, `step` apart.
  void deal(const int32_t* from, int64_t wide, int64_t step, int32_t* to) const {
    const int64_t width = kernel_.columns;
    for (int64_t j = 0; j < wide; j += width, to += step) {
      if (width == 32) std::memcpy(to, from + j, 32 * sizeof(int32_t));  // a size known ahead needs no call
      else std::memcpy(to, from + j, static_cast<size_t>(width) * sizeof(int32_t));
    }
  }

  // The same for pixels that are not neighbours in memory.
  void gather_lines(const uint8_t* x, const Block& block, const std::vector<Int8Columns::Run>& runs, int64_t p,
                    int64_t inner, int64_t first, int64_t last, int32_t* panels) const {
    const int64_t width = kernel_.columns, per_slot = kernel_.per_slot, step = width * kernel_.slots(inner);
    const int64_t across = g_.kernel[2], positions = g_.positions();
    const auto [top, bottom] = columns_of_.lines_of(runs);
    const int64_t begin = top * g_.size[2], end = bottom * g_.size[2];
    auto* plane =
        reinterpret_cast<int32_t*>(thread_scratch(kPackScratchA, static_cast<size_t>(end - begin) * sizeof(int32_t)));
    alignas(64) int32_t row[kInt8BlockColumns] = {};
    int32_t padding = 0;
    int64_t ready = -1;
    for (int64_t slot = first / per_slot; slot * per_slot < last; ++slot) {
      const int64_t channels = (p / per_slot + slot) / positions, position = (p / per_slot + slot) % positions;
      if (channels != ready) {
        padding = put_together(x + channels * per_slot * g_.x_strides[1], begin, end, plane);
        ready = channels;
      }
      columns_of_.row(plane, begin, 0, position / across, position % across, runs, padding, row);
      deal(row, padded(block.columns), step, panels + slot * width);
    }
  }

  // Slots of pixels [begin, end) of as many planes from `x` on as a slot holds; returns the slot of padding.
  int32_t put_together(const uint8_t* x, int64_t begin, int64_t end, int32_t* to) const {
    const int64_t width = kernel_.columns, whole = (end - begin) / width, rest = end - begin - whole * width;
    uint8_t bytes[4][64];  // the last panel, if it is not whole, then padding
    const uint8_t* rows[4] = {};
    const uint8_t* const rest_rows[4] = {bytes[0], bytes[1], bytes[2], bytes[3]};
    for (auto& each : bytes) std::memset(each, form_.padding(), sizeof(each));
    for (int64_t t = 0; t < kernel_.per_slot; ++t) {
      rows[t] = x + t * g_.x_strides[1] + begin;
      std::memcpy(bytes[t], rows[t] + whole * width, static_cast<size_t>(rest));
    }
    alignas(64) int32_t slots[64];
    int8_slots(kernel_, form_, rest_rows, 1, width, slots);
    int8_slots(kernel_, form_, rows, whole, width, to);
    std::copy_n(slots, rest, to + whole * width);
    return slots[width - 1];
  }

  // Slots of as many planes from `x` on as a slot holds: pixels [origin, origin + length), one line per kernel column.
  void slot_lines(const uint8_t* x, int64_t origin, int64_t length, int32_t* lines) const {
    const int64_t line_width = g_.size[2], across = g_.kernel[2];
    const int64_t begin = std::clamp<int64_t>(0, origin, origin + length);  // of what lies in the plane
    const int64_t end = std::clamp(g_.pixel_count(), begin, origin + length);
    const int32_t padding = put_together(x, begin, end, lines + (begin - origin));
    std::fill_n(lines, begin - origin, padding);
    std::fill_n(lines + (end - origin), origin + length - end, padding);
    for (int64_t w = 1; w < across; ++w) std::copy_n(lines, length, lines + w * length);
    // Moved right, the first elements of a line are read by the line before; moved left, the last ones by the next.
    for (int64_t w = 0; w < across; ++w) {
      const int64_t right = columns_of_.shift(0, w).right;
      const int64_t from = right > 0 ? 0 : std::max<int64_t>(0, line_width + right),
                    to = std::min(line_width, right > 0 ? right : line_width);
      for (int64_t line = begin - begin % line_width; line < end; line += line_width) {
        const int64_t low = std::max(begin, line + from), high = std::min(end, line + to);
        for (int64_t i = low; i < high; ++i) lines[w * length + i - origin] = padding;
      }
    }
  }

  Geometry g_;
  TrmValue w_;
  XForm form_;
  Int8Columns columns_of_;
  const Int8Kernel& kernel_;
  std::shared_ptr<const Epilogue> epilogue_;
  std::shared_ptr<const Weights> packed_;
  bool by_channels_ = false;  // slots hold neighbouring channels, else neighbours of the kernel
  int64_t column_panels_ = 0, row_panels_ = 0, blocks_ = 1, row_pieces_ = 1;
};

Run prepare_convolution(const Program& program, const NodeView& node) {
  const Geometry g = geometry_of(program, node);
  if (g.inner() == 0) {
    return [out = g.out, bytes = g.images * g.outputs * g.pixel_count() * 4](void* const* values) {
      std::memset(values[out], 0, static_cast<size_t>(bytes));
    };
  }
  if (runs_int8_channels_last(program, node)) return prepare_int8_channels_last(program, node);
  return [c = std::make_shared<Int8Convolution>(program, node)](void* const* values) { c->run(values); };
}

double flops_of_convolution(const Program& program, const NodeView& node) {
  const Geometry g = geometry_of(program, node);  // counted as f32: four numbers in the place of one
  return 0.5 * static_cast<double>(g.images * g.outputs * g.pixel_count()) * static_cast<double>(g.inner());
}

void check_epilogue(const Program& program, const NodeView& node) {
  if (geometry_of(program, node).inner() == 0) throw Failure(TRM_UNSUPPORTED, "an empty sum has no epilogue");
  if (runs_int8_channels_last(program, node)) check_int8_channels_last(program, node);
  else Epilogue::of(program, node.number());
}

void ask_layouts(const Program& program, const NodeView& node, TrmAnswer& answer) {
  if (runs_int8_channels_last(program, node)) ask_int8_channels_last(program, node, answer);
  else ask_dense_outputs(program, answer);
}

constexpr KernelEntry kTable[] = {{"integer_convolution", only(i8) | only(u8), false, prepare_convolution,
                                   flops_of_convolution, 0.0, check_epilogue, ask_layouts}};

}  // namespace

std::span<const KernelEntry> int8_convolution_kernels() { return kTable; }

}  // namespace trireme::cpu
