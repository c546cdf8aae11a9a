#include "trireme/ops/declare.h"
#include "trireme/ops/sizes.h"

namespace trireme {

OpDecl pad_edge_decl{
    .name = "pad_edge",
    .doc = "Pads with the elements at the edge: a b c becomes a a b c c.",
    .tier = Tier::kComposite,
    .kind = Kind::kMovement,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"low", required_ints, "elements before, of each axis"},
                   {"high", required_ints, "elements after, of each axis"}},
    .coerce = Coerce::kNone,
    .rules = {"low and high have one entry per axis", "each entry is 0 or more, and 0 for an empty axis"},
    .infer =
        [](Infer& i) {
          const Ints &low = i.integers("low"), &high = i.integers("high");
          const auto rank = static_cast<size_t>(i.rank(0));
          i.require(1, low.size() == rank && high.size() == rank);
          Ints sizes = i.shape(0).vector();
          for (size_t a = 0; a < rank; ++a) {
            i.require(2, low[a] >= 0 && high[a] >= 0 && (sizes[a] > 0 || (low[a] == 0 && high[a] == 0)));
            sizes[a] = bounded(Wide{sizes[a]} + low[a] + high[a]);
          }
          i.output(i.dtype(0), sizes);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      Value y = d.x(0);
      for (int axis = 0; axis < y.shape().rank(); ++axis) {
        const int64_t low = d.integers("low")[static_cast<size_t>(axis)],
                      high = d.integers("high")[static_cast<size_t>(axis)];
        const int64_t size = y.shape()[axis];
        if (low == 0 && high == 0) continue;
        const Value front = ops::broadcast_to(ops::slice_axis(y, axis, 0, 1), y.shape().with(axis, low).vector());
        const Value back =
            ops::broadcast_to(ops::slice_axis(y, axis, size - 1, size), y.shape().with(axis, high).vector());
        y = ops::concat({front, y, back}, axis);
      }
      return y;
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[4] low=[2] high=[3]", "[3,2] low=[1,0] high=[0,1]", "[1] low=[2] high=[0]", "[0] low=[0] high=[0]",
              "[] low=[] high=[]"},
    .rejects = {"1: [3] low=[1,1] high=[1,1]", "2: [0] low=[1] high=[0]", "2: [3] low=[-1] high=[0]"},
};

}  // namespace trireme
