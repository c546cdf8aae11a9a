#include "trireme/ops/declare.h"

namespace trireme {

OpDecl bincount_decl{
    .name = "bincount",
    .doc = "How often each of the numbers 0 .. length-1 occurs among the indices; others are ignored.",
    .tier = Tier::kComposite,
    .kind = Kind::kIndexing,
    .inputs = {{"indices", index_ints, {-1, 5}}},
    .outputs = {"y"},
    .attributes = {{"length", required_int, "size of the result"}},
    .coerce = Coerce::kNone,
    .rules = {"length is 0 or more"},
    .infer =
        [](Infer& i) {
          i.require(1, i.integer("length") >= 0);
          i.output(i32, {i.integer("length")});
        },
    .gradient = none("the result is a count"),
    .meaning = decompose([](const Decompose& d) -> Values {
      return ops::scatter_add(ops::filled(i32, d.y().shape(), 0.0), d.x(0), ops::filled(i32, d.x(0).shape(), 1.0), 0);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[9] length=5", "[2,3] length=3", "[0] length=2", "[3] length=0"},
    .rejects = {"1: [3] length=-1"},
};

}  // namespace trireme
