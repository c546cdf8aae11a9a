#include "trireme/ops/declare.h"

namespace trireme {

OpDecl permutation_decl{
    .name = "permutation",
    .doc = "The numbers 0 .. size-1 in random order: the order that sorts as many random words.",
    .tier = Tier::kComposite,
    .kind = Kind::kRandom,
    .inputs = {{"state", only(u32), {0, 1000}}},
    .outputs = {"y"},
    .attributes = {{"size", required_int, "how many"}},
    .coerce = Coerce::kNone,
    .rules = {"state has shape [4]", "size is 0 or more"},
    .infer =
        [](Infer& i) {
          i.require(1, i.shape(0) == Shape{4});
          i.require(2, i.integer("size") >= 0);
          i.output(i32, {i.integer("size")});
        },
    .gradient = none("random bits have no derivative"),
    .meaning = decompose(
        [](const Decompose& d) -> Values { return ops::argsort(ops::rng_bits(d.x(0), d.y().shape().vector()), 0); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"u32[4]:0..1000 size=7", "u32[4]:0..1000 size=1", "u32[4]:0..1000 size=0"},
    .rejects = {"1: u32[3]:0..9 size=2", "2: u32[4]:0..1000 size=-1"},
};

}  // namespace trireme
