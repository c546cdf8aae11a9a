#include "trireme/ops/declare.h"

namespace trireme {

OpDecl flatten_decl{
    .name = "flatten",
    .doc = "Joins the axes start_axis .. end_axis into one; a scalar becomes a vector of one.",
    .tier = Tier::kComposite,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"start_axis", 0, "first axis joined"}, {"end_axis", -1, "last axis joined"}},
    .coerce = Coerce::kNone,
    .rules = {"both axes are within -rank .. rank-1", "start_axis is not behind end_axis"},
    .infer =
        [](Infer& i) {
          const int rank = std::max(i.rank(0), 1);
          const int start = i.axis(1, i.integer("start_axis"), rank), end = i.axis(1, i.integer("end_axis"), rank);
          i.require(2, start <= end);
          if (i.rank(0) == 0) return i.output(i.dtype(0), {1});
          Ints sizes(i.shape(0).begin(), i.shape(0).begin() + start);
          int64_t joined = 1;
          for (int a = start; a <= end; ++a) joined *= i.shape(0)[a];
          sizes.push_back(joined);
          sizes.insert(sizes.end(), i.shape(0).begin() + end + 1, i.shape(0).end());
          i.output(i.dtype(0), sizes);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values { return ops::reshape(d.x(0), d.y().shape().vector()); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3,4]", "[2,3,4] start_axis=1", "[2,3,4] end_axis=1", "[]", "[0,3]"},
    .rejects = {"1: [2,3] start_axis=2", "2: [2,3] start_axis=1 end_axis=0"},
};

}  // namespace trireme
