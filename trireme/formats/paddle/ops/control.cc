// Branches.
#include "trireme/base/strings.h"
#include "trireme/formats/paddle/call.h"

namespace trireme::formats::paddle {

namespace {

bool truth(const Literal& literal) { return literal.elements() > 0 && literal.at(0) != 0.0; }

// Both branches as graphs, when they give the same types; else the condition decides when the model is imported.
void branch(Call& c) {
  const int64_t yes = c.block("then"), no = c.block("else");
  const Value condition = c.x("Cond");
  c.require(condition.shape().elements() == 1, cat("Cond is ", condition.shape(), "; it must have one element"));
  const auto take = [&](bool value) {
    const std::vector<Value> results = c.build(value ? yes : no);
    for (size_t k = 0; k < results.size(); ++k) c.result("Out", results[k], static_cast<int>(k));
  };
  if (const auto value = c.constant(condition)) {
    take(truth(*value));
    return;
  }
  Capture capture;  // what both use from outside
  const auto then_results = c.close(yes, capture), else_results = c.close(no, capture);
  bool alike = then_results && else_results && then_results->size() == else_results->size() && !then_results->empty() &&
               !capture.outside.empty();  // cond takes an operand at least
  for (size_t k = 0; alike && k < then_results->size(); ++k) {
    alike = (*then_results)[k].type() == (*else_results)[k].type();
  }
  if (!alike) {
    take(truth(c.known(condition)));
    return;
  }
  const Values results = ops::cond(ops::reshape(condition, {}), capture.outside,
                                   Graph(capture.parameters, *then_results), Graph(capture.parameters, *else_results));
  for (size_t k = 0; k < results.size(); ++k) c.result("Out", results[k], static_cast<int>(k));
}

// A branch of a ProgramDesc: it leaves its values in variables from which select_input then picks, by the same
// condition. The condition decides when the model is imported.
void conditional_block(Call& c) {
  if (truth(c.known(c.x("Cond")))) c.run(c.block("sub_block"));
}
void select_input(Call& c) {
  const Ints mask = c.known_ints("Mask");
  c.require(mask.size() == 1 && mask[0] >= 0 && mask[0] < c.count("X"), cat("Mask ", mask, " of ", c.count("X")));
  c.result(c.x("X", static_cast<int>(mask[0])));
}

}  // namespace

std::span<const Mapping> control_mappings() {
  static constexpr Mapping table[] = {
      {"conditional_block", conditional_block},
      {"if", branch},
      {"select_input", select_input},
  };
  return table;
}

}  // namespace trireme::formats::paddle
