// Elements picked and set by indices that are computed.
#include "trireme/base/strings.h"
#include "trireme/formats/paddle/call.h"

namespace trireme::formats::paddle {

namespace {

// Indices counted from the end made such from the front; i64 or i32.
Value from_front(const Value& indices, int64_t size) {
  const Value whole = indices.dtype() == i64 || indices.dtype() == i32 ? indices : ops::convert(indices, i64);
  return ops::select(ops::compare(whole, 0.0, "lt"), whole + static_cast<double>(size), whole);
}

// A list of indices; older files write it as [n, 1].
Value index_list(Call& c, std::string_view parameter) {
  const Value index = c.x(parameter);
  const Shape& shape = index.shape();
  return shape.rank() == 2 && shape[1] == 1 ? ops::reshape(index, {shape[0]}) : index;
}

void gather(Call& c) {
  const Value x = c.x("X");
  const int64_t axis = c.axis(c.size("Axis", "axis", 0), x.shape().rank());
  c.result(ops::gather(x, from_front(index_list(c, "Index"), x.shape()[static_cast<int>(axis)]), axis));
}
void index_select(Call& c) {
  const Value x = c.x("X");
  const int64_t axis = c.axis(c.integer("dim", 0), x.shape().rank());
  c.result(ops::gather(x, from_front(c.x("Index"), x.shape()[static_cast<int>(axis)]), axis));
}

// The indices of gather_nd and its like, [..., k], counted from the front axis by axis.
Value coordinates(Call& c, const Value& index, const Shape& x) {
  const int rank = index.shape().rank();
  c.require(rank >= 1 && index.shape()[rank - 1] <= x.rank(), cat("indices ", index.shape(), " into ", x));
  const int64_t depth = index.shape()[rank - 1];
  std::vector<double> sizes(x.begin(), x.begin() + depth);
  const Value whole = ops::as_type(index, i64);
  const Value size = ops::constant(Literal::from_doubles(i64, Shape{depth}, sizes));
  return ops::select(ops::compare(whole, 0.0, "lt"), whole + broadcast(size, whole.shape()), whole);
}
void gather_nd(Call& c) {
  const Value x = c.x("X");
  c.result(ops::gather_nd(x, coordinates(c, c.x("Index"), x.shape())));
}
void scatter_nd_add(Call& c) {
  const Value x = c.x("X");
  c.result(ops::scatter_nd_add(x, coordinates(c, c.x("Index"), x.shape()), c.x("Updates")));
}

// Rows replaced; or set to 0 and then added to.
void scatter(Call& c) {
  const Value x = c.x("X"), updates = c.x("Updates");
  c.require(x.shape().rank() >= 1, "X has no rows");
  const Value rows = from_front(index_list(c, "Ids"), x.shape()[0]);
  if (c.flag("overwrite", true)) {
    c.result(ops::scatter_set(x, rows, updates, 0));
    return;
  }
  const Value cleared = ops::scatter_set(x, rows, ops::filled_like(updates, 0.0), 0);
  c.result(ops::scatter_add(cleared, rows, updates, 0));
}

// Per row of X [n, m], the elements at the row's indices.
void index_sample(Call& c) {
  const Value x = c.x("X");
  c.require(x.shape().rank() == 2, cat("X is ", x.shape()));
  c.result(ops::take_along_axis(x, from_front(c.x("Index"), x.shape()[1]), 1));
}
void take_along_axis(Call& c) {
  const Value x = c.x("Input");
  const int64_t axis = c.axis(c.integer("Axis", 0), x.shape().rank());
  c.result("Result", ops::take_along_axis(x, from_front(c.x("Index"), x.shape()[static_cast<int>(axis)]), axis));
}

void put_along_axis(Call& c) {
  const Value x = c.x("Input");
  const int64_t axis = c.axis(c.integer("Axis", 0), x.shape().rank());
  const std::string reduce = c.string("Reduce", "assign");
  if (reduce != "assign") c.unsupported(cat("Reduce '", reduce, "'; supported: assign"));
  const Value index = from_front(c.x("Index"), x.shape()[static_cast<int>(axis)]);
  c.result("Result", ops::put_along_axis(x, index, broadcast(c.x("Value"), index.shape()), axis));
}
void index_add(Call& c) {
  const Value x = c.x("X");
  const int64_t axis = c.axis(c.integer("axis", 0), x.shape().rank());
  c.result(ops::index_add(x, from_front(c.x("Index"), x.shape()[static_cast<int>(axis)]), c.x("AddValue"), axis));
}

// x[starts : ends along axes] = value.
void set_value(Call& c) {
  const Value x = c.x("Input");
  const int rank = x.shape().rank();
  const Ints axes = c.axes(c.integers("axes"), rank), starts = c.sizes("", "StartsTensorList", "starts"),
             ends = c.sizes("", "EndsTensorList", "ends"), steps = c.sizes("", "StepsTensorList", "steps");
  c.require(
      starts.size() == axes.size() && ends.size() == axes.size() && (steps.empty() || steps.size() == axes.size()),
      cat("axes ", axes, ", starts ", starts, ", ends ", ends, ", steps ", steps));
  if (!c.integers("none_axes").empty()) c.unsupported("new axes");
  Ints begin(static_cast<size_t>(rank), 0), sizes = x.shape().vector();
  for (size_t k = 0; k < axes.size(); ++k) {
    const auto axis = static_cast<size_t>(axes[k]);
    const int64_t size = x.shape()[static_cast<int>(axes[k])];
    if (!steps.empty() && steps[k] != 1) c.unsupported(cat("steps ", steps, "; supported: 1"));
    const auto place = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? bounded(Wide{at} + size) : at, 0, size); };
    begin[axis] = place(starts[k]);
    sizes[axis] = std::max<int64_t>(place(ends[k]) - begin[axis], 0);
  }
  Value value = c.has("ValueTensor") ? ops::as_type(c.x("ValueTensor"), x.dtype()) : c.values(x.dtype());
  // The value lacks the axes that the slice drops.
  const Ints dropped = c.axes(c.integers("decrease_axes"), rank);
  if (value.shape().rank() == rank - static_cast<int>(dropped.size()) && !dropped.empty()) {
    Ints with = value.shape().vector(), order = dropped;
    std::sort(order.begin(), order.end());
    for (int64_t a : order) with.insert(with.begin() + a, 1);
    value = ops::reshape(value, with);
  }
  const Shape part(sizes);
  c.require(broadcast_shape(c, value.shape(), part) == part, cat("a value ", value.shape(), " for a part ", part));
  if (part.elements() == 0) c.result(x);
  else c.result(ops::dynamic_update_slice(x, broadcast(value, part), int64s(begin)));
}

// Rows of W; those of padding_idx are 0. Older: the last axis of Ids has size 1.
void lookup(Call& c, bool last_axis) {
  const Value w = c.x("W");
  Value ids = c.x("Ids");
  const int rank = ids.shape().rank();
  c.require(w.shape().rank() == 2, cat("W is ", w.shape(), "; it must be a matrix"));
  if (last_axis && rank > 0 && ids.shape()[rank - 1] == 1)
    ids = ops::reshape(ids, ids.shape().without(rank - 1).vector());
  const int64_t padding = c.integer("padding_idx", -1);
  if (ids.dtype() != i64 && ids.dtype() != i32) ids = ops::convert(ids, i64);
  Value y = ops::gather(w, ids, 0);
  if (padding >= 0) {
    const Value is_padding = ops::reshape(ops::compare(ids, static_cast<double>(padding), "eq"),
                                          ids.shape().inserted(ids.shape().rank(), 1).vector());
    y = ops::select(broadcast(is_padding, y.shape()), 0.0, y);
  }
  c.result(y);
}
void lookup_table(Call& c) { lookup(c, true); }
void lookup_table_v2(Call& c) { lookup(c, false); }

// How many are true is known only from the values; the places themselves are computed.
Value places_of_true(Call& c, const Value& mask) {
  const int64_t count = mask.shape().elements();
  const Value flat = ops::reshape(mask.dtype() == boolean ? mask : ops::compare(mask, 0.0, "ne"), {count});
  const Literal total = c.known(ops::reduce_sum(ops::convert(flat, i64), {0}, false));
  const Value order = ops::sort({ops::convert(ops::not_(flat), i32), ops::iota({count}, i64, 0)}, 0, false)[1];
  return ops::slice_axis(order, 0, 0, static_cast<int64_t>(total.at(0)));
}
void masked_select(Call& c) {
  const Value x = c.x("X"), mask = c.x("Mask");
  const Shape shape = broadcast_shape(c, x.shape(), mask.shape());
  const Value flat = ops::reshape(broadcast(x, shape), {shape.elements()});
  c.result("Y", ops::gather(flat, places_of_true(c, broadcast(mask, shape)), 0));
}
// [count, rank]: the coordinates of what is true.
void where_index(Call& c) {
  const Value mask = c.x("Condition");
  Value rest = places_of_true(c, mask);
  const int64_t count = rest.shape()[0];
  const Strides strides = dense_strides(mask.shape());
  std::vector<Value> columns;
  for (int a = 0; a < mask.shape().rank(); ++a) {
    const Value step = ops::filled(i64, rest.shape(), static_cast<double>(strides[static_cast<size_t>(a)]));
    columns.push_back(ops::reshape(ops::div(rest, step), {count, 1}));
    rest = ops::rem(rest, step);
  }
  if (columns.empty()) c.result(ops::filled(i64, {count, 0}, 0.0));
  else c.result(columns.size() == 1 ? columns[0] : ops::concat(columns, 1));
}

}  // namespace

std::span<const Mapping> indexing_mappings() {
  static constexpr Mapping table[] = {
      {"gather", gather},
      {"gather_nd", gather_nd},
      {"index_add", index_add},
      {"index_sample", index_sample},
      {"index_select", index_select},
      {"lookup_table", lookup_table},
      {"lookup_table_v2", lookup_table_v2},
      {"masked_select", masked_select},
      {"put_along_axis", put_along_axis},
      {"scatter", scatter},
      {"scatter_nd_add", scatter_nd_add},
      {"set_value", set_value},
      {"take_along_axis", take_along_axis},
      {"where_index", where_index},
  };
  return table;
}

}  // namespace trireme::formats::paddle
