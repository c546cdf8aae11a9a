// Arithmetic, comparisons and logic on two operands, and on lists of them.
#include "trireme/base/strings.h"
#include "trireme/formats/paddle/call.h"

namespace trireme::formats::paddle {

namespace {

struct Pair {
  Value x, y;
};

// `shorter` with axes of size 1 behind it, so that its first axis lies at `axis` of a value of `rank` axes. Sizes of 1
// at its end may lie beyond the last axis.
Value aligned(Call& c, const Value& shorter, int64_t axis, int rank) {
  Ints sizes = shorter.shape().vector();
  while (!sizes.empty() && sizes.back() == 1 && axis + static_cast<int64_t>(sizes.size()) > rank) sizes.pop_back();
  c.require(axis + static_cast<int64_t>(sizes.size()) <= rank,
            cat("axis ", axis, " puts ", shorter.shape(), " beyond ", rank, " axes"));
  sizes.resize(static_cast<size_t>(rank - axis), 1);
  return ops::reshape(shorter, sizes);
}

// Both in one type and shape. `axis` says where the operand with fewer axes begins; -1: the last axes are aligned.
Pair operands(Call& c) {
  Value x = c.x("X"), y = c.x("Y");
  const DType type = promote(x.dtype(), y.dtype());
  x = ops::as_type(x, type);
  y = ops::as_type(y, type);
  const int64_t axis = c.integer("axis", -1);
  const int x_rank = x.shape().rank(), y_rank = y.shape().rank();
  if (axis >= 0 && y_rank < x_rank) y = aligned(c, y, axis, x_rank);
  if (axis >= 0 && x_rank < y_rank) x = aligned(c, x, axis, y_rank);
  const Shape shape = broadcast_shape(c, x.shape(), y.shape());
  return {broadcast(x, shape), broadcast(y, shape)};
}

template <Value (*f)(const Value&, const Value&)>
void binary(Call& c) {
  const auto [x, y] = operands(c);
  c.result(f(x, y));
}
// Of 16-bit floats in f32, rounded once.
template <Value (*f)(const Value&, const Value&)>
void wide_binary(Call& c) {
  const auto [x, y] = operands(c);
  c.result(ops::as_type(f(ops::widen(x), ops::widen(y)), x.dtype()));
}

template <const char* kind>
void comparison(Call& c) {
  const auto [x, y] = operands(c);
  c.result(ops::compare(x, y, kind));
}
constexpr char kEq[] = "eq", kNe[] = "ne", kLt[] = "lt", kLe[] = "le", kGt[] = "gt", kGe[] = "ge";

Value truth(const Value& x) { return x.dtype() == boolean ? x : ops::compare(x, 0.0, "ne"); }

template <Value (*f)(const Value&, const Value&)>
void logical(Call& c) {
  const Value x = truth(c.x("X")), y = truth(c.x("Y"));
  const Shape shape = broadcast_shape(c, x.shape(), y.shape());
  c.result(f(broadcast(x, shape), broadcast(y, shape)));
}
void logical_not(Call& c) { c.result(ops::not_(truth(c.x("X")))); }
void bitwise_not(Call& c) { c.result(ops::not_(c.x("X"))); }

void sum(Call& c) {
  const std::vector<Value> list = c.list("X");
  Value total = list[0];
  for (size_t i = 1; i < list.size(); ++i) {
    const Shape shape = broadcast_shape(c, total.shape(), list[i].shape());
    total = broadcast(total, shape) + broadcast(list[i], shape);
  }
  c.result(total);
}

void where(Call& c) {
  const Value condition = c.x("Condition"), x = c.x("X"), y = c.x("Y");
  const DType type = promote(x.dtype(), y.dtype());
  const Shape shape = broadcast_shape(c, broadcast_shape(c, condition.shape(), x.shape()), y.shape());
  c.result(ops::select(broadcast(truth(condition), shape), broadcast(ops::as_type(x, type), shape),
                       broadcast(ops::as_type(y, type), shape)));
}

}  // namespace

std::span<const Mapping> elementwise_mappings() {
  static constexpr Mapping table[] = {
      {"bitwise_and", binary<ops::and_>},
      {"bitwise_not", bitwise_not},
      {"bitwise_or", binary<ops::or_>},
      {"bitwise_xor", binary<ops::xor_>},
      {"elementwise_add", binary<ops::add>},
      {"elementwise_div", binary<ops::div>},
      {"elementwise_floordiv", binary<ops::floor_divide>},
      {"elementwise_max", binary<ops::max>},
      {"elementwise_min", binary<ops::min>},
      {"elementwise_mod", wide_binary<ops::remainder>},
      {"elementwise_mul", binary<ops::mul>},
      {"elementwise_pow", wide_binary<ops::pow>},
      {"elementwise_sub", binary<ops::sub>},
      {"equal", comparison<kEq>},
      {"grad_add", binary<ops::add>},
      {"greater_equal", comparison<kGe>},
      {"greater_than", comparison<kGt>},
      {"less_equal", comparison<kLe>},
      {"less_than", comparison<kLt>},
      {"logical_and", logical<ops::and_>},
      {"logical_not", logical_not},
      {"logical_or", logical<ops::or_>},
      {"logical_xor", logical<ops::xor_>},
      {"multiply", binary<ops::mul>},
      {"not_equal", comparison<kNe>},
      {"sum", sum},
      {"where", where},
  };
  return table;
}

}  // namespace trireme::formats::paddle
