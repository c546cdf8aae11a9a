#include "trireme/ops/declare.h"
#include "trireme/ops/pooling/pool_rules.h"

namespace trireme {

OpDecl avg_pool1d_decl{
    .name = "avg_pool1d",
    .doc = "Mean of each window over the last axis of x [N, C, L]; 16-bit floats are summed in f32.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"window", required_ints, "size of the window"},
                   {"stride", Ints{}, "step of the window; empty: its size"},
                   {"padding", Ints{0}, "zeros added on both sides"},
                   {"count_include_pad", true, "padding counts as elements"},
                   {"ceil_mode", false, "let the last window hang over the end"}},
    .coerce = Coerce::kNone,
    .rules = {kPoolRank, kPoolLists, kPoolFits},
    .infer = [](Infer& i) { infer_pool(i, 1, false); },
    .gradient = pullback([](Pullback& p) { avg_pool_pullback(p, 1); }),
    .meaning = decompose([](const Decompose& d) { return decompose_avg_pool(d, 1); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3,8] window=[2]", "[2,3,7] window=[3] stride=[2] padding=[1]",
              "[1,2,6] window=[3] stride=[2] ceil_mode=true", "[1,1,1] window=[1]", "[0,2,4] window=[2]",
              "[1,2,7] window=[3] stride=[2] padding=[1] count_include_pad=false",
              "[1,1,6] window=[3] stride=[2] padding=[1] ceil_mode=true"},
    .rejects = {"1: [2,5] window=[2]", "2: [2,3,5] window=[0]", "2: [2,3,5] window=[2] stride=[0]",
                "2: [2,3,5] window=[3] padding=[2]", "2: [2,3,5] window=[2,2]", "3: [2,3,5] window=[6]"},
};

}  // namespace trireme
