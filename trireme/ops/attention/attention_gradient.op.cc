#include "trireme/ops/attention/attention_rules.h"
#include "trireme/ops/declare.h"

namespace trireme {

OpDecl attention_gradient_decl{
    .name = "attention_gradient",
    .doc =
        "Gradient of attention with respect to q, k and v, from its result y and dy; probabilities are computed "
        "again: dv = p^T dy, ds = p (dy v^T - sum dy y), dq = scale ds k, dk = scale ds^T q.",
    .tier = Tier::kComposite,
    .kind = Kind::kContraction,
    .inputs = {{"q", floats},
               {"k", same_as_first},
               {"v", same_as_first},
               {"y", same_as_first},
               {"dy", same_as_first},
               {"mask", floats | bools, {}, Arity::kOptional}},
    .outputs = {"dq", "dk", "dv"},
    .attributes = {{"causal", false, "no query sees keys after its own position"},
                   {"scale", 0.0, "factor of the scores; 0: 1/sqrt(D)"}},
    .coerce = Coerce::kPromote,
    .rules = {"q, k, v and mask obey the rules of attention", "y and dy have the shape of attention's result"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 4 && i.rank(1) == 4 && i.rank(2) == 4);
          const Shape &q = i.shape(0), &k = i.shape(1), &v = i.shape(2);
          i.require(1, q[0] == k[0] && q[0] == v[0] && k[1] == v[1] && k[1] >= 1 && q[1] % k[1] == 0);
          i.require(1, q[3] == k[3] && k[2] == v[2] && k[2] >= 1);
          if (i.has(5)) {
            const Shape full{q[0], q[1], q[2], k[2]};
            Shape joined;
            i.require(1, broadcast_shapes(i.shape(5), full, &joined) && joined == full);
          }
          const Shape y{q[0], q[1], q[2], v[3]};
          i.require(2, i.shape(3) == y && i.shape(4) == y);
          for (int k2 = 0; k2 < 3; ++k2) i.output(i.dtype(0), i.shape(k2));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const AttentionSizes s(d.x(0).shape(), d.x(1).shape(), d.x(2).shape());
      const DType type = d.x(0).dtype();
      const AttentionScale scale(d, s.width, type);
      const Value q = d.x(0) * scale.of_queries, &v = d.x(2), &dy = d.x(4);
      const Value p = attention_probabilities(d, s, scale, q, d.x(1), d.has(5) ? d.x(5) : Value());
      const Value ds = ops::as_type(scale.scores(attention_score_gradient(s, p, v, d.x(3), dy)), type);
      const Value dq = ops::dot_general(ds, s.key_rows(d.x(1), s.width)) * scale.of_queries;
      const Value dk = ops::dot_general(swapped(ds), s.query_rows(q, s.width));
      const Value dv = ops::dot_general(swapped(ops::as_type(p, type)), s.query_rows(dy, s.value_width));
      return {ops::reshape(dq, d.x(0).shape().vector()), ops::reshape(dk, d.x(1).shape().vector()),
              ops::reshape(dv, v.shape().vector())};
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[1,2,3,4] [1,2,3,4] [1,2,3,4] [1,2,3,4] [1,2,3,4]",
              "[1,4,3,2] [1,2,4,2] [1,2,4,3] [1,4,3,3] [1,4,3,3] causal=true",
              "[1,2,3,2] [1,2,4,2] [1,2,4,2] [1,2,3,2] [1,2,3,2] bool[3,4] scale=0.4"},
    .rejects = {"1: [2,3,4] [2,3,4] [2,3,4] [2,3,4] [2,3,4]", "2: [1,1,3,4] [1,1,3,4] [1,1,3,4] [1,1,3,4] [1,1,3,3]"},
};

}  // namespace trireme
