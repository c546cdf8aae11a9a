#include "trireme/ops/declare.h"

namespace trireme {

OpDecl top_k_decl{
    .name = "top_k",
    .doc =
        "The k largest (or smallest) elements along the last axis, best first, and their indices. Among equals the "
        "lower "
        "index comes first; NaN comes after every number.",
    .tier = Tier::kExpected,
    .kind = Kind::kOrder,
    .inputs = {{"x", numbers}},
    .outputs = {"values", "indices"},
    .attributes = {{"k", required_int, "how many"}, {"largest", true, "the largest, else the smallest"}},
    .coerce = Coerce::kNone,
    .rules = {"x has at least one axis", "k is within 0 .. size of the last axis"},
    .infer =
        [](Infer& i) {
          const int last = i.rank(0) - 1;
          i.require(1, last >= 0);
          i.require(2, i.integer("k") >= 0 && i.integer("k") <= i.shape(0)[last]);
          i.output(i.dtype(0), i.shape(0).with(last, i.integer("k")));
          i.output(i32, i.shape(0).with(last, i.integer("k")));
        },
    .gradient = pullback([](Pullback& p) {
      const Shape& shape = p.x(0).shape();
      const Value positions = ops::positions_in_rows(p.y(1), shape[shape.rank() - 1]);
      const Value zeros = ops::filled(p.x(0).dtype(), {shape.elements()}, 0.0);
      const Value dy = ops::reshape(p.dy(), {p.y().shape().elements()});
      p.dx(0) = ops::reshape(ops::scatter_add(zeros, positions, dy, 0), shape.vector());
    }),
    .meaning = evaluate(
        [](Evaluation& e) {
          const Evaluated& x = e.x(0);
          const int64_t size = x.shape()[x.shape().rank() - 1], k = e.integer("k");
          const int64_t rows = size == 0 ? 0 : x.elements() / size;
          const auto run = [&]<class T>(const auto& from) {
            std::vector<int64_t> order(static_cast<size_t>(size));
            for (int64_t row = 0; row < rows; ++row) {
              const auto at = [&](int64_t i) { return static_cast<T>(from[static_cast<size_t>(row * size + i)]); };
              for (int64_t i = 0; i < size; ++i) order[static_cast<size_t>(i)] = i;
              std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
                if (at(a) != at(a) || at(b) != at(b)) return at(a) == at(a);
                return e.flag("largest") ? at(a) > at(b) : at(a) < at(b);
              });
              for (int64_t i = 0; i < k; ++i) {
                const int64_t index = order[static_cast<size_t>(i)];
                e.y(0).copy_element(row * k + i, x, row * size + index);
                e.y(1).integer[static_cast<size_t>(row * k + i)] = index;
              }
            }
          };
          if (x.floating()) run.template operator()<double>(x.real);
          else if (is_unsigned_int(x.type.dtype)) run.template operator()<uint64_t>(x.integer);
          else run.template operator()<int64_t>(x.integer);
        },
        [](const Decompose& d) -> Values {
          const Shape& shape = d.x(0).shape();
          const int last = shape.rank() - 1;
          const Value index = ops::iota(shape.vector(), i32, last);
          Values sorted = ops::sort({d.x(0), index}, last, d.flag("largest"));
          for (Value& v : sorted) v = ops::slice_axis(v, last, 0, d.integer("k"));
          return sorted;
        }),
    .accuracy = exact,
    .cost = flops([](const OpView& v) { return 2.0 * static_cast<double>(v.x(0).shape().elements()); }),
    .cases = {"[7] k=3", "[2,5] k=5", "[2,3,4] k=1 largest=false", "[3] k=0", "[1] k=1", "i32[2,33]:0..5 k=9",
              "i32[33]:0..5 k=9 largest=false", "[0,3] k=2"},
    .rejects = {"1: [] k=0", "2: [2,3] k=4", "2: [2,3] k=-1"},
};

}  // namespace trireme
