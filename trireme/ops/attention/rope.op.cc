#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl rope_decl{
    .name = "rope",
    .doc =
        "Rotary position embedding of x [N, H, T, D]: pair j of elements turns by positions[t] f[j], f[j] = "
        "base^(-2j/D) unless frequencies are given. Pairs are (j, j + D/2), or (2j, 2j + 1) when interleaved. "
        "Angles are f32 or wider; frequencies take no gradient.",
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
    // The transpose of a rotation turns back.
    .gradient = pullback([](Pullback& p) {
      p.dx(0) = ops::rope(p.dy(), -p.x(1), p.has(2) ? p.x(2) : Value(), p.number("base"), p.flag("interleaved"));
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0));
      const int64_t n = x.shape()[0], h = x.shape()[1], t = x.shape()[2], half = x.shape()[3] / 2;
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
      const bool shared = d.x(1).shape().rank() == 1;
      const Value position = ops::reshape(ops::convert(d.x(1), x.dtype()), {shared ? 1 : n, 1, t, 1});
      const Value angle = position * frequencies;  // [1 or N, 1, T, D/2]
      const Value c = ops::cos(angle), s = ops::sin(angle);
      // Either way the pair becomes an axis of size 2: before the last axis, or after it.
      const bool inner = d.flag("interleaved");
      const Value pairs = ops::reshape(x, inner ? Ints{n, h, t, half, 2} : Ints{n, h, t, 2, half});
      const auto part = [&](int64_t which) {
        Ints begin(5, 0), end = pairs.shape().vector();
        begin[inner ? 4 : 3] = which;
        end[inner ? 4 : 3] = which + 1;
        return ops::reshape(ops::slice(pairs, begin, end, Ints(5, 1)), {n, h, t, half});
      };
      const Value a = part(0), b = part(1);
      const Ints single = inner ? Ints{n, h, t, half, 1} : Ints{n, h, t, 1, half};
      const Value y =
          ops::concat({ops::reshape(a * c - b * s, single), ops::reshape(a * s + b * c, single)}, inner ? 4 : 3);
      return ops::as_type(ops::reshape(y, x.shape().vector()), d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[1,2,3,4] i32[3]:0..9", "[2,1,3,6] i64[2,3]:0..9 interleaved=true",
              "[1,1,2,4] i32[2]:0..9 f32[2] base=100.0", "[1,1,1,2] i32[1]:5..5", "[0,2,3,4] i32[3]:0..9"},
    .rejects = {"1: [2,3,4] i32[3]:0..9", "1: [1,2,3,5] i32[3]:0..9", "2: [1,2,3,4] i32[4]:0..9",
                "3: [1,2,3,4] i32[3]:0..9 f32[4]", "4: [1,2,3,4] i32[3]:0..9 base=0.0"},
};

}  // namespace trireme
