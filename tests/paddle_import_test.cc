// Paddle models: those at hand, and small ones written here by an independent writer, sound and hostile.
//
// ctest: command
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>

#include "command.h"
#include "paddle_writer.h"
#include "persona.h"
#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/formats/open_model.h"
#include "trireme/formats/paddle/model.h"
#include "trireme/formats/paddle/program.h"
#include "trireme/formats/session.h"
#include "trireme/tensor/tensor.h"

namespace trireme::formats::paddle {
namespace {

using namespace paddle_writer;  // NOLINT: short names for what this file is about
using ::testing::AllOf;
using ::testing::HasSubstr;

std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text.data(), text.size())); }
Model parse(const std::string& program, const std::string& parameters = {}) {
  return Model::parse(bytes(program), bytes(parameters), "test.pdmodel");
}
HostValue floats(const std::vector<float>& values, const Shape& shape) {
  return HostValue(Literal::from(std::span<const float>(values), shape));
}

template <class F>
void expect_error(F action, Code code, const ::testing::Matcher<std::string>& message) {
  try {
    action();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(std::string(error.what()), message);
  }
}

std::string sample(const std::string& name) {
  return environment("TRIREME_DATA", "../shared/data") + "/paddle-models/" + name;
}
#define NEEDS(path) \
  if (!file_exists(path)) GTEST_SKIP() << "no " << path << "; set TRIREME_DATA to the folder that holds paddle-models"

// x = [1 1; 2 -9]: x w + b = [15 -13 39; -24 -61 -18].
const std::vector<float> kDenseInput = {1, 1, 2, -9};
const std::vector<double> kDenseOutput = {15, 0, 39, 0, 0, 0};

// --- reading ---

TEST(PaddleImport, ParametersComeSortedByName) {
  Session session(parse(program({dense_block()}), dense_parameters()));
  ASSERT_EQ(session.model().inputs().size(), 1U);
  EXPECT_EQ(session.model().inputs()[0].text(), "float[?, 2]");
  EXPECT_EQ(session.model().outputs()[0].name, "y");
  EXPECT_THAT(session.model().operators(), ::testing::ElementsAre("feed", "mul", "elementwise_add", "relu", "fetch"));
  EXPECT_EQ(session.run({{"x", floats(kDenseInput, {2, 2})}})[0].tensor.to_doubles(), kDenseOutput);
}

TEST(PaddleImport, FreeSizesAreBoundAtTheFirstRunWithThem) {
  Session session(parse(program({dense_block()}), dense_parameters()));
  for (int64_t rows : {1, 4, 1, 4}) {
    const auto y = session.run({{"x", floats(std::vector<float>(static_cast<size_t>(rows * 2), 1.0F), {rows, 2})}});
    EXPECT_EQ(y[0].tensor.shape(), Shape({rows, 3}));
  }
  EXPECT_EQ(session.imports(), 2);
  expect_error(
      [&] {
        session.run({{"x", floats({1, 2, 3}, {1, 3})}});
      },
      Code::kInvalidArgument, HasSubstr("float[?, 2]"));
  expect_error([&] { session.run({}); }, Code::kInvalidArgument, HasSubstr("input 'x'"));
}

TEST(PaddleImport, LevelsOfDetailArePassedOver) {
  const std::string b = record(kFloat, {3}, raw<float>({10, -20, 30}), {16, 0, 8});
  Session session(parse(program({dense_block()}), b + dense_w()));
  EXPECT_EQ(session.run({{"x", floats(kDenseInput, {2, 2})}})[0].tensor.to_doubles(), kDenseOutput);
}

TEST(PaddleImport, EveryFormOfAModelOnDisk) {
  const std::string whole = program({dense_block()});
  const auto check = [&](const std::string& path) {
    ASSERT_TRUE(is_model(path)) << path;
    Session session(open_model(path));
    EXPECT_EQ(session.run({{"x", floats(kDenseInput, {2, 2})}})[0].tensor.to_doubles(), kDenseOutput) << path;
  };
  {
    const TemporaryFolder folder;
    write_file_atomically(folder / "net.pdmodel", whole);
    write_file_atomically(folder / "net.pdiparams", dense_parameters());
    check(folder / "net.pdmodel");
    check(folder.path());
    write_file_atomically(folder / "other.pdmodel", whole);
    expect_error([&] { Model::load(folder.path()); }, Code::kInvalidArgument, HasSubstr("2 Paddle models"));
    expect_error([&] { Model::load(folder / "other.pdmodel"); }, Code::kNotFound,
                 AllOf(HasSubstr("2 parameters"), HasSubstr("other.pdiparams")));
  }
  {
    const TemporaryFolder folder;
    write_file_atomically(folder / "__model__", whole);
    write_file_atomically(folder / "__params__", dense_parameters());
    check(folder / "__model__");
    check(folder.path());
  }
  {  // a file per parameter
    const TemporaryFolder folder;
    write_file_atomically(folder / "__model__", whole);
    write_file_atomically(folder / "w", dense_w());
    expect_error([&] { Model::load(folder.path()); }, Code::kNotFound, HasSubstr("/b'"));
    write_file_atomically(folder / "b", dense_b());
    check(folder.path());
    write_file_atomically(folder / "b", dense_b() + "more");
    expect_error([&] { Model::load(folder.path()); }, Code::kDataLoss, HasSubstr("4 bytes are left"));
  }
  const TemporaryFolder empty;
  EXPECT_FALSE(is_model(empty.path()));
  EXPECT_EQ(open_model(empty.path()), nullptr);
  expect_error([&] { Model::load(empty.path()); }, Code::kNotFound, HasSubstr("no Paddle model"));
}

// --- what is refused ---

TEST(PaddleImport, FilesOutsideOfTheFolderAreNotRead) {
  const TemporaryFolder folder;
  make_folders(folder / "inner");
  write_file_atomically(folder / "secret", dense_b());
  std::filesystem::create_symlink(folder / "secret", folder / "inner/link");
  for (const std::string& name : {std::string("../secret"), folder / "secret", std::string("../../etc/passwd"),
                                  std::string("link"), std::string()}) {
    BlockParts block = dense_block();
    block.variables = {variable("x", kFloat, {-1, 2}), variable(name, kFloat, {3}, true)};
    write_file_atomically(folder / "inner/__model__", program({block}));
    expect_error([&] { Model::load(folder / "inner"); }, Code::kDataLoss,
                 AllOf(HasSubstr(name), HasSubstr("outside the model's folder")));
  }
}

TEST(PaddleImport, EveryCutOfAFileIsAnError) {
  const std::string whole = program({dense_block()}), parameters = dense_parameters();
  for (size_t size = 0; size < parameters.size(); ++size) {
    expect_error([&] { parse(whole, parameters.substr(0, size)); }, Code::kDataLoss, HasSubstr("parameter '"));
  }
  expect_error([&] { parse(whole, parameters + "x"); }, Code::kDataLoss, HasSubstr("1 bytes are left"));
  for (size_t size = 0; size < whole.size(); ++size) {
    try {  // some cuts lie between two fields, where what is left is a program of its own
      parse(whole.substr(0, size), parameters).import_with(2);
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == Code::kDataLoss || error.code() == Code::kUnsupported) << error.what();
    }
  }
}

TEST(PaddleImport, LyingSizesAllocateNothing) {
  const std::string whole = program({dense_block()});
  const auto refuse = [&](const std::string& first, const ::testing::Matcher<std::string>& message,
                          Code code = Code::kDataLoss) {
    expect_error([&] { parse(whole, first + dense_w()); }, code, AllOf(HasSubstr("parameter 'b'"), message));
  };
  const std::string head = bytes_of<uint32_t>(0);
  refuse(head + bytes_of<uint64_t>(uint64_t{1} << 60), HasSubstr("lod level"));
  refuse(head + bytes_of<uint64_t>(1) + bytes_of<uint64_t>(~uint64_t{0}), HasSubstr("18446744073709551615 bytes"));
  refuse(head + bytes_of<uint64_t>(0) + bytes_of<uint32_t>(0) + bytes_of<int32_t>(-5), HasSubstr("-5 bytes"));
  refuse(head + bytes_of<uint64_t>(0) + bytes_of<uint32_t>(0) + bytes_of<int32_t>(INT32_MAX), HasSubstr("2147483647"));
  refuse(record(kFloat, {int64_t{1} << 40, int64_t{1} << 40}, ""), HasSubstr("2^48"));
  refuse(record(kFloat, {-3}, ""), HasSubstr("-3"));
  refuse(record(kFloat, std::vector<int64_t>(40, 1), ""), HasSubstr("40"));
  refuse(record(kFloat, {4}, raw<float>({1, 2, 3, 4})), AllOf(HasSubstr("f32[4]"), HasSubstr("[3]")));
  refuse(record(kInt32, {3}, raw<int32_t>({1, 2, 3})), HasSubstr("do not belong together"));
  refuse(record(23, {3}, ""), HasSubstr("element type 23"), Code::kUnsupported);
  refuse(bytes_of<uint32_t>(7), HasSubstr("version 7; version 0"), Code::kUnsupported);
  refuse(head + bytes_of<uint64_t>(0) + bytes_of<uint32_t>(9), HasSubstr("version 9; version 0"), Code::kUnsupported);
  // The largest that is declared soundly is still more than the file has.
  BlockParts block = dense_block();
  block.variables[2] = variable("b", kFloat, {int64_t{1} << 44}, true);
  expect_error([&] { parse(program({block}), record(kFloat, {int64_t{1} << 44}, "") + dense_w()); }, Code::kDataLoss,
               HasSubstr("the file has"));
}

TEST(PaddleImport, UnknownVersionsAndOperatorsSayWhatIsKnown) {
  expect_error([&] { parse(program({dense_block()}, 9'000'000), dense_parameters()); }, Code::kUnsupported,
               AllOf(HasSubstr("version 9000000"), HasSubstr("1000000 (1.0.0) to 3999999")));
  expect_error([&] { parse(program({dense_block()}, -1), dense_parameters()); }, Code::kUnsupported,
               HasSubstr("version -1"));
  EXPECT_NO_THROW(parse(program({dense_block()}, 0), dense_parameters()));
  BlockParts block = dense_block();
  block.operations[3] = op("reluu", {{"X", {"s"}}}, {{"Out", {"y"}}});
  const Model model = parse(program({block}), dense_parameters());
  expect_error([&] { model.import_with(1); }, Code::kUnsupported,
               AllOf(HasSubstr("test.pdmodel: block 0, op 3 (reluu, makes 'y')"), HasSubstr("not supported"),
                     HasSubstr("that is: relu"), HasSubstr("docs/guide/paddle.md")));
}

TEST(PaddleImport, BlocksThatContainThemselves) {
  const auto with = [](int64_t of_main, int64_t parent, int64_t of_inner) {
    BlockParts main = dense_block(), inner;
    main.operations.push_back(op("conditional_block", {}, {}, {block_attribute("sub_block", of_main)}));
    inner.parent = parent;
    inner.operations = {op("conditional_block", {}, {}, {block_attribute("sub_block", of_inner)})};
    return program({main, inner});
  };
  for (const auto& [main, parent, inner] : std::vector<std::tuple<int64_t, int64_t, int64_t>>{
           {0, 0, 1}, {1, 0, 1}, {1, 0, 0}, {1, 1, 2}, {1, -1, 2}, {1, 0, -1}, {1 << 30, 0, 1}}) {
    expect_error([&] { parse(with(main, parent, inner), dense_parameters()); }, Code::kDataLoss, HasSubstr("block "));
  }
}

TEST(PaddleImport, DamagedPrograms) {
  const auto refuse = [&](const BlockParts& block, Code code, const ::testing::Matcher<std::string>& message) {
    expect_error([&] { parse(program({block}), dense_parameters()).import_with(1); }, code, message);
  };
  BlockParts block = dense_block();
  std::swap(block.operations[1], block.operations[2]);
  refuse(block, Code::kDataLoss, AllOf(HasSubstr("block 0, op 1 (elementwise_add, makes 's')"), HasSubstr("uses 'p'")));
  block = dense_block();
  block.operations.pop_back();
  refuse(block, Code::kDataLoss, HasSubstr("nothing is fetched"));
  block = dense_block();
  block.operations[0] = feed("z", 0);
  refuse(block, Code::kDataLoss, HasSubstr("input 'z' is declared no tensor"));
  block = dense_block();
  block.operations[2] = op("elementwise_add", {{"X", {"p"}}, {"Y", {"b"}}}, {{"Out", {"s"}}}, {text("axis", "one")});
  refuse(block, Code::kInvalidArgument, AllOf(HasSubstr("op 2"), HasSubstr("'axis' is no integer")));
  block.operations[2] = op("elementwise_add", {{"X", {"p"}}}, {{"Out", {"s"}}});
  refuse(block, Code::kInvalidArgument, HasSubstr("input 'Y' is missing"));
  block.operations[2] =
      op("elementwise_add", {{"X", {"p"}}, {"Y", {"b"}}}, {{"Out", {"s"}}}, {Message().bytes(1, "axis").number(2, 77)});
  refuse(block, Code::kUnsupported, AllOf(HasSubstr("attribute 'axis' has type 77"), HasSubstr("0 to 17")));
  block = dense_block();
  block.variables[1] = variable(std::string_view("w\0w", 3), kFloat, {2, 3}, true);
  refuse(block, Code::kDataLoss, HasSubstr("zero byte"));
  expect_error([] { parse("no protobuf at all"); }, Code::kDataLoss, HasSubstr("no Paddle program"));
  expect_error([] { parse(""); }, Code::kDataLoss, HasSubstr("no block"));
}

// --- branches ---

TEST(PaddleImport, AConditionalBlockIsGuarded) {
  // y = c ? -x : x, as exporters of Paddle 2 write it.
  BlockParts main, no, yes;
  main.variables = {variable("x", kFloat, {2}), variable("c", kBool, {1}), variable("y", kFloat, {2})};
  main.operations = {
      feed("x", 0),
      feed("c", 1),
      op("logical_not", {{"X", {"c"}}}, {{"Out", {"n"}}}),
      op("conditional_block", {{"Cond", {"c"}}, {"Input", {"x"}}}, {{"Out", {"a"}}}, {block_attribute("sub_block", 1)}),
      op("conditional_block", {{"Cond", {"n"}}, {"Input", {"x"}}}, {{"Out", {"b"}}}, {block_attribute("sub_block", 2)}),
      op("cast", {{"X", {"c"}}}, {{"Out", {"m"}}}, {integer("out_dtype", kInt32)}),
      op("select_input", {{"X", {"b", "a"}}, {"Mask", {"m"}}}, {{"Out", {"y"}}}),
      fetch("y", 0)};
  yes.parent = no.parent = 0;
  yes.operations = {op("scale", {{"X", {"x"}}}, {{"Out", {"a"}}}, {number("scale", -1)})};
  no.operations = {op("assign", {{"X", {"x"}}}, {{"Out", {"b"}}})};
  Session session(parse(program({main, yes, no})));
  const HostValue x = floats({3, -4}, {2});
  for (bool c : {true, false, true}) {
    const HostValue condition(Literal::from_doubles(boolean, {1}, std::vector<double>{c ? 1.0 : 0.0}));
    EXPECT_EQ(session.run({{"x", x}, {"c", condition}})[0].tensor.to_doubles(),
              (c ? std::vector<double>{-3, 4} : std::vector<double>{3, -4}));
  }
  EXPECT_EQ(session.imports(), 2);
}

TEST(PaddlePir, IfElseBothWays) {
  const std::string path = sample("pir/ifelse_model.json");
  NEEDS(path);
  Session session(Model::load(path));
  const auto scalar = [](int64_t v) { return HostValue(Literal::scalar(v)); };
  // if a == 1: (y, 2 y) else (3 y, 4 y)
  for (const auto& [a, first, second] :
       std::vector<std::tuple<int64_t, double, double>>{{1, 7, 14}, {5, 21, 28}, {1, 7, 14}}) {
    const auto out = session.run({{"0", scalar(a)}, {"1", scalar(7)}});
    EXPECT_EQ(out[0].tensor.to_doubles(), std::vector<double>{first}) << a;
    EXPECT_EQ(out[1].tensor.to_doubles(), std::vector<double>{second}) << a;
  }
  EXPECT_EQ(session.imports(), 1) << "one graph holds both branches";
  EXPECT_EQ(session.model().outputs()[1].name, "fetch_name_1");
}

// --- Paddle 3's JSON, as far as its published samples show it ---

using Json = nlohmann::json;

// A value with its number, element type and sizes.
Json pir_value(int id, const std::vector<int64_t>& sizes, const std::string& type = "0.t_f32") {
  return {{"%", id}, {"TT", {{"#", "0.t_dtensor"}, {"D", {{{"#", type}}, sizes, "NCHW", Json::array(), 0}}}}};
}
Json pir_attribute(const std::string& name, const std::string& type, const Json& data) {
  return {{"N", name}, {"AT", {{"#", type}, {"D", data}}}};
}
Json pir_op(const std::string& name, const std::vector<int>& operands, const std::vector<Json>& results,
            const std::vector<Json>& attributes = {}) {
  Json inputs = Json::array();
  for (int each : operands) inputs.push_back({{"%", each}});
  return {{"#", name}, {"A", attributes}, {"I", inputs}, {"O", results}};
}
Json pir_parameter(const std::string& name, const Json& value) {
  return {{"#", "p"}, {"A", {0, 1, 1, name}}, {"O", value}, {"OA", {1, 0, 1}}};
}
Json pir_data(const std::string& name, const Json& value) {
  return pir_op("1.data", {}, {value}, {pir_attribute("name", "0.a_str", name)});
}
Json pir_fetch(const std::string& name, int from, int column, int id) {
  return pir_op("1.fetch", {from}, {pir_value(id, {})},
                {pir_attribute("name", "0.a_str", name), pir_attribute("col", "0.a_i32", column)});
}
Json pir_region(const std::vector<Json>& ops) { return {{"blocks", Json::array({{{"ops", ops}}})}}; }
std::string pir_program(const std::vector<Json>& ops) {
  return Json{{"base_code", {{"magic", "pir"}, {"trainable", true}, {"version", 1}}},
              {"program", {{"regions", Json::array({pir_region(ops)})}}}}
      .dump();
}

// if c: `yes` of x, else `no` of x, for x [2, 1]; each names an operator and the sizes of its result.
std::string pir_branch(const std::string& yes, const std::vector<int64_t>& yes_sizes, const std::string& no,
                       const std::vector<int64_t>& no_sizes, int regions = 2) {
  const auto region = [&](int id, const std::string& type, const std::vector<int64_t>& sizes) {
    return pir_region({pir_op("1." + type, {2}, {pir_value(id, sizes)}), pir_op("2.yield", {id}, {})});
  };
  Json branch = pir_op("1.if", {1}, {pir_value(3, yes_sizes)});
  branch["regions"] = {region(4, yes, yes_sizes), region(5, no, no_sizes)};
  while (static_cast<int>(branch["regions"].size()) > regions) branch["regions"].erase(0);
  return pir_program({pir_data("c", pir_value(1, {1}, "0.t_bool")), pir_data("x", pir_value(2, {2, 1})), branch,
                      pir_fetch("y", 3, 0, 6)});
}

TEST(PaddlePir, BranchesOfOneTypeAreOneGraphOthersAreGuarded) {
  const HostValue x = floats({3, -4}, {2, 1});
  const auto condition = [](double c) {
    return HostValue(Literal::from_doubles(boolean, {1}, std::vector<double>{c}));
  };
  Session alike(parse(pir_branch("relu", {2, 1}, "abs", {2, 1})));
  Session unlike(parse(pir_branch("relu", {2, 1}, "mean", {})));
  for (double c : {1.0, 0.0, 1.0}) {
    EXPECT_EQ(alike.run({{"x", x}, {"c", condition(c)}})[0].tensor.to_doubles(),
              (std::vector<double>{3, c != 0 ? 0.0 : 4.0}));
    EXPECT_EQ(unlike.run({{"x", x}, {"c", condition(c)}})[0].tensor.shape(), c != 0 ? Shape({2, 1}) : Shape());
  }
  EXPECT_EQ(alike.imports(), 1);
  EXPECT_EQ(unlike.imports(), 2);
  expect_error(
      [] {
        parse(pir_branch("relu", {2, 1}, "abs", {2, 1}, 1));
      },
      Code::kDataLoss, HasSubstr("block 0, op 2 (1.if): an 'if' has two regions; this one has 1"));
}

std::string pir_dense() {
  return pir_program(
      {pir_parameter("b", pir_value(1, {3})), pir_parameter("w", pir_value(2, {2, 3})),
       pir_data("x", pir_value(3, {-1, 2})),
       pir_op("1.matmul", {3, 2}, {pir_value(4, {-1, 3})}, {pir_attribute("transpose_x", "0.a_bool", false)}),
       pir_op("1.add", {4, 1}, {pir_value(5, {-1, 3})}), pir_op("1.relu", {5}, {pir_value(6, {-1, 3})}),
       pir_fetch("y", 6, 0, 7)});
}

// Operands that are constants, lists of values, and operands that are left out.
TEST(PaddlePir, ConstantsAndListsOfValues) {
  const auto constant = [](int id, const Json& values) {
    Json list = Json::array();
    for (const Json& each : values) list.push_back({{"#", "0.a_i64"}, {"D", each}});
    return pir_op("1.full_int_array", {}, {pir_value(id, {static_cast<int64_t>(values.size())}, "0.t_i64")},
                  {pir_attribute("value", "0.a_array", list), pir_attribute("dtype", "1.a_dtype", "int64")});
  };
  const auto full = [](int id, double value) {
    return pir_op("1.full", {}, {pir_value(id, {1}, "0.t_i32")},
                  {pir_attribute("shape", "1.a_intarray", {1}), pir_attribute("value", "0.a_f64", value),
                   pir_attribute("dtype", "1.a_dtype", "int32")});
  };
  const Json pair = {{"%", 9}, {"TT", {{"#", "0.t_vec"}, {"D", {Json::object(), Json::object()}}}}};
  const Json joined = {{"%", 12}, {"TT", {{"#", "0.t_vec"}, {"D", {Json::object(), Json::object()}}}}};
  Session session(parse(pir_program(
      {pir_data("x", pir_value(1, {1, 1, 4, 4})), constant(2, {2, 2}),
       pir_op("1.pool2d", {1, 2}, {pir_value(3, {1, 1, 2, 2})},
              {pir_attribute("pooling_type", "0.a_str", "max"),
               pir_attribute("strides", "0.a_array", {{{"#", "0.a_i32"}, {"D", 2}}, {{"#", "0.a_i32"}, {"D", 2}}}),
               pir_attribute("place", "1.a_place", {1, 0, ""})}),
       constant(4, {-1, 2}), pir_op("1.reshape", {3, 4}, {pir_value(5, {2, 2})}), full(8, 1),
       pir_op("1.split_with_num", {5, 8}, {pair}, {pir_attribute("num", "0.a_i32", 2)}),
       pir_op("0.split", {9}, {pir_value(10, {2, 1}), pir_value(11, {2, 1})}),
       pir_op("0.combine", {11, 10, 11}, {joined}), pir_op("1.concat", {12, 8}, {pir_value(13, {2, 3})}),
       pir_op("1.argmax", {13, 8}, {pir_value(14, {2}, "0.t_i64")}),
       pir_op("1.clip", {13, 0, 8}, {pir_value(15, {2, 3})}), pir_fetch("joined", 13, 0, 16),
       pir_fetch("place", 14, 1, 17), pir_fetch("least", 15, 2, 18)})));
  std::vector<float> x;
  for (int i = 0; i < 16; ++i) x.push_back(static_cast<float>(i < 8 ? -i : i));
  const auto out = session.run({{"x", floats(x, {1, 1, 4, 4})}});
  EXPECT_EQ(out[0].tensor.to_doubles(), (std::vector<double>{-2, 0, -2, 15, 13, 15}));  // the largest: 0 -2; 13 15
  EXPECT_EQ(out[1].tensor.to_doubles(), (std::vector<double>{1, 0}));
  EXPECT_EQ(out[2].tensor.to_doubles(), (std::vector<double>{-2, 0, -2, 1, 1, 1}));
}

TEST(PaddlePir, ParametersOfADenseLayer) {
  Session session(parse(pir_dense(), dense_parameters()));
  EXPECT_EQ(session.run({{"x", floats(kDenseInput, {2, 2})}})[0].tensor.to_doubles(), kDenseOutput);
  EXPECT_EQ(session.model().outputs()[0].name, "y");
}

TEST(PaddlePir, DamagedFiles) {
  const std::string whole = pir_dense();
  for (size_t size = 1; size < whole.size(); ++size) {
    expect_error([&] { parse(whole.substr(0, size), dense_parameters()); }, Code::kDataLoss, HasSubstr("test.pdmodel"));
  }
  const auto refuse = [&](const std::string& from, const std::string& to, Code code,
                          const ::testing::Matcher<std::string>& message) {
    std::string changed = whole;
    ASSERT_NE(changed.find(from), std::string::npos) << from;
    changed.replace(changed.find(from), from.size(), to);
    expect_error([&] { parse(changed, dense_parameters()).import_with(1); }, code, message);
  };
  refuse("\"version\":1", "\"version\":3", Code::kUnsupported, HasSubstr("version 3; version 1"));
  refuse("\"magic\":\"pir\"", "\"magic\":\"rip\"", Code::kDataLoss, HasSubstr("magic"));
  refuse("1.relu", "1.reluu", Code::kUnsupported,
         AllOf(HasSubstr("(pd_op.reluu, makes '%6')"), HasSubstr("not supported")));
  refuse("{\"%\":5}", "{\"%\":99}", Code::kDataLoss, HasSubstr("'%99'"));
  refuse("{\"%\":5}", "{\"%\":\"5\"}", Code::kDataLoss, HasSubstr("is no integer"));
  refuse("[0,1,1,\"w\"]", "[0,1,1,\"b\"]", Code::kDataLoss, HasSubstr("two values are called 'b'"));
  refuse("0.t_f32", "0.t_c64", Code::kUnsupported, HasSubstr("0.t_c64"));
  expect_error([] { parse("{" + std::string(1 << 20, '[')); }, Code::kDataLoss, HasSubstr("no JSON"));
  std::string deep = R"({"base_code":)";  // nested, and still JSON
  for (int i = 0; i < 100000; ++i) deep += "[";
  for (int i = 0; i < 100000; ++i) deep += "]";
  expect_error([&] { parse(deep + "}"); }, Code::kDataLoss, HasSubstr("'magic' is missing"));
}

// --- models at hand ---

// Numbers that look like a photographed page: a bright ground with dark bars.
HostValue page(int64_t rows, int64_t columns) {
  std::vector<float> values;
  for (int64_t channel = 0; channel < 3; ++channel) {
    for (int64_t y = 0; y < rows; ++y) {
      for (int64_t x = 0; x < columns; ++x) {
        const bool line = y % 32 >= 10 && y % 32 < 22 && x > 8 && x < columns - 8, letter = (x / 4) % 3 != 0;
        const float ground = 1.8F - 0.002F * static_cast<float>(x + 2 * y) + 0.05F * static_cast<float>(channel);
        values.push_back(line && letter ? -1.7F : ground);
      }
    }
  }
  return floats(values, {1, 3, rows, columns});
}

TEST(PaddleSamples, PpOcrDetectorAsItsOnnxFile) {
  const std::string path = sample("ppocr_v3_det"), onnx = sample("../onnx-models/ppocr_v3_det/model.onnx");
  NEEDS(path);
  NEEDS(onnx);
  Session ours(open_model(path)), theirs(open_model(onnx));
  const HostValue picture = page(96, 160);
  const auto got = ours.run({{"x", picture}})[0].tensor, expected = theirs.run({{"x", picture}})[0].tensor;
  ASSERT_EQ(got.shape(), Shape({1, 1, 96, 160}));
  ASSERT_EQ(expected.shape(), got.shape());
  double least = 1.0, most = 0.0;
  for (int64_t i = 0; i < got.elements(); ++i) {
    ASSERT_NEAR(got.at(i), expected.at(i), 1e-4) << i;
    least = std::min(least, got.at(i));
    most = std::max(most, got.at(i));
  }
  EXPECT_LT(least, 0.01) << "the ground";
  EXPECT_GT(most, 0.5) << "the text";
}

// The convolution of 3 channels by 7 x 7 kernels, padded by 3, then batch normalisation, as its formula says, at some
// places.
TEST(PaddleSamples, ConvolutionAndBatchNormByTheFormula) {
  for (const std::string& name : {std::string("conv_bn"), std::string("conv_bn_relu")}) {
    const std::string path = sample("conv_bn/" + name + ".pdmodel"), weights = sample("conv_bn/" + name + ".pdiparams");
    NEEDS(path);
    std::vector<float> image(4 * 3 * 224 * 224);
    for (size_t i = 0; i < image.size(); ++i)
      image[i] = static_cast<float>(std::sin(0.37 * static_cast<double>(i % 9973)));
    Session session(Model::load(path));
    const auto out = session.run({{session.model().inputs()[0].name, floats(image, {4, 3, 224, 224})}})[0].tensor;
    ASSERT_EQ(out.shape(), Shape({4, 64, 224, 224}));
    // The file: four vectors of 64 (bias, scale, mean, variance) with heads of 24 bytes, then [64, 3, 7, 7].
    const std::string file = read_file(weights);
    const auto vector = [&](size_t which, size_t index) {
      float v = 0;
      std::memcpy(&v, file.data() + which * (24 + 256) + 24 + 4 * index, 4);
      return static_cast<double>(v);
    };
    const size_t kernel = file.size() - sizeof(float) * 64 * 3 * 7 * 7;
    for (size_t k = 0; k < 400; ++k) {
      const size_t n = k % 4, o = (k * 13) % 64, y = k < 40 ? k % 5 : (k * 37) % 224,
                   x = k < 40 ? 223 - k % 3 : (k * 101) % 224;
      double sum = 0.0;
      for (size_t c = 0; c < 3; ++c) {
        for (size_t i = 0; i < 7; ++i) {
          for (size_t j = 0; j < 7; ++j) {
            const size_t row = y + i, column = x + j;  // moved by the padding
            if (row < 3 || row >= 227 || column < 3 || column >= 227) continue;
            float w = 0;
            std::memcpy(&w, file.data() + kernel + 4 * (((o * 3 + c) * 7 + i) * 7 + j), 4);
            sum +=
                static_cast<double>(w) * static_cast<double>(image[((n * 3 + c) * 224 + row - 3) * 224 + column - 3]);
          }
        }
      }
      // Sorted by name: batch_norm_0.b_0 (bias), w_0 (scale), w_1 (mean), w_2 (variance).
      const double bn = (sum - vector(2, o)) / std::sqrt(vector(3, o) + 1e-5) * vector(1, o) + vector(0, o);
      const double expected = name == "conv_bn_relu" ? std::max(bn, 0.0) : bn;
      EXPECT_NEAR(out.at(static_cast<int64_t>(((n * 64 + o) * 224 + y) * 224 + x)), expected,
                  1e-4 * (1 + std::abs(expected)));
    }
  }
}

// Programs whose weights are not at hand, with made-up ones.
void run_with_made_up_weights(const std::string& name, const Shape& input, const std::vector<Shape>& outputs) {
  const std::string path = sample("topology_only/" + name + ".__model__");
  NEEDS(path);
  const std::string whole = read_file(path);
  std::string parameters;
  uint32_t state = 1;
  for (const Variable& each : read_program(bytes(whole), name).parameters()) {
    ASSERT_EQ(each.data_type, kFloat);
    size_t count = 1;
    for (int64_t size : each.sizes) count *= static_cast<size_t>(size);
    std::vector<float> values(count);
    const float width =
        each.sizes.size() == 1 ? 1.0F : 2.0F / std::sqrt(static_cast<float>(count) / static_cast<float>(each.sizes[0]));
    for (float& v : values) {
      state = state * 1664525U + 1013904223U;
      v = each.sizes.size() == 1 ? 0.5F + static_cast<float>(state >> 8) * 0x1p-24F
                                 : width * (static_cast<float>(state >> 8) * 0x1p-23F - 1.0F);
    }
    parameters += record(kFloat, each.sizes, raw(values));
  }
  Session session(parse(whole, parameters));
  const auto results = session.run({{session.model().inputs()[0].name, HostValue(Literal::filled(f32, input, 0.25))}});
  ASSERT_EQ(results.size(), outputs.size());
  for (size_t k = 0; k < outputs.size(); ++k) {
    EXPECT_EQ(results[k].tensor.shape(), outputs[k]) << name;
    for (double v : results[k].tensor.to_doubles()) ASSERT_TRUE(std::isfinite(v)) << name;
  }
}
TEST(PaddleSamples, MobileNetV3Classifier) {
  run_with_made_up_weights("driver_status_mobilenetv3", {2, 3, 64, 64}, {{2, 10}});
}
TEST(PaddleSamples, ResNet50Classifier) { run_with_made_up_weights("snake_resnet50", {1, 3, 64, 64}, {{1, 5}}); }
TEST(PaddleSamples, DeepLabSegmentation) {
  run_with_made_up_weights("watermeter_deeplabv3p_mobilenet", {1, 3, 65, 49}, {{1, 65, 49, 1}, {1, 2, 65, 49}});
}

// --- chips and the command ---

TEST(PaddleChips, PersonasAgreeWithTheCpu) {
  // conv, batch_norm, hard_swish, pool2d, fc-like mul and add, softmax
  BlockParts block;
  block.variables = {variable("x", kFloat, {-1, 2, 8, 8}), variable("k", kFloat, {4, 2, 3, 3}, true),
                     variable("p", kFloat, {4}, true), variable("w", kFloat, {64, 5}, true),
                     variable("y", kFloat, {-1, 5})};
  const std::string one = "p";
  block.operations = {
      feed("x", 0),
      op("conv2d", {{"Input", {"x"}}, {"Filter", {"k"}}}, {{"Output", {"a"}}}, {integers("paddings", {1, 1})}),
      op("batch_norm", {{"X", {"a"}}, {"Mean", {one}}, {"Variance", {one}}, {"Scale", {one}}, {"Bias", {one}}},
         {{"Y", {"b"}}}, {flag("is_test", true)}),
      op("hard_swish", {{"X", {"b"}}}, {{"Out", {"c"}}}),
      op("pool2d", {{"X", {"c"}}}, {{"Out", {"d"}}},
         {text("pooling_type", "avg"), integers("ksize", {2, 2}), integers("strides", {2, 2})}),
      op("mul", {{"X", {"d"}}, {"Y", {"w"}}}, {{"Out", {"e"}}}),
      op("softmax", {{"X", {"e"}}}, {{"Out", {"y"}}}),
      fetch("y", 0)};
  const auto wave = [](size_t count) {
    std::vector<float> out(count);
    for (size_t i = 0; i < count; ++i) out[i] = static_cast<float>(std::sin(1.3 * static_cast<double>(i)));
    return out;
  };
  const std::string parameters = record(kFloat, {4, 2, 3, 3}, raw(wave(72))) +
                                 record(kFloat, {4}, raw<float>({1, 2, 3, 4})) +
                                 record(kFloat, {64, 5}, raw(wave(320)));
  const Model model = parse(program({block}), parameters);
  const HostValue x = floats(wave(2 * 2 * 64), {2, 2, 8, 8});
  Session cpu(model);
  const auto expected = cpu.run({{"x", x}})[0].tensor;
  for (const std::string& name : {std::string("minimal-13"), std::string("mandatory"), std::string("engine-only")}) {
    set_device(trireme::testing::persona_device(name).name());
    Session session(model);
    const auto got = session.run({{"x", x}})[0].tensor;
    for (int64_t i = 0; i < 10; ++i) EXPECT_NEAR(got.at(i), expected.at(i), 1e-5) << name;
    set_device("cpu");
  }
}

TEST(PaddleCommand, RunAndExplain) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "net.pdmodel", program({dense_block()}));
  write_file_atomically(folder / "net.pdiparams", dense_parameters());
  const auto run = trireme::testing::run_command({"run", folder / "net.pdmodel", "--free", "4", "--json"});
  EXPECT_EQ(run.status, 0) << run.errors;
  EXPECT_THAT(run.output, AllOf(HasSubstr("\"y\""), HasSubstr("f32[4, 3]")));
  const auto explain = trireme::testing::run_command({"explain", folder.path(), "--free", "4"});
  EXPECT_EQ(explain.status, 0) << explain.errors;
  EXPECT_THAT(explain.output, HasSubstr("nothing falls back"));
  BlockParts block = dense_block();  // an output with the name of a path
  block.operations[3] = op("relu", {{"X", {"s"}}}, {{"Out", {"../a/y"}}});
  block.operations[4] = fetch("../a/y", 0);
  write_file_atomically(folder / "net.pdmodel", program({block}));
  const auto saved = trireme::testing::run_command({"run", folder.path(), "--save", folder / "out"});
  EXPECT_EQ(saved.status, 0) << saved.errors;
  EXPECT_TRUE(file_exists(folder / "out/.._a_y.npy"));
  std::filesystem::remove(folder / "net.pdiparams");
  const auto refused = trireme::testing::run_command({"run", folder.path()});
  EXPECT_NE(refused.status, 0);
  EXPECT_THAT(refused.errors, HasSubstr("net.pdiparams"));
}

}  // namespace
}  // namespace trireme::formats::paddle
