#include "trireme/ops/declare.h"
#include "trireme/ops/loss/loss_rules.h"

namespace trireme {

OpDecl cross_entropy_soft_decl{
    .name = "cross_entropy_soft",
    .doc =
        "Cross entropy of class probabilities under softmax(logits), -sum_c targets[c] log softmax(logits)[c]. The "
        "loss of 16-bit logits is f32.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"logits", floats}, {"targets", floats, {0.0, 1.0}}},
    .outputs = {"loss"},
    .attributes = {{"axis", -1, "class axis"},
                   {"reduction", "mean", "mean (over the rows), sum or none: what becomes of the rows' losses"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, kEqualShapes, kSomeClass, kReductionNames},
    .infer =
        [](Infer& i) {
          const int axis = i.axis(1, i.integer("axis"), i.rank(0));
          i.require(2, i.shape(1) == i.shape(0));
          i.require(3, i.shape(0)[axis] >= 1);
          infer_loss(i, 4, i.shape(0).without(axis));
        },
    .gradient = pullback([](Pullback& p) {
      // dlogits = (softmax(x) sum t - t) seed, dtargets = -log softmax(x) seed.
      const Value x = ops::widen(p.x(0)), t = ops::as_type(p.x(1), x.dtype());
      const int64_t axis = normal_axis(p.integer("axis"), x.shape().rank());
      const Shape kept = x.shape().with(static_cast<int>(axis), 1);
      Value seed = loss_seed(p.dy(), p.string("reduction"), kept);
      if (p.string("reduction") == "none") seed = ops::reshape(seed, kept.vector());
      const Value dx = (ops::softmax(x, axis) * ops::sum_kept(t, {axis}) - t) * seed;
      p.dx(0) = ops::as_type(dx, p.x(0).dtype());
      p.dx(1) = ops::as_type(-ops::log_softmax(x, axis) * seed, p.x(1).dtype());
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0)), t = ops::as_type(d.x(1), x.dtype());
      const int64_t axis = normal_axis(d.integer("axis"), x.shape().rank());
      return reduced_loss(-ops::reduce_sum(t * ops::log_softmax(x, axis), {axis}, false), d.string("reduction"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[4,3] [4,3]", "[2,3,5] [2,3,5] axis=1", "bf16[4,3] f32[4,3] reduction=\"sum\"",
              "[4,3] [4,3] reduction=\"none\"", "[3] [3]", "[0,3] [0,3] reduction=\"sum\""},
    .rejects = {"1: [4,3] [4,3] axis=2", "2: [4,3] [4]", "3: [4,0] [4,0]", "4: [4,3] [4,3] reduction=\"average\""},
};

}  // namespace trireme
