#include "trireme/ops/declare.h"
#include "trireme/ops/regularization/keep_rules.h"

namespace trireme {

OpDecl dropout_decl{
    .name = "dropout",
    .doc =
        "Sets elements to 0 with the given probability and divides the others by 1 - probability. Element i falls "
        "when word i of rng_bits(state) is below probability * 2^32: the same state gives the same mask everywhere.",
    .tier = Tier::kComposite,
    .kind = Kind::kRandom,
    .inputs = {{"x", floats}, {"state", only(u32), {0, 1000}}},
    .outputs = {"y"},
    .attributes = {{"probability", 0.5, "share of the elements that are dropped"}},
    .coerce = Coerce::kNone,
    .rules = {kStateShape, kProbability},
    .infer = infer_dropping,
    .gradient = pullback([](Pullback& p) { p.dx(0) = ops::dropout(p.dy(), p.x(1), p.number("probability")); }),
    .meaning = decompose([](const Decompose& d) -> Values {
      return kept_elements(d.x(0), d.x(1), d.x(0).shape().vector(), d.number("probability"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[4,5] u32[4]", "[33] u32[4] probability=0.1", "[2,3] u32[4] probability=0.0",
              "[2,3] u32[4] probability=1.0", "[] u32[4]", "[0] u32[4]"},
    .rejects = {"1: [4,5] u32[3]", "2: [4,5] u32[4] probability=1.5", "2: [4,5] u32[4] probability=-0.1"},
};

}  // namespace trireme
