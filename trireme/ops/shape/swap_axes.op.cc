#include "trireme/ops/declare.h"

namespace trireme {

OpDecl swap_axes_decl{
    .name = "swap_axes",
    .doc = "Exchanges two axes.",
    .tier = Tier::kComposite,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"first", required_int, "an axis"}, {"second", required_int, "another"}},
    .coerce = Coerce::kNone,
    .rules = {"both axes are within -rank .. rank-1"},
    .infer =
        [](Infer& i) {
          const auto a = static_cast<size_t>(i.axis(1, i.integer("first"), i.rank(0)));
          const auto b = static_cast<size_t>(i.axis(1, i.integer("second"), i.rank(0)));
          Ints sizes = i.shape(0).vector();
          std::swap(sizes[a], sizes[b]);
          i.output(i.dtype(0), sizes);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const int rank = d.x(0).shape().rank();
      Ints order = ops::iota_axes(rank);
      std::swap(order[static_cast<size_t>(normal_axis(d.integer("first"), rank))],
                order[static_cast<size_t>(normal_axis(d.integer("second"), rank))]);
      return ops::transpose(d.x(0), order);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] first=0 second=1", "[2,3,4] first=0 second=-1", "[3] first=0 second=0", "[0,2] first=0 second=1"},
    .rejects = {"1: [2,3] first=0 second=2"},
};

}  // namespace trireme
