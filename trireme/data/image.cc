#include "trireme/data/image.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>  // jpeglib.h needs it and does not include it

#include <jpeglib.h>

#include <jerror.h>

#include <cstring>
#include <vector>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"

namespace trireme::data {

namespace {

// No picture of a data set is larger; a damaged header must not make us ask for terabytes.
constexpr uint64_t kMaxPixels = uint64_t{1} << 28;
// zlib shrinks by at most 1032 to 1: a picture that claims more is cut short or a lie.
constexpr uint64_t kMaxDeflate = 1032;
// A Huffman-coded JPEG spends at least one bit on every block of 64 pixels, 512 pixels per byte; twice that leaves
// room.
constexpr uint64_t kMaxPixelsPerJpegByte = 1024;
// Progressive pictures have about ten scans; each costs a pass over the whole picture, however few bytes it takes.
constexpr int kMaxScans = 100;

[[noreturn]] void refuse(const std::string& source, std::string_view what) {
  throw Error(Code::kDataLoss, cat("picture '", source, "': ", what));
}

void check_size(const std::string& source, uint64_t width, uint64_t height) {
  if (width == 0 || height == 0) refuse(source, cat("it claims ", width, " x ", height, " pixels"));
  if (width > kMaxPixels / height) {
    refuse(source, cat("it claims ", width, " x ", height, " pixels; at most 2^28 pixels are read"));
  }
}

// Both libraries report errors by a callback that must not return; it jumps back to the innermost setjmp. Functions
// that hold one therefore keep no object with a destructor.
struct Input {
  const std::byte* data;
  size_t size;
  size_t at = 0;
  char message[200] = "";

  void keep(const char* text) { std::strncpy(message, text, sizeof message - 1); }
};

void png_failed(png_structp png, png_const_charp text) {
  static_cast<Input*>(png_get_error_ptr(png))->keep(text);
  longjmp(png_jmpbuf(png), 1);
}

void png_ignored(png_structp, png_const_charp) {}

void png_pull(png_structp png, png_bytep to, size_t size) {
  auto* input = static_cast<Input*>(png_get_io_ptr(png));
  if (size > input->size - input->at) png_error(png, "it is cut short");
  std::memcpy(to, input->data + input->at, size);
  input->at += size;
}

struct PngReader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }

  bool start(Input* input) {
    if (setjmp(png_jmpbuf(png)) != 0) return false;
    png_set_read_fn(png, input, png_pull);
    png_read_info(png, info);
    return true;
  }
  // Asks for 8-bit grey or RGB rows.
  bool prepare() {
    if (setjmp(png_jmpbuf(png)) != 0) return false;
    const int color = png_get_color_type(png, info);
    if (color == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    if (color == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png);
    png_set_scale_16(png);
    png_set_strip_alpha(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    return true;
  }
  bool pixels(png_bytepp rows) {
    if (setjmp(png_jmpbuf(png)) != 0) return false;
    png_read_image(png, rows);
    png_read_end(png, nullptr);
    return true;
  }
};

Literal decode_png(std::span<const std::byte> bytes, const std::string& source) {
  Input input{bytes.data(), bytes.size()};
  PngReader reader;
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &input, png_failed, png_ignored);
  reader.info = reader.png == nullptr ? nullptr : png_create_info_struct(reader.png);
  if (reader.info == nullptr) throw Error(Code::kOutOfMemory, cat("picture '", source, "': no memory for libpng"));
  // Ancillary text and profiles are of no use here, and a bomb may hide in them.
  png_set_keep_unknown_chunks(reader.png, PNG_HANDLE_CHUNK_NEVER, nullptr, 0);
  png_set_chunk_malloc_max(reader.png, size_t{1} << 24);
  if (!reader.start(&input)) refuse(source, cat("damaged PNG: ", input.message));
  const uint64_t width = png_get_image_width(reader.png, reader.info);
  const uint64_t height = png_get_image_height(reader.png, reader.info);
  check_size(source, width, height);
  const uint64_t stored =
      (width * png_get_bit_depth(reader.png, reader.info) * png_get_channels(reader.png, reader.info) / 8) * height;
  if (stored / kMaxDeflate > bytes.size()) {
    refuse(source, cat("it claims ", width, " x ", height, " pixels, more than its ", bytes.size(), " bytes can hold"));
  }
  if (!reader.prepare()) refuse(source, cat("damaged PNG: ", input.message));
  const int64_t channels = png_get_channels(reader.png, reader.info);
  const size_t row_bytes = png_get_rowbytes(reader.png, reader.info);
  TRIREME_CHECK((channels == 1 || channels == 3) && row_bytes == width * static_cast<uint64_t>(channels),
                "libpng rows of another layout than asked for");
  Literal out = Literal::zeros(u8, {static_cast<int64_t>(height), static_cast<int64_t>(width), channels});
  auto* data = static_cast<uint8_t*>(out.mutable_data());
  std::vector<png_bytep> rows(height);
  for (size_t row = 0; row < height; ++row) rows[row] = data + row * row_bytes;
  if (!reader.pixels(rows.data())) refuse(source, cat("damaged PNG: ", input.message));
  return out;
}

struct JpegReader {
  jpeg_decompress_struct decoder{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  jmp_buf back;
  char message[JMSG_LENGTH_MAX] = "";
  bool truncated = false;

  JpegReader() {
    decoder.err = jpeg_std_error(&errors);
    decoder.client_data = this;
    errors.error_exit = [](j_common_ptr common) {
      auto* reader = static_cast<JpegReader*>(common->client_data);
      common->err->format_message(common, reader->message);
      longjmp(reader->back, 1);
    };
    // Warnings go on with made-up pixels; those that mean missing data count as damage.
    errors.emit_message = [](j_common_ptr common, int level) {
      const int code = common->err->msg_code;
      if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER)) {
        static_cast<JpegReader*>(common->client_data)->truncated = true;
      }
    };
  }
  ~JpegReader() { jpeg_destroy_decompress(&decoder); }

  [[noreturn]] static void fail(j_common_ptr common, const char* text) {
    auto* reader = static_cast<JpegReader*>(common->client_data);
    std::strncpy(reader->message, text, sizeof reader->message - 1);
    longjmp(reader->back, 1);
  }

  bool start(const unsigned char* data, size_t size) {
    if (setjmp(back) != 0) return false;
    jpeg_create_decompress(&decoder);
    progress.progress_monitor = [](j_common_ptr common) {
      if (reinterpret_cast<j_decompress_ptr>(common)->input_scan_number > kMaxScans) fail(common, "too many scans");
    };
    decoder.progress = &progress;
    jpeg_mem_src(&decoder, data, size);
    jpeg_read_header(&decoder, TRUE);
    decoder.out_color_space = decoder.jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_calc_output_dimensions(&decoder);
    return true;
  }
  bool pixels(unsigned char* to, size_t row_bytes) {
    if (setjmp(back) != 0) return false;
    jpeg_start_decompress(&decoder);
    while (decoder.output_scanline < decoder.output_height) {
      unsigned char* row = to + decoder.output_scanline * row_bytes;
      jpeg_read_scanlines(&decoder, &row, 1);
    }
    jpeg_finish_decompress(&decoder);
    return true;
  }
};

Literal decode_jpeg(std::span<const std::byte> bytes, const std::string& source) {
  JpegReader reader;
  if (!reader.start(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size())) {
    refuse(source, cat("damaged JPEG: ", reader.message));
  }
  const int64_t width = reader.decoder.output_width, height = reader.decoder.output_height;
  const int64_t channels = reader.decoder.out_color_components;
  check_size(source, static_cast<uint64_t>(width), static_cast<uint64_t>(height));
  if (static_cast<uint64_t>(width) * static_cast<uint64_t>(height) / kMaxPixelsPerJpegByte > bytes.size()) {
    refuse(source, cat("it claims ", width, " x ", height, " pixels, more than its ", bytes.size(), " bytes can hold"));
  }
  Literal out = Literal::zeros(u8, {height, width, channels});
  if (!reader.pixels(static_cast<unsigned char*>(out.mutable_data()), static_cast<size_t>(width * channels))) {
    refuse(source, cat("damaged JPEG: ", reader.message));
  }
  if (reader.truncated) refuse(source, "damaged JPEG: it is cut short");
  return out;
}

Literal with_channels(const Literal& pixels, int64_t channels) {
  const int64_t have = pixels.shape()[2];
  if (channels == 0 || channels == have) return pixels;
  Literal out = Literal::zeros(u8, pixels.shape().with(2, channels));
  const std::span<const uint8_t> from = pixels.values<uint8_t>();
  auto* to = static_cast<uint8_t*>(out.mutable_data());
  for (size_t i = 0; i < from.size() / static_cast<size_t>(have); ++i) {
    if (channels == 3) {
      to[3 * i] = to[3 * i + 1] = to[3 * i + 2] = from[i];
    } else {
      to[i] = static_cast<uint8_t>((299 * from[3 * i] + 587 * from[3 * i + 1] + 114 * from[3 * i + 2] + 500) / 1000);
    }
  }
  return out;
}

}  // namespace

Literal decode_image(std::span<const std::byte> bytes, const std::string& source, int64_t channels) {
  if (channels != 0 && channels != 1 && channels != 3) {
    throw Error(Code::kInvalidArgument, cat("a picture has 1 or 3 channels; ", channels, " were asked for"));
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\x89PNG\r\n\x1a\n")) return with_channels(decode_png(bytes, source), channels);
  if (text.starts_with("\xff\xd8\xff")) return with_channels(decode_jpeg(bytes, source), channels);
  refuse(source, "its first bytes are neither those of a PNG nor of a JPEG");
}

Literal read_image(const std::string& path, int64_t channels) {
  const auto file = MappedFile::open(path);
  return decode_image(file->bytes(), path, channels);
}

std::string encode_png(const Literal& pixels) {
  const Shape& shape = pixels.shape();
  if (pixels.dtype() != u8 || shape.rank() != 3 || (shape[2] != 1 && shape[2] != 3) || shape.elements() == 0) {
    throw Error(Code::kInvalidArgument,
                cat("a PNG is written from u8 [height, width, 1 or 3], not empty; given ", pixels.dtype(), shape));
  }
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(shape[1]);
  image.height = static_cast<png_uint_32>(shape[0]);
  image.format = shape[2] == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  std::string out;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  out.resize(size);
  if (png_image_write_to_memory(&image, out.data(), &size, 0, pixels.data(), 0, nullptr) == 0) {
    throw Error(Code::kInternal, cat("libpng cannot write ", shape, ": ", image.message));
  }
  out.resize(size);
  return out;
}

Literal channels_first(const Literal& pixels) {
  const int64_t height = pixels.shape()[0], width = pixels.shape()[1], channels = pixels.shape()[2];
  Literal out = Literal::zeros(u8, {channels, height, width});
  const std::span<const uint8_t> from = pixels.values<uint8_t>();
  auto* to = static_cast<uint8_t*>(out.mutable_data());
  for (size_t channel = 0; channel < static_cast<size_t>(channels); ++channel) {
    for (size_t i = 0; i < static_cast<size_t>(height * width); ++i) {
      *to++ = from[i * static_cast<size_t>(channels) + channel];
    }
  }
  return out;
}

}  // namespace trireme::data
