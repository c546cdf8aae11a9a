// Picking, placing and ordering elements.
#include <algorithm>

#include "trireme/base/strings.h"
#include "trireme/formats/onnx/call.h"

namespace trireme::formats::onnx {

namespace {

void gather(Call& c) {
  if (c.item(0).kind == Kind::kText) {
    const Text& text = *c.item(0).text;
    c.require(text.shape.rank() == 1, "text is gathered along one axis");
    const Ints places = c.known_ints(1);
    size_t longest = 0;
    for (const std::string& each : text.strings) longest = std::max(longest, each.size());
    if (bounded(Wide{static_cast<int64_t>(longest)} * static_cast<int64_t>(places.size())) > (1 << 26))
      c.unsupported("so much text");
    Text out{c.shape(1), {}};
    for (int64_t at : places) {
      const int64_t index = c.axis(at, text.shape[0]);
      out.strings.push_back(text.strings[static_cast<size_t>(index)]);
    }
    c.result(0, Item::of_text(std::move(out)));
    return;
  }
  const Value& x = c.x(0);
  const int64_t axis = c.axis(c.integer("axis", 0), x.shape().rank());
  c.result_like(0, ops::gather(x, wrapped_indices(c.x(1), x.shape()[static_cast<int>(axis)]), axis));
}

// For indices of the rank of x: the place of each in x flattened. A place along `axis` comes from the index, along the
// others from the index's own place.
Value flat_places(Call& c, const Shape& x, const Value& indices, int64_t axis) {
  const Shape& shape = indices.shape();
  c.require(shape.rank() == x.rank(), cat("indices ", shape, " of ", x));
  const Strides strides = dense_strides(x);
  const Value wrapped = ops::as_type(wrapped_indices(indices, x[static_cast<int>(axis)]), i64);
  Value flat;
  for (int a = 0; a < x.rank(); ++a) {
    c.require(a == axis || shape[a] <= x[a], cat("indices ", shape, " of ", x));
    const Value place = (a == axis ? wrapped : ops::iota(shape.vector(), i64, a)) *
                        static_cast<double>(strides[static_cast<size_t>(a)]);
    flat = flat ? flat + place : place;
  }
  return ops::reshape(flat, {shape.elements()});
}

void gather_elements(Call& c) {
  const Value &x = c.x(0), &indices = c.x(1);
  const int64_t axis = c.axis(c.integer("axis", 0), x.shape().rank());
  const Value flat = ops::reshape(x, {x.shape().elements()});
  c.result_like(0,
                ops::reshape(ops::gather(flat, flat_places(c, x.shape(), indices, axis), 0), indices.shape().vector()));
}

// Updates written into x, combined with what is there. Of several updates of one place, `mul` folds them in turn.
Value scattered(Call& c, const Value& x, const Value& places, const Value& updates, const std::string& how) {
  if (how == "none") return ops::scatter_set(x, places, updates, 0);
  if (how == "add") return ops::scatter_add(x, places, updates, 0);
  if (how == "max") return ops::scatter_max(x, places, updates, 0);
  if (how == "min") return ops::scatter_min(x, places, updates, 0);
  if (how != "mul") c.invalid(cat("reduction '", how, "'"));
  const int64_t count = places.shape().elements();
  if (count > 4096) c.unsupported("reduction mul of more than 4096 places");
  const Value rows = ops::reshape(places, {count});
  Value y = x;
  for (int64_t k = 0; k < count; ++k) {
    const Value place = ops::slice_axis(rows, 0, k, k + 1);
    y = ops::scatter_set(y, place, ops::gather(y, place, 0) * ops::slice_axis(updates, 0, k, k + 1), 0);
  }
  return y;
}

void scatter_elements(Call& c) {
  const Value &x = c.x(0), &indices = c.x(1), &updates = c.x(2);
  c.require(updates.shape() == indices.shape(), cat("updates ", updates.shape(), ", indices ", indices.shape()));
  const int64_t axis = c.axis(c.integer("axis", 0), x.shape().rank());
  const Value flat = ops::reshape(x, {x.shape().elements()});
  const Value values = ops::reshape(updates, {updates.shape().elements()});
  const Value y = scattered(c, flat, flat_places(c, x.shape(), indices, axis), values, c.string("reduction", "none"));
  c.result_like(0, ops::reshape(y, x.shape().vector()));
}

// Coordinates of the first `depth` axes as one place each.
Value places_of(Call& c, const Shape& x, const Value& indices, int first) {
  const int last = indices.shape().rank() - 1;
  c.require(last >= 0, "indices have an axis of coordinates");
  const int64_t depth = indices.shape()[last];
  c.require(depth >= 1 && depth + first <= x.rank(), cat("indices ", indices.shape(), " of ", x));
  const Value whole = ops::as_type(indices, i64);
  Ints shape(indices.shape().begin(), indices.shape().end() - 1);
  Value flat;
  for (int64_t k = 0; k < depth; ++k) {
    const int64_t size = x[first + static_cast<int>(k)];
    const Value at = wrapped_indices(ops::reshape(ops::slice_axis(whole, last, k, k + 1), shape), size);
    flat = flat ? flat * static_cast<double>(size) + at : at;
  }
  return flat;
}

void gather_nd(Call& c) {
  const Value &x = c.x(0), &indices = c.x(1);
  const int64_t batch = c.integer("batch_dims", 0);
  c.require(batch >= 0 && batch < std::min(x.shape().rank(), indices.shape().rank()), cat("batch_dims ", batch));
  const int first = static_cast<int>(batch);
  Value places = places_of(c, x.shape(), indices, first);
  const int64_t depth = indices.shape()[indices.shape().rank() - 1];
  int64_t named = 1, batches = 1;
  for (int a = first; a < first + static_cast<int>(depth); ++a) named *= x.shape()[a];
  for (int a = 0; a < first; ++a) {
    c.require(x.shape()[a] == indices.shape()[a], "the batch axes differ");
    batches *= x.shape()[a];
  }
  Ints rest(x.shape().begin() + first + depth, x.shape().end()), shape = places.shape().vector();
  if (first > 0) {  // each batch counts from its own start
    const int64_t each = places.shape().elements() / std::max<int64_t>(batches, 1);
    const Value start = ops::iota({batches, each}, i64, 0) * static_cast<double>(named);
    places = ops::reshape(ops::reshape(places, {batches, each}) + start, shape);
  }
  Ints rows = rest;
  rows.insert(rows.begin(), batches * named);
  c.result_like(0, ops::gather(ops::reshape(x, rows), places, 0));
}

void scatter_nd(Call& c) {
  const Value &x = c.x(0), &indices = c.x(1), &updates = c.x(2);
  const Value places = places_of(c, x.shape(), indices, 0);
  const int64_t depth = indices.shape()[indices.shape().rank() - 1], count = places.shape().elements();
  int64_t named = 1;
  for (int a = 0; a < static_cast<int>(depth); ++a) named *= x.shape()[a];
  Ints rest(x.shape().begin() + depth, x.shape().end()), rows = rest, values = rest;
  rows.insert(rows.begin(), named);
  values.insert(values.begin(), count);
  c.require(updates.shape().elements() == Shape(values).elements(), cat("updates ", updates.shape()));
  const Value y = scattered(c, ops::reshape(x, rows), ops::reshape(places, {count}), ops::reshape(updates, values),
                            c.string("reduction", "none"));
  c.result_like(0, ops::reshape(y, x.shape().vector()));
}

void one_hot(Call& c) {
  const int64_t depth = c.known_int(1);
  c.require(depth >= 1, cat("depth ", depth));
  const Shape& shape = c.shape(0);
  const int64_t axis = c.axis(c.integer("axis", -1), shape.rank() + 1);
  const Shape out = shape.inserted(static_cast<int>(axis), depth);
  const Value indices = wrapped_indices(ops::as_type(c.x(0), i64), depth);
  const Value wide = broadcast(ops::reshape(indices, shape.inserted(static_cast<int>(axis), 1).vector()), out);
  const Value hot = ops::compare(wide, ops::iota(out.vector(), i64, axis), "eq");
  const Value off = ops::reshape(ops::slice_axis(c.x(2), 0, 0, 1), {}),
              on = ops::reshape(ops::slice_axis(c.x(2), 0, 1, 2), {});
  c.result(0, Item(c.elem(2), ops::select(hot, broadcast(on, out), broadcast(off, out))));
}

void top_k(Call& c) {
  const Value& x = c.x(0);
  const int64_t k = c.opset() < 10 ? c.integer("k") : c.known_int(1);
  const int64_t axis = c.axis(c.integer("axis", -1), x.shape().rank());
  const bool largest = c.integer("largest", 1) != 0;
  c.require(k >= 0 && k <= x.shape()[static_cast<int>(axis)], cat("k is ", k, " of ", x.shape()));
  const Values sorted = ops::sort({x, ops::iota(x.shape().vector(), i64, axis)}, axis, largest);
  c.result(0, ops::slice_axis(sorted[0], static_cast<int>(axis), 0, k));
  c.result(1, ops::slice_axis(sorted[1], static_cast<int>(axis), 0, k));
}

// How many are true is known only from the values; the places themselves are computed.
Value places_of_true(Call& c, const Value& mask) {
  const int64_t count = mask.shape().elements();
  const Value flat = ops::reshape(mask, {count});
  const Literal total = c.known(ops::reduce_sum(ops::convert(flat, i64), {0}, false));
  const Value order = ops::sort({ops::convert(ops::not_(flat), i32), ops::iota({count}, i64, 0)}, 0, false)[1];
  return ops::slice_axis(order, 0, 0, static_cast<int64_t>(total.at(0)));
}

void non_zero(Call& c) {
  const Value& x = c.x(0);
  const Value mask = x.dtype() == boolean ? x : ops::compare(x, 0.0, "ne");
  Value rest = places_of_true(c, mask);
  const int rank = x.shape().rank();
  const int64_t count = rest.shape()[0];
  if (rank == 0) {
    c.result(ops::filled(i64, {0, count}, 0.0));
    return;
  }
  std::vector<Value> rows;
  const Strides strides = dense_strides(x.shape());
  for (int a = 0; a < rank; ++a) {
    const Value step = ops::filled(i64, rest.shape(), static_cast<double>(strides[static_cast<size_t>(a)]));
    rows.push_back(ops::reshape(ops::div(rest, step), {1, count}));
    rest = ops::rem(rest, step);
  }
  c.result(rows.size() == 1 ? rows[0] : ops::concat(rows, 0));
}

void compress(Call& c) {
  Value x = c.x(0);
  int64_t axis = 0;
  if (c.given("axis")) axis = c.axis(c.integer("axis"), x.shape().rank());
  else x = ops::reshape(x, {x.shape().elements()});
  c.require(c.rank(1) == 1, "condition has one axis");
  c.result_like(0, ops::gather(x, places_of_true(c, c.x(1)), axis));
}

// Distinct slices along an axis, or distinct elements. What is alike is known only from the values.
void unique(Call& c) {
  const Value& x = c.x(0);
  const bool sorted = c.integer("sorted", 1) != 0, flat = !c.given("axis");
  const int64_t axis = flat ? 0 : c.axis(c.integer("axis"), x.shape().rank());
  Ints order = ops::iota_axes(x.shape().rank());
  Value rows = x;
  if (flat) {
    rows = ops::reshape(x, {x.shape().elements(), 1});
  } else {
    std::rotate(order.begin(), order.begin() + axis, order.begin() + axis + 1);
    const int64_t count = x.shape()[static_cast<int>(axis)];
    rows = ops::reshape(ops::transpose(x, order), {count, count == 0 ? 0 : x.shape().elements() / count});
  }
  const int64_t count = rows.shape()[0], width = rows.shape()[1];
  const std::vector<double> values = c.known(rows).to_doubles();
  const auto compare = [&](int64_t a, int64_t b) {
    for (int64_t k = 0; k < width; ++k) {
      const double p = values[static_cast<size_t>(a * width + k)], q = values[static_cast<size_t>(b * width + k)];
      if (p != q && (p == p || q == q)) return p < q || q != q ? -1 : 1;
    }
    return 0;
  };
  Ints places(static_cast<size_t>(count));
  for (size_t i = 0; i < places.size(); ++i) places[i] = static_cast<int64_t>(i);
  std::stable_sort(places.begin(), places.end(), [&](int64_t a, int64_t b) { return compare(a, b) < 0; });
  struct Group {
    int64_t first, count;
    Ints members;
  };
  std::vector<Group> groups;
  for (int64_t at : places) {
    if (groups.empty() || compare(groups.back().first, at) != 0) groups.push_back({at, 0, {}});
    ++groups.back().count;
    groups.back().members.push_back(at);
  }
  if (!sorted) {
    std::sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) { return a.first < b.first; });
  }
  Ints firsts, counts, inverse(places.size());
  for (size_t g = 0; g < groups.size(); ++g) {
    firsts.push_back(groups[g].first);
    counts.push_back(groups[g].count);
    for (int64_t at : groups[g].members) inverse[static_cast<size_t>(at)] = static_cast<int64_t>(g);
  }
  const Value source = flat ? ops::reshape(x, {count}) : x;
  c.result_like(0, ops::gather(source, int64s(firsts), axis));
  c.result(1, int64s(firsts));
  c.result(2, int64s(inverse));
  c.result(3, int64s(counts));
}

void reverse_sequence(Call& c) {
  const Value &x = c.x(0), &lengths = c.x(1);
  const int64_t batch = c.integer("batch_axis", 1), time = c.integer("time_axis", 0);
  c.require(batch + time == 1 && (batch == 0 || batch == 1) && x.shape().rank() >= 2,
            "batch_axis and time_axis are 0 and 1");
  const int64_t steps = x.shape()[static_cast<int>(time)], rows = x.shape()[static_cast<int>(batch)];
  const Ints grid = {x.shape()[0], x.shape()[1]};
  const Value length = broadcast(ops::along_axis(ops::as_type(lengths, i64), batch, 2), Shape(grid));
  const Value step = ops::iota(grid, i64, time), row = ops::iota(grid, i64, batch);
  const Value source = ops::select(ops::compare(step, length, "lt"), length - step - 1.0, step);
  const Value place = time == 0 ? source * static_cast<double>(rows) + row : row * static_cast<double>(steps) + source;
  Ints flat(x.shape().begin() + 2, x.shape().end());
  flat.insert(flat.begin(), steps * rows);
  c.result_like(0, ops::gather(ops::reshape(x, flat), place, 0));
}

// A cache with new entries from a place on, per row of the batch.
void tensor_scatter(Call& c) {
  const Value &cache = c.x(0), &update = c.x(1);
  const Shape &shape = cache.shape(), &part = update.shape();
  const int64_t axis = c.axis(c.integer("axis", -2), shape.rank());
  const std::string mode = c.string("mode", "linear");
  const int64_t size = shape[static_cast<int>(axis)];
  c.require(axis >= 1 && part.rank() == shape.rank(), cat("update ", part, " of ", shape));
  const Strides strides = dense_strides(shape);
  Value flat;
  for (int a = 0; a < part.rank(); ++a) {
    Value place = ops::iota(part.vector(), i64, a);
    if (a == axis) {
      if (c.has(2)) place = place + broadcast(ops::along_axis(ops::as_type(c.x(2), i64), 0, part.rank()), part);
      if (mode == "circular") place = ops::rem(place, ops::filled(i64, part, static_cast<double>(size)));
    }
    place = place * static_cast<double>(strides[static_cast<size_t>(a)]);
    flat = flat ? flat + place : place;
  }
  const Value y = ops::scatter_set(ops::reshape(cache, {shape.elements()}), ops::reshape(flat, {part.elements()}),
                                   ops::reshape(update, {part.elements()}), 0);
  c.result_like(0, ops::reshape(y, shape.vector()));
}

}  // namespace

std::span<const Mapping> indexing_mappings() {
  static constexpr Mapping table[] = {
      {"Compress", compress, 9},
      {"Gather", gather},
      {"GatherElements", gather_elements, 11},
      {"GatherND", gather_nd, 11},
      {"NonZero", non_zero, 9},
      {"OneHot", one_hot, 9},
      {"ReverseSequence", reverse_sequence, 10},
      {"Scatter", scatter_elements, 9, 10},
      {"ScatterElements", scatter_elements, 11},
      {"ScatterND", scatter_nd, 11},
      {"TensorScatter", tensor_scatter, 24},
      {"TopK", top_k},
      {"Unique", unique, 11},
  };
  return table;
}

}  // namespace trireme::formats::onnx
