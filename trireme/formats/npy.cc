#include "trireme/formats/npy.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"

namespace trireme::formats {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

struct NumpyType {
  DType dtype;
  const char* code;  // kind and bytes per element, without the byte order
};
constexpr NumpyType kTypes[] = {{f64, "f8"}, {f32, "f4"}, {f16, "f2"}, {i8, "i1"},  {i16, "i2"}, {i32, "i4"},
                                {i64, "i8"}, {u8, "u1"},  {u16, "u2"}, {u32, "u4"}, {u64, "u8"}, {boolean, "b1"}};

// What the header's Python dictionary says: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
struct Dictionary {
  std::string descr;
  bool columns_first = false;
  std::vector<int64_t> shape;
};

class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  Dictionary parse() {
    Dictionary out;
    int seen = 0;  // one bit per key
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr") {
        seen |= 1;
        skip_space();
        if (text_.empty() || (text_[0] != '\'' && text_[0] != '"')) {
          throw Error(Code::kUnsupported,
                      cat("npy file '", source_, "': arrays of records are not read; save each field on its own"));
        }
        out.descr = quoted();
      } else if (key == "fortran_order") {
        seen |= 2;
        out.columns_first = truth();
      } else if (key == "shape") {
        seen |= 4;
        out.shape = sizes();
      } else {
        refuse(cat("unknown header key '", key.substr(0, 40), "'"));
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (seen != 7) refuse("the header lacks one of descr, fortran_order, shape");
    return out;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(Code::kDataLoss, cat("npy file '", source_, "': ", what));
  }
  void skip_space() {
    while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\n' || text_[0] == '\t')) text_.remove_prefix(1);
  }
  bool accept(char wanted) {
    skip_space();
    if (text_.empty() || text_[0] != wanted) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted)) refuse(cat("the header is damaged: expected '", wanted, "'"));
  }
  std::string quoted() {
    skip_space();
    if (text_.empty() || (text_[0] != '\'' && text_[0] != '"')) refuse("the header is damaged: expected a quoted name");
    const size_t end = text_.find(text_[0], 1);
    if (end == std::string_view::npos) refuse("the header is damaged: a quote does not end");
    std::string out(text_.substr(1, end - 1));
    text_.remove_prefix(end + 1);
    return out;
  }
  bool truth() {
    skip_space();
    for (const std::string_view word : {std::string_view("True"), std::string_view("False")}) {
      if (text_.substr(0, word.size()) == word) {
        text_.remove_prefix(word.size());
        return word == "True";
      }
    }
    refuse("fortran_order is neither True nor False");
  }
  std::vector<int64_t> sizes() {
    std::vector<int64_t> out;
    expect('(');
    while (!accept(')')) {
      skip_space();
      int64_t size = 0;
      const auto [end, reason] = std::from_chars(text_.data(), text_.data() + text_.size(), size);
      if (reason != std::errc() || size < 0) refuse("shape holds something other than whole numbers >= 0");
      text_.remove_prefix(static_cast<size_t>(end - text_.data()));
      out.push_back(size);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return out;
  }

  std::string_view text_;
  const std::string& source_;
};

// Elements of a column-major array in row-major order.
void reorder(const std::byte* from, std::byte* to, const Shape& shape, size_t width) {
  std::vector<int64_t> at(static_cast<size_t>(shape.rank()), 0);
  for (int64_t i = 0; i < shape.elements(); ++i) {
    int64_t source = 0;
    for (int axis = shape.rank(); axis-- > 0;) source = source * shape[axis] + at[static_cast<size_t>(axis)];
    std::memcpy(to + static_cast<size_t>(i) * width, from + static_cast<size_t>(source) * width, width);
    for (int axis = shape.rank(); axis-- > 0;) {
      if (++at[static_cast<size_t>(axis)] < shape[axis]) break;
      at[static_cast<size_t>(axis)] = 0;
    }
  }
}

[[noreturn]] void refuse(const std::string& source, const std::string& what) {
  throw Error(Code::kDataLoss, cat("npy file '", source, "': ", what));
}

}  // namespace

NpyHeader parse_npy_header(std::span<const std::byte> beginning, const std::string& source) {
  const std::string_view text(reinterpret_cast<const char*>(beginning.data()), beginning.size());
  if (text.substr(0, kMagic.size()) != kMagic) refuse(source, "it does not start with NumPy's signature");
  if (text.size() < 10) refuse(source, "it is cut short inside the header");
  const int version = std::to_integer<int>(beginning[6]);
  if (version < 1 || version > 3) refuse(source, cat("format version ", version, " is unknown; 1 to 3 are read"));
  const size_t start = version == 1 ? 10 : 12;
  if (text.size() < start) refuse(source, "it is cut short inside the header");
  size_t length = 0;
  for (size_t i = start; i-- > 8;) length = length << 8 | std::to_integer<size_t>(beginning[i]);
  if (length > text.size() - start) {
    refuse(source, cat("it claims a header of ", length, " bytes, but only ", text.size() - start, " follow"));
  }
  const Dictionary dictionary = HeaderParser(text.substr(start, length), source).parse();

  const bool ordered =
      !dictionary.descr.empty() && std::string_view("<>|=").find(dictionary.descr[0]) != std::string_view::npos;
  const std::string code = dictionary.descr.substr(ordered ? 1 : 0);
  const auto* type = std::find_if(std::begin(kTypes), std::end(kTypes), [&](const auto& t) { return code == t.code; });
  if (type == std::end(kTypes)) {
    throw Error(Code::kUnsupported, cat("npy file '", source, "': element type '", dictionary.descr.substr(0, 40),
                                        "' is not read; save it as floating numbers, integers or bool"));
  }
  try {
    return {type->dtype, Shape(dictionary.shape), dictionary.columns_first, dictionary.descr[0] == '>', start + length};
  } catch (const Error& error) {
    refuse(source, error.what());
  }
}

void NpyHeader::check_payload(uint64_t given, const std::string& source) const {
  const uint64_t needed = static_cast<uint64_t>(shape.elements()) * size_of(dtype);
  if (given != needed) {
    refuse(source, cat(dtype, shape, " takes ", needed, " bytes, but ", given, " follow the header"));
  }
}

Literal parse_npy(std::span<const std::byte> bytes, const std::string& source,
                  const std::shared_ptr<const void>& owner) {
  const NpyHeader header = parse_npy_header(bytes, source);
  const std::span<const std::byte> payload = bytes.subspan(header.bytes);
  header.check_payload(payload.size(), source);
  const size_t width = size_of(header.dtype);
  const auto check_flags = [&](const std::byte* data) {
    if (header.dtype != boolean) return;
    if (std::any_of(data, data + payload.size(), [](std::byte b) { return b > std::byte{1}; })) {
      refuse(source, "an element of a bool array is neither 0 nor 1");
    }
  };
  const bool as_it_lies = !header.columns_first && (!header.big_endian || width == 1) && !payload.empty();
  if (owner && as_it_lies && reinterpret_cast<uintptr_t>(payload.data()) % width == 0) {
    check_flags(payload.data());
    return {header.dtype, header.shape, owner, payload.data()};
  }
  Literal out = Literal::zeros(header.dtype, header.shape);
  auto* data = static_cast<std::byte*>(out.mutable_data());
  if (header.columns_first) {
    reorder(payload.data(), data, header.shape, width);
  } else if (!payload.empty()) {
    std::memcpy(data, payload.data(), payload.size());
  }
  if (header.big_endian) {
    for (size_t i = 0; i < payload.size(); i += width) std::reverse(data + i, data + i + width);
  }
  check_flags(data);
  return out;
}

Literal read_npy(const std::string& path) {
  const auto file = MappedFile::open(path);
  return parse_npy(file->bytes(), path);
}

std::string npy_header(const Literal& value, const std::string& path) {
  const auto* type =
      std::find_if(std::begin(kTypes), std::end(kTypes), [&](const auto& t) { return value.dtype() == t.dtype; });
  if (type == std::end(kTypes)) {
    throw Error(Code::kUnsupported,
                cat("cannot write '", path, "': NumPy has no ", value.dtype(), "; convert to f32 first"));
  }
  std::string shape = "(";
  for (const int64_t size : value.shape()) shape += cat(size, ",");
  std::string text = cat("{'descr': '", size_of(value.dtype()) == 1 ? "|" : "<", type->code,
                         "', 'fortran_order': False, 'shape': ", shape, "), }");
  // Signature, version and length take 10 bytes; NumPy pads the whole to a multiple of 64 and ends it with a newline.
  text.append((64 - (10 + text.size() + 1) % 64) % 64, ' ');
  text += '\n';
  const char prefix[] = {1, 0, static_cast<char>(text.size() & 0xFF), static_cast<char>(text.size() >> 8)};
  return cat(kMagic, std::string_view(prefix, 4), text);
}

void write_npy(const std::string& path, const Literal& value) {
  const std::string header = npy_header(value, path);
  AtomicFile file(path);
  file.write(header);
  file.write(std::span(static_cast<const std::byte*>(value.data()), value.bytes()));
  file.commit();
}

}  // namespace trireme::formats
