#include "trireme/ops/declare.h"

namespace trireme {

OpDecl slice_decl{
    .name = "slice",
    .doc = "Every step-th element between begin and end along each axis: y[i] = x[begin + i step].",
    .tier = Tier::kHost,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"begin", required_ints, "first index of each axis"},
                   {"end", required_ints, "index after the last, of each axis"},
                   {"step", required_ints, "distance between indices, of each axis"}},
    .coerce = Coerce::kNone,
    .rules = {"begin, end and step have one entry per axis", "0 <= begin <= end <= size along each axis",
              "each step is 1 or more"},
    .infer =
        [](Infer& i) {
          const Ints &begin = i.integers("begin"), &end = i.integers("end"), &step = i.integers("step");
          const auto rank = static_cast<size_t>(i.rank(0));
          i.require(1, begin.size() == rank && end.size() == rank && step.size() == rank);
          Ints sizes;
          for (size_t a = 0; a < rank; ++a) {
            i.require(2, 0 <= begin[a] && begin[a] <= end[a] && end[a] <= i.shape(0)[static_cast<int>(a)]);
            i.require(3, step[a] >= 1);
            sizes.push_back((end[a] - begin[a]) / step[a] + ((end[a] - begin[a]) % step[a] != 0));
          }
          i.output(i.dtype(0), sizes);
        },
    .gradient = pullback([](Pullback& p) {
      const Shape &from = p.x(0).shape(), &to = p.y().shape();
      if (to.elements() == 0) {
        p.dx(0) = ops::filled_like(p.x(0), 0.0);
        return;
      }
      const Ints &begin = p.integers("begin"), &step = p.integers("step");
      Ints high, interior;
      for (size_t a = 0; a < begin.size(); ++a) {
        const int axis = static_cast<int>(a);
        high.push_back(from[axis] - (begin[a] + (to[axis] - 1) * step[a] + 1));
        interior.push_back(step[a] - 1);
      }
      p.dx(0) = ops::pad(p.dy(), begin, high, interior, 0.0);
    }),
    .meaning = evaluate([](Evaluation& e) {
      const Ints &begin = e.integers("begin"), &step = e.integers("step");
      Strides strides = dense_strides(e.x(0).shape());
      int64_t offset = 0;
      for (size_t a = 0; a < begin.size(); ++a) {
        offset += begin[a] * strides[a];
        strides[a] *= step[a];
      }
      copy_strided(e.y(), e.x(0), offset, strides);
    }),
    .accuracy = exact,
    .cost = no_flops,
    .cases = {"[5] begin=[1] end=[4] step=[1]", "[5,7] begin=[0,1] end=[5,7] step=[2,3]",
              "[4] begin=[2] end=[2] step=[1]", "[] begin=[] end=[] step=[]", "[3,4] begin=[2,3] end=[3,4] step=[5,5]"},
    .rejects = {"1: [5] begin=[1,1] end=[4] step=[1]", "2: [5] begin=[3] end=[2] step=[1]",
                "2: [5] begin=[0] end=[6] step=[1]", "3: [5] begin=[0] end=[5] step=[0]"},
};

}  // namespace trireme
