#include "chips/cpu/sum_chain.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace trireme::cpu {
namespace {

bool is_output(const Program& program, uint32_t value) {
  for (uint32_t i = 0; i < program.output_count(); ++i) {
    if (program.output(i) == value) return true;
  }
  return false;
}

bool is_outside(const Program& program, uint32_t value) {
  if (program.value(value).known) return true;
  for (uint32_t i = 0; i < program.input_count(); ++i) {
    if (program.input(i) == value) return true;
  }
  return false;
}

bool is_one_number(const TrmValue& v) {
  for (uint32_t axis = 0; axis < v.rank; ++axis) {
    if (v.dims[axis] != 1 && v.strides[axis] != 0) return false;
  }
  return true;
}

}  // namespace

std::unique_ptr<SumChain> SumChain::of(const Program& program, uint32_t head, Loops& loops) {
  uint32_t running = program.node(head).outputs()[0];
  if (dtype_of(program.value(running)) != i32 || is_output(program, running)) return nullptr;
  auto chain = std::make_unique<SumChain>();
  for (uint32_t n = 0; n < program.node_count(); ++n) {
    const NodeView node = program.node(n);
    if (n != head && node.op() != "fill" && !chain->add(program, node, running, loops)) return nullptr;
  }
  for (uint32_t i = 0; i < program.output_count(); ++i) {  // a fill, or something given back
    const auto stores = [&](const Link& link) {
      return link.op == LinkOp::kStore && link.operand.value == program.output(i);
    };
    const bool narrow = chain->end_.narrows && chain->narrow_.value == program.output(i);
    if (!narrow && std::none_of(chain->links_.begin(), chain->links_.end(), stores)) return nullptr;
  }
  return chain->links_.size() <= kMostLinks ? std::move(chain) : nullptr;
}

// One more node; false when it does not continue the chain.
bool SumChain::add(const Program& program, const NodeView& node, uint32_t& running, Loops& loops) {
  const std::string_view op = node.op();
  const uint32_t made = node.outputs()[0];
  const DType type = dtype_of(program.value(made));
  const auto inputs = node.inputs();
  if (inputs.size() > 2 || std::count(inputs.begin(), inputs.end(), running) != 1 || end_.narrows) return false;
  const uint32_t other = inputs.size() == 2 ? inputs[inputs[0] == running ? 1 : 0] : TRM_ABSENT;
  running = made;
  if (!converted_) return op == "convert" && type == f32 && (converted_ = true) && store(program, made, loops);
  if (op == "convert" && (type == u8 || type == i8)) {
    if (!is_output(program, made)) return false;
    narrow_ = {made, loops.strides.size(), 0.0F};
    loops.add_operand(chip::strides(program.value(made)));
    end_.narrows = true;
    end_.rounds = rounded_;
    end_.is_signed = type == i8;
    return true;
  }
  if (rounded_ || type != f32) return false;
  if (op == "round_even") return (rounded_ = true) && !is_output(program, made);
  Link link{op == "mul"   ? LinkOp::kMultiply
            : op == "add" ? LinkOp::kAdd
            : op == "max" ? LinkOp::kLow
                          : LinkOp::kHigh,
            {}};
  if (inputs.size() != 2 || (link.op == LinkOp::kHigh && op != "min")) return false;
  if (!find(program, other, loops, link.operand)) return false;
  const bool bounds = link.op == LinkOp::kLow || link.op == LinkOp::kHigh;
  if (bounds && (link.operand.value != TRM_ABSENT || std::isnan(link.operand.number))) return false;
  links_.push_back(link);
  return store(program, made, loops);
}

// v goes to memory where it is a result.
bool SumChain::store(const Program& program, uint32_t value, Loops& loops) {
  if (!is_output(program, value)) return true;
  links_.push_back({LinkOp::kStore, {value, loops.strides.size(), 0.0F}});
  loops.add_operand(chip::strides(program.value(value)));
  return true;
}

bool SumChain::find(const Program& program, uint32_t value, Loops& loops, Operand& operand) const {
  for (uint32_t n = 0; n < program.node_count(); ++n) {
    const NodeView node = program.node(n);
    if (node.op() != "fill" || node.outputs()[0] != value) continue;
    operand.number = static_cast<float>(node.number("value"));
    return true;
  }
  if (!is_outside(program, value)) return false;
  const TrmValue v = program.value(value);
  if (dtype_of(v) != f32) return false;
  if (v.known && is_one_number(v)) {
    operand.number = *static_cast<const float*>(v.constant_data);
    return true;
  }
  // A result may have been given the memory of an operand, so nothing is read behind the first one.
  const auto stores = [](const Link& link) { return link.op == LinkOp::kStore; };
  if (std::any_of(links_.begin(), links_.end(), stores)) return false;
  operand = {value, loops.strides.size(), 0.0F};
  loops.add_operand(chip::strides(v));
  return true;
}

bool SumChain::fits(const Loops& loops, int fence) const {
  if (loops.rank != fence + 1) return false;
  const auto fits = [&](const Operand& operand, bool written) {
    if (operand.value == TRM_ABSENT) return true;
    const int64_t inner = loops.strides[operand.slot][fence];
    return inner == 1 || (inner == 0 && !written);
  };
  return (!end_.narrows || fits(narrow_, true)) && std::all_of(links_.begin(), links_.end(), [&](const Link& link) {
           return fits(link.operand, link.op == LinkOp::kStore);
         });
}

void SumChain::run(void* const* values, const Loops& loops, int64_t row, int64_t rows, int64_t column, int64_t count,
                   const int32_t* sums, int64_t sum_step) const {
  const int fence = loops.rank - 1;
  std::array<ChainLink, kMostLinks> links;
  for (int64_t done = 0; done < rows;) {
    Position at;
    at.set(loops, row + done, 0, fence);
    at.index[fence] = column;
    // Rows that lie equally far apart.
    const int64_t here = fence == 0 ? 1 : std::min(rows - done, loops.dims[fence - 1] - at.index[fence - 1]);
    const auto step = [&](const Operand& operand) { return fence == 0 ? 0 : loops.strides[operand.slot][fence - 1]; };
    for (size_t i = 0; i < links_.size(); ++i) {
      const Link& link = links_[i];
      const Operand& operand = link.operand;
      if (operand.value == TRM_ABSENT) {
        links[i] = {link.op, true, const_cast<float*>(&operand.number), 0};
        continue;
      }
      links[i] = {link.op, loops.strides[operand.slot][fence] == 0,
                  static_cast<float*>(values[operand.value]) + at.offset(loops.strides[operand.slot], loops.rank),
                  step(operand)};
    }
    ChainEnd end = end_;
    if (end.narrows) {
      end.at = static_cast<uint8_t*>(values[narrow_.value]) + at.offset(loops.strides[narrow_.slot], loops.rank);
      end.row_step = step(narrow_);
    }
    run_sum_chain(std::span(links).first(links_.size()), end, here, count, sums + done * sum_step, sum_step);
    done += here;
  }
}

}  // namespace trireme::cpu
