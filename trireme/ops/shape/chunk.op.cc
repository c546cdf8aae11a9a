#include "trireme/ops/declare.h"

namespace trireme {

OpDecl chunk_decl{
    .name = "chunk",
    .doc =
        "Cuts an axis into parts of size ceil(size / chunks); the last may be smaller, and there may be "
        "fewer parts.",
    .tier = Tier::kComposite,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}},
    .outputs = {"ys..."},
    .attributes = {{"chunks", required_int, "how many at most"}, {"axis", 0, "axis to cut"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, "chunks is 1 or more"},
    .infer =
        [](Infer& i) {
          const int axis = i.axis(1, i.integer("axis"), i.rank(0));
          const int64_t chunks = i.integer("chunks"), size = i.shape(0)[axis];
          i.require(2, chunks >= 1);
          const int64_t each = std::max<int64_t>(1, size / chunks + (size % chunks != 0));
          for (int64_t begin = 0; begin == 0 || begin < size; begin += each) {
            i.output(i.dtype(0), i.shape(0).with(axis, std::min(each, size - begin)));
          }
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
    .cases = {"[5,3] chunks=2", "[2,6] chunks=4 axis=-1", "[3] chunks=5", "[0,2] chunks=2"},
    .rejects = {"1: [4] chunks=2 axis=1", "2: [4] chunks=0"},
};

}  // namespace trireme
