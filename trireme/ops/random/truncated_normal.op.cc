#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl truncated_normal_decl{
    .name = "truncated_normal",
    .doc =
        "Normal random numbers within mean + deviation [low, high], by the inverse distribution: y = mean "
        "+ deviation sqrt(2) erfinv(u), u uniform between erf(low / sqrt(2)) and erf(high / sqrt(2)). "
        "16-bit types are computed in f32.",
    .tier = Tier::kComposite,
    .kind = Kind::kRandom,
    .inputs = {{"state", only(u32), {0, 1000}}},
    .outputs = {"y"},
    .attributes = {{"shape", required_ints, "sizes"},
                   {"mean", 0.0, "mean before the cut"},
                   {"deviation", 1.0, "standard deviation before the cut"},
                   {"low", -2.0, "least, in deviations"},
                   {"high", 2.0, "largest, in deviations"},
                   {"dtype", f32, "a floating type"}},
    .coerce = Coerce::kNone,
    .rules = {"state has shape [4]", "no size is negative", "dtype is a floating type", "deviation is 0 or more",
              "low is below high"},
    .infer =
        [](Infer& i) {
          i.require(1, i.shape(0) == Shape{4});
          const Ints& sizes = i.integers("shape");
          i.require(2, std::all_of(sizes.begin(), sizes.end(), [](int64_t n) { return n >= 0; }));
          i.require(3, is_float(i.type("dtype")));
          i.require(4, i.number("deviation") >= 0);
          i.require(5, i.number("low") < i.number("high"));
          i.output(i.type("dtype"), sizes);
        },
    .gradient = none("random bits have no derivative"),
    .meaning = decompose([](const Decompose& d) -> Values {
      const DType type = d.y().dtype();
      const double low = d.number("low"), high = d.number("high"), root = std::numbers::sqrt2;
      const Value u = ops::uniform(d.x(0), d.y().shape().vector(), std::erf(low / root), std::erf(high / root),
                                   ops::wide_type(type));
      const Value z = ops::clamp(ops::erfinv(u) * root, low, high);
      return ops::as_type(z * d.number("deviation") + d.number("mean"), type);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"u32[4]:0..1000 shape=[2,3]", "u32[4]:0..1000 shape=[5] mean=-1.0 deviation=3.0 low=0.0 high=1.0",
              "u32[4]:0..1000 shape=[5] dtype=f64", "u32[4]:0..1000 shape=[5] dtype=bf16", "u32[4]:0..1000 shape=[0]"},
    .rejects = {"1: u32[3]:0..9 shape=[2]", "2: u32[4]:0..1000 shape=[-1]", "3: u32[4]:0..1000 shape=[2] dtype=i32",
                "4: u32[4]:0..1000 shape=[2] deviation=-1.0", "5: u32[4]:0..1000 shape=[2] low=1.0 high=1.0"},
};

}  // namespace trireme
