#include "trireme/ops/declare.h"
#include "trireme/ops/pooling/pool_rules.h"

namespace trireme {

OpDecl max_pool2d_decl{
    .name = "max_pool2d",
    .doc =
        "Largest element of each window over the last two axes of x [N, C, H, W]; padding never wins. Of equal "
        "elements in a window the first takes the gradient.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", numbers}},
    .outputs = {"y"},
    .attributes = {{"window", required_ints, "size of the window"},
                   {"stride", Ints{}, "step of the window; empty: its size"},
                   {"padding", Ints{0}, "added on both sides"},
                   {"dilation", Ints{1}, "distance between elements of a window"},
                   {"ceil_mode", false, "let the last window hang over the end"}},
    .coerce = Coerce::kNone,
    .rules = {kPoolRank, kPoolLists, kPoolFits},
    .infer = [](Infer& i) { infer_pool(i, 2, true); },
    .gradient = pullback([](Pullback& p) { max_pool_pullback(p, 2); }),
    .meaning = decompose([](const Decompose& d) { return decompose_max_pool(d, 2); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3,4,6] window=[2]", "[2,2,7,6] window=[3] stride=[2] padding=[1]",
              "[1,2,6,5] window=[2,3] stride=[1,2] padding=[1,0] dilation=[2,1]",
              "[1,2,6,6] window=[3] stride=[2] ceil_mode=true", "[1,1,5,5] window=[2] stride=[3]",
              "[1,1,1,1] window=[1]", "[0,2,4,4] window=[2]"},
    .rejects = {"1: [2,5] window=[2]", "2: [2,3,5,5] window=[0]", "2: [2,3,5,5] window=[2] stride=[0]",
                "2: [2,3,5,5] window=[2] dilation=[0]", "2: [2,3,5,5] window=[3] padding=[2]",
                "2: [2,3,5,5] window=[2,2,2]", "3: [2,3,5,5] window=[6]"},
};

}  // namespace trireme
