// Ways to compute a product: they give the same bits, the faster is measured once and kept, and whatever the file of
// choices holds, results are right.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cpu_chip.h"
#include "trireme/base/file.h"

namespace trireme::testing {
namespace {

using Json = nlohmann::json;

Value constant(const Literal& literal) {
  return op("constant", {}, {{"value", std::make_shared<const Literal>(literal)}});
}

constexpr const char* kVariable = "TRIREME_CPU_CHOICES";

class CpuChoice : public ::testing::Test {
 protected:
  ~CpuChoice() override { ::unsetenv(kVariable); }
  // A choices file of its own for each, because a file is read once.
  std::string use(const std::string& name, const std::string& content = {}) {
    const std::string path = folder_ / name;
    if (!content.empty()) write_file_atomically(path, content);
    ::setenv(kVariable, path.c_str(), 1);
    return path;
  }
  // The product of x [rows, inner] and known weights, with what follows it.
  Graph graph(const std::string& follows, bool whole = false) {
    std::mt19937 random(5);
    const Value x = parameter(f32, {1, kRows, kInner}), residual = parameter(f32, {1, kRows, kColumns});
    const Value w = constant(numbers({f32, {1, kInner, kColumns}}, random, whole));
    const Value bias = op("broadcast_to", {constant(numbers({f32, {kColumns}}, random, whole))},
                          {{"shape", Ints{1, kRows, kColumns}}});
    Value y = op("dot_general", {x, w});
    if (follows == "residual") return {{x, residual}, {op("add", {y, residual})}};
    if (follows != "nothing") y = op("add", {y, bias});
    if (follows == "gelu") y = op("gelu", {y});
    if (follows == "relu") {
      y = op("max", {y, op("fill", {}, {{"shape", Ints{1, kRows, kColumns}}, {"dtype", f32}, {"value", 0.0}})});
    }
    return {{x}, {y}};
  }
  Literal result(const Graph& graph) {
    std::mt19937 random(7);
    std::vector<Literal> inputs;
    for (const Value& v : graph.inputs()) inputs.push_back(numbers(v.type(), random, false));
    return run_on_chip(cpu_, graph, inputs).outputs.at(0);
  }
  // With whole numbers, whose sums are exact in any order.
  void expect_right_result() {
    std::mt19937 random(7);
    const Graph whole = graph("bias", true);
    std::vector<Literal> inputs = {numbers(whole.inputs()[0].type(), random, true)};
    expect_meaning(whole, inputs, run_on_chip(cpu_, whole, inputs).outputs);
  }
  static Literal numbers(const TensorType& type, std::mt19937& random, bool whole) {
    const Literal any = random_literal(type, random, -3, 3);
    if (!whole) return any;
    std::vector<double> rounded = any.to_doubles();
    for (double& each : rounded) each = std::round(each);
    return Literal::from_doubles(type.dtype, type.shape, rounded);
  }

  static constexpr int64_t kRows = 200, kInner = 1300, kColumns = 150;  // blocks and slices that are not whole
  const Cpu cpu_;
  const TemporaryFolder folder_;
};

TEST_F(CpuChoice, AllWaysGiveTheSameBits) {
  for (const char* follows : {"nothing", "bias", "relu", "gelu", "residual"}) {
    SCOPED_TRACE(follows);
    const std::string path = use(std::string("measured ") + follows);
    const Literal measured = result(graph(follows));
    Json file = Json::parse(read_file(path));
    ASSERT_EQ(file["choices"].size(), 1U) << file;
    for (const char* way : {"rows in place", "blocks"}) {
      for (auto& choice : file["choices"]) choice = way;
      const std::string given = use(std::string(way) + follows, file.dump());
      EXPECT_TRUE(result(graph(follows)).same_bytes(measured)) << way;
      EXPECT_EQ(Json::parse(read_file(given)), file) << "what is kept is not measured again";
    }
  }
}

TEST_F(CpuChoice, AFileThatHoldsNoChoicesIsReplaced) {
  const std::string measured = use("measured");
  expect_right_result();
  const Json good = Json::parse(read_file(measured));
  Json other_machine = good, other_format = good, no_way = good, no_text = good;
  other_machine["machine"] = "a machine of another maker";
  other_format["format"] = 99;
  for (auto& choice : no_way["choices"]) choice = "by hand";
  for (auto& choice : no_text["choices"]) choice = Json::array({1});
  const std::string bad[] = {"{",
                             "[]",
                             "null",
                             "\xff\xfe",
                             R"({"format": 1})",
                             R"({"format": 1, "choices": [3]})",
                             R"({"format": "1", "choices": {}, "machine": 4})",
                             std::string(1 << 16, '['),
                             other_machine.dump(),
                             other_format.dump(),
                             no_way.dump(),
                             no_text.dump()};
  for (size_t i = 0; i < std::size(bad); ++i) {
    SCOPED_TRACE(bad[i].substr(0, 80));
    const std::string path = use("bad" + std::to_string(i), bad[i]);
    expect_right_result();
    const Json file = Json::parse(read_file(path));
    EXPECT_EQ(file["machine"], good["machine"]);
    ASSERT_EQ(file["choices"].size(), 1U);
    for (const auto& choice : file["choices"]) EXPECT_TRUE(choice == "blocks" || choice == "rows in place") << choice;
  }
}

TEST_F(CpuChoice, WithoutAPlaceForTheFileResultsAreRight) {
  for (const char* path : {"/proc/no/such/folder/choices.json", "off"}) {
    ::setenv(kVariable, path, 1);
    expect_right_result();
  }
}

}  // namespace
}  // namespace trireme::testing
