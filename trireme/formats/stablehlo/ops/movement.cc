// Constants, and ops that move elements without changing them.
#include <algorithm>

#include "trireme/base/strings.h"
#include "trireme/formats/stablehlo/call.h"
#include "trireme/formats/stablehlo/literal.h"

namespace trireme::formats::stablehlo {

namespace {

bool any_negative(const Ints& values) {
  return std::any_of(values.begin(), values.end(), [](int64_t n) { return n < 0; });
}

// Axes of a tensor of this rank, each once.
void require_axes(const Call& c, const Ints& axes, int rank) {
  std::vector<bool> seen(static_cast<size_t>(rank), false);
  for (int64_t axis : axes) {
    c.require(axis >= 0 && axis < rank, cat("axis ", axis, " is out of range for rank ", rank));
    c.require(!seen[static_cast<size_t>(axis)], cat("axis ", axis, " is named twice"));
    seen[static_cast<size_t>(axis)] = true;
  }
}

void constant(Call& c) {
  Dense dense;
  if (c.given("value")) dense = c.attribute("value").dense;
  else if (!c.operation().values.empty()) dense = c.operation().values[0].dense;
  dense.type = c.type(0);
  const DenseValue value = decode(dense);
  const Value node = ops::constant(value.literal);
  c.result(value.splat ? broadcast(node, value.shape) : node);
}

Value counted(const Call& c, const Shape& shape, int64_t axis) {
  c.require(axis >= 0 && axis < shape.rank(), cat("axis ", axis, " is out of range for ", shape));
  return ops::iota(shape.vector(), c.result_dtype(), axis);
}

void iota(Call& c) { c.result(counted(c, shape_of(c.type(0)), c.integer(c.given("dim") ? "dim" : "iota_dimension"))); }

void dynamic_iota(Call& c) {
  c.result(counted(c, Shape(c.known_ints(0)), c.integer(c.given("dim") ? "dim" : "iota_dimension")));
}

void broadcast_to(Call& c, const Shape& shape) {
  const Ints axes = c.integers_of("dims", "broadcast_dimensions");
  const Value& x = c.x(0);
  c.require(axes.size() == static_cast<size_t>(x.shape().rank()), "there is not one axis per axis of the operand");
  require_axes(c, axes, shape.rank());
  // The axes in rising order, then at their places among axes of size 1.
  Ints order = ops::iota_axes(x.shape().rank());
  std::sort(order.begin(), order.end(),
            [&](int64_t a, int64_t b) { return axes[static_cast<size_t>(a)] < axes[static_cast<size_t>(b)]; });
  Ints sizes(static_cast<size_t>(shape.rank()), 1);
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t size = x.shape()[static_cast<int>(i)];
    c.require(size == 1 || size == shape[static_cast<int>(axes[i])],
              cat("a size of ", size, " does not become ", shape));
    sizes[static_cast<size_t>(axes[i])] = size;
  }
  c.result(broadcast(ops::reshape(ops::transpose(x, order), sizes), shape));
}

void broadcast_in_dim(Call& c) { broadcast_to(c, shape_of(c.type(0))); }
void dynamic_broadcast_in_dim(Call& c) { broadcast_to(c, Shape(c.known_ints(1))); }

void reshape(Call& c) { c.result(ops::reshape(c.x(0), shape_of(c.type(0)).vector())); }
void dynamic_reshape(Call& c) { c.result(ops::reshape(c.x(0), c.known_ints(1))); }

void transpose(Call& c) {
  const Ints order = c.integers_of("dims", "permutation");
  c.require(order.size() == static_cast<size_t>(c.rank(0)), "there is not one axis per axis of the operand");
  require_axes(c, order, c.rank(0));
  c.result(ops::transpose(c.x(0), order));
}

void reverse(Call& c) {
  const Ints axes = c.integers_of("dims", "dimensions");
  require_axes(c, axes, c.rank(0));
  c.result(axes.empty() ? c.x(0) : ops::reverse(c.x(0), axes));
}

void concatenate(Call& c) {
  c.require(c.inputs() > 0, "takes one operand or more");
  for (const Value& each : c.all()) c.require(each.dtype() == c.dtype(0), "operands have different element types");
  const int64_t axis = c.integer(c.given("dim") ? "dim" : "dimension");
  require_axes(c, {axis}, c.rank(0));
  c.result(c.inputs() == 1 ? c.x(0) : ops::concat(c.all(), axis));
}

// The pretty form is [0:10, 2:8:3].
void slice(Call& c) {
  const auto rank = static_cast<size_t>(c.rank(0));
  Ints begin, end, step;
  if (!c.operation().values.empty()) {
    for (const Attribute& range : c.operation().values[0].list) {
      const Ints numbers = c.as_integers(range);
      c.require(numbers.size() == 2 || numbers.size() == 3, "a range is not begin:end or begin:end:step");
      begin.push_back(numbers[0]);
      end.push_back(numbers[1]);
      step.push_back(numbers.size() == 3 ? numbers[2] : 1);
    }
  } else if (rank > 0) {
    begin = c.integers("start_indices");
    end = c.integers("limit_indices");
    step = c.integers("strides", Ints(rank, 1));
  }
  c.result(ops::slice(c.x(0), begin, end, step));
}

void real_dynamic_slice(Call& c) { c.result(ops::slice(c.x(0), c.known_ints(1), c.known_ints(2), c.known_ints(3))); }

void pad_by(Call& c, const Ints& low, const Ints& high, const Ints& interior) {
  const auto rank = static_cast<size_t>(c.rank(0));
  c.require(low.size() == rank && high.size() == rank && interior.size() == rank, "there is not one entry per axis");
  c.require(!any_negative(interior), "interior padding is negative");
  c.require(c.rank(1) == 0 && c.dtype(1) == c.dtype(0), "the padding value is no scalar of the operand's type");
  c.result(pad_with(c.x(0), c.x(1), low, high, interior));
}

void pad(Call& c) {
  pad_by(c, c.integers_of("low", "edge_padding_low"), c.integers_of("high", "edge_padding_high"),
         c.integers_of("interior", "interior_padding"));
}
void dynamic_pad(Call& c) { pad_by(c, c.known_ints(2), c.known_ints(3), c.known_ints(4)); }

void dimension_size(Call& c) {
  const int64_t axis = c.integer(c.given("dim") ? "dim" : "dimension");
  require_axes(c, {axis}, c.rank(0));
  c.result(ops::scalar(i32, static_cast<double>(c.shape(0)[static_cast<int>(axis)])));
}

constexpr Mapping kMappings[] = {
    {"stablehlo.broadcast_in_dim", broadcast_in_dim},
    {"stablehlo.concatenate", concatenate},
    {"stablehlo.constant", constant, true},
    {"stablehlo.dynamic_broadcast_in_dim", dynamic_broadcast_in_dim},
    {"stablehlo.dynamic_iota", dynamic_iota},
    {"stablehlo.dynamic_pad", dynamic_pad},
    {"stablehlo.dynamic_reshape", dynamic_reshape},
    {"stablehlo.get_dimension_size", dimension_size},
    {"stablehlo.iota", iota},
    {"stablehlo.pad", pad},
    {"stablehlo.real_dynamic_slice", real_dynamic_slice},
    {"stablehlo.reshape", reshape},
    {"stablehlo.reverse", reverse},
    {"stablehlo.slice", slice},
    {"stablehlo.transpose", transpose},
};

}  // namespace

std::span<const Mapping> movement_mappings() { return kMappings; }

Value pad_with(const Value& x, const Value& scalar, const Ints& low, const Ints& high, const Ints& interior) {
  const auto at_least = [](Ints list) {
    for (int64_t& n : list) n = std::max(n, -kMaxElements);
    return list;
  };
  const Ints least_low = at_least(low), least_high = at_least(high);
  Ints before = low, after = high;
  for (int64_t& n : before) n = std::max<int64_t>(n, 0);
  for (int64_t& n : after) n = std::max<int64_t>(n, 0);
  // The primitive's value is a number of the graph; a mask says where a computed one goes.
  Value out = ops::pad(x, before, after, interior, 0.0);
  if (out.shape() != x.shape()) {
    const Value ones = broadcast(ops::constant(Literal::scalar(true)), x.shape());
    out = ops::select(ops::pad(ones, before, after, interior, 0.0), out, scalar);
  }
  if (!any_negative(low) && !any_negative(high)) return out;
  Ints begin, end;
  for (size_t a = 0; a < low.size(); ++a) {
    const int64_t size = out.shape()[static_cast<int>(a)];
    begin.push_back(std::min(std::max<int64_t>(-least_low[a], 0), size));
    end.push_back(std::max(size - std::max<int64_t>(-least_high[a], 0), begin.back()));
  }
  return ops::slice(out, begin, end, Ints(low.size(), 1));
}

}  // namespace trireme::formats::stablehlo
