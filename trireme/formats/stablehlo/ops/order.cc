// Sorting.
#include <algorithm>

#include "trireme/base/strings.h"
#include "trireme/formats/stablehlo/call.h"

namespace trireme::formats::stablehlo {

namespace {

// The comparator is "<" or ">" on the two values of one operand: which one and which way. -1 where it is not.
struct Key {
  int operand = -1;
  bool descending = false;
};

Key plain_key(const Call& c) {
  const Region& body = c.region(0);
  if (body.operations.size() != 2 || body.operations[0].name != "stablehlo.compare") return {};
  const Operation& op = body.operations[0];
  const Operation& end = body.operations[1];
  if (op.operands.size() != 2 || op.results.size() != 1 || end.operands.size() != 1) return {};
  if (end.operands[0].name != op.results[0].name || op.words.empty() || (op.words[0] != "LT" && op.words[0] != "GT")) {
    return {};
  }
  for (size_t i = 0; 2 * i + 1 < body.arguments.size(); ++i) {
    if (op.operands[0].name == body.arguments[2 * i].name && op.operands[1].name == body.arguments[2 * i + 1].name) {
      return {static_cast<int>(i), op.words[0] == "GT"};
    }
  }
  return {};
}

using List = std::vector<Value>;

// Neighbours at `begin`, `begin` + 1, then two further on, ... exchanged where the second must come before the first.
List exchanged(const List& lists, int axis, int64_t begin, const Graph& comparator, const List& captured) {
  const int64_t size = lists[0].shape()[axis], pairs = (size - begin) / 2;
  if (pairs == 0) return lists;
  const auto every_second = [&](const Value& x, int64_t from) {
    Ints first(static_cast<size_t>(x.shape().rank()), 0), last = x.shape().vector(), step(first.size(), 1);
    first[static_cast<size_t>(axis)] = from;
    last[static_cast<size_t>(axis)] = from + 2 * pairs - 1;
    step[static_cast<size_t>(axis)] = 2;
    return ops::slice(x, first, last, step);
  };
  List front, back, arguments;
  for (const Value& each : lists) {
    front.push_back(every_second(each, begin));
    back.push_back(every_second(each, begin + 1));
    arguments.push_back(back.back());
    arguments.push_back(front.back());
  }
  arguments.insert(arguments.end(), captured.begin(), captured.end());
  const Value turn = broadcast(inline_graph(comparator, arguments)[0], front[0].shape());
  List out;
  for (size_t i = 0; i < lists.size(); ++i) {
    const Value one = ops::unsqueeze(ops::select(turn, back[i], front[i]), {axis + 1});
    const Value two = ops::unsqueeze(ops::select(turn, front[i], back[i]), {axis + 1});
    const Shape& shape = lists[i].shape();
    List parts = {ops::reshape(ops::concat({one, two}, axis + 1), shape.with(axis, 2 * pairs).vector())};
    if (begin > 0) parts.insert(parts.begin(), ops::slice_axis(lists[i], axis, 0, begin));
    if (begin + 2 * pairs < size) parts.push_back(ops::slice_axis(lists[i], axis, begin + 2 * pairs, size));
    out.push_back(ops::concat(parts, axis));
  }
  return out;
}

// Any comparator: neighbours are exchanged until all are in order, `size` rounds (odd-even transposition sort). Equal
// elements never change places.
List sort_by(const Call& c, int axis) {
  const int64_t size = c.shape(0)[axis];
  // The comparator for the pairs from 0 on, and for those from 1 on, of which there may be one fewer.
  const auto comparator = [&](int64_t begin) {
    List given;
    for (const Value& each : c.all()) {
      const Value part = ops::slice_axis(each, axis, 0, (size - begin) / 2);
      given.insert(given.end(), {part, part});
    }
    return c.close(0, given, true);
  };
  const Closure even = comparator(0), odd = comparator(1);
  c.require(even.graph.outputs().size() == 1 && even.graph.outputs()[0].dtype() == boolean, "the region gives no i1");
  List state = {ops::constant(Literal::scalar(int64_t{0}))};
  state.insert(state.end(), c.all().begin(), c.all().end());
  state.insert(state.end(), even.captured.begin(), even.captured.end());
  List test, body;
  for (const Value& each : state) {
    test.push_back(parameter(each.dtype(), each.shape()));
    body.push_back(parameter(each.dtype(), each.shape()));
  }
  const auto count = static_cast<int64_t>(c.all().size());
  const List captured(body.begin() + 1 + count, body.end());
  List sorted(body.begin() + 1, body.begin() + 1 + count);
  sorted = exchanged(sorted, axis, 0, even.graph, captured);
  sorted = exchanged(sorted, axis, 1, odd.graph, captured);
  List next = {body[0] + 1.0};
  next.insert(next.end(), sorted.begin(), sorted.end());
  next.insert(next.end(), captured.begin(), captured.end());
  const Value goes_on = ops::compare(test[0], static_cast<double>((size + 1) / 2), "lt");
  const Values out = ops::while_loop(state, Graph(test, {goes_on}), Graph(body, next));
  return {out.begin() + 1, out.begin() + 1 + count};
}

void sort(Call& c) {
  c.require(c.inputs() > 0, "takes one operand or more");
  int64_t axis = c.integer("dimension", -1);
  if (axis < 0) axis += c.rank(0);
  c.require(axis >= 0 && axis < c.rank(0), "the dimension is out of range");
  for (const Value& each : c.all()) c.require(each.shape() == c.shape(0), "the operands have different shapes");
  const auto give = [&](const List& values) {
    for (size_t i = 0; i < values.size(); ++i) c.result(static_cast<int>(i), values[i]);
  };
  if (c.shape(0).elements() == 0 || c.shape(0)[static_cast<int>(axis)] < 2) return give(c.all());
  const Key key = plain_key(c);
  // Our sort has a rule of its own for NaN; integers have none.
  if (key.operand < 0 || is_float(c.dtype(key.operand))) return give(sort_by(c, static_cast<int>(axis)));
  List order = {c.x(key.operand)};
  order.insert(order.end(), c.all().begin(), c.all().end());
  const Values sorted = ops::sort(order, axis, key.descending);
  give({sorted.begin() + 1, sorted.end()});
}

void top_k(Call& c) {
  const int64_t k = c.integer("k");
  c.require(c.inputs() == 1 && c.rank(0) >= 1, "takes a tensor of rank 1 or more");
  const int last = c.rank(0) - 1;
  c.require(k >= 0 && k <= c.shape(0)[last], "k is out of range");
  const Value number = ops::iota(c.shape(0).vector(), i32, last);
  const Value key = is_float(c.dtype(0)) ? total_order(c.x(0)) : c.x(0);
  const Values sorted = ops::sort({key, c.x(0), number}, last, true);
  c.result(0, ops::slice_axis(sorted[1], last, 0, k));
  c.result(1, ops::slice_axis(sorted[2], last, 0, k));
}

constexpr Mapping kMappings[] = {
    {"chlo.top_k", top_k},
    {"stablehlo.sort", sort},
};

}  // namespace

std::span<const Mapping> order_mappings() { return kMappings; }

}  // namespace trireme::formats::stablehlo
