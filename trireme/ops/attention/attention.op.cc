#include "trireme/ops/attention/attention_rules.h"
#include "trireme/ops/declare.h"

namespace trireme {

OpDecl attention_decl{
    .name = "attention",
    .doc =
        "Scaled dot-product attention, y = softmax(scale q k^T + mask) v, of q [N, H, T, D], k [N, Hk, S, D] and v "
        "[N, Hk, S, E]; Hk divides H, and query head h reads key head h / (H/Hk). A bool mask says where to attend, "
        "a float mask is added. causal: query t sees keys up to t + S - T, so the last query sees all. A query that "
        "sees no key gives 0.",
    .tier = Tier::kComposite,
    .kind = Kind::kContraction,
    .inputs = {{"q", floats},
               {"k", same_as_first},
               {"v", same_as_first},
               {"mask", floats | bools, {}, Arity::kOptional}},
    .outputs = {"y"},
    .attributes = {{"causal", false, "no query sees keys after its own position"},
                   {"scale", 0.0, "factor of the scores; 0: 1/sqrt(D)"}},
    .coerce = Coerce::kPromote,
    .rules = {"q, k and v have rank 4 and equal batch sizes", "k and v have equal heads, which divide the heads of q",
              "q and k have equal widths (axis 3), k and v equal lengths (axis 2), at least 1",
              "mask broadcasts to [N, H, T, S]"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 4 && i.rank(1) == 4 && i.rank(2) == 4);
          const Shape &q = i.shape(0), &k = i.shape(1), &v = i.shape(2);
          i.require(1, q[0] == k[0] && q[0] == v[0]);
          i.require(2, k[1] == v[1] && k[1] >= 1 && q[1] % k[1] == 0);
          i.require(3, q[3] == k[3] && k[2] == v[2] && k[2] >= 1);
          if (i.has(3)) {
            const Shape full{q[0], q[1], q[2], k[2]};
            Shape joined;
            i.require(4, broadcast_shapes(i.shape(3), full, &joined) && joined == full);
          }
          i.output(i.dtype(0), {q[0], q[1], q[2], v[3]});
        },
    .gradient = pullback([](Pullback& p) {
      const Value mask = p.has(3) ? p.x(3) : Value();
      const Values dx =
          ops::attention_gradient(p.x(0), p.x(1), p.x(2), p.y(), p.dy(), mask, p.flag("causal"), p.number("scale"));
      for (int k = 0; k < 3; ++k) p.dx(k) = dx[static_cast<size_t>(k)];
      if (!mask || mask.dtype() == boolean) return;
      // The gradient of an added mask is that of the scores. It costs [N, H, T, S], and nothing where no one asks.
      const AttentionSizes s(p.x(0).shape(), p.x(1).shape(), p.x(2).shape());
      const AttentionScale scale(p, s.width, p.x(0).dtype());
      const Value weights = attention_probabilities(p, s, scale, p.x(0) * scale.of_queries, p.x(1), mask);
      const Value ds = attention_score_gradient(s, weights, p.x(2), p.y(), p.dy());
      const Value full = ops::reshape(ds, {s.batch, s.heads, s.queries, s.keys});
      p.dx(3) = ops::as_type(ops::sum_to(full, mask.shape()), mask.dtype());
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const AttentionSizes s(d.x(0).shape(), d.x(1).shape(), d.x(2).shape());
      const AttentionScale scale(d, s.width, d.x(0).dtype());
      const Value mask = d.has(3) ? d.x(3) : Value();
      const Value p = attention_probabilities(d, s, scale, d.x(0) * scale.of_queries, d.x(1), mask);
      const Value y = ops::dot_general(ops::as_type(p, d.x(2).dtype()), s.key_rows(d.x(2), s.value_width));
      return ops::reshape(y, d.y().shape().vector());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[1,2,3,4] [1,2,3,4] [1,2,3,4]", "[2,4,3,2] [2,2,5,2] [2,2,5,3]",
              "[1,4,3,2] [1,1,3,2] [1,1,3,2] causal=true", "[1,2,3,2] [1,2,5,2] [1,2,5,2] causal=true scale=0.3",
              "[1,2,3,2] [1,2,4,2] [1,2,4,2] bool[3,4]", "[2,2,3,2] [2,1,4,2] [2,1,4,2] [2,1,1,4]",
              "[1,1,3,2] [1,1,2,2] [1,1,2,2] causal=true", "[1,1,1,1] [1,1,1,1] [1,1,1,1]",
              "[0,2,3,4] [0,2,3,4] [0,2,3,4]"},
    .rejects = {"1: [2,3,4] [2,3,4] [2,3,4]", "1: [2,1,3,4] [1,1,3,4] [2,1,3,4]", "2: [1,4,3,2] [1,3,3,2] [1,3,3,2]",
                "2: [1,4,3,2] [1,2,3,2] [1,4,3,2]", "3: [1,2,3,4] [1,2,3,5] [1,2,3,5]",
                "3: [1,2,3,4] [1,2,3,4] [1,2,4,4]", "4: [1,2,3,4] [1,2,5,4] [1,2,5,4] bool[5,3]"},
};

}  // namespace trireme
