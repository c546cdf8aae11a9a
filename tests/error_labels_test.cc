// Refusals of every op of the registry: each numbered rule, each type rule, wrong numbers of inputs and wrong kinds of
// attributes end in an Error that names the rule, says what was given, and can be found by its label.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <optional>
#include <set>

#include "op_case.h"
#include "trireme/base/strings.h"
#include "trireme/ops/ops.h"

namespace trireme::testing {
namespace {

using ::testing::HasSubstr;

// The Error that `action` throws; a test failure when it throws none or something else.
template <class F>
std::optional<Error> error_of(F action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& other) {
    ADD_FAILURE() << "threw something else than Error: " << other.what();
    return std::nullopt;
  }
  ADD_FAILURE() << "nothing was thrown";
  return std::nullopt;
}

class ErrorLabels : public ::testing::TestWithParam<const OpDecl*> {
 protected:
  const OpDecl& op() const { return *GetParam(); }

  // A case that is accepted, with every optional input it can have.
  std::optional<Instance> fullest() const {
    std::optional<Instance> best;
    for (const OpCase& given : cases_of(op())) {
      Instance instance = instantiate(given);
      if (!best || instance.parameters.size() > best->parameters.size()) best = std::move(instance);
    }
    return best;
  }
};

TEST_P(ErrorLabels, EveryRuleIsBrokenByACase) {
  if (op().kind.value == Kind::kControl) GTEST_SKIP() << "takes graphs, which a case cannot spell; see ControlFlow";
  std::set<int> broken;
  for (std::string_view text : op().rejects.texts) {
    SCOPED_TRACE(cat("reject \"", text, "\""));
    const Reject reject = parse_reject(op(), text);
    const Instance instance = instantiate(reject.given);
    const auto error = error_of([&] { instance.make(); });
    if (!error) continue;
    const std::string label = cat(op().id(), "_c", reject.rule), message = error->what();
    EXPECT_EQ(error->code(), Code::kInvalidArgument) << message;
    EXPECT_EQ(error->rule(), label) << message;
    ASSERT_LE(reject.rule, static_cast<int>(op().rules.list.size())) << "there is no such rule";
    EXPECT_THAT(message, HasSubstr("[" + label + "]"));
    EXPECT_THAT(message, HasSubstr(std::string(op().rules.list[static_cast<size_t>(reject.rule - 1)])));
    for (const Value& v : instance.parameters) EXPECT_THAT(message, HasSubstr(v.type().text()));
    broken.insert(reject.rule);
  }
  for (int rule = 1; rule <= static_cast<int>(op().rules.list.size()); ++rule) {
    EXPECT_TRUE(broken.contains(rule)) << "no reject breaks rule " << rule << ": "
                                       << op().rules.list[static_cast<size_t>(rule - 1)];
  }
}

// A type that input i does not take where the rest stays as it is; nothing when it takes all.
std::optional<DType> wrong_type(const OpDecl& op, const Instance& instance, size_t i) {
  const InputSpec& spec = op.inputs.list[std::min(i, op.inputs.list.size() - 1)];
  const bool bound = (spec.types.bits & same_as_first.bits) != 0;
  for (DType t : kAllDTypes) {
    if (bound ? i > 0 && t != instance.operands[0].dtype() : !spec.types.has(t)) return t;
  }
  return std::nullopt;
}

TEST_P(ErrorLabels, EveryTypeRuleHolds) {
  const auto instance = fullest();
  if (!instance) GTEST_SKIP() << "no cases";
  for (size_t i = 0; i < instance->operands.size(); ++i) {
    if (!instance->operands[i]) continue;
    const auto type = wrong_type(op(), *instance, i);
    if (!type) continue;
    auto operands = instance->operands;
    operands[i] = parameter(*type, operands[i].shape());
    const size_t spec = std::min(i, op().inputs.list.size() - 1);
    SCOPED_TRACE(cat("input ", op().inputs.list[spec].name, " as ", *type));
    const auto error = error_of([&] { make_node(op(), operands, instance->attributes); });
    if (!error) continue;
    EXPECT_EQ(error->code(), Code::kInvalidArgument);
    EXPECT_EQ(error->rule(), cat(op().id(), "_t", spec + 1)) << error->what();
    EXPECT_THAT(error->what(), HasSubstr("[" + error->rule() + "]"));
    EXPECT_THAT(error->what(), HasSubstr(std::string(op().inputs.list[spec].name)));
    EXPECT_THAT(error->what(), HasSubstr(std::string(name(*type))));
  }
}

TEST_P(ErrorLabels, NumberOfInputs) {
  size_t least = 0;
  bool variadic = false;
  for (const InputSpec& spec : op().inputs.list) {
    least += spec.arity != Arity::kOptional;
    variadic = variadic || spec.arity == Arity::kVariadic;
  }
  std::vector<Attribute> attributes;
  for (const AttributeSpec& spec : op().attributes.list) attributes.push_back(spec.fallback);
  if (const auto instance = fullest()) attributes = instance->attributes;
  const auto refused = [&](size_t count) {
    SCOPED_TRACE(cat(count, " inputs"));
    const std::vector<Value> operands(count, parameter(f32, {2}));
    const auto error = error_of([&] { make_node(op(), operands, attributes); });
    if (!error) return;
    EXPECT_EQ(error->code(), Code::kInvalidArgument) << error->what();
    EXPECT_EQ(error->rule(), cat(op().id(), "_inputs")) << error->what();
    EXPECT_THAT(error->what(), HasSubstr(std::string(op().id())));
  };
  if (least > 0) refused(least - 1);
  if (!variadic) refused(op().inputs.list.size() + 1);
  // A required input left empty.
  if (const auto instance = fullest(); instance && least > 0) {
    auto operands = instance->operands;
    operands[0] = Value{};
    if (op().inputs.list[0].arity == Arity::kOne) {
      const auto error = error_of([&] { make_node(op(), operands, attributes); });
      EXPECT_TRUE(error && error->rule() == cat(op().id(), "_inputs"));
    }
  }
}

TEST_P(ErrorLabels, KindsOfAttributes) {
  const auto instance = fullest();
  if (!instance) GTEST_SKIP() << "no cases";
  for (size_t i = 0; i < op().attributes.list.size(); ++i) {
    const AttributeSpec& spec = op().attributes.list[i];
    SCOPED_TRACE(cat("attribute ", spec.name));
    auto attributes = instance->attributes;
    if (spec.kind == AttributeKind::kString) attributes[i] = 1.5;
    else attributes[i] = std::string("wrong");
    const auto error = error_of([&] { make_node(op(), instance->operands, attributes); });
    if (!error) continue;
    EXPECT_EQ(error->code(), Code::kInvalidArgument);
    EXPECT_THAT(error->what(), HasSubstr(std::string(op().id())));
    EXPECT_THAT(error->what(), HasSubstr(std::string(spec.name)));
    EXPECT_THAT(error->what(), HasSubstr(std::string(name(spec.kind))));
  }
  auto more = instance->attributes;
  more.push_back(true);
  const auto error = error_of([&] { make_node(op(), instance->operands, more); });
  EXPECT_TRUE(error && error->code() == Code::kInvalidArgument);
}

// Numbers no sane caller gives: the node is made or refused as the caller's mistake, nothing overflows (the sanitizer
// builds see that), nothing is allocated.
TEST_P(ErrorLabels, ExtremeAttributes) {
  const auto instance = fullest();
  if (!instance) GTEST_SKIP() << "no cases";
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min(), kMost = std::numeric_limits<int64_t>::max();
  const auto tried = [&](const std::vector<Attribute>& attributes, std::string_view name) {
    try {
      make_node(op(), instance->operands, attributes);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument) << name << ": " << error.what();
    } catch (const std::exception& other) {
      ADD_FAILURE() << name << ": " << other.what();
    }
  };
  for (size_t i = 0; i < op().attributes.list.size(); ++i) {
    const AttributeSpec& spec = op().attributes.list[i];
    for (const int64_t extreme : {kLeast, kLeast + 1, -(int64_t{1} << 40), int64_t{-1}, int64_t{0}, int64_t{1} << 31,
                                  int64_t{1} << 47, int64_t{1} << 62, kMost - 1, kMost}) {
      auto attributes = instance->attributes;
      if (spec.kind == AttributeKind::kInt) {
        attributes[i] = extreme;
        tried(attributes, spec.name);
      }
      if (spec.kind != AttributeKind::kInts) continue;
      const Ints given = std::get<Ints>(attributes[i]);
      for (size_t k = 0; k < given.size(); ++k) {
        Ints changed = given;
        changed[k] = extreme;
        attributes[i] = changed;
        tried(attributes, spec.name);
      }
      for (const size_t length : {0, 1, 2, 9, 1000}) {
        attributes[i] = Ints(length, extreme);
        tried(attributes, spec.name);
      }
    }
    for (const double extreme : {-std::numeric_limits<double>::infinity(), -1e308, -1.0, 0.0, 5e-324, 1e308,
                                 std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
      auto attributes = instance->attributes;
      if (spec.kind != AttributeKind::kFloat) continue;
      attributes[i] = extreme;
      tried(attributes, spec.name);
    }
    if (spec.kind == AttributeKind::kString) {
      auto attributes = instance->attributes;
      for (const char* word : {"", "no_such_word"}) {
        attributes[i] = std::string(word);
        tried(attributes, spec.name);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, ErrorLabels, ::testing::ValuesIn(registered_ops()), OpName());

// The rules of control flow, one mistake each.
TEST(ControlFlow, EveryRuleIsBroken) {
  const auto graph = [](std::vector<TensorType> types, auto outputs) {
    std::vector<Value> in;
    for (const TensorType& t : types) in.push_back(parameter(t.dtype, t.shape));
    return Graph(in, outputs(in));
  };
  const auto same = [](const std::vector<Value>& in) { return in; };
  const auto nothing = [](const std::vector<Value>&) { return std::vector<Value>{}; };
  const auto flag = [](const std::vector<Value>&) {
    return std::vector<Value>{ops::constant(Literal::filled(boolean, {}, 1.0))};
  };
  const TensorType vector{f32, {2}}, other{f32, {3}};
  const Value p = parameter(boolean, {}), x = parameter(f32, {2}), many = parameter(boolean, {2});
  const Graph keep = graph({vector}, same), longer = graph({other}, same), none = graph({vector}, nothing);
  const Graph again = graph({vector}, flag);
  std::map<std::string, std::set<std::string>> broken;
  const auto refused = [&](const std::string& label, auto action) {
    SCOPED_TRACE(label);
    const auto error = error_of(action);
    if (!error) return;
    EXPECT_EQ(error->code(), Code::kInvalidArgument);
    EXPECT_EQ(error->rule(), label) << error->what();
    broken[label.substr(0, label.rfind("_c"))].insert(label);
  };
  refused("cond_c1", [&] { ops::cond(many, {x}, keep, keep); });
  refused("cond_c2", [&] { ops::cond(p, {x}, keep, longer); });
  refused("cond_c2", [&] { ops::cond(p, {x, x}, keep, keep); });
  refused("cond_c3", [&] { ops::cond(p, {x}, keep, again); });
  refused("cond_c3", [&] { ops::cond(p, {x}, none, none); });
  refused("while_loop_c1", [&] { ops::while_loop({x}, graph({other}, flag), keep); });
  refused("while_loop_c2", [&] { ops::while_loop({x}, keep, keep); });
  refused("while_loop_c2", [&] { ops::while_loop({x}, none, keep); });
  refused("while_loop_c3", [&] { ops::while_loop({x}, again, none); });
  refused("while_loop_c3", [&] { ops::while_loop({x}, again, again); });
  const Graph back = graph({vector, vector}, [](const auto& in) { return std::vector<Value>{in[1]}; });
  ops::segment({x}, keep, back, 1);
  refused("segment_c1", [&] { ops::segment({x}, longer, back, 1); });
  refused("segment_c1", [&] { ops::segment({x}, none, back, 1); });
  refused("segment_c2", [&] { ops::segment({x}, keep, keep, 1); });
  refused("segment_c3", [&] { ops::segment({x}, keep, back, 2); });
  refused("segment_gradient_c1", [&] { ops::segment_gradient({x}, longer, 1, 0); });
  refused("segment_gradient_c1", [&] { ops::segment_gradient({x}, none, 1, 0); });
  refused("segment_gradient_c2", [&] { ops::segment_gradient({x, x}, back, 1, 2); });
  refused("segment_gradient_c2", [&] { ops::segment_gradient({x, x}, back, -1, 1); });
  for (const OpDecl* op : registered_ops()) {
    if (op->kind.value != Kind::kControl) continue;
    EXPECT_EQ(broken[std::string(op->id())].size(), op->rules.list.size()) << "rules of " << op->id() << " not broken";
  }
}

TEST(ErrorLabelsTogether, AreUnique) {
  std::map<std::string, std::string_view> owner;
  for (const OpDecl* op : registered_ops()) {
    std::vector<std::string> labels{cat(op->id(), "_inputs")};
    for (size_t i = 1; i <= op->rules.list.size(); ++i) labels.push_back(cat(op->id(), "_c", i));
    for (size_t i = 1; i <= op->inputs.list.size(); ++i) labels.push_back(cat(op->id(), "_t", i));
    for (const std::string& label : labels) {
      EXPECT_TRUE(owner.emplace(label, op->id()).second)
          << label << " belongs to " << owner[label] << " and " << op->id();
    }
  }
}

TEST(ErrorLabelsTogether, CodesHaveDistinctNames) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(Code::kInternal); ++code) {
    EXPECT_TRUE(names.insert(code_name(static_cast<Code>(code))).second) << code_name(static_cast<Code>(code));
  }
}

}  // namespace
}  // namespace trireme::testing
