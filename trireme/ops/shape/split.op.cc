#include "trireme/ops/declare.h"

namespace trireme {

OpDecl split_decl{
    .name = "split",
    .doc = "Cuts an axis into equal sections.",
    .tier = Tier::kComposite,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}},
    .outputs = {"ys..."},
    .attributes = {{"sections", required_int, "how many"}, {"axis", 0, "axis to cut"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, "sections is 1 or more and divides the size of the axis"},
    .infer =
        [](Infer& i) {
          const int axis = i.axis(1, i.integer("axis"), i.rank(0));
          const int64_t sections = i.integer("sections"), size = i.shape(0)[axis];
          i.require(2, sections >= 1 && size % sections == 0, "use split_sizes or chunk for unequal parts");
          for (int64_t k = 0; k < sections; ++k) i.output(i.dtype(0), i.shape(0).with(axis, size / sections));
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
    .cases = {"[4,3] sections=2", "[2,6] sections=3 axis=-1", "[3] sections=1", "[0,2] sections=2"},
    .rejects = {"1: [4] sections=2 axis=1", "2: [4] sections=3"},
};

}  // namespace trireme
