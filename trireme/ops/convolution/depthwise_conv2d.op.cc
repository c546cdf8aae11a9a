#include "trireme/ops/convolution/convolution_rules.h"
#include "trireme/ops/declare.h"
#include "trireme/ops/sizes.h"

namespace trireme {

OpDecl depthwise_conv2d_decl{
    .name = "depthwise_conv2d",
    .doc =
        "Two-dimensional convolution of each channel of x [N, C, H, W] by itself with M kernels, weight "
        "[C*M, 1, KH, KW]; y has C*M channels, those of channel c at c*M.",
    .tier = Tier::kComposite,
    .kind = Kind::kContraction,
    .inputs = {{"x", floats}, {"weight", same_as_first}, {"bias", same_as_first, {}, Arity::kOptional}},
    .outputs = {"y"},
    .attributes = {{"stride", Ints{1}, "step of the kernel"},
                   {"padding", Ints{0}, "zeros added on both sides"},
                   {"dilation", Ints{1}, "distance between kernel elements"}},
    .coerce = Coerce::kPromote,
    .rules = {"x has rank 4 and at least one channel", "weight is [C*M, 1, KH, KW]",
              "stride, padding, dilation and bias obey the rules of conv2d"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 4 && i.shape(0)[1] >= 1);
          i.require(2, i.rank(1) == 4 && i.shape(1)[1] == 1 && i.shape(1)[0] % i.shape(0)[1] == 0);
          const Ints &stride = i.integers("stride"), &padding = i.integers("padding");
          const Ints& dilation = i.integers("dilation");
          i.require(3, is_per_axis(stride, 2, 1) && is_per_axis(padding, 2, 0) && is_per_axis(dilation, 2, 1));
          Ints sizes = {i.shape(0)[0], i.shape(1)[0]};
          for (int a = 0; a < 2; ++a) {
            const auto at = static_cast<size_t>(a);
            const int64_t kernel = i.shape(1)[a + 2];
            const Wide covered = Wide{per_axis(dilation, 2)[at]} * (kernel - 1) + 1;
            const int64_t room = bounded(i.shape(0)[a + 2] + 2 * Wide{per_axis(padding, 2)[at]} - covered);
            i.require(3, i.shape(0)[a + 2] >= 1 && kernel >= 1 && room >= 0);
            sizes.push_back(room / per_axis(stride, 2)[at] + 1);
          }
          i.require(3, !i.has(2) || i.shape(2) == Shape{sizes[1]});
          i.output(i.dtype(0), sizes);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      return ops::conv2d(d.x(0), d.x(1), d.has(2) ? d.x(2) : Value(), d.integers("stride"), d.integers("padding"),
                         d.integers("dilation"), d.x(0).shape()[1]);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3,4,5] [3,1,3,3] padding=[1]", "[1,2,5,5] [4,1,3,2] [4] stride=[2] dilation=[1,2]",
              "[1,1,1,1] [1,1,1,1]"},
    .rejects = {"1: [2,3,4] [3,1,3,3]", "2: [2,3,4,5] [3,3,3,3]", "2: [2,3,4,5] [4,1,3,3]",
                "3: [2,3,4,5] [3,1,3,3] stride=[0]", "3: [2,3,4,5] [3,1,5,3]", "3: [2,3,4,5] [3,1,3,3] [4]"},
};

}  // namespace trireme
