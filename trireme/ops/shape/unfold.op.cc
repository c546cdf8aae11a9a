#include "trireme/ops/declare.h"
#include "trireme/ops/sizes.h"

namespace trireme {

OpDecl unfold_decl{
    .name = "unfold",
    .doc =
        "Patches of images as columns (im2col): y[n, (c kh + i) kw + j, p] is element (i, j) of patch p "
        "of channel c; patches in row-major order.",
    .tier = Tier::kComposite,
    .kind = Kind::kMovement,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"kernel", required_ints, "height and width of a patch"},
                   {"strides", Ints{1, 1}, "distance between patches"},
                   {"padding", Ints{0, 0}, "zeros at top and bottom, left and right"},
                   {"dilation", Ints{1, 1}, "distance between elements of a patch"}},
    .coerce = Coerce::kNone,
    .rules = {"x has rank 4, [N, C, H, W]",
              "kernel, strides, padding and dilation have two entries; padding is 0 or more, the others 1 or more",
              "the dilated kernel fits into the padded image"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 4);
          const Ints &kernel = i.integers("kernel"), &strides = i.integers("strides");
          const Ints &padding = i.integers("padding"), &dilation = i.integers("dilation");
          i.require(2, kernel.size() == 2 && strides.size() == 2 && padding.size() == 2 && dilation.size() == 2);
          int64_t patches = 1;
          for (size_t a = 0; a < 2; ++a) {
            i.require(2, kernel[a] >= 1 && strides[a] >= 1 && padding[a] >= 0 && dilation[a] >= 1);
            const Wide covered = Wide{kernel[a] - 1} * dilation[a] + 1;
            const int64_t room = bounded(i.shape(0)[static_cast<int>(a) + 2] + 2 * Wide{padding[a]} - covered);
            i.require(3, room >= 0);
            patches = bounded(Wide{patches} * (room / strides[a] + 1));
          }
          i.output(i.dtype(0),
                   {i.shape(0)[0], bounded(bounded(Wide{i.shape(0)[1]} * kernel[0]) * Wide{kernel[1]}), patches});
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Ints &kernel = d.integers("kernel"), &strides = d.integers("strides");
      const Ints &padding = d.integers("padding"), &dilation = d.integers("dilation");
      const Ints margins{0, 0, padding[0], padding[1]};
      const Value x = ops::pad(d.x(0), margins, margins, Ints(4, 0), 0.0);
      const int64_t n = x.shape()[0], c = x.shape()[1];
      int64_t rows[2];  // patches along each axis
      for (size_t a = 0; a < 2; ++a) {
        rows[a] = (x.shape()[static_cast<int>(a) + 2] - (kernel[a] - 1) * dilation[a] - 1) / strides[a] + 1;
      }
      // One strided view per place in the kernel; stacked behind the channel.
      std::vector<Value> places;
      for (int64_t row = 0; row < kernel[0]; ++row) {
        for (int64_t col = 0; col < kernel[1]; ++col) {
          const int64_t top = row * dilation[0], left = col * dilation[1];
          const Value view = ops::slice(
              x, {0, 0, top, left}, {n, c, top + (rows[0] - 1) * strides[0] + 1, left + (rows[1] - 1) * strides[1] + 1},
              {1, 1, strides[0], strides[1]});
          places.push_back(ops::reshape(view, {n, c, 1, rows[0] * rows[1]}));
        }
      }
      return ops::reshape(ops::concat(places, 2), d.y().shape().vector());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[1,2,3,4] kernel=[2,2]", "[2,1,4,5] kernel=[2,3] strides=[2,1] padding=[1,1]",
              "[1,1,5,5] kernel=[2,2] dilation=[2,3]", "[0,1,2,2] kernel=[1,1]"},
    .rejects = {"1: [1,3,3] kernel=[2,2]", "2: [1,1,3,3] kernel=[2]", "2: [1,1,3,3] kernel=[2,0]",
                "3: [1,1,3,3] kernel=[4,1]"},
};

}  // namespace trireme
