#include "trireme/ops/declare.h"
#include "trireme/ops/primitives/direct_convolution.h"

namespace trireme {

OpDecl integer_convolution_decl{
    .name = "integer_convolution",
    .doc =
        "Cross-correlation of quantised numbers, summed in i32: the convolution of x - x_zero_point [N, C, spatial...] "
        "with w [O, C/groups, kernel...]; what pads x stands for 0.",
    .tier = Tier::kExpected,
    .kind = Kind::kContraction,
    .inputs = {{"x", only(i8) | only(u8)}, {"w", only(i8)}},
    .outputs = {"y"},
    .attributes = {{"strides", required_ints, "step of the kernel, of each spatial axis"},
                   {"low", required_ints, "zeros before, of each spatial axis"},
                   {"high", required_ints, "zeros after, of each spatial axis"},
                   {"dilation", required_ints, "distance between kernel elements, of each spatial axis"},
                   {"input_dilation", required_ints, "distance between elements of x, of each spatial axis"},
                   {"groups", 1, "independent groups of channels"},
                   {"x_zero_point", 0, "the number that stands for 0 in x"}},
    .coerce = Coerce::kNone,
    .rules = {kDirectRanks, kDirectLists, kDirectSteps, kDirectGroups, kDirectFits,
              "x_zero_point is a number of the type of x"},
    .infer =
        [](Infer& i) {
          infer_direct_convolution(i, i32);
          i.require(6, wrap_integer(i.dtype(0), i.integer("x_zero_point")) == i.integer("x_zero_point"));
        },
    .gradient = none("its operands are integers"),
    .meaning = evaluate([](Evaluation& e) { evaluate_direct_convolution(e, e.integer("x_zero_point")); },
                        [](const Decompose& d) -> Values {
                          const Value x = ops::convert(d.x(0), i32) - static_cast<double>(d.integer("x_zero_point"));
                          return convolution_by_columns(d, x, ops::convert(d.x(1), i32));
                        }),
    .accuracy = exact,
    .cost = flops([](const OpView& v) {
      const Shape& w = v.x(1).shape();
      return 2.0 * static_cast<double>(v.y().shape().elements()) *
             static_cast<double>(w[0] == 0 ? 0 : w.elements() / w[0]);
    }),
    .cases = {"u8[1,2,7]:0..255 i8[3,2,3]:-128..127 strides=[1] low=[1] high=[1] dilation=[1] input_dilation=[1] "
              "x_zero_point=131",
              "i8[2,2,9]:-128..127 i8[2,2,3]:-128..127 strides=[2] low=[0] high=[1] dilation=[2] input_dilation=[1] "
              "x_zero_point=-128",
              "u8[1,4,5]:0..255 i8[6,2,2]:-128..127 strides=[2] low=[3] high=[0] dilation=[1] input_dilation=[1] "
              "groups=2 x_zero_point=255",
              "u8[2,12,9,11]:0..255 i8[17,12,3,3]:-128..127 strides=[1,1] low=[1,1] high=[1,1] dilation=[1,1] "
              "input_dilation=[1,1] x_zero_point=3",
              "i8[1,70,6,5]:-128..127 i8[40,70,3,2]:-128..127 strides=[2,1] low=[1,0] high=[0,2] dilation=[1,2] "
              "input_dilation=[1,1]",
              "u8[1,2,4,3]:0..255 i8[4,1,2,2]:-128..127 strides=[1,1] low=[1,0] high=[1,1] dilation=[1,1] "
              "input_dilation=[2,3] groups=2 x_zero_point=9",
              "u8[1,1,3,3,3]:0..255 i8[2,1,2,2,2]:-128..127 strides=[1,1,2] low=[0,1,0] high=[0,0,0] dilation=[1,1,1] "
              "input_dilation=[1,1,1]",
              "u8[0,2,5]:0..255 i8[3,2,3]:-128..127 strides=[1] low=[0] high=[0] dilation=[1] input_dilation=[1]",
              "i8[2,3,6]:-128..127 i8[3,1,3]:-128..127 strides=[4] low=[2] high=[0] dilation=[1] input_dilation=[2] "
              "groups=3 x_zero_point=5"},
    .rejects = {"1: u8[1,2] i8[3,2] strides=[] low=[] high=[] dilation=[] input_dilation=[]",
                "2: u8[1,2,7] i8[3,2,3] strides=[1,1] low=[1] high=[1] dilation=[1] input_dilation=[1]",
                "3: u8[1,2,7] i8[3,2,3] strides=[1] low=[-1] high=[1] dilation=[1] input_dilation=[1]",
                "4: u8[1,2,7] i8[3,1,3] strides=[1] low=[1] high=[1] dilation=[1] input_dilation=[1]",
                "5: u8[1,2,7] i8[3,2,9] strides=[1] low=[0] high=[1] dilation=[1] input_dilation=[1]",
                "6: u8[1,2,7] i8[3,2,3] strides=[1] low=[1] high=[1] dilation=[1] input_dilation=[1] x_zero_point=-1"},
};

}  // namespace trireme
