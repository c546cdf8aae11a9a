// The sources of data: pictures, idx, CSV, text, drawn digits, and where they are looked for.
#include <gtest/gtest.h>
#include <stdio.h>

#include <jpeglib.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <set>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/data/csv.h"
#include "trireme/data/digits.h"
#include "trireme/data/find.h"
#include "trireme/data/idx.h"
#include "trireme/data/image.h"
#include "trireme/data/image_sets.h"
#include "trireme/data/mnist.h"
#include "trireme/data/text.h"

namespace trireme::data {
namespace {

std::string data_folder() { return environment("TRIREME_DATA", "../shared/data"); }

std::span<const std::byte> view(const std::string& text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

void expect_error(auto&& action, Code code, const std::vector<std::string>& parts) {
  try {
    action();
    ADD_FAILURE() << "nothing was thrown; expected " << join(parts, " ");
  } catch (const Error& error) {
    EXPECT_EQ(code_name(error.code()), code_name(code)) << error.what();
    for (const std::string& part : parts) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << "no '" << part << "' in: " << error.what();
    }
  }
}

// Pixels with no regularity a codec could hide a mistake behind.
Literal speckled(const Shape& shape) {
  std::vector<double> values;
  for (int64_t i = 0; i < shape.elements(); ++i) values.push_back(static_cast<double>(i * 2654435761u % 251));
  return Literal::from_doubles(u8, shape, values);
}

std::string jpeg(const Literal& pixels, int quality) {
  jpeg_compress_struct encoder{};
  jpeg_error_mgr errors{};
  encoder.err = jpeg_std_error(&errors);
  jpeg_create_compress(&encoder);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&encoder, &buffer, &size);
  encoder.image_width = static_cast<JDIMENSION>(pixels.shape()[1]);
  encoder.image_height = static_cast<JDIMENSION>(pixels.shape()[0]);
  encoder.input_components = static_cast<int>(pixels.shape()[2]);
  encoder.in_color_space = encoder.input_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&encoder);
  jpeg_set_quality(&encoder, quality, TRUE);
  jpeg_start_compress(&encoder, TRUE);
  const size_t row_bytes = encoder.image_width * static_cast<size_t>(encoder.input_components);
  while (encoder.next_scanline < encoder.image_height) {
    auto* row = const_cast<unsigned char*>(pixels.values<uint8_t>().data()) + encoder.next_scanline * row_bytes;
    jpeg_write_scanlines(&encoder, &row, 1);
  }
  jpeg_finish_compress(&encoder);
  std::string out(reinterpret_cast<char*>(buffer), size);
  jpeg_destroy_compress(&encoder);
  std::free(buffer);
  return out;
}

std::string gzip(const std::string& content) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, content.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST(Image, PngComesBackExactly) {
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{5, 7, 1}, Shape{5, 7, 3}, Shape{300, 200, 3}}) {
    const Literal pixels = speckled(shape);
    const std::string bytes = encode_png(pixels);
    EXPECT_TRUE(decode_image(view(bytes), "made.png").same_bytes(pixels));
    const Literal wide = decode_image(view(bytes), "made.png", 3), grey = decode_image(view(bytes), "made.png", 1);
    for (int64_t i = 0; i < shape[0] * shape[1]; ++i) {
      const double expected =
          shape[2] == 1
              ? pixels.at(i)
              : std::floor((299 * pixels.at(3 * i) + 587 * pixels.at(3 * i + 1) + 114 * pixels.at(3 * i + 2) + 500) /
                           1000);
      ASSERT_EQ(grey.at(i), expected);
      for (int64_t c = 0; c < 3; ++c) ASSERT_EQ(wide.at(3 * i + c), pixels.at(shape[2] == 1 ? i : 3 * i + c));
    }
  }
  EXPECT_THROW(encode_png(Literal::zeros(u8, {2, 2, 2})), Error);
  EXPECT_THROW(encode_png(Literal::zeros(f32, {2, 2, 1})), Error);
}

TEST(Image, EveryCutOfAPngIsRefused) {
  const std::string bytes = encode_png(speckled({20, 30, 3}));
  for (size_t size = 0; size < bytes.size(); ++size) {
    expect_error([&] { decode_image(view(bytes).first(size), "cut.png"); }, Code::kDataLoss, {"cut.png"});
  }
}

TEST(Image, LyingPngHeaderDoesNotAllocate) {
  std::string bytes = encode_png(speckled({4, 4, 1}));
  // Width and height stand behind the signature and the chunk's head; the checksum is mended.
  for (const char size : {'\x00', '\x0f', '\x7f'}) {
    bytes[16] = bytes[20] = size;
    bytes[17] = bytes[21] = '\x40';
    const auto sum = static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(bytes.data() + 12), 17));
    for (size_t i = 0; i < 4; ++i) bytes[29 + i] = static_cast<char>(sum >> (24 - 8 * i));
    expect_error([&] { decode_image(view(bytes), "lie.png"); }, Code::kDataLoss, {"lie.png"});
  }
}

TEST(Image, JpegIsCloseAndItsCutsAreRefused) {
  for (const int64_t channels : {1, 3}) {
    std::vector<double> smooth;
    for (int64_t i = 0; i < 40 * 50 * channels; ++i) {
      smooth.push_back(static_cast<double>(i / channels / 50 * 3 + i / channels % 50 * 2));
    }
    const Literal pixels = Literal::from_doubles(u8, {40, 50, channels}, smooth);
    const std::string bytes = jpeg(pixels, 95);
    const Literal back = decode_image(view(bytes), "made.jpg");
    ASSERT_EQ(back.shape(), pixels.shape());
    for (int64_t i = 0; i < pixels.elements(); ++i) ASSERT_NEAR(back.at(i), pixels.at(i), 6);
    for (size_t size = 0; size + 2 < bytes.size(); size += 3) {
      expect_error([&] { decode_image(view(bytes).first(size), "cut.jpg"); }, Code::kDataLoss, {"cut.jpg"});
    }
  }
  // A frame header that claims 8200 x 8200 pixels: height and width follow the marker, its length and the depth.
  std::string lie = jpeg(speckled({8, 8, 1}), 95);
  const size_t frame = lie.find("\xff\xc0");
  lie[frame + 5] = lie[frame + 7] = '\x20';
  expect_error([&] { decode_image(view(lie), "lie.jpg"); }, Code::kDataLoss, {"lie.jpg", "8200 x 8200", "can hold"});
  expect_error([] { decode_image(view("GIF89a"), "x.gif"); }, Code::kDataLoss, {"neither"});
}

TEST(Image, ChannelsFirst) {
  const Literal out = channels_first(Literal::from_doubles(u8, {1, 2, 3}, std::vector<double>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(out.shape(), (Shape{3, 1, 2}));
  EXPECT_EQ(out.to_doubles(), (std::vector<double>{1, 4, 2, 5, 3, 6}));
}

TEST(PngBatches, RowsAreImagesAndChannelsComeFirst) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a.png", encode_png(speckled({2, 12, 3})));  // two images of 3 x 4
  write_file_atomically(folder / "b.png", encode_png(speckled({1, 12, 3})));
  write_file_atomically(folder / "labels.txt", "2\n0\r\n1\n");
  const DatasetPointer set = png_batches({folder / "a.png", folder / "b.png"}, folder / "labels.txt",
                                         {.height = 3, .width = 4, .classes = {"x", "y", "z"}});
  ASSERT_EQ(set->size(), 3);
  EXPECT_EQ(set->fields()[0].shape, (Shape{3, 3, 4}));
  for (int64_t image = 0; image < 3; ++image) {
    const Example example = set->example(image);
    EXPECT_EQ(example[1].at(0), std::vector<double>({2, 0, 1})[static_cast<size_t>(image)]);
    const Literal source = speckled({2, 12, 3});
    for (int64_t c = 0; c < 3; ++c) {
      for (int64_t i = 0; i < 12; ++i) EXPECT_EQ(example[0].at(c * 12 + i), source.at((image % 2) * 36 + i * 3 + c));
    }
  }
  const auto batches = [&](const PngBatchOptions& options) {
    return png_batches({folder / "a.png", folder / "b.png"}, folder / "labels.txt", options);
  };
  expect_error([&] { batches({}); }, Code::kInvalidArgument, {"a.png", "12 wide", "height and width"});
  expect_error([&] { batches({3, 4, false, {"x", "y"}}); }, Code::kDataLoss, {"label 0 is 2", "2 classes"});
  write_file_atomically(folder / "labels.txt", "2\n0\n");
  expect_error([&] { batches({3, 4}); }, Code::kDataLoss, {"3 images", "2 labels", "labels.txt"});
  write_file_atomically(folder / "labels.txt", "2\n0\n1\n1\n");
  expect_error([&] { batches({3, 4}); }, Code::kDataLoss, {"3 images", "4 labels"});
  EXPECT_EQ(batches({3, 4, true})->size(), 3);
  write_file_atomically(folder / "labels.txt", "2\nzero\n1\n");
  expect_error([&] { batches({3, 4}); }, Code::kDataLoss, {"line 2", "'zero'"});
  write_file_atomically(folder / "b.png", encode_png(speckled({1, 16, 3})));
  expect_error([&] { batches({3, 4}); }, Code::kDataLoss, {"b.png", "16 wide"});
  write_file_atomically(folder / "b.png", encode_png(speckled({1, 12, 3})).substr(0, 60));
  expect_error([&] { batches({3, 4}); }, Code::kDataLoss, {"b.png", "damaged PNG"});
}

std::string idx(int type, const std::vector<uint32_t>& sizes, const std::string& payload) {
  std::string out{'\0', '\0', static_cast<char>(type), static_cast<char>(sizes.size())};
  for (const uint32_t size : sizes) {
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(size >> shift);
  }
  return out + payload;
}

TEST(Idx, EveryTypeIsBigEndian) {
  const auto values = [](const std::string& bytes) { return parse_idx(view(bytes), "made").to_doubles(); };
  EXPECT_EQ(values(idx(8, {2, 2}, "\x01\x02\x03\xff")), (std::vector<double>{1, 2, 3, 255}));
  EXPECT_EQ(values(idx(9, {2}, "\x01\xff")), (std::vector<double>{1, -1}));
  EXPECT_EQ(values(idx(11, {1}, "\x01\x02")), (std::vector<double>{258}));
  EXPECT_EQ(values(idx(12, {1}, "\xff\xff\xff\xfe")), (std::vector<double>{-2}));
  EXPECT_EQ(values(idx(13, {1}, std::string("\xbf\xc0\0\0", 4))), (std::vector<double>{-1.5}));
  EXPECT_EQ(values(idx(14, {1}, std::string("\x40\x04\0\0\0\0\0\0", 8))), (std::vector<double>{2.5}));
}

TEST(Idx, RefusesDamage) {
  const std::string good = idx(8, {2, 3}, "abcdef");
  for (size_t size = 0; size < good.size(); ++size) {
    expect_error([&] { parse_idx(view(good).first(size), "cut.idx"); }, Code::kDataLoss, {"cut.idx"});
  }
  expect_error([&] { parse_idx(view(good + "g"), "x"); }, Code::kDataLoss, {"u8[2, 3] takes 6 bytes, but 7"});
  expect_error([] { parse_idx(view(idx(10, {1}, "a")), "x"); }, Code::kDataLoss, {"element type 10"});
  expect_error([] { parse_idx(view("PK\x03\x04"), "x"); }, Code::kDataLoss, {"no idx file"});
  expect_error(
      [] {
        parse_idx(view(idx(8, {0xffffffff, 0xffffffff, 0xffffffff}, "")), "x");
      },
      Code::kDataLoss, {"2^48"});
  expect_error([] { parse_idx(view(idx(8, std::vector<uint32_t>(9, 1), "a")), "x"); }, Code::kDataLoss, {"axes"});
}

TEST(Idx, ImagesPlainAndGzip) {
  const TemporaryFolder folder;
  const std::string images = idx(8, {3, 2, 2}, "abcdefghijkl"), labels = idx(8, {3}, "\x01\x02\x01");
  write_file_atomically(folder / "i", images);
  write_file_atomically(folder / "l", labels);
  write_file_atomically(folder / "i.gz", gzip(images));
  for (const std::string& path : {folder / "i", folder / "i.gz"}) {
    const DatasetPointer set = idx_images(path, folder / "l", {"zero", "one", "two"});
    ASSERT_EQ(set->size(), 3);
    EXPECT_EQ(set->fields()[0].shape, (Shape{1, 2, 2}));
    EXPECT_EQ(set->example(1)[0].to_doubles(), (std::vector<double>{'e', 'f', 'g', 'h'}));
    EXPECT_EQ(set->example(1)[1].values<int32_t>()[0], 2);
  }
  expect_error([&] { idx_images(folder / "i", folder / "l", {"zero", "one"}); }, Code::kDataLoss, {"label 1 is 2"});
  write_file_atomically(folder / "l", idx(8, {2}, "\x01\x02"));
  expect_error([&] { idx_images(folder / "i", folder / "l"); }, Code::kDataLoss, {"3 images", "2 labels"});
  expect_error([&] { idx_images(folder / "l", folder / "l"); }, Code::kDataLoss, {"u8[2]", "[count, height, width]"});
  const std::string packed = gzip(images);
  for (size_t size = 2; size < packed.size(); ++size) {
    expect_error([&] { gunzip(view(packed).first(size), "cut.gz"); }, Code::kDataLoss, {"cut.gz"});
  }
  expect_error([&] { gunzip(view(packed + "x"), "long.gz"); }, Code::kDataLoss, {"something follows"});
  const std::string bomb = gzip(std::string(1 << 20, '\0'));
  expect_error([&] { gunzip(view(bomb), "bomb.gz", 1 << 19); }, Code::kDataLoss, {"more than 524288"});
}

TEST(ImageFolder, ClassesByFolderName) {
  const TemporaryFolder folder;
  make_folders(folder / "dog");
  make_folders(folder / "cat");
  write_file_atomically(folder / "dog/1.JPG", jpeg(Literal::filled(u8, {8, 8, 3}, 200), 95));
  write_file_atomically(folder / "cat/b.png", encode_png(Literal::filled(u8, {8, 8, 1}, 10)));
  write_file_atomically(folder / "cat/a.png", encode_png(Literal::filled(u8, {8, 8, 3}, 20)));
  write_file_atomically(folder / "cat/notes.txt", "not a picture");
  const DatasetPointer set = image_folder(folder.path());
  ASSERT_EQ(set->size(), 3);
  EXPECT_EQ(set->classes(), (std::vector<std::string>{"cat", "dog"}));
  const double levels[] = {20, 10, 200}, labels[] = {0, 0, 1};
  for (int64_t i = 0; i < 3; ++i) {
    const Example example = set->example(i);
    EXPECT_EQ(example[0].shape(), (Shape{3, 8, 8}));
    EXPECT_NEAR(example[0].at(100), levels[i], 2);
    EXPECT_EQ(example[1].at(0), labels[i]);
  }
  EXPECT_EQ(set->describe(1), cat("example 1 (", folder.path(), "/cat/b.png)"));

  write_file_atomically(folder / "dog/2.png", encode_png(Literal::filled(u8, {20, 10, 3}, 100)));
  expect_error([&] { image_folder(folder.path())->example(3); }, Code::kInvalidArgument, {"[3, 20, 10]", "[3, 8, 8]"});
  const DatasetPointer resized = image_folder(folder.path(), {.channels = 1, .height = 6, .width = 5});
  for (int64_t i = 0; i < 4; ++i) EXPECT_EQ(resized->example(i)[0].shape(), (Shape{1, 6, 5}));
  EXPECT_EQ(resized->example(3)[0].at(0), 100);
  write_file_atomically(folder / "dog/2.png", "junk");
  expect_error([&] { resized->example(3); }, Code::kDataLoss, {"dog/2.png"});

  const TemporaryFolder empty;
  expect_error([&] { image_folder(empty.path()); }, Code::kNotFound, {"no pictures", "<class>"});
  expect_error([&] { image_folder(empty / "missing"); }, Code::kNotFound, {"missing"});
}

TEST(Csv, NumbersLabelsAndQuotes) {
  const std::string text =
      "\xEF\xBB\xBF"
      "Id,\"Width, cm\",Height,Name\r\n"
      "1, 0.5 ,-2e3,\"b \"\"big\"\"\"\r\n"
      "\r\n"
      "2,\"1.25\",+7,\"a\nb\"\n"
      "3,1e-50,4,\"b \"\"big\"\"\"";
  const CsvTable table = parse_csv(text, "made.csv", {.label = "Name", .ignore = {"Id"}});
  EXPECT_EQ(table.features, (std::vector<std::string>{"Width, cm", "Height"}));
  EXPECT_EQ(table.dataset->classes(), (std::vector<std::string>{"a\nb", "b \"big\""}));
  ASSERT_EQ(table.dataset->size(), 3);
  EXPECT_EQ(table.dataset->example(0)[0].to_doubles(), (std::vector<double>{0.5, -2000}));
  EXPECT_EQ(table.dataset->example(1)[0].to_doubles(), (std::vector<double>{1.25, 7}));
  EXPECT_EQ(table.dataset->example(2)[0].to_doubles(), (std::vector<double>{0, 4}));
  const double labels[] = {1, 0, 1};
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(table.dataset->example(i)[1].at(0), labels[i]);

  const CsvTable numbers =
      parse_csv("x;y\n1;2.5\n3;4\n", "n", {.label = "y", .label_is_class = false, .separator = ';'});
  EXPECT_EQ(numbers.dataset->fields()[1].dtype, f32);
  EXPECT_EQ(numbers.dataset->example(0)[1].at(0), 2.5);
  EXPECT_EQ(parse_csv("x\n1\n", "n").dataset->fields().size(), 1u);
}

TEST(Csv, ErrorsNameLineAndColumn) {
  const auto refused = [](const std::string& text, std::vector<std::string> parts, Code code = Code::kDataLoss,
                          const CsvOptions& options = {}) {
    parts.push_back("made.csv");
    expect_error([&] { parse_csv(text, "made.csv", options); }, code, parts);
  };
  refused("", {"empty"});
  refused("a,b\n", {"no rows"});
  refused("a,b\n1,2\n3\n", {"line 3", "1 cells", "2 columns"});
  refused("a,b\n1,2\n\"3\n\",4,5\n", {"line 3", "3 cells"});
  refused("a,b\n1,2\n1,2x\n", {"line 3", "column 2 ('b')", "'2x'"});
  refused("a,b\n1,\n", {"line 2", "column 2 ('b')", "''"});
  refused("a,b\n\"1\n\",2\nnan,2\n", {"line 4", "'nan'"});
  refused("a,b\n1,1e99\n", {"line 2", "finite"});
  refused("a,b\n1,\"2\n", {"line 2", "does not end"});
  refused("a,b\n1,\"2\"3\n", {"line 2", "closing quote"});
  refused("a,a\n1,2\n", {"line 1", "same name"});
  refused("a,kind\n1,\n", {"line 2", "names no class"}, Code::kDataLoss, {.label = "kind"});
  refused("a,kind\n1,x\n", {"'kid'", "did you mean 'kind'"}, Code::kNotFound, {.label = "kid"});
}

TEST(Text, VocabularyRoundTrip) {
  const std::string text = "na\u00efve \u2713 caf\u00e9 \U0001F600";
  const Vocabulary characters = Vocabulary::of_characters(text);
  const std::set<std::string> expected{" ", "a", "c", "e", "f", "n", "v", "\u00ef", "\u00e9", "\u2713", "\U0001F600"};
  EXPECT_EQ(std::set<std::string>(characters.symbols().begin(), characters.symbols().end()), expected);
  EXPECT_EQ(characters.decode(characters.encode(text)), text);
  const Vocabulary bytes = Vocabulary::of_bytes(text + "\xff");
  EXPECT_EQ(bytes.decode(bytes.encode(text + "\xff")), text + "\xff");
  EXPECT_EQ(Vocabulary(characters.symbols()).encode(text), characters.encode(text));
  expect_error([&] { characters.encode("cab"); }, Code::kInvalidArgument, {"'b'", "byte 2"});
  expect_error([&] { characters.decode(std::vector<int32_t>{99}); }, Code::kInvalidArgument, {"99"});
  for (const char* bad : {"ab\xff", "ab\xc3", "ab\xc0\x80", "ab\xed\xa0\x80", "ab\xf4\x90\x80\x80", "ab\xe2\x82"}) {
    expect_error([&] { Vocabulary::of_characters(bad); }, Code::kDataLoss, {"not UTF-8 at byte 2"});
  }
  EXPECT_THROW(Vocabulary({"a", "a"}), Error);
  EXPECT_THROW(Vocabulary({"ab", "c"}), Error);
}

TEST(Text, WindowsHaveTheNextTokenAsTarget) {
  std::vector<int32_t> tokens(10);
  std::iota(tokens.begin(), tokens.end(), 0);
  const Literal literal = Literal::from<int32_t>(tokens, {10});
  for (const auto& [length, stride, count] : {std::tuple{3, 1, 7}, {3, 3, 3}, {9, 1, 1}, {10, 1, 0}, {4, 2, 3}}) {
    const DatasetPointer windows = text_windows(literal, length, stride);
    ASSERT_EQ(windows->size(), count) << length << " " << stride;
    for (int64_t i = 0; i < count; ++i) {
      const Example example = windows->example(i);
      for (int64_t t = 0; t < length; ++t) {
        EXPECT_EQ(example[0].at(t), static_cast<double>(i * stride + t));
        EXPECT_EQ(example[1].at(t), static_cast<double>(i * stride + t + 1));
      }
    }
  }
  EXPECT_THROW(text_windows(literal, 0), Error);
}

TEST(Text, FileIsCutInTwo) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "t", "abcdefghijklmnopqrst");
  const TextData data = read_text(folder / "t", {.length = 4, .validation_share = 0.25});
  EXPECT_EQ(data.vocabulary.size(), 20);
  EXPECT_EQ(data.split.train->size(), 11);      // 15 tokens
  EXPECT_EQ(data.split.validation->size(), 1);  // 5 tokens, "pqrst"
  EXPECT_EQ(data.vocabulary.decode(data.split.validation->example(0)[0].values<int32_t>()), "pqrs");
  expect_error([&] { read_text(folder / "t", {.length = 15}); }, Code::kInvalidArgument, {"'", "shorter length"});
  write_file_atomically(folder / "t", "ab\xff");
  expect_error([&] { read_text(folder / "t"); }, Code::kDataLoss, {folder.path(), "byte 2"});
}

TEST(Digits, DrawnDigitsAreReproducibleAndVaried) {
  const std::vector<std::string> fonts = digit_fonts();
  if (fonts.empty()) GTEST_SKIP() << "no fonts installed";
  const DatasetPointer digits = draw_digits(400, 3), again = draw_digits(400, 3), other = draw_digits(400, 4);
  ASSERT_EQ(digits->size(), 400);
  EXPECT_EQ(digits->fields()[0].shape, (Shape{1, 28, 28}));
  EXPECT_EQ(digits->classes().size(), 10u);
  std::vector<int> counts(10);
  int differing = 0;
  for (int64_t i = 0; i < 400; ++i) {
    const Example example = digits->example(i);
    EXPECT_TRUE(example[0].same_bytes(again->example(i)[0]));
    EXPECT_TRUE(example[1].same_bytes(again->example(i)[1]));
    differing += !example[0].same_bytes(other->example(i)[0]);
    ++counts[static_cast<size_t>(example[1].at(0))];
    const std::vector<double> pixels = example[0].to_doubles();
    const double ink = std::accumulate(pixels.begin(), pixels.end(), 0.0) / 255;
    EXPECT_GT(ink, 20) << "a digit covers at least 20 pixels";
    EXPECT_LT(ink, 400);
  }
  EXPECT_EQ(differing, 400);
  for (const int count : counts) EXPECT_NEAR(count, 40, 30);
  expect_error([] { draw_digits(1, 1, {}); }, Code::kNotFound, {"apt install"});
  expect_error([] { draw_digits(1, 1, {"/dev/null"}); }, Code::kInvalidArgument, {"/dev/null"});
}

// Sets an environment variable for a scope.
class WithVariable {
 public:
  WithVariable(const char* name, const std::string& value) : name_(name), old_(environment(name)) {
    ::setenv(name, value.c_str(), 1);
  }
  ~WithVariable() { old_.empty() ? ::unsetenv(name_) : ::setenv(name_, old_.c_str(), 1); }

 private:
  const char* name_;
  std::string old_;
};

TEST(FindData, NamedFolderComesFirstAndErrorsListThePlaces) {
  const TemporaryFolder folder;
  const WithVariable variable("TRIREME_DATA", folder.path());
  make_folders(folder / "datasets/iris");
  write_file_atomically(folder / "datasets/iris/Iris.csv", "x\n1\n");
  EXPECT_EQ(find_data("datasets/iris/Iris.csv"), folder / "datasets/iris/Iris.csv");
  EXPECT_EQ(look_for_data("no/such/file"), "");
  expect_error([] { find_data("no/such/file"); }, Code::kNotFound, {"no/such/file", folder.path(), "TRIREME_DATA"});
  make_folders(folder / "above/shared/data");
  make_folders(folder / "above/project/build");
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder / "above/project/build");
  const std::vector<std::string> folders = data_folders();
  std::filesystem::current_path(before);
  EXPECT_EQ(folders[0], folder.path());
  EXPECT_EQ(folders[1], folder / "above/shared/data");
}

TEST(Mnist, OrderOfTheWays) {
  const TemporaryFolder folder, cache;
  const WithVariable variable("TRIREME_DATA", folder.path());
  // Nothing allowed: the reasons are listed.
  expect_error([] { load_mnist({.search = false, .download = false, .draw = false}); }, Code::kNotFound,
               {"TRIREME_DATA", "fonts-dejavu-core"});
  // A mirror that serves something else, or nothing: refused by its sum, nothing kept.
  write_file_atomically(folder / "train-images-idx3-ubyte.gz", "not the digits");
  std::string ignored;
  if (run_program({"curl", "--version"}, &ignored) == 0) {
    MnistOptions options{.search = false, .draw = false, .cache = cache / "kept"};
    options.mirrors = {cat("file://", folder.path(), "/nowhere/"), cat("file://", folder.path(), "/")};
    expect_error([&] { load_mnist(options); }, Code::kNotFound,
                 {"/nowhere/train-images-idx3-ubyte.gz: curl ended with status 37", "SHA-256 differs"});
    EXPECT_TRUE(std::filesystem::is_empty(cache / "kept"));
  }
  // Files in the named folder come before everything else.
  make_folders(folder / "mnist");
  write_file_atomically(folder / "mnist/train-images-idx3-ubyte", idx(8, {1, 28, 28}, std::string(784, 'x')));
  write_file_atomically(folder / "mnist/train-labels-idx1-ubyte", idx(8, {1}, "\x07"));
  const Mnist mnist = load_mnist({.download = false, .draw = false});
  EXPECT_EQ(mnist.train->size(), 1);
  EXPECT_FALSE(mnist.drawn);
  EXPECT_NE(mnist.source.find(folder.path() + "/mnist"), std::string::npos);
  // Damaged files are an error, not a reason to take other data in silence.
  write_file_atomically(folder / "mnist/train-labels-idx1-ubyte", idx(8, {2}, "\x07"));
  expect_error([] { load_mnist(); }, Code::kDataLoss, {"train-labels-idx1-ubyte"});
  if (!digit_fonts().empty()) {
    const Mnist drawn = load_mnist({.search = false, .download = false, .drawn_count = 10});
    EXPECT_TRUE(drawn.drawn);
    EXPECT_EQ(drawn.train->size(), 10);
    EXPECT_NE(drawn.source.find("drawn"), std::string::npos);
  }
}

TEST(RunProgram, StatusAndOutput) {
  std::string output;
  EXPECT_EQ(run_program({"echo", "a b", "c"}, &output), 0);
  EXPECT_EQ(output, "a b c\n");
  EXPECT_EQ(run_program({"false"}, &output), 1);
  EXPECT_EQ(run_program({"no-such-program-here"}, &output), -1);
}

TEST(RealData, MnistBatches) {
  if (!file_exists(data_folder() + "/datasets/mnist/mnist_batch_00.png")) GTEST_SKIP() << "no MNIST here";
  const WithVariable variable("TRIREME_DATA", data_folder());
  const Mnist mnist = load_mnist({.download = false, .draw = false});
  ASSERT_EQ(mnist.train->size(), 60000);
  EXPECT_EQ(mnist.train->fields()[0].shape, (Shape{1, 28, 28}));
  const double first_labels[] = {5, 0, 4, 1, 9};
  for (int64_t i = 0; i < 5; ++i) EXPECT_EQ(mnist.train->example(i)[1].at(0), first_labels[i]);
  const std::vector<double> first = mnist.train->example(0)[0].to_doubles();
  EXPECT_EQ(std::accumulate(first.begin(), first.end(), 0.0), 27525);
  // Published mean and deviation of the training pixels in [0, 1]: 0.1307, 0.3081. Class counts as published.
  double sum = 0, squares = 0;
  std::vector<int> counts(10);
  for (int64_t i = 0; i < mnist.train->size(); ++i) {
    const Example example = mnist.train->example(i);
    for (const uint8_t value : example[0].values<uint8_t>()) {
      sum += value;
      squares += value * value;
    }
    ++counts[static_cast<size_t>(example[1].at(0))];
  }
  const double mean = sum / (60000 * 784.0) / 255;
  EXPECT_NEAR(mean, 0.1307, 5e-5);
  EXPECT_NEAR(std::sqrt(squares / (60000 * 784.0) / 255 / 255 - mean * mean), 0.3081, 5e-5);
  EXPECT_EQ(counts, (std::vector<int>{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}));
}

TEST(RealData, CifarBatches) {
  const std::string folder = data_folder() + "/datasets/cifar10";
  if (!file_exists(folder + "/cifar10_batch_0.png")) GTEST_SKIP() << "no CIFAR-10 here";
  std::vector<std::string> pictures;
  for (int i = 0; i < 4; ++i) pictures.push_back(cat(folder, "/cifar10_batch_", i, ".png"));
  const DatasetPointer set = png_batches(pictures, folder + "/train_labels_0-3999.txt");
  ASSERT_EQ(set->size(), 4000);
  EXPECT_EQ(set->fields()[0].shape, (Shape{3, 32, 32}));
  EXPECT_EQ(set->example(0)[1].at(0), 6);  // a frog
  // Published mean of the red, green and blue pixels of the whole training set; 4000 images come near.
  const double published[] = {0.4914, 0.4822, 0.4465};
  for (int64_t channel = 0; channel < 3; ++channel) {
    double sum = 0;
    for (int64_t i = 0; i < set->size(); ++i) {
      const Example example = set->example(i);
      for (int64_t p = 0; p < 1024; ++p) sum += example[0].values<uint8_t>()[static_cast<size_t>(channel * 1024 + p)];
    }
    EXPECT_NEAR(sum / 4000 / 1024 / 255, published[channel], 0.01);
  }
}

TEST(RealData, Iris) {
  const std::string path = data_folder() + "/datasets/iris/Iris.csv";
  if (!file_exists(path)) GTEST_SKIP() << "no Iris here";
  const CsvTable table = read_csv(path, {.label = "Species", .ignore = {"Id"}});
  ASSERT_EQ(table.dataset->size(), 150);
  EXPECT_EQ(table.features.size(), 4u);
  EXPECT_EQ(table.dataset->classes(), (std::vector<std::string>{"Iris-setosa", "Iris-versicolor", "Iris-virginica"}));
  // Published means: sepal length 5.843, sepal width 3.054, petal length 3.759, petal width 1.199; 50 of each kind.
  const double means[] = {5.843, 3.054, 3.759, 1.199};
  std::vector<double> sums(4), counts(3);
  for (int64_t i = 0; i < 150; ++i) {
    const Example example = table.dataset->example(i);
    for (size_t f = 0; f < 4; ++f) sums[f] += example[0].at(static_cast<int64_t>(f));
    ++counts[static_cast<size_t>(example[1].at(0))];
  }
  for (size_t f = 0; f < 4; ++f) EXPECT_NEAR(sums[f] / 150, means[f], 6e-4);
  EXPECT_EQ(counts, (std::vector<double>{50, 50, 50}));
}

TEST(RealData, TinyShakespeare) {
  const std::string path = data_folder() + "/datasets/text/tinyshakespeare.txt";
  if (!file_exists(path)) GTEST_SKIP() << "no tiny-shakespeare here";
  const TextData data = read_text(path, {.length = 64});
  EXPECT_EQ(data.vocabulary.size(), 65);
  EXPECT_EQ(data.vocabulary.decode(data.split.train->example(0)[0].values<int32_t>().first(14)), "First Citizen:");
  EXPECT_EQ(data.split.train->size() + 64, 1115394 - 111539);
}

}  // namespace
}  // namespace trireme::data
