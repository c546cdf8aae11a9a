#include "trireme/ops/declare.h"

namespace trireme {

OpDecl unsqueeze_decl{
    .name = "unsqueeze",
    .doc = "Inserts axes of size 1.",
    .tier = Tier::kComposite,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"axes", required_ints, "their places in the result"}},
    .coerce = Coerce::kNone,
    .rules = {"axes are distinct and within the rank of the result"},
    .infer =
        [](Infer& i) {
          // i.axes would read an empty list as all axes.
          const Ints& axes = i.integers("axes");
          Ints sizes = i.shape(0).vector();
          if (!axes.empty()) {
            const int rank = i.rank(0) + static_cast<int>(axes.size());
            for (int a : i.axes(1, axes, rank)) sizes.insert(sizes.begin() + a, 1);
          }
          i.output(i.dtype(0), sizes);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values { return ops::reshape(d.x(0), d.y().shape().vector()); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] axes=[0]", "[2,3] axes=[-1,1]", "[] axes=[0]", "[0] axes=[1]", "[2] axes=[]"},
    .rejects = {"1: [2,3] axes=[3]", "1: [2,3] axes=[1,1]"},
};

}  // namespace trireme
