#include "trireme/ops/declare.h"

namespace trireme {

OpDecl randint_decl{
    .name = "randint",
    .doc =
        "Random integers low .. high-1, y = low + word mod (high - low); the bias is below (high - low) "
        "2^-32.",
    .tier = Tier::kComposite,
    .kind = Kind::kRandom,
    .inputs = {{"state", only(u32), {0, 1000}}},
    .outputs = {"y"},
    .attributes = {{"shape", required_ints, "sizes"},
                   {"low", required_int, "least number"},
                   {"high", required_int, "bound above, not reached"},
                   {"dtype", i32, "an integer type"}},
    .coerce = Coerce::kNone,
    .rules = {"state has shape [4]", "no size is negative", "dtype is an integer type",
              "low < high, high - low < 2^32, and low and high - 1 fit the type"},
    .infer =
        [](Infer& i) {
          i.require(1, i.shape(0) == Shape{4});
          const Ints& sizes = i.integers("shape");
          i.require(2, std::all_of(sizes.begin(), sizes.end(), [](int64_t n) { return n >= 0; }));
          const DType type = i.type("dtype");
          i.require(3, is_int(type));
          const int64_t low = i.integer("low"), high = i.integer("high");
          i.require(4, low < high && static_cast<uint64_t>(high) - static_cast<uint64_t>(low) < (uint64_t{1} << 32));
          i.require(
              4, type == u64 ? low >= 0 : wrap_integer(type, low) == low && wrap_integer(type, high - 1) == high - 1);
          i.output(type, sizes);
        },
    .gradient = none("random bits have no derivative"),
    .meaning = decompose([](const Decompose& d) -> Values {
      // Modulo 2^bits of the type a word and its signed form agree, so conversion and sum may wrap on the way.
      const DType type = d.y().dtype();
      const int64_t low = d.integer("low"), range = d.integer("high") - low;
      const Value words = ops::rng_bits(d.x(0), d.y().shape().vector());
      const Value offset = ops::convert(ops::rem(words, ops::filled_like(words, static_cast<double>(range))), type);
      return offset + ops::convert(ops::constant(Literal::scalar(low)), type);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"u32[4]:0..1000 shape=[2,3] low=0 high=10", "u32[4]:0..1000 shape=[5] low=-3 high=3 dtype=i8",
              "u32[4]:0..1000 shape=[5] low=0 high=256 dtype=u8",
              "u32[4]:0..1000 shape=[5] low=-2147483648 high=2147483647",
              "u32[4]:0..1000 shape=[5] low=-5 high=100000 dtype=i64", "u32[4]:0..1000 shape=[0] low=0 high=1"},
    .rejects = {"1: u32[3]:0..9 shape=[2] low=0 high=2", "2: u32[4]:0..1000 shape=[-1] low=0 high=2",
                "3: u32[4]:0..1000 shape=[2] low=0 high=2 dtype=f32", "4: u32[4]:0..1000 shape=[2] low=2 high=2",
                "4: u32[4]:0..1000 shape=[2] low=0 high=300 dtype=i8"},
};

}  // namespace trireme
