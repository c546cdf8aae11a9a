#include "trireme/ops/declare.h"
#include "trireme/ops/primitives/direct_convolution.h"

namespace trireme {

namespace {
// A convolution whose padding may be negative, which cuts the (dilated) image instead.
Value convolve(const Value& x, const Value& w, const Ints& stride, Ints low, Ints high, const Ints& dilation,
               Ints input_dilation, int64_t groups) {
  const auto negative = [](int64_t n) { return n < 0; };
  if (std::none_of(low.begin(), low.end(), negative) && std::none_of(high.begin(), high.end(), negative)) {
    return ops::convolution(x, w, stride, low, high, dilation, input_dilation, groups);
  }
  Ints before = {0, 0}, after = {0, 0}, interior = {0, 0};
  for (size_t a = 0; a < low.size(); ++a) {
    before.push_back(std::max<int64_t>(low[a], 0));
    after.push_back(std::max<int64_t>(high[a], 0));
    interior.push_back(input_dilation[a] - 1);
  }
  const Value padded = ops::pad(x, before, after, interior, 0.0);
  Ints begin(low.size() + 2, 0), end = padded.shape().vector();
  for (size_t a = 0; a < low.size(); ++a) {
    begin[a + 2] = std::max<int64_t>(-low[a], 0);
    end[a + 2] -= std::max<int64_t>(-high[a], 0);
  }
  const Ints zero(low.size(), 0), one(low.size(), 1);
  const Value image = ops::slice(padded, begin, end, Ints(begin.size(), 1));
  return ops::convolution(image, w, stride, zero, zero, dilation, one, groups);
}

// y[o] = sum_k x[i] w[k] where o stride + k dilation = low + i input_dilation, along each axis.
void convolution_pullback(Pullback& pull) {
  const ConvolutionPlan p(pull);
  const Value &x = pull.x(0), &w = pull.x(1), dy = pull.dy();
  const int rank = x.shape().rank();
  const int64_t g = p.groups, inputs = p.channels / g, outputs = p.filters / g;
  Ints low_x, high_x, high_w, spatial;
  for (size_t a = 0; a < p.axes(); ++a) {
    const int64_t dy_extent = extent(p.result[a], p.stride[a]), w_extent = extent(p.kernel[a], p.dilation[a]);
    const int64_t x_extent = extent(p.image[a], p.input_dilation[a]);
    low_x.push_back(w_extent - 1 - p.low[a]);
    high_x.push_back(x_extent - 1 + w_extent - dy_extent - low_x.back());
    high_w.push_back(w_extent - 1 + dy_extent - x_extent - p.low[a]);
    spatial.push_back(static_cast<int64_t>(a) + 2);
  }
  // dx: dy, dilated by the stride, with the kernel reversed and its inputs and outputs exchanged within each group.
  Value turned = ops::reshape(ops::reverse(w, spatial), joined({g, outputs, inputs}, p.kernel));
  turned = ops::reshape(ops::transpose(turned, swapped(rank + 1, 1, 2)), joined({p.channels, outputs}, p.kernel));
  pull.dx(0) = convolve(dy, turned, p.input_dilation, low_x, high_x, p.dilation, p.stride, g);
  // dw: x as the image and dy, dilated by the stride, as the kernel, summed over the batch: the batch takes the place
  // of the channels, and a group's channels that of the batch.
  Value image = ops::reshape(x, joined({p.batch, g, inputs}, p.image));
  image = ops::reshape(ops::transpose(image, swapped(rank + 1, 0, 2)), joined({inputs, g * p.batch}, p.image));
  const Value kernel = ops::transpose(dy, swapped(rank, 0, 1));
  const Value dw = convolve(image, kernel, p.dilation, p.low, high_w, p.stride, p.input_dilation, g);
  pull.dx(1) = ops::transpose(dw, swapped(rank, 0, 1));
}
}  // namespace

OpDecl convolution_decl{
    .name = "convolution",
    .doc =
        "Cross-correlation of x [N, C, spatial...] with w [O, C/groups, kernel...] over 1 to 3 spatial axes: y[n, o, "
        "i] = "
        "sum over c, k of padded x[n, c, i stride + k dilation] w[o, c, k]. input_dilation puts zeros between the "
        "elements of x.",
    .tier = Tier::kExpected,
    .kind = Kind::kContraction,
    .inputs = {{"x", floats}, {"w", same_as_first}},
    .outputs = {"y"},
    .attributes = {{"strides", required_ints, "step of the kernel, of each spatial axis"},
                   {"low", required_ints, "zeros before, of each spatial axis"},
                   {"high", required_ints, "zeros after, of each spatial axis"},
                   {"dilation", required_ints, "distance between kernel elements, of each spatial axis"},
                   {"input_dilation", required_ints, "distance between elements of x, of each spatial axis"},
                   {"groups", 1, "independent groups of channels"}},
    .coerce = Coerce::kPromote,
    .rules = {kDirectRanks, kDirectLists, kDirectSteps, kDirectGroups, kDirectFits},
    .infer = [](Infer& i) { infer_direct_convolution(i, i.dtype(0)); },
    .gradient = pullback(convolution_pullback),
    .meaning = evaluate([](Evaluation& e) { evaluate_direct_convolution(e, 0); },
                        [](const Decompose& d) -> Values { return convolution_by_columns(d, d.x(0), d.x(1)); }),
    .accuracy = accumulated,
    .cost = flops([](const OpView& v) {
      const Shape& w = v.x(1).shape();
      return 2.0 * static_cast<double>(v.y().shape().elements()) *
             static_cast<double>(w[0] == 0 ? 0 : w.elements() / w[0]);
    }),
    .cases =
        {"[1,2,7] [3,2,3] strides=[1] low=[1] high=[1] dilation=[1] input_dilation=[1]",
         "[2,2,9] [2,2,3] strides=[2] low=[0] high=[1] dilation=[2] input_dilation=[1]",
         "[1,4,5] [6,2,2] strides=[2] low=[3] high=[0] dilation=[1] input_dilation=[1] groups=2",
         "[2,2,5,4] [3,2,3,2] strides=[2,1] low=[1,0] high=[0,2] dilation=[1,2] input_dilation=[1,1]",
         "[1,2,4,3] [4,1,2,2] strides=[1,1] low=[1,0] high=[1,1] dilation=[1,1] input_dilation=[2,3] groups=2",
         "[1,1,3,3,3] [2,1,2,2,2] strides=[1,1,2] low=[0,1,0] high=[0,0,0] dilation=[1,1,1] input_dilation=[1,1,1]",
         "[1,1,1] [1,1,1] strides=[10] low=[5] high=[0] dilation=[1] input_dilation=[1]",
         "[0,2,5] [3,2,3] strides=[1] low=[0] high=[0] dilation=[1] input_dilation=[1]",
         "[2,3,6] [3,1,3] strides=[4] low=[2] high=[0] dilation=[1] input_dilation=[2] groups=3"},
    .rejects = {"1: [1,2] [3,2] strides=[] low=[] high=[] dilation=[] input_dilation=[]",
                "2: [1,2,7] [3,2,3] strides=[1,1] low=[1] high=[1] dilation=[1] input_dilation=[1]",
                "3: [1,2,7] [3,2,3] strides=[1] low=[-1] high=[1] dilation=[1] input_dilation=[1]",
                "3: [1,2,7] [3,2,3] strides=[0] low=[1] high=[1] dilation=[1] input_dilation=[1]",
                "4: [1,2,7] [3,1,3] strides=[1] low=[1] high=[1] dilation=[1] input_dilation=[1]",
                "4: [1,2,7] [3,1,3] strides=[1] low=[1] high=[1] dilation=[1] input_dilation=[1] groups=2",
                "5: [1,2,7] [3,2,9] strides=[1] low=[0] high=[1] dilation=[1] input_dilation=[1]"},
};

}  // namespace trireme
