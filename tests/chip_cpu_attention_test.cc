// Attention and its gradient on the cpu chip, whole, against the meaning of their parts.
//
// ctest: each-isa
#include <algorithm>
#include <limits>

#include "cpu_chip.h"

namespace trireme::testing {
namespace {

struct Form {
  const char* name;
  int64_t batch, heads, key_heads, queries, keys, width, value_width;
  bool causal = false;
  Shape mask = {};
  bool mask_is_bool = true;
  double scale = 0.0;
};

// The least queries of a group, vectors' edges, several panels and pieces of keys, and every kind of mask.
const Form kForms[] = {
    {"least", 1, 1, 1, 8, 1, 1, 1},
    {"odd", 2, 3, 3, 13, 7, 5, 9},
    {"wide", 1, 2, 2, 33, 40, 70, 33},
    {"pieces of keys", 1, 1, 1, 32, 500, 8, 8},
    {"grouped", 1, 6, 2, 9, 11, 4, 4},
    {"one position of many heads", 2, 16, 2, 1, 50, 8, 8},
    {"causal", 1, 2, 1, 40, 40, 8, 8, true},
    {"causal after a cache", 1, 2, 2, 9, 300, 8, 8, true},
    {"causal, early queries see nothing", 1, 2, 2, 70, 20, 4, 4, true},
    {"scale", 1, 2, 2, 16, 16, 4, 4, false, {}, true, -0.7},
    {"padding", 2, 2, 2, 12, 20, 4, 4, false, {2, 1, 1, 20}},
    {"any mask", 1, 2, 2, 35, 21, 4, 4, false, {35, 21}},
    {"mask by head, causal", 2, 2, 1, 9, 12, 4, 4, true, {2, 2, 9, 12}},
    {"added", 1, 2, 2, 12, 20, 4, 4, false, {1, 2, 12, 20}, false},
    {"added to all alike", 1, 2, 2, 12, 20, 4, 4, false, {1, 1}, false, -0.5},
};

Graph graph_of(const Form& form, DType type, bool gradient) {
  const Shape q{form.batch, form.heads, form.queries, form.width}, k{form.batch, form.key_heads, form.keys, form.width},
      v{form.batch, form.key_heads, form.keys, form.value_width},
      y{form.batch, form.heads, form.queries, form.value_width};
  std::vector<Value> inputs = {parameter(type, q), parameter(type, k), parameter(type, v)};
  if (gradient) inputs.insert(inputs.end(), {parameter(type, y), parameter(type, y)});
  if (form.mask.rank() > 0) inputs.push_back(parameter(form.mask_is_bool ? boolean : type, form.mask));
  const Value first =
      op(gradient ? "attention_gradient" : "attention", inputs, {{"causal", form.causal}, {"scale", form.scale}});
  std::vector<Value> outputs;
  for (uint32_t i = 0; i < first.node().outputs().size(); ++i) outputs.emplace_back(first.node(), i);
  return Graph(inputs, outputs);
}

class CpuAttention : public ::testing::TestWithParam<std::tuple<Form, DType, bool>> {};

TEST_P(CpuAttention, AgreesWithItsParts) {
  const auto& [form, type, gradient] = GetParam();
  const Cpu cpu;
  const Graph graph = graph_of(form, type, gradient);
  std::mt19937 random(5);
  std::vector<Literal> inputs;
  for (const Value& each : graph.inputs()) inputs.push_back(random_literal(each.type(), random));
  const TrmAnswer answer = [&] {
    std::vector<Literal> copy = inputs;
    return run_on_chip(cpu, graph, copy).answer;
  }();
  if (answer.verdict == TRM_NO && type == bf16) GTEST_SKIP() << answer.text;  // products on matrix tiles instead
  for (const Lie lie : {Lie::kDense, Lie::kExchanged, Lie::kMirrored}) {
    check(cpu, graph, inputs, lie, lie == Lie::kMirrored ? Lie::kDense : lie, 16);
  }
}

std::string name_of(const ::testing::TestParamInfo<CpuAttention::ParamType>& given) {
  const auto& [form, type, gradient] = given.param;
  std::string text = cat(form.name, gradient ? " gradient " : " ", name(type));
  std::replace_if(
      text.begin(), text.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return text;
}
INSTANTIATE_TEST_SUITE_P(Forms, CpuAttention,
                         ::testing::Combine(::testing::ValuesIn(kForms), ::testing::Values(f32, f16, bf16),
                                            ::testing::Bool()),
                         name_of);

TEST(CpuAttentionEdges, QueriesThatSeeNothingGiveZeroAndNaNStaysInItsQuery) {
  const Cpu cpu;
  const Form form{"", 1, 1, 1, 8, 5, 4, 4, false, {8, 5}};
  const Graph graph = graph_of(form, f32, false);
  std::mt19937 random(6);
  std::vector<Literal> inputs;
  for (const Value& each : graph.inputs()) inputs.push_back(random_literal(each.type(), random));
  auto* mask = static_cast<uint8_t*>(inputs[3].mutable_data());
  std::fill_n(mask, 40, uint8_t{1});
  std::fill_n(mask + 2 * 5, 5, uint8_t{0});
  static_cast<float*>(inputs[0].mutable_data())[3 * 4] = std::numeric_limits<float>::quiet_NaN();
  static_cast<float*>(inputs[0].mutable_data())[4 * 4] = std::numeric_limits<float>::infinity();
  const Ran ran = run_on_chip(cpu, graph, inputs);
  const auto y = ran.outputs.at(0).values<float>();
  for (size_t i = 0; i < y.size(); ++i) {
    if (i / 4 == 2) EXPECT_EQ(y[i], 0.0f) << i;
    else EXPECT_EQ(std::isnan(y[i]), i / 4 == 3 || i / 4 == 4) << i;
  }
}

TEST(CpuAttentionEdges, BitsDoNotDependOnTheLengthOfTheBatch) {
  const Cpu cpu;
  std::mt19937 random(7);
  const auto run = [&](int64_t batch, std::vector<Literal> inputs) {
    return run_on_chip(cpu, graph_of({"", batch, 2, 2, 20, 30, 8, 8}, f32, false), inputs).outputs.at(0);
  };
  std::vector<Literal> one, two;
  const Graph single = graph_of({"", 1, 2, 2, 20, 30, 8, 8}, f32, false);
  for (const Value& each : single.inputs()) {
    one.push_back(random_literal(each.type(), random));
    const auto values = one.back().to_doubles();
    std::vector<double> twice(values.begin(), values.end());
    twice.insert(twice.end(), values.begin(), values.end());
    Shape shape = each.shape();
    two.push_back(Literal::from_doubles(f32, {2, shape[1], shape[2], shape[3]}, twice));
  }
  const Literal a = run(1, one), b = run(2, two);
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.bytes()), 0);
  EXPECT_EQ(std::memcmp(a.data(), static_cast<const std::byte*>(b.data()) + a.bytes(), a.bytes()), 0);
}

}  // namespace
}  // namespace trireme::testing
