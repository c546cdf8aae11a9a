#include "trireme/ops/declare.h"
#include "trireme/ops/vision/sampling_rules.h"

namespace trireme {

OpDecl interpolate_decl{
    .name = "interpolate",
    .doc =
        "Resizes the images x [N, C, H, W] to `size`. nearest reads pixel floor(o H / size); bilinear and bicubic "
        "(a = -0.75) read around (o + 1/2) H / size - 1/2, or around o (H-1) / (size-1) with align_corners; beyond "
        "the border the border counts.",
    .tier = Tier::kComposite,
    .kind = Kind::kIndexing,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"size", required_ints, "height and width of y"},
                   {"mode", "nearest", "nearest, bilinear or bicubic"},
                   {"align_corners", false, "the middles of corner pixels stay in place; not with nearest"}},
    .coerce = Coerce::kNone,
    .rules = {"x is [N, C, H, W] with H and W not 0", "size has two entries of 1 or more",
              "mode is nearest, bilinear or bicubic", "align_corners goes with bilinear and bicubic"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 4 && i.shape(0)[2] >= 1 && i.shape(0)[3] >= 1);
          const Ints& size = i.integers("size");
          i.require(2, size.size() == 2 && size[0] >= 1 && size[1] >= 1);
          const std::string& mode = i.string("mode");
          i.require(3, mode == "nearest" || mode == "bilinear" || mode == "bicubic");
          i.require(4, !i.flag("align_corners") || mode != "nearest");
          i.output(i.dtype(0), {i.shape(0)[0], i.shape(0)[1], size[0], size[1]});
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Ints& size = d.integers("size");
      const std::string& mode = d.string("mode");
      const bool align = d.flag("align_corners");
      const Value x = mode == "nearest" ? d.x(0) : ops::widen(d.x(0));
      return ops::as_type(resampled(resampled(x, 2, size[0], mode, align), 3, size[1], mode, align), d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[1,2,3,4] size=[6,8]", "[2,1,5,4] size=[3,7]", "[1,2,3,4] size=[5,3] mode=\"bilinear\"",
              "[1,2,3,4] size=[6,8] mode=\"bilinear\" align_corners=true", "[1,1,4,5] size=[7,3] mode=\"bicubic\"",
              "[1,1,4,5] size=[3,9] mode=\"bicubic\" align_corners=true", "[1,1,1,1] size=[2,2] mode=\"bilinear\"",
              "[1,1,3,3] size=[1,3] mode=\"bilinear\" align_corners=true", "[0,2,3,3] size=[2,4]"},
    .rejects = {"1: [2,3,4] size=[6,8]", "1: [1,2,0,4] size=[6,8]", "2: [1,2,3,4] size=[6]",
                "3: [1,2,3,4] size=[6,8] mode=\"linear\"", "4: [1,2,3,4] size=[6,8] align_corners=true"},
};

}  // namespace trireme
