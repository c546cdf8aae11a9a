// The template as a new chip maker meets it: made by tools/new_chip.py, compiled as C11 against chip.h alone, loaded,
// and its kernels compared with the reference evaluator over dense and strided operands.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "tests/chip_compute.h"
#include "trireme/chip/loader.h"
#include "trireme/runtime/host.h"

namespace trireme::chip_test {
namespace {

constexpr const char* kTools = "python3 " TRIREME_SOURCE_DIR "/tools/";

int shell(const std::string& command) { return std::system(command.c_str()); }

// A chip maker's own library instead of the template: the kernels are tried the same way.
const char* under_test() { return std::getenv("TRIREME_CHIP_UNDER_TEST"); }

// Built once for all tests of this file.
const std::string& plugin_path() {
  static const std::string path = [] {
    if (under_test()) return std::string(under_test());
    const std::string folder = testing::TempDir() + "new_chip";
    std::filesystem::remove_all(folder);
    EXPECT_EQ(shell(std::string(kTools) + "new_chip.py fresh " + folder + " >/dev/null"), 0);
    const std::string library = folder + "/libtrireme_fresh.so";
    EXPECT_EQ(shell("cc -std=c11 -O2 -Wall -Wextra -Wpedantic -Werror -fPIC -shared -I" TRIREME_SOURCE_DIR " -o " +
                    library + " " + folder + "/fresh/chip.c -lm"),
              0);
    return library;
  }();
  return path;
}

class Template : public testing::Test {
 protected:
  void SetUp() override {
    library_ = dlopen(plugin_path().c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library_, nullptr) << dlerror();
    const auto entry = reinterpret_cast<TrmChipEntry>(dlsym(library_, "trm_chip_entry_v1"));
    ASSERT_NE(entry, nullptr);
    ASSERT_EQ(entry(&runtime::host_services(), &chip_), TRM_OK);
    ASSERT_EQ(chip_.device->open(0, nullptr, 0, &dev_, nullptr), TRM_OK);
  }
  void TearDown() override {
    if (dev_) {
      EXPECT_EQ(chip_.device->close(dev_), TRM_OK);
    }
    if (library_) dlclose(library_);
  }

  // Runs on the chip and on the evaluator; f32 may differ by `tolerance` of the larger magnitude, others not at all.
  void compare(const Graph& graph, std::vector<Strides> strides = {}, double low = -2, double high = 2) {
    const runtime::ProgramRef program = runtime::make_program(graph, strides);
    std::vector<Operand> mine = operands_of(program.get(), 7, low, high), truth = mine;
    run_on(chip_, dev_, program.get(), mine);
    evaluate(program.get(), truth);
    const std::vector<double> got = mine.back().values(), expected = truth.back().values();
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i) {
      const bool same = got[i] == expected[i] || (std::isnan(got[i]) && std::isnan(expected[i]));
      const bool f32_result = mine.back().type.dtype == TRM_F32;
      EXPECT_TRUE(same || (f32_result && std::abs(got[i] - expected[i]) <= 2e-6 * (1 + std::abs(expected[i]))))
          << "element " << i << ": " << got[i] << ", expected " << expected[i];
    }
    tried_.insert(std::string(graph.outputs()[0].node().name()));
  }

  TrmChip chip_ = chip::sized<TrmChip>();
  TrmDev* dev_ = nullptr;
  void* library_ = nullptr;
  std::set<std::string> tried_;
};

TEST_F(Template, BootsWithEightFunctionsAndNamesItself) {
  const TrmDeviceBank& d = *chip_.device;
  EXPECT_TRUE(d.enumerate && d.props && d.open && d.close && d.chunk_alloc && d.chunk_free && d.copy && d.sync);
  if (under_test()) GTEST_SKIP() << "the rest is the template's";
  EXPECT_STREQ(chip_.name, "fresh");
  const auto* optional = reinterpret_cast<const unsigned char*>(&d) + offsetof(TrmDeviceBank, fill);
  EXPECT_TRUE(std::all_of(optional, reinterpret_cast<const unsigned char*>(&d + 1), [](auto b) { return b == 0; }));
  EXPECT_EQ(shell(std::string(kTools) + "chip_abi.py symbols " + plugin_path()), 0);
  TrmErr err = chip::sized<TrmErr>();
  TrmDev* none = nullptr;
  EXPECT_EQ(d.open(1, nullptr, 0, &none, &err), TRM_INVALID);
  EXPECT_STREQ(err.text, "no such device");
}

TEST_F(Template, TheLoaderTakesIt) {
  const auto loaded = chip::load_plugin(plugin_path(), runtime::host_services());
  EXPECT_EQ(loaded->name(), chip_.name);
  EXPECT_GE(loaded->device_count(), 1u);
  EXPECT_GE(loaded->ops().size(), 19u);
}

TEST_F(Template, AllKernelsAgreeWithTheReference) {
  const Value x = parameter(f32, {3, 4}), y = parameter(f32, {3, 4});
  const Value i = parameter(i32, {3, 4}), j = parameter(i32, {3, 4}), b = parameter(boolean, {3, 4});
  // Transposed, broadcast along the rows, and reversed, as views come to a chip.
  const Strides transposed{1, 3}, broadcast{0, 1}, reversed{-4, -1};
  for (const char* op : {"exp", "rsqrt", "tanh", "log"}) {
    compare(Graph({x}, {node(op, {x})}), {}, 0.1, 4);
    compare(Graph({x}, {node(op, {x})}), {transposed}, 0.1, 4);
  }
  for (const char* op : {"neg", "abs", "sign", "floor", "ceil", "round_even", "sqrt", "sin", "cos"}) {
    compare(Graph({x}, {node(op, {x})}), {reversed}, std::string_view(op) == "sqrt" ? 0 : -4, 4);
  }
  for (const char* op : {"neg", "abs", "sign", "not"}) compare(Graph({i}, {node(op, {i})}), {transposed}, -3e9, 3e9);
  compare(Graph({b}, {node("not", {b})}));
  for (const char* op : {"and", "or"}) {
    compare(Graph({i, j}, {node(op, {i, j})}), {broadcast}, -3e9, 3e9);
    const Value c = parameter(boolean, {3, 4});
    compare(Graph({b, c}, {node(op, {b, c})}), {transposed});
  }
  compare(Graph({x, y}, {node("pow", {x, y})}), {}, 0.2, 3);
  for (const DType of : {f32, i32}) {
    for (const int64_t axis : {0, 1, -1}) {
      compare(Graph({}, {node("iota", {}, {{"shape", Ints{3, 4}}, {"dtype", of}, {"axis", axis}})}));
    }
  }
  for (const char* op : {"add", "sub", "mul", "div", "max", "min", "rem"}) {
    compare(Graph({x, y}, {node(op, {x, y})}), {transposed, reversed});
    compare(Graph({i, j}, {node(op, {i, j})}), {broadcast}, -3e9, 3e9);  // wraps; divisors of 0 and -1 among them
    compare(Graph({i, j}, {node(op, {i, j})}), {broadcast}, -3, 3);
    compare(Graph({x}, {node(op, {x, x})}));  // one operand, twice an input
  }
  for (const char* kind : {"eq", "ne", "lt", "le", "gt", "ge"}) {
    compare(Graph({x, y}, {node("compare", {x, y}, {{"kind", std::string(kind)}})}), {reversed});
    compare(Graph({i, j}, {node("compare", {i, j}, {{"kind", std::string(kind)}})}), {}, -2, 2);
  }
  for (const DType to : {f32, i32, boolean}) {
    for (const Value& from : {x, i, b})
      compare(Graph({from}, {node("convert", {from}, {{"dtype", to}})}), {}, -5e9, 5e9);
    compare(Graph({}, {node("fill", {}, {{"shape", Ints{2, 3}}, {"dtype", to}, {"value", 1.0}})}));
  }
  for (const Value& from : {x, i, b}) compare(Graph({from}, {node("strided_copy", {from})}), {reversed});
  compare(Graph({b, x, y}, {node("select", {b, x, y})}), {transposed, broadcast});
  compare(Graph({b, i, j}, {node("select", {b, i, j})}));

  const Value table = parameter(f32, {5, 2, 3}), which = parameter(i32, {2, 2});
  for (const int64_t axis : {0, 1, 2}) {
    const Value rows = node("gather", {table, which}, {{"axis", axis}});
    compare(Graph({table, which}, {rows}), {}, -2, 7);  // out of range among them: clamped
    const Value updates = parameter(f32, rows.shape());
    for (const char* op : {"scatter_add", "scatter_set"}) {
      compare(Graph({table, which, updates}, {node(op, {table, which, updates}, {{"axis", axis}})}), {}, -2, 7);
    }
  }
  for (const char* op : {"reduce_sum", "reduce_max", "reduce_min"}) {
    for (const Ints& axes : {Ints{}, Ints{0}, Ints{1}, Ints{0, 2}}) {
      for (const bool keepdims : {false, true}) {
        const Named attributes = {{"axes", axes}, {"keepdims", keepdims}};
        compare(Graph({table}, {node(op, {table}, attributes)}), {Strides{1, 5, 10}});
        const Value whole = parameter(i32, {5, 2, 3});
        compare(Graph({whole}, {node(op, {whole}, attributes)}), {}, -2e9, 2e9);
      }
    }
  }
  const Value left = parameter(f32, {2, 3, 4}), right = parameter(f32, {2, 4, 5});
  compare(Graph({left, right}, {node("dot_general", {left, right})}), {Strides{12, 1, 3}, Strides{0, 5, 1}});

  const TrmOpDecl* list = nullptr;
  uint32_t count = 0;
  EXPECT_EQ(chip_.compute->list_ops(&list, &count), TRM_OK);
  std::set<std::string> listed;
  for (uint32_t k = 0; k < count; ++k) listed.insert(list[k].name);
  for (const std::string& op : tried_) EXPECT_TRUE(listed.contains(op)) << op;
  if (!under_test()) {
    EXPECT_EQ(tried_, listed);  // every kernel was tried
  }
}

TEST_F(Template, SpecialValuesAndEmptyTensors) {
  const float inf = INFINITY, nan = NAN;
  const Literal odd =
      Literal::from(std::span<const float>(std::vector<float>{nan, inf, -inf, 3e9f, -3e9f, -0.5f}), {6});
  const Value c = node("constant", {}, {{"value", std::make_shared<const Literal>(odd)}});
  const Value one = parameter(f32, {6});
  compare(Graph({}, {node("convert", {c}, {{"dtype", i32}})}));
  compare(Graph({}, {node("convert", {c}, {{"dtype", boolean}})}));
  compare(Graph({one}, {node("max", {c, one})}));
  compare(Graph({one}, {node("max", {one, c})}));
  compare(Graph({one}, {node("compare", {one, c}, {{"kind", std::string("ne")}})}));
  compare(Graph({one}, {node("compare", {c, one}, {{"kind", std::string("le")}})}));
  compare(Graph({}, {node("reduce_max", {c}, {{"axes", Ints{}}, {"keepdims", false}})}));
  const Value empty = parameter(f32, {2, 0});
  compare(Graph({empty}, {node("exp", {empty})}));
  compare(Graph({empty}, {node("reduce_sum", {empty}, {{"axes", Ints{1}}, {"keepdims", false}})}));
}

TEST_F(Template, RefusesWithAReason) {
  if (under_test()) GTEST_SKIP() << "what the template refuses, another chip may take";
  const auto answer_of = [&](const Graph& graph) {
    TrmAnswer answer = chip::sized<TrmAnswer>();
    const runtime::ProgramRef program = runtime::make_program(graph);
    EXPECT_EQ(chip_.compute->query(dev_, program.get(), &answer, nullptr), TRM_OK);
    TrmKernel* kernel = nullptr;
    TrmErr err = chip::sized<TrmErr>();
    if (answer.verdict == TRM_NO) {
      EXPECT_EQ(chip_.compute->prepare(dev_, program.get(), &kernel, &err), TRM_UNSUPPORTED);
      EXPECT_STREQ(err.text, answer.text);
    }
    return answer;
  };
  const Value x = parameter(f32, {2}), wide = parameter(f64, {2}), i = parameter(i32, {2});
  EXPECT_EQ(answer_of(Graph({x}, {node("tan", {x})})).reason, static_cast<uint32_t>(TRM_REASON_OP));
  EXPECT_EQ(answer_of(Graph({wide}, {node("exp", {wide})})).reason, static_cast<uint32_t>(TRM_REASON_DTYPE));
  EXPECT_EQ(answer_of(Graph({x}, {node("exp", {node("exp", {x})})})).reason, static_cast<uint32_t>(TRM_REASON_REGION));
  EXPECT_EQ(answer_of(Graph({x}, {node("exp", {x})})).verdict, static_cast<uint32_t>(TRM_NATIVE));
}

TEST(NewChip, BadNamesAndTakenFoldersAreRefused) {
  const std::string folder = testing::TempDir() + "names";
  std::filesystem::remove_all(folder);
  const auto make = [&](const std::string& name) {
    return shell(std::string(kTools) + "new_chip.py '" + name + "' " + folder + " >/dev/null 2>&1");
  };
  EXPECT_NE(make("Big"), 0);
  EXPECT_NE(make("9lives"), 0);
  EXPECT_NE(make("../x"), 0);
  EXPECT_NE(make(""), 0);
  EXPECT_EQ(make("fine_1"), 0);
  EXPECT_NE(make("fine_1"), 0);
  EXPECT_TRUE(std::filesystem::exists(folder + "/fine_1/CMakeLists.txt"));
  EXPECT_EQ(shell("! grep -rq newchip " + folder), 0);
}

}  // namespace
}  // namespace trireme::chip_test
