#include "trireme/formats/stablehlo/literal.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <charconv>
#include <cstring>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::formats::stablehlo {

namespace {

[[noreturn]] void refuse(const Type& type, const std::string& what) {
  throw Error(Code::kDataLoss, cat("a literal of ", type.text, " ", what));
}

// What is left of the values of one literal.
class Values {
 public:
  Values(std::string_view text, const Type& type) : text_(text), type_(&type) {}

  char peek() {
    while (at_ < text_.size()) {
      if (text_.substr(at_).starts_with("//")) at_ = std::min(text_.find('\n', at_), text_.size());
      else if (std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
      else return text_[at_];
    }
    return '\0';
  }
  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) refuse(*type_, cat("has no '", std::string(1, c), "' behind value ", count_));
  }
  std::string_view word() {
    peek();
    const size_t begin = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 ||
                                  std::string_view("+-.").find(text_[at_]) != std::string_view::npos)) {
      ++at_;
    }
    if (at_ == begin) refuse(*type_, cat("has no value number ", count_ + 1));
    ++count_;
    return text_.substr(begin, at_ - begin);
  }

  // The nested lists of a shape, row-major.
  template <class Put>
  void lists(const Shape& shape, int axis, const Put& put) {
    if (axis == shape.rank()) return put(word());
    expect('[');
    for (int64_t i = 0; i < shape[axis]; ++i) {
      if (i > 0) expect(',');
      lists(shape, axis + 1, put);
    }
    if (!accept(']')) refuse(*type_, cat("has more than ", shape[axis], " values along axis ", axis));
  }

 private:
  std::string_view text_;
  const Type* type_;
  size_t at_ = 0;
  int64_t count_ = 0;
};

template <class T>
T from_bits(uint64_t bits) {
  if constexpr (sizeof(T) == 2) {
    T out;
    out.bits = static_cast<uint16_t>(bits);
    return out;
  } else if constexpr (sizeof(T) == 4) {
    return std::bit_cast<T>(static_cast<uint32_t>(bits));
  } else {
    return std::bit_cast<T>(bits);
  }
}

template <class T>
T parse_value(std::string_view word, const Type& type) {
  const auto wrong = [&]() { refuse(type, cat("holds '", word, "', which is no value of that type")); };
  const bool negative = word.starts_with('-');
  std::string_view digits = negative ? word.substr(1) : word;
  const bool hex = digits.starts_with("0x");
  if (hex) digits.remove_prefix(2);
  uint64_t magnitude = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, hex ? 16 : 10);
  const bool whole = !digits.empty() && error == std::errc() && end == digits.data() + digits.size();
  if constexpr (std::is_same_v<T, bool>) {
    if (word == "true" || (whole && !negative && magnitude == 1)) return true;
    if (word != "false" && (!whole || magnitude != 0)) wrong();
    return false;
  } else if constexpr (std::is_integral_v<T>) {
    // Hexadecimal is a bit pattern; also -1 for the largest unsigned value is in use.
    const int bits = static_cast<int>(sizeof(T)) * 8;
    const uint64_t most = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
    const uint64_t half = uint64_t{1} << (bits - 1);
    if (!whole) wrong();
    const bool fits = negative                       ? magnitude <= half
                      : hex || std::is_unsigned_v<T> ? magnitude <= most
                                                     : magnitude < half;
    if (!fits) wrong();
    return static_cast<T>(negative ? 0 - magnitude : magnitude);
  } else {
    if (hex) {
      if (!whole || negative || (sizeof(T) < 8 && magnitude >> (sizeof(T) % 8 * 8) != 0)) wrong();
      return from_bits<T>(magnitude);
    }
    if (!word.empty() && std::isalpha(static_cast<unsigned char>(digits.empty() ? 'x' : digits[0])) != 0) wrong();
    double value = 0.0;
    const auto [tail, bad] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (bad == std::errc::invalid_argument || tail != word.data() + word.size()) wrong();
    if (bad == std::errc::result_out_of_range) value = std::strtod(std::string(word).c_str(), nullptr);
    return static_cast<T>(value);
  }
}

int nibble(char c, const Type& type) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  refuse(type, "holds a character that is no hexadecimal digit");
}

DenseValue from_hex(std::string_view digits, const Type& type, DType dtype, const Shape& shape) {
  if (digits.size() % 2 != 0) refuse(type, "has half a byte");
  std::string bytes;
  bytes.reserve(digits.size() / 2);
  for (size_t i = 0; i < digits.size(); i += 2) {
    bytes.push_back(static_cast<char>(nibble(digits[i], type) * 16 + nibble(digits[i + 1], type)));
  }
  const auto count = static_cast<uint64_t>(shape.elements());
  const size_t size = size_of(dtype);
  // Booleans are a bit each in files of older writers.
  const bool packed = dtype == boolean && bytes.size() != count && bytes.size() == (count + 7) / 8;
  if (bytes.size() == size && count != 1) {
    Literal one = Literal::zeros(dtype, {});
    std::memcpy(one.mutable_data(), bytes.data(), size);
    if (dtype == boolean) *static_cast<uint8_t*>(one.mutable_data()) = bytes[0] != 0 ? 1 : 0;
    if (!packed || bytes[0] == 0 || static_cast<unsigned char>(bytes[0]) == 0xFF) return {one, true, shape};
  }
  if (!packed && (bytes.size() % size != 0 || bytes.size() / size != count)) {
    refuse(type, cat("has ", bytes.size(), " bytes; needed: ", count, " x ", size, ", or one element"));
  }
  Literal out = Literal::zeros(dtype, shape);
  auto* to = static_cast<uint8_t*>(out.mutable_data());
  if (packed) {
    for (size_t i = 0; i < count; ++i) to[i] = static_cast<unsigned char>(bytes[i / 8]) >> (i % 8) & 1;
  } else {
    std::copy(bytes.begin(), bytes.end(), to);
    if (dtype == boolean) std::transform(to, to + count, to, [](uint8_t x) { return x != 0 ? 1 : 0; });
  }
  return {out, false, shape};
}

}  // namespace

DType dtype_of(const Type& type) {
  if (!type.tensor)
    throw Error(Code::kUnsupported, cat("values of type ", type.text, " are not supported; tensors are"));
  if (!type.dtype) throw Error(Code::kUnsupported, cat("element type ", type.element, " is not supported"));
  return *type.dtype;
}

Shape shape_of(const Type& type) {
  dtype_of(type);
  if (std::count(type.sizes.begin(), type.sizes.end(), -1) != 0) {
    throw Error(Code::kUnsupported, cat("the sizes of ", type.text, " are not known"));
  }
  try {
    return Shape(type.sizes);
  } catch (const Error& error) {
    throw Error(Code::kUnsupported, cat(type.text, ": ", error.what()));
  }
}

DenseValue decode(const Dense& dense) {
  const Type& type = dense.type;
  const Shape shape = shape_of(type);
  const DType dtype = dtype_of(type);
  const std::string_view text = trim(dense.text);
  if (text.starts_with('"')) {
    if (text.size() < 2 || text.back() != '"' || !text.substr(1).starts_with("0x")) refuse(type, "is no \"0x...\"");
    return from_hex(text.substr(3, text.size() - 4), type, dtype, shape);
  }
  Values values(text, type);
  if (values.peek() == '\0') {
    if (shape.elements() != 0) refuse(type, "has no values");
    return {Literal::zeros(dtype, shape), false, shape};
  }
  return visit_dtype(dtype, [&]<class T>() -> DenseValue {
    const bool splat = values.peek() != '[';
    // Each value takes two characters at least, so a short text cannot ask for much memory.
    if (!splat && shape.elements() > static_cast<int64_t>(text.size())) {
      refuse(type, cat("has fewer than ", shape.elements(), " values"));
    }
    Literal out = Literal::zeros(dtype, splat ? Shape{} : shape);
    T* to = static_cast<T*>(out.mutable_data());
    values.lists(out.shape(), 0, [&](std::string_view word) { *to++ = parse_value<T>(word, type); });
    if (values.peek() != '\0') refuse(type, "goes on behind its last value");
    return {out, splat, shape};
  });
}

}  // namespace trireme::formats::stablehlo
