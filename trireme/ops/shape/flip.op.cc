#include "trireme/ops/declare.h"

namespace trireme {

OpDecl flip_decl{
    .name = "flip",
    .doc = "Reverses the order along axes.",
    .tier = Tier::kComposite,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"axes", Ints{}, "axes to reverse; empty: all"}},
    .coerce = Coerce::kNone,
    .rules = {kAxesInRange},
    .infer =
        [](Infer& i) {
          i.axes(1, i.integers("axes"), i.rank(0));
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      return ops::reverse(d.x(0), ops::normal_axes(d.integers("axes"), d.x(0).shape().rank()));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[2,3] axes=[1]", "[3] axes=[-1]", "[0]", "[]"},
    .rejects = {"1: [2,3] axes=[2]", "1: [2,3] axes=[0,-2]"},
};

}  // namespace trireme
