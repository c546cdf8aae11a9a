#include "trireme/ops/value.h"

#include <algorithm>
#include <limits>

#include "trireme/ir/op_decl.h"
#include "trireme/ops/ops.h"
#include "trireme/ops/rules.h"

namespace trireme {

namespace ops {

Value scalar(DType dtype, double value) { return constant(Literal::filled(dtype, Shape{}, value)); }

Value filled(DType dtype, const Shape& shape, double value) {
  return broadcast_to(scalar(dtype, value), shape.vector());
}
Value filled_like(const Value& like, double value) { return filled(like.dtype(), like.shape(), value); }

Value max(const Value& x, double y) { return max(x, filled_like(x, y)); }
Value min(const Value& x, double y) { return min(x, filled_like(x, y)); }
Value compare(const Value& x, double y, std::string_view kind) { return compare(x, filled_like(x, y), kind); }
Value select(const Value& condition, const Value& x, double y) { return select(condition, x, filled_like(x, y)); }
Value select(const Value& condition, double x, const Value& y) { return select(condition, filled_like(y, x), y); }

Value int_vector(const Ints& values) {
  const std::vector<int32_t> narrow(values.begin(), values.end());
  return constant(Literal::from(std::span<const int32_t>(narrow), Shape{static_cast<int64_t>(values.size())}));
}

Ints iota_axes(int rank) {
  Ints axes;
  for (int i = 0; i < rank; ++i) axes.push_back(i);
  return axes;
}

Value sum_to(const Value& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const int extra = x.shape().rank() - shape.rank();
  Ints axes;
  for (int i = 0; i < x.shape().rank(); ++i) {
    if (i < extra || (shape[i - extra] == 1 && x.shape()[i] != 1)) axes.push_back(i);
  }
  const Value summed = axes.empty() ? x : reduce_sum(x, axes, false);
  return reshape(summed, shape.vector());
}

Ints normal_axes(const Ints& axes, int rank) {
  if (axes.empty()) return iota_axes(rank);
  Ints out;
  for (int64_t a : axes) out.push_back(a < 0 ? a + rank : a);
  std::sort(out.begin(), out.end());
  return out;
}

Value restore_axes(const Value& reduced, const Ints& axes, const Shape& full_shape) {
  auto sizes = full_shape.vector();
  for (int64_t a : normal_axes(axes, full_shape.rank())) sizes[static_cast<size_t>(a)] = 1;
  return broadcast_to(reshape(reduced, sizes), full_shape.vector());
}

Value slice_axis(const Value& x, int axis, int64_t begin, int64_t end) {
  const auto rank = static_cast<size_t>(x.shape().rank());
  Ints from(rank, 0), to = x.shape().vector();
  from[static_cast<size_t>(axis)] = begin;
  to[static_cast<size_t>(axis)] = end;
  return slice(x, from, to, Ints(rank, 1));
}

Value lowest_like(const Value& x) {
  return filled_like(x, is_float(x.dtype()) ? -std::numeric_limits<double>::infinity() : lowest(x.dtype()));
}
Value highest_like(const Value& x) {
  return filled_like(x, is_float(x.dtype()) ? std::numeric_limits<double>::infinity() : highest(x.dtype()));
}

Value polynomial(const Value& x, std::initializer_list<double> coefficients) {
  Value sum;
  for (auto c = std::rbegin(coefficients); c != std::rend(coefficients); ++c) {
    sum = sum ? sum * x + *c : filled_like(x, *c);
  }
  return sum;
}

Value bit_pattern(DType dtype, uint64_t bits) {
  Literal literal = Literal::zeros(dtype, {});
  convert_elements(u64, &bits, dtype, literal.mutable_data(), 1);
  return constant(literal);
}

DType unsigned_type(DType integer) {
  switch (size_of(integer)) {
    case 1: return u8;
    case 2: return u16;
    case 4: return u32;
    default: return u64;
  }
}

ShiftFactor shift_factor(const Value& amount, DType type) {
  std::vector<uint64_t> powers;
  for (size_t bit = 0; bit < 8 * size_of(type); ++bit) powers.push_back(uint64_t{1} << bit);
  const auto count = static_cast<int64_t>(powers.size());
  Literal table = Literal::zeros(type, Shape{count});
  convert_elements(u64, powers.data(), type, table.mutable_data(), count);
  const Value inside = and_(compare(amount, 0.0, "ge"), compare(amount, static_cast<double>(count), "lt"));
  return {gather(constant(table), convert(amount, i32), 0), inside};
}

Value positions_in_rows(const Value& indices, int64_t size) {
  const int64_t count = indices.shape().elements();
  const int64_t width = indices.shape()[indices.shape().rank() - 1];
  const int64_t rows = width == 0 ? 0 : count / width;
  const DType type = rows * size > int64_t{1} << 31 ? i64 : i32;
  const Value first = iota({rows, width}, type, 0) * static_cast<double>(size);
  return reshape(first + convert(reshape(indices, {rows, width}), type), {count});
}

Value over_slices(const Value& per_index, const Shape& x, int64_t axis) {
  const int at = static_cast<int>(normal_axis(axis, x.rank()));
  Ints full = x.vector();
  full.erase(full.begin() + at);
  full.insert(full.begin() + at, per_index.shape().begin(), per_index.shape().end());
  Ints aligned = per_index.shape().vector();
  aligned.insert(aligned.end(), static_cast<size_t>(x.rank() - 1 - at), 1);
  return broadcast_to(reshape(per_index, aligned), full);
}

Value in_range(const Value& x, const Value& indices, int64_t axis) {
  const int64_t size = x.shape()[static_cast<int>(normal_axis(axis, x.shape().rank()))];
  return over_slices(and_(compare(indices, 0.0, "ge"), compare(indices, static_cast<double>(size), "lt")), x.shape(),
                     axis);
}

Value gather_in_range(const Value& x, const Value& indices, int64_t axis) {
  const Value inside = in_range(x, indices, axis);
  const int at = static_cast<int>(normal_axis(axis, x.shape().rank()));
  if (x.shape()[at] == 0) return filled(x.dtype(), inside.shape(), 0.0);
  const Value read = gather(x, indices, axis);
  return select(inside, read, filled_like(read, 0.0));
}

void share_of_extreme(Pullback& p, std::string_view kind) {
  const Value zero = filled_like(p.y(), 0.0);
  const Value tie = select(compare(p.x(0), p.x(1), "eq"), p.dy() * 0.5, zero);
  p.dx(0) = select(compare(p.x(0), p.x(1), kind), p.dy(), tie);
  p.dx(1) = select(compare(p.x(1), p.x(0), kind), p.dy(), tie);
}

void share_of_reduced_extreme(Pullback& p) {
  const Value& x = p.x(0);
  const Ints& axes = p.integers("axes");
  const Value extreme = compare(x, restore_axes(p.y(), axes, x.shape()), "eq");
  const Value ties = reduce_sum(convert(extreme, x.dtype()), axes, p.flag("keepdims"));
  p.dx(0) = select(extreme, restore_axes(p.dy() / ties, axes, x.shape()), filled_like(x, 0.0));
}

void share_of_scattered_extreme(Pullback& p) {
  const Value &x = p.x(0), &indices = p.x(1), &updates = p.x(2);
  const int64_t axis = p.integer("axis");
  const Value kept = compare(x, p.y(), "eq");
  const Value won = and_(compare(updates, gather_in_range(p.y(), indices, axis), "eq"), in_range(x, indices, axis));
  const Value ties = scatter_add(convert(kept, x.dtype()), indices, convert(won, x.dtype()), axis);
  const Value share = p.dy() / ties;
  p.dx(0) = select(kept, share, 0.0);
  p.dx(2) = select(won, gather_in_range(share, indices, axis), 0.0);
}

Value first_equal(const Value& x, const Value& extreme, int64_t axis, bool keepdims) {
  const int at = static_cast<int>(normal_axis(axis, x.shape().rank()));
  Value hit = compare(x, broadcast_to(extreme, x.shape().vector()), "eq");
  if (is_float(x.dtype())) hit = or_(hit, compare(x, x, "ne"));
  const Value index = select(hit, iota(x.shape().vector(), i32, at), static_cast<double>(x.shape()[at]));
  return reduce_min(index, {at}, keepdims);
}

Value clamped_start(const Value& start, int axis, int64_t last) {
  return min(max(slice_axis(start, 0, axis, axis + 1), 0.0), static_cast<double>(last));
}

Value scatter_candidates(const OpView& scatter, const Value& identity) {
  const auto [outer, size, inner] = around_axis(scatter.x(0).shape(), scatter.integer("axis"));
  const int64_t count = scatter.x(1).shape().elements();
  const Ints all = {outer, count, size, inner};
  const auto spread = [&](const Value& v, const Ints& sizes) { return broadcast_to(reshape(v, sizes), all); };
  const Value place = iota({size}, scatter.x(1).dtype(), 0);
  const Value here = compare(spread(scatter.x(1), {1, count, 1, 1}), spread(place, {1, 1, size, 1}), "eq");
  return select(here, spread(scatter.x(2), {outer, count, 1, inner}), spread(identity, {outer, count, 1, inner}));
}

}  // namespace ops

Value operator+(const Value& x, const Value& y) { return ops::add(x, y); }
Value operator-(const Value& x, const Value& y) { return ops::sub(x, y); }
Value operator*(const Value& x, const Value& y) { return ops::mul(x, y); }
Value operator/(const Value& x, const Value& y) { return ops::div(x, y); }
Value operator-(const Value& x) { return ops::neg(x); }
Value operator+(const Value& x, double y) { return ops::add(x, ops::scalar(x.dtype(), y)); }
Value operator-(const Value& x, double y) { return ops::sub(x, ops::scalar(x.dtype(), y)); }
Value operator*(const Value& x, double y) { return ops::mul(x, ops::scalar(x.dtype(), y)); }
Value operator/(const Value& x, double y) { return ops::div(x, ops::scalar(x.dtype(), y)); }
Value operator+(double x, const Value& y) { return ops::add(ops::scalar(y.dtype(), x), y); }
Value operator-(double x, const Value& y) { return ops::sub(ops::scalar(y.dtype(), x), y); }
Value operator*(double x, const Value& y) { return ops::mul(ops::scalar(y.dtype(), x), y); }
Value operator/(double x, const Value& y) { return ops::div(ops::scalar(y.dtype(), x), y); }

}  // namespace trireme
