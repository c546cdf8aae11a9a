// Calls, loops, branches, and the checks that test files hold.
#include "trireme/base/strings.h"
#include "trireme/formats/stablehlo/call.h"
#include "trireme/formats/stablehlo/literal.h"

namespace trireme::formats::stablehlo {

namespace {

void give(Call& c, const std::vector<Value>& values) {
  c.require(static_cast<int>(values.size()) == c.results(),
            cat("names ", c.results(), " results; there are ", values.size()));
  for (size_t i = 0; i < values.size(); ++i) c.result(static_cast<int>(i), values[i]);
}

void call(Call& c) { give(c, c.call(c.word(0, "callee"), c.all())); }
void composite(Call& c) { give(c, c.call(c.string("decomposition"), c.all())); }

// `graph`, of `own` arguments and its captured values, with the captured values of all as inputs; those go out as well
// where the graph is a loop's body.
Graph widened(const Closure& closure, size_t own, const std::vector<Value>& all_captured, size_t offset, bool pass) {
  std::vector<Value> inputs(closure.graph.inputs().begin(), closure.graph.inputs().begin() + static_cast<int64_t>(own));
  for (size_t i = 0; i < all_captured.size(); ++i) {
    const bool mine = i >= offset && i < offset + closure.captured.size();
    inputs.push_back(mine ? closure.graph.inputs()[own + i - offset]
                          : parameter(all_captured[i].dtype(), all_captured[i].shape()));
  }
  std::vector<Value> outputs = closure.graph.outputs();
  if (pass) outputs.insert(outputs.end(), inputs.begin() + static_cast<int64_t>(own), inputs.end());
  return {inputs, outputs};
}

std::vector<Value> joined(std::vector<Value> front, const std::vector<Value>& back) {
  front.insert(front.end(), back.begin(), back.end());
  return front;
}

void while_loop(Call& c) {
  const Closure condition = c.close(0, c.all()), body = c.close(1, c.all());
  const std::vector<Value> captured = joined(condition.captured, body.captured);
  const size_t own = c.all().size();
  const Values out = ops::while_loop(joined(c.all(), captured), widened(condition, own, captured, 0, false),
                                     widened(body, own, captured, condition.captured.size(), true));
  give(c, {out.begin(), out.begin() + static_cast<int64_t>(own)});
}

void branch(Call& c) {
  c.require(c.inputs() == 1 && c.dtype(0) == boolean, "the condition is no i1");
  const Closure yes = c.close(0, {}), no = c.close(1, {});
  std::vector<Value> captured = joined(yes.captured, no.captured);
  if (captured.empty()) captured.push_back(c.x(0));  // the primitive takes an operand at least
  const Values out = ops::cond(c.x(0), captured, widened(yes, 0, captured, 0, false),
                               widened(no, 0, captured, yes.captured.size(), false));
  give(c, out);
}

// All branches are computed and one is chosen; an index without a branch takes the last.
void branches(Call& c) {
  c.require(c.inputs() == 1 && c.dtype(0) == i32 && c.rank(0) == 0, "the index is no i32");
  std::vector<Value> out = c.apply(c.regions() - 1, {}, false);
  for (int k = c.regions() - 2; k >= 0; --k) {
    const Value here = ops::compare(c.x(0), static_cast<double>(k), "eq");
    const std::vector<Value> values = c.apply(k, {}, false);
    c.require(values.size() == out.size(), "the branches give different numbers of results");
    for (size_t i = 0; i < out.size(); ++i) {
      c.require(values[i].type() == out[i].type(), "the branches give different types");
      out[i] = ops::select(here, values[i], out[i]);
    }
  }
  give(c, out);
}

// --- checks ---

void check(Call& c, Check::Kind kind, double tolerance) {
  Check out;
  out.kind = kind;
  out.tolerance = tolerance;
  out.max_ulp = 3;
  out.actual = c.x(0);
  if (c.inputs() > 1) {
    out.expected = c.x(1);
  } else {  // ..._const
    c.require(c.given("value") || !c.operation().values.empty(), "the expected value is missing");
    Dense dense = c.given("value") ? c.attribute("value").dense : c.operation().values[0].dense;
    c.require(!dense.type.text.empty() || !c.operation().operand_types.empty(), "the type is missing");
    if (dense.type.text.empty()) dense.type = c.operation().operand_types[0];
    const DenseValue value = decode(dense);
    out.expected = value.splat ? broadcast(ops::constant(value.literal), value.shape) : ops::constant(value.literal);
  }
  c.require(out.actual.type() == out.expected.type(),
            cat("compares ", out.actual.type(), " with ", out.expected.type()));
  if (c.given("tolerance")) out.tolerance = c.attribute("tolerance").number;
  out.min_ulp = static_cast<uint64_t>(c.integer("min_ulp_difference", 0));
  out.max_ulp = static_cast<uint64_t>(c.integer("max_ulp_difference", 3));
  if (kind == Check::Kind::kClose) c.require(is_float(out.actual.dtype()), "close is defined for floats");
  c.check(out);
}

void expect_equal(Call& c) { check(c, Check::Kind::kEqual, 0.0); }
void expect_almost(Call& c) { check(c, Check::Kind::kAlmost, 1e-4); }
void expect_close(Call& c) { check(c, Check::Kind::kClose, 0.0); }

void custom_call(Call& c) {
  const std::string target = c.word(0, "call_target_name");
  if (target == "check.expect_eq") return expect_equal(c);
  if (target == "check.expect_almost_eq") return check(c, Check::Kind::kAlmost, 1e-3);
  if (target == "check.expect_close") return expect_close(c);
  c.unsupported(cat("custom call '", target, "' is not supported"));
}

constexpr Mapping kMappings[] = {
    {"call", call, true},
    {"check.expect_almost_eq", expect_almost},
    {"check.expect_almost_eq_const", expect_almost},
    {"check.expect_close", expect_close},
    {"check.expect_eq", expect_equal},
    {"check.expect_eq_const", expect_equal},
    {"stablehlo.case", branches},
    {"stablehlo.composite", composite},
    {"stablehlo.custom_call", custom_call},
    {"stablehlo.if", branch},
    {"stablehlo.while", while_loop},
};

}  // namespace

std::span<const Mapping> control_mappings() { return kMappings; }

}  // namespace trireme::formats::stablehlo
