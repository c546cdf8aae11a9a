#include "trireme/ops/declare.h"
#include "trireme/ops/loss/loss_rules.h"

namespace trireme {

OpDecl cosine_embedding_loss_decl{
    .name = "cosine_embedding_loss",
    .doc =
        "Loss of the cosine c between the rows of x and w, [..., D]: 1 - c where target is 1, max(0, c - margin) "
        "where it is -1. Squared lengths are increased by 1e-12.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}, {"w", same_as_first}, {"target", same_as_first}},
    .outputs = {"loss"},
    .attributes = {{"margin", 0.0, "cosine up to which unlike pairs have no loss"},
                   {"reduction", "mean", "mean, sum or none: what becomes of the single losses"}},
    .coerce = Coerce::kPromote,
    .rules = {"x and w have equal shapes of rank 1 or more", "target has the shape of x without its last axis",
              kReductionNames},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) >= 1 && i.shape(0) == i.shape(1));
          i.require(2, i.shape(2) == i.shape(0).without(i.rank(0) - 1));
          infer_loss(i, 3, i.shape(2));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0)), w = ops::widen(d.x(1)), t = ops::widen(d.x(2));
      const Ints last = {x.shape().rank() - 1};
      const auto dot = [&](const Value& a, const Value& b) { return ops::reduce_sum(a * b, last, false); };
      const Value cosine = dot(x, w) * ops::rsqrt((dot(x, x) + 1e-12) * (dot(w, w) + 1e-12));
      const Value unlike = ops::max(cosine - d.number("margin"), ops::filled_like(cosine, 0.0));
      const Value each = ops::select(ops::compare(t, 0.0, "gt"), 1.0 - cosine, unlike);
      return reduced_loss(each, d.string("reduction"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[4,3] [4,3] [4]", "[5,3] [5,3] [5] margin=0.2 reduction=\"none\"", "[3] [3] []",
              "[0,3] [0,3] [0] reduction=\"sum\""},
    .rejects = {"1: [4,3] [3] [4]", "2: [4,3] [4,3] [3]", "3: [4,3] [4,3] [4] reduction=\"average\""},
};

}  // namespace trireme
