// Slices and elements at computed places. All of them become positions in row-major order.
#include <algorithm>

#include "trireme/base/strings.h"
#include "trireme/formats/stablehlo/call.h"

namespace trireme::formats::stablehlo {

namespace {

Value scalar_index(int64_t n) { return ops::constant(Literal::scalar(n)); }

// --- dynamic slices ---

Value start_of(const Call& c, int first, int rank) {
  c.require(c.inputs() == first + rank, cat("takes ", rank, " start indices; given ", c.inputs() - first));
  std::vector<Value> list;
  for (int a = 0; a < rank; ++a) {
    c.require(c.rank(first + a) == 0, "a start index is no scalar");
    list.push_back(ops::reshape(as_index(c.x(first + a)), {1}));
  }
  return ops::concat(list, 0);
}

void dynamic_slice(Call& c) {
  if (c.rank(0) == 0) return c.result(c.x(0));
  c.result(ops::dynamic_slice(c.x(0), start_of(c, 1, c.rank(0)), c.integers_of("sizes", "slice_sizes")));
}

void dynamic_update_slice(Call& c) {
  if (c.rank(0) == 0) return c.result(c.x(1));
  c.result(ops::dynamic_update_slice(c.x(0), c.x(1), start_of(c, 2, c.rank(0))));
}

// --- gather and scatter ---

// How the axes of operand, indices and windows belong together; one description of both ops.
struct Plan {
  Ints window;         // axes of the result (of the updates) that run within a window, in the order of the operand's
  Ints dropped;        // axes of the operand along which windows have no axis
  Ints batch;          // axes of the operand that follow an axis of the indices
  Ints index_batch;    // those axes of the indices
  Ints indexed;        // for each component of an index its axis of the operand
  int64_t vector = 0;  // axis of the indices along which the components of an index lie
};

Plan plan_of(const Call& c, const char* attribute, const char* window, const char* dropped, const char* batch,
             const char* index_batch, const char* indexed) {
  const auto& fields = c.attribute(attribute).fields;
  const auto list = [&](const char* name) {
    const auto at = fields.find(name);
    return at == fields.end() ? Ints() : c.as_integers(at->second);
  };
  Plan out{list(window), list(dropped), list(batch), list(index_batch), list(indexed), 0};
  const auto at = fields.find("index_vector_dim");
  if (at != fields.end()) out.vector = at->second.integer;
  return out;
}

// For each element of the result (of the updates), [indices' axes and window's axes as `plan` mixes them] of shape
// `whole`: its position in the operand. Indices are clamped so that windows fit; or else positions outside are -1.
Value positions(const Call& c, const Plan& plan, const Shape& operand, const Value& indices, const Ints& sizes,
                const Shape& whole, bool clamped) {
  const int rank = operand.rank(), index_rank = indices.shape().rank();
  const auto in = [](int64_t axis, const Ints& list) {
    return std::find(list.begin(), list.end(), axis) != list.end();
  };
  c.require(plan.vector >= 0 && plan.vector <= index_rank, "index_vector_dim is out of range");
  c.require(sizes.size() == static_cast<size_t>(rank), "there is not one slice size per axis of the operand");
  const int64_t components = plan.vector == index_rank ? 1 : indices.shape()[static_cast<int>(plan.vector)];
  c.require(static_cast<int64_t>(plan.indexed.size()) == components, "an index has another number of components");
  c.require(plan.batch.size() == plan.index_batch.size(), "the batching axes do not fit");
  // Axes of `whole`: those of a window, and the others, which are those of the indices.
  Ints outer;
  for (int a = 0; a < whole.rank(); ++a) {
    if (!in(a, plan.window)) outer.push_back(a);
  }
  Ints index_axes;
  for (int a = 0; a < index_rank; ++a) {
    if (a != plan.vector) index_axes.push_back(a);
  }
  c.require(outer.size() == index_axes.size(), "the rank of the result does not fit");
  for (size_t i = 0; i < outer.size(); ++i) {
    c.require(whole[static_cast<int>(outer[i])] == indices.shape()[static_cast<int>(index_axes[i])],
              "a size of the result does not fit the indices");
  }
  // A component [index axes] as part of `whole`.
  const auto spread = [&](const Value& component) {
    Ints shape(static_cast<size_t>(whole.rank()), 1);
    for (int64_t a : outer) shape[static_cast<size_t>(a)] = whole[static_cast<int>(a)];
    return ops::reshape(component, shape);
  };
  const Strides strides = dense_strides(operand);
  Value place = ops::filled(i64, whole, 0.0), inside;
  const Value wide = as_index(indices);
  size_t next_window = 0;
  for (int axis = 0; axis < rank; ++axis) {
    const int64_t size = operand[axis], extent = sizes[static_cast<size_t>(axis)];
    c.require(extent >= 0 && (!clamped || extent <= size), "a slice is larger than the operand");
    Value along = scalar_index(0);
    bool moves = false;
    const auto at = std::find(plan.indexed.begin(), plan.indexed.end(), axis);
    if (at != plan.indexed.end()) {
      Value start = wide;
      if (plan.vector < index_rank) {
        const int64_t k = at - plan.indexed.begin();
        start = ops::slice_axis(wide, static_cast<int>(plan.vector), k, k + 1);
      }
      if (clamped) start = ops::min(ops::max(start, 0.0), static_cast<double>(size - extent));
      along = spread(start);
      moves = true;
    }
    const auto batch = std::find(plan.batch.begin(), plan.batch.end(), axis);
    if (batch != plan.batch.end()) {
      const int64_t followed = plan.index_batch[static_cast<size_t>(batch - plan.batch.begin())];
      const auto place_of = std::find(index_axes.begin(), index_axes.end(), followed);
      c.require(place_of != index_axes.end() && extent <= 1, "a batching axis does not fit");
      along = along + ops::iota(whole.vector(), i64, outer[static_cast<size_t>(place_of - index_axes.begin())]);
    } else if (!in(axis, plan.dropped)) {
      c.require(next_window < plan.window.size(), "windows have fewer axes than needed");
      const int64_t where = plan.window[next_window++];
      c.require(where >= 0 && where < whole.rank() && (!clamped || whole[static_cast<int>(where)] == extent),
                "a size of the result does not fit the window");
      along = along + ops::iota(whole.vector(), i64, where);
    } else {
      c.require(!clamped || extent <= 1, "a collapsed axis has a slice of more than one element");
    }
    if (!clamped && (moves || whole.rank() > 0)) {
      const Value fits =
          ops::and_(ops::compare(along, 0.0, "ge"), ops::compare(along, static_cast<double>(size), "lt"));
      inside = !inside ? fits : ops::and_(inside, fits);
    } else if (!clamped) {
      const Value fits = ops::compare(along, static_cast<double>(size), "lt");
      inside = !inside ? fits : ops::and_(inside, fits);
    }
    place = place + along * scalar_index(strides[static_cast<size_t>(axis)]);
  }
  c.require(next_window == plan.window.size(), "windows have more axes than the operand");
  if (inside) place = ops::select(broadcast(inside, whole), place, scalar_index(-1));
  return place;
}

void gather_sizes(Call& c, const Ints& sizes) {
  const Plan plan = plan_of(c, "dimension_numbers", "offset_dims", "collapsed_slice_dims", "operand_batching_dims",
                            "start_indices_batching_dims", "start_index_map");
  // The shape of the result: windows at offset_dims, the indices' sizes at the other axes.
  Ints window, outer;
  for (int a = 0; a < c.rank(0); ++a) {
    const auto has = [&](const Ints& list) { return std::find(list.begin(), list.end(), a) != list.end(); };
    c.require(sizes.size() == static_cast<size_t>(c.rank(0)), "there is not one slice size per axis of the operand");
    if (!has(plan.dropped) && !has(plan.batch)) window.push_back(sizes[static_cast<size_t>(a)]);
  }
  for (int a = 0; a < c.rank(1); ++a) {
    if (a != plan.vector) outer.push_back(c.shape(1)[a]);
  }
  c.require(window.size() == plan.window.size(), "windows have another rank than offset_dims");
  Ints whole;
  size_t next_window = 0, next_outer = 0;
  for (size_t a = 0; a < window.size() + outer.size(); ++a) {
    const bool in_window =
        std::find(plan.window.begin(), plan.window.end(), static_cast<int64_t>(a)) != plan.window.end();
    c.require(in_window ? next_window < window.size() : next_outer < outer.size(), "offset_dims is out of range");
    whole.push_back(in_window ? window[next_window++] : outer[next_outer++]);
  }
  c.result(take(c.x(0), positions(c, plan, c.shape(0), c.x(1), sizes, Shape(whole), true)));
}

void gather(Call& c) { gather_sizes(c, c.integers("slice_sizes")); }
void dynamic_gather(Call& c) { gather_sizes(c, c.known_ints(2)); }

void scatter(Call& c) {
  if (c.inputs() != 3) c.unsupported("a scatter into several tensors at once is not supported");
  const Plan plan = plan_of(c, "scatter_dimension_numbers", "update_window_dims", "inserted_window_dims",
                            "input_batching_dims", "scatter_indices_batching_dims", "scatter_dims_to_operand_dims");
  const Value places =
      positions(c, plan, c.shape(0), c.x(1), Ints(static_cast<size_t>(c.rank(0)), 1), c.shape(2), false);
  c.result(put(c, 0, c.x(0), places, c.x(2), c.flag("unique_indices")));
}

constexpr Mapping kMappings[] = {
    {"stablehlo.dynamic_gather", dynamic_gather},
    {"stablehlo.dynamic_slice", dynamic_slice},
    {"stablehlo.dynamic_update_slice", dynamic_update_slice},
    {"stablehlo.gather", gather},
    {"stablehlo.scatter", scatter},
};

}  // namespace

std::span<const Mapping> indexing_mappings() { return kMappings; }

Value as_index(const Value& x) { return ops::as_type(x.dtype() == u64 ? ops::min(x, 0x1p62) : x, i64); }

Value take(const Value& x, const Value& places) {
  if (places.shape().elements() == 0) return ops::filled(x.dtype(), places.shape(), 0.0);
  return ops::gather(ops::reshape(x, {x.shape().elements()}), places, 0);
}

Value put(const Call& call, int index, const Value& x, const Value& places, const Value& updates, bool unique) {
  const int64_t size = x.shape().elements(), count = updates.shape().elements();
  call.require(places.shape() == updates.shape() && updates.dtype() == x.dtype(), "the updates do not fit the operand");
  if (size == 0 || count == 0) return x;
  const Value flat = ops::reshape(x, {size}), at = ops::reshape(broadcast(places, updates.shape()), {count});
  const Value given = ops::reshape(updates, {count});
  const std::string kind = call.simple_region(index);
  const auto shaped = [&](const Value& y) { return ops::reshape(y, x.shape().vector()); };
  if (kind == "second") return shaped(ops::scatter_set(flat, at, given, 0));
  if (x.dtype() != boolean && kind == "stablehlo.add") return shaped(ops::scatter_add(flat, at, given, 0));
  if (x.dtype() != boolean && kind == "stablehlo.maximum") return shaped(ops::scatter_max(flat, at, given, 0));
  if (x.dtype() != boolean && kind == "stablehlo.minimum") return shaped(ops::scatter_min(flat, at, given, 0));
  // Any region: take the old elements, combine, write back; as often as the most frequent place occurs.
  const Value old = ops::gather(flat, at, 0);
  const Closure combine = call.close(index, {old, given}, true);
  const auto round = [&](const Value& y, const Value& where, const Value& update, const std::vector<Value>& captured) {
    std::vector<Value> arguments = {ops::gather(y, where, 0), update};
    arguments.insert(arguments.end(), captured.begin(), captured.end());
    const Values results = inline_graph(combine.graph, arguments);
    call.require(results.size() == 1, "the region does not give one result");
    return ops::scatter_set(y, where, broadcast(results[0], update.shape()), 0);
  };
  if (unique) return shaped(round(flat, at, given, combine.captured));
  // The how-manieth update of its place each one is: equal places are neighbours once sorted.
  const Value number = ops::iota({count}, i64);
  const Values sorted = ops::sort({at, number}, 0);
  Value first = broadcast(ops::constant(Literal::scalar(true)), Shape{1});
  if (count > 1) {
    const Value changes =
        ops::compare(ops::slice(sorted[0], {1}, {count}, {1}), ops::slice(sorted[0], {0}, {count - 1}, {1}), "ne");
    first = ops::concat({first, changes}, 0);
  }
  const Value begin = ops::cummax(ops::select(first, number, 0.0), 0);
  Value turn = ops::scatter_set(ops::filled_like(number, 0.0), sorted[1], number - begin, 0);
  const Value inside = ops::and_(ops::compare(at, 0.0, "ge"), ops::compare(at, static_cast<double>(size), "lt"));
  turn = ops::select(inside, turn, -1.0);
  std::vector<Value> state = {scalar_index(0), flat, at, given, turn, ops::reduce_max(turn, {}, false)};
  state.insert(state.end(), combine.captured.begin(), combine.captured.end());
  std::vector<Value> test, body;
  for (const Value& each : state) {
    test.push_back(parameter(each.dtype(), each.shape()));
    body.push_back(parameter(each.dtype(), each.shape()));
  }
  std::vector<Value> next = body;
  const Value now = ops::select(ops::compare(body[4], body[0], "eq"), body[2], -1.0);
  next[0] = body[0] + 1.0;
  next[1] = round(body[1], now, body[3], {body.begin() + 6, body.end()});
  return shaped(ops::while_loop(state, Graph(test, {ops::compare(test[0], test[5], "le")}), Graph(body, next))[1]);
}

}  // namespace trireme::formats::stablehlo
