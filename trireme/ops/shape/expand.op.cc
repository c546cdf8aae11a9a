#include "trireme/ops/declare.h"

namespace trireme {

OpDecl expand_decl{
    .name = "expand",
    .doc =
        "Broadcasts to a shape; -1 keeps a size of x. Axes of size 1 stretch and leading axes are added, "
        "without a copy.",
    .tier = Tier::kComposite,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"shape", required_ints, "sizes of the result"}},
    .coerce = Coerce::kNone,
    .rules = {"shape has at least as many axes as x",
              "each size equals that of x, or x has 1 there, or it is -1 for an axis that x has"},
    .infer =
        [](Infer& i) {
          Ints sizes = i.integers("shape");
          i.require(1, static_cast<int>(sizes.size()) >= i.rank(0));
          const size_t added = sizes.size() - static_cast<size_t>(i.rank(0));
          for (size_t a = 0; a < sizes.size(); ++a) {
            const int64_t own = a < added ? 1 : i.shape(0)[static_cast<int>(a - added)];
            if (a >= added && sizes[a] == -1) sizes[a] = own;
            i.require(2, sizes[a] >= 0 && (sizes[a] == own || own == 1));
          }
          i.output(i.dtype(0), sizes);
        },
    .gradient = gradient_of_decomposition,
    .meaning =
        decompose([](const Decompose& d) -> Values { return ops::broadcast_to(d.x(0), d.y().shape().vector()); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,1] shape=[2,3]", "[2,1] shape=[4,-1,3]", "[] shape=[2]", "[1] shape=[0]"},
    .rejects = {"1: [2,3] shape=[3]", "2: [2,3] shape=[4,3]", "2: [3] shape=[-1,3]"},
};

}  // namespace trireme
