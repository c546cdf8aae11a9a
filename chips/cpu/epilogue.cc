#include "chips/cpu/epilogue.h"

#include <functional>
#include <numeric>

namespace trireme::cpu {

std::shared_ptr<const Epilogue> Epilogue::of(const Program& program, uint32_t head) {
  if (program.node_count() == 1) return nullptr;
  return std::shared_ptr<const Epilogue>(new Epilogue(program, head, row_major_order(), 2));
}
std::shared_ptr<const Epilogue> Epilogue::of(const Program& program, uint32_t head, const AxisOrder& order) {
  if (program.node_count() == 1) return nullptr;
  const auto rank = static_cast<int>(program.value(program.node(head).outputs()[0]).rank);
  return std::shared_ptr<const Epilogue>(new Epilogue(program, head, order, rank - 1));
}

Epilogue::Epilogue(const Program& program, uint32_t head, const AxisOrder& order, int fence)
    : values_(program.value_count()), result_(program.node(head).outputs()[0]) {
  for (uint32_t n = 0; n < program.node_count(); ++n) {
    const uint32_t made = program.node(n).outputs()[0];
    for (uint32_t input : program.node(head).inputs()) {
      if (input == made) throw Failure(TRM_UNSUPPORTED, "an operand of the contraction is made in the same program");
    }
  }
  const TrmValue result = program.value(result_);
  item_ = static_cast<int64_t>(size_of(register_type(dtype_of(result))));
  tiles_ = std::make_shared<TileProgram>(program, program.node_count(), chip::dims(result), std::span(&head, 1));
  const Strides laid = strides_in(result, order);
  const auto given = std::span<const int64_t>(laid).first(result.rank);
  tiles_->lay_given(given);
  result_slot_ = tiles_->add_slot(given);
  chain_ = SumChain::of(program, head, tiles_->loops);
  tiles_->loops.permute(order);
  fence_ = tiles_->loops.normalize(true, fence);
  if (fence_ == tiles_->loops.rank || chip::elements(result) <= 1)
    throw Failure(TRM_UNSUPPORTED, "a result without long rows has no epilogue");
  const auto& dims = tiles_->loops.dims;
  row_length_ =
      std::accumulate(dims.begin() + fence_, dims.begin() + tiles_->loops.rank, int64_t{1}, std::multiplies<>());
  tiles_->finish();
  // The result goes to its own memory if it is wanted, else to that of the one output if it fits.
  const auto fits = [&](uint32_t value) {
    const TrmValue v = program.value(value);
    return v.dtype == result.dtype && register_type(dtype_of(v)) == dtype_of(v) && is_dense_in(v, order);
  };
  for (uint32_t i = 0; i < program.output_count(); ++i) {
    if (program.output(i) != result_) continue;
    if (!fits(result_)) throw Failure(TRM_UNSUPPORTED, "a 16-bit result beside its epilogue");
    target_ = result_;
  }
  if (target_ == TRM_ABSENT && program.output_count() == 1 && fits(program.output(0))) target_ = program.output(0);
  if (chain_ && (target_ != TRM_ABSENT || !chain_->fits(tiles_->loops, fence_))) chain_.reset();
}

Epilogue::Session Epilogue::begin(void* const* values) const {
  Session session;
  session.values.assign(values, values + values_);
  if (target_ != TRM_ABSENT) session.values[result_] = values[target_];
  if (!chain_) session.frame = tiles_->frame(session.values.data());
  return session;
}

void Epilogue::run_rows(Session& session, int64_t row, int64_t rows, int64_t column, int64_t count,
                        const int32_t* memory, int64_t step) const {
  const Loops& loops = tiles_->loops;
  if (chain_) return chain_->run(session.values.data(), loops, row, rows, column, count, memory, step);
  if (memory && count == row_length_ && step == row_length_ && row_length_ < kTile / 2) {
    return run_gapless_rows(session, row, rows, memory);
  }
  for (int64_t r = 0; r < rows; ++r) run(session, row + r, column, count, memory ? memory + r * step : nullptr);
}

// Short rows: tiles of several, which begin where rows do, so that what changes along a row only is read once.
void Epilogue::run_gapless_rows(Session& session, int64_t row, int64_t rows, const void* memory) const {
  const Loops& loops = tiles_->loops;
  session.values[result_] =
      reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(memory) - static_cast<uintptr_t>(row * row_length_ * item_));
  const int64_t together = kTile / row_length_;
  for (int64_t done = 0; done < rows; done += together) {
    const int64_t here = std::min(together, rows - done);
    tiles_->evaluate(session.frame, Position(loops, (row + done) * row_length_), 0, loops.rank, here * row_length_);
  }
}

void Epilogue::run(Session& session, int64_t row, int64_t column, int64_t count, const void* memory) const {
  const Loops& loops = tiles_->loops;
  Position at;
  at.set(loops, row, 0, fence_);
  for (int64_t done = 0; done < count;) {
    at.set(loops, column + done, fence_, loops.rank);
    const int64_t here = std::min(count - done, kTile);
    if (memory) {  // as if the whole result lay around this piece
      const int64_t offset = at.offset(loops.strides[result_slot_], loops.rank) - done;
      session.values[result_] =
          reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(memory) - static_cast<uintptr_t>(offset * item_));
    }
    tiles_->evaluate(session.frame, at, fence_, loops.rank, here);
    done += here;
  }
}

uint32_t head_of(const Program& program) {
  for (uint32_t n = 0; n < program.node_count(); ++n) {
    if (!is_tile_op(program, program.node(n))) return n;
  }
  return 0;
}

}  // namespace trireme::cpu
