#include "trireme/ops/declare.h"

namespace trireme {

OpDecl constant_decl{
    .name = "constant",
    .doc = "A value known when the graph is made.",
    .tier = Tier::kHost,
    .kind = Kind::kSource,
    .inputs = {},
    .outputs = {"y"},
    .attributes = {{"value", required_literal, "the value"}},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = [](Infer& i) { i.output(i.literal("value").dtype(), i.literal("value").shape()); },
    .gradient = none("a constant has no inputs"),
    .meaning = evaluate([](Evaluation& e) {
      const Literal& value = AttributeReader(e.op(), e.attributes()).literal("value");
      Evaluated& y = e.y();
      if (y.floating()) convert_elements(value.dtype(), value.data(), f64, y.real.data(), y.elements());
      else convert_elements(value.dtype(), value.data(), i64, y.integer.data(), y.elements());
    }),
    .accuracy = exact,
    .cost = no_flops,
    .cases = {},
    .rejects = {},
};

}  // namespace trireme
