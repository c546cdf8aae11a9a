#include "trireme/ops/declare.h"

namespace trireme {

OpDecl crop_decl{
    .name = "crop",
    .doc = "Removes elements at both ends of each axis, y = x[low : size - high].",
    .tier = Tier::kComposite,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"low", required_ints, "elements before, of each axis"},
                   {"high", required_ints, "elements after, of each axis"}},
    .coerce = Coerce::kNone,
    .rules = {"low and high have one entry per axis",
              "entries are 0 or more, and low + high is not above the size of its axis"},
    .infer =
        [](Infer& i) {
          const Ints &low = i.integers("low"), &high = i.integers("high");
          const auto rank = static_cast<size_t>(i.rank(0));
          i.require(1, low.size() == rank && high.size() == rank);
          Ints sizes = i.shape(0).vector();
          for (size_t a = 0; a < rank; ++a) {
            i.require(2, low[a] >= 0 && high[a] >= 0 && low[a] <= sizes[a] && high[a] <= sizes[a] - low[a]);
            sizes[a] -= low[a] + high[a];
          }
          i.output(i.dtype(0), sizes);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      Ints end = d.x(0).shape().vector();
      for (size_t a = 0; a < end.size(); ++a) end[a] -= d.integers("high")[a];
      return ops::slice(d.x(0), d.integers("low"), end, Ints(end.size(), 1));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[5] low=[1] high=[2]", "[3,4] low=[0,1] high=[3,1]", "[] low=[] high=[]"},
    .rejects = {"1: [3] low=[1,1] high=[1,1]", "2: [3] low=[2] high=[2]"},
};

}  // namespace trireme
