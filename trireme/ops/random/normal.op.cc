#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl normal_decl{
    .name = "normal",
    .doc =
        "Normal random numbers by Box and Muller: with m = ceil(n / 2) and u = uniform of shape [2, m], "
        "element i < m is mean + deviation r[i] cos(2 pi u[1, i]) and element m + i is mean + deviation "
        "r[i] sin(2 pi u[1, i]), r = sqrt(-2 log(1 - u[0])). 16-bit types are computed in f32.",
    .tier = Tier::kComposite,
    .kind = Kind::kRandom,
    .inputs = {{"state", only(u32), {0, 1000}}},
    .outputs = {"y"},
    .attributes = {{"shape", required_ints, "sizes"},
                   {"mean", 0.0, "mean"},
                   {"deviation", 1.0, "standard deviation"},
                   {"dtype", f32, "a floating type"}},
    .coerce = Coerce::kNone,
    .rules = {"state has shape [4]", "no size is negative", "dtype is a floating type", "deviation is 0 or more"},
    .infer =
        [](Infer& i) {
          i.require(1, i.shape(0) == Shape{4});
          const Ints& sizes = i.integers("shape");
          i.require(2, std::all_of(sizes.begin(), sizes.end(), [](int64_t n) { return n >= 0; }));
          i.require(3, is_float(i.type("dtype")));
          i.require(4, i.number("deviation") >= 0);
          i.output(i.type("dtype"), sizes);
        },
    .gradient = none("random bits have no derivative"),
    .meaning = decompose([](const Decompose& d) -> Values {
      const DType type = d.y().dtype();
      const int64_t count = d.y().shape().elements(), pairs = (count + 1) / 2;
      const Value u = ops::uniform(d.x(0), {2, pairs}, 0.0, 1.0, ops::wide_type(type));
      const Value radius = ops::sqrt(ops::log(1.0 - ops::slice_axis(u, 0, 0, 1)) * -2.0);
      const Value angle = ops::slice_axis(u, 0, 1, 2) * (2.0 * std::numbers::pi);
      const Value both = ops::concat({radius * ops::cos(angle), radius * ops::sin(angle)}, 1);
      const Value y = ops::reshape(ops::slice_axis(both, 1, 0, count), d.y().shape().vector());
      return ops::as_type(y * d.number("deviation") + d.number("mean"), type);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"u32[4]:0..1000 shape=[2,3]", "u32[4]:0..1000 shape=[5] mean=-1.0 deviation=3.0",
              "u32[4]:0..1000 shape=[5] dtype=f64", "u32[4]:0..1000 shape=[5] dtype=bf16", "u32[4]:0..1000 shape=[0]",
              "u32[4]:0..1000 shape=[]"},
    .rejects = {"1: u32[3]:0..9 shape=[2]", "2: u32[4]:0..1000 shape=[-1]", "3: u32[4]:0..1000 shape=[2] dtype=i32",
                "4: u32[4]:0..1000 shape=[2] deviation=-1.0"},
};

}  // namespace trireme
