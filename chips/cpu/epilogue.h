// The elementwise nodes around a contraction, run on each piece of its result while the piece is in the cache: bias,
// activation, residual.
#pragma once

#include <memory>

#include "chips/cpu/sum_chain.h"
#include "chips/cpu/tile_program.h"

namespace trireme::cpu {

class Epilogue {
 public:
  // The contraction is node `head`; its result has two leading axes (rows), the others are one long row. Null when the
  // program has no other node. Throws Failure when the others are not elementwise nodes on that result.
  static std::shared_ptr<const Epilogue> of(const Program& program, uint32_t head);
  // The same of a result whose axes lie in that order: rows are all but the last.
  static std::shared_ptr<const Epilogue> of(const Program& program, uint32_t head, const AxisOrder& order);

  // The value whose memory the contraction writes its result to, in place; TRM_ABSENT: it hands over its rows.
  uint32_t target() const { return target_; }

  struct Session {  // of one thread
    std::vector<void*> values;
    TileProgram::Frame frame;
  };
  Session begin(void* const* values) const;
  // Elements [column, column + count) of a row are finished. `memory`: where they are, in the register type; null when
  // they are in the target's memory.
  void run(Session& session, int64_t row, int64_t column, int64_t count, const void* memory) const;
  // The same for sums in i32 of several rows, `step` apart in `memory`.
  void run_rows(Session& session, int64_t row, int64_t rows, int64_t column, int64_t count, const int32_t* memory,
                int64_t step) const;
  // Whether run_rows is faster where whole rows follow each other without a gap.
  bool likes_gapless_rows() const { return !chain_; }

 private:
  Epilogue(const Program& program, uint32_t head, const AxisOrder& order, int fence);
  void run_gapless_rows(Session& session, int64_t row, int64_t rows, const void* memory) const;

  std::shared_ptr<TileProgram> tiles_;
  std::unique_ptr<SumChain> chain_;  // in its place, where the nodes have that form
  size_t values_, result_slot_;
  uint32_t result_, target_ = TRM_ABSENT;
  int64_t item_;  // bytes of the register type
  int fence_;
  int64_t row_length_;
};

// The contraction of a program: the node `of(...)` is about.
uint32_t head_of(const Program& program);

}  // namespace trireme::cpu
