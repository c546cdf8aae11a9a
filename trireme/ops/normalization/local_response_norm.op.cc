#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl local_response_norm_decl{
    .name = "local_response_norm",
    .doc =
        "Divides each element by the energy of `size` neighbouring channels (axis 1), "
        "y = x / (k + alpha / size * sum x[c']^2)^beta with c' from c - size/2 to c + (size-1)/2.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"size", required_int, "number of channels in the window"},
                   {"alpha", 1e-4, "weight of the mean square"},
                   {"beta", 0.75, "exponent"},
                   {"k", 1.0, "added to the weighted mean square"}},
    .coerce = Coerce::kNone,
    .rules = {"x has rank 2 or more: [N, C, ...]", "size is 1 or more", "k is positive and alpha is not negative"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) >= 2);
          i.require(2, i.integer("size") >= 1);
          i.require(3, i.number("k") > 0 && i.number("alpha") >= 0);
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0));
      const int64_t size = d.integer("size");
      const auto rank = static_cast<size_t>(x.shape().rank());
      Ints ones(rank, 1), window(rank, 1), low(rank, 0), high(rank, 0);
      window[1] = size;
      low[1] = size / 2;
      high[1] = (size - 1) / 2;
      const Value energy = ops::reduce_window(x * x, "sum", window, ones, low, high, ones);
      const Value base = energy * (d.number("alpha") / static_cast<double>(size)) + d.number("k");
      const Value scale = ops::exp(ops::log(base) * -d.number("beta"));
      return ops::as_type(x * scale, d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,5] size=3", "[2,5,3] size=2 alpha=0.5", "[1,3,2,2] size=5 alpha=0.3 beta=0.5 k=2.0", "[0,3] size=1"},
    .rejects = {"1: [3] size=3", "2: [2,3] size=0", "3: [2,3] size=3 k=0.0", "3: [2,3] size=3 alpha=-1.0"},
};

}  // namespace trireme
