#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

namespace {

// The two elements of each pair, [N, H, T, D/2] each.
struct Pairs {
  Value first, second;
  Pairs(const Value& x, bool interleaved) {
    const Shape& s = x.shape();
    const int axis =
        interleaved ? 4 : 3;  // where the pair becomes an axis of size 2: after the last axis, or before it
    const Ints half = {s[0], s[1], s[2], s[3] / 2};
    const Value split = ops::reshape(x, Shape(half).inserted(axis, 2).vector());
    first = ops::reshape(ops::slice_axis(split, axis, 0, 1), half);
    second = ops::reshape(ops::slice_axis(split, axis, 1, 2), half);
  }
};

// positions as [1 or N, 1, T, 1].
Value position_column(const Value& positions, DType type) {
  const Shape& s = positions.shape();
  return ops::reshape(ops::convert(positions, type), {s.rank() == 1 ? 1 : s[0], 1, s[s.rank() - 1], 1});
}

}  // namespace

OpDecl rope_decl{
    .name = "rope",
    .doc =
        "Rotary position embedding of x [N, H, T, D]: pair j of elements turns by positions[t] f[j], f[j] = "
        "base^(-2j/D) unless frequencies are given. Pairs are (j, j + D/2), or (2j, 2j + 1) when interleaved. "
        "Angles are f32 or wider.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats},
               {"positions", index_ints, {0, 20}},
               {"frequencies", floats, {0.01, 1.0}, Arity::kOptional}},
    .outputs = {"y"},
    .attributes = {{"base", 10000.0, "base of the frequencies"}, {"interleaved", false, "pairs are neighbours"}},
    .coerce = Coerce::kNone,
    .rules = {"x has rank 4 and an even last axis", "positions is [T] or [N, T]", "frequencies has D/2 elements",
              "base is positive"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 4 && i.shape(0)[3] % 2 == 0);
          const int64_t n = i.shape(0)[0], t = i.shape(0)[2];
          i.require(2, i.shape(1) == Shape{t} || i.shape(1) == Shape{n, t});
          i.require(3, !i.has(2) || i.shape(2) == Shape{i.shape(0)[3] / 2});
          i.require(4, i.number("base") > 0);
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = pullback([](Pullback& p) {
      // The transpose of a rotation turns back. A pair (a, b) moves along (-b, a) as its angle grows.
      const Value frequencies = p.has(2) ? p.x(2) : Value();
      p.dx(0) = ops::rope(p.dy(), -p.x(1), frequencies, p.number("base"), p.flag("interleaved"));
      if (!frequencies) return;
      const Value y = ops::widen(p.y());
      const Pairs at(y, p.flag("interleaved")), slope(ops::widen(p.dy()), p.flag("interleaved"));
      const Value turn = slope.second * at.first - slope.first * at.second;
      const Value sum = ops::sum_to(turn * position_column(p.x(1), y.dtype()), frequencies.shape());
      p.dx(2) = ops::as_type(sum, frequencies.dtype());
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0));
      const int64_t half = x.shape()[3] / 2;
      Value frequencies;
      if (d.has(2)) {
        frequencies = ops::as_type(d.x(2), x.dtype());
      } else {
        std::vector<double> values;
        for (int64_t j = 0; j < half; ++j) {
          values.push_back(std::pow(d.number("base"), -static_cast<double>(j) / static_cast<double>(half)));
        }
        frequencies = ops::float_vector(x.dtype(), values);
      }
      const Value angle = position_column(d.x(1), x.dtype()) * frequencies;  // [1 or N, 1, T, D/2]
      const Value c = ops::cos(angle), s = ops::sin(angle);
      const Pairs pair(x, d.flag("interleaved"));
      const Value turned = pair.first * c - pair.second * s, other = pair.first * s + pair.second * c;
      const int axis = d.flag("interleaved") ? 4 : 3;
      const Ints single = turned.shape().inserted(axis, 1).vector();
      const Value y = ops::concat({ops::reshape(turned, single), ops::reshape(other, single)}, axis);
      return ops::as_type(ops::reshape(y, x.shape().vector()), d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[1,2,3,4] i32[3]:0..9", "[2,1,3,6] i64[2,3]:0..9 interleaved=true",
              "[1,1,2,4] i32[2]:0..9 [2] base=100.0", "[1,1,1,2] i32[1]:5..5", "[0,2,3,4] i32[3]:0..9"},
    .rejects = {"1: [2,3,4] i32[3]:0..9", "1: [1,2,3,5] i32[3]:0..9", "2: [1,2,3,4] i32[4]:0..9",
                "3: [1,2,3,4] i32[3]:0..9 f32[4]", "4: [1,2,3,4] i32[3]:0..9 base=0.0"},
};

}  // namespace trireme
