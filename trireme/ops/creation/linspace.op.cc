#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl linspace_decl{
    .name = "linspace",
    .doc =
        "Evenly spaced numbers from start to stop, both included: y[i] = start + i (stop - start) / "
        "(count - 1).",
    .tier = Tier::kComposite,
    .kind = Kind::kSource,
    .inputs = {},
    .outputs = {"y"},
    .attributes = {{"start", required_float, "first number"},
                   {"stop", required_float, "last number"},
                   {"count", required_int, "how many"},
                   {"dtype", f32, "element type"}},
    .coerce = Coerce::kNone,
    .rules = {"count is 0 or more", "dtype is a floating type"},
    .infer =
        [](Infer& i) {
          i.require(1, i.integer("count") >= 0);
          i.require(2, is_float(i.type("dtype")));
          i.output(i.type("dtype"), {i.integer("count")});
        },
    .gradient = none("it has no inputs"),
    .meaning = decompose([](const Decompose& d) -> Values {
      // Counted from the nearer end, so that both ends are exact.
      const DType type = d.y().dtype(), wide = ops::wide_type(type);
      const double start = d.number("start"), stop = d.number("stop"),
                   last = static_cast<double>(d.integer("count") - 1);
      const double step = last > 0 ? (stop - start) / last : 0.0;
      const Value index = ops::iota(d.y().shape().vector(), wide, 0);
      const Value from_start = index * step + start, from_stop = (index - last) * step + stop;
      return ops::as_type(ops::select(ops::compare(index * 2.0, std::max(last, 1.0), "lt"), from_start, from_stop),
                          type);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"start=0.0 stop=1.0 count=5", "start=2.0 stop=-2.0 count=4 dtype=f64", "start=3.0 stop=9.0 count=1",
              "start=0.0 stop=1.0 count=0", "start=0.0 stop=1.0 count=7 dtype=bf16"},
    .rejects = {"1: start=0.0 stop=1.0 count=-1", "2: start=0.0 stop=1.0 count=3 dtype=i32"},
};

}  // namespace trireme
