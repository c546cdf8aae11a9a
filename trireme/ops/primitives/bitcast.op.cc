#include "trireme/ops/declare.h"

namespace trireme {

OpDecl bitcast_decl{
    .name = "bitcast",
    .doc = "The same bits read as another element type of the same size.",
    .tier = Tier::kHost,
    .kind = Kind::kView,
    .inputs = {{"x", numbers}},
    .outputs = {"y"},
    .attributes = {{"dtype", required_dtype, "the type of the result; not bool, as big as the type of x"}},
    .coerce = Coerce::kNone,
    .rules = {"dtype is a number type as big as the type of x"},
    .infer =
        [](Infer& i) {
          const DType type = i.type("dtype");
          i.require(1, type != boolean && size_of(type) == size_of(i.dtype(0)));
          i.output(type, i.shape(0));
        },
    .gradient = none("bits are no quantity that could change by a little"),
    .meaning = evaluate([](Evaluation& e) {
      const Evaluated& x = e.x(0);
      Evaluated& y = e.y();
      Literal bits = Literal::zeros(x.type.dtype, x.shape());
      if (x.floating()) convert_elements(f64, x.real.data(), x.type.dtype, bits.mutable_data(), x.elements());
      else convert_elements(i64, x.integer.data(), x.type.dtype, bits.mutable_data(), x.elements());
      if (y.floating()) convert_elements(y.type.dtype, bits.data(), f64, y.real.data(), y.elements());
      else convert_elements(y.type.dtype, bits.data(), i64, y.integer.data(), y.elements());
    }),
    .accuracy = exact,
    .cost = no_flops,
    .cases = {"f32[2,3] dtype=u32", "f64[5] dtype=i64", "f16[5] dtype=i16", "bf16[5] dtype=f16", "i8[5] dtype=u8",
              "u32[5]:1000000000..1100000000 dtype=f32", "f32[] dtype=f32", "f32[0] dtype=i32"},
    .rejects = {"1: f32[3] dtype=f64", "1: u8[3] dtype=bool"},
};

}  // namespace trireme
