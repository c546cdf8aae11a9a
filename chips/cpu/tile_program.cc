#include "chips/cpu/tile_program.h"

#include <algorithm>
#include <memory>
#include <new>
#include <string>

namespace trireme::cpu {
namespace {

// Operands of so many bytes come from memory, where asking ahead pays: AdamW of 28 million parameters as a region takes
// 52 ms instead of 72 in one thread (Zen 3), while what lies in a cache gains nothing.
constexpr int64_t kBeyondCaches = 32 << 20;

std::string_view form_of(const NodeView& node) {
  if (node.op() == "compare") return node.string("kind");
  return node.op() == "gelu" || node.op() == "gelu_gradient" ? node.string("approximate") : std::string_view{};
}
bool is_source_op(std::string_view op) { return op == "fill" || op == "iota"; }
bool is_identity_op(std::string_view op) { return op == "strided_copy"; }
// The input whose type chooses the operation.
uint32_t typed_input(std::string_view op) { return op == "select" ? 1 : 0; }

[[noreturn]] void refuse(std::string text) { throw Failure(TRM_UNSUPPORTED, std::move(text)); }

}  // namespace

bool is_tile_op(const Program& program, const NodeView& node) {
  const std::string_view op = node.op();
  if (is_source_op(op) || is_identity_op(op) || op == "convert") return true;
  const uint32_t typed = typed_input(op);
  if (node.inputs().size() > 3 || node.inputs().size() <= typed || node.outputs().size() != 1) return false;
  return find_tile_function(op, form_of(node), dtype_of(program.value(node.inputs()[typed]))) != nullptr;
}

std::byte* thread_scratch(int slot, size_t bytes) {
  struct Free {
    void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  struct Buffer {
    std::unique_ptr<std::byte[], Free> memory;
    size_t bytes = 0;
  };
  thread_local Buffer buffers[kScratchSlots];
  Buffer& buffer = buffers[slot];
  if (buffer.bytes < bytes) {
    buffer.memory.reset();
    buffer.bytes = 0;
    buffer.memory.reset(new (std::align_val_t{64}) std::byte[bytes]);
    buffer.bytes = bytes;
  }
  return buffer.memory.get();
}

TileProgram::TileProgram(const Program& program, uint32_t nodes, std::span<const int64_t> dims,
                         std::span<const uint32_t> skipped)
    : outside_(program.value_count(), false),
      register_of_value_(program.value_count(), -1),
      rounded_(program.value_count(), false) {
  loops.rank = static_cast<int>(dims.size());
  std::copy(dims.begin(), dims.end(), loops.dims.begin());
  loops.strides.emplace_back();
  for (uint32_t v = 0; v < program.value_count(); ++v) outside_[v] = program.value(v).known != 0;
  for (uint32_t i = 0; i < program.input_count(); ++i) outside_[program.input(i)] = true;
  if (!skipped.empty()) {
    given_ = program.node(skipped.back()).outputs()[0];
    outside_[given_] = true;
  }
  for (uint32_t n = 0; n < nodes; ++n) {
    if (std::find(skipped.begin(), skipped.end(), n) != skipped.end()) continue;
    const NodeView node = program.node(n);
    check_dims(program.value(node.outputs()[0]));
    add_node(program, node);
    round_if_stored(program, node.outputs()[0]);
  }
  for (uint32_t i = 0; i < program.output_count(); ++i) {
    const uint32_t value = program.output(i);
    if (value == given_ || register_of_value_[value] < 0) continue;  // written by whoever runs the tiles
    const TrmValue v = program.value(value);
    Sink sink{value, register_of(program, value), add_slot(chip::strides(v)), dtype_of(v),
              find_tile_store(dtype_of(v))};
    sinks_.push_back(sink);
    if (sinks_.size() == 1) loops.strides[kLeader] = loops.strides[sink.slot];
  }
}

size_t TileProgram::add_slot(std::span<const int64_t> strides) {
  loops.add_operand(strides);
  return loops.strides.size() - 1;
}

void TileProgram::lay_given(std::span<const int64_t> strides) {
  for (const Source& source : sources_) {
    if (source.from != From::kMemory || source.value != given_) continue;
    std::copy(strides.begin(), strides.end(), loops.strides[source.slot].begin());
  }
}

int TileProgram::new_register(DType type) {
  tile_bytes_ = std::max(tile_bytes_, kTile * static_cast<int64_t>(size_of(register_type(type))));
  registers_.emplace_back();
  return static_cast<int>(registers_.size()) - 1;
}

void TileProgram::check_dims(const TrmValue& v) const {
  if (!std::equal(loops.dims.begin(), loops.dims.begin() + loops.rank, v.dims, v.dims + v.rank)) {
    refuse("values of unlike sizes in one region");
  }
}

int TileProgram::register_of(const Program& program, uint32_t value) {
  if (value == TRM_ABSENT) refuse("an operand of a region is missing");
  if (register_of_value_[value] < 0 && outside_[value]) add_source(program, value);
  if (register_of_value_[value] < 0) refuse("an operand of a region is made outside it");
  return register_of_value_[value];
}

int TileProgram::add_step(TileFunction function, DType type, std::initializer_list<int> inputs,
                          const TileParameters& parameters) {
  Step step{function, new_register(type), {-1, -1, -1}, parameters};
  std::copy(inputs.begin(), inputs.end(), step.inputs);
  steps_.push_back(step);
  return step.target;
}

void TileProgram::add_source(const Program& program, uint32_t value) {
  const TrmValue v = program.value(value);
  check_dims(v);
  const DType type = value == given_ ? register_type(dtype_of(v)) : dtype_of(v);
  Source source{From::kMemory, new_register(type), type};
  source.value = value;
  source.slot = add_slot(chip::strides(v));
  source.load = find_tile_load(source.type);
  source.in_place = source.type == register_type(source.type);
  register_of_value_[value] = source.target;
  rounded_[value] = value != given_;
  sources_.push_back(source);
  if (value == given_) round_if_stored(program, value);
}

void TileProgram::round_if_stored(const Program& program, uint32_t value) {
  const DType type = dtype_of(program.value(value));
  if (rounded_[value] || register_type(type) == type) return;
  for (uint32_t i = 0; i < program.output_count(); ++i) {
    if (program.output(i) != value) continue;
    int& at = register_of_value_[value];
    at = add_step(find_tile_conversion(f32, type), type, {at});
    rounded_[value] = true;
    return;
  }
}

void TileProgram::add_node(const Program& program, const NodeView& node) {
  const std::string_view op = node.op();
  const uint32_t value = node.outputs()[0];
  const DType type = dtype_of(program.value(value));
  const auto input = [&](uint32_t i) { return register_of(program, node.inputs()[i]); };
  const auto input_type = [&](uint32_t i) { return dtype_of(program.value(node.inputs()[i])); };
  int& target = register_of_value_[value];

  if (is_source_op(op)) {
    Source source{op == "fill" ? From::kNumber : From::kIndex, new_register(type), type};
    if (op == "fill") {
      source.number = node.number("value");
    } else {
      Strides along{};
      along[static_cast<size_t>(axis_of(node, "axis", static_cast<uint32_t>(loops.rank)))] = 1;
      source.slot = add_slot(std::span<const int64_t>(along).first(static_cast<size_t>(loops.rank)));
    }
    source.convert = find_tile_conversion(op == "fill" ? f64 : i64, type);
    target = source.target;
    rounded_[value] = true;
    sources_.push_back(source);
    return;
  }
  if (is_identity_op(op)) {
    target = input(0);
    rounded_[value] = rounded_[node.inputs()[0]];
    return;
  }
  if (op == "convert") {
    const DType from = input_type(0);
    const bool nothing = register_type(from) == type || (from == type && rounded_[node.inputs()[0]]);
    target = nothing ? input(0) : add_step(find_tile_conversion(from, type), type, {input(0)});
    rounded_[value] = true;
    return;
  }
  const DType typed = input_type(typed_input(op));
  TileFunction function = find_tile_function(op, form_of(node), typed);
  if (!function) refuse(std::string(op) + " is not a tile operation");
  TileParameters parameters;
  if (op == "reduce_precision") {
    parameters.integers[0] = node.integer("exponent_bits");
    parameters.integers[1] = node.integer("mantissa_bits");
  }
  switch (node.inputs().size()) {
    case 1: {
      int x = input(0);
      if (op == "is_finite" && register_type(typed) != typed && !rounded_[node.inputs()[0]]) {
        x = add_step(find_tile_conversion(f32, typed), typed, {x});
      }
      target = add_step(function, type, {x}, parameters);
      break;
    }
    case 2: target = add_step(function, type, {input(0), input(1)}, parameters); break;
    default: target = add_step(function, type, {input(0), input(1), input(2)}, parameters); break;
  }
}

int TileProgram::keep(const Program& program, uint32_t value) {
  const int kept = register_of(program, value);
  registers_[static_cast<size_t>(kept)].kept = true;
  return kept;
}

// Whether the slot's elements follow each other through all the axes.
bool TileProgram::is_gapless(size_t slot) const { return loops.are_gapless(loops.strides[slot], 0, loops.rank); }

void TileProgram::finish() {
  longest_ = std::min(kTile, loops.elements());
  int64_t bytes = 0;
  for (const Source& source : sources_) {
    if (source.from == From::kMemory) bytes += loops.elements() * static_cast<int64_t>(size_of(source.type));
  }
  far_ = bytes >= kBeyondCaches;
  for (Source& source : sources_) {
    source.everywhere = source.from == From::kNumber;
    if (source.from == From::kMemory) {
      source.gapless = is_gapless(source.slot);
      const Strides& s = loops.strides[source.slot];
      int changing = 0;
      for (int axis = 0; axis < loops.rank; ++axis) {
        if (loops.dims[axis] == 1 || s[axis] == 0) continue;
        ++changing;
        source.cycle = axis;
      }
      source.everywhere = changing == 0;
      if (changing != 1 || loops.rank == 1) source.cycle = -1;
    }
  }
  // Last step that reads each register; kept and stored ones live to the end.
  std::vector<int> last(registers_.size(), -1);
  const int end = static_cast<int>(steps_.size());
  for (int s = 0; s < end; ++s) {
    for (int input : steps_[static_cast<size_t>(s)].inputs) {
      if (input >= 0) last[static_cast<size_t>(input)] = s;
    }
  }
  for (const Sink& sink : sinks_) last[static_cast<size_t>(sink.source)] = end;
  std::vector<int> free_tiles;
  const auto take = [&](int r) {
    Register& reg = registers_[static_cast<size_t>(r)];
    if (free_tiles.empty()) {
      reg.tile = tile_count_++;
    } else {
      reg.tile = free_tiles.back();
      free_tiles.pop_back();
    }
  };
  std::vector<bool> steady(registers_.size(), false);
  for (const Source& source : sources_) {
    take(source.target);
    steady[static_cast<size_t>(source.target)] = source.everywhere || source.cycle >= 0;
  }
  std::vector<bool> repeats(registers_.size(), false);
  for (const Source& source : sources_) repeats[static_cast<size_t>(source.target)] = source.everywhere;
  for (int s = 0; s < end; ++s) {
    Step& step = steps_[static_cast<size_t>(s)];
    take(step.target);
    for (int k = 0; k < 2; ++k) {
      step.parameters.repeats[k] = step.inputs[k] >= 0 && repeats[static_cast<size_t>(step.inputs[k])];
    }
    if (step.parameters.repeats[0]) step.parameters.repeats[1] = false;
    for (int k = 0; k < 3; ++k) {
      const int input = step.inputs[k];
      if (input < 0 || std::find(step.inputs, step.inputs + k, input) != step.inputs + k) continue;
      const auto r = static_cast<size_t>(input);
      if (last[r] == s && !registers_[r].kept && !steady[r]) free_tiles.push_back(registers_[r].tile);
    }
  }
  // A step may write straight to memory when its result is stored once and needs no conversion. Several results are
  // stored when all is read, because each may have been given the memory of an input.
  const bool alone = sinks_.size() == 1;
  for (Source& source : sources_) {
    const auto stored = [&](const Sink& sink) { return sink.source == source.target; };
    if (!alone && std::any_of(sinks_.begin(), sinks_.end(), stored)) source.in_place = false;
  }
  for (Sink& sink : sinks_) {
    sink.gapless = is_gapless(sink.slot);
    const bool computed =
        std::any_of(steps_.begin(), steps_.end(), [&](const Step& s) { return s.target == sink.source; });
    sink.in_place = alone && computed && register_type(sink.type) == sink.type;
  }
}

TileProgram::Frame TileProgram::frame(void* const* values) const {
  Frame frame;
  frame.values = values;
  frame.tiles = thread_scratch(kTileScratch, static_cast<size_t>(tile_count_ * tile_bytes_));
  frame.at.resize(registers_.size());
  frame.held.resize(sources_.size());
  for (size_t r = 0; r < registers_.size(); ++r) frame.at[r] = frame.tiles + registers_[r].tile * tile_bytes_;
  for (const Source& source : sources_) {
    if (!source.everywhere) continue;
    void* tile = frame.at[static_cast<size_t>(source.target)];
    if (source.from == From::kMemory) {
      source.load(tile, values[source.value], 0, static_cast<size_t>(longest_));
    } else {
      double numbers[kTile];
      std::fill_n(numbers, longest_, source.number);
      const void* in[] = {numbers};
      source.convert(tile, in, static_cast<size_t>(longest_), {});
    }
  }
  return frame;
}

void TileProgram::load(const Source& source, const Frame& frame, const Position& start, int low, int high,
                       int64_t count, void* tile) const {
  const Strides& strides = loops.strides[source.slot];
  const int inner = high - 1;
  const auto item = static_cast<int64_t>(size_of(source.type));
  const auto register_item = static_cast<int64_t>(size_of(register_type(source.type)));
  const auto* memory =
      source.from == From::kMemory ? static_cast<const std::byte*>(frame.values[source.value]) : nullptr;
  if (memory && ((source.gapless && high == loops.rank) || loops.are_gapless(strides, low, high))) {
    return source.load(tile, memory + start.offset(strides, loops.rank) * item, 1, static_cast<size_t>(count));
  }
  int64_t numbers[kTile];
  Position at = start;
  for (int64_t done = 0; done < count;) {
    const int64_t here = std::min(count - done, loops.dims[inner] - at.index[inner]);
    const int64_t offset = at.offset(strides, loops.rank);
    if (memory) {
      source.load(static_cast<std::byte*>(tile) + done * register_item, memory + offset * item, strides[inner],
                  static_cast<size_t>(here));
    } else {
      for (int64_t i = 0; i < here; ++i) numbers[done + i] = offset + i * strides[inner];
    }
    done += here;
    at.step(loops, low, high, here);
  }
  if (!memory) {
    const void* in[] = {numbers};
    source.convert(tile, in, static_cast<size_t>(count), {});
  }
}

namespace {

// Asks the memory for the next tile's operands bit by bit, while the steps of this one are worked on. Beyond the end of
// an operand that does nothing.
class Ahead {
 public:
  void add(const std::byte* memory, int64_t bytes) {
    if (count_ == kMost) return;
    runs_[count_++] = {memory, bytes};
    lines_ += (bytes + kLine - 1) / kLine;
  }
  int64_t lines() const { return lines_; }
  void ask(int64_t lines) {
    for (; lines > 0 && at_ < count_; --lines) {
      __builtin_prefetch(runs_[at_].memory + offset_);
      offset_ += kLine;
      if (offset_ >= runs_[at_].bytes) ++at_, offset_ = 0;
    }
  }

 private:
  static constexpr int64_t kLine = 64;
  static constexpr int kMost = 8;
  struct Piece {
    const std::byte* memory;
    int64_t bytes;
  };
  Piece runs_[kMost];
  int count_ = 0, at_ = 0;
  int64_t offset_ = 0, lines_ = 0;
};

}  // namespace

void TileProgram::evaluate(Frame& frame, const Position& start, int low, int high, int64_t count) const {
  const int inner = high - 1;
  const bool one_run = start.index[inner] + count <= loops.dims[inner], to_the_end = high == loops.rank;
  Ahead ahead;
  const auto tile_of = [&](int r) { return frame.tiles + registers_[static_cast<size_t>(r)].tile * tile_bytes_; };
  for (size_t i = 0; i < sources_.size(); ++i) {
    const Source& source = sources_[i];
    if (source.everywhere) continue;
    void*& at = frame.at[static_cast<size_t>(source.target)];
    const Strides& strides = loops.strides[source.slot];
    const bool in_one_piece =
        (source.gapless && to_the_end) || (one_run ? strides[inner] == 1 : loops.are_gapless(strides, low, high));
    if (in_one_piece && source.in_place && source.from == From::kMemory) {
      const auto item = static_cast<int64_t>(size_of(source.type));
      auto* memory = static_cast<std::byte*>(frame.values[source.value]) + start.offset(strides, loops.rank) * item;
      at = memory;
      if (far_) ahead.add(memory + count * item, count * item);
    } else {
      at = tile_of(source.target);
      Frame::Held& held = frame.held[i];
      const bool cycles = source.cycle == inner;
      if (cycles && held.index == start.index[inner] && held.count >= count) continue;
      load(source, frame, start, low, high, count, at);
      held = {start.index[inner], cycles ? count : 0};
    }
  }
  const auto memory_of = [&](const Sink& sink) {
    return static_cast<std::byte*>(frame.values[sink.value]) +
           start.offset(loops.strides[sink.slot], loops.rank) * static_cast<int64_t>(size_of(sink.type));
  };
  for (const Sink& sink : sinks_) {
    if (!sink.in_place) continue;
    const bool direct = (sink.gapless && to_the_end) || (one_run && loops.strides[sink.slot][inner] == 1);
    frame.at[static_cast<size_t>(sink.source)] = direct ? memory_of(sink) : tile_of(sink.source);
  }
  const int64_t lines = ahead.lines() / std::max<int64_t>(1, static_cast<int64_t>(steps_.size())) + 1;
  for (const Step& step : steps_) {
    ahead.ask(lines);
    const void* in[3];
    for (int k = 0; k < 3; ++k) in[k] = step.inputs[k] < 0 ? nullptr : frame.at[static_cast<size_t>(step.inputs[k])];
    step.function(frame.at[static_cast<size_t>(step.target)], in, static_cast<size_t>(count), step.parameters);
  }
  for (const Sink& sink : sinks_) {
    const auto* tile = static_cast<const std::byte*>(frame.at[static_cast<size_t>(sink.source)]);
    const Strides& strides = loops.strides[sink.slot];
    if (sink.in_place && ((sink.gapless && to_the_end) || (one_run && strides[inner] == 1))) continue;
    if (sink.gapless && to_the_end) {
      sink.store(memory_of(sink), 1, tile, static_cast<size_t>(count));
      continue;
    }
    const auto item = static_cast<int64_t>(size_of(register_type(sink.type)));
    Position at = start;
    for (int64_t done = 0; done < count;) {
      const int64_t here = std::min(count - done, loops.dims[inner] - at.index[inner]);
      sink.store(static_cast<std::byte*>(frame.values[sink.value]) +
                     at.offset(strides, loops.rank) * static_cast<int64_t>(size_of(sink.type)),
                 strides[inner], tile + done * item, static_cast<size_t>(here));
      done += here;
      at.step(loops, low, high, here);
    }
  }
}

}  // namespace trireme::cpu
