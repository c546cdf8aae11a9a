#include "trireme/ops/declare.h"

namespace trireme {

OpDecl integer_dot_general_decl{
    .name = "integer_dot_general",
    .doc =
        "Batched matrix product of quantised numbers, summed in i32: y[b,m,n] = sum_k (x[b,m,k] - x_zero_point) "
        "w[b,k,n].",
    .tier = Tier::kExpected,
    .kind = Kind::kContraction,
    .inputs = {{"x", only(i8) | only(u8)}, {"w", only(i8)}},
    .outputs = {"y"},
    .attributes = {{"x_zero_point", 0, "the number that stands for 0 in x"}},
    .coerce = Coerce::kNone,
    .rules = {"x and w have rank 3", "the batch sizes are equal", "the inner sizes x[2] and w[1] are equal",
              "x_zero_point is a number of the type of x"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 3 && i.rank(1) == 3);
          i.require(2, i.shape(0)[0] == i.shape(1)[0]);
          i.require(3, i.shape(0)[2] == i.shape(1)[1]);
          i.require(4, wrap_integer(i.dtype(0), i.integer("x_zero_point")) == i.integer("x_zero_point"));
          i.output(i32, {i.shape(0)[0], i.shape(0)[1], i.shape(1)[2]});
        },
    .gradient = none("its operands are integers"),
    .meaning = evaluate(
        [](Evaluation& e) {
          const int64_t batch = e.x(0).shape()[0], m = e.x(0).shape()[1], k = e.x(0).shape()[2], n = e.x(1).shape()[2],
                        zero = e.integer("x_zero_point");
          const std::vector<int64_t>&x = e.x(0).integer, &w = e.x(1).integer;
          for (int64_t row = 0; row < batch * m; ++row) {
            int64_t* y = e.y().integer.data() + row * n;
            for (int64_t inner = 0; inner < k; ++inner) {
              const int64_t left = x[static_cast<size_t>(row * k + inner)] - zero;
              const int64_t* right = w.data() + (row / m * k + inner) * n;
              for (int64_t column = 0; column < n; ++column) y[column] += left * right[column];
            }
          }
          e.y().round();
        },
        [](const Decompose& d) -> Values {
          const Value x = ops::convert(d.x(0), i32) - static_cast<double>(d.integer("x_zero_point"));
          return ops::dot_general(x, ops::convert(d.x(1), i32));
        }),
    .accuracy = exact,
    .cost = flops([](const OpView& v) {
      return 2.0 * static_cast<double>(v.y().shape().elements()) * static_cast<double>(v.x(0).shape()[2]);
    }),
    .cases = {"u8[1,2,3]:0..255 i8[1,3,4]:-128..127", "i8[2,3,5]:-128..127 i8[2,5,7]:-128..127 x_zero_point=-128",
              "u8[1,1,1]:0..255 i8[1,1,1]:-128..127 x_zero_point=255", "u8[2,0,3] i8[2,3,4]", "i8[1,2,0] i8[1,0,3]",
              "u8[1,33,17]:0..255 i8[1,17,65]:-128..127 x_zero_point=7",
              "u8[1,70,1100]:0..255 i8[1,1100,40]:-128..127 x_zero_point=128",
              "i8[3,13,64]:-128..127 i8[3,64,33]:-128..127 x_zero_point=3"},
    .rejects = {"1: u8[2,3] i8[3,4]", "2: u8[1,2,3] i8[2,3,4]", "3: u8[1,2,3] i8[1,4,5]",
                "4: u8[1,2,3] i8[1,3,4] x_zero_point=-1", "4: i8[1,2,3] i8[1,3,4] x_zero_point=128"},
};

}  // namespace trireme
