#include <numeric>

#include "trireme/ops/declare.h"

namespace trireme {

namespace {
// What the network moves: the key and, to make the order total, class * size + place, where class is 0 for a number, 1
// for NaN and 2 for padding. Keys of the last two are the identity that sorts last.
struct Pair {
  Value key, tie;
};

Pair part(const Pair& p, int axis, int64_t index) {
  return {ops::slice_axis(p.key, axis, index, index + 1), ops::slice_axis(p.tie, axis, index, index + 1)};
}

// Puts the smaller of each two first. `pairs` is [rows, blocks, 2, width]; a mirrored step compares the first half of a
// block with its second half read backwards, which makes two ascending runs into one bitonic run without a direction.
Pair exchange(const Pair& pairs, bool mirrored, bool descending) {
  const auto mirror = [&](const Pair& p) {
    return mirrored ? Pair{ops::reverse(p.key, {3}), ops::reverse(p.tie, {3})} : p;
  };
  const Pair a = part(pairs, 2, 0), b = mirror(part(pairs, 2, 1));
  const Value ahead = ops::compare(b.key, a.key, descending ? "gt" : "lt");
  const Value level = ops::and_(ops::compare(b.key, a.key, "eq"), ops::compare(b.tie, a.tie, "lt"));
  const Value swap = ops::or_(ahead, level);
  const Pair first = {ops::select(swap, b.key, a.key), ops::select(swap, b.tie, a.tie)};
  const Pair second = mirror({ops::select(swap, a.key, b.key), ops::select(swap, a.tie, b.tie)});
  return {ops::concat({first.key, second.key}, 2), ops::concat({first.tie, second.tie}, 2)};
}

// The bitonic network of Batcher (1968): for n elements (log2 n)(log2 n + 1) / 2 steps, each over all elements.
// Gives, for [rows, size] keys, the place each sorted element comes from, i32 [rows, size].
Value sorted_places(Value key, bool descending) {
  const int64_t rows = key.shape()[0], size = key.shape()[1];
  int64_t padded = 1;
  while (padded < size) padded *= 2;
  if (key.dtype() == boolean) key = ops::convert(key, i32);
  const Value last = descending ? ops::lowest_like(key) : ops::highest_like(key);
  Pair all = {key, ops::iota({rows, size}, i32, 1)};
  if (is_float(key.dtype())) {
    const Value nan = ops::compare(key, key, "ne");
    all.key = ops::select(nan, last, key);
    all.tie = ops::select(nan, all.tie + static_cast<double>(padded), all.tie);
  }
  const int64_t missing = padded - size;
  if (missing > 0) {
    all.key = ops::concat({all.key, ops::broadcast_to(ops::slice_axis(last, 1, 0, 1), {rows, missing})}, 1);
    all.tie = ops::concat({all.tie, ops::iota({rows, missing}, i32, 1) + static_cast<double>(2 * padded)}, 1);
  }
  const auto seen_as = [](const Pair& p, const Ints& sizes) {
    return Pair{ops::reshape(p.key, sizes), ops::reshape(p.tie, sizes)};
  };
  for (int64_t run = 2; run <= padded; run *= 2) {
    for (int64_t width = run / 2; width >= 1; width /= 2) {
      const bool mirrored = width == run / 2;
      all = exchange(seen_as(all, {rows, padded / (2 * width), 2, width}), mirrored, descending);
    }
  }
  all = seen_as(all, {rows, padded});
  return ops::slice_axis(ops::rem(all.tie, ops::filled_like(all.tie, static_cast<double>(padded))), 1, 0, size);
}

// x with the axis last, as [rows, size], and back.
struct Rows {
  Ints order, inverse, moved;
  int64_t rows = 1, size = 0;
  Rows(const Shape& shape, int64_t axis) {
    const int64_t at = normal_axis(axis, shape.rank());
    for (int64_t a = 0; a < shape.rank(); ++a) {
      if (a != at) order.push_back(a);
    }
    order.push_back(at);
    inverse.resize(order.size());
    for (size_t k = 0; k < order.size(); ++k) inverse[static_cast<size_t>(order[k])] = static_cast<int64_t>(k);
    for (int64_t a : order) moved.push_back(shape[static_cast<int>(a)]);
    size = moved.back();
    rows = size == 0 ? 0 : shape.elements() / size;
  }
  Value to(const Value& x) const { return ops::reshape(ops::transpose(x, order), {rows, size}); }
  Value from(const Value& x) const { return ops::transpose(ops::reshape(x, moved), inverse); }
};

Values sort_by_network(const Decompose& d) {
  const Shape& shape = d.x(0).shape();
  Values sorted(d.node().inputs().begin(), d.node().inputs().end());
  if (shape.elements() == 0) return sorted;
  const Rows rows(shape, d.integer("axis"));
  const Value places = sorted_places(rows.to(d.x(0)), d.flag("descending"));
  const Value positions = ops::positions_in_rows(places, rows.size);
  for (Value& x : sorted) {
    x = rows.from(ops::gather(ops::reshape(rows.to(x), {rows.rows * rows.size}), positions, 0));
  }
  return sorted;
}

// The same permutation, found by sorting the places along, carries the gradient back.
void sort_pullback(Pullback& p) {
  const Shape& shape = p.x(0).shape();
  if (shape.elements() == 0) return;
  const Rows rows(shape, p.integer("axis"));
  const Value place = ops::iota({rows.rows, rows.size}, i32, 1);
  const Value places = ops::sort({rows.to(p.x(0)), place}, 1, p.flag("descending"))[1];
  const Value positions = ops::positions_in_rows(places, rows.size);
  for (int k = 0; k < p.inputs(); ++k) {
    if (!p.has_dy(k) || !is_float(p.x(k).dtype())) continue;
    const Value dy = ops::reshape(rows.to(p.dy(k)), {rows.rows * rows.size});
    p.dx(k) = rows.from(ops::scatter_add(ops::filled_like(dy, 0.0), positions, dy, 0));
  }
}

void evaluate_sort(Evaluation& e) {
  const Evaluated& key = e.x(0);
  const auto [outer, size, inner] = around_axis(key.shape(), e.integer("axis"));
  const bool descending = e.flag("descending");
  const auto before = [&](auto a, auto b) {
    if (a != a || b != b) return a == a;
    return descending ? a > b : a < b;
  };
  std::vector<int64_t> order(static_cast<size_t>(size));
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t j = 0; j < inner; ++j) {
      const auto at = [&](int64_t k) { return (o * size + k) * inner + j; };
      std::iota(order.begin(), order.end(), 0);
      const auto run = [&]<class T>(const auto& keys) {
        std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
          const T left = static_cast<T>(keys[static_cast<size_t>(at(a))]);
          const T right = static_cast<T>(keys[static_cast<size_t>(at(b))]);
          return before(left, right);
        });
      };
      if (key.floating()) run.template operator()<double>(key.real);
      else if (is_unsigned_int(key.type.dtype)) run.template operator()<uint64_t>(key.integer);
      else run.template operator()<int64_t>(key.integer);
      for (int x = 0; x < e.inputs(); ++x) {
        for (int64_t k = 0; k < size; ++k) e.y(x).copy_element(at(k), e.x(x), at(order[static_cast<size_t>(k)]));
      }
    }
  }
}
}  // namespace

OpDecl sort_decl{
    .name = "sort",
    .doc = "Sorts along an axis by the first tensor and permutes the others alike. Stable; NaN comes last either way.",
    .tier = Tier::kExpected,
    .kind = Kind::kOrder,
    .inputs = {{"xs", any_dtype, {}, Arity::kVariadic}},
    .outputs = {"ys..."},
    .attributes = {{"axis", -1, "axis to sort along"}, {"descending", false, "largest first"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, kEqualShapes, "the axis has fewer than 2^28 elements"},
    .infer =
        [](Infer& i) {
          const int axis = i.axis(1, i.integer("axis"), i.rank(0));
          for (int k = 0; k < i.inputs(); ++k) {
            i.require(2, i.shape(k) == i.shape(0));
            i.output(i.dtype(k), i.shape(k));
          }
          i.require(3, i.shape(0)[axis] < int64_t{1} << 28);
        },
    .gradient = pullback(sort_pullback),
    .meaning = evaluate(evaluate_sort, sort_by_network),
    .accuracy = exact,
    .cost = flops([](const OpView& v) {
      const double count = static_cast<double>(v.x(0).shape().elements());
      return count * std::log2(std::max(count, 2.0));
    }),
    .cases = {"[7]", "[2,5] axis=0", "[2,3,4] axis=1 descending=true", "[1]", "[0,3] axis=0", "[9] i32[9]:0..99",
              "i32[33]:0..5 f32[33] i32[33]:0..99", "i32[33]:0..5 i32[33]:0..99 descending=true", "[65]", "u8[8]:0..9",
              "bool[9] i32[9]:0..9"},
    .rejects = {"1: [2,3] axis=2", "1: []", "2: [2,3] i32[3,2]:0..9", "3: [268435456,0] axis=0"},
};

}  // namespace trireme
