#include "trireme/ops/declare.h"

namespace trireme {

namespace {
// The order of transpose: `from` taken out and put back at `to`.
Ints moved_order(int rank, int64_t from, int64_t to) {
  Ints order = ops::iota_axes(rank);
  order.erase(order.begin() + from);
  order.insert(order.begin() + to, from);
  return order;
}
}  // namespace

OpDecl move_axis_decl{
    .name = "move_axis",
    .doc = "Moves one axis to another place; the others keep their order.",
    .tier = Tier::kComposite,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"source", required_int, "where it is"}, {"destination", required_int, "where it goes"}},
    .coerce = Coerce::kNone,
    .rules = {"both axes are within -rank .. rank-1"},
    .infer =
        [](Infer& i) {
          const int from = i.axis(1, i.integer("source"), i.rank(0)),
                    to = i.axis(1, i.integer("destination"), i.rank(0));
          Ints sizes;
          for (int64_t a : moved_order(i.rank(0), from, to)) sizes.push_back(i.shape(0)[static_cast<int>(a)]);
          i.output(i.dtype(0), sizes);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const int rank = d.x(0).shape().rank();
      const int64_t from = normal_axis(d.integer("source"), rank), to = normal_axis(d.integer("destination"), rank);
      return ops::transpose(d.x(0), moved_order(rank, from, to));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3,4] source=0 destination=-1", "[2,3,4] source=2 destination=0", "[3] source=0 destination=0",
              "[0,2] source=0 destination=1"},
    .rejects = {"1: [2,3] source=0 destination=2"},
};

}  // namespace trireme
