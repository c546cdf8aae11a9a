#include "trireme/ops/declare.h"

namespace trireme {

OpDecl searchsorted_decl{
    .name = "searchsorted",
    .doc =
        "Where values would be inserted into a sorted vector: the number of its elements below each value "
        "(right: not above it).",
    .tier = Tier::kComposite,
    .kind = Kind::kOrder,
    .inputs = {{"sorted", numbers}, {"values", same_as_first}},
    .outputs = {"indices"},
    .attributes = {{"right", false, "insert behind equal elements"}},
    .coerce = Coerce::kPromote,
    .rules = {"sorted has rank 1"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 1);
          i.output(i32, i.shape(1));
        },
    .gradient = none("the result is indices"),
    .meaning = decompose([](const Decompose& d) -> Values {
      // Binary search for all values at once: `found` elements are known to lie before a value; steps halve.
      const Value &sorted = d.x(0), &values = d.x(1);
      const int64_t size = sorted.shape()[0];
      int64_t step = 1;
      while (step * 2 <= size) step *= 2;
      Value found = ops::filled(i32, values.shape(), 0.0);
      for (; size > 0 && step > 0; step /= 2) {
        const Value next = found + static_cast<double>(step);
        const Value element = ops::gather(sorted, next - 1.0, 0);  // clamped; `exists` decides then
        const Value exists = ops::compare(next, static_cast<double>(size), "le");
        const Value before = ops::compare(element, values, d.flag("right") ? "le" : "lt");
        found = ops::select(ops::and_(exists, before), next, found);
      }
      return found;
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[5] [3]", "[4] [2,2] right=true", "i32[7]:0..0 i32[3]:-1..1", "[1] []", "[0] [2]"},
    .rejects = {"1: [2,2] [3]"},
};

}  // namespace trireme
