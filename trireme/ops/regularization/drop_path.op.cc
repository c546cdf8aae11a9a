#include "trireme/ops/declare.h"
#include "trireme/ops/regularization/keep_rules.h"

namespace trireme {

OpDecl drop_path_decl{
    .name = "drop_path",
    .doc =
        "Sets whole samples (axis 0) to 0 with the given probability and divides the others by 1 - probability; "
        "sample n falls when word n of rng_bits(state) is below probability * 2^32.",
    .tier = Tier::kComposite,
    .kind = Kind::kRandom,
    .inputs = {{"x", floats}, {"state", only(u32), {0, 1000}}},
    .outputs = {"y"},
    .attributes = {{"probability", 0.5, "share of the samples that are dropped"}},
    .coerce = Coerce::kNone,
    .rules = {kStateShape, kProbability, "x has rank 1 or more"},
    .infer =
        [](Infer& i) {
          infer_dropping(i);
          i.require(3, i.rank(0) >= 1);
        },
    .gradient = pullback([](Pullback& p) { p.dx(0) = ops::drop_path(p.dy(), p.x(1), p.number("probability")); }),
    .meaning = decompose([](const Decompose& d) -> Values {
      Ints mask(static_cast<size_t>(d.x(0).shape().rank()), 1);
      mask[0] = d.x(0).shape()[0];
      return kept_elements(d.x(0), d.x(1), mask, d.number("probability"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[4,5] u32[4]", "[7,2,2] u32[4] probability=0.1", "[3] u32[4] probability=0.0",
              "[3] u32[4] probability=1.0", "[0,2] u32[4]"},
    .rejects = {"1: [4,5] u32[3]", "2: [4,5] u32[4] probability=1.5", "3: [] u32[4]"},
};

}  // namespace trireme
