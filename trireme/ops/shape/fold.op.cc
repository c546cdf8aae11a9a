#include "trireme/ops/declare.h"
#include "trireme/ops/sizes.h"

namespace trireme {

OpDecl fold_decl{
    .name = "fold",
    .doc =
        "Adds patches back into an image (col2im), the transpose of unfold: overlapping elements are "
        "summed. size is [H, W].",
    .tier = Tier::kComposite,
    .kind = Kind::kMovement,
    .inputs = {{"x", numbers}},
    .outputs = {"y"},
    .attributes = {{"size", required_ints, "height and width of the image"},
                   {"kernel", required_ints, "height and width of a patch"},
                   {"strides", Ints{1, 1}, "distance between patches"},
                   {"padding", Ints{0, 0}, "zeros at top and bottom, left and right"},
                   {"dilation", Ints{1, 1}, "distance between elements of a patch"}},
    .coerce = Coerce::kNone,
    .rules = {"x has rank 3, [N, C kh kw, patches]",
              "size, kernel, strides, padding and dilation have two entries; size and padding are 0 or more, the "
              "others 1 or more",
              "the dilated kernel fits into the padded image",
              "x has a whole number of channels, and as many patches as the image"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 3);
          const Ints &size = i.integers("size"), &kernel = i.integers("kernel"), &strides = i.integers("strides");
          const Ints &padding = i.integers("padding"), &dilation = i.integers("dilation");
          i.require(2, size.size() == 2 && kernel.size() == 2 && strides.size() == 2 && padding.size() == 2 &&
                           dilation.size() == 2);
          Wide patches = 1;
          for (size_t a = 0; a < 2; ++a) {
            i.require(2, size[a] >= 0 && kernel[a] >= 1 && strides[a] >= 1 && padding[a] >= 0 && dilation[a] >= 1);
            const int64_t room = bounded(size[a] + 2 * Wide{padding[a]} - (Wide{kernel[a] - 1} * dilation[a] + 1));
            i.require(3, room >= 0);
            patches = bounded(patches * (room / strides[a] + 1));
          }
          const int64_t places = bounded(Wide{kernel[0]} * kernel[1]);
          i.require(4, i.shape(0)[1] % places == 0 && i.shape(0)[2] == patches);
          i.output(i.dtype(0), {i.shape(0)[0], i.shape(0)[1] / places, size[0], size[1]});
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Ints &kernel = d.integers("kernel"), &strides = d.integers("strides");
      const Ints &padding = d.integers("padding"), &dilation = d.integers("dilation");
      const Shape& image = d.y().shape();
      const int64_t n = image[0], c = image[1];
      int64_t padded[2], rows[2];  // sizes of the padded image, patches along each axis
      for (size_t a = 0; a < 2; ++a) {
        padded[a] = image[static_cast<int>(a) + 2] + 2 * padding[a];
        rows[a] = (padded[a] - (kernel[a] - 1) * dilation[a] - 1) / strides[a] + 1;
      }
      // The elements at one place of the kernel lie strides apart: interior padding spreads them.
      const Value patches = ops::reshape(d.x(0), {n, c, kernel[0] * kernel[1], rows[0], rows[1]});
      Value sum = ops::filled(d.y().dtype(), {n, c, padded[0], padded[1]}, 0.0);
      for (int64_t row = 0; row < kernel[0]; ++row) {
        for (int64_t col = 0; col < kernel[1]; ++col) {
          const int64_t place = row * kernel[1] + col, top = row * dilation[0], left = col * dilation[1];
          const Value part = ops::reshape(ops::slice_axis(patches, 2, place, place + 1), {n, c, rows[0], rows[1]});
          const Ints low{0, 0, top, left};
          const Ints high{0, 0, padded[0] - top - (rows[0] - 1) * strides[0] - 1,
                          padded[1] - left - (rows[1] - 1) * strides[1] - 1};
          sum = sum + ops::pad(part, low, high, {0, 0, strides[0] - 1, strides[1] - 1}, 0.0);
        }
      }
      return ops::slice(sum, {0, 0, padding[0], padding[1]}, {n, c, padding[0] + image[2], padding[1] + image[3]},
                        Ints(4, 1));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[1,8,6] size=[3,4] kernel=[2,2]", "[2,6,15] size=[4,5] kernel=[2,3] strides=[2,1] padding=[1,1]",
              "[1,4,6] size=[5,5] kernel=[2,2] dilation=[2,3]", "[0,1,4] size=[2,2] kernel=[1,1]"},
    .rejects = {"1: [1,4] size=[2,2] kernel=[1,1]", "2: [1,1,4] size=[2] kernel=[1,1]",
                "3: [1,4,1] size=[1,1] kernel=[2,2]", "4: [1,3,4] size=[3,3] kernel=[2,2]"},
};

}  // namespace trireme
