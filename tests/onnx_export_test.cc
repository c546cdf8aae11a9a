// ONNX export: every case of every op is exported, imported again, and computed by the reference evaluator; it must
// give what the op gives. What cannot be exported is named here. Whole models: what the file says, names, control flow,
// external data.
//
// ctest: timeout=600
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "op_case.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/formats/npy.h"
#include "trireme/formats/onnx/exporter.h"
#include "trireme/formats/onnx/model.h"
#include "trireme/ops/ops.h"
#include "trireme/ops/value.h"
#include "trireme/reference/accuracy.h"
#include "trireme/reference/evaluator.h"
#include "trireme/tensor/tensor.h"

namespace trireme::testing {
namespace {

namespace onnx = formats::onnx;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

formats::Imported imported(const std::string& bytes, const std::vector<Literal>& inputs,
                           const std::string& folder = {}) {
  const auto model = onnx::Model::parse(std::as_bytes(std::span(bytes.data(), bytes.size())), "exported.onnx", folder);
  std::vector<formats::Binding> bindings;
  for (const Literal& each : inputs) bindings.emplace_back(formats::HostValue(each));
  return model.import(
      bindings, [](const Graph& graph, std::span<const Literal> values) { return reference::evaluate(graph, values); });
}

// --- every op ------------------------------------------------------------------------------------------------------

class OnnxExport : public ::testing::TestWithParam<const OpDecl*> {};

// With TRIREME_EXPORT set to a folder, each case is also kept there, for another runtime to check
// (bench/peers/onnx_runtime_check.py). Not those with bf16, which .npy files do not know.
void keep(const std::string& name, const std::string& bytes, const std::vector<Literal>& inputs,
          const std::vector<Literal>& outputs) {
  const char* folder = std::getenv("TRIREME_EXPORT");
  const auto unknown = [](const Literal& each) { return each.dtype() == bf16; };
  if (folder == nullptr || std::any_of(inputs.begin(), inputs.end(), unknown) ||
      std::any_of(outputs.begin(), outputs.end(), unknown)) {
    return;
  }
  std::string file;
  for (const char c : name) file += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  const std::string place = cat(folder, "/", file);
  std::filesystem::create_directories(place);
  write_file_atomically(place + "/model.onnx", bytes);
  for (size_t i = 0; i < inputs.size(); ++i) formats::write_npy(cat(place, "/input_", i, ".npy"), inputs[i]);
  for (size_t k = 0; k < outputs.size(); ++k) formats::write_npy(cat(place, "/output_", k, ".npy"), outputs[k]);
}

TEST_P(OnnxExport, ComesBackTheSame) {
  int compared = 0, refused = 0;
  for (const OpCase& given : cases_of(*GetParam())) {
    SCOPED_TRACE(given.name());
    const Instance instance = instantiate(given);
    const Graph graph = instance.graph();
    std::string bytes;
    try {
      bytes = onnx::to_onnx(graph);
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), Code::kUnsupported) << error.what();
      EXPECT_THAT(error.what(), HasSubstr("cannot export the op bitcast")) << "nothing else may be out of reach";
      ++refused;
      continue;
    }
    std::vector<Evaluated> inputs;
    for (const Literal& each : instance.inputs) inputs.push_back(reference::to_evaluated(each));
    const auto expected = reference::expect(graph, inputs);
    try {
      const formats::Imported back = imported(bytes, instance.inputs);
      const auto got = reference::evaluate(back.graph, instance.inputs);
      ASSERT_EQ(got.size(), expected.values.size());
      std::vector<Literal> outputs;
      for (size_t k = 0; k < got.size(); ++k) {
        ASSERT_EQ(got[k].dtype(), graph.outputs()[k].dtype());
        ASSERT_EQ(got[k].shape(), graph.outputs()[k].shape());
        const auto off = reference::compare(expected.values[k], expected.bounds[k], got[k]);
        if (off) ADD_FAILURE() << "output " << k << ": " << off->text(got[k].elements());
        outputs.push_back(reference::to_literal(expected.values[k]));
      }
      keep(given.name(), bytes, instance.inputs, outputs);
      ++compared;
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
    }
  }
  if (compared == 0 && refused > 0) GTEST_SKIP() << "made of bitcast, which ONNX does not have";
}

INSTANTIATE_TEST_SUITE_P(Ops, OnnxExport, ::testing::ValuesIn(registered_ops()),
                         [](const auto& info) { return std::string(info.param->id()); });

// --- whole models --------------------------------------------------------------------------------------------------

std::vector<double> computed(const std::string& bytes, const std::vector<Literal>& inputs, size_t output = 0,
                             const std::string& folder = {}) {
  return reference::evaluate(imported(bytes, inputs, folder).graph, inputs)[output].to_doubles();
}

onnx::Model parse(const std::string& bytes) {
  return onnx::Model::parse(std::as_bytes(std::span(bytes.data(), bytes.size())), "exported.onnx");
}

TEST(OnnxExportModel, KeepsNamesAndUsesTheOperatorsOfItsKind) {
  const Value x = parameter(f32, {1, 3, 8, 8});
  const Value w = ops::constant(Literal::filled(f32, {4, 3, 3, 3}, 0.1)), b = ops::constant(Literal::zeros(f32, {4}));
  const Value mean = ops::constant(Literal::filled(f32, {4}, 0.5)), one = ops::constant(Literal::filled(f32, {4}, 1.0));
  const Value conv = ops::conv2d(x, w, b, {1}, {1});
  const Value hidden = ops::relu(ops::batch_norm_inference(conv, mean, one, one, b));
  const Value pooled = ops::max_pool2d(hidden, {2});
  const Value flat = ops::flatten(pooled, 1);
  const Value y = ops::softmax(ops::linear(flat, ops::constant(Literal::filled(f32, {5, 64}, 0.01))));
  const std::string bytes = onnx::to_onnx(Graph({x}, {y, hidden}, {"image"}, {"probabilities", "hidden"}));
  const onnx::Model model = parse(bytes);
  EXPECT_EQ(model.inputs().at(0).text(), "float[1, 3, 8, 8]");
  EXPECT_EQ(model.inputs().at(0).name, "image");
  EXPECT_EQ(model.outputs().at(0).name, "probabilities");
  EXPECT_EQ(model.outputs().at(1).name, "hidden");
  EXPECT_THAT(model.operators(),
              ElementsAre("Conv", "BatchNormalization", "Relu", "MaxPool", "Reshape", "Gemm", "Softmax"))
      << "and no copy for the outputs";
}

TEST(OnnxExportModel, OutputsThatAreInputsConstantsOrTwiceTheSame) {
  const Value x = parameter(f32, {2}), y = x * 2.0;
  const std::string bytes = onnx::to_onnx(Graph({x}, {x, ops::constant(Literal::filled(f32, {2}, 7)), y, y}));
  const std::vector<Literal> inputs = {Literal::filled(f32, {2}, 3)};
  const std::vector<double> first = {3, 7, 6, 6};
  for (size_t k = 0; k < 4; ++k) EXPECT_EQ(computed(bytes, inputs, k)[0], first[k]);
}

// The graphs of a cond share a constant with the graph around it, which must stay visible.
TEST(OnnxExportModel, Cond) {
  const Value p = parameter(boolean, {}), x = parameter(f32, {2}), a = parameter(f32, {2}), b = parameter(f32, {2});
  const Value shared = ops::fill({2}, f32, 5.0);
  const Graph yes({a}, {a + shared, a}), no({b}, {ops::mul(b, b), shared});
  const Values out = ops::cond(p, {x}, yes, no);
  const std::string bytes = onnx::to_onnx(Graph({p, x}, {out[0] + shared, out[1]}));
  for (const bool taken : {true, false}) {
    const std::vector<Literal> inputs = {Literal::filled(boolean, {}, taken), Literal::filled(f32, {2}, 3)};
    EXPECT_EQ(computed(bytes, inputs, 0)[1], taken ? 13 : 14);
    EXPECT_EQ(computed(bytes, inputs, 1)[1], taken ? 3 : 5);
  }
}

TEST(OnnxExportModel, WhileLoop) {
  // Fibonacci: (a, b, n) -> (b, a + b, n - 1).
  const auto state = [] { return std::vector<Value>{parameter(f32, {}), parameter(f32, {}), parameter(i32, {})}; };
  const auto c = state(), b = state(), start = state();
  const Graph condition(c, {ops::compare(c[2], ops::scalar(i32, 0), "gt")});
  const Graph body(b, {b[1], b[0] + b[1], b[2] - 1.0});
  const Values out = ops::while_loop(start, condition, body);
  const std::string bytes = onnx::to_onnx(Graph(start, {out[0], out[2]}));
  for (const auto& [rounds, expected] : {std::pair(0, 0.0), {1, 1.0}, {10, 55.0}}) {
    const std::vector<Literal> inputs = {Literal::filled(f32, {}, 0), Literal::filled(f32, {}, 1),
                                         Literal::filled(i32, {}, rounds)};
    EXPECT_EQ(computed(bytes, inputs)[0], expected) << rounds << " rounds";
  }
}

TEST(OnnxExportModel, WhatOnnxLacksIsNamedWithItsLine) {
  const Value x = parameter(f32, {2});
  const SourceScope line("model.cc", 17);
  try {
    onnx::to_onnx(Graph({x}, {ops::bitcast(x, i32)}));
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnsupported);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("bitcast"), HasSubstr("model.cc:17"), HasSubstr("opset 21")));
  }
}

// More weights than one file is given: they lie beside it.
TEST(OnnxExportModel, LargeWeightsAreExternal) {
  const std::string folder = cat(::testing::TempDir(), "onnx_export_large");
  std::filesystem::create_directories(folder);
  std::vector<double> numbers(5000);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<double>(i);
  const Value x = parameter(i32, {1}), table = ops::constant(Literal::from_doubles(f32, {5000}, numbers));
  const Graph graph({x}, {ops::gather(table, x) + ops::constant(Literal::filled(f32, {1}, 0.5))});
  const std::string path = folder + "/model.onnx";
  onnx::save_onnx(graph, path, 10000);
  EXPECT_LT(std::filesystem::file_size(path), 4096u);
  EXPECT_GE(std::filesystem::file_size(path + ".data"), 20004u);
  const std::vector<Literal> inputs = {Literal::filled(i32, {1}, 1234)};
  EXPECT_EQ(computed(read_file(path), inputs, 0, folder)[0], 1234.5);
  EXPECT_THROW(computed(read_file(path), inputs), Error) << "external data without a folder";
  onnx::save_onnx(graph, folder + "/one.onnx");
  EXPECT_FALSE(std::filesystem::exists(folder + "/one.onnx.data"));
  EXPECT_EQ(computed(read_file(folder + "/one.onnx"), inputs)[0], 1234.5);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace trireme::testing
