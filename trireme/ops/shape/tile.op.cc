#include "trireme/ops/declare.h"
#include "trireme/ops/sizes.h"

namespace trireme {

OpDecl tile_decl{
    .name = "tile",
    .doc =
        "Repeats the whole tensor along each axis; a shorter list counts from the last axis, a longer one "
        "adds leading axes.",
    .tier = Tier::kComposite,
    .kind = Kind::kMovement,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"repeats", required_ints, "how often, per axis"}},
    .coerce = Coerce::kNone,
    .rules = {"no repeat is negative"},
    .infer =
        [](Infer& i) {
          const Ints& repeats = i.integers("repeats");
          i.require(1, std::all_of(repeats.begin(), repeats.end(), [](int64_t n) { return n >= 0; }));
          Ints sizes = i.shape(0).vector();
          if (repeats.size() > sizes.size()) sizes.insert(sizes.begin(), repeats.size() - sizes.size(), 1);
          for (size_t k = 0; k < repeats.size(); ++k) {
            int64_t& size = sizes[sizes.size() - repeats.size() + k];
            size = bounded(Wide{size} * repeats[k]);
          }
          i.output(i.dtype(0), sizes);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      // Axis by axis, seen as [before, repeat, this axis and behind]: the rank stays 3 whatever x has.
      const Ints& repeats = d.integers("repeats");
      const Ints result = d.y().shape().vector();
      Ints sizes = d.x(0).shape().vector();
      sizes.insert(sizes.begin(), result.size() - sizes.size(), 1);
      Value y = d.x(0);
      for (size_t k = 0; k < repeats.size(); ++k) {
        const size_t axis = sizes.size() - repeats.size() + k;
        if (repeats[k] == 1) continue;
        int64_t outer = 1, rest = 1;
        for (size_t a = 0; a < sizes.size(); ++a) (a < axis ? outer : rest) *= sizes[a];
        y = ops::broadcast_to(ops::reshape(y, {outer, 1, rest}), {outer, repeats[k], rest});
        sizes[axis] *= repeats[k];
      }
      return ops::reshape(y, result);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] repeats=[2,1]", "[2,3] repeats=[3]", "[3] repeats=[2,2]", "[] repeats=[2]", "[2] repeats=[0]",
              "[2,0] repeats=[2,2]"},
    .rejects = {"1: [2] repeats=[-1]"},
};

}  // namespace trireme
