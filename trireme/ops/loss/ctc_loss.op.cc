#include "trireme/ops/declare.h"
#include "trireme/ops/loss/ctc_rules.h"

namespace trireme {

OpDecl ctc_loss_decl{
    .name = "ctc_loss",
    .doc =
        "Connectionist temporal classification: -log of the probability of all alignments of targets [N, S] with "
        "log_probabilities [T, N, C], of which the first input_lengths[n] steps and target_lengths[n] labels count. "
        "The mean divides each loss by its target length first. A target that cannot be aligned costs infinity "
        "(0 with zero_infinity) and passes no gradient.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"log_probabilities", floats, {-3.0, -0.5}},
               {"targets", index_ints, {1, 2}},
               {"input_lengths", index_ints, {3, 4}},
               {"target_lengths", index_ints, {1, 2}}},
    .outputs = {"loss"},
    .attributes = {{"blank", 0, "class of no label"},
                   {"reduction", "mean", "mean (of losses by target length), sum or none"},
                   {"zero_infinity", false, "targets that cannot be aligned cost nothing"}},
    .coerce = Coerce::kNone,
    .rules = {"log_probabilities is [T, N, C] with T at least 1 and targets is [N, S]",
              "input_lengths and target_lengths are [N]", "blank is within 0 .. C-1", kReductionNames},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 3 && i.rank(1) == 2 && i.shape(0)[0] >= 1 && i.shape(1)[0] == i.shape(0)[1]);
          const Shape batch{i.shape(0)[1]};
          i.require(2, i.shape(2) == batch && i.shape(3) == batch);
          i.require(3, i.integer("blank") >= 0 && i.integer("blank") < i.shape(0)[2]);
          infer_loss(i, 4, batch);
        },
    .gradient = pullback([](Pullback& p) {
      // d loss[n] / d x[t, n, c] = -(share of the alignments that read c at t), a sum of exp(alpha + beta - log P).
      const CtcLattice lattice(p);
      const Value alpha = lattice.alpha(), beta = lattice.beta(), log_p = lattice.log_likelihood(alpha);
      const Value possible = lattice.possible(log_p);
      const Value safe = ops::reshape(ops::select(possible, log_p, 0.0), {1, lattice.batch, 1});
      const Value inside = ops::and_(lattice.within_input(), ops::reshape(possible, {1, lattice.batch, 1}));
      const Value exponent = ops::select(inside, alpha + beta - safe, kCtcImpossible);
      Value seed = p.dy();
      if (p.string("reduction") == "mean") seed = seed / lattice.mean_divisor();
      seed = ops::reshape(ops::broadcast_to(seed, {lattice.batch}), {1, lattice.batch, 1});
      p.dx(0) = ops::as_type(lattice.by_class(-ops::exp(exponent) * seed), p.x(0).dtype());
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const CtcLattice lattice(d);
      const Value log_p = lattice.log_likelihood(lattice.alpha());
      const double impossible = d.flag("zero_infinity") ? 0.0 : std::numeric_limits<double>::infinity();
      Value each = ops::select(lattice.possible(log_p), -log_p, impossible);
      const std::string& reduction = d.string("reduction");
      if (reduction == "none") return each;
      if (reduction == "mean") each = each / lattice.mean_divisor();
      return ops::reduce_sum(each);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[4,2,3] i32[2,2]:1..2 i32[2]:3..4 i32[2]:1..2",
              "[5,2,3] i64[2,2]:1..2 i64[2]:4..5 i64[2]:0..2 reduction=\"sum\"",
              "[4,2,3] i32[2,1]:0..1 i32[2]:2..4 i32[2]:1..1 blank=2 reduction=\"none\"",
              "[2,1,3] i32[1,2]:1..1 i32[1]:2..2 i32[1]:2..2 zero_infinity=true",
              "[1,1,2] i32[1,0] i32[1]:1..1 i32[1]:0..0"},
    .rejects = {"1: [4,3] i32[2,2]:1..2 i32[2]:3..4 i32[2]:1..2", "1: [4,2,3] i32[3,2]:1..2 i32[2]:3..4 i32[2]:1..2",
                "2: [4,2,3] i32[2,2]:1..2 i32[3]:3..4 i32[2]:1..2",
                "3: [4,2,3] i32[2,2]:1..2 i32[2]:3..4 i32[2]:1..2 blank=3",
                "4: [4,2,3] i32[2,2]:1..2 i32[2]:3..4 i32[2]:1..2 reduction=\"average\""},
};

}  // namespace trireme
