// The reader of StableHLO text: each form of literal and operation, and each way a text can be wrong. Values are
// checked by the reference evaluator against numbers worked out by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/formats/stablehlo/literal.h"
#include "trireme/formats/stablehlo/program.h"
#include "trireme/reference/evaluator.h"

namespace trireme::formats::stablehlo {
namespace {

using Numbers = std::vector<double>;

Literal literal(const std::string& text, const std::string& type) {
  const DenseValue value = decode({text, parse_type(type)});
  if (!value.splat) return value.literal;
  return Literal::filled(value.literal.dtype(), value.shape, value.literal.at(0));
}

// What went wrong, "" when nothing did.
template <class F>
std::string failure(const F& f, Code code) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(code_name(error.code()), code_name(code)) << error.what();
    return error.what();
  }
  return "";
}

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "'" << text << "' does not say '" << part << "'";
}

Imported import(const std::string& text, const std::vector<TensorType>& arguments = {}) {
  const auto program = Program::parse(text);
  const auto& module = program.modules().at(0);
  return Program::import(module, Program::entry(module), arguments);
}

// The results of a function without arguments.
std::vector<Numbers> results(const std::string& body, const std::string& types) {
  const Imported imported = import(cat("func.func @main() -> (", types, ") {\n", body, "\n}"));
  verify(imported.graph, "test");
  std::vector<Numbers> out;
  for (const Literal& each : reference::evaluate(imported.graph, {})) out.push_back(each.to_doubles());
  return out;
}

// --- types and literals ---

TEST(StablehloText, Types) {
  const Type type = parse_type("tensor<2x?x3xbf16>");
  EXPECT_EQ(type.sizes, (std::vector<int64_t>{2, -1, 3}));
  EXPECT_EQ(type.dtype, bf16);
  EXPECT_EQ(parse_type("tensor<ui8>").dtype, u8);
  EXPECT_EQ(parse_type("tensor<i1>").dtype, boolean);
  EXPECT_EQ(parse_type("tensor<4xf32, #stablehlo.bounds<?, 3>>").element, "f32");
  const Type quantized = parse_type("tensor<2x!quant.uniform<i8:f32:0, {0.1:-30,0.5:-20}>>");
  EXPECT_EQ(quantized.element, "!quant.uniform<i8:f32:0, {0.1:-30,0.5:-20}>");
  EXPECT_FALSE(quantized.dtype);
  EXPECT_FALSE(parse_type("tensor<3xcomplex<f32>>").dtype);
  EXPECT_FALSE(parse_type("tuple<tensor<2xf64>, tuple<tensor<i64>>>").tensor);
  expect_contains(failure([] { parse_type("tensor<2x>"); }, Code::kDataLoss), "names no element type");
  expect_contains(failure([] { parse_type("tensor<99999999999999999999xf32>"); }, Code::kDataLoss), "too large");
  expect_contains(failure([] { parse_type("tensor<2xf32"); }, Code::kDataLoss), "not closed");
  expect_contains(failure([] { parse_type("f32 f32"); }, Code::kDataLoss), "not one type");
}

TEST(StablehloText, LiteralForms) {
  EXPECT_EQ(literal("[[1, -2], [3, 4]]", "tensor<2x2xi8>").to_doubles(), (Numbers{1, -2, 3, 4}));
  EXPECT_EQ(literal("[[1, 2], // a comment\n [3, 4]]", "tensor<2x2xi64>").to_doubles(), (Numbers{1, 2, 3, 4}));
  EXPECT_EQ(literal("1.5", "tensor<3xf16>").to_doubles(), (Numbers{1.5, 1.5, 1.5}));
  EXPECT_EQ(literal("true", "tensor<2xi1>").to_doubles(), (Numbers{1, 1}));
  EXPECT_EQ(literal("[true, false]", "tensor<2xi1>").to_doubles(), (Numbers{1, 0}));
  EXPECT_EQ(literal("[0x7F800000, -1.0e-3]", "tensor<2xf32>").to_doubles(), (Numbers{INFINITY, -0.001F}));
  EXPECT_EQ(literal("0x3F80", "tensor<bf16>").to_doubles(), (Numbers{1.0}));
  EXPECT_EQ(literal("0x3C00", "tensor<f16>").to_doubles(), (Numbers{1.0}));
  EXPECT_EQ(literal("18446744073709551615", "tensor<ui64>").values<uint64_t>()[0], ~uint64_t{0});
  EXPECT_EQ(literal("-9223372036854775808", "tensor<i64>").values<int64_t>()[0], INT64_MIN);
  EXPECT_EQ(literal("0xFF", "tensor<i8>").to_doubles(), (Numbers{-1}));  // hexadecimal is a bit pattern
  // Raw bytes, little-endian: of each element, of one for all, and booleans packed by older writers.
  EXPECT_EQ(literal("\"0x0000803F000000C0\"", "tensor<2xf32>").to_doubles(), (Numbers{1, -2}));
  EXPECT_EQ(literal("\"0x0100\"", "tensor<3xi16>").to_doubles(), (Numbers{1, 1, 1}));
  EXPECT_EQ(literal("\"0x010001\"", "tensor<3xi1>").to_doubles(), (Numbers{1, 0, 1}));
  EXPECT_EQ(literal("\"0x0502\"", "tensor<10xi1>").to_doubles(), (Numbers{1, 0, 1, 0, 0, 0, 0, 0, 0, 1}));
  for (const char* type : {"tensor<0xf32>", "tensor<2x0xf32>", "tensor<0x2xi8>"}) {
    EXPECT_EQ(literal("", type).elements(), 0) << type;
  }
  EXPECT_EQ(literal("[[], []]", "tensor<2x0xf32>").elements(), 0);
}

TEST(StablehloText, LiteralsThatDoNotFit) {
  const auto refused = [](const std::string& text, const std::string& type) {
    return failure([&] { literal(text, type); }, Code::kDataLoss);
  };
  expect_contains(refused("[1, 2]", "tensor<3xi32>"), "has no ',' behind value 2");
  expect_contains(refused("[1, 2]", "tensor<30xi32>"), "fewer than 30 values");
  expect_contains(refused("[1,2,3,4]", "tensor<3xi32>"), "more than 3 values along axis 0");
  expect_contains(refused("[1, 2, 3, 4]", "tensor<2x2xi32>"), "has no '['");
  expect_contains(refused("[1, 2", "tensor<2xi32>"), "more than 2 values");
  expect_contains(refused("", "tensor<2xi32>"), "has no values");
  expect_contains(refused("1.5", "tensor<i32>"), "no value of that type");
  expect_contains(refused("128", "tensor<i8>"), "'128'");
  expect_contains(refused("-129", "tensor<i8>"), "'-129'");
  expect_contains(refused("256", "tensor<ui8>"), "'256'");
  expect_contains(refused("2", "tensor<i1>"), "'2'");
  expect_contains(refused("nan", "tensor<f32>"), "'nan'");
  expect_contains(refused("0x1FFFFFFFF", "tensor<f32>"), "'0x1FFFFFFFF'");
  expect_contains(refused("99999999999999999999", "tensor<i64>"), "no value of that type");
  expect_contains(refused("\"0x00\"", "tensor<2xf32>"), "has 1 bytes; needed: 2 x 4");
  expect_contains(refused("\"0x000\"", "tensor<2xi8>"), "half a byte");
  expect_contains(refused("\"0x0G\"", "tensor<i8>"), "no hexadecimal digit");
  expect_contains(refused("\"00\"", "tensor<i8>"), "is no \"0x...\"");
  expect_contains(failure([] { literal("(1.0, 2.0)", "tensor<complex<f32>>"); }, Code::kUnsupported),
                  "element type complex<f32> is not supported");
  expect_contains(failure([] { literal("1", "tensor<2xi4>"); }, Code::kUnsupported), "i4");
  expect_contains(failure([] { literal("1.0", "tensor<2xf8E4M3FN>"); }, Code::kUnsupported), "f8E4M3FN");
}

TEST(StablehloText, HugeShapesTakeNoMemory) {
  // One element for 2^40 is a broadcast constant; a list is counted before memory is taken.
  const Imported huge = import(
      "func.func @main() -> tensor<1099511627776xf32> {\n"
      "  %0 = stablehlo.constant dense<1.0> : tensor<1099511627776xf32>\n  return %0 : tensor<1099511627776xf32>\n}");
  EXPECT_EQ(huge.graph.outputs()[0].shape().elements(), int64_t{1} << 40);
  expect_contains(failure([] { literal("[1.0, 2.0]", "tensor<1099511627776xf32>"); }, Code::kDataLoss), "fewer than");
  expect_contains(failure([] { literal("\"0x0000\"", "tensor<1099511627776xf32>"); }, Code::kDataLoss), "bytes");
  expect_contains(failure([] { literal("1", "tensor<1099511627776x1099511627776xi8>"); }, Code::kUnsupported),
                  "tensor<");
}

// --- operations ---

TEST(StablehloText, GenericAndPrettyFormsAreTheSame) {
  const std::string x = "%x = stablehlo.constant dense<[[1, 2, 3], [4, 5, 6]]> : tensor<2x3xi32>\n";
  const std::string pretty = x + "%y = stablehlo.transpose %x, dims = [1, 0] : (tensor<2x3xi32>) -> tensor<3x2xi32>\n" +
                             "%z = stablehlo.slice %y [0:3:2, 1:2] : (tensor<3x2xi32>) -> tensor<2x1xi32>\n" +
                             "return %z : tensor<2x1xi32>";
  const std::string generic =
      x +
      "%y = \"stablehlo.transpose\"(%x) <{permutation = array<i64: 1, 0>}> : (tensor<2x3xi32>) -> tensor<3x2xi32>\n" +
      "%z = \"stablehlo.slice\"(%y) {start_indices = array<i64: 0, 1>, limit_indices = dense<[3, 2]> : "
      "tensor<2xi64>, " +
      "strides = array<i64: 2, 1>} : (tensor<3x2xi32>) -> tensor<2x1xi32>\n" + "func.return %z : tensor<2x1xi32>";
  for (const std::string& body : {pretty, generic}) {
    EXPECT_EQ(results(body, "tensor<2x1xi32>"), (std::vector<Numbers>{{4, 6}}));
  }
}

TEST(StablehloText, RegionsOfKnownAndOfAnyComputation) {
  const std::string x =
      "%x = stablehlo.constant dense<[[1, 2, 3], [4, 5, 6]]> : tensor<2x3xi32>\n"
      "%z = stablehlo.constant dense<10> : tensor<i32>\n";
  // By a word, and by a region over two operands at once.
  EXPECT_EQ(results(x + "%r = stablehlo.reduce(%x init: %z) applies stablehlo.add across dimensions = [1] : "
                        "(tensor<2x3xi32>, tensor<i32>) -> tensor<2xi32>\nreturn %r : tensor<2xi32>",
                    "tensor<2xi32>"),
            (std::vector<Numbers>{{16, 25}}));
  EXPECT_EQ(
      results(x + "%r:2 = stablehlo.reduce(%x init: %z), (%x init: %z) across dimensions = [0] : "
                  "(tensor<2x3xi32>, tensor<2x3xi32>, tensor<i32>, tensor<i32>) -> (tensor<3xi32>, tensor<3xi32>)\n"
                  " reducer(%a: tensor<i32>, %c: tensor<i32>) (%b: tensor<i32>, %d: tensor<i32>) {\n"
                  "  %s = stablehlo.minimum %a, %c : tensor<i32>\n  %t = stablehlo.maximum %b, %d : tensor<i32>\n"
                  "  stablehlo.return %s, %t : tensor<i32>, tensor<i32>\n }\n"
                  "return %r#0, %r#1 : tensor<3xi32>, tensor<3xi32>",
              "tensor<3xi32>, tensor<3xi32>"),
      (std::vector<Numbers>{{1, 2, 3}, {10, 10, 10}}));
}

TEST(StablehloText, ScatterKeepsTheOrderOfEqualPlaces) {
  // y = 2 old + update at place 1, twice, with updates 3 and 4; place 9 is outside. A region that is no known op.
  EXPECT_EQ(results("%x = stablehlo.constant dense<[1, 2, 5]> : tensor<3xi64>\n"
                    "%i = stablehlo.constant dense<[[1], [9], [1]]> : tensor<3x1xi32>\n"
                    "%u = stablehlo.constant dense<[3, 7, 4]> : tensor<3xi64>\n"
                    "%r = \"stablehlo.scatter\"(%x, %i, %u) <{scatter_dimension_numbers = #stablehlo.scatter<"
                    "inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> ({\n"
                    "^bb0(%a: tensor<i64>, %b: tensor<i64>):\n  %d = stablehlo.add %a, %a : tensor<i64>\n"
                    "  %s = stablehlo.add %d, %b : tensor<i64>\n  stablehlo.return %s : tensor<i64>\n"
                    "}) : (tensor<3xi64>, tensor<3x1xi32>, tensor<3xi64>) -> tensor<3xi64>\nreturn %r : tensor<3xi64>",
                    "tensor<3xi64>"),
            (std::vector<Numbers>{{1, 18, 5}}));
}

TEST(StablehloText, AnyComparatorSorts) {
  // By the last digit, stable; the comparator uses a value from outside.
  EXPECT_EQ(
      results(
          "%x = stablehlo.constant dense<[31, 12, 41, 5, 22]> : tensor<5xi32>\n"
          "%t = stablehlo.constant dense<10> : tensor<i32>\n"
          "%r = \"stablehlo.sort\"(%x) ({\n^bb0(%a: tensor<i32>, %b: tensor<i32>):\n"
          "  %c = stablehlo.remainder %a, %t : tensor<i32>\n  %d = stablehlo.remainder %b, %t : tensor<i32>\n"
          "  %l = stablehlo.compare LT, %c, %d, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>\n"
          "  stablehlo.return %l : tensor<i1>\n"
          "}) {dimension = 0 : i64, is_stable = true} : (tensor<5xi32>) -> tensor<5xi32>\nreturn %r : tensor<5xi32>",
          "tensor<5xi32>"),
      (std::vector<Numbers>{{31, 41, 12, 22, 5}}));
}

TEST(StablehloText, LoopsAndBranchesSeeValuesFromOutside) {
  const std::string text =
      "func.func @main(%n: tensor<i64>) -> (tensor<i64>, tensor<i64>) {\n"
      "  %zero = stablehlo.constant dense<0> : tensor<i64>\n  %one = stablehlo.constant dense<1> : tensor<i64>\n"
      "  %r:2 = stablehlo.while(%i = %zero, %s = %zero) : tensor<i64>, tensor<i64>\n  cond {\n"
      "    %c = stablehlo.compare LT, %i, %n, SIGNED : (tensor<i64>, tensor<i64>) -> tensor<i1>\n"
      "    stablehlo.return %c : tensor<i1>\n  } do {\n    %j = stablehlo.add %i, %one : tensor<i64>\n"
      "    %t = stablehlo.add %s, %n : tensor<i64>\n    stablehlo.return %j, %t : tensor<i64>, tensor<i64>\n  }\n"
      "  %b = stablehlo.compare GT, %n, %one, SIGNED : (tensor<i64>, tensor<i64>) -> tensor<i1>\n"
      "  %k = \"stablehlo.if\"(%b) ({\n    stablehlo.return %n : tensor<i64>\n  }, {\n"
      "    stablehlo.return %zero : tensor<i64>\n  }) : (tensor<i1>) -> tensor<i64>\n"
      "  return %r#1, %k : tensor<i64>, tensor<i64>\n}";
  const Imported imported = import(text);
  verify(imported.graph, "test");
  for (const int64_t n : {0, 1, 5}) {
    const std::vector<Literal> inputs = {Literal::scalar(n)};
    const auto out = reference::evaluate(imported.graph, inputs);
    EXPECT_EQ(out[0].at(0), static_cast<double>(n * n));
    EXPECT_EQ(out[1].at(0), static_cast<double>(n > 1 ? n : 0));
  }
}

TEST(StablehloText, FreeSizesFollowFromTheArguments) {
  const std::string text =
      "func.func @main(%x: tensor<?x2xf32>) -> tensor<?x?xf32> {\n"
      "  %d = stablehlo.get_dimension_size %x, dim = 0 : (tensor<?x2xf32>) -> tensor<i32>\n"
      "  %n = stablehlo.reshape %d : (tensor<i32>) -> tensor<1xi32>\n  %t = stablehlo.constant dense<2> : "
      "tensor<1xi32>\n"
      "  %s = stablehlo.concatenate %t, %n, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>\n"
      "  %r = stablehlo.dynamic_reshape %x, %s : (tensor<?x2xf32>, tensor<2xi32>) -> tensor<?x?xf32>\n"
      "  return %r : tensor<?x?xf32>\n}";
  EXPECT_EQ(import(text, {{f32, {5, 2}}}).graph.outputs()[0].shape(), (Shape{2, 5}));
  expect_contains(failure([&] { import(text); }, Code::kUnsupported), "sizes of tensor<?x2xf32> are not known");
  expect_contains(failure([&] { import(text, {{ f32, { 5, 3 } }}); }, Code::kInvalidArgument), "f32[5, 3]");
}

TEST(StablehloText, SlicesByOperands) {
  // Bounds come from operands; they are constants once everything is called.
  EXPECT_EQ(
      results("%x = stablehlo.constant dense<[1, 2, 3, 4, 5]> : tensor<5xi32>\n"
              "%b = stablehlo.constant dense<1> : tensor<1xi32>\n%e = stablehlo.constant dense<5> : tensor<1xi32>\n"
              "%s = stablehlo.add %b, %b : tensor<1xi32>\n"
              "%r = stablehlo.real_dynamic_slice %x, %b, %e, %s : (tensor<5xi32>, tensor<1xi32>, tensor<1xi32>, "
              "tensor<1xi32>) -> tensor<?xi32>\nreturn %r : tensor<?xi32>",
              "tensor<?xi32>"),
      (std::vector<Numbers>{{2, 4}}));
}

TEST(StablehloText, FunctionsChlo) {
  // Against tables, and for exp(-|x|) I1(x) its power series in 60 digits.
  const auto at = [](const std::string& op, const std::string& x) {
    return results(cat("%x = stablehlo.constant dense<", x, "> : tensor<f64>\n%y = ", op,
                       " %x : tensor<f64> -> tensor<f64>\nreturn %y : tensor<f64>"),
                   "tensor<f64>")[0][0];
  };
  EXPECT_NEAR(at("chlo.lgamma", "0.5"), 0.5723649429247001, 1e-14);
  EXPECT_NEAR(at("chlo.lgamma", "100.0"), 359.1342053695754, 1e-12);
  EXPECT_NEAR(at("chlo.lgamma", "-1.5"), 0.8600470153764810, 1e-14);
  EXPECT_EQ(at("chlo.lgamma", "-2.0"), INFINITY);
  EXPECT_NEAR(at("chlo.digamma", "1.0"), -0.5772156649015329, 1e-14);
  EXPECT_NEAR(at("chlo.digamma", "-0.5"), 0.03648997397857652, 1e-14);
  EXPECT_TRUE(std::isnan(at("chlo.digamma", "-3.0")));
  EXPECT_NEAR(at("chlo.bessel_i1e", "1.0"), 0.2079104153497085, 1e-15);
  EXPECT_NEAR(at("chlo.bessel_i1e", "24.0"), 0.08014413927653474, 1e-15);
  EXPECT_NEAR(at("chlo.bessel_i1e", "24.5"), 0.07934852884726770, 1e-15);
  EXPECT_NEAR(at("chlo.bessel_i1e", "-30.0"), -0.07191633059864755, 1e-15);
}

// --- wrong texts ---

std::string wrong(const std::string& body, Code code) {
  return failure([&] { import(cat("func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {\n", body, "\n}")); }, code);
}

TEST(StablehloText, WrongTexts) {
  const std::string good =
      "func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {\n  %0 = stablehlo.add %x, %x : tensor<2xf32>\n"
      "  return %0 : tensor<2xf32>\n}";
  import(good);
  for (size_t length = 1; length < good.size(); ++length) {
    EXPECT_NE(failure([&] { import(good.substr(0, length)); }, Code::kDataLoss), "") << good.substr(0, length);
  }
  const std::string end = "\nreturn %0 : tensor<2xf32>";
  expect_contains(wrong("%0 = stablehlo.ad %x, %x : tensor<2xf32>" + end, Code::kUnsupported),
                  "line 2: stablehlo.ad: the op is not supported; the nearest one that is: stablehlo.a");
  expect_contains(wrong("%0 = stablehlo.add %x, %1 : tensor<2xf32>" + end, Code::kDataLoss),
                  "uses %1, which nothing before it makes");
  expect_contains(wrong("%0 = stablehlo.add %x, %x#1 : tensor<2xf32>" + end, Code::kDataLoss), "%x#1 of 1 results");
  expect_contains(wrong("%0 = stablehlo.add %x, %x : tensor<3xf32>" + end, Code::kInvalidArgument),
                  "the result %0 is f32[2], written is tensor<3xf32>");
  expect_contains(wrong("%0 = stablehlo.add %x, %x : tensor<2xf64>" + end, Code::kInvalidArgument), "tensor<2xf64>");
  expect_contains(wrong("%0 = stablehlo.negate %x : (tensor<2xi32>) -> tensor<2xf32>" + end, Code::kInvalidArgument),
                  "operand %x is f32[2], written is tensor<2xi32>");
  expect_contains(
      wrong("%0 = stablehlo.add %x, %x : tensor<2xf32>\n%0 = stablehlo.abs %x : tensor<2xf32>" + end, Code::kDataLoss),
      "line 3: %0 is defined twice");
  expect_contains(wrong("%x = stablehlo.abs %x : tensor<2xf32>\nreturn %x : tensor<2xf32>", Code::kDataLoss),
                  "%x is defined twice");
  expect_contains(wrong("%0:2 = stablehlo.abs %x : tensor<2xf32>" + end, Code::kInvalidArgument), "fewer than the 2");
  expect_contains(wrong("%0 = stablehlo.abs %x : tensor<2xf32>", Code::kDataLoss), "does not end with a return");
  expect_contains(wrong("%0 = stablehlo.transpose %x, dims = [0], dims = [1] : (tensor<2xf32>) -> tensor<2xf32>" + end,
                        Code::kInvalidArgument),
                  "axis 1");
  expect_contains(
      wrong("%0 = \"stablehlo.abs\"(%x) {a = 1, a = 2} : (tensor<2xf32>) -> tensor<2xf32>" + end, Code::kDataLoss),
      "attribute 'a' is given twice");
  expect_contains(wrong("%0 = call @other(%x) : (tensor<2xf32>) -> tensor<2xf32>" + end, Code::kDataLoss),
                  "there is no function @other");
  expect_contains(wrong("%0 = call @main(%x) : (tensor<2xf32>) -> tensor<2xf32>" + end, Code::kUnsupported),
                  "a function that calls itself");
  expect_contains(failure([&] { import(good + "\n" + good); }, Code::kDataLoss), "@main is defined twice");
  expect_contains(
      failure([] { import("func.func @f(%a: tensor<f32>, %a: tensor<f32>) {\nreturn\n}"); }, Code::kDataLoss),
      "argument %a is named twice");
  expect_contains(wrong("\x01", Code::kDataLoss), "line 2: the character 1 begins nothing");
  expect_contains(
      wrong("%0 = stablehlo.custom_call @foo(%x) : (tensor<2xf32>) -> tensor<2xf32>" + end, Code::kUnsupported),
      "custom call 'foo' is not supported");
}

TEST(StablehloText, DeepNestingIsRefused) {
  std::string lists, regions;
  for (int i = 0; i < 100'000; ++i) lists += "[";
  expect_contains(wrong("%0 = stablehlo.abs %x, a = " + lists, Code::kDataLoss), "more than 64 levels");
  for (int i = 0; i < 100'000; ++i) regions += "\"stablehlo.if\"(%x) ({\n";
  expect_contains(wrong(regions, Code::kDataLoss), "more than 64 levels");
}

TEST(StablehloText, ConstantsThatAskForTooMuchAreRefused) {
  // A window of 2^40 elements, a region that no primitive knows.
  expect_contains(
      failure(
          [] {
            import(
                "func.func @main(%x: tensor<1099511627776xf32>, %z: tensor<f32>) -> tensor<1xf32> {\n"
                "%0 = \"stablehlo.reduce_window\"(%x, %z) <{window_dimensions = array<i64: 1099511627776>}> ({\n"
                "^bb0(%a: tensor<f32>, %b: tensor<f32>):\n  %m = stablehlo.multiply %a, %b : tensor<f32>\n"
                "  stablehlo.return %m : tensor<f32>\n}) : (tensor<1099511627776xf32>, tensor<f32>) -> tensor<1xf32>\n"
                "return %0 : tensor<1xf32>\n}");
          },
          Code::kUnsupported),
      "a window of more than 4096 elements");
}

TEST(StablehloText, ModulesOfAFileAndTheirOps) {
  const auto program = Program::parse(
      "// RUN: something\nfunc.func private @helper() -> tensor<i32> {\n  %c = stablehlo.constant dense<1> : "
      "tensor<i32>\n"
      "  %d = stablehlo.negate %c : tensor<i32>\n  return %d : tensor<i32>\n}\nfunc.func @test() {\n"
      "  %0 = call @helper() : () -> tensor<i32>\n  %1 = stablehlo.abs %0 : tensor<i32>\n"
      "  check.expect_eq_const %1, dense<1> : tensor<i32>\n  func.return\n}\n// -----\n\n// -----\nmodule @m {\n"
      "  func.func @main() {\n    return\n  }\n}\n");
  ASSERT_EQ(program.modules().size(), 2U);
  const auto& module = program.modules()[0];
  EXPECT_EQ(Program::entry(module).name, "test");
  EXPECT_EQ(Program::operators(module, Program::entry(module)),
            (std::vector<std::string>{"stablehlo.abs", "stablehlo.negate"}));
  EXPECT_EQ(program.modules()[1].functions[0].line, 17);
}

}  // namespace
}  // namespace trireme::formats::stablehlo
