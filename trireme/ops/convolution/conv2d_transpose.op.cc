#include "trireme/ops/convolution/convolution_rules.h"
#include "trireme/ops/declare.h"

namespace trireme {

OpDecl conv2d_transpose_decl{
    .name = "conv2d_transpose",
    .doc =
        "Transposed two-dimensional convolution of x [N, C, H, W] with weight "
        "[C, O/groups, KH, KW], plus bias [O]; size of y: "
        "(size - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1.",
    .tier = Tier::kComposite,
    .kind = Kind::kContraction,
    .inputs = {{"x", floats}, {"weight", same_as_first}, {"bias", same_as_first, {}, Arity::kOptional}},
    .outputs = {"y"},
    .attributes = {{"stride", Ints{1}, "step of the kernel over y"},
                   {"padding", Ints{0}, "cut from both sides of y"},
                   {"output_padding", Ints{0}, "added to the end of y"},
                   {"dilation", Ints{1}, "distance between kernel elements"},
                   {"groups", 1, "channel groups that do not mix"}},
    .coerce = Coerce::kPromote,
    .rules = {kTransposedRanks, kTransposedLists, kTransposedGroups, kTransposedChannels, kTransposedSizes,
              kTransposedOutputPadding, kConvolutionBias},
    .infer = [](Infer& i) { infer_transposed(i, 2); },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) { return decompose_transposed(d, 2); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3,3,4] [3,4,3,3]", "[2,3,3,4] [3,4,3,3] [4] stride=[2] padding=[1] output_padding=[1]",
              "[1,4,3,2] [4,3,2,3] [6] stride=[1,2] padding=[0,1] dilation=[2,1] groups=2",
              "[1,2,4,4] [2,1,2,1] padding=[1]"},
    .rejects = {"1: [2,4] [4,6,3,3]", "2: [2,4,5,5] [4,6,3,3] stride=[0]",
                "2: [2,4,5,5] [4,6,3,3] output_padding=[0,0,0]", "2: [2,4,5,5] [4,6,3,3] dilation=[0]",
                "3: [2,4,5,5] [4,6,3,3] groups=3", "4: [2,4,5,5] [5,6,3,3]", "5: [2,4,5,5] [4,6,3,3] padding=[4]",
                "6: [2,4,5,5] [4,6,3,3] output_padding=[1]", "7: [2,4,5,5] [4,6,3,3] [4]"},
};

}  // namespace trireme
