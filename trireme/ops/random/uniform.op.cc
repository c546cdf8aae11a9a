#include "trireme/ops/declare.h"

namespace trireme {

OpDecl uniform_decl{
    .name = "uniform",
    .doc =
        "Uniform random numbers, y = low + (high - low) u with u in [0, 1): u = (word >> 8) 2^-24 for f32 "
        "(11 bits for f16, 8 for bf16); for f64 u = ((word[2i] >> 5) 2^26 + (word[2i+1] >> 6)) 2^-53. The "
        "word of element i is word i of rng_bits. Rounding may give high itself where low is not 0.",
    .tier = Tier::kComposite,
    .kind = Kind::kRandom,
    .inputs = {{"state", only(u32), {0, 1000}}},
    .outputs = {"y"},
    .attributes = {{"shape", required_ints, "sizes"},
                   {"low", 0.0, "least number"},
                   {"high", 1.0, "bound above"},
                   {"dtype", f32, "a floating type"}},
    .coerce = Coerce::kNone,
    .rules = {"state has shape [4]", "no size is negative", "dtype is a floating type", "low is not above high"},
    .infer =
        [](Infer& i) {
          i.require(1, i.shape(0) == Shape{4});
          const Ints& sizes = i.integers("shape");
          i.require(2, std::all_of(sizes.begin(), sizes.end(), [](int64_t n) { return n >= 0; }));
          i.require(3, is_float(i.type("dtype")));
          i.require(4, i.number("low") <= i.number("high"));
          i.output(i.type("dtype"), sizes);
        },
    .gradient = none("random bits have no derivative"),
    .meaning = decompose([](const Decompose& d) -> Values {
      const DType type = d.y().dtype();
      const auto top = [&](const Value& words, int bits) {  // the upper bits as a number
        return ops::convert(ops::shift_right_logical(words, ops::filled_like(words, 32.0 - bits)), type);
      };
      Value u;
      if (type == f64) {
        const int64_t count = d.y().shape().elements();
        const Value words = ops::rng_bits(d.x(0), {count, 2});
        const Value high = top(ops::slice_axis(words, 1, 0, 1), 27), low = top(ops::slice_axis(words, 1, 1, 2), 26);
        u = ops::reshape((high * 0x1p26 + low) * 0x1p-53, d.y().shape().vector());
      } else {
        const int bits = type == f32 ? 24 : type == f16 ? 11 : 8;
        u = top(ops::rng_bits(d.x(0), d.y().shape().vector()), bits) * std::ldexp(1.0, -bits);
      }
      const double low = d.number("low"), range = d.number("high") - low;
      if (range != 1.0) u = u * range;
      return low == 0.0 ? u : u + low;
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"u32[4]:0..1000 shape=[2,3]", "u32[4]:0..1000 shape=[5] low=-1.0 high=3.0",
              "u32[4]:0..1000 shape=[5] dtype=f64", "u32[4]:0..1000 shape=[5] dtype=bf16",
              "u32[4]:0..1000 shape=[5] dtype=f16", "u32[4]:0..1000 shape=[0]", "u32[4]:0..1000 shape=[]"},
    .rejects = {"1: u32[3]:0..9 shape=[2]", "2: u32[4]:0..1000 shape=[-1]", "3: u32[4]:0..1000 shape=[2] dtype=i32",
                "4: u32[4]:0..1000 shape=[2] low=1.0 high=0.0"},
};

}  // namespace trireme
