#include "chips/cpu/channels_last.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "chips/cpu/convolution.h"
#include "chips/cpu/gemm.h"
#include "chips/cpu/indirect_kernel.h"
#include "chips/cpu/large_memory.h"
#include "chips/cpu/pixel_runs.h"
#include "chips/cpu/tile_program.h"
#include "chips/cpu/winograd_tiles.h"

namespace trireme::cpu {
namespace {

constexpr int64_t kChunkBytes = 192 << 10;     // of the image under one chunk of pixels: with a panel, within the L2
constexpr int64_t kWinogradBytes = 832 << 10;  // of the transformed image of one chunk of tiles
constexpr int64_t kLeastTiles = 48;            // fewer do not pay for weights that are 16 / 9 as large,
constexpr int64_t kLeastTilesPacked = 256;     // nor for transforming them in each run
constexpr int64_t kLeastPixels = 16;           // that pay for packing weights in each run
constexpr double kTaskFlops = 5e5;             // pays for waking a thread

// A convolution, or a product seen as one: each row of the left matrix is a pixel, its columns are the channels.
struct Layer {
  Geometry g;
  TrmValue weights;       // outputs, then channels and kernel positions
  AxisOrder order;        // of the image and of the result
  uint32_t channel_axis;  // of the result
};

Layer layer_of(const Program& program, const NodeView& node) {
  if (node.op() == "convolution") {
    const Geometry g = geometry_of(program, node);
    return {g, program.value(g.in_w), channels_last_order(program.value(g.out).rank), 1};
  }
  const TrmValue a = program.value(node.inputs()[0]), b = program.value(node.inputs()[1]);
  Geometry g{node.inputs()[0],
             node.inputs()[1],
             node.outputs()[0],
             dtype_of(a),
             1,
             a.dims[2],
             b.dims[2],
             1,
             {1, 1, a.dims[0] * a.dims[1]},
             {1, 1, 1},
             {1, 1, a.dims[0] * a.dims[1]},
             {1, 1, 1},
             {0, 0, 0},
             {1, 1, 1},
             {1, 1, 1},
             {}};
  TrmValue weights = b;
  weights.rank = 2;
  weights.dims[0] = b.dims[2], weights.dims[1] = b.dims[1];
  weights.strides[0] = b.strides[2], weights.strides[1] = b.strides[1];
  return {g, weights, row_major_order(), 2};
}

// ---- what follows the sums -----------------------------------------------------------------------------------

// The number an operand holds everywhere, when that is known.
bool number_of(const Program& program, uint32_t value, float* number) {
  const TrmValue v = program.value(value);
  if (v.known) {
    for (uint32_t axis = 0; axis < v.rank; ++axis) {
      if (v.dims[axis] != 1 && v.strides[axis] != 0) return false;
    }
    load_row(number, static_cast<const std::byte*>(v.constant_data), dtype_of(v), 1, 1);
    return true;
  }
  for (uint32_t n = 0; n < program.node_count(); ++n) {
    const NodeView node = program.node(n);
    if (node.outputs()[0] != value || node.op() != "fill") continue;
    *number = static_cast<float>(node.number("value"));
    return true;
  }
  return false;
}

// One number per channel, when they are known.
bool channel_numbers(const Program& program, uint32_t value, uint32_t channel_axis, std::vector<float>* numbers) {
  float everywhere;
  if (number_of(program, value, &everywhere)) {
    std::fill(numbers->begin(), numbers->end(), everywhere);
    return true;
  }
  const TrmValue v = program.value(value);
  if (!v.known) return false;
  for (uint32_t axis = 0; axis < v.rank; ++axis) {
    if (axis != channel_axis && v.dims[axis] != 1 && v.strides[axis] != 0) return false;
  }
  load_row(numbers->data(), static_cast<const std::byte*>(v.constant_data), dtype_of(v), v.strides[channel_axis],
           static_cast<int64_t>(numbers->size()));
  return true;
}

// The chain of nodes behind the convolution that its sums can take: times and plus known numbers of each channel, plus
// another image, at least and at most a known number.
struct Chain {
  std::vector<uint32_t> nodes;  // the convolution first
  uint32_t result;              // of the last
  std::vector<float> scale, bias;
  uint32_t added = TRM_ABSENT;
  Finish bounds;

  Chain(const Program& program, const NodeView& head, const Layer& layer)
      : nodes{head.number()},
        result(head.outputs()[0]),
        scale(static_cast<size_t>(layer.g.outputs), 1.0f),
        bias(static_cast<size_t>(layer.g.outputs), 0.0f),
        channel_axis_(layer.channel_axis) {
    while (take(program)) {
    }
  }

 private:
  bool take(const Program& program) {
    for (uint32_t i = 0; i < program.output_count(); ++i) {
      if (program.output(i) == result) return false;
    }
    uint32_t reader = TRM_ABSENT;
    for (uint32_t n = 0; n < program.node_count(); ++n) {
      for (uint32_t input : program.node(n).inputs()) {
        if (input != result) continue;
        if (reader != TRM_ABSENT) return false;  // two readers, or one that reads it twice
        reader = n;
      }
    }
    if (reader == TRM_ABSENT || !absorb(program, program.node(reader))) return false;
    nodes.push_back(reader);
    result = program.node(reader).outputs()[0];
    return true;
  }

  bool absorb(const Program& program, const NodeView& node) {
    const std::string_view op = node.op();
    if (op == "convert") {  // sums are f32 already
      return dtype_of(program.value(node.inputs()[0])) != f32 && dtype_of(program.value(node.outputs()[0])) == f32;
    }
    if (node.inputs().size() != 2) return false;
    const bool first = node.inputs()[0] == result;
    const uint32_t other = node.inputs()[first ? 1 : 0];
    const bool bounded = std::isfinite(bounds.low) || std::isfinite(bounds.high);
    if (op == "max" || op == "min") {
      float bound;
      if (!number_of(program, other, &bound) || std::isnan(bound)) return false;
      if (op == "max" && std::isfinite(bounds.high)) return false;
      if (op == "max") bounds.low = std::max(bounds.low, bound);
      else bounds.high = std::min(bounds.high, bound);
      return bounds.low <= bounds.high;
    }
    if (bounded) return false;
    std::vector<float> numbers(bias.size());
    const bool known = (op == "mul" || op == "add" || (op == "sub" && first)) &&
                       channel_numbers(program, other, channel_axis_, &numbers);
    if (known && added == TRM_ABSENT) {
      for (size_t c = 0; c < bias.size(); ++c) {
        if (op == "mul") scale[c] *= numbers[c], bias[c] *= numbers[c];
        else bias[c] += op == "add" ? numbers[c] : -numbers[c];
      }
      return true;
    }
    const TrmValue v = program.value(other), y = program.value(node.outputs()[0]);
    if (op != "add" || added != TRM_ABSENT || v.known || dtype_of(v) != f32 || dtype_of(y) != f32) return false;
    for (uint32_t i = 0; i < program.input_count(); ++i) {
      if (program.input(i) == other && !repeats(v)) added = other;
    }
    return added != TRM_ABSENT;
  }

  static bool repeats(const TrmValue& v) {
    for (uint32_t axis = 0; axis < v.rank; ++axis) {
      if (v.dims[axis] != 1 && v.strides[axis] == 0) return true;
    }
    return false;
  }

  uint32_t channel_axis_;
};

// The nodes beyond the chain, over the pixels in the order of memory.
class Rest {
 public:
  Rest(const Program& program, const Chain& chain, const AxisOrder& order)
      : values_(program.value_count()), given_(chain.result) {
    uint32_t left = 0;
    for (uint32_t n = 0; n < program.node_count(); ++n) {
      for (uint32_t input : program.node(chain.nodes.front()).inputs()) {
        if (program.node(n).outputs()[0] == input) {
          throw Failure(TRM_UNSUPPORTED, "an operand of the contraction is made in the same program");
        }
      }
      left +=
          std::find(chain.nodes.begin(), chain.nodes.end(), n) == chain.nodes.end() && program.node(n).op() != "fill";
    }
    if (left == 0) return;
    const TrmValue result = program.value(given_);
    tiles_.emplace(program, program.node_count(), chip::dims(result), chain.nodes);
    const Strides strides = strides_in(result, order);
    tiles_->loops.strides[TileProgram::kLeader] = strides;
    tiles_->lay_given(std::span<const int64_t>(strides).first(result.rank));
    tiles_->loops.normalize();
    tiles_->finish();
  }
  bool empty() const { return !tiles_; }

  // Elements [first, first + count) in the order of memory; `sums` holds the chain's result.
  void run(void* const* values, const float* sums, int64_t first, int64_t count) const {
    thread_local std::vector<void*> with_sums;
    with_sums.assign(values, values + values_);
    with_sums[given_] = const_cast<float*>(sums);
    TileProgram::Frame frame = tiles_->frame(with_sums.data());
    const Loops& loops = tiles_->loops;
    const int64_t row = loops.dims[loops.rank - 1];
    for (int64_t at = first; at < first + count;) {
      int64_t here = std::min(kTile, first + count - at);
      if (row >= kTile / 4) here = std::min(here, row - at % row);
      tiles_->evaluate(frame, Position(loops, at), 0, loops.rank, here);
      at += here;
    }
  }

 private:
  std::optional<TileProgram> tiles_;
  size_t values_;
  uint32_t given_;
};

// ---- the sums ------------------------------------------------------------------------------------------------

// Columns [column, column + columns) of a group, at `offset` in the weights of a phase.
struct Panel {
  int64_t group, column, columns, offset;
};

// The weights of each output as floats, channels and kernel positions, from memory of any strides.
class WeightRows {
 public:
  WeightRows(const TrmValue& w, const Geometry& g, const void* memory) : w_(w), g_(g), memory_(memory) {
    if (g.type != f32 || chip::is_dense(w)) memory_ = dense_.emplace(w, memory).data();
    offsets_.resize(static_cast<size_t>(g.positions()), 0);
    for (int64_t p = 0; p < g.positions(); ++p) {
      for (int64_t rest = p, axis = w.rank; --axis >= 2; rest /= w.dims[axis]) {
        offsets_[static_cast<size_t>(p)] += rest % w.dims[axis] * w.strides[axis];
      }
    }
  }
  // Outputs [first, first + count).
  void load(int64_t first, int64_t count, float* to) const {
    const int64_t inner = g_.inner(), positions = g_.positions();
    if (dense_) {
      const auto item = static_cast<int64_t>(size_of(g_.type));
      return load_row(to, static_cast<const std::byte*>(memory_) + first * inner * item, g_.type, 1, count * inner);
    }
    // Turned, as for the gradient of an image, outputs are neighbours: they share their cache lines.
    const float* from = static_cast<const float*>(memory_) + first * w_.strides[0];
    for (int64_t c = 0; c < g_.group_channels(); ++c) {
      for (int64_t o = 0; o < count; ++o) {
        const float* filter = from + o * w_.strides[0] + c * w_.strides[1];
        for (int64_t p = 0; p < positions; ++p) {
          to[o * inner + c * positions + p] = filter[offsets_[static_cast<size_t>(p)]];
        }
      }
    }
  }

 private:
  const TrmValue& w_;
  const Geometry& g_;
  const void* memory_;
  std::optional<DenseInput> dense_;
  std::vector<int64_t> offsets_;  // of the kernel positions
};

// Weights as the kernels read them, and what happens to the sums.
struct Packed {
  std::vector<LargeVector<float>> phases;  // of each phase: the panels of all groups
  std::vector<float> scale, bias;          // as far as the weights could not take the scale
  Finish finish;
};

class ChannelsLast {
 public:
  ChannelsLast(const Program& program, const NodeView& node, const Layer& layer)
      : g_(layer.g),
        chain_(program, node, layer),
        rest_(program, chain_, layer.order),
        pairs_(are_pairs(g_)),
        depthwise_(g_.group_channels() == 1 && g_.group_outputs() == 1 && g_.groups > 1),
        winograd_(!pairs_ && is_winograd(g_, layer.weights.known ? kLeastTiles : kLeastTilesPacked)),
        kernel_(pairs_ ? *pair_indirect_kernel() : indirect_kernel()),
        w_(layer.weights),
        slots_(slots_of(g_, pairs_)),
        runs_(slots_) {
    choose_target(program);
    list_panels();
  }

  // Packs weights that are known; before the first run.
  void prepare() {
    if (w_.known) pack(w_.constant_data, packed_.emplace());
  }

  void run(void* const* values) const {
    const int64_t elements = g_.images * g_.pixel_count() * g_.outputs;
    if (elements == 0) return;
    float* sums =
        direct_
            ? static_cast<float*>(values[out_])
            : reinterpret_cast<float*>(thread_scratch(kBlockScratch, static_cast<size_t>(elements) * sizeof(float)));
    thread_local Packed packed_now;
    if (!packed_) pack(values[g_.in_w], packed_now);
    const Packed& packed = packed_ ? *packed_ : packed_now;
    const float* image = runs_.prepare(static_cast<const std::byte*>(values[g_.in_x]));
    const auto* added = chain_.added == TRM_ABSENT ? nullptr : static_cast<const float*>(values[chain_.added]);
    const bool at_once = runs_.phases().size() == 1;
    for (size_t i = 0; i < runs_.phases().size(); ++i) {
      const Phase& phase = runs_.phases()[i];
      const Task task{phase, packed.phases[i].data(), packed.finish, values, image, added, sums, at_once};
      if (winograd_) winograd(task);
      else if (depthwise_) depthwise(task);
      else multiply(task);
    }
    if (at_once || !needs_finish()) return;
    parallel_for(elements, kGrainElements,
                 [&](int64_t begin, int64_t end) { finish(values, sums, begin, end - begin); });
  }

  // Whether neighbouring channels are multiplied two at a time as they lie in memory.
  static bool are_pairs(const Geometry& g) {
    return g.type == bf16 && pair_indirect_kernel() != nullptr && g.group_channels() % 2 == 0 &&
           !PixelRuns::is_framed(slots_of(g, true));
  }
  static bool is_winograd(const Geometry& g, int64_t least_tiles) {
    return WinogradTiles::suit(g, kNarrow) && WinogradTiles(g).count() >= least_tiles;
  }

 private:
  // The image and the weights in units of what the kernel takes for a float.
  static Geometry slots_of(Geometry g, bool pairs) {
    if (!pairs) return g;
    g.type = f32;
    g.channels /= 2;
    return g;
  }

  // What a run does for one phase.
  struct Task {
    const Phase& phase;
    const float* weights;
    const Finish& finish;
    void* const* values;
    const float *image, *added;
    float* sums;
    bool at_once;  // the results are finished, too
  };

  // The sums go to the memory of the chain's result if that is wanted, else of the one output, else to scratch.
  void choose_target(const Program& program) {
    const TrmValue result = program.value(chain_.result);
    const auto fits = [&](uint32_t value) {
      const TrmValue v = program.value(value);
      return dtype_of(v) == f32 && chip::same_dims(v, result);
    };
    out_ = program.output(0);
    for (uint32_t i = 0; i < program.output_count(); ++i) {
      if (program.output(i) != chain_.result) continue;
      if (!rest_.empty() && !fits(chain_.result)) throw Failure(TRM_UNSUPPORTED, "a 16-bit result beside its epilogue");
      out_ = chain_.result;
    }
    direct_ = (out_ == chain_.result || program.output_count() == 1) && fits(out_);
  }
  bool needs_finish() const { return !rest_.empty() || !direct_; }

  void finish(void* const* values, const float* sums, int64_t first, int64_t count) const {
    if (!rest_.empty()) return rest_.run(values, sums, first, count);
    store_run(static_cast<std::byte*>(values[out_]), g_.type, first, sums + first, count);
  }

  // Weights whose sums a processor would take a hundred times as long for (channels that a decay has put to sleep, all
  // denormals) are raised by a power of two and lowered again in `scale`, as in convolution.cc; others take the scale.
  static constexpr float kRaise = 0x1p64f, kFaint = 0x1p-100f;

  void pack(const void* memory, Packed& packed) const {
    // Panels read whole vectors of scale and bias.
    const auto padded = static_cast<size_t>(g_.outputs + kernel_.columns);
    packed.scale = chain_.scale;
    packed.scale.resize(padded, 1.0f);
    packed.bias = chain_.bias;
    packed.bias.resize(padded, 0.0f);
    // Memory only grows: the next run of the largest kernel needs it again.
    packed.phases.resize(std::max(packed.phases.size(), runs_.phases().size()));
    for (size_t i = 0; i < runs_.phases().size(); ++i) {
      const auto size = static_cast<size_t>(columns_ * column_length(runs_.phases()[i]));
      if (packed.phases[i].size() < size) packed.phases[i].resize(size);
    }
    const WeightRows source(w_, g_, memory);
    parallel_for(static_cast<int64_t>(panels_.size()), grain_for(g_.inner() * kernel_.columns),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t p = begin; p < end; ++p) pack(panels_[static_cast<size_t>(p)], source, packed);
                 });
    packed.finish = chain_.bounds;
    const auto some = [](const std::vector<float>& numbers, float but) {
      return std::any_of(numbers.begin(), numbers.end(), [&](float n) { return n != but; });
    };
    if (some(packed.scale, 1.0f)) packed.finish.scale = packed.scale.data();
    if (some(packed.bias, 0.0f)) packed.finish.bias = packed.bias.data();
  }

  void pack(const Panel& panel, const WeightRows& source, Packed& packed) const {
    const int64_t first = panel.group * g_.group_outputs() + panel.column, inner = g_.inner();
    float* rows = reinterpret_cast<float*>(
        thread_scratch(kPackScratchA, static_cast<size_t>(panel.columns * inner) * sizeof(float)));
    source.load(first, panel.columns, rows);
    for (int64_t s = 0; !pairs_ && s < panel.columns; ++s) {  // bf16 stay the numbers they are
      settle_scale(rows + s * inner, packed.scale[static_cast<size_t>(first + s)]);
    }
    for (size_t i = 0; i < runs_.phases().size(); ++i) {
      const Phase& phase = runs_.phases()[i];
      float* to = packed.phases[i].data() + panel.offset * column_length(phase);
      if (winograd_) pack_winograd(panel, rows, to);
      else pack_taps(panel, phase, rows, to);
    }
  }

  // Leaves in `scale` what the weights of one output do not take of it.
  void settle_scale(float* row, float& scale) const {
    const bool faint = std::all_of(row, row + g_.inner(), [](float w) { return std::abs(w) < kFaint; });
    if (!faint && scale == 1.0f) return;
    float largest = 0.0f;
    bool safe = std::isfinite(scale);  // no product may leave the range of normal numbers
    for (int64_t i = 0; i < g_.inner(); ++i) largest = std::max(largest, std::abs(row[i]));
    safe &= largest * std::abs(scale) < 0x1p120f && (scale == 0.0f || std::abs(scale) > kFaint);
    if (faint && largest > 0.0f) {
      for (int64_t i = 0; i < g_.inner(); ++i) row[i] *= kRaise;
      scale *= 1 / kRaise;
    } else if (safe) {
      for (int64_t i = 0; i < g_.inner(); ++i) row[i] *= scale;
      scale = 1.0f;
    }
  }

  // Floats of one output's column of a panel.
  int64_t column_length(const Phase& phase) const {
    return (winograd_ ? kWinogradPositions : static_cast<int64_t>(phase.taps.size())) * slots_.group_channels();
  }

  void list_panels() {
    if (depthwise_) {  // one panel whose lines are the channels
      panels_.push_back({0, 0, g_.outputs, 0});
      columns_ = g_.outputs;
      return;
    }
    for (int64_t group = 0; group < g_.groups; ++group) {
      for (int64_t column = 0; column < g_.group_outputs(); column += kernel_.columns) {
        panels_.push_back({group, column, std::min(kernel_.columns, g_.group_outputs() - column), columns_});
        columns_ += round_up(panels_.back().columns, kernel_.lanes);
      }
    }
  }
  int64_t width_of(const Panel& panel) const {
    return depthwise_ ? panel.columns : round_up(panel.columns, kernel_.lanes);
  }

  // `rows`: the weights of each output of the panel, channels and kernel positions.
  void pack_taps(const Panel& panel, const Phase& phase, const float* rows, float* to) const {
    const int64_t inner = g_.inner(), width = width_of(panel);
    for (const Phase::Tap& tap : phase.taps) {
      for (int64_t c = 0; c < slots_.group_channels(); ++c, to += width) {
        const float* from = rows + (pairs_ ? 2 : 1) * c * g_.positions() + tap.position;
        for (int64_t s = 0; s < panel.columns; ++s) {
          to[s] = pairs_ ? pair_of(from[s * inner], from[s * inner + g_.positions()]) : from[s * inner];
        }
        std::fill(to + panel.columns, to + width, 0.0f);
      }
    }
  }
  void pack_winograd(const Panel& panel, const float* rows, float* to) const {
    const int64_t inner = g_.inner(), width = width_of(panel), step = g_.channels * width;
    std::array<std::array<float, 64>, kWinogradPositions> lines{};
    for (int64_t c = 0; c < g_.channels; ++c) {
      for (int64_t s = 0; s < panel.columns; ++s) {
        std::array<double, 9> wide;
        std::copy_n(rows + s * inner + c * 9, 9, wide.begin());
        const auto transformed = winograd_filter(wide);
        for (size_t t = 0; t < lines.size(); ++t) lines[t][static_cast<size_t>(s)] = static_cast<float>(transformed[t]);
      }
      for (size_t t = 0; t < lines.size(); ++t) {
        std::copy_n(lines[t].begin(), width, to + static_cast<int64_t>(t) * step + c * width);
      }
    }
  }

  // ---- running ----

  // How the pixels of a phase are cut: chunks of about equal size whose part of the image fits the cache, and for
  // several threads a multiple of their number of chunks, or else pieces of the columns.
  struct Cut {
    int64_t pixels, chunks, pieces;
    int64_t begin(int64_t chunk) const { return pixels * chunk / chunks; }
  };
  Cut cut(const Phase& phase) const {
    const int64_t rows = kernel_.rows, threads = host->threads();
    const int64_t pixels = g_.images * phase.pixels();
    const auto panels = static_cast<int64_t>(panels_.size());
    // Threads that share the columns read only their part of the weights.
    const bool by_columns = threads > 1 && panels >= threads &&
                            (pixels < 4 * rows * threads || g_.outputs * slots_.inner() > pixels * slots_.channels);
    const int64_t bytes = by_columns ? 2 * kChunkBytes : kChunkBytes;
    const int64_t fitting = std::clamp(bytes / (slots_.channels * 4), 4 * rows, 40 * rows);
    Cut c{pixels, (pixels + fitting - 1) / fitting, 1};
    if (by_columns) {
      c.pieces = threads;
    } else {
      // Two chunks for a thread and more, so that one that starts late does not hold up the others.
      const int64_t wanted = threads == 1 ? c.chunks : round_up(std::max(c.chunks, 2 * threads), threads);
      c.chunks = std::min(wanted, std::max<int64_t>(1, pixels / (2 * rows)));
    }
    return c;
  }
  int64_t grain(const Phase& phase, const Cut& c) const {
    const double flops = 2.0 * static_cast<double>(c.pixels) / static_cast<double>(c.chunks * c.pieces) *
                         static_cast<double>(g_.outputs * g_.group_channels()) * static_cast<double>(phase.taps.size());
    return static_cast<int64_t>(kTaskFlops / std::max(1.0, flops)) + 1;
  }

  void multiply(const Task& work) const {
    const auto& [phase, weights, finished, values, image, added, sums, at_once] = work;
    const int64_t run_count = runs_.runs(phase), run = runs_.run_length();
    const int64_t inner = static_cast<int64_t>(phase.taps.size()) * slots_.group_channels();
    const Cut c = cut(phase);
    const auto panels = static_cast<int64_t>(panels_.size());
    parallel_for(c.chunks * c.pieces, grain(phase, c), [&](int64_t begin, int64_t end) {
      thread_local std::vector<const float*> left_storage, shifted_storage, others_storage;
      thread_local std::vector<float*> to_storage;
      for (int64_t task = begin; task < end; ++task) {
        const int64_t first = c.begin(task / c.pieces), count = c.begin(task / c.pieces + 1) - first;
        const int64_t blocks = (count + kernel_.rows - 1) / kernel_.rows, block_size = run_count * kernel_.rows;
        const int64_t rows_of_each = count / blocks, larger = count % blocks;  // blocks of one row more come first
        left_storage.resize(static_cast<size_t>(blocks * block_size));
        shifted_storage.resize(static_cast<size_t>(block_size));
        others_storage.resize(static_cast<size_t>(count)), to_storage.resize(static_cast<size_t>(count));
        const float **left = left_storage.data(), **shifted = shifted_storage.data(), **others = others_storage.data();
        float** to = to_storage.data();
        PixelRuns::Walk walk(runs_, phase, image, first);
        for (int64_t b = 0, i = 0; b < blocks; ++b) {
          const int64_t rows = rows_of_each + (b < larger);
          for (int64_t r = 0; r < rows; ++r, ++i) {
            const int64_t pixel = walk.next(left + b * block_size + r, kernel_.rows);
            to[i] = sums + pixel * g_.outputs;
            if (added) others[i] = added + pixel * g_.outputs;
          }
        }
        const int64_t piece = task % c.pieces, end_panel = panels * (piece + 1) / c.pieces;
        for (int64_t p = panels * piece / c.pieces, together; p < end_panel; p += together) {
          const Panel& panel = panels_[static_cast<size_t>(p)];
          together = count == 1 ? panels_together(p, end_panel) : 1;
          IndirectBlock block{
              0,       panel.columns * together, run_count, run, nullptr, weights + panel.offset * inner, nullptr,
              nullptr, first_output(p),          finished};
          for (int64_t b = 0, start = 0; b < blocks; ++b, start += block.rows) {
            block.rows = rows_of_each + (b < larger);
            block.left = left + b * block_size;
            if (panel.group > 0) {
              for (int64_t i = 0; i < block_size; ++i) {
                const float* from = block.left[i];
                shifted[i] = from == runs_.zeros() || i % kernel_.rows >= block.rows ? from : from + panel.group * run;
              }
              block.left = shifted;
            }
            block.to = to + start;
            block.added = added ? others + start : nullptr;
            kernel_.block(block);
          }
        }
        if (!at_once || !needs_finish()) continue;
        if (c.pieces == 1) {
          finish(values, sums, first * g_.outputs, count * g_.outputs);
          continue;
        }
        const int64_t low = first_output(panels * piece / c.pieces),
                      high = first_output(panels * (piece + 1) / c.pieces);
        for (int64_t i = first; i < first + count; ++i) finish(values, sums, i * g_.outputs + low, high - low);
      }
    });
  }
  // How many panels from `p` on the kernel takes as one block of one row.
  int64_t panels_together(int64_t p, int64_t end) const {
    if (p + kernel_.row_panels > end) return 1;
    const Panel &first = panels_[static_cast<size_t>(p)],
                &last = panels_[static_cast<size_t>(p + kernel_.row_panels - 1)];
    return first.group == last.group && last.columns == kernel_.columns ? kernel_.row_panels : 1;
  }
  int64_t first_output(int64_t panel) const {
    if (panel == static_cast<int64_t>(panels_.size())) return g_.outputs;
    return panels_[static_cast<size_t>(panel)].group * g_.group_outputs() + panels_[static_cast<size_t>(panel)].column;
  }

  // Tiles of 2 x 2 pixels: transformed, multiplied position by position, transformed back.
  void winograd(const Task& work) const {
    const auto& [phase, weights, finished, values, image, added, sums, at_once] = work;
    const IndirectKernel& kernel = indirect_kernel();
    const WinogradKernel& transforms = winograd_kernel();
    const WinogradTiles tiles(g_);
    const int64_t channels = g_.channels, count = tiles.count(), threads = host->threads();
    const int64_t fitting =
        std::clamp<int64_t>(kWinogradBytes / (kWinogradPositions * channels * 4), kernel.rows, 16 * kernel.rows);
    Cut c{count, (count + fitting - 1) / fitting, 1};
    if (threads > 1) c.chunks = std::min(round_up(c.chunks, threads), std::max<int64_t>(1, count / kernel.rows));
    parallel_for(c.chunks, grain(phase, c), [&](int64_t begin, int64_t end) {
      for (int64_t chunk = begin; chunk < end; ++chunk) {
        const int64_t first = c.begin(chunk), size = c.begin(chunk + 1) - first;
        float* transformed = reinterpret_cast<float*>(
            thread_scratch(kPackScratchA, static_cast<size_t>(kWinogradPositions * size * channels) * sizeof(float)));
        float* products = reinterpret_cast<float*>(thread_scratch(
            kFoldScratch, static_cast<size_t>(kWinogradPositions * size * kernel.columns) * sizeof(float)));
        for (int64_t t = 0; t < size; ++t) {
          const float* from[kWinogradPositions];
          tiles.pixels(tiles.at(first + t), image, runs_.zeros(), from);
          transforms.image(from, channels, transformed + t * channels, size * channels);
        }
        for (const Panel& panel : panels_) {
          const int64_t width = round_up(panel.columns, kernel.lanes);
          const float* filters = weights + panel.offset * kWinogradPositions * channels;
          for (int64_t position = 0; position < kWinogradPositions; ++position) {
            const int64_t blocks = (size + kernel.rows - 1) / kernel.rows;
            for (int64_t b = 0; b < blocks; ++b) {
              const int64_t start = size * b / blocks, rows = size * (b + 1) / blocks - start;
              const float* left[16];
              float* to[16];
              for (int64_t r = 0; r < rows; ++r) {
                left[r] = transformed + (position * size + start + r) * channels;
                to[r] = products + (position * size + start + r) * kernel.columns;
              }
              kernel.block({rows, width, 1, channels, left, filters + position * channels * width, to, nullptr, 0, {}});
            }
          }
          Finish finish = finished;
          if (finish.scale) finish.scale += panel.column;
          if (finish.bias) finish.bias += panel.column;
          for (int64_t t = 0; t < size; ++t) {
            const WinogradTiles::Tile tile = tiles.at(first + t);
            const std::array<int64_t, 4> numbers = tiles.results(tile);
            float* to[4] = {};
            const float* others[4] = {};
            for (size_t i = 0; i < 4; ++i) {
              if (numbers[i] < 0) continue;
              const int64_t at = numbers[i] * g_.outputs + panel.column;
              to[i] = sums + at;
              if (added) others[i] = added + at;
            }
            if (!transforms.result(products + t * kernel.columns, size * kernel.columns, panel.columns, to,
                                   added ? others : nullptr, finish)) {
              sum_directly(tile, panel, work, to, added ? others : nullptr);
            }
          }
        }
      }
    });
    if (needs_finish()) {
      const int64_t elements = g_.images * g_.pixel_count() * g_.outputs;
      parallel_for(elements, kGrainElements,
                   [&](int64_t begin, int64_t end) { finish(values, sums, begin, end - begin); });
    }
  }
  // A tile as the op defines it, for images that are not finite everywhere.
  void sum_directly(const WinogradTiles::Tile& tile, const Panel& panel, const Task& work, float* const* to,
                    const float* const* added) const {
    const void* memory = w_.known ? w_.constant_data : work.values[g_.in_w];
    for (int64_t i = 0; i < 4; ++i) {
      if (!to[i]) continue;
      for (int64_t s = 0; s < panel.columns; ++s) {
        const int64_t output = panel.column + s;
        double sum = 0.0;
        for (int64_t position = 0; position < 9; ++position) {
          const int64_t y = tile.y + i / 2 - g_.low[1] + position / 3, x = tile.x + i % 2 - g_.low[2] + position % 3;
          if (y < 0 || y >= g_.size[1] || x < 0 || x >= g_.size[2]) continue;
          const float* pixel = work.image + ((tile.image * g_.size[1] + y) * g_.size[2] + x) * g_.channels;
          const int64_t first = output * w_.strides[0] + position / 3 * w_.strides[2] + position % 3 * w_.strides[3];
          for (int64_t c = 0; c < g_.channels; ++c) {
            float weight;
            load_row(&weight,
                     static_cast<const std::byte*>(memory) +
                         (first + c * w_.strides[1]) * static_cast<int64_t>(size_of(g_.type)),
                     g_.type, 1, 1);
            sum += static_cast<double>(weight) * static_cast<double>(pixel[c]);
          }
        }
        float result = static_cast<float>(sum) * chain_.scale[static_cast<size_t>(output)] +
                       chain_.bias[static_cast<size_t>(output)];
        if (added) result += added[i][s];
        if (result < chain_.bounds.low) result = chain_.bounds.low;
        if (result > chain_.bounds.high) result = chain_.bounds.high;
        to[i][s] = result;
      }
    }
  }
  void depthwise(const Task& work) const {
    const auto& [phase, weights, finished, values, image, added, sums, at_once] = work;
    const auto taps = static_cast<int64_t>(phase.taps.size());
    const Cut c = cut(phase);
    constexpr int64_t kTogether = 16;  // pixels
    parallel_for(c.chunks, grain(phase, c), [&](int64_t begin, int64_t end) {
      thread_local std::vector<const float*> left;
      left.resize(static_cast<size_t>(kTogether * taps));
      for (int64_t chunk = begin; chunk < end; ++chunk) {
        const int64_t first = c.begin(chunk), last = c.begin(chunk + 1);
        PixelRuns::Walk walk(runs_, phase, image, first);
        for (int64_t at = first; at < last; at += kTogether) {
          const int64_t count = std::min(kTogether, last - at);
          float* to[kTogether];
          const float* others[kTogether] = {};
          const float* const* sources[kTogether];
          int64_t shift[kTogether];
          for (int64_t i = 0; i < count; ++i) {
            int64_t pixel;
            if (i > 0 && walk.moves_on()) {
              sources[i] = sources[i - 1], shift[i] = shift[i - 1] + walk.apart();
              pixel = walk.pass();
            } else {
              sources[i] = left.data() + i * taps, shift[i] = 0;
              pixel = walk.next(left.data() + i * taps, 1);
            }
            to[i] = sums + pixel * g_.outputs;
            if (added) others[i] = added + pixel * g_.outputs;
          }
          indirect_kernel().depthwise(count, taps, g_.outputs, sources, shift, weights, to, added ? others : nullptr,
                                      finished);
        }
        if (at_once && needs_finish()) finish(values, sums, first * g_.outputs, (last - first) * g_.outputs);
      }
    });
  }

  Geometry g_;
  Chain chain_;
  Rest rest_;
  bool pairs_, depthwise_, winograd_;
  const IndirectKernel& kernel_;
  TrmValue w_;
  Geometry slots_;
  PixelRuns runs_;
  std::optional<Packed> packed_;  // weights that are known
  bool direct_ = false;           // the sums are computed in the memory of `out_`
  uint32_t out_ = TRM_ABSENT;     // value
  std::vector<Panel> panels_;
  int64_t columns_ = 0;  // of all panels, padded
};

}  // namespace

bool runs_channels_last(const Program& program, const NodeView& node) {
  const TrmValue x = program.value(node.inputs()[0]), w = program.value(node.inputs()[1]);
  const bool tiles = dtype_of(x) == bf16 && tile_kernel() != nullptr;  // matrix tiles are faster yet
  if (!is_float(dtype_of(x)) || register_type(dtype_of(x)) != f32 || tiles) return false;
  const Geometry g = layer_of(program, node).g;
  if (g.inner() == 0 || g.outputs == 0) return false;
  if (node.op() == "dot_general")
    return w.known && !x.known && chip::is_dense(x) && (x.dims[0] == 1 || w.strides[0] == 0);
  const std::array<int64_t, 3> ones{1, 1, 1};
  if (x.rank > 4 || (g.spread != ones && g.stride != ones)) return false;
  // Packing pays when the weights meet several pixels.
  if (x.known) return false;  // it lies as it lies, for nobody can be asked for another order
  return w.known || (dtype_of(x) == f32 && g.images * g.pixel_count() >= kLeastPixels && !g.sums_over_pixels());
}

void ask_channels_last(const Program& program, const NodeView& node, TrmAnswer& answer) {
  const Layer layer = layer_of(program, node);
  const Chain chain(program, node, layer);
  for (uint32_t i = 0; i < program.operand_count(); ++i) {
    const bool output = i >= program.input_count();
    const uint32_t value = output ? program.output(i - program.input_count()) : program.input(i);
    const bool image = value == layer.g.in_x && !PixelRuns::is_framed(layer.g);
    if ((output || image || value == chain.added) && !is_dense_in(program.value(value), layer.order)) {
      ask_order(program, i, layer.order, answer);
    }
  }
}

void check_channels_last(const Program& program, const NodeView& node) {
  const ChannelsLast checked(program, node, layer_of(program, node));
}

Run prepare_channels_last(const Program& program, const NodeView& node) {
  auto kernel = std::make_shared<ChannelsLast>(program, node, layer_of(program, node));
  kernel->prepare();
  return [kernel](void* const* values) { kernel->run(values); };
}

}  // namespace trireme::cpu
