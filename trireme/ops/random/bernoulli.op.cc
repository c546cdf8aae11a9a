#include "trireme/ops/declare.h"

namespace trireme {

OpDecl bernoulli_decl{
    .name = "bernoulli",
    .doc = "True with a probability: y = u < probability, u uniform in f32.",
    .tier = Tier::kComposite,
    .kind = Kind::kRandom,
    .inputs = {{"state", only(u32), {0, 1000}}},
    .outputs = {"y"},
    .attributes = {{"shape", required_ints, "sizes"}, {"probability", 0.5, "of true"}},
    .coerce = Coerce::kNone,
    .rules = {"state has shape [4]", "no size is negative", "probability is within 0 .. 1"},
    .infer =
        [](Infer& i) {
          i.require(1, i.shape(0) == Shape{4});
          const Ints& sizes = i.integers("shape");
          i.require(2, std::all_of(sizes.begin(), sizes.end(), [](int64_t n) { return n >= 0; }));
          i.require(3, i.number("probability") >= 0 && i.number("probability") <= 1);
          i.output(boolean, sizes);
        },
    .gradient = none("random bits have no derivative"),
    .meaning = decompose([](const Decompose& d) -> Values {
      return ops::compare(ops::uniform(d.x(0), d.y().shape().vector()), d.number("probability"), "lt");
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"u32[4]:0..1000 shape=[2,3]", "u32[4]:0..1000 shape=[5] probability=0.1",
              "u32[4]:0..1000 shape=[5] probability=1.0", "u32[4]:0..1000 shape=[0]", "u32[4]:0..1000 shape=[]"},
    .rejects = {"1: u32[3]:0..9 shape=[2]", "2: u32[4]:0..1000 shape=[-1]",
                "3: u32[4]:0..1000 shape=[2] probability=1.5"},
};

}  // namespace trireme
