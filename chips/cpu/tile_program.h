// TileProgram: the elementwise nodes of a program, compiled to a list of tile operations over one iteration space.
//
// Evaluating a tile loads each source (a strided run of memory, an index, a constant), runs the steps on tiles that
// stay in the first-level cache and stores the sinks. Sources that need no conversion and lie contiguous are read in
// place; results that can be are written in place. 16-bit floats are held as f32 between steps; they are rounded when
// stored, for all who read them, and where an op asks for the rounding (convert, is_finite). So a value is the same
// number everywhere, which decompositions that make up for the rounding of one (log1p) rely on.
#pragma once

#include <cstddef>
#include <vector>

#include "chips/cpu/kernel.h"
#include "chips/cpu/loops.h"
#include "chips/cpu/tile_ops.h"

namespace trireme::cpu {

// True when the chip runs this op as a tile operation (or as its source, or by doing nothing).
bool is_tile_op(const Program& program, const NodeView& node);

class TileProgram {
 public:
  // Compiles nodes [0, nodes) but those `skipped`; the result of the last of these is given like an input, in its
  // register type. Every value the others touch has the sizes `dims`. Throws Failure when that is not so or an op is
  // not a tile operation.
  TileProgram(const Program& program, uint32_t nodes, std::span<const int64_t> dims,
              std::span<const uint32_t> skipped = {});

  // The iteration space; to be normalised before evaluating. Slot 0 leads the order of the axes.
  Loops loops;
  static constexpr size_t kLeader = 0;
  // Register that holds a value (to fold it, for instance); keeps it alive to the end of each tile.
  int keep(const Program& program, uint32_t value);
  // The strides of the given result, where it does not lie as the program says.
  void lay_given(std::span<const int64_t> strides);
  // Assigns tiles; call once, after the last keep().
  void finish();
  // Adds an operand's strides to the space and returns its slot.
  size_t add_slot(std::span<const int64_t> strides);
  size_t step_count() const { return steps_.size(); }

  // What one thread needs to evaluate tiles of one run.
  struct Frame {
    void* const* values = nullptr;
    std::byte* tiles = nullptr;
    std::vector<void*> at;  // address of each register's tile
    struct Held {
      int64_t index = 0, count = 0;
    };
    std::vector<Held> held;  // what the tiles of sources that cycle hold: from where on that axis, how many elements
  };
  Frame frame(void* const* values) const;
  // The tile of `count` <= kTile elements that starts at `start` and runs through the axes [low, high), the last
  // fastest.
  void evaluate(Frame& frame, const Position& start, int low, int high, int64_t count) const;

 private:
  enum class From : uint8_t { kMemory, kIndex, kNumber };
  struct Source {
    From from;
    int target;  // register
    DType type;
    uint32_t value = 0;   // kMemory
    size_t slot = 0;      // kMemory, kIndex
    double number = 0.0;  // kNumber
    TileLoad load = nullptr;
    TileFunction convert = nullptr;  // kIndex: from i64; kNumber: from f64
    bool in_place = false;           // the memory's type is the register's
    bool everywhere = false;         // the same for all elements; set by finish()
    bool gapless = false;            // a tile through the last axes is one run of memory; set by finish()
    int cycle = -1;                  // the one axis along which it changes (numbers of channels); set by finish()
  };
  struct Step {
    TileFunction function;
    int target;
    int inputs[3];
    TileParameters parameters;
  };
  struct Sink {
    uint32_t value;
    int source;
    size_t slot;
    DType type;
    TileStore store;
    bool in_place = false;  // the step that computes it may write to memory
    bool gapless = false;   // a tile through the last axes is one run of memory; set by finish()
  };
  struct Register {
    int tile = -1;  // number of its buffer
    bool kept = false;
  };

  void check_dims(const TrmValue& v) const;
  bool is_gapless(size_t slot) const;
  int new_register(DType type);
  int add_step(TileFunction function, DType type, std::initializer_list<int> inputs,
               const TileParameters& parameters = {});
  void add_source(const Program& program, uint32_t value);
  void add_node(const Program& program, const NodeView& node);
  void round_if_stored(const Program& program, uint32_t value);
  int register_of(const Program& program, uint32_t value);
  void load(const Source& source, const Frame& frame, const Position& start, int low, int high, int64_t count,
            void* tile) const;

  std::vector<bool> outside_;  // by value: an input, a constant, or the result of the skipped node
  uint32_t given_ = TRM_ABSENT;
  std::vector<int> register_of_value_;
  std::vector<bool> rounded_;  // by value: a 16-bit float whose register already has its rounding
  std::vector<Register> registers_;
  std::vector<Source> sources_;
  std::vector<Step> steps_;
  std::vector<Sink> sinks_;
  int tile_count_ = 0;
  int64_t tile_bytes_ = 0;   // one after the other, so that they share out the sets of the cache
  int64_t longest_ = kTile;  // no tile has more elements
  bool far_ = false;         // the operands are too many to lie in a cache
};

// A buffer of this thread, at least `bytes` long and 64-byte aligned; good until the next call with the same `slot`.
std::byte* thread_scratch(int slot, size_t bytes);
enum ScratchSlot : int { kTileScratch, kFoldScratch, kPackScratchA, kPackScratchB, kBlockScratch, kScratchSlots };

}  // namespace trireme::cpu
