#include "trireme/ops/declare.h"

namespace trireme {

OpDecl convert_decl{
    .name = "convert",
    .doc =
        "The same values in another element type. To floats: rounds to nearest even. Float to integer: truncates "
        "and saturates, NaN gives 0. Integer to integer wraps. To bool: x != 0.",
    .tier = Tier::kBringUp,
    .kind = Kind::kElementwise,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"dtype", required_dtype, "the type of the result"}},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = [](Infer& i) { i.output(i.type("dtype"), i.shape(0)); },
    .gradient = pullback([](Pullback& p) {
      if (is_float(p.x(0).dtype()) && is_float(p.y().dtype())) p.dx(0) = ops::convert(p.dy(), p.x(0).dtype());
    }),
    .meaning = evaluate([](Evaluation& e) {
      const Evaluated& x = e.x(0);
      Evaluated& y = e.y();
      Literal exact_type = Literal::zeros(y.type.dtype, y.shape());
      const DType wide = x.type.dtype == u64 ? u64 : i64;
      if (x.floating()) convert_elements(f64, x.real.data(), y.type.dtype, exact_type.mutable_data(), y.elements());
      else convert_elements(wide, x.integer.data(), y.type.dtype, exact_type.mutable_data(), y.elements());
      if (y.floating()) convert_elements(y.type.dtype, exact_type.data(), f64, y.real.data(), y.elements());
      else convert_elements(y.type.dtype, exact_type.data(), i64, y.integer.data(), y.elements());
    }),
    .accuracy = exact,
    .cost = flops_per_element(1),
    .cases = {"[2,3] dtype=f32 surrogate", "[17] dtype=bf16 surrogate", "[] dtype=f16 surrogate", "[0] dtype=f64",
              "[9] dtype=i32", "[9] dtype=i64", "[9] dtype=u8", "[9] dtype=i8", "[9] dtype=bool",
              "f32[33]:-300..300 dtype=i8", "f32[33]:-1e10..1e10 dtype=i32", "i32[33]:-70000..70000 dtype=i16",
              "i32[33]:-1e9..1e9 dtype=f32"},
    .rejects = {},
};

}  // namespace trireme
