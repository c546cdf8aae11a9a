#include "trireme/ops/declare.h"

namespace trireme {

OpDecl roll_decl{
    .name = "roll",
    .doc = "Shifts elements along axes; what leaves at the end enters at the front, y[i] = x[i - shift].",
    .tier = Tier::kComposite,
    .kind = Kind::kMovement,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"shifts", required_ints, "shift per axis; may be negative"}, {"axes", required_ints, "the axes"}},
    .coerce = Coerce::kNone,
    .rules = {"axes are within -rank .. rank-1", "shifts and axes have the same length"},
    .infer =
        [](Infer& i) {
          for (int64_t a : i.integers("axes")) i.axis(1, a, i.rank(0));
          i.require(2, i.integers("shifts").size() == i.integers("axes").size());
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      Value y = d.x(0);
      const Ints &shifts = d.integers("shifts"), &axes = d.integers("axes");
      for (size_t k = 0; k < axes.size(); ++k) {
        const int axis = static_cast<int>(normal_axis(axes[k], y.shape().rank()));
        const int64_t size = y.shape()[axis];
        const int64_t shift = size == 0 ? 0 : (shifts[k] % size + size) % size;
        if (shift == 0) continue;
        y = ops::concat({ops::slice_axis(y, axis, size - shift, size), ops::slice_axis(y, axis, 0, size - shift)},
                        axis);
      }
      return y;
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[5] shifts=[2] axes=[0]", "[2,3] shifts=[1,-1] axes=[0,1]", "[3] shifts=[7] axes=[-1]",
              "[0,3] shifts=[1] axes=[0]", "[2] shifts=[] axes=[]"},
    .rejects = {"1: [2] shifts=[1] axes=[1]", "2: [2] shifts=[1,1] axes=[0]"},
};

}  // namespace trireme
