#include "trireme/ops/declare.h"

namespace trireme {

OpDecl fold_in_decl{
    .name = "fold_in",
    .doc =
        "A new random state from a state and a number: the first four words of the stream {state[0], "
        "state[1], state[2] + number, state[3] + 0x9E3779B9} (sums wrap). Other numbers give independent "
        "streams.",
    .tier = Tier::kComposite,
    .kind = Kind::kRandom,
    .inputs = {{"state", only(u32), {0, 1000}}, {"number", only(u32), {0, 9}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {"state has shape [4] and number is a scalar"},
    .infer =
        [](Infer& i) {
          i.require(1, i.shape(0) == Shape{4} && i.rank(1) == 0);
          i.output(u32, {4});
        },
    .gradient = none("random bits have no derivative"),
    .meaning = decompose([](const Decompose& d) -> Values {
      // The constant keeps the new state apart from the words that the state itself draws.
      const Value step =
          ops::concat({ops::filled(u32, {2}, 0.0), ops::reshape(d.x(1), {1}), ops::filled(u32, {1}, 2654435769.0)}, 0);
      return ops::rng_bits(d.x(0) + step, {4});
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"u32[4]:0..1000 u32[]:0..9"},
    .rejects = {"1: u32[3]:0..9 u32[]:0..9", "1: u32[4]:0..1000 u32[1]:0..9"},
};

}  // namespace trireme
