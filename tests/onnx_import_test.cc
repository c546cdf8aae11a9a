// ONNX files: small models written here by an independent writer, sound and hostile ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <span>

#include "onnx_writer.h"
#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/formats/onnx/model.h"
#include "trireme/formats/session.h"
#include "trireme/reference/evaluator.h"
#include "trireme/tensor/tensor.h"

namespace trireme::formats::onnx {
namespace {

using namespace onnx_writer;  // NOLINT: short names for what this file is about
using testing::AllOf;
using testing::HasSubstr;

Model parse(const std::string& bytes, const std::string& folder = {}) {
  return Model::parse(std::as_bytes(std::span(bytes.data(), bytes.size())), "test.onnx", folder);
}

HostValue floats_of(const std::vector<float>& values, const Shape& shape) {
  return HostValue(Literal::from(std::span<const float>(values), shape));
}
HostValue ints_of(const std::vector<int64_t>& values, const Shape& shape) {
  return HostValue(Literal::from(std::span<const int64_t>(values), shape));
}

std::vector<double> run_one(const std::string& bytes, const std::map<std::string, HostValue>& inputs) {
  Session session(parse(bytes));
  return session.run(inputs).at(0).tensor.to_doubles();
}

template <class F>
void expect_error(F action, Code code, const testing::Matcher<std::string>& message) {
  try {
    action();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(std::string(error.what()), message);
  }
}

const GraphParts kAdd = {{node("Add", {"x", "w"}, {"y"})},
                         {value("x", kFloat, {2, 3})},
                         {value("y", kFloat, {2, 3})},
                         {tensor("w", kFloat, {3}, raw<float>({10, 20, 30}))}};

TEST(OnnxImport, AnInitializerIsAConstant) {
  EXPECT_EQ(run_one(model(kAdd), {{"x", floats_of({1, 2, 3, 4, 5, 6}, {2, 3})}}),
            (std::vector<double>{11, 22, 33, 14, 25, 36}));
}

TEST(OnnxImport, AnInputWithADefaultMayBeGiven) {
  GraphParts parts = kAdd;
  parts.inputs.push_back(value("w", kFloat, {3}));
  const HostValue x = floats_of({1, 2, 3, 4, 5, 6}, {2, 3});
  EXPECT_EQ(run_one(model(parts), {{"x", x}})[0], 11);
  EXPECT_EQ(run_one(model(parts), {{"x", x}, {"w", floats_of({100, 0, 0}, {3})}})[0], 101);
}

TEST(OnnxImport, FreeSizesMakeAGraphPerShape) {
  GraphParts parts = kAdd;
  parts.inputs = {value("x", kFloat, {-1, 3})};
  Session session(parse(model(parts)));
  for (int64_t rows : {1, 4, 1, 4}) {
    const auto y = session.run({{"x", floats_of(std::vector<float>(static_cast<size_t>(rows * 3), 1.0F), {rows, 3})}});
    EXPECT_EQ(y[0].tensor.shape(), Shape({rows, 3}));
  }
  EXPECT_EQ(session.imports(), 2);
}

TEST(OnnxImport, AShapeThatComesInAsAValueIsGuarded) {
  const GraphParts parts = {{node("Reshape", {"x", "s"}, {"r"}), node("Neg", {"r"}, {"y"})},
                            {value("x", kFloat, {6}), value("s", kInt64, {2})},
                            {value("y", kFloat, {-1, -1})},
                            {}};
  Session session(parse(model(parts)));
  const HostValue x = floats_of({1, 2, 3, 4, 5, 6}, {6});
  for (const auto& [rows, imports] : std::vector<std::pair<int64_t, int>>{{2, 1}, {2, 1}, {3, 2}, {2, 2}}) {
    const auto y = session.run({{"x", x}, {"s", ints_of({rows, -1}, {2})}});
    EXPECT_EQ(y[0].tensor.shape(), Shape({rows, 6 / rows}));
    EXPECT_EQ(y[0].tensor.at(5), -6);
    EXPECT_EQ(session.imports(), imports);
  }
  expect_error(
      [&] {
        parse(model(parts)).import({Binding(x), Binding::of_type(Elem::kInt64, {2})});
      },
      Code::kUnsupported, AllOf(HasSubstr("my_Reshape"), HasSubstr("input 's'")));
}

TEST(OnnxImport, ShapeArithmeticIsFolded) {
  // Reshape(x, Concat(Gather(Shape(x), 0), [-1])): what exporters write for "flatten all but the batch".
  const GraphParts parts = {
      {node("Shape", {"x"}, {"shape"}), node("Gather", {"shape", "zero"}, {"batch"}),
       node("Unsqueeze", {"batch", "axis"}, {"row"}),
       node("Concat", {"row", "rest"}, {"target"}, {attribute("axis", 0)}), node("Reshape", {"x", "target"}, {"y"})},
      {value("x", kFloat, {-1, 2, 3})},
      {value("y", kFloat, {-1, 6})},
      {tensor("zero", kInt64, {}, raw<int64_t>({0})), tensor("axis", kInt64, {1}, raw<int64_t>({0})),
       tensor("rest", kInt64, {1}, raw<int64_t>({-1}))}};
  const Imported imported = parse(model(parts)).import_with(4);
  EXPECT_TRUE(imported.guards.empty());
  EXPECT_EQ(imported.graph.outputs()[0].shape(), Shape({4, 6}));
  EXPECT_EQ(imported.graph.nodes().size(), 2U) << "a parameter and one reshape";
}

// The branch taken depends on a value at run time: one graph serves both.
TEST(OnnxImport, IfRunsTheBranchThatTheConditionNames) {
  const auto branch = [](std::string_view op) {
    return graph({{node(op, {"x", "w"}, {"out"})}, {}, {value("out", kFloat, {2})}, {}});
  };
  const GraphParts parts = {
      {node("If", {"c"}, {"y"}, {attribute("then_branch", branch("Add")), attribute("else_branch", branch("Sub"))})},
      {value("c", kBool, {}), value("x", kFloat, {2})},
      {value("y", kFloat, {2})},
      {tensor("w", kFloat, {2}, raw<float>({1, 2}))}};
  Session session(parse(model(parts)));
  const auto y = [&](bool c) {
    return session.run({{"c", HostValue(Literal::scalar<bool>(c))}, {"x", floats_of({5, 5}, {2})}})[0]
        .tensor.to_doubles();
  };
  EXPECT_EQ(y(true), (std::vector<double>{6, 7}));
  EXPECT_EQ(y(false), (std::vector<double>{4, 3}));
  EXPECT_EQ(session.imports(), 1);
}

TEST(OnnxImport, LoopCarriesAndGathers) {
  const Message body = graph(
      {{node("Add", {"a", "x"}, {"next"}), node("Identity", {"c"}, {"go"}), node("Mul", {"next", "next"}, {"square"})},
       {value("i", kInt64, {}), value("c", kBool, {}), value("a", kFloat, {2})},
       {value("go", kBool, {}), value("next", kFloat, {2}), value("square", kFloat, {2})},
       {}});
  const GraphParts parts = {
      {node("Loop", {"n", "", "start"}, {"last", "squares"}, {attribute("body", body)})},
      {value("x", kFloat, {2})},
      {value("last", kFloat, {2}), value("squares", kFloat, {3, 2})},
      {tensor("n", kInt64, {}, raw<int64_t>({3})), tensor("start", kFloat, {2}, raw<float>({0, 1}))}};
  Session session(parse(model(parts)));
  const auto out = session.run({{"x", floats_of({1, 2}, {2})}});
  EXPECT_EQ(out[0].tensor.to_doubles(), (std::vector<double>{3, 7}));
  EXPECT_EQ(out[1].tensor.to_doubles(), (std::vector<double>{1, 9, 4, 25, 9, 49}));
}

Message function(std::string_view name, const Message& body) {  // x -> y
  return Message()
      .bytes(1, name)
      .bytes(4, "x")
      .bytes(5, "y")
      .message(7, body)
      .bytes(10, "mine")
      .message(9, Message().bytes(1, "").number(2, 17))
      .message(9, Message().bytes(1, "mine").number(2, 1))
      .bytes(6, "slope");
}

TEST(OnnxImport, AFunctionTakesTheCallersAttributes) {
  const Message body = node("LeakyRelu", {"x"}, {"y"}, {Message().bytes(1, "alpha").bytes(21, "slope").number(20, 1)});
  const GraphParts parts = {
      {node("Leaky", {"a"}, {"b"}, {Message().bytes(1, "slope").real(2, 0.5F).number(20, 1)}, "mine")},
      {value("a", kFloat, {2})},
      {value("b", kFloat, {2})},
      {}};
  EXPECT_EQ(run_one(model(parts, 17, {function("Leaky", body)}), {{"a", floats_of({-4, 4}, {2})}}),
            (std::vector<double>{-2, 4}));
}

// --- versions ---

TEST(OnnxImport, TheOpsetDecidesWhatAnOperatorMeans) {
  // Softmax works on all axes from the first on until opset 12, on the last one from 13.
  const GraphParts parts = {
      {node("Softmax", {"x"}, {"y"})}, {value("x", kFloat, {1, 2, 2})}, {value("y", kFloat, {1, 2, 2})}, {}};
  const HostValue zero = floats_of({0, 0, 0, 0}, {1, 2, 2});
  EXPECT_EQ(run_one(model(parts, 12), {{"x", zero}})[0], 0.25);
  EXPECT_EQ(run_one(model(parts, 13), {{"x", zero}})[0], 0.5);
}

TEST(OnnxImport, WhatIsNotKnownIsNamed) {
  GraphParts parts = kAdd;
  parts.nodes = {node("Convv", {"x", "w"}, {"y"})};
  expect_error([&] { parse(model(parts)).import_with(1); }, Code::kUnsupported,
               AllOf(HasSubstr("my_Convv"), HasSubstr("opset 17"), HasSubstr("the nearest one that is: Conv")));
  parts.nodes = {node("Upsample", {"x", "w"}, {"y"})};
  expect_error([&] { parse(model(parts)).import_with(1); }, Code::kUnsupported,
               AllOf(HasSubstr("opset 17 of Upsample"), HasSubstr("supported: 1-9")));
  expect_error([&] { parse(model(kAdd, 99)).import_with(1); }, Code::kUnsupported,
               AllOf(HasSubstr("my_Add"), HasSubstr("opset 99"), HasSubstr("1-27")));
}

TEST(OnnxImport, AnInputThatDoesNotFitIsRefused) {
  Session session(parse(model(kAdd)));
  expect_error(
      [&] {
        session.run({{"x", floats_of({1, 2}, {2})}});
      },
      Code::kInvalidArgument, AllOf(HasSubstr("'x'"), HasSubstr("float[2, 3]")));
  expect_error(
      [&] {
        session.run({{"x", ints_of({1, 2, 3, 4, 5, 6}, {2, 3})}});
      },
      Code::kInvalidArgument, HasSubstr("int64"));
  expect_error([&] { session.run({{"xx", floats_of({1}, {1})}}); }, Code::kNotFound, HasSubstr("did you mean 'x'"));
  expect_error([&] { session.run({}); }, Code::kInvalidArgument, HasSubstr("'x'"));
}

// --- hostile files ---

TEST(OnnxImport, APrefixOfAFileIsRefused) {
  const std::string whole = model(kAdd);
  size_t sound = 0;
  for (size_t size = 0; size < whole.size(); ++size) {
    try {
      parse(whole.substr(0, size)).import_with(1);
      ++sound;
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == Code::kDataLoss || error.code() == Code::kUnsupported)
          << size << ": " << error.what();
    }
  }
  // Only where a field ends can a prefix be a model of its own: after the graph (then at opset 1) and the opset.
  EXPECT_LE(sound, 2U);
}

TEST(OnnxImport, TensorsThatLieAboutTheirSizeAreRefused) {
  const auto with = [](const Message& weights) {
    GraphParts parts = kAdd;
    parts.initializers = {weights};
    return model(parts);
  };
  const auto refuse = [&](const Message& weights, const std::string& part) {
    expect_error([&] { parse(with(weights)).import_with(1); }, Code::kDataLoss,
                 AllOf(HasSubstr("'w'"), HasSubstr(part)));
  };
  refuse(tensor("w", kFloat, {4}, raw<float>({1, 2, 3})), "needs 16 bytes");
  refuse(tensor("w", kFloat, {-3}, raw<float>({1, 2, 3})), "-3");
  refuse(tensor("w", kFloat, {int64_t{1} << 40, int64_t{1} << 40}, ""), "1099511627776");
  refuse(Message().number(1, 3).number(2, kFloat).bytes(8, "w"), "needs 3 entries; the file has 0");
  refuse(tensor("w", 0, {3}, raw<float>({1, 2, 3})), "no element type");
  expect_error(
      [&] {
        parse(with(tensor("w", 14, {1}, raw<float>({1, 2})))).import_with(1);
      },
      Code::kUnsupported, HasSubstr("complex64"));
}

TEST(OnnxImport, NodesInACircleAreRefused) {
  GraphParts parts = kAdd;
  parts.nodes = {node("Add", {"x", "b"}, {"a"}), node("Add", {"a", "x"}, {"b"}), node("Neg", {"b"}, {"y"})};
  expect_error(
      [&] { parse(model(parts)).import_with(1); }, Code::kDataLoss,
      AllOf(HasSubstr("my_Add"), HasSubstr("form a cycle"), testing::AnyOf(HasSubstr("'a'"), HasSubstr("'b'"))));
}

// The format asks for makers before users; files that have them otherwise are sorted, subgraphs included.
TEST(OnnxImport, NodesMayLieInAnyOrder) {
  GraphParts parts = kAdd;
  parts.nodes = {node("Neg", {"c"}, {"y"}), node("Add", {"a", "b"}, {"c"}), node("Add", {"x", "w"}, {"a"}),
                 node("Mul", {"a", "w"}, {"b"})};
  EXPECT_EQ(run_one(model(parts), {{"x", floats_of({1, 2, 3, 4, 5, 6}, {2, 3})}}),
            (std::vector<double>{-121, -462, -1023, -154, -525, -1116}));
}

TEST(OnnxImport, AFunctionThatCallsItselfIsRefused) {
  const GraphParts parts = {
      {node("Again", {"a"}, {"b"}, {}, "mine")}, {value("a", kFloat, {2})}, {value("b", kFloat, {2})}, {}};
  const std::string bytes = model(parts, 17, {function("Again", node("Again", {"x"}, {"y"}, {}, "mine"))});
  expect_error([&] { parse(bytes).import_with(1); }, Code::kUnsupported, HasSubstr("calls itself"));
}

TEST(OnnxImport, AHugeValueBehindAShapeIsRefused) {
  // A tensor of 2^40 elements costs nothing while nobody needs its elements.
  const GraphParts parts = {
      {node("ConstantOfShape", {"s"}, {"big"}), node("ReduceSum", {"big"}, {"sum"}, {attribute("keepdims", 0)}),
       node("Cast", {"sum"}, {"whole"}, {attribute("to", 7)}), node("Unsqueeze", {"whole", "zero"}, {"n"}),
       node("ConstantOfShape", {"n"}, {"y"})},
      {},
      {value("y", kFloat, {-1})},
      {tensor("s", kInt64, {2}, raw<int64_t>({int64_t{1} << 20, int64_t{1} << 20})),
       tensor("zero", kInt64, {1}, raw<int64_t>({0}))}};
  expect_error([&] { parse(model(parts)).import_with(1); }, Code::kUnsupported, HasSubstr("elements to compute"));
}

class ExternalData : public testing::Test {
 protected:
  std::string with(const std::string& location, int64_t offset = 4) {
    const auto entry = [](std::string_view key, const std::string& value) {
      return Message().bytes(1, key).bytes(2, value);
    };
    GraphParts parts = kAdd;
    parts.initializers = {Message()
                              .number(1, 3)
                              .number(2, kFloat)
                              .bytes(8, "w")
                              .message(13, entry("location", location))
                              .message(13, entry("offset", std::to_string(offset)))
                              .message(13, entry("length", "12"))
                              .number(14, 1)};
    return model(parts);
  }
  void SetUp() override {
    make_folders(folder_ / "model");
    write_file_atomically(folder_ / "model/w.bin", raw<float>({0, 10, 20, 30}));
    write_file_atomically(folder_ / "secret", raw<float>({0, 10, 20, 30}));
  }
  Imported import(const std::string& location, int64_t offset = 4) {
    return parse(with(location, offset), folder_ / "model").import_with(1);
  }
  TemporaryFolder folder_;
};

TEST_F(ExternalData, IsReadFromTheModelsFolder) {
  const Imported imported = import("w.bin");
  const auto y =
      reference::evaluate(imported.graph, std::vector<Literal>{floats_of({1, 2, 3, 4, 5, 6}, {2, 3}).tensor});
  EXPECT_EQ(y[0].to_doubles(), (std::vector<double>{11, 22, 33, 14, 25, 36}));
}

TEST_F(ExternalData, IsNotReadFromElsewhere) {
  std::filesystem::create_symlink(folder_ / "secret", folder_ / "model/link");
  for (const std::string& location :
       {std::string("../secret"), folder_ / "secret", std::string("link"), std::string("a/../../secret")}) {
    expect_error([&] { import(location); }, Code::kDataLoss, HasSubstr("outside the model's folder"));
  }
  expect_error([&] { import("missing.bin"); }, Code::kNotFound, HasSubstr("missing.bin"));
  expect_error([&] { import("w.bin", 8); }, Code::kDataLoss, HasSubstr("bytes 8 to 20"));
  expect_error([&] { import("w.bin", -1); }, Code::kDataLoss, HasSubstr("'-1'"));
  expect_error([&] { parse(with("w.bin")).import_with(1); }, Code::kDataLoss, HasSubstr("not read from a folder"));
}

// --- narrow types ---

// A cast gives the nearest of all values the type has: found by going through them.
TEST(OnnxImport, CastsToSmallFloatsAreTheNearestValue) {
  for (const Elem elem :
       {Elem::kFloat8E4M3FN, Elem::kFloat8E4M3FNUZ, Elem::kFloat8E5M2, Elem::kFloat8E5M2FNUZ, Elem::kFloat4E2M1}) {
    const int codes = elem == Elem::kFloat4E2M1 ? 16 : 256;
    std::string bytes;
    for (int code = 0; code < codes; ++code) {
      if (codes == 256) bytes.push_back(static_cast<char>(code));
      else if (code % 2 == 0) bytes.push_back(static_cast<char>(code | ((code + 1) << 4)));
    }
    const std::string all = tensor("t", static_cast<int>(elem), {codes}, bytes).data();
    std::vector<double> values;
    for (double v : parse_value(all, "t", Declared{}).tensor.to_doubles()) {
      if (std::isfinite(v)) values.push_back(v);
    }
    std::vector<float> x;
    for (int i = -2000; i <= 2000; ++i)
      x.push_back(static_cast<float>(std::copysign(std::exp2(std::abs(i) * 0.012 - 18.0), i)));
    const auto count = static_cast<int64_t>(x.size());
    const GraphParts parts = {{node("Cast", {"x"}, {"y"}, {attribute("to", static_cast<int64_t>(elem))})},
                              {value("x", kFloat, {count})},
                              {value("y", static_cast<int>(elem), {count})},
                              {}};
    const std::vector<double> y = run_one(model(parts, 24), {{"x", floats_of(x, {count})}});
    for (size_t i = 0; i < x.size(); ++i) {
      double nearest = INFINITY;
      for (double v : values) nearest = std::min(nearest, std::abs(v - x[i]));
      ASSERT_EQ(std::abs(y[i] - x[i]), nearest) << name(elem) << " of " << x[i] << " is " << y[i];
    }
  }
}

TEST(OnnxImport, SmallIntegersAreUnpacked) {
  const auto values = [](int type, const std::string& bytes) {
    return parse_value(tensor("t", type, {3}, bytes).data(), "t", Declared{}).tensor.to_doubles();
  };
  EXPECT_EQ(values(22, "\x8F\x07"), (std::vector<double>{-1, -8, 7}));  // int4, low half first
  EXPECT_EQ(values(21, "\x8F\x07"), (std::vector<double>{15, 8, 7}));   // uint4
  EXPECT_EQ(values(26, "\x1E"), (std::vector<double>{-2, -1, 1}));      // int2: 10 11 01
  EXPECT_EQ(values(25, "\x1E"), (std::vector<double>{2, 3, 1}));        // uint2
}

TEST(OnnxImport, TheTableOfOperatorsIsSound) {
  const auto all = supported_operators();
  EXPECT_GT(all.size(), 190U);
  EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end()) << "an operator is mapped twice for one opset";
}

// Large tensors stay in the file until they are used, wherever they lie in it; a file cut short is an error and no
// crash.
TEST(OnnxFile, LargeTensorsAreReadWhenUsed) {
  const std::string path = testing::TempDir() + "large_tensors.onnx";
  for (const std::string name : {"w", "we", "wei", "weig"}) {  // moves the bytes, so that some lie between words
    std::vector<float> numbers(3000);
    for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
    const std::string bytes =
        model({{node("Mul", {"x", name}, {"t"}), node("Add", {"t", "b"}, {"y"})},
               {value("x", kFloat, {3000})},
               {value("y", kFloat, {3000})},
               {tensor(name, kFloat, {3000}, raw<float>(numbers)), tensor("b", kFloat, {1}, raw<float>({0.5}))}});
    write_file_atomically(path, bytes);
    Session session(Model::load(path));
    for (int again = 0; again < 2; ++again) {
      const auto y = session.run({{"x", floats_of(std::vector<float>(3000, 2), {3000})}}).at(0).tensor;
      for (int64_t i = 0; i < 3000; ++i) ASSERT_EQ(y.at(i), 2.0 * static_cast<double>(i) + 0.5);
    }
    for (size_t cut = 0; cut + 64 < bytes.size(); cut += 1511) {  // behind the graph only the opset is left
      write_file_atomically(path, bytes.substr(0, cut));
      try {
        Model::load(path).import_with(1);
        ADD_FAILURE() << "a file of " << cut << " of " << bytes.size() << " bytes was taken";
      } catch (const Error& error) {
        EXPECT_THAT(error.code(), testing::AnyOf(Code::kDataLoss, Code::kUnsupported)) << error.what();
      }
    }
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace trireme::formats::onnx
