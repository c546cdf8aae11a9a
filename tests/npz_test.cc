#include "trireme/formats/npz.h"

#include <gtest/gtest.h>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/formats/zip.h"

namespace trireme::formats {
namespace {

std::span<const std::byte> as_bytes_of(const std::string& text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

std::map<std::string, Literal> parsed(const std::string& bytes) {
  const auto owner = std::make_shared<const std::string>(bytes);
  return parse_npz(owner, as_bytes_of(*owner), "made.npz");
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

// A .npy file of zeros whose header says `shape`, with `payload` bytes after it.
std::string npy(const std::string& shape, size_t payload) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }";
  header.append(117 - header.size(), ' ');
  return "\x93NUMPY" + std::string("\1\0\x76\0", 4) + header + "\n" + std::string(payload, '\0');
}

std::string archive(const std::vector<std::pair<std::string, std::string>>& entries, bool deflate = false) {
  const TemporaryFolder folder;
  std::vector<ZipPart> parts;
  for (const auto& [name, content] : entries) parts.push_back({name, {as_bytes_of(content)}});
  write_zip(folder / "a", parts, deflate);
  return read_file(folder / "a");
}

// `text` with every `from` replaced, which has the same length.
std::string replaced(std::string text, const std::string& from, const std::string& to) {
  EXPECT_EQ(from.size(), to.size());
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) text.replace(at, to.size(), to);
  return text;
}

TEST(Npz, EveryTypeComesBack) {
  std::map<std::string, Literal> arrays;
  for (const DType type : kAllDTypes) {
    if (type == bf16) continue;
    arrays.emplace(cat("layer.", type), Literal::from_doubles(type, {2, 3}, std::vector<double>{0, 1, 2, 3, 4, 5}));
    arrays.emplace(cat("scalar.", type), Literal::filled(type, {}, 1));
    arrays.emplace(cat("empty.", type), Literal::zeros(type, {0, 7}));
  }
  const TemporaryFolder folder;
  for (const bool deflate : {false, true}) {
    write_npz(folder / "a.npz", arrays, deflate);
    const auto back = read_npz(folder / "a.npz");
    ASSERT_EQ(back.size(), arrays.size());
    for (const auto& [name, array] : arrays) EXPECT_TRUE(back.at(name).same_bytes(array)) << name;
  }
}

TEST(Npz, TheSameContentGivesTheSameBytes) {
  const TemporaryFolder folder;
  for (const char* name : {"a", "b"}) write_npz(folder / name, {{"w", Literal::filled(f32, {100}, 0.5)}}, true);
  EXPECT_EQ(read_file(folder / "a"), read_file(folder / "b"));
  EXPECT_LT(read_file(folder / "a").size(), 400u);
}

TEST(Npz, NumPyHasNoBfloat16) {
  const TemporaryFolder folder;
  try {
    write_npz(folder / "a", {{"w", Literal::zeros(bf16, {1})}});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("bf16"), std::string::npos);
  }
  EXPECT_FALSE(file_exists(folder / "a"));
  EXPECT_THROW(write_npz(folder / "a", {{"", Literal::zeros(f32, {1})}}), Error);
}

TEST(Npz, HeadersAreHeldAgainstTheArchive) {
  EXPECT_EQ(parsed(archive({{"w.npy", npy("(2,)", 8)}})).at("w").text(), "f32[2] {0, 0}");
  expect_refused(archive({{"w.npy", npy("(2,)", 7)}}), {"made.npz: w.npy", "takes 8 bytes, but 7 follow"});
  expect_refused(archive({{"w.npy", npy("(99999999999,)", 8)}}), {"399999999996 bytes, but 8 follow"});
  expect_refused(archive({{"w.npy", npy("(2,)", 9)}}), {"takes 8 bytes, but 9 follow"});
  expect_refused(archive({{"w.npy", "\x93NUM"}}), {"signature"});
  expect_refused(archive({{"w.npy", ""}}), {"signature"});
  expect_refused(archive({{"w.txt", "hello"}}), {"w.txt", "no .npy array"}, Code::kUnsupported);
}

TEST(Npz, ArchivesThatLie) {
  const std::string sound = archive({{"aaaa.npy", npy("(1000,)", 4000)}, {"bbbb.npy", npy("(1000,)", 4000)}}, true);
  EXPECT_EQ(parsed(sound).size(), 2u);
  expect_refused(replaced(sound, "bbbb.npy", "aaaa.npy"), {"two entries called 'aaaa.npy'"});
  // The directory names sizes of 4128 bytes: less or more than that is found out, far more before any of it is read.
  const auto sized = [&](const std::string& bytes) { return replaced(sound, std::string("\x20\x10\0\0", 4), bytes); };
  expect_refused(sized(std::string("\x1f\x10\0\0", 4)), {"made.npz"});
  expect_refused(sized(std::string("\x21\x10\0\0", 4)), {"made.npz"});
  expect_refused(sized(std::string("\0\0\0\x7f", 4)), {"claims 2130706432 bytes, more than"});
  // A flipped bit of the content does not pass the checksum.
  std::string flipped = archive({{"w.npy", npy("(2,)", 8)}});
  flipped[flipped.find("shape") + 150] ^= 1;
  EXPECT_THROW(parsed(flipped), Error);
  for (size_t size = 0; size < sound.size(); size += 5) EXPECT_THROW(parsed(sound.substr(0, size)), Error) << size;
}

TEST(Npz, EntriesMayNotShareBytes) {
  // Four directory entries that all point at the bytes of one: each is sound, together they claim too much.
  const std::string content = npy("(60000,)", 240000);
  std::string one = archive({{"aaaa.npy", content}});
  const size_t directory = one.rfind("PK\1\2"), end = one.rfind("PK\5\6");
  ASSERT_NE(directory, std::string::npos);
  std::string entries;
  for (char c = 'a'; c < 'e'; ++c) {
    entries += replaced(one.substr(directory, end - directory), "aaaa", std::string(4, c));
  }
  std::string tail = one.substr(end);
  tail[8] = tail[10] = 4;
  const size_t length = entries.size();
  for (size_t i = 0; i < 4; ++i) tail[12 + i] = static_cast<char>(length >> 8 * i & 0xFF);
  expect_refused(one.substr(0, directory) + entries + tail, {"made.npz"});
}

}  // namespace
}  // namespace trireme::formats
