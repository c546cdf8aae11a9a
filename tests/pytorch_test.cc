#include "trireme/formats/pytorch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/formats/pickle.h"
#include "trireme/formats/safetensors.h"
#include "trireme/formats/zip.h"

namespace trireme::formats {
namespace {

using namespace std::string_literals;

std::string data_folder() { return environment("TRIREME_DATA", "../shared/data"); }

std::span<const std::byte> as_bytes_of(const std::string& text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

Pytorch parsed(const std::string& bytes) {
  const auto owner = std::make_shared<const std::string>(bytes);
  return parse_pytorch(owner, as_bytes_of(*owner), "made.pt");
}

void expect_refused(const std::string& bytes, const std::vector<std::string>& parts, Code code = Code::kDataLoss) {
  try {
    parsed(bytes);
    ADD_FAILURE() << "accepted; expected '" << parts[0] << "'";
  } catch (const Error& error) {
    EXPECT_EQ(code_name(error.code()), code_name(code)) << error.what();
    for (const std::string& part : parts) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << "no '" << part << "' in: " << error.what();
    }
  }
}

// --- pickles by hand ----------------------------------------------------------------------------------------------

std::string little(uint64_t value, size_t width) {
  std::string out;
  for (size_t i = 0; i < width; ++i) out += static_cast<char>(value >> 8 * i & 0xFF);
  return out;
}
std::string text(const std::string& value) { return "X" + little(value.size(), 4) + value; }
std::string integer(int64_t value) { return "\x8a\x08"s + little(static_cast<uint64_t>(value), 8); }
std::string tuple(const std::vector<int64_t>& values) {
  std::string out = "(";
  for (const int64_t value : values) out += integer(value);
  return out + "t";
}
std::string name(const std::string& module, const std::string& part) { return "c" + module + "\n" + part + "\n"; }
std::string pickle(const std::string& body) { return "\x80\x02"s + body + "."; }
std::string dict(const std::string& pairs) { return "}(" + pairs + "u"; }

struct Made {
  std::string storage = "FloatStorage", key = "0";
  int64_t count = 6, offset = 0;
  std::vector<int64_t> sizes = {2, 3}, strides = {3, 1};
};
std::string tensor(const Made& m = {}) {
  return name("torch._utils", "_rebuild_tensor_v2") + "(" + "(" + text("storage") + name("torch", m.storage) +
         text(m.key) + text("cpu") + integer(m.count) + "tQ" + integer(m.offset) + tuple(m.sizes) + tuple(m.strides) +
         "\x89" + name("collections", "OrderedDict") + ")RtR";
}

std::string floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}
const std::string kSix = floats({1, 2, 3, 4, 5, 6});

// An archive of a pickle and storage 0.
std::string archive(const std::string& body, const std::string& storage = kSix, const std::string& order = "little",
                    bool deflate = false) {
  const std::string whole = pickle(body);
  const TemporaryFolder folder;
  write_zip(folder / "a.pt",
            {{"a/data.pkl", {as_bytes_of(whole)}},
             {"a/byteorder", {as_bytes_of(order)}},
             {"a/data/0", {as_bytes_of(storage)}}},
            deflate);
  return read_file(folder / "a.pt");
}

// --- what files of others hold ------------------------------------------------------------------------------------

// Counts, and the sum over tensors in the order of their names of element i times i mod 7 + 1, with 1 for what is not
// finite or above 1e30: computed with Python's own pickle module and NumPy.
struct Truth {
  const char* file;
  size_t tensors;
  int64_t elements;
  double sum;
};
constexpr Truth kFiles[] = {
    {"checkpoint-formats/pytorch-tests/batch_norm/batch_norm2d.pt", 5, 21, 30.249999653548002},
    {"checkpoint-formats/pytorch-tests/boolean/boolean.pt", 1, 3, 4.0},
    {"checkpoint-formats/pytorch-tests/buffer/buffer.pt", 1, 9, 31.0},
    {"checkpoint-formats/pytorch-tests/config/weights_with_config.pt", 3, 21, -9.510262101888657},
    {"checkpoint-formats/pytorch-tests/conv1d/conv1d.pt", 3, 18, -0.5994387269020081},
    {"checkpoint-formats/pytorch-tests/conv2d/conv2d.pt", 3, 34, 0.3573233336210251},
    {"checkpoint-formats/pytorch-tests/conv_transpose2d/conv_transpose2d.pt", 3, 34, 0.3573233336210251},
    {"checkpoint-formats/pytorch-tests/debug_test.pt", 1, 4, 30.0},
    {"checkpoint-formats/pytorch-tests/embedding/embedding.pt", 1, 30, -10.999543694779277},
    {"checkpoint-formats/pytorch-tests/enum_module/enum_depthwise_true.pt", 4, 26, 1.8326046876609325},
    {"checkpoint-formats/pytorch-tests/group_norm/group_norm.pt", 2, 12, 21.0},
    {"checkpoint-formats/pytorch-tests/integer/integer.pt", 1, 3, 14.0},
    {"checkpoint-formats/pytorch-tests/key_remap_chained/key_remap.pt", 18, 309, 118.95287746416871},
    {"checkpoint-formats/pytorch-tests/layer_norm/layer_norm.pt", 2, 4, 3.0},
    {"checkpoint-formats/pytorch-tests/linear/linear.pt", 3, 21, 1.4151770770549774},
    {"checkpoint-formats/pytorch-tests/missing_module_field/missing_module_field.pt", 2, 18, -0.1759139746427536},
    {"checkpoint-formats/pytorch-tests/non_contiguous_indexes/non_contiguous_indexes.pt", 10, 190, 2.066941868746653},
    {"checkpoint-formats/pytorch-tests/test_int.pt", 1, 3, 14.0},
    {"checkpoint-formats/reader/bfloat16.pt", 1, 3, 7.0},
    {"checkpoint-formats/reader/bool.pt", 1, 5, 8.0},
    {"checkpoint-formats/reader/buffers.pt", 2, 5, 15.0},
    {"checkpoint-formats/reader/checkpoint.pt", 5, 143, -37.70127549872268},
    {"checkpoint-formats/reader/complex_structure.pt", 6, 35, 33.78528274176642},
    {"checkpoint-formats/reader/extreme_values.pt", 1, 4, 6.0},
    {"checkpoint-formats/reader/float16.pt", 1, 3, 6.375},
    {"checkpoint-formats/reader/float32.pt", 1, 4, -5.1000001430511475},
    {"checkpoint-formats/reader/int16.pt", 1, 3, 6000.0},
    {"checkpoint-formats/reader/int32.pt", 1, 3, -40.0},
    {"checkpoint-formats/reader/int64.pt", 1, 4, 600.0},
    {"checkpoint-formats/reader/large_shape.pt", 1, 10000, 21.0},
    {"checkpoint-formats/reader/legacy_shared_storage.pt", 3, 40, -10.447961766272783},
    {"checkpoint-formats/reader/legacy_uncloned_views.pt", 2, 20, 2364.0},
    {"checkpoint-formats/reader/mixed_types.pt", 4, 8, 511.5},
    {"checkpoint-formats/reader/nested_dict.pt", 4, 20, -11.10399834625423},
    {"checkpoint-formats/reader/parameter.pt", 1, 9, -5.968727141618729},
    {"checkpoint-formats/reader/simple_legacy.pt", 3, 10, 2.3104491233825684},
    {"checkpoint-formats/reader/special_values.pt", 1, 5, 11.0},
    {"checkpoint-formats/reader/state_dict.pt", 4, 21, -8.056593716144562},
    {"checkpoint-formats/reader/tensor_3d.pt", 1, 24, -247.25078371167183},
    {"checkpoint-formats/reader/tensor_4d.pt", 1, 24, 25.006196409463882},
    {"checkpoint-formats/reader/uint8.pt", 1, 4, 1189.0},
    {"checkpoint-formats/squeezenet1_1_lpips.pt", 66, 726982, -2999.311927118244},
    {"ocr/lprnet/Final_LPRNet_model.pth", 62, 449038, -1892.2828984313064},
    {"onnx-models/burn_mnist/mnist.pt", 20, 376940, 8130.791555533517},
    {"onnx-models/cifar10_cnn/myFirstModel_0.pth", 30, 50474, 18938.51301373161},
    {"onnx-models/cifar10_cnn/myFirstModel_1.pth", 30, 50474, 15473.98335026441},
    {"onnx-models/iris_mlp/NetModel.pth", 6, 795, 1.517151987995021},
};

TEST(Pytorch, FilesOfOthers) {
  if (!file_exists(data_folder() + "/checkpoint-formats")) GTEST_SKIP() << "no checkpoint-formats in " << data_folder();
  for (const Truth& truth : kFiles) {
    SCOPED_TRACE(truth.file);
    const Pytorch content = read_pytorch(data_folder() + "/" + truth.file);
    EXPECT_EQ(content.tensors.size(), truth.tensors);
    int64_t elements = 0;
    double sum = 0;
    for (const auto& [key, literal] : content.tensors) {
      elements += literal.elements();
      for (int64_t i = 0; i < literal.elements(); ++i) {
        const double value = literal.at(i);
        sum += (std::isfinite(value) && std::fabs(value) < 1e30 ? value : 1.0) * static_cast<double>(i % 7 + 1);
      }
    }
    EXPECT_EQ(elements, truth.elements);
    EXPECT_NEAR(sum, truth.sum, 1e-9 * std::max(1.0, std::fabs(truth.sum)));
  }
}

TEST(Pytorch, SameTensorsAsTheSafetensorsFile) {
  const std::string base = data_folder() + "/ocr/lprnet/Final_LPRNet_model";
  if (!file_exists(base + ".pth")) GTEST_SKIP() << "no " << base << ".pth";
  const auto ours = read_pytorch(base + ".pth").tensors, theirs = read_safetensors(base + ".safetensors").tensors;
  EXPECT_GT(theirs.size(), 50u);
  for (const auto& [key, literal] : theirs) {
    ASSERT_TRUE(ours.contains(key)) << key;
    EXPECT_TRUE(ours.at(key).same_bytes(literal)) << key;
  }
}

TEST(Pytorch, FactsBesideTensors) {
  const std::string path = data_folder() + "/checkpoint-formats/reader/complex_structure.pt";
  if (!file_exists(path)) GTEST_SKIP() << "no " << path;
  const Pytorch content = read_pytorch(path);
  EXPECT_EQ(content.facts.at("metadata.version"), "1");
  EXPECT_EQ(content.facts.at("metadata.name"), "test_model");
  EXPECT_TRUE(content.tensors.contains("state.encoder.layer_0.weight"));
}

// --- what we make -------------------------------------------------------------------------------------------------

TEST(Pytorch, NestedNamesStridesAndSharing) {
  const std::string turned = tensor({.sizes = {3, 2}, .strides = {1, 3}});
  const std::string column = tensor({.offset = 1, .sizes = {2}, .strides = {3}});
  const std::string spread = tensor({.offset = 5, .sizes = {2, 2}, .strides = {0, 0}});
  const Pytorch content =
      parsed(archive(dict(text("model") + dict(text("w") + tensor() + text("turned") + turned) + text("list") + "](" +
                          column + spread + "e" + text("epoch") + "K\x07" + integer(3) + dict(text("x") + tensor()))));
  const auto& tensors = content.tensors;
  EXPECT_EQ(tensors.size(), 5u);
  EXPECT_EQ(tensors.at("model.w").text(), "f32[2, 3] {1, 2, 3, 4, 5, 6}");
  EXPECT_EQ(tensors.at("model.turned").text(), "f32[3, 2] {1, 4, 2, 5, 3, 6}");
  EXPECT_EQ(tensors.at("list.0").text(), "f32[2] {2, 5}");
  EXPECT_EQ(tensors.at("list.1").text(), "f32[2, 2] {6, 6, 6, 6}");
  EXPECT_EQ(tensors.at("3.x").data(), tensors.at("model.w").data()) << "shared storages are not copied";
  EXPECT_EQ(content.facts.at("epoch"), "7");
}

TEST(Pytorch, ATensorAlone) { EXPECT_TRUE(parsed(archive(tensor())).tensors.contains("tensor")); }

TEST(Pytorch, EveryStorage) {
  const std::string ones(8, '\1');
  const struct {
    const char* storage;
    DType type;
  } all[] = {{"DoubleStorage", f64}, {"FloatStorage", f32},   {"HalfStorage", f16}, {"BFloat16Storage", bf16},
             {"CharStorage", i8},    {"ShortStorage", i16},   {"IntStorage", i32},  {"LongStorage", i64},
             {"ByteStorage", u8},    {"BoolStorage", boolean}};
  for (const auto& each : all) {
    const auto count = static_cast<int64_t>(8 / size_of(each.type));
    const auto tensors =
        parsed(archive(tensor({.storage = each.storage, .count = count, .sizes = {count}, .strides = {1}}), ones))
            .tensors;
    EXPECT_EQ(tensors.at("tensor").dtype(), each.type);
    EXPECT_EQ(std::memcmp(tensors.at("tensor").data(), ones.data(), 8), 0);
  }
  // Types newer than storages: untyped, the type beside it.
  for (const auto& [called, type] : {std::pair("uint16", u16), std::pair("uint32", u32), std::pair("uint64", u64)}) {
    const auto count = static_cast<int64_t>(8 / size_of(type));
    const std::string body = name("torch._utils", "_rebuild_tensor_v3") + "((" + text("storage") +
                             name("torch.storage", "UntypedStorage") + text("0") + text("cpu") + integer(8) + "tQ" +
                             integer(0) + tuple({count}) + tuple({1}) + "\x89" + "}" + name("torch", called) + "}tR";
    EXPECT_EQ(parsed(archive(body, ones)).tensors.at("tensor").dtype(), type);
  }
}

// --- malice -------------------------------------------------------------------------------------------------------

TEST(PytorchMalice, NamesAreRefusedBeforeAnythingIsCalled) {
  const auto refused = [](const std::string& body, const std::string& named) {
    expect_refused(archive(body), {"made.pt", "'" + named + "'", "nothing was run", "state_dict"}, Code::kUnsupported);
  };
  refused(name("os", "system") + "(" + text("touch /tmp/owned") + "tR", "os.system");
  refused(name("posix", "system") + text("ls") + "\x85R", "posix.system");
  refused(name("builtins", "eval") + "(" + text("1") + "tR", "builtins.eval");
  refused(name("__builtin__", "exec"), "__builtin__.exec");
  refused(text("subprocess") + text("Popen") + "\x93", "subprocess.Popen");
  refused(name("torch.nn.modules.conv", "Conv2d") + ")\x81}b", "torch.nn.modules.conv.Conv2d");
  refused(name("builtins", "getattr"), "builtins.getattr");
  // Also where nothing would ever come of it.
  refused("N" + name("os", "system") + "0", "os.system");
  // The protocol of text, as exploits like it.
  expect_refused("cos\nsystem\n(S'ls'\ntR.", {"neither like a zip archive"});
  expect_refused(
      "\x80\x02"
      "cos\nsystem\n(S'ls'\ntR.",
      {"'os.system'"}, Code::kUnsupported);
}

TEST(PytorchMalice, AllowedNamesAreNoTools) {
  // A harmless name where a tensor belongs, a storage that is called, a tensor of text.
  EXPECT_TRUE(parsed(archive(name("torch", "device") + text("cpu") + "\x85R")).tensors.empty());
  expect_refused(archive(name("torch", "FloatStorage") + ")R"), {"'torch.FloatStorage' makes no tensor"},
                 Code::kUnsupported);
  expect_refused(archive(name("torch._utils", "_rebuild_tensor_v2") + "(" + text("x") + "tR"), {"argument 0"});
  expect_refused(archive(name("torch._utils", "_rebuild_tensor_v2") + ")R"), {"argument 0"});
  expect_refused(archive(name("torch._utils", "_rebuild_parameter") + "(KaKatR"), {"argument 0"});
  expect_refused(archive("K\x01K\x02\x85R"), {"calls something that is no name"});
  std::string self = name("torch._utils", "_rebuild_parameter");  // a parameter of a parameter of ...
  std::string deep = tensor();
  for (int i = 0; i < 10; ++i) deep = self + "(" + deep + "tR";
  expect_refused(archive(deep), {"no tensor"});
}

TEST(PytorchMalice, SizesThatLie) {
  expect_refused(archive("X\xff\xff\xff\x7f"
                         "abc"),
                 {"asks for 2147483647 bytes", "cut short"});
  expect_refused(archive("\x8d" + little(UINT64_MAX, 8)), {"asks for 18446744073709551615"});
  expect_refused(archive("\x8b" + little(0xFFFFFFFF, 4)), {"asks for 4294967295"});
  expect_refused(archive(tensor({.count = 7})), {"storage '0' takes 28 bytes, but the archive has 24"});
  expect_refused(archive(tensor({.count = -1})), {"claims -1 elements"});
  expect_refused(archive(tensor({.count = INT64_MAX})), {"claims 9223372036854775807 elements"});
  expect_refused(archive(tensor({.offset = 1})), {"'tensor'", "reaches beyond the 6"});
  expect_refused(archive(tensor({.offset = -1})), {"reaches beyond"});
  expect_refused(archive(tensor({.strides = {INT64_MAX, INT64_MAX}})), {"reaches beyond"});
  expect_refused(archive(tensor({.strides = {-3, 1}})), {"no whole number of 0 or more"});
  expect_refused(archive(tensor({.sizes = {1 << 30, 1 << 30}, .strides = {0, 0}})), {"'tensor'"});
  expect_refused(archive(tensor({.sizes = {1 << 15, 1 << 15}, .strides = {0, 0}})), {"far more than the file holds"});
  expect_refused(archive(tensor({.sizes = {2}, .strides = {3, 1}})), {"not as many strides as sizes"});
  expect_refused(archive(tensor({.sizes = std::vector<int64_t>(9, 1), .strides = std::vector<int64_t>(9, 1)})),
                 {"9 axes"}, Code::kUnsupported);
  expect_refused(archive(tensor({.key = "../0"})), {"lacks storage '../0'"});
  expect_refused(archive(tensor({.storage = "ComplexFloatStorage"})), {"torch.ComplexFloatStorage"},
                 Code::kUnsupported);
  expect_refused(archive(tensor({.storage = "BoolStorage", .count = 4, .sizes = {4}, .strides = {1}}), "\0\1\2\0"s),
                 {"neither 0 nor 1"});
  expect_refused(archive(tensor(), kSix, "big"), {"big-endian"}, Code::kUnsupported);
  // A storage of 80 MiB of zeros, deflated to 80 KiB.
  const std::string zeros(size_t{80} << 20, '\0');
  const auto count = static_cast<int64_t>(zeros.size() / sizeof(float));
  expect_refused(archive(tensor({.count = count, .sizes = {1}, .strides = {1}}), zeros, "little", true),
                 {"'tensor'", "far more than the file holds"});
  // Every cut of a sound file is refused.
  const std::string sound = archive(dict(text("w") + tensor()));
  for (size_t size = 0; size < sound.size(); size += 7) EXPECT_THROW(parsed(sound.substr(0, size)), Error) << size;
}

TEST(PytorchMalice, ValuesThatHoldThemselves) {
  // a = []; a.append(a)
  expect_refused(archive("]q\x05h\x05"
                         "a"),
                 {"hold themselves"});
  // d = {}; d["d"] = d
  expect_refused(archive("}q\x05" + text("d") + "h\x05s"), {"hold themselves"});
  // Nested a hundred thousand deep.
  expect_refused(archive(std::string(100000, ']') + std::string(99999, 'a')), {"nested deeper"});
  // Each of 60 lists holds the one before it twice: 2^60 leaves.
  std::string bomb = "]q" + "\0"s;
  for (char i = 1; i < 60; ++i) bomb += "](h"s + static_cast<char>(i - 1) + "h" + static_cast<char>(i - 1) + "eq" + i;
  expect_refused(archive(bomb), {"far more than the file holds"});
  // One name of a megabyte, and one text, under a thousand keys each.
  const std::string long_text(1 << 20, 'n');
  std::string names = "}(" + text(long_text) + "q\1", inner = "}(";
  for (int64_t i = 0; i < 1000; ++i) inner += integer(i) + "K\1";
  expect_refused(archive(names + inner + "uu"), {"far more than the file holds"});
  std::string same = "}(" + text("text") + text(long_text) + "q\1";
  for (int64_t i = 0; i < 1000; ++i) same += integer(i) + "h\1";
  expect_refused(archive(same + "u"), {"far more than the file holds"});
  // A memo of a wild index costs nothing; one that was never kept is refused.
  EXPECT_TRUE(parsed(archive("Nr" + little(0xFFFFFFFF, 4))).tensors.empty());
  expect_refused(archive("j" + little(0xFFFFFFFF, 4)), {"recalls value 4294967295"});
  // The stack and its marks.
  for (const std::string& body :
       {"0"s, "t"s, "a"s, "s"s, "R"s, "(R"s, "N(Ra"s, "u"s, "\x93"s, "Q"s, "q\1"s, "b"s, "2"s}) {
    EXPECT_THROW(parsed(archive(body)), Error) << body;
  }
  expect_refused(archive("}(K\1u"), {"key without a value"});
  expect_refused(archive("\xff"), {"opcode 255"}, Code::kUnsupported);
  expect_refused(archive("\x80\x09N"), {"protocol 9"}, Code::kUnsupported);
}

TEST(PytorchMalice, TwoTensorsOfOneName) {
  expect_refused(archive(dict(text("a.b") + tensor() + text("a") + dict(text("b") + tensor()))),
                 {"'a.b'", "this name"});
}

TEST(PytorchMalice, LegacyCounts) {
  const std::string head = pickle("\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19") + pickle("M\xe9\x03") +
                           pickle(dict(text("little_endian") + "\x88")) + pickle(dict(text("w") + tensor())) +
                           pickle("](" + text("0") + "e");
  EXPECT_EQ(parsed(head + little(6, 8) + kSix).tensors.at("w").text(), "f32[2, 3] {1, 2, 3, 4, 5, 6}");
  expect_refused(head, {"cut short before a storage"});
  expect_refused(head + little(UINT64_MAX, 8) + kSix, {"claims 18446744073709551615 elements"});
  expect_refused(head + little(5, 8) + kSix, {"takes 24 bytes, but the file has 20"});
  expect_refused(pickle("K\1") + pickle("K\1") + pickle("K\1"), {"neither a zip archive nor"});
}

}  // namespace
}  // namespace trireme::formats
