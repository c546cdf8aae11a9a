#include "trireme/ops/declare.h"
#include "trireme/ops/regularization/keep_rules.h"

namespace trireme {

OpDecl dropout_channels_decl{
    .name = "dropout_channels",
    .doc =
        "Sets whole channels of samples, x[n, c, ...], to 0 with the given probability and divides the others by "
        "1 - probability; channel c of sample n falls by word n C + c of rng_bits(state).",
    .tier = Tier::kComposite,
    .kind = Kind::kRandom,
    .inputs = {{"x", floats}, {"state", only(u32), {0, 1000}}},
    .outputs = {"y"},
    .attributes = {{"probability", 0.5, "share of the channels that are dropped"}},
    .coerce = Coerce::kNone,
    .rules = {kStateShape, kProbability, "x has rank 2 or more: [N, C, ...]"},
    .infer =
        [](Infer& i) {
          infer_dropping(i);
          i.require(3, i.rank(0) >= 2);
        },
    .gradient = pullback([](Pullback& p) { p.dx(0) = ops::dropout_channels(p.dy(), p.x(1), p.number("probability")); }),
    .meaning = decompose([](const Decompose& d) -> Values {
      Ints mask(static_cast<size_t>(d.x(0).shape().rank()), 1);
      mask[0] = d.x(0).shape()[0];
      mask[1] = d.x(0).shape()[1];
      return kept_elements(d.x(0), d.x(1), mask, d.number("probability"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[4,5] u32[4]", "[2,3,2,2] u32[4] probability=0.1", "[3,1] u32[4] probability=0.0",
              "[3,1,2] u32[4] probability=1.0", "[0,2] u32[4]"},
    .rejects = {"1: [4,5] u32[3]", "2: [4,5] u32[4] probability=1.5", "3: [3] u32[4]"},
};

}  // namespace trireme
