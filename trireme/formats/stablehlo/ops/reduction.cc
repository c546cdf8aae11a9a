// Reductions. A region that is one known op on its two arguments becomes our reduction; any other is folded: applied to
// whole slices, pair by pair, so that the order of the elements is kept.
#include <algorithm>
#include <cmath>

#include "trireme/base/strings.h"
#include "trireme/formats/stablehlo/call.h"

namespace trireme::formats::stablehlo {

namespace {

// Steps of a fold that the graph writes out.
constexpr int64_t kMaxTaps = 4096;

using List = std::vector<Value>;

// The region's results, each of the shape of its first arguments.
List combined(const Call& c, const List& left, const List& right) {
  List arguments = left;
  arguments.insert(arguments.end(), right.begin(), right.end());
  List out = c.apply(0, arguments, true);
  c.require(out.size() == left.size(), "the region gives another number of results than there are operands");
  for (size_t i = 0; i < out.size(); ++i) {
    Shape shape;
    c.require(out[i].dtype() == left[i].dtype(), "the region gives another type than its arguments have");
    broadcast_shapes(left[i].shape(), right[i].shape(), &shape);
    out[i] = broadcast(out[i], shape);
  }
  return out;
}

// True when the scalar is known to leave the op's other operand as it is.
bool is_identity(const Call& c, const Value& start, std::string_view op) {
  const auto literal = c.constant(start);
  if (!literal || literal->elements() != 1) return false;
  const DType type = start.dtype();
  const double value = literal->at(0);
  if (op == "stablehlo.add") return value == 0.0 && type != boolean;
  if (op == "stablehlo.multiply") return value == 1.0 && type != boolean;
  if (op == "stablehlo.or") return type == boolean && value == 0.0;
  if (op == "stablehlo.and") return type == boolean && value == 1.0;
  if (op == "stablehlo.maximum") return is_float(type) ? value == -INFINITY : value == lowest(type) && type != boolean;
  if (op == "stablehlo.minimum") return is_float(type) ? value == INFINITY : value == highest(type) && type != boolean;
  return false;
}

// Null where there is no reduction of ours for the op.
using Reduction = Value (*)(const Value&, const Ints&, bool);
Reduction reduction_of(std::string_view op, DType type) {
  const bool truth = type == boolean;
  if (op == "stablehlo.add") return truth ? ops::reduce_or : ops::reduce_sum;
  if (op == "stablehlo.multiply") return truth ? ops::reduce_and : ops::reduce_prod;
  if (op == "stablehlo.maximum") return truth ? ops::reduce_or : ops::reduce_max;
  if (op == "stablehlo.minimum") return truth ? ops::reduce_and : ops::reduce_min;
  if (op == "stablehlo.or" && truth) return ops::reduce_or;
  if (op == "stablehlo.and" && truth) return ops::reduce_and;
  return nullptr;
}

Value apply_op(std::string_view op, const Value& a, const Value& b) {
  const bool truth = a.dtype() == boolean;
  if (op == "stablehlo.add") return truth ? ops::or_(a, b) : ops::add(a, b);
  if (op == "stablehlo.multiply") return truth ? ops::and_(a, b) : ops::mul(a, b);
  if (op == "stablehlo.maximum") return truth ? ops::or_(a, b) : ops::max(a, b);
  if (op == "stablehlo.minimum") return truth ? ops::and_(a, b) : ops::min(a, b);
  return op == "stablehlo.or" ? ops::or_(a, b) : ops::and_(a, b);
}

// All slices of axis 0 folded into one: neighbours in pairs, again and again.
List folded(const Call& c, List lists) {
  while (lists[0].shape()[0] > 1) {
    const int64_t count = lists[0].shape()[0], pairs = count / 2;
    List left, right;
    for (const Value& each : lists) {
      const auto every_second = [&](int64_t begin) {
        Ints from(static_cast<size_t>(each.shape().rank()), 0), to = each.shape().vector();
        Ints step(from.size(), 1);
        from[0] = begin;
        to[0] = begin + 2 * pairs - 1;
        step[0] = 2;
        return ops::slice(each, from, to, step);
      };
      left.push_back(every_second(0));
      right.push_back(every_second(1));
    }
    List next = combined(c, left, right);
    for (size_t i = 0; i < next.size() && count % 2 != 0; ++i) {
      next[i] = ops::concat({next[i], ops::slice_axis(lists[i], 0, count - 1, count)}, 0);
    }
    lists = std::move(next);
  }
  return lists;
}

List starts_of(const Call& c) {
  c.require(c.inputs() % 2 == 0 && c.inputs() > 0, "takes as many initial values as operands");
  List out(c.all().begin() + c.inputs() / 2, c.all().end());
  for (size_t i = 0; i < out.size(); ++i) {
    c.require(out[i].shape().rank() == 0 && out[i].dtype() == c.all()[i].dtype(),
              "an initial value is no scalar of its operand's type");
    c.require(c.all()[i].shape() == c.shape(0), "the operands have different shapes");
  }
  return out;
}

void reduce(Call& c) {
  const List starts = starts_of(c);
  const Ints axes = c.integers("dimensions");
  const Shape& shape = c.shape(0);
  Ints order, kept;
  int64_t count = 1;
  for (int64_t axis : axes) {
    c.require(axis >= 0 && axis < shape.rank() && std::count(axes.begin(), axes.end(), axis) == 1,
              cat("axis ", axis, " is out of range or named twice"));
    order.push_back(axis);
    count = bounded(Wide{count} * shape[static_cast<int>(axis)]);
  }
  for (int a = 0; a < shape.rank(); ++a) {
    if (std::find(axes.begin(), axes.end(), a) != axes.end()) continue;
    order.push_back(a);
    kept.push_back(shape[a]);
  }
  const std::string op = c.simple_region(0);
  const Reduction reduction = starts.size() == 1 ? reduction_of(op, c.dtype(0)) : nullptr;
  if (count == 0 || axes.empty() || Shape(kept).elements() == 0 || !reduction) {
    List lists;
    Ints flat = kept;
    flat.insert(flat.begin(), count);
    for (size_t i = 0; i < starts.size(); ++i) {
      const Value front = ops::reshape(ops::transpose(c.all()[i], order), flat);
      // Initial values come first, as element 0.
      Ints one = flat;
      one[0] = 1;
      lists.push_back(ops::concat({broadcast(starts[i], Shape(one)), front}, 0));
    }
    if (reduction) {
      for (Value& each : lists)
        each = Shape(kept).elements() == 0 ? ops::filled(each.dtype(), Shape(kept), 0.0) : reduction(each, {0}, false);
    } else {
      lists = folded(c, lists);
      for (Value& each : lists) each = ops::reshape(each, kept);
    }
    for (size_t i = 0; i < lists.size(); ++i) c.result(static_cast<int>(i), lists[i]);
    return;
  }
  const Value out = reduction(c.x(0), axes, false);
  c.result(is_identity(c, starts[0], op) ? out : apply_op(op, starts[0], out));
}

struct Window {
  Ints size, stride, low, high, base, dilation;
  Shape result;
};

Window window_of(const Call& c, const Shape& shape, bool dilated) {
  const auto rank = static_cast<size_t>(shape.rank());
  const auto get = [&](const char* name, int64_t missing, size_t count) {
    Ints out = c.integers(name, Ints(count, missing));
    c.require(out.size() == count, cat("'", name, "' has ", out.size(), " entries; needed: ", count));
    return out;
  };
  Window out{c.integers("window_dimensions"), get("window_strides", 1, rank), {}, {}, Ints(rank, 1), Ints(rank, 1), {}};
  c.require(out.size.size() == rank, "the window has another rank than the operand");
  if (dilated) {
    out.base = get("base_dilations", 1, rank);
    out.dilation = get("window_dilations", 1, rank);
  }
  const Ints padding = get("padding", 0, 2 * rank);
  Ints result;
  for (size_t a = 0; a < rank; ++a) {
    out.low.push_back(padding[2 * a]);
    out.high.push_back(padding[2 * a + 1]);
    for (int64_t n : {out.size[a], out.stride[a], out.base[a], out.dilation[a]}) {
      c.require(n >= 1 && n <= kMaxElements, "windows, strides and dilations are 1 or more");
    }
    const Wide size = shape[static_cast<int>(a)];
    const Wide room = (size == 0 ? 0 : (size - 1) * out.base[a] + 1) + out.low[a] + out.high[a] -
                      (Wide{out.size[a] - 1} * out.dilation[a] + 1);
    result.push_back(room < 0 ? 0 : bounded(room / out.stride[a] + 1));
  }
  out.result = Shape(result);
  return out;
}

// For each element of the window, in row-major order, the elements of the padded operand that lie there.
template <class F>
void for_each_tap(const Call& c, const Window& window, const F& f) {
  Wide taps = 1;
  for (int64_t n : window.size) taps = bounded(taps * n);
  if (taps > kMaxTaps)
    c.unsupported(cat("a window of more than ", kMaxTaps, " elements with this region is not supported"));
  for_each_index(Shape(window.size), [&](int64_t, const int64_t* offset) {
    Ints begin, end;
    for (size_t a = 0; a < window.size.size(); ++a) {
      begin.push_back(offset[a] * window.dilation[a]);
      end.push_back(begin.back() + (window.result[static_cast<int>(a)] - 1) * window.stride[a] + 1);
    }
    f([&](const Value& padded) { return ops::slice(padded, begin, end, window.stride); });
  });
}

void reduce_window(Call& c) {
  const List starts = starts_of(c);
  const Window w = window_of(c, c.shape(0), true);
  Ints interior;
  for (int64_t n : w.base) interior.push_back(n - 1);
  const std::string op = c.simple_region(0);
  if (w.result.elements() == 0) {
    for (size_t i = 0; i < starts.size(); ++i)
      c.result(static_cast<int>(i), ops::filled(starts[i].dtype(), w.result, 0.0));
    return;
  }
  const char* kind = op == "stablehlo.add"       ? "sum"
                     : op == "stablehlo.maximum" ? "max"
                     : op == "stablehlo.minimum" ? "min"
                                                 : "";
  if (starts.size() == 1 && *kind != '\0' && c.dtype(0) != boolean && is_identity(c, starts[0], op)) {
    const auto negative = [](int64_t n) { return n < 0; };
    const bool plain = std::none_of(w.low.begin(), w.low.end(), negative) &&
                       std::none_of(w.high.begin(), w.high.end(), negative) && interior == Ints(interior.size(), 0);
    const Ints none(interior.size(), 0);
    const Value x = plain ? c.x(0) : pad_with(c.x(0), starts[0], w.low, w.high, interior);
    return c.result(
        ops::reduce_window(x, kind, w.size, w.stride, plain ? w.low : none, plain ? w.high : none, w.dilation));
  }
  List padded, sum;
  for (size_t i = 0; i < starts.size(); ++i) {
    padded.push_back(pad_with(c.all()[i], starts[i], w.low, w.high, interior));
    sum.push_back(broadcast(starts[i], w.result));
  }
  for_each_tap(c, w, [&](const auto& tap) {
    List here;
    for (const Value& each : padded) here.push_back(tap(each));
    sum = combined(c, sum, here);
  });
  for (size_t i = 0; i < sum.size(); ++i) c.result(static_cast<int>(i), sum[i]);
}

// Each element of the source goes to the element of its window that the first region prefers.
void select_and_scatter(Call& c) {
  c.require(c.inputs() == 3 && c.rank(2) == 0, "takes an operand, a source and an initial value");
  const Shape& shape = c.shape(0);
  const Window w = window_of(c, shape, false);
  c.require(c.shape(1) == w.result, cat("the source is ", c.shape(1), ", the windows are ", w.result));
  const Value start = broadcast(c.x(2), shape);
  if (w.result.elements() == 0 || shape.elements() == 0) return c.result(start);
  const Ints none(static_cast<size_t>(shape.rank()), 0);
  const Value numbers = ops::reshape(ops::iota({shape.elements()}, i64), shape.vector());
  const Value outside = ops::constant(Literal::scalar(int64_t{-1}));
  const Value values = pad_with(c.x(0), ops::scalar(c.dtype(0), 0.0), w.low, w.high, none);
  const Value places = pad_with(numbers, outside, w.low, w.high, none);
  Value best, place;
  for_each_tap(c, w, [&](const auto& tap) {
    const Value value = tap(values), at = tap(places);
    if (!best) {
      best = value;
      place = at;
      return;
    }
    const List prefers = c.apply(0, {best, value}, true);
    c.require(prefers.size() == 1 && prefers[0].dtype() == boolean, "the first region gives no i1");
    // Padding is never chosen.
    const Value other = ops::or_(ops::compare(place, 0.0, "lt"), ops::not_(broadcast(prefers[0], w.result)));
    const Value take_it = ops::and_(other, ops::compare(at, 0.0, "ge"));
    best = ops::select(take_it, value, best);
    place = ops::select(take_it, at, place);
  });
  c.result(put(c, 1, start, place, c.x(1), false));
}

void map(Call& c) {
  for (const Value& each : c.all()) c.require(each.shape() == c.shape(0), "the operands have different shapes");
  const List out = c.apply(0, c.all(), true);
  c.require(out.size() == 1, "the region does not give one result");
  c.result(broadcast(out[0], c.shape(0)));
}

constexpr Mapping kMappings[] = {
    {"stablehlo.map", map},
    {"stablehlo.reduce", reduce},
    {"stablehlo.reduce_window", reduce_window},
    {"stablehlo.select_and_scatter", select_and_scatter},
};

}  // namespace

std::span<const Mapping> reduction_mappings() { return kMappings; }

}  // namespace trireme::formats::stablehlo
