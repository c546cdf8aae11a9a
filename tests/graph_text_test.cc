// The text form of graphs: print and parse are inverse; what is not a graph is refused with line and column.
#include "trireme/ir/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <optional>

#include "trireme/base/strings.h"
#include "trireme/ops/ops.h"
#include "trireme/ops/value.h"

namespace trireme {
namespace {

using ::testing::HasSubstr;

void round_trip(const Graph& graph) {
  const std::string text = print(graph);
  const Graph parsed = parse_graph(text);
  EXPECT_EQ(print(parsed), text);
  EXPECT_TRUE(same_structure(parsed, graph)) << text;
  EXPECT_EQ(parsed.structural_hash(), graph.structural_hash()) << text;
  EXPECT_EQ(parsed.input_names(), graph.input_names());
  EXPECT_EQ(parsed.output_names(), graph.output_names());
}

TEST(GraphText, LooksLikeThis) {
  const Value x = parameter(f32, {2, 3});
  const Graph graph({x}, {ops::sum(ops::tan(x), {1})}, {"x"}, {"y"});
  EXPECT_EQ(print(graph),
            "graph trireme/1 {\n"
            "  %0 = parameter f32[2, 3] \"x\"\n"
            "  %1 = tan(%0)\n"
            "  %2 = sum(%1) {axes = [1], keepdims = false}\n"
            "  return %2 \"y\"\n"
            "}\n");
  round_trip(graph);
}

TEST(GraphText, KeepsUnusedInputsAndRepeatedOutputs) {
  const Value x = parameter(f32, {2}), unused = parameter(i8, {}), y = parameter(boolean, {0, 5});
  round_trip(Graph({x, unused, y}, {x, x + x, x}));
  round_trip(Graph({x}, {}));
  round_trip(Graph({}, {ops::scalar(f32, 1)}));
}

TEST(GraphText, LiteralsOfEveryTypeToTheBit) {
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  for (DType t : kAllDTypes) {
    std::vector<std::vector<double>> lists = {{0, 1}, {lowest(t), highest(t)}, std::vector<double>(100, 1)};
    if (is_float(t)) {
      lists.push_back({-0.0, 0.1});
      lists.push_back({infinity, -infinity});
      lists.push_back({nan, 1});
      lists.push_back({5e-324, 1e-40, 6e-8, 1.0 / 3.0});
    }
    for (const auto& values : lists) {
      const Shape shape{static_cast<int64_t>(values.size())};
      round_trip(Graph({}, {ops::constant(Literal::from_doubles(t, shape, values))}));
    }
    round_trip(Graph({}, {ops::constant(Literal::zeros(t, {0, 3}))}));
    round_trip(Graph({}, {ops::constant(Literal::zeros(t, {}))}));
  }
  const std::vector<uint64_t> wide{0, ~0ull, 1ull << 63, (1ull << 53) + 1};
  round_trip(Graph({}, {ops::constant(Literal::from(std::span<const uint64_t>(wide), Shape{4}))}));
  const std::vector<int64_t> narrow{std::numeric_limits<int64_t>::min(), -1, std::numeric_limits<int64_t>::max()};
  round_trip(Graph({}, {ops::constant(Literal::from(std::span<const int64_t>(narrow), Shape{3}))}));
}

TEST(GraphText, AttributesOfEveryKind) {
  const Value x = parameter(f32, {2, 3});
  for (const double value : {0.0, -0.0, 1.0, 0.1, 1e300, 5e-324, std::numeric_limits<double>::infinity()}) {
    round_trip(Graph({}, {ops::fill({2}, f32, value)}));
  }
  round_trip(Graph({x}, {ops::compare(x, x, "lt"), ops::convert(x, bf16), ops::reduce_sum(x, {}, true)}));
}

TEST(GraphText, SeveralOutputsAndAbsentInputs) {
  const Value x = parameter(f32, {5});
  const Values top = ops::top_k(x, 2);
  const Graph graph({x}, {top[1], top[0] + top[0]});
  EXPECT_THAT(print(graph), HasSubstr(".1"));
  round_trip(graph);
}

TEST(GraphText, GraphsInsideGraphs) {
  const Value s = parameter(f32, {2}), t = parameter(f32, {2});
  const Graph twice({s}, {s + s}), square({t}, {ops::mul(t, t)});
  const Value p = parameter(boolean, {}), x = parameter(f32, {2});
  const Graph graph({p, x}, {ops::cond(p, {x}, twice, square)[0]});
  round_trip(graph);
  const Value q = parameter(boolean, {}), z = parameter(f32, {2});
  round_trip(Graph({q, z}, {ops::cond(q, {z}, Graph({s}, {ops::exp(s)}), square)[0]}));
}

TEST(GraphText, NamesWithEveryCharacter) {
  const Value x = parameter(f32, {1});
  std::string odd;
  for (int c = 1; c < 256; ++c) odd += static_cast<char>(c);
  round_trip(Graph({x}, {x}, {odd}, {"\\n\"\n\t{}%"}));
  round_trip(Graph({x}, {x}, {""}, {" "}));
}

// --- refusals --------------------------------------------------------------------------------------------------------

std::optional<Error> refused(const std::string& text) {
  try {
    const Graph graph = parse_graph(text);
    ADD_FAILURE() << "accepted: " << text;
  } catch (const Error& error) {
    EXPECT_NE(error.code(), Code::kInternal) << error.what();
    return error;
  }
  return std::nullopt;
}

std::string program(const std::string& lines, const std::string& result = "%0") {
  return "graph trireme/1 {\n  %0 = parameter f32[2, 3] \"x\"\n" + lines + "  return " + result + "\n}\n";
}

TEST(GraphText, MistakesHaveLineAndColumn) {
  struct Mistake {
    std::string text, position, what;
    Code code;
  };
  const Mistake mistakes[] = {
      {program("  %1 = tann(%0)\n"), "line 3, column 8", "did you mean 'tan'?", Code::kNotFound},
      {program("  %1 = zzzzzzzzzzzzzz(%0)\n"), "line 3, column 8", "zzzzzzzzzzzzzz", Code::kNotFound},
      {program("  %1 = sum(%0) {axis = [1]}\n"), "line 3", "did you mean 'axes'?", Code::kDataLoss},
      {program("  %1 = convert(%0) {dtype = bff16}\n"), "line 3, column 29", "did you mean 'bf16'?",
       Code::kInvalidArgument},
      {program("  %1 = convert(%0)\n"), "line 3, column 8", "needs the attribute 'dtype'", Code::kDataLoss},
      {program("  %1 = add(%0, %7)\n"), "line 3", "%7 is used before it is defined", Code::kDataLoss},
      {program("  %1 = add(%0, %1)\n"), "line 3", "%1 is used before", Code::kDataLoss},
      {program("  %0 = tan(%0)\n"), "line ", "defined twice", Code::kDataLoss},
      {program("  %1 = tan(%0.1)\n"), "line 3", "no output 1", Code::kDataLoss},
      {program("  %1 = tan(%0.99999)\n"), "line 3", "too large", Code::kDataLoss},
      {program("  %1 = tan(%0, %0)\n"), "line 3, column 8", "takes 1", Code::kInvalidArgument},
      {program("  %1 = parameter f31[2]\n"), "line 3, column 18", "f31", Code::kInvalidArgument},
      {program("  %1 = parameter f32[-2]\n"), "line 3, column 21", "negative", Code::kInvalidArgument},
      {program("  %1 = parameter f32[1,1,1,1,1,1,1,1,1]\n"), "line 3", "at most 8", Code::kInvalidArgument},
      {program("  %1 = parameter f32[281474976710656, 2]\n"), "line 3", "2^48", Code::kInvalidArgument},
      {program("  %1 = parameter f32[99999999999999999999]\n"), "line 3", "integer", Code::kDataLoss},
      {program("  %1 = constant() {value = f32[2] {1}}\n"), "line 3", "number of elements", Code::kDataLoss},
      {program("  %1 = constant() {value = f32[281474976710656] {1}}\n"), "line 3", "shorter", Code::kDataLoss},
      {program("  %1 = constant() {value = f32[281474976710656] x\"00\"}\n"), "line 3", "shorter", Code::kDataLoss},
      {program("  %1 = constant() {value = f32[1] x\"0000zz00\"}\n"), "line 3", "hexadecimal", Code::kDataLoss},
      {program("  %1 = constant() {value = f32[1] x\"0000000000\"}\n"), "line 3", "longer", Code::kDataLoss},
      {program("  %1 = constant() {value = bool[1] x\"02\"}\n"), "line 3", "bool", Code::kDataLoss},
      {program("  %1 = reduce_sum(%0) {axes = [1.5]}\n"), "line 3", "expected", Code::kDataLoss},
      {program("  %1 = reduce_sum(%0) {keepdims = 1}\n"), "line 3", "false", Code::kDataLoss},
      {program("", "%0 \"y"), "line 5", "string without an end", Code::kDataLoss},
      {program("  %1 = parameter f32[]\n"), "line ", "name all inputs or none", Code::kDataLoss},
      {"", "line 1, column 1", "expected 'graph'", Code::kDataLoss},
      {"graph trireme/2 {", "line 1, column 15", "expected '1'", Code::kDataLoss},
      {program("") + "x", "line 5, column 1", "after the closing brace", Code::kDataLoss},
      {program("%"), "line 3", "expected", Code::kDataLoss},
  };
  for (const Mistake& mistake : mistakes) {
    SCOPED_TRACE(mistake.text);
    const auto error = refused(mistake.text);
    if (!error) continue;
    EXPECT_THAT(error->what(), HasSubstr("graph text, " + mistake.position));
    EXPECT_THAT(error->what(), HasSubstr(mistake.what));
    EXPECT_EQ(error->code(), mistake.code) << error->what();
  }
}

TEST(GraphText, BrokenRulesKeepTheirLabel) {
  const auto error = refused(program("  %1 = parameter f32[3] \"y\"\n  %2 = add(%0, %1)\n"));
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kInvalidArgument);
  EXPECT_EQ(error->rule(), "add_c1");
  EXPECT_THAT(error->what(), HasSubstr("graph text, line 4, column 8: [add_c1]"));
}

// Every prefix and every text with one character missing or changed is a graph or an Error, never anything else.
TEST(GraphText, DamagedTextIsRefusedCleanly) {
  const Value x = parameter(f32, {2, 3});
  const Values top = ops::top_k(x, 2);
  const std::string text =
      print(Graph({x}, {ops::sum(ops::tan(x) + 0.5, {1}), top[1], ops::fill({2}, f32, 0.25)}, {"x"}, {"a", "b", "c"}));
  int accepted = 0;
  const auto tried = [&](const std::string& damaged) {
    try {
      const Graph graph = parse_graph(damaged);
      EXPECT_EQ(print(parse_graph(print(graph))), print(graph));
      ++accepted;
    } catch (const Error& error) {
      EXPECT_NE(error.code(), Code::kInternal) << error.what() << "\n" << damaged;
    }
  };
  for (size_t i = 0; i < text.size(); ++i) {
    EXPECT_THROW(parse_graph(text.substr(0, i == text.size() - 1 ? i - 1 : i)), Error) << i;
    tried(text.substr(0, i) + text.substr(i + 1));
    for (const char c : {'0', '9', '-', '"', '[', '}', '%', ' ', 'a', '\0', '\xff'}) {
      std::string changed = text;
      changed[i] = c;
      tried(changed);
    }
  }
  EXPECT_GT(accepted, 0);
}

TEST(GraphText, NestingHasALimit) {
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "graph trireme/1 { %0 = cond() {then_graph = ";
  const auto error = refused(deep);
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), HasSubstr("nested"));
}

}  // namespace
}  // namespace trireme
