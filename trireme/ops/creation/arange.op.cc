#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl arange_decl{
    .name = "arange",
    .doc = "Evenly spaced numbers, y[i] = start + i step, as many as lie before stop.",
    .tier = Tier::kComposite,
    .kind = Kind::kSource,
    .inputs = {},
    .outputs = {"y"},
    .attributes = {{"start", required_float, "first number"},
                   {"stop", required_float, "end, not reached"},
                   {"step", 1.0, "distance; may be negative"},
                   {"dtype", i32, "element type"}},
    .coerce = Coerce::kNone,
    .rules = {"start, stop and step are finite and step is not 0", "dtype is not bool",
              "for an integer dtype start and step are whole numbers"},
    .infer =
        [](Infer& i) {
          const double start = i.number("start"), stop = i.number("stop"), step = i.number("step");
          i.require(1, std::isfinite(start) && std::isfinite(stop) && std::isfinite(step) && step != 0);
          i.require(2, i.type("dtype") != boolean);
          i.require(3, is_float(i.type("dtype")) || (start == std::trunc(start) && step == std::trunc(step)));
          const double count = std::max(0.0, std::ceil((stop - start) / step));
          // More elements than any shape holds is reported by the shape.
          i.output(i.type("dtype"), {static_cast<int64_t>(std::min(count, static_cast<double>(kMaxElements)))});
        },
    .gradient = none("it has no inputs"),
    .meaning = decompose([](const Decompose& d) -> Values {
      const DType type = d.y().dtype(), wide = ops::wide_type(type);
      const Value index = ops::iota(d.y().shape().vector(), wide, 0);
      return ops::as_type(index * d.number("step") + d.number("start"), type);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"start=0.0 stop=5.0", "start=2.0 stop=-3.0 step=-2.0", "start=0.0 stop=1.0 step=0.25 dtype=f32",
              "start=3.0 stop=3.0", "start=0.0 stop=9.0 dtype=bf16"},
    .rejects = {"1: start=0.0 stop=5.0 step=0.0", "2: start=0.0 stop=5.0 dtype=bool", "3: start=0.5 stop=5.0"},
};

}  // namespace trireme
