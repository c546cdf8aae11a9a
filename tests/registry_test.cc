// The table of ops: complete, sorted, findable; mistakes name the nearest op.
#include "trireme/ir/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>

#include "op_case.h"
#include "trireme/base/strings.h"

namespace trireme {
namespace {

using ::testing::HasSubstr;

TEST(Registry, SortedAndUnique) {
  const auto ops = all_ops();
  ASSERT_FALSE(ops.empty());
  for (size_t i = 1; i < ops.size(); ++i) EXPECT_LT(ops[i - 1]->id(), ops[i]->id());
}

TEST(Registry, FindsEveryOp) {
  for (const OpDecl* op : all_ops()) {
    EXPECT_EQ(find_op(op->id()), op);
    EXPECT_EQ(&get_op(op->id()), op);
  }
  EXPECT_EQ(find_op("no_such_op"), nullptr);
  EXPECT_EQ(find_op(""), nullptr);
}

TEST(Registry, UnknownNamesGetTheNearest) {
  // Each op with one letter lost is answered with an op at that distance.
  for (const OpDecl* op : all_ops()) {
    const std::string name(op->id());
    if (name.size() < 4) continue;
    const std::string typo = name.substr(0, name.size() / 2) + name.substr(name.size() / 2 + 1);
    if (find_op(typo) != nullptr) continue;
    try {
      get_op(typo);
      ADD_FAILURE() << typo;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kNotFound);
      EXPECT_THAT(error.what(), HasSubstr("'" + typo + "'"));
      EXPECT_THAT(error.what(), HasSubstr("did you mean '"));
    }
  }
  try {
    get_op("qqqqqqqqqqqqqqqqqqqqqqqqqqqqqq");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("trireme ops"));
  }
}

// One op, one file: the registry and the folder of declarations hold the same names.
TEST(Registry, EveryDeclarationIsInstalled) {
  const std::filesystem::path root = std::filesystem::path(TRIREME_SOURCE_DIR) / "trireme" / "ops";
  std::map<std::string, std::string> families;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    const std::string file = entry.path().filename().string();
    if (!file.ends_with(".op.cc")) continue;
    families[file.substr(0, file.size() - 6)] = entry.path().parent_path().filename().string();
  }
  EXPECT_EQ(families.size(), all_ops().size());
  for (const auto& [name, family] : families) {
    const OpDecl* op = find_op(name);
    ASSERT_NE(op, nullptr) << name;
    EXPECT_EQ(op->family, family) << name;
    EXPECT_EQ(op->is_composite(), family != "primitives") << name;
  }
}

TEST(Registry, HoldsWhatTrainingNeeds) {
  std::map<Tier, int> count;
  for (const OpDecl* op : all_ops()) ++count[op->tier.value];
  EXPECT_EQ(count[Tier::kBringUp], 19);
  EXPECT_GE(count[Tier::kComposite], 120);
}

// --- the case language -----------------------------------------------------------------------------------------------

TEST(OpCase, TypesAndRanges) {
  const OpDecl& gather = get_op("gather");
  const auto given = testing::parse_case(gather, "[5,3] i64[2,2]:-3..7 axis=1", f16);
  ASSERT_EQ(given.operands.size(), 2u);
  EXPECT_EQ(given.operands[0].type, (TensorType{f16, {5, 3}}));
  EXPECT_EQ(given.operands[1].type, (TensorType{i64, {2, 2}}));
  EXPECT_EQ(given.operands[1].low, -3.0);
  EXPECT_EQ(given.operands[1].high, 7.0);
  EXPECT_EQ(std::get<int64_t>(given.attributes[0]), 1);
  EXPECT_TRUE(given.uses_dtype);
  EXPECT_EQ(testing::cases_of(gather, "[5,3] i64[2,2]").size(), std::size(kAllDTypes));
  EXPECT_EQ(testing::cases_of(gather, "f32[5,3] i64[2,2]").size(), 1u);
  EXPECT_EQ(testing::parse_case(gather, "[5] [2]", boolean).operands[1].type.dtype, i32) << "the first type it allows";
}

TEST(OpCase, ValuesStayInTheirRange) {
  for (const OpDecl* op : all_ops()) {
    for (const auto& given : testing::cases_of(*op)) {
      const auto instance = testing::instantiate(given);
      const auto again = testing::instantiate(given);
      size_t at = 0;
      for (const auto& operand : given.operands) {
        if (operand.absent) continue;
        const Literal& literal = instance.inputs[at];
        EXPECT_TRUE(literal.same_bytes(again.inputs[at++])) << "the same case, the same values: " << given.name();
        if (operand.type.dtype == boolean) continue;
        for (const double v : literal.to_doubles()) {
          EXPECT_GE(v, std::max(operand.low, lowest(operand.type.dtype)) - 0.01) << given.name();
          EXPECT_LE(v, std::max(operand.high, 0.0) + 0.01) << given.name();
        }
      }
    }
  }
}

TEST(OpCase, NonsenseIsRefused) {
  const OpDecl& gather = get_op("gather");
  for (const char* text : {"[5,3] i32[2] axs=1", "[5,3] i32[2] axis=one", "[5,3] i32[2] axis=", "[5,3] i32[2] i32[2]",
                           "[5,3] _", "[5,3", "[5,x] i32[2]", "q32[5] i32[2]", "[5,3] i32[2]:5..1", "[5,3] i32[2]:5",
                           "garbage i32[2]", "[5,3] i32[2] axis=1.5"}) {
    EXPECT_ANY_THROW(testing::parse_case(gather, text, f32)) << text;
  }
  EXPECT_ANY_THROW(testing::parse_case(get_op("convert"), "[2]", f32)) << "a required attribute is missing";
  EXPECT_ANY_THROW(testing::parse_reject(gather, "[5,3] i32[2]")) << "no rule number";
  EXPECT_EQ(testing::parse_reject(gather, "12: [5,3] i32[2]").rule, 12);
}

}  // namespace
}  // namespace trireme
