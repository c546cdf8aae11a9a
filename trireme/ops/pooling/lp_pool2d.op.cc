#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"
#include "trireme/ops/pooling/pool_rules.h"

namespace trireme {

OpDecl lp_pool2d_decl{
    .name = "lp_pool2d",
    .doc = "Power mean without the division, y = (sum |x|^p)^(1/p) over each window of x [N, C, H, W].",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"window", required_ints, "size of the window"},
                   {"stride", Ints{}, "step of the window; empty: its size"},
                   {"padding", Ints{0}, "zeros added on both sides"},
                   {"p", 2.0, "exponent"},
                   {"ceil_mode", false, "let the last window hang over the end"}},
    .coerce = Coerce::kNone,
    .rules = {kPoolRank, kPoolLists, kPoolFits, "p is at least 1"},
    .infer =
        [](Infer& i) {
          infer_pool(i, 2, false);
          i.require(4, i.number("p") >= 1);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const double p = d.number("p");
      const Value x = ops::widen(d.x(0));
      const Value magnitude = ops::abs(x);
      const Value power = p == 1.0 ? magnitude : p == 2.0 ? x * x : ops::pow(magnitude, ops::scalar(x.dtype(), p));
      const Value sum = windowed(power, "sum", pool_of(d, x.shape(), 2, false));
      if (p == 1.0) return ops::as_type(sum, d.y().dtype());
      // The root has no finite slope at 0: windows of zeros give 0 and pass no gradient.
      const Value zero = ops::filled_like(sum, 0.0), positive = ops::compare(sum, zero, "gt");
      const Value safe = ops::select(positive, sum, 1.0);
      const Value root = p == 2.0 ? ops::sqrt(safe) : ops::pow(safe, ops::scalar(x.dtype(), 1.0 / p));
      return ops::as_type(ops::select(positive, root, zero), d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3,4,6] window=[2]", "[2,2,7,6]:0.5..2 window=[3] stride=[2] padding=[1] p=3.0",
              "[1,2,5,5] window=[2] p=1.0 ceil_mode=true", "[0,2,4,4] window=[2]"},
    .rejects = {"1: [2,3,4] window=[2]", "2: [2,3,4,6] window=[0]", "3: [2,3,4,6] window=[5]",
                "4: [2,3,4,6] window=[2] p=0.5"},
};

}  // namespace trireme
