#include "trireme/ops/declare.h"

namespace trireme {

OpDecl squeeze_decl{
    .name = "squeeze",
    .doc = "Removes axes of size 1.",
    .tier = Tier::kComposite,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"axes", Ints{}, "axes to remove; empty: all of size 1"}},
    .coerce = Coerce::kNone,
    .rules = {kAxesInRange, "the axes have size 1"},
    .infer =
        [](Infer& i) {
          Ints sizes = i.shape(0).vector();
          if (i.integers("axes").empty()) {
            std::erase(sizes, 1);
          } else {
            const auto axes = i.axes(1, i.integers("axes"), i.rank(0));
            for (auto a = axes.rbegin(); a != axes.rend(); ++a) {
              i.require(2, i.shape(0)[*a] == 1);
              sizes.erase(sizes.begin() + *a);
            }
          }
          i.output(i.dtype(0), sizes);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values { return ops::reshape(d.x(0), d.y().shape().vector()); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[1,3,1]", "[1,3,1] axes=[0]", "[1,3,1] axes=[-1,0]", "[]", "[0,1]"},
    .rejects = {"1: [1,3] axes=[2]", "2: [1,3] axes=[1]"},
};

}  // namespace trireme
