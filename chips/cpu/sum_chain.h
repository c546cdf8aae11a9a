// SumChain: elementwise nodes one behind the other on sums in i32, the form of what requantises a product: scale,
// shift, another image, bounds, results in f32 on the way, and 8 bits at the end. All of it happens in registers, where
// a TileProgram passes a tile from step to step; the results are the same bits.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "chips/cpu/kernel.h"
#include "chips/cpu/loops.h"

namespace trireme::cpu {

// One step on the running value v, in f32. Low: v where it is at least the operand, which is no NaN; high: at most.
enum class LinkOp : uint8_t { kMultiply, kAdd, kLow, kHigh, kStore };
struct ChainLink {
  LinkOp op;
  bool everywhere;  // one operand for a whole row
  float* at;        // of the first row; kStore: where v goes, else the operand
  int64_t row_step;
};
// The conversion to 8 bits, if there is one: rounded to even or towards zero, cut at the ends of the type, NaN gives 0.
struct ChainEnd {
  bool narrows = false, rounds = false, is_signed = false;
  uint8_t* at = nullptr;
  int64_t row_step = 0;
};
// Rows of `count` sums, `sum_step` apart.
void run_sum_chain(std::span<const ChainLink> links, const ChainEnd& end, int64_t rows, int64_t count,
                   const int32_t* sums, int64_t sum_step);

class SumChain {
 public:
  // Of all nodes but `head`, whose result is in i32. Null when they have another form. Adds its operands to `loops`.
  static std::unique_ptr<SumChain> of(const Program& program, uint32_t head, Loops& loops);
  // Whether it runs over normalised loops of rows [0, fence) and one axis inside them, without gaps.
  bool fits(const Loops& loops, int fence) const;
  // Elements [column, column + count) of rows [row, row + rows); their sums are `sum_step` apart.
  void run(void* const* values, const Loops& loops, int64_t row, int64_t rows, int64_t column, int64_t count,
           const int32_t* sums, int64_t sum_step) const;

 private:
  struct Operand {
    uint32_t value = TRM_ABSENT;  // absent: `number`
    size_t slot = 0;
    float number = 0.0F;
  };
  struct Link {
    LinkOp op;
    Operand operand;
  };
  static constexpr size_t kMostLinks = 12;

  bool add(const Program& program, const NodeView& node, uint32_t& running, Loops& loops);
  bool store(const Program& program, uint32_t value, Loops& loops);
  bool find(const Program& program, uint32_t value, Loops& loops, Operand& operand) const;

  std::vector<Link> links_;
  ChainEnd end_;
  Operand narrow_;
  bool converted_ = false, rounded_ = false;
};

}  // namespace trireme::cpu
