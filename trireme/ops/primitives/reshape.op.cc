#include "trireme/ops/declare.h"

namespace trireme {

OpDecl reshape_decl{
    .name = "reshape",
    .doc = "The same elements in row-major order with other sizes.",
    .tier = Tier::kHost,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"shape", required_ints, "sizes of the result; none may be -1"}},
    .coerce = Coerce::kNone,
    .rules = {"shape has as many elements as x, and no negative size"},
    .infer =
        [](Infer& i) {
          const Ints& sizes = i.integers("shape");
          i.require(1, std::all_of(sizes.begin(), sizes.end(), [](int64_t n) { return n >= 0; }));
          i.require(1, Shape(sizes).elements() == i.shape(0).elements());
          i.output(i.dtype(0), sizes);
        },
    .gradient = pullback([](Pullback& p) { p.dx(0) = ops::reshape(p.dy(), p.x(0).shape().vector()); }),
    .meaning = evaluate(evaluate_copy),
    .accuracy = exact,
    .cost = no_flops,
    .cases = {"[2,3] shape=[3,2]", "[2,3] shape=[6]", "[] shape=[1,1]", "[1] shape=[]", "[0,3] shape=[5,0]"},
    .rejects = {"1: [2,3] shape=[5]", "1: [2,3] shape=[-1]"},
};

}  // namespace trireme
