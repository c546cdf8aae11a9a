#include "trireme/ops/declare.h"
#include "trireme/ops/sizes.h"

namespace trireme {

OpDecl pad_decl{
    .name = "pad",
    .doc = "Puts `value` around x (low before, high after) and between its elements (interior), along each axis.",
    .tier = Tier::kHost,
    .kind = Kind::kMovement,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"low", required_ints, "elements before, of each axis"},
                   {"high", required_ints, "elements after, of each axis"},
                   {"interior", required_ints, "elements between two neighbours, of each axis"},
                   {"value", 0.0, "what is put there, converted to the type of x"}},
    .coerce = Coerce::kNone,
    .rules = {"low, high and interior have one entry per axis", "all of them are 0 or more"},
    .infer =
        [](Infer& i) {
          const Ints &low = i.integers("low"), &high = i.integers("high"), &interior = i.integers("interior");
          const auto rank = static_cast<size_t>(i.rank(0));
          i.require(1, low.size() == rank && high.size() == rank && interior.size() == rank);
          Ints sizes;
          for (size_t a = 0; a < rank; ++a) {
            i.require(2, low[a] >= 0 && high[a] >= 0 && interior[a] >= 0, "use slice to cut");
            const int64_t size = i.shape(0)[static_cast<int>(a)];
            sizes.push_back(bounded(Wide{low[a]} + high[a] + (size == 0 ? 0 : size + Wide{size - 1} * interior[a])));
          }
          i.output(i.dtype(0), sizes);
        },
    .gradient = pullback([](Pullback& p) {
      const Shape& from = p.x(0).shape();
      if (from.elements() == 0) {
        p.dx(0) = ops::filled_like(p.x(0), 0.0);
        return;
      }
      const Ints &low = p.integers("low"), &interior = p.integers("interior");
      Ints end, step;
      for (size_t a = 0; a < low.size(); ++a) {
        step.push_back(interior[a] + 1);
        end.push_back(low[a] + (from[static_cast<int>(a)] - 1) * step[a] + 1);
      }
      p.dx(0) = ops::slice(p.dy(), low, end, step);
    }),
    .meaning = evaluate([](Evaluation& e) {
      Evaluated& y = e.y();
      fill_with(y, e.number("value"));
      const Ints &low = e.integers("low"), &interior = e.integers("interior");
      const Strides dense = dense_strides(y.shape());
      for_each_index(e.x(0).shape(), [&](int64_t at, const int64_t* index) {
        int64_t to = 0;
        for (size_t a = 0; a < low.size(); ++a) to += (low[a] + index[a] * (interior[a] + 1)) * dense[a];
        y.copy_element(to, e.x(0), at);
      });
    }),
    .accuracy = exact,
    .cost = no_flops,
    .cases = {"[3] low=[1] high=[2] interior=[0] value=0.5", "[2,3] low=[0,1] high=[1,0] interior=[2,1]",
              "[0] low=[2] high=[1] interior=[3] value=1", "[] low=[] high=[] interior=[]"},
    .rejects = {"1: [3] low=[1,1] high=[2] interior=[0]", "2: [3] low=[-1] high=[2] interior=[0]"},
};

}  // namespace trireme
