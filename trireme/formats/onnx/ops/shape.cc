// Shapes: their sizes as values, and other views of the same elements.
#include <numeric>

#include "trireme/base/strings.h"
#include "trireme/formats/onnx/call.h"

namespace trireme::formats::onnx {

namespace {

const Shape& shape_of(Call& c, int input) {
  return c.item(input).kind == Kind::kText ? c.item(input).text->shape : c.shape(input);
}

// A view of an item: of a tensor by `f`, of text by moving its strings along.
template <class F>
void view(Call& c, F f) {
  const Item& item = c.item(0);
  if (item.kind != Kind::kText) {
    c.result_like(0, f(c.x(0)));
    return;
  }
  Ints places(item.text->strings.size());
  std::iota(places.begin(), places.end(), int64_t{0});
  const Literal moved = c.known(f(ops::reshape(int64s(places), item.text->shape.vector())));
  Text text{moved.shape(), {}};
  for (int64_t at : moved.values<int64_t>()) text.strings.push_back(item.text->strings[static_cast<size_t>(at)]);
  c.result(0, Item::of_text(std::move(text)));
}

void shape(Call& c) {
  const Shape& x = shape_of(c, 0);
  const int64_t rank = x.rank();
  const auto bounded = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const int64_t start = bounded(c.integer("start", 0)), end = bounded(c.integer("end", rank));
  Ints sizes;
  for (int64_t a = start; a < end; ++a) sizes.push_back(x[static_cast<int>(a)]);
  c.result(int64s(sizes));
}

void size(Call& c) { c.result(ops::constant(Literal::scalar<int64_t>(shape_of(c, 0).elements()))); }

void reshape(Call& c) {
  const Shape from = shape_of(c, 0);
  Ints sizes = c.opset() < 5 ? c.integers("shape") : c.known_ints(1);
  const bool zero_copies = c.integer("allowzero", 0) == 0;
  int free = -1;
  int64_t rest = 1;
  for (size_t a = 0; a < sizes.size(); ++a) {
    if (sizes[a] == 0 && zero_copies) {
      c.require(static_cast<int>(a) < from.rank(), cat("size 0 at axis ", a, " copies an axis that ", from, " lacks"));
      sizes[a] = from[static_cast<int>(a)];
    }
    if (sizes[a] == -1) {
      c.require(free < 0, "two sizes of -1");
      free = static_cast<int>(a);
    } else {
      rest = bounded(Wide{rest} * sizes[a]);
    }
  }
  if (free >= 0) {
    c.require(rest > 0 && from.elements() % rest == 0, cat(from, " cannot take the sizes ", sizes));
    sizes[static_cast<size_t>(free)] = from.elements() / rest;
  }
  view(c, [&](const Value& x) { return ops::reshape(x, sizes); });
}

void flatten(Call& c) {
  const Shape& x = c.shape(0);
  int64_t axis = c.integer("axis", 1);
  if (axis != x.rank()) axis = c.axis(axis, x.rank());
  const int64_t outer = Shape(x.sizes().first(static_cast<size_t>(axis))).elements();
  const int64_t inner = Shape(x.sizes().subspan(static_cast<size_t>(axis))).elements();
  c.result_like(0, ops::reshape(c.x(0), {outer, inner}));
}

Ints axes_argument(Call& c, int since, int input, const Ints& missing) {
  if (c.opset() < since) return c.integers("axes", missing);
  return c.has(input) ? c.known_ints(input) : missing;
}

void squeeze(Call& c) {
  const Shape from = shape_of(c, 0);
  Ints axes = axes_argument(c, 13, 1, {});
  if (axes.empty()) {
    for (int a = 0; a < from.rank(); ++a) {
      if (from[a] == 1) axes.push_back(a);
    }
  }
  axes = c.axes(axes, from.rank());
  Ints sizes;
  for (int a = 0; a < from.rank(); ++a) {
    const bool goes = std::find(axes.begin(), axes.end(), a) != axes.end();
    c.require(!goes || from[a] == 1, cat("axis ", a, " of ", from, " is not of size 1"));
    if (!goes) sizes.push_back(from[a]);
  }
  view(c, [&](const Value& x) { return ops::reshape(x, sizes); });
}

void unsqueeze(Call& c) {
  const Shape from = shape_of(c, 0);
  Ints axes = axes_argument(c, 13, 1, {});
  const int64_t rank = from.rank() + static_cast<int64_t>(axes.size());
  axes = c.axes(axes, rank);
  Ints sizes;
  int next = 0;
  for (int64_t a = 0; a < rank; ++a) {
    const auto count = std::count(axes.begin(), axes.end(), a);
    c.require(count <= 1, cat("axis ", a, " is given twice"));
    sizes.push_back(count == 1 ? 1 : from[next++]);
  }
  view(c, [&](const Value& x) { return ops::reshape(x, sizes); });
}

void transpose(Call& c) {
  const int rank = shape_of(c, 0).rank();
  Ints order = c.integers("perm");
  if (order.empty()) {
    for (int a = rank - 1; a >= 0; --a) order.push_back(a);
  }
  view(c, [&](const Value& x) { return ops::transpose(x, order); });
}

void expand(Call& c) {
  const Shape shape = broadcast_shape(c, {c.shape(0), Shape(c.known_ints(1))});
  c.result_like(0, broadcast(c.x(0), shape));
}

void tile(Call& c) {
  const Shape& from = c.shape(0);
  Ints repeats;
  if (c.opset() < 6) {
    repeats.assign(static_cast<size_t>(from.rank()), 1);
    repeats[static_cast<size_t>(c.axis(c.known_int(2), from.rank()))] = c.known_int(1);
  } else {
    repeats = c.known_ints(1);
  }
  c.require(static_cast<int>(repeats.size()) == from.rank(), "there is one repeat per axis");
  c.result_like(0, ops::tile(c.x(0), repeats));
}

void concat(Call& c) {
  const bool scalars = shape_of(c, 0).rank() == 0;  // which some writers put side by side
  const int64_t axis = c.axis(c.integer("axis", 1), scalars ? 1 : shape_of(c, 0).rank());
  if (c.item(0).kind == Kind::kText) {
    c.require(shape_of(c, 0).rank() == 1, "text is joined along one axis");
    Text all{{}, {}};
    for (int i = 0; i < c.inputs(); ++i) {
      const auto& part = c.item(i).text->strings;
      all.strings.insert(all.strings.end(), part.begin(), part.end());
    }
    all.shape = Shape{static_cast<int64_t>(all.strings.size())};
    c.result(0, Item::of_text(std::move(all)));
    return;
  }
  std::vector<Value> parts;
  for (int i = 0; i < c.inputs(); ++i) parts.push_back(scalars ? ops::reshape(c.x(i), {1}) : c.x(i));
  c.result_like(0, parts.size() == 1 ? parts[0] : ops::concat(parts, axis));
}

void split(Call& c) {
  const Value& x = c.x(0);
  const int64_t axis = c.axis(c.integer("axis", 0), x.shape().rank());
  const int64_t size = x.shape()[static_cast<int>(axis)];
  Ints parts;
  if (c.opset() < 13) parts = c.integers("split");
  else if (c.has(1)) parts = c.known_ints(1);
  if (parts.empty()) {
    const int64_t count = c.opset() < 18 ? c.outputs() : c.integer("num_outputs", c.outputs());
    c.require(count >= 1 && count == c.outputs(), cat("it gives ", c.outputs(), " outputs, not ", count));
    const int64_t each = (size + count - 1) / count;
    for (int64_t k = 0; k < count; ++k) parts.push_back(std::clamp<int64_t>(size - k * each, 0, each));
  }
  c.require(static_cast<int>(parts.size()) == c.outputs(), cat("split into ", parts, " gives other than its outputs"));
  int64_t begin = 0;
  for (size_t k = 0; k < parts.size(); ++k) {
    c.require(parts[k] >= 0 && parts[k] <= size - begin, cat("split into ", parts, " of ", size));
    c.result(static_cast<int>(k), Item(c.elem(0), ops::slice_axis(x, static_cast<int>(axis), begin, begin + parts[k])));
    begin += parts[k];
  }
}

void slice(Call& c) {
  const Value& x = c.x(0);
  const int rank = x.shape().rank();
  Ints starts, ends, axes, steps;
  if (c.opset() < 10) {
    starts = c.integers("starts");
    ends = c.integers("ends");
    axes = c.integers("axes");
  } else {
    starts = c.known_ints(1);
    ends = c.known_ints(2);
    if (c.has(3)) axes = c.known_ints(3);
    if (c.has(4)) steps = c.known_ints(4);
  }
  if (axes.empty()) {
    for (size_t a = 0; a < starts.size(); ++a) axes.push_back(static_cast<int64_t>(a));
  }
  if (steps.empty()) steps.assign(starts.size(), 1);
  c.require(starts.size() == ends.size() && axes.size() == starts.size() && steps.size() == starts.size(),
            "starts, ends, axes and steps have one entry each");
  axes = c.axes(axes, rank);
  Ints begin(static_cast<size_t>(rank), 0), end = x.shape().vector(), step(static_cast<size_t>(rank), 1), reversed;
  for (size_t k = 0; k < axes.size(); ++k) {
    const auto a = static_cast<size_t>(axes[k]);
    const int64_t size = x.shape()[static_cast<int>(a)];
    c.require(steps[k] != 0, "a step is 0");
    c.require(steps[k] > std::numeric_limits<int64_t>::min(), "a step is too small");
    const auto from_front = [&](int64_t at) { return at < 0 ? bounded(Wide{at} + size) : at; };
    if (steps[k] > 0) {
      begin[a] = std::clamp<int64_t>(from_front(starts[k]), 0, size);
      end[a] = std::max(begin[a], std::clamp<int64_t>(from_front(ends[k]), 0, size));
      step[a] = steps[k];
    } else {  // the same of the reversed axis
      const int64_t first = std::clamp<int64_t>(from_front(starts[k]), -1, size - 1);
      const int64_t last = std::clamp<int64_t>(from_front(ends[k]), -1, size - 1);
      reversed.push_back(static_cast<int64_t>(a));
      begin[a] = size - 1 - first;
      end[a] = std::max(begin[a], size - 1 - last);
      step[a] = -steps[k];
    }
  }
  c.result_like(0, ops::slice(reversed.empty() ? x : ops::reverse(x, reversed), begin, end, step));
}

void pad(Call& c) {
  const Value& x = c.x(0);
  const int rank = x.shape().rank();
  const std::string mode = c.string("mode", "constant");
  Ints pads = c.opset() < 2 ? c.integers("paddings") : c.opset() < 11 ? c.integers("pads") : c.known_ints(1);
  Ints axes;
  if (c.opset() >= 18 && c.has(3)) axes = c.axes(c.known_ints(3), rank);
  else axes = ops::iota_axes(rank);
  c.require(pads.size() == 2 * axes.size(), cat(pads.size(), " pads for ", axes.size(), " axes"));
  Ints low(static_cast<size_t>(rank), 0), high = low, zero = low;
  for (size_t k = 0; k < axes.size(); ++k) {
    low[static_cast<size_t>(axes[k])] = pads[k];
    high[static_cast<size_t>(axes[k])] = pads[k + axes.size()];
  }
  // Negative pads cut.
  Ints begin(static_cast<size_t>(rank), 0), end = x.shape().vector(), one(static_cast<size_t>(rank), 1);
  for (size_t a = 0; a < begin.size(); ++a) {
    begin[a] = std::max<int64_t>(0, -low[a]);
    end[a] -= std::max<int64_t>(0, -high[a]);
    c.require(begin[a] <= end[a], cat("pads ", pads, " cut off more than ", x.shape()));
    low[a] = std::max<int64_t>(0, low[a]);
    high[a] = std::max<int64_t>(0, high[a]);
  }
  const Value inside = ops::slice(x, begin, end, one);
  if (mode == "constant") {
    const double number = c.opset() < 11 ? c.number("value", 0.0) : 0.0;
    if (c.opset() >= 11 && c.has(2)) {
      const Value fill = ops::reshape(c.x(2), {});
      const std::optional<Literal> value = c.constant(fill);
      if (!value) {  // known only when running: pad a mask and choose
        const Value mask = ops::pad(ops::filled(boolean, inside.shape(), 1.0), low, high, zero, 0.0);
        c.result_like(0, ops::select(mask, ops::pad(inside, low, high, zero, 0.0), broadcast(fill, mask.shape())));
        return;
      }
      c.result_like(0, ops::pad(inside, low, high, zero, value->at(0)));
      return;
    }
    c.result_like(0, ops::pad(inside, low, high, zero, number));
  } else if (mode == "edge" || mode == "reflect" || mode == "wrap") {
    // One gather per padded axis.
    Value y = inside;
    for (int a = 0; a < rank; ++a) {
      const int64_t before = low[static_cast<size_t>(a)], after = high[static_cast<size_t>(a)], size = y.shape()[a];
      if (before == 0 && after == 0) continue;
      c.require(size >= 1, cat("axis ", a, " is empty"));
      if (bounded(Wide{before} + size + after) > (1 << 24))
        c.unsupported(cat("an axis of more than 2^24 elements in mode ", mode));
      Ints places;
      for (int64_t i = -before; i < size + after; ++i) {
        int64_t at = i;
        if (mode == "edge") at = std::clamp<int64_t>(i, 0, size - 1);
        else if (mode == "wrap") at = ((i % size) + size) % size;
        else if (size == 1) at = 0;
        else {
          const int64_t period = 2 * (size - 1);
          at = ((i % period) + period) % period;
          at = at < size ? at : period - at;
        }
        places.push_back(at);
      }
      y = ops::gather(y, int64s(places), a);
    }
    c.result_like(0, y);
  } else {
    c.unsupported(cat("mode '", mode, "'; supported: constant, edge, reflect, wrap"));
  }
}

void constant(Call& c) {
  if (c.given("value")) c.result(0, constant_item(c.tensor("value")));
  else if (c.given("sparse_value")) c.result(0, constant_item(c.tensor("sparse_value")));
  else if (c.given("value_int")) c.result(ops::constant(Literal::scalar<int64_t>(c.integer("value_int"))));
  else if (c.given("value_ints")) c.result(int64s(c.integers("value_ints")));
  else if (c.given("value_float")) c.result(ops::scalar(f32, c.number("value_float")));
  else if (c.given("value_floats")) c.result(ops::float_vector(f32, c.numbers("value_floats")));
  else if (c.given("value_string")) c.result(0, Item::of_text({{}, {c.string("value_string", "")}}));
  else if (c.given("value_strings")) {
    const auto list = c.strings("value_strings");
    c.result(0, Item::of_text({Shape{static_cast<int64_t>(list.size())}, list}));
  } else {
    c.invalid("a constant without a value");
  }
}

void constant_of_shape(Call& c) {
  const Shape shape(c.known_ints(0));
  if (!c.given("value")) {
    c.result(ops::filled(f32, shape, 0.0));
    return;
  }
  const HostValue value = c.tensor("value");
  c.require(value.kind == Kind::kTensor && value.tensor.elements() == 1, "value has one element");
  c.result(0, Item(value.elem, broadcast(ops::reshape(ops::constant(value.tensor), {}), shape)));
}

void range(Call& c) {
  const Literal start = c.known(0), limit = c.known(1), delta = c.known(2);
  const double step = delta.at(0);
  c.require(step != 0.0, "delta is 0");
  const double count = std::ceil((limit.at(0) - start.at(0)) / step);
  c.require(!(count > 1e12), cat(count, " elements"));
  const DType type = c.dtype(0), wide = is_float(type) ? (type == f64 ? f64 : f32) : i64;
  const int64_t size = count > 0 ? static_cast<int64_t>(count) : 0;
  const auto at = [&](int i) { return ops::as_type(ops::reshape(c.x(i), {}), wide); };
  const Value steps = ops::iota({size}, wide, 0);
  c.result(ops::as_type(steps * broadcast(at(2), steps.shape()) + broadcast(at(0), steps.shape()), type));
}

void eye_like(Call& c) {
  const Shape& x = c.shape(0);
  c.require(x.rank() == 2, "its input is a matrix");
  const Elem elem = c.given("dtype") ? static_cast<Elem>(c.integer("dtype")) : c.elem(0);
  c.result(0, Item(elem, ops::eye(x[0], x[1], c.integer("k", 0), carrier(elem))));
}

void trilu(Call& c) {
  const int64_t k = c.has(1) ? c.known_int(1) : 0;
  const Value& x = c.x(0);
  const int rank = x.shape().rank();
  c.require(rank >= 2, "its input has two axes or more");
  const Value row = ops::iota(x.shape().vector(), i64, rank - 2), column = ops::iota(x.shape().vector(), i64, rank - 1);
  const int64_t far = x.shape()[rank - 2] + x.shape()[rank - 1];
  const Value offset = column - row;
  const bool upper = c.integer("upper", 1) != 0;
  const double limit = static_cast<double>(std::clamp<int64_t>(k, -far, far));
  c.result_like(0, ops::select(ops::compare(offset, limit, upper ? "ge" : "le"), x, 0.0));
}

void depth_to_space(Call& c) {
  const Shape& x = c.shape(0);
  const int64_t b = c.integer("blocksize");
  c.require(x.rank() == 4 && b >= 1 && x[1] % (b * b) == 0, cat("blocks of ", b, " in ", x));
  const int64_t depth = x[1] / (b * b);
  const bool columns_first = c.string("mode", "DCR") == "CRD";
  const Value apart =
      ops::reshape(c.x(0), columns_first ? Ints{x[0], depth, b, b, x[2], x[3]} : Ints{x[0], b, b, depth, x[2], x[3]});
  const Value moved = ops::transpose(apart, columns_first ? Ints{0, 1, 4, 2, 5, 3} : Ints{0, 3, 4, 1, 5, 2});
  c.result_like(0, ops::reshape(moved, {x[0], depth, x[2] * b, x[3] * b}));
}

void space_to_depth(Call& c) {
  const Shape& x = c.shape(0);
  const int64_t b = c.integer("blocksize");
  c.require(x.rank() == 4 && b >= 1 && x[2] % b == 0 && x[3] % b == 0, cat("blocks of ", b, " in ", x));
  const Value apart = ops::reshape(c.x(0), {x[0], x[1], x[2] / b, b, x[3] / b, b});
  c.result_like(0, ops::reshape(ops::transpose(apart, {0, 3, 5, 1, 2, 4}), {x[0], x[1] * b * b, x[2] / b, x[3] / b}));
}

// Cut or padded around the middle to the given sizes.
void center_crop_pad(Call& c) {
  const Value& x = c.x(0);
  const int rank = x.shape().rank();
  const Ints sizes = c.known_ints(1);
  const Ints axes = c.given("axes") ? c.axes(c.integers("axes"), rank) : ops::iota_axes(rank);
  c.require(sizes.size() == axes.size(), "one size per axis");
  Ints begin(static_cast<size_t>(rank), 0), end = x.shape().vector(), one(begin.size(), 1), low(begin), high(begin),
                                            none(begin);
  for (size_t k = 0; k < axes.size(); ++k) {
    const auto a = static_cast<size_t>(axes[k]);
    const int64_t have = end[a], want = sizes[k];
    c.require(want >= 0 && want <= kMaxElements, cat("size ", want));
    if (want <= have) {
      begin[a] = (have - want) / 2;
      end[a] = begin[a] + want;
    } else {
      low[a] = (want - have) / 2;
      high[a] = want - have - low[a];
    }
  }
  c.result_like(0, ops::pad(ops::slice(x, begin, end, one), low, high, none, 0.0));
}

}  // namespace

std::span<const Mapping> shape_mappings() {
  static constexpr Mapping table[] = {
      {"CenterCropPad", center_crop_pad, 18},
      {"Concat", concat},
      {"Constant", constant},
      {"ConstantOfShape", constant_of_shape, 9},
      {"DepthToSpace", depth_to_space},
      {"Expand", expand, 8},
      {"EyeLike", eye_like, 9},
      {"Flatten", flatten},
      {"Pad", pad},
      {"Range", range, 11},
      {"Reshape", reshape},
      {"Shape", shape},
      {"Size", size},
      {"Slice", slice},
      {"SpaceToDepth", space_to_depth},
      {"Split", split, 2},
      {"Squeeze", squeeze},
      {"Tile", tile},
      {"Transpose", transpose},
      {"Trilu", trilu, 14},
      {"Unsqueeze", unsqueeze},
  };
  return table;
}

}  // namespace trireme::formats::onnx
