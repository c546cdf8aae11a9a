#include "trireme/ops/declare.h"

namespace trireme {

namespace {
// 0..5 for eq ne lt le gt ge, else -1.
int comparison(std::string_view kind) {
  constexpr std::string_view names[] = {"eq", "ne", "lt", "le", "gt", "ge"};
  for (int i = 0; i < 6; ++i) {
    if (names[i] == kind) return i;
  }
  return -1;
}
}  // namespace

OpDecl compare_decl{
    .name = "compare",
    .doc = "Comparison of two tensors, element by element; kind is eq, ne, lt, le, gt or ge. With NaN only ne is true.",
    .tier = Tier::kBringUp,
    .kind = Kind::kElementwise,
    .inputs = {{"x", any_dtype}, {"w", same_as_first}},
    .outputs = {"y"},
    .attributes = {{"kind", required_string, "eq, ne, lt, le, gt or ge"}},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes, "kind is eq, ne, lt, le, gt or ge"},
    .infer =
        [](Infer& i) {
          i.require(1, i.shape(0) == i.shape(1));
          i.require(2, comparison(i.string("kind")) >= 0);
          i.output(boolean, i.shape(0));
        },
    .gradient = none("the result is bool"),
    .meaning = elementwise([](auto x, auto w, const Evaluation& e) -> int64_t {
      switch (comparison(e.string("kind"))) {
        case 0: return x == w;
        case 1: return x != w;
        case 2: return x < w;
        case 3: return x <= w;
        case 4: return x > w;
        default: return x >= w;
      }
    }),
    .accuracy = exact,
    .cost = flops_per_element(1),
    .cases = {"[2,3] [2,3] kind=\"eq\"", "[9] [9] kind=\"ne\"", "[9] [9] kind=\"lt\"", "[] [] kind=\"le\"",
              "[0] [0] kind=\"gt\"", "[9] [9] kind=\"ge\"", "i32[33]:0..3 i32[33]:0..3 kind=\"le\""},
    .rejects = {"1: [2,3] [3,2] kind=\"eq\"", "2: [2] [2] kind=\"less\""},
};

}  // namespace trireme
