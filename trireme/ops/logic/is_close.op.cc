#include "trireme/ops/declare.h"

namespace trireme {

OpDecl is_close_decl{
    .name = "is_close",
    .doc =
        "True where |x - w| <= absolute + relative |w|; equal infinities are close, NaN only with "
        "equal_nan.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}, {"w", same_as_first}},
    .outputs = {"y"},
    .attributes = {{"relative", 0.00001, "tolerance in units of |w|"},
                   {"absolute", 0.00000001, "tolerance near 0"},
                   {"equal_nan", false, "NaN is close to NaN"}},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes},
    .infer =
        [](Infer& i) {
          i.require(1, i.shape(0) == i.shape(1));
          i.output(boolean, i.shape(0));
        },
    .gradient = none("the result is bool"),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value &x = d.x(0), &w = d.x(1);
      const Value distance = ops::abs(x - w);
      const Value near =
          ops::and_(ops::is_finite(distance),
                    ops::compare(distance, ops::abs(w) * d.number("relative") + d.number("absolute"), "le"));
      const Value close = ops::or_(near, ops::compare(x, w, "eq"));
      if (!d.flag("equal_nan")) return close;
      return ops::or_(close, ops::and_(ops::compare(x, x, "ne"), ops::compare(w, w, "ne")));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[] []", "[0,4] [0,4]", "[17] [17]", "[9] [9] relative=0.1 equal_nan=true"},
    .rejects = {"1: [2,3] [3,2]"},
};

}  // namespace trireme
