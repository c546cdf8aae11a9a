#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl alibi_bias_decl{
    .name = "alibi_bias",
    .doc =
        "Additive attention mask that grows with distance, x + slope[h] (s - t - (S - T)) for x [N or 1, H, T, S]; "
        "slopes are 2^(-8 (h+1) / H), and for H no power of two those of the next lower power and every other one "
        "of the next higher.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {"x is [N or 1, H, T, S]"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 4);
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy(); }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0));
      const int64_t heads = x.shape()[1], queries = x.shape()[2], keys = x.shape()[3];
      int64_t power = 1;  // largest power of two up to the number of heads
      while (power * 2 <= heads) power *= 2;
      std::vector<double> slopes;
      for (int64_t h = 0; h < heads; ++h) {
        const double exponent = h < power ? static_cast<double>(h + 1) / static_cast<double>(power)
                                          : static_cast<double>(2 * (h - power) + 1) / static_cast<double>(2 * power);
        slopes.push_back(std::exp2(-8.0 * exponent));
      }
      const Ints plane = {queries, keys};
      const Value distance = ops::iota(plane, i32, 1) - ops::iota(plane, i32, 0) - static_cast<double>(keys - queries);
      const Value slope = ops::along_axis(ops::float_vector(x.dtype(), slopes), 1, 4);
      return ops::as_type(x + slope * ops::convert(distance, x.dtype()), d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[1,2,3,3]", "[2,3,2,5]", "[1,1,1,1]", "[0,4,2,2]"},
    .rejects = {"1: [2,3,3]"},
};

}  // namespace trireme
