#include "trireme/ops/declare.h"

namespace trireme {

OpDecl diagonal_decl{
    .name = "diagonal",
    .doc =
        "A diagonal of the last two axes, y[..., i] = x[..., i, i + offset] (offset below 0: x[..., i - "
        "offset, i]).",
    .tier = Tier::kComposite,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"offset", 0, "0 the main diagonal, above 0 to the right"}},
    .coerce = Coerce::kNone,
    .rules = {"x has rank 2 or more"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) >= 2);
          auto sizes = i.shape(0).vector();
          const int64_t columns = sizes.back(), offset = i.integer("offset");
          sizes.pop_back();
          sizes.back() = std::max<int64_t>(
              0, offset >= 0 ? std::min(sizes.back(), columns - offset) : std::min(sizes.back() + offset, columns));
          i.output(i.dtype(0), sizes);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Shape &from = d.x(0).shape(), &to = d.y().shape();
      const int64_t columns = from[from.rank() - 1], offset = d.integer("offset"), count = to[to.rank() - 1];
      if (to.elements() == 0) return ops::filled(d.y().dtype(), to, 0.0);
      Ints flat(from.begin(), from.end() - 2);
      const auto lead = flat.size();
      flat.push_back(from[from.rank() - 2] * columns);
      // In row-major order neighbours on a diagonal are columns + 1 apart.
      Ints begin(lead + 1, 0), end = flat, step(lead + 1, 1);
      begin[lead] = offset >= 0 ? offset : -offset * columns;
      end[lead] = begin[lead] + (count - 1) * (columns + 1) + 1;
      step[lead] = columns + 1;
      return ops::slice(ops::reshape(d.x(0), flat), begin, end, step);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[3,3]", "[2,3,4] offset=1", "[4,2] offset=-1", "[2,2] offset=5", "[0,3]"},
    .rejects = {"1: [3]"},
};

}  // namespace trireme
