#include "trireme/ops/declare.h"

namespace trireme {

OpDecl sort_with_indices_decl{
    .name = "sort_with_indices",
    .doc =
        "x sorted along an axis, and the indices that sort it: values = take_along_axis(x, indices). "
        "Stable, NaN last.",
    .tier = Tier::kComposite,
    .kind = Kind::kOrder,
    .inputs = {{"x", numbers}},
    .outputs = {"values", "indices"},
    .attributes = {{"axis", -1, "axis to sort along"}, {"descending", false, "largest first"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange},
    .infer =
        [](Infer& i) {
          i.axis(1, i.integer("axis"), i.rank(0));
          i.output(i.dtype(0), i.shape(0));
          i.output(i32, i.shape(0));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value places = ops::iota(d.x(0).shape().vector(), i32, d.integer("axis"));
      return ops::sort({d.x(0), places}, d.integer("axis"), d.flag("descending"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[5]", "[2,4] axis=0", "[7] descending=true", "i32[9]:0..3", "[0]", "[1]"},
    .rejects = {"1: [3] axis=1"},
};

}  // namespace trireme
