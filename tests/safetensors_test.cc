#include "trireme/formats/safetensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/formats/npy.h"

namespace trireme::formats {
namespace {

std::string data_folder() { return environment("TRIREME_DATA", "../shared/data"); }

std::span<const std::byte> as_bytes_of(const std::string& text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

// A file made by hand: header as given, payload of `payload` bytes counting up.
std::string made(const std::string& header, size_t payload) {
  std::string out(8, '\0');
  for (size_t i = 0; i < 8; ++i) out[i] = static_cast<char>(header.size() >> (8 * i) & 0xFF);
  out += header;
  for (size_t i = 0; i < payload; ++i) out += static_cast<char>(i);
  return out;
}

Safetensors parsed(const std::string& bytes) {
  const auto owner = std::make_shared<const std::string>(bytes);
  return parse_safetensors(owner, as_bytes_of(*owner), "made.safetensors");
}

Error refusal(const std::string& bytes) {
  try {
    parsed(bytes);
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "accepted";
  return {Code::kInternal, ""};
}

void expect_refused(const std::string& bytes, std::vector<std::string> parts, Code code = Code::kDataLoss) {
  const Error error = refusal(bytes);
  EXPECT_EQ(code_name(error.code()), code_name(code)) << error.what();
  parts.push_back("made.safetensors");
  for (const std::string& part : parts) {
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << "no '" << part << "' in: " << error.what();
  }
}

TEST(Safetensors, EveryTypeAndShapeComesBack) {
  Safetensors content;
  for (const DType type : kAllDTypes) {
    const double sign = is_unsigned_int(type) || type == boolean ? 1 : -1;
    content.tensors.emplace(cat("weights.", type),
                            Literal::from_doubles(type, {2, 3}, std::vector<double>{0, 1, 2, 3, sign * 4, 5}));
    content.tensors.emplace(cat("scalar.", type), Literal::filled(type, {}, 1));
    content.tensors.emplace(cat("empty.", type), Literal::zeros(type, {0, 7}));
  }
  content.tensors.emplace("strange \"name\" \u00e9 \n", Literal::filled(f32, {1, 1, 1, 1, 1, 1, 1, 2}, 0.1));
  content.metadata = {{"step", "17"}, {"note", "two\nlines \u2713"}};
  const TemporaryFolder folder;
  write_safetensors(folder / "a", content);
  const Safetensors back = read_safetensors(folder / "a");
  EXPECT_EQ(back.metadata, content.metadata);
  ASSERT_EQ(back.tensors.size(), content.tensors.size());
  const auto mapped_range = [&](const Literal& literal) { return reinterpret_cast<uintptr_t>(literal.data()); };
  for (const auto& [name, literal] : content.tensors) {
    const Literal& other = back.tensors.at(name);
    EXPECT_TRUE(other.same_bytes(literal)) << name << ": " << literal.text() << " became " << other.text();
    EXPECT_EQ(mapped_range(other) % size_of(other.dtype()), 0u);
  }
  // Nothing was copied: all tensors with bytes lie within one mapping, as far apart as in the file.
  const size_t file_size = read_file(folder / "a").size();
  uintptr_t low = UINTPTR_MAX, high = 0;
  for (const auto& [name, literal] : back.tensors) {
    if (literal.bytes() == 0) continue;
    low = std::min(low, mapped_range(literal));
    high = std::max(high, mapped_range(literal) + literal.bytes());
  }
  EXPECT_LT(high - low, file_size);
}

TEST(Safetensors, LiteralsOutliveTheReader) {
  const TemporaryFolder folder;
  Safetensors content;
  content.tensors.emplace("w", Literal::filled(f32, {1000}, 2.5));
  write_safetensors(folder / "a", content);
  Literal kept = read_safetensors(folder / "a").tensors.at("w");
  write_safetensors(folder / "a", {});  // replaces the file under the mapping
  EXPECT_TRUE(kept.same_bytes(content.tensors.at("w")));
  EXPECT_THROW(kept.mutable_data(), Error) << "the mapping is read-only";
  EXPECT_TRUE(read_safetensors(folder / "a").tensors.empty());
}

TEST(Safetensors, PublishedLayout) {
  // Written out by hand from the format's description, not by our writer.
  const std::string header = R"({"__metadata__":{"format":"pt"},"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]},)"
                             R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  )";
  std::string bytes = made(header, 0);
  const float value = -1.5f;
  bytes.append(reinterpret_cast<const char*>(&value), 4);
  bytes += "\x07\x09";
  const Safetensors read = parsed(bytes);
  EXPECT_EQ(read.metadata.at("format"), "pt");
  EXPECT_EQ(read.tensors.at("a").to_doubles(), std::vector<double>{-1.5});
  EXPECT_EQ(read.tensors.at("b").to_doubles(), (std::vector<double>{7, 9}));
}

TEST(Safetensors, UnalignedPayloadIsCopied) {
  for (const std::string pad : {"", " ", "  ", "   "}) {
    const std::string bytes = made(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                   R"("b":{"dtype":"U32","shape":[2],"data_offsets":[1,9]}})" +
                                       pad,
                                   9);
    const Literal b = parsed(bytes).tensors.at("b");
    EXPECT_EQ(reinterpret_cast<uintptr_t>(b.data()) % 4, 0u);
    EXPECT_EQ(b.values<uint32_t>()[0], 0x04030201u);
    EXPECT_EQ(b.values<uint32_t>()[1], 0x08070605u);
  }
}

std::string one(const std::string& fields) { return R"({"w":{)" + fields + "}}"; }

TEST(Safetensors, RefusesDamagedFiles) {
  const std::string good = made(one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])"), 8);
  EXPECT_NO_THROW(parsed(good));
  // Every prefix of a good file, every one-byte extension.
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(refusal(good.substr(0, size)).code(), Code::kDataLoss) << size;
  }
  expect_refused(good + "x", {"belong to no tensor"});

  std::string lie = good;
  lie[7] = '\x7f';
  expect_refused(lie, {"claims a header of 9151314442816847", "100000000"});
  lie = good;
  lie[1] = '\x01';
  expect_refused(lie, {"only", "follow"});
  expect_refused(made("", 0), {"does not start with '{'"});
  expect_refused(made("[1, 2]", 0), {"does not start with '{'"});
  expect_refused(made("{\"w\": nonsense}", 0), {"not valid JSON"});
  expect_refused(made("{\"w\": \"\xff\"}", 0), {"not valid JSON"});
  expect_refused(made("{} {}", 0), {"not valid JSON"});
  expect_refused(made(R"({"w":{"shape":[[[[[[[[1]]]]]]]]}})", 0), {"nested deeper"});
  expect_refused(made("{\"w\":" + std::string(5'000'000, '['), 0), {"nested deeper"});
}

TEST(Safetensors, RefusesDamagedEntries) {
  const auto refused = [](const std::string& fields, size_t payload, std::vector<std::string> parts,
                          Code code = Code::kDataLoss) {
    parts.push_back("'w'");
    expect_refused(made(one(fields), payload), parts, code);
  };
  refused(R"("dtype":"F32","shape":[2],"data_offsets":[0,12])", 12, {"f32[2] takes 8 bytes", "hold 12"});
  refused(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])", 7, {"reaches byte 8", "has 7"});
  refused(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])", 8, {"ends (0) before it begins (8)"});
  refused(R"("dtype":"F32","shape":[2],"data_offsets":[4,12])", 12, {"bytes 0 to 4", "no tensor"});
  refused(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])", 0, {"2^48"});
  refused(R"("dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0])", 0, {"2^48"});
  refused(R"("dtype":"F64","shape":[99999999999999999999999],"data_offsets":[0,0])", 0, {"whole numbers"});
  refused(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])", 8, {"whole numbers"});
  refused(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])", 8, {"whole numbers"});
  refused(R"("dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615])", 8,
          {"reaches byte 18446744073709551615"});
  refused(R"("dtype":"F32","shape":[2],"data_offsets":[0,8,16])", 8, {"[begin, end]"});
  refused(R"("dtype":"F32","shape":2,"data_offsets":[0,8])", 8, {"'shape' is not a list"});
  refused(R"("dtype":"F31","shape":[2],"data_offsets":[0,8])", 8, {"unknown element type 'F31'", "BF16"});
  refused(R"("dtype":7,"shape":[2],"data_offsets":[0,8])", 8, {"'dtype' is not a string"});
  refused(R"("shape":[2],"data_offsets":[0,8])", 8, {"no 'dtype'"});
  refused(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"extra":1)", 8, {"unknown field 'extra'"});
  expect_refused(made(one(R"("dtype":"F32","dtype":"F64","shape":[2],"data_offsets":[0,8])"), 8),
                 {"'dtype' appears twice"});
  refused(R"("dtype":"BOOL","shape":[8],"data_offsets":[0,8])", 8, {"element 2", "byte 2"});
  refused(R"("dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8])", 8, {"F8_E4M3"}, Code::kUnsupported);
  refused(R"("dtype":"U8","shape":[1,1,1,1,1,1,1,1,8],"data_offsets":[0,8])", 8, {"9 axes"}, Code::kUnsupported);
}

TEST(Safetensors, RefusesTensorsThatDisagree) {
  const auto two = [](const std::string& first, const std::string& second) {
    return R"({"first":{"dtype":"U8","shape":)" + first + R"(},"second":{"dtype":"U8","shape":)" + second + "}}";
  };
  expect_refused(made(two(R"([4],"data_offsets":[0,4])", R"([4],"data_offsets":[3,7])"), 7),
                 {"'second'", "overlaps that of 'first' [0, 4)"});
  expect_refused(made(two(R"([4],"data_offsets":[0,4])", R"([4],"data_offsets":[0,4])"), 4), {"overlaps"});
  expect_refused(made(two(R"([4],"data_offsets":[0,4])", R"([2],"data_offsets":[1,3])"), 4), {"overlaps"});
  expect_refused(made(two(R"([4],"data_offsets":[0,4])", R"([2],"data_offsets":[6,8])"), 8), {"bytes 4 to 6"});
  expect_refused(made(R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                      R"("w":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                      2),
                 {"'w' appears twice"});
  expect_refused(made(R"({"__metadata__":{"a":1}})", 0), {"'a' is not a string"});
  expect_refused(made(R"({"__metadata__":"a"})", 0), {"not a table"});
  // An empty tensor may share its place with another.
  EXPECT_EQ(parsed(made(two(R"([0],"data_offsets":[0,0])", R"([4],"data_offsets":[0,4])"), 4)).tensors.size(), 2u);
}

TEST(Safetensors, RefusesToWriteWhatCannotBeRead) {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", {});
  const std::string before = read_file(folder / "a");
  Safetensors content;
  content.tensors.emplace("__metadata__", Literal::filled(f32, {1}, 1));
  EXPECT_THROW(write_safetensors(folder / "a", content), Error);
  content.tensors.clear();
  content.tensors.emplace("bad \xff name", Literal::filled(f32, {1}, 1));
  EXPECT_THROW(write_safetensors(folder / "a", content), Error);
  content.tensors.clear();
  content.tensors.emplace("no value", Literal());
  EXPECT_THROW(write_safetensors(folder / "a", content), Error);
  EXPECT_EQ(read_file(folder / "a"), before);
  try {
    read_safetensors(folder / "missing");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kNotFound);
  }
}

TEST(Safetensors, FilesOfOtherWriters) {
  struct Known {
    const char* path;
    size_t tensors;
    const char* name;
    Shape shape;
  };
  const Known files[] = {
      {"checkpoint-formats/safetensors-tests/multi_layer/multi_layer.safetensors", 9, "conv1.weight", {4, 3, 3, 3}},
      {"onnx-models/burn_mnist/mnist.safetensors", 0, "", {}},
      {"ocr/lprnet/Final_LPRNet_model.safetensors", 0, "", {}},
      {"tokenizers-lm/stories260K/stories260K.safetensors", 0, "", {}}};
  int seen = 0;
  for (const Known& known : files) {
    const std::string path = data_folder() + "/" + known.path;
    if (!file_exists(path)) continue;
    ++seen;
    const Safetensors content = read_safetensors(path);
    EXPECT_FALSE(content.tensors.empty());
    if (known.tensors > 0) {
      EXPECT_EQ(content.tensors.size(), known.tensors);
      EXPECT_EQ(content.tensors.at(known.name).shape(), known.shape);
    }
    for (const auto& [name, literal] : content.tensors) {
      for (const double value : literal.to_doubles()) ASSERT_TRUE(std::isfinite(value)) << path << " " << name;
    }
    const TemporaryFolder folder;
    write_safetensors(folder / "again", content);
    const Safetensors again = read_safetensors(folder / "again");
    EXPECT_EQ(again.metadata, content.metadata);
    ASSERT_EQ(again.tensors.size(), content.tensors.size());
    for (const auto& [name, literal] : content.tensors) EXPECT_TRUE(again.tensors.at(name).same_bytes(literal)) << name;
    // Cut anywhere, the file is refused.
    const std::string bytes = read_file(path);
    for (size_t size = 0; size < bytes.size(); size += std::max<size_t>(1, bytes.size() / 97)) {
      EXPECT_EQ(refusal(bytes.substr(0, size)).code(), Code::kDataLoss) << path << " cut to " << size;
    }
  }
  if (seen == 0) GTEST_SKIP() << "no safetensors files of other writers under " << data_folder();
}

TEST(Npy, EveryTypeComesBack) {
  const TemporaryFolder folder;
  for (const DType type : kAllDTypes) {
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{5}, Shape{2, 3}, Shape{2, 1, 2}}) {
      std::vector<double> values;
      for (int64_t i = 0; i < shape.elements(); ++i)
        values.push_back(static_cast<double>(i) + (is_float(type) ? 0.5 : 0));
      const Literal literal = Literal::from_doubles(type, shape, values);
      if (type == bf16) {
        EXPECT_THROW(write_npy(folder / "a", literal), Error);
        continue;
      }
      write_npy(folder / "a", literal);
      EXPECT_TRUE(read_npy(folder / "a").same_bytes(literal)) << literal.text();
    }
  }
}

std::string npy(const std::string& dictionary, const std::string& payload, char version = 1) {
  std::string out = std::string("\x93NUMPY") + version + '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) out += static_cast<char>(dictionary.size() >> (8 * i) & 0xFF);
  return out + dictionary + payload;
}

TEST(Npy, ByteAndAxisOrders) {
  const auto values = [](const std::string& bytes) { return parse_npy(as_bytes_of(bytes), "made.npy").to_doubles(); };
  const std::string tail = "'fortran_order': False, 'shape': (2,), }\n";
  EXPECT_EQ(values(npy("{'descr': '>i2', " + tail, std::string("\x01\x02\x00\x03", 4))), (std::vector<double>{258, 3}));
  EXPECT_EQ(values(npy("{'descr': '<i2', " + tail, std::string("\x01\x02\x00\x03", 4), 2)),
            (std::vector<double>{513, 768}));
  EXPECT_EQ(values(npy("{'shape': (2, 3), 'fortran_order': True, 'descr': '|u1'}", std::string("\0\1\2\3\4\5", 6), 3)),
            (std::vector<double>{0, 2, 4, 1, 3, 5}));
}

TEST(Npy, RefusesDamagedFiles) {
  const std::string good = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }\n", "ab");
  for (size_t size = 0; size < good.size(); ++size) {
    const std::string cut = good.substr(0, size);
    EXPECT_THROW(parse_npy(as_bytes_of(cut), "made.npy"), Error) << size;
  }
  for (const char* header : {"{'descr': '|u1', 'fortran_order': Maybe, 'shape': (2,)}", "{'descr': '|u1'}", "[]", "{",
                             "{'descr': '|u1', 'fortran_order': False, 'shape': (-2,)}",
                             "{'descr': '|u1', 'fortran_order': False, 'shape': (9999999999, 9999999999)}",
                             "{'descr': '|u1', 'fortran_order': False, 'shape': (3,)}",
                             "{'descr': '<c8', 'fortran_order': False, 'shape': (2,)}",
                             "{'descr': '', 'fortran_order': False, 'shape': (2,)}",
                             "{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2,)}"}) {
    const std::string bytes = npy(header, "ab");
    EXPECT_THROW(parse_npy(as_bytes_of(bytes), "made.npy"), Error) << header;
  }
  const std::string real = data_folder() + "/datasets/seg_clouds/images/0.npy";
  if (!file_exists(real)) return;
  EXPECT_EQ(read_npy(real).bytes() + 128, read_file(real).size());
}

}  // namespace
}  // namespace trireme::formats
