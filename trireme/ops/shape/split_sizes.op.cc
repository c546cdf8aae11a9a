#include "trireme/ops/declare.h"

namespace trireme {

OpDecl split_sizes_decl{
    .name = "split_sizes",
    .doc = "Cuts an axis into parts of the given sizes.",
    .tier = Tier::kComposite,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}},
    .outputs = {"ys..."},
    .attributes = {{"sizes", required_ints, "sizes of the parts"}, {"axis", 0, "axis to cut"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, "there is a part, no size is negative, and they add up to the size of the axis"},
    .infer =
        [](Infer& i) {
          const int axis = i.axis(1, i.integer("axis"), i.rank(0));
          const Ints& sizes = i.integers("sizes");
          int64_t left = i.shape(0)[axis];
          for (int64_t size : sizes) {
            i.require(2, size >= 0 && size <= left);
            left -= size;
            i.output(i.dtype(0), i.shape(0).with(axis, size));
          }
          i.require(2, left == 0 && !sizes.empty());
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const int axis = static_cast<int>(normal_axis(d.integer("axis"), d.x(0).shape().rank()));
      Values parts;
      int64_t begin = 0;
      for (const TensorType& type : d.node().outputs()) {
        parts.push_back(ops::slice_axis(d.x(0), axis, begin, begin + type.shape[axis]));
        begin += type.shape[axis];
      }
      return parts;
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[4,3] sizes=[1,3]", "[2,6] sizes=[2,0,4] axis=-1", "[3] sizes=[3]"},
    .rejects = {"1: [4] sizes=[4] axis=1", "2: [4] sizes=[1,2]", "2: [4] sizes=[5,-1]"},
};

}  // namespace trireme
