#include "trireme/data/idx.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"

namespace trireme::data {

namespace {

struct Inflater {
  z_stream stream{};
  ~Inflater() { inflateEnd(&stream); }
};

bool is_gzip(std::span<const std::byte> bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
}

}  // namespace

std::string gunzip(std::span<const std::byte> bytes, const std::string& source, size_t limit) {
  const auto refuse = [&](std::string_view what) -> Error {
    return {Code::kDataLoss, cat("gzip file '", source, "': ", what)};
  };
  Inflater inflater;
  z_stream& stream = inflater.stream;
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) throw Error(Code::kOutOfMemory, "no memory for zlib");
  std::string out, piece(size_t{1} << 16, '\0');
  size_t fed = 0;
  int state = Z_OK;
  while (state != Z_STREAM_END) {
    if (stream.avail_in == 0) {
      const size_t more = std::min(bytes.size() - fed, size_t{1} << 30);
      if (more == 0) throw refuse("it is cut short");
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data() + fed));
      stream.avail_in = static_cast<uInt>(more);
      fed += more;
    }
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    state = inflate(&stream, Z_NO_FLUSH);
    if (state != Z_OK && state != Z_STREAM_END) {
      throw refuse(cat("damaged: ", stream.msg == nullptr ? "invalid data" : stream.msg));
    }
    const size_t got = piece.size() - stream.avail_out;
    if (got > limit - out.size()) throw refuse(cat("its content takes more than ", limit, " bytes"));
    out.append(piece, 0, got);
  }
  if (stream.avail_in > 0 || fed < bytes.size()) throw refuse("something follows its end");
  return out;
}

Literal parse_idx(std::span<const std::byte> bytes, const std::string& source) {
  const auto refuse = [&](std::string_view what) -> Error {
    return {Code::kDataLoss, cat("idx file '", source, "': ", what)};
  };
  const auto byte = [&](size_t at) { return std::to_integer<int>(bytes[at]); };
  if (bytes.size() < 4) throw refuse(cat("it has ", bytes.size(), " bytes; the start alone takes 4"));
  if (byte(0) != 0 || byte(1) != 0) {
    throw refuse(cat("it starts with the bytes ", byte(0), " ", byte(1), " instead of 0 0: this is no idx file"));
  }
  DType dtype = u8;
  switch (byte(2)) {
    case 0x08: dtype = u8; break;
    case 0x09: dtype = i8; break;
    case 0x0B: dtype = i16; break;
    case 0x0C: dtype = i32; break;
    case 0x0D: dtype = f32; break;
    case 0x0E: dtype = f64; break;
    default: throw refuse(cat("element type ", byte(2), " is unknown; 8, 9, 11, 12, 13 and 14 are defined"));
  }
  const auto rank = static_cast<size_t>(byte(3));
  if (bytes.size() < 4 + 4 * rank) throw refuse(cat("it is cut short inside its ", rank, " sizes"));
  std::vector<int64_t> sizes;
  for (size_t axis = 0; axis < rank; ++axis) {
    int64_t size = 0;
    for (size_t i = 0; i < 4; ++i) size = size << 8 | byte(4 + 4 * axis + i);
    sizes.push_back(size);
  }
  Shape shape;
  try {
    shape = Shape(sizes);
  } catch (const Error& error) {
    throw refuse(error.what());
  }
  const std::span<const std::byte> payload = bytes.subspan(4 + 4 * rank);
  const size_t width = size_of(dtype), needed = static_cast<size_t>(shape.elements()) * width;
  if (payload.size() != needed) {
    throw refuse(cat(dtype, shape, " takes ", needed, " bytes, but ", payload.size(), " follow the sizes"));
  }
  Literal out = Literal::zeros(dtype, shape);
  auto* data = static_cast<std::byte*>(out.mutable_data());
  if (needed > 0) std::memcpy(data, payload.data(), needed);
  if (width > 1) {
    for (size_t i = 0; i < needed; i += width) std::reverse(data + i, data + i + width);
  }
  return out;
}

Literal read_idx(const std::string& path) {
  const auto file = MappedFile::open(path);
  if (!is_gzip(file->bytes())) return parse_idx(file->bytes(), path);
  const std::string content = gunzip(file->bytes(), path);
  return parse_idx(std::as_bytes(std::span<const char>(content.data(), content.size())), path);
}

}  // namespace trireme::data
