#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

namespace {
// x moved along an axis by `shift` places, zeros follow.
Value shifted(const Value& x, int axis, int64_t shift, bool backward) {
  const auto rank = static_cast<size_t>(x.shape().rank());
  const int64_t size = x.shape()[axis];
  Ints low(rank, 0), high(rank, 0);
  (backward ? high : low)[static_cast<size_t>(axis)] = shift;
  const Value kept = backward ? ops::slice_axis(x, axis, shift, size) : ops::slice_axis(x, axis, 0, size - shift);
  return ops::pad(kept, low, high, Ints(rank, 0), 0.0);
}

// After the step with shift s, each element holds the sum of the last 2 s elements: log2(size) additions in all.
Values sums_by_doubling(const Decompose& d) {
  const int axis = static_cast<int>(normal_axis(d.integer("axis"), d.x(0).shape().rank()));
  const int64_t size = d.x(0).shape()[axis];
  const bool backward = d.flag("reverse");
  if (size == 0) return d.x(0);
  Value x = ops::widen(d.x(0));
  if (d.flag("exclusive")) x = shifted(x, axis, 1, backward);
  for (int64_t shift = 1; shift < size; shift *= 2) x = x + shifted(x, axis, shift, backward);
  return ops::as_type(x, d.x(0).dtype());
}
}  // namespace

OpDecl cumsum_decl{
    .name = "cumsum",
    .doc =
        "Running sum along an axis, y[i] = sum of x[0 .. i]; exclusive leaves x[i] out, reverse sums from the end. "
        "16-bit floats accumulate in f32, integers wrap.",
    .tier = Tier::kExpected,
    .kind = Kind::kReduction,
    .inputs = {{"x", numbers}},
    .outputs = {"y"},
    .attributes = {{"axis", 0, "axis to sum along"},
                   {"exclusive", false, "leave the element itself out"},
                   {"reverse", false, "sum from the end"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange},
    .infer =
        [](Infer& i) {
          i.axis(1, i.integer("axis"), i.rank(0));
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = pullback(
        [](Pullback& p) { p.dx(0) = ops::cumsum(p.dy(), p.integer("axis"), p.flag("exclusive"), !p.flag("reverse")); }),
    .meaning = evaluate(
        [](Evaluation& e) {
          const auto [outer, size, inner] = around_axis(e.x(0).shape(), e.integer("axis"));
          const auto run = [&](const auto& x, auto& y) {
            for (int64_t o = 0; o < outer; ++o) {
              for (int64_t j = 0; j < inner; ++j) {
                std::decay_t<decltype(y[0])> sum = 0;
                for (int64_t k = 0; k < size; ++k) {
                  const auto at = static_cast<size_t>((o * size + (e.flag("reverse") ? size - 1 - k : k)) * inner + j);
                  const auto next = wrapping([](auto a, auto b) { return a + b; }, sum, x[at]);
                  y[at] = e.flag("exclusive") ? sum : next;
                  sum = next;
                }
              }
            }
          };
          if (e.x(0).floating()) run(e.x(0).real, e.y().real);
          else run(e.x(0).integer, e.y().integer);
          if (!e.x(0).floating()) e.y().round();
        },
        sums_by_doubling),
    .accuracy = accumulated,
    .cost = flops_per_element(1),
    .cases = {"[5]", "[2,3] axis=1", "[2,7,2] axis=1 exclusive=true", "[9] reverse=true",
              "[3,4] axis=-2 exclusive=true reverse=true", "[0,3]", "[1]", "[33]"},
    .rejects = {"1: [2,3] axis=2", "1: []"},
};

}  // namespace trireme
