#include "chips/cpu/region.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "chips/cpu/tile_program.h"

namespace trireme::cpu {
namespace {

struct ReductionOp {
  std::string_view op;
  Fold fold;
};
constexpr ReductionOp kReductions[] = {
    {"reduce_sum", Fold::kSum}, {"reduce_prod", Fold::kProduct}, {"reduce_max", Fold::kMax},
    {"reduce_min", Fold::kMin}, {"reduce_and", Fold::kAnd},      {"reduce_or", Fold::kOr},
};
const ReductionOp* find_reduction(std::string_view op) {
  for (const ReductionOp& row : kReductions) {
    if (row.op == op) return &row;
  }
  return nullptr;
}

// ---- elementwise ----------------------------------------------------------------------------------------------------

Run prepare_elementwise(const Program& program) {
  auto tiles =
      std::make_shared<TileProgram>(program, program.node_count(), chip::dims(program.value(program.output(0))));
  Loops& loops = tiles->loops;
  const int64_t elements = loops.elements();
  if (elements == 0) return [](void* const*) {};
  loops.normalize();
  tiles->finish();
  // Tiles stay within a row of the innermost axis when rows are long, so that operands are used in place.
  const int64_t row = loops.dims[loops.rank - 1];
  const int64_t span = row >= kTile / 4 ? row : elements;
  const int64_t tiles_per_span = (span + kTile - 1) / kTile;
  const int64_t count = elements / span * tiles_per_span;
  const int64_t grain = grain_for(std::min(span, kTile) * static_cast<int64_t>(1 + tiles->step_count() / 4));
  return [tiles, span, tiles_per_span, count, grain](void* const* values) {
    parallel_for(count, grain, [&](int64_t begin, int64_t end) {
      TileProgram::Frame frame = tiles->frame(values);
      for (int64_t tile = begin; tile < end; ++tile) {
        const int64_t first = tile % tiles_per_span * kTile;
        tiles->evaluate(frame, Position(tiles->loops, tile / tiles_per_span * span + first), 0, tiles->loops.rank,
                        std::min(kTile, span - first));
      }
    });
  };
}

// ---- reductions -----------------------------------------------------------------------------------------------------

// The iteration space has the kept axes [0, fence) outside and the reduced ones [fence, rank) inside.
//   rows      one result at a time: tiles run through the reduced axes and each is folded to one value
//   columns   up to kTile results at a time: tiles run through the kept axes, folded element by element; few results
//             are taken several times over, for neighbours along a reduced axis, which are folded in the end
// Long reductions to few results are cut into chunks at places that depend on the sizes only; the partial results are
// folded in order, so that the bits do not depend on the threads.
struct Reduction {
  std::shared_ptr<TileProgram> tiles;
  FoldFunctions fold, merge;  // merge folds accumulators
  TileStore store;
  int source;       // register of the folded value
  uint32_t output;  // value
  size_t output_slot;
  int64_t output_item, tile_item, accumulator_item;  // bytes
  int fence;
  bool columns;
  int64_t kept, reduced;  // elements
  int64_t copies = 1;     // of all results in a tile; `reduced` is of one copy
  int64_t chunks;

  int64_t chunk_begin(int64_t chunk) const { return reduced / chunks * chunk + std::min(chunk, reduced % chunks); }

  // Results [first, first + count), elements [begin, end) of the reduced space.
  void accumulate(TileProgram::Frame& frame, void* accumulator, int64_t first, int64_t count, int64_t begin,
                  int64_t end) const {
    const Loops& loops = tiles->loops;
    if (begin == end) return fold.start(accumulator, static_cast<size_t>(count));
    if (columns) {
      alignas(64) std::byte many[kTile * 8];
      void* sums = copies == 1 ? accumulator : many;
      const auto width = static_cast<size_t>(count * copies);
      fold.start(sums, width);
      Position at;
      at.set(loops, first, 0, fence);
      at.set(loops, begin, fence, loops.rank);
      for (int64_t r = begin; r < end; ++r, at.step(loops, fence, loops.rank)) {
        tiles->evaluate(frame, at, 0, fence, static_cast<int64_t>(width));
        fold.columns(sums, frame.at[static_cast<size_t>(source)], width);
      }
      if (copies == 1) return;
      for (int64_t copy = 1; copy < copies; ++copy) {
        merge.columns(many, many + copy * count * accumulator_item, static_cast<size_t>(count));
      }
      std::memcpy(accumulator, many, static_cast<size_t>(count * accumulator_item));
      return;
    }
    fold.start(accumulator, static_cast<size_t>(count));
    Position at;
    at.set(loops, first, 0, fence);
    at.set(loops, begin, fence, loops.rank);
    const int64_t row = loops.dims[loops.rank - 1];
    for (int64_t r = begin; r < end;) {
      // Within a row of the innermost axis when rows are long.
      const int64_t limit = row >= kTile / 4 ? std::min(end, r / row * row + row) : end;
      const int64_t here = std::min(kTile, limit - r);
      at.set(loops, r, fence, loops.rank);
      tiles->evaluate(frame, at, fence, loops.rank, here);
      fold.row(accumulator, frame.at[static_cast<size_t>(source)], static_cast<size_t>(here));
      r += here;
    }
  }

  void write(void* const* values, const void* accumulator, int64_t first, int64_t count) const {
    std::byte tile[kTile * 8];
    fold.finish(tile, accumulator, static_cast<size_t>(count));
    const Loops& loops = tiles->loops;
    auto* memory = static_cast<std::byte*>(values[output]);
    const Strides& strides = loops.strides[output_slot];
    const int inner = fence - 1;
    if (inner < 0) return store(memory, 1, tile, 1);
    for (int64_t done = 0; done < count;) {
      Position at;
      at.set(loops, first + done, 0, fence);
      const int64_t here = std::min(count - done, loops.dims[inner] - at.index[inner]);
      store(memory + at.offset(strides, fence) * output_item, strides[inner], tile + done * tile_item,
            static_cast<size_t>(here));
      done += here;
    }
  }
  void run(void* const* values) const {
    const int64_t block = columns ? kTile : 1;
    const int64_t blocks = (kept + block - 1) / block;
    const int64_t work = reduced / chunks * std::min(block, kept * copies);
    if (chunks == 1) {
      parallel_for(blocks, grain_for(work), [&](int64_t begin, int64_t end) {
        alignas(64) std::byte accumulator[kTile * 8];
        TileProgram::Frame frame = tiles->frame(values);
        for (int64_t b = begin; b < end; ++b) {
          const int64_t count = std::min(block, kept - b * block);
          accumulate(frame, accumulator, b * block, count, 0, reduced);
          write(values, accumulator, b * block, count);
        }
      });
      return;
    }
    std::vector<double> partial(static_cast<size_t>(chunks * kept));  // 8 bytes hold any accumulator
    parallel_for(blocks * chunks, grain_for(work), [&](int64_t begin, int64_t end) {
      TileProgram::Frame frame = tiles->frame(values);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t b = i / chunks, chunk = i % chunks;
        const int64_t count = std::min(block, kept - b * block);
        accumulate(frame, partial.data() + b * block * chunks + chunk * count, b * block, count, chunk_begin(chunk),
                   chunk_begin(chunk + 1));
      }
    });
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t count = std::min(block, kept - b * block);
      double* first = partial.data() + b * block * chunks;
      for (int64_t chunk = 1; chunk < chunks; ++chunk)
        merge.columns(first, first + chunk * count, static_cast<size_t>(count));
      write(values, first, b * block, count);
    }
  }
};

// Few results side by side in memory: a tile takes them for several neighbours along the innermost reduced axis, which
// becomes an axis before theirs. Returns how many; 1: nothing was changed.
int64_t take_neighbours(Loops& loops, int& fence) {
  constexpr int64_t kLeast = 32;  // elements of a tile that pay
  const Strides& lead = loops.strides[TileProgram::kLeader];
  const int last = loops.rank - 1;
  if (fence != 1 || last < 1 || loops.rank == kMaxRank || std::llabs(lead[0]) != 1 || std::llabs(lead[last]) <= 1) {
    return 1;
  }
  int64_t copies = std::min(loops.dims[last], kTile / loops.dims[0]);
  while (copies > 1 && loops.dims[last] % copies != 0) --copies;
  if (copies <= 1 || copies * loops.dims[0] < kLeast) return 1;
  const auto insert = [&](auto& list, int64_t outer, int64_t rest) {
    for (int axis = loops.rank; axis > 0; --axis) list[axis] = list[axis - 1];
    list[0] = outer;
    list[loops.rank] = rest;
  };
  insert(loops.dims, copies, loops.dims[last] / copies);
  for (Strides& strides : loops.strides) insert(strides, strides[last], strides[last] * copies);
  ++loops.rank;
  fence = 2;
  return copies;
}

Run prepare_reduction(const Program& program, const NodeView& node, Fold fold) {
  if (program.output_count() != 1 || program.output(0) != node.outputs()[0]) {
    throw Failure(TRM_UNSUPPORTED, "a region that ends in a reduction has that one output");
  }
  const TrmValue x = program.value(node.inputs()[0]);
  const TrmValue y = program.value(node.outputs()[0]);
  bool reduced[TRM_MAX_RANK] = {};
  for (int64_t axis : node.integers("axes")) reduced[axis < 0 ? axis + x.rank : axis] = true;
  if (node.integers("axes").empty()) std::fill_n(reduced, x.rank, true);

  auto r = std::make_shared<Reduction>();
  r->tiles = std::make_shared<TileProgram>(program, program.node_count() - 1, chip::dims(x));
  Loops& loops = r->tiles->loops;
  r->source = r->tiles->keep(program, node.inputs()[0]);
  Strides output_strides{};
  for (uint32_t axis = 0, k = 0; axis < x.rank; ++axis) {
    if (!reduced[axis]) output_strides[axis] = y.strides[k];
    if (!reduced[axis] || y.rank == x.rank) ++k;
  }
  r->output_slot = r->tiles->add_slot(std::span<const int64_t>(output_strides).first(x.rank));
  // The operand that covers most of the space leads the order of the axes.
  const auto coverage = [&](const Strides& s) {
    int64_t covered = 1;
    for (int axis = 0; axis < loops.rank; ++axis) covered *= s[axis] == 0 ? 1 : loops.dims[axis];
    return covered;
  };
  size_t leader = r->output_slot;
  for (size_t slot = 1; slot < loops.strides.size(); ++slot) {
    if (coverage(loops.strides[slot]) > coverage(loops.strides[leader])) leader = slot;
  }
  loops.strides[TileProgram::kLeader] = loops.strides[leader];
  // Kept axes first.
  Loops ordered;
  ordered.rank = loops.rank;
  ordered.strides.resize(loops.strides.size());
  int place = 0, kept_axes = 0;
  for (bool want : {false, true}) {
    for (int axis = 0; axis < loops.rank; ++axis) {
      if (reduced[axis] != want) continue;
      ordered.dims[place] = loops.dims[axis];
      for (size_t slot = 0; slot < loops.strides.size(); ++slot)
        ordered.strides[slot][place] = loops.strides[slot][axis];
      ++place;
      if (!want) ++kept_axes;
    }
  }
  loops = ordered;
  r->kept = r->reduced = 1;
  for (int axis = 0; axis < loops.rank; ++axis) (axis < kept_axes ? r->kept : r->reduced) *= loops.dims[axis];
  if (r->kept == 0) return [](void* const*) {};
  r->fence = loops.normalize(false, kept_axes);
  const int64_t elements = r->kept * r->reduced;
  r->copies = take_neighbours(loops, r->fence);
  r->reduced /= r->copies;
  r->tiles->finish();

  const DType type = dtype_of(x);
  r->tile_item = static_cast<int64_t>(size_of(register_type(type)));
  r->fold = find_fold(fold, type);
  r->merge = find_fold(fold, accumulator_type(fold, type));
  r->accumulator_item = static_cast<int64_t>(size_of(accumulator_type(fold, type)));
  r->store = find_tile_store(type);
  r->output = node.outputs()[0];
  r->output_item = static_cast<int64_t>(size_of(type));
  // Columns when the contiguous axis is kept; but tiles shorter than 32 lose to strided loads along the other side.
  const Strides& lead = loops.strides[TileProgram::kLeader];
  const bool has_kept = r->fence > 0, has_reduced = r->fence < loops.rank;
  r->columns =
      has_kept && (!has_reduced || (std::llabs(lead[r->fence - 1]) == 1 && std::llabs(lead[loops.rank - 1]) != 1));
  if (r->columns && r->copies == 1 && r->kept < 32 && r->reduced > r->kept) r->columns = false;
  else if (has_kept && !r->columns && r->reduced < 32 && r->kept > r->reduced) r->columns = true;
  // Chunks of at least 32768 elements when there are too few results to share out.
  const int64_t blocks = r->columns ? (r->kept + kTile - 1) / kTile : r->kept;
  const int64_t wanted = blocks >= 64 ? 1 : elements / 32768;
  r->chunks = std::clamp<int64_t>(std::min(wanted, r->reduced / 64), 1, 64);
  return [r](void* const* values) { r->run(values); };
}

}  // namespace

bool is_reduction(std::string_view op) { return find_reduction(op) != nullptr; }

Run prepare_region(const Program& program) {
  const uint32_t nodes = program.node_count();
  if (nodes == 0) throw Failure(TRM_UNSUPPORTED, "a program without nodes");
  const NodeView last = program.node(nodes - 1);
  if (const ReductionOp* reduction = find_reduction(last.op()))
    return prepare_reduction(program, last, reduction->fold);
  return prepare_elementwise(program);
}

}  // namespace trireme::cpu
