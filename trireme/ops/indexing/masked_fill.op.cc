#include "trireme/ops/declare.h"

namespace trireme {

OpDecl masked_fill_decl{
    .name = "masked_fill",
    .doc =
        "Replaces elements where a mask is true, y = mask ? value : x; the mask broadcasts to the shape "
        "of x.",
    .tier = Tier::kComposite,
    .kind = Kind::kIndexing,
    .inputs = {{"x", any_dtype}, {"mask", bools}},
    .outputs = {"y"},
    .attributes = {{"value", required_float, "what is put there"}},
    .coerce = Coerce::kNone,
    .rules = {"the mask broadcasts to the shape of x"},
    .infer =
        [](Infer& i) {
          Shape shape;
          i.require(1, broadcast_shapes(i.shape(0), i.shape(1), &shape) && shape == i.shape(0));
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      return ops::select(d.x(1), ops::filled_like(d.x(0), d.number("value")), d.x(0));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] bool[2,3] value=0.5", "[2,3] bool[3] value=-1.0", "[2,3] bool[] value=2.0",
              "[0] bool[1] value=0.0"},
    .rejects = {"1: [3] bool[2] value=0.0", "1: [3] bool[2,3] value=0.0"},
};

}  // namespace trireme
