#include "trireme/ops/convolution/convolution_rules.h"
#include "trireme/ops/declare.h"

namespace trireme {

OpDecl conv3d_decl{
    .name = "conv3d",
    .doc =
        "Three-dimensional convolution (cross-correlation) of x [N, C, D, H, W] with weight "
        "[O, C/groups, KD, KH, KW], plus bias [O]; size of y: "
        "(size + 2 padding - dilation (kernel - 1) - 1) / stride + 1, rounded down.",
    .tier = Tier::kComposite,
    .kind = Kind::kContraction,
    .inputs = {{"x", floats}, {"weight", same_as_first}, {"bias", same_as_first, {}, Arity::kOptional}},
    .outputs = {"y"},
    .attributes = {{"stride", Ints{1}, "step of the kernel"},
                   {"padding", Ints{0}, "zeros added on both sides"},
                   {"dilation", Ints{1}, "distance between kernel elements"},
                   {"groups", 1, "channel groups that do not mix"}},
    .coerce = Coerce::kPromote,
    .rules = {kConvolutionRanks, kConvolutionLists, kConvolutionGroups, kConvolutionChannels, kConvolutionFits,
              kConvolutionBias},
    .infer = [](Infer& i) { infer_convolution(i, 3); },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) { return decompose_convolution(d, 3); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[1,2,3,4,3] [2,2,2,3,2]", "[1,2,3,4,3] [2,1,2,2,2] [2] stride=[2] padding=[1] groups=2",
              "[1,1,3,3,3] [1,1,2,2,2] [1] dilation=[2,1,1]"},
    .rejects = {"1: [2,4] [6,4,3,3,3]", "2: [2,4,5,5,5] [6,4,3,3,3] stride=[0]",
                "2: [2,4,5,5,5] [6,4,3,3,3] padding=[1,1,1,1]", "2: [2,4,5,5,5] [6,4,3,3,3] dilation=[0]",
                "3: [2,4,5,5,5] [6,4,3,3,3] groups=3", "4: [2,4,5,5,5] [6,3,3,3,3]", "5: [2,4,5,5,5] [6,4,6,6,6]",
                "6: [2,4,5,5,5] [6,4,3,3,3] [4]"},
};

}  // namespace trireme
