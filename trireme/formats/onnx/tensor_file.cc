#include "trireme/formats/onnx/tensor_file.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "trireme/base/file.h"
#include "trireme/base/path.h"
#include "trireme/base/strings.h"

namespace trireme::formats::onnx {

namespace {

// Bits of a small float: sign, `exponent` bits with the given bias, `mantissa` bits.
struct SmallFloat {
  int exponent, mantissa, bias;
  enum class Special : uint8_t {
    kNone,          // every pattern is a number
    kInfinities,    // the largest exponent means infinity or nan, as in IEEE 754
    kAllOnes,       // all bits but the sign set is nan
    kNegativeZero,  // the pattern of -0 is nan
  } special;

  float value(uint32_t bits) const {
    const uint32_t sign = (bits >> (exponent + mantissa)) & 1u;
    const uint32_t power = (bits >> mantissa) & ((1u << exponent) - 1u), low = bits & ((1u << mantissa) - 1u);
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    const bool top = power == (1u << exponent) - 1u;
    if (special == Special::kNegativeZero && sign == 1 && power == 0 && low == 0) return nan;
    if (special == Special::kAllOnes && top && low == (1u << mantissa) - 1u) return nan;
    if (special == Special::kInfinities && top) {
      if (low != 0) return nan;
      return sign ? -std::numeric_limits<float>::infinity() : std::numeric_limits<float>::infinity();
    }
    const int scale = (power == 0 ? 1 : static_cast<int>(power)) - bias - mantissa;
    const uint32_t whole = power == 0 ? low : low | (1u << mantissa);
    const float magnitude = std::ldexp(static_cast<float>(whole), scale);
    return sign ? -magnitude : magnitude;
  }
};

float narrow_float(Elem elem, uint32_t bits) {
  using Special = SmallFloat::Special;
  switch (elem) {
    case Elem::kFloat8E4M3FN: return SmallFloat{4, 3, 7, Special::kAllOnes}.value(bits);
    case Elem::kFloat8E4M3FNUZ: return SmallFloat{4, 3, 8, Special::kNegativeZero}.value(bits);
    case Elem::kFloat8E5M2: return SmallFloat{5, 2, 15, Special::kInfinities}.value(bits);
    case Elem::kFloat8E5M2FNUZ: return SmallFloat{5, 2, 16, Special::kNegativeZero}.value(bits);
    case Elem::kFloat4E2M1: return SmallFloat{2, 1, 1, Special::kNone}.value(bits & 15u);
    default:  // kFloat8E8M0: powers of two
      return bits == 255 ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0F, static_cast<int>(bits) - 127);
  }
}

[[noreturn]] void damaged(const std::string& what, const std::string& why) {
  throw Error(Code::kDataLoss, cat(what, ": ", why));
}

// Elements packed into bytes, the first in the lowest bits.
Literal unpack(Elem elem, const Shape& shape, const uint8_t* bytes) {
  const int bits = bits_of(elem);
  const uint32_t mask = (1u << bits) - 1u;
  Literal out = Literal::zeros(carrier(elem), shape);
  for (int64_t i = 0; i < shape.elements(); ++i) {
    const auto at = static_cast<size_t>(i) * static_cast<size_t>(bits);
    const uint32_t code = (static_cast<uint32_t>(bytes[at / 8]) >> (at % 8)) & mask;
    if (out.dtype() == f32) static_cast<float*>(out.mutable_data())[i] = narrow_float(elem, code);
    else if (out.dtype() == u8) static_cast<uint8_t*>(out.mutable_data())[i] = static_cast<uint8_t>(code);
    else {
      const bool negative = (code >> (bits - 1)) != 0;
      static_cast<int8_t*>(out.mutable_data())[i] =
          static_cast<int8_t>(static_cast<int>(code) - (negative ? 1 << bits : 0));
    }
  }
  return out;
}

int64_t packed_bytes(Elem elem, int64_t elements) { return (elements * bits_of(elem) + 7) / 8; }

Literal from_bytes(Elem elem, const Shape& shape, const char* bytes, const std::shared_ptr<const void>& owner) {
  if (is_narrow(elem)) return unpack(elem, shape, reinterpret_cast<const uint8_t*>(bytes));
  const DType type = carrier(elem);
  const size_t size = static_cast<size_t>(shape.elements()) * size_of(type);
  const bool aligned = reinterpret_cast<uintptr_t>(bytes) % size_of(type) == 0;
  if (type == boolean) {  // any byte but 0 is true
    Literal out = Literal::zeros(type, shape);
    auto* to = static_cast<uint8_t*>(out.mutable_data());
    for (size_t i = 0; i < size; ++i) to[i] = bytes[i] != 0;
    return out;
  }
  if (owner && aligned && size >= 64) return {type, shape, owner, bytes};
  Literal out = Literal::zeros(type, shape);
  if (size > 0) std::memcpy(out.mutable_data(), bytes, size);
  return out;
}

template <class Source>
Literal from_list(Elem elem, const Shape& shape, const Source& list, const std::string& what) {
  const int64_t expected = is_narrow(elem) ? packed_bytes(elem, shape.elements()) : shape.elements();
  if (list.size() != expected) {
    damaged(what, cat("shape ", shape, " of ", name(elem), " needs ", expected, " entries; the file has ",
                      static_cast<int64_t>(list.size())));
  }
  if (is_narrow(elem)) {
    std::vector<uint8_t> bytes;
    for (const auto v : list) bytes.push_back(static_cast<uint8_t>(static_cast<int64_t>(v)));
    return unpack(elem, shape, bytes.data());
  }
  const DType type = carrier(elem);
  Literal out = Literal::zeros(type, shape);
  void* data = out.mutable_data();
  int i = 0;
  for (const auto v : list) {
    visit_dtype(type, [&]<class T>() {
      T& slot = static_cast<T*>(data)[i];
      if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {  // given by their bits
        slot.bits = static_cast<uint16_t>(static_cast<int64_t>(v));
      } else if constexpr (std::is_same_v<T, bool>) {
        slot = v != 0;
      } else {
        slot = static_cast<T>(v);
      }
    });
    ++i;
  }
  return out;
}

std::string external_entry(const proto::Tensor& tensor, std::string_view key) {
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == key) return entry.value();
  }
  return {};
}

int64_t external_number(const proto::Tensor& tensor, std::string_view key, int64_t missing, const std::string& what) {
  const std::string text = external_entry(tensor, key);
  if (text.empty()) return missing;
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) {
    damaged(what, cat("external ", key, " '", text, "' is no number of bytes"));
  }
  return number;
}

Literal from_external(const proto::Tensor& tensor, Elem elem, const Shape& shape, const Origin& origin,
                      const std::string& what) {
  namespace fs = std::filesystem;
  const std::string location = external_entry(tensor, "location");
  if (origin.folder.empty()) damaged(what, "its data lies in another file, but this model was not read from a folder");
  if (location.empty() || location.find('\0') != std::string::npos) damaged(what, "external data without a location");
  const std::string path = path_inside(origin.folder, location);
  if (path.empty()) {
    damaged(what, cat("external data '", location, "' is outside the model's folder, where it is not read"));
  }
  std::error_code failed;
  if (!fs::is_regular_file(path, failed)) {
    throw Error(Code::kNotFound, cat(what, ": external data '", location, "' is no file in the model's folder"));
  }
  const auto file = MappedFile::open(path);
  const int64_t size = packed_bytes(elem, shape.elements()), total = static_cast<int64_t>(file->bytes().size());
  const int64_t offset = external_number(tensor, "offset", 0, what);
  const int64_t length = external_number(tensor, "length", size, what);
  if (length != size) damaged(what, cat("needs ", size, " bytes; external length is ", length));
  if (offset > total || size > total - offset) {
    damaged(what, cat("bytes ", offset, " to ", offset + size, " of '", location, "', which has ", total));
  }
  return from_bytes(elem, shape, reinterpret_cast<const char*>(file->bytes().data()) + offset, file);
}

}  // namespace

Shape checked_shape(const google::protobuf::RepeatedField<int64_t>& sizes, const std::string& what) {
  if (sizes.size() > kMaxRank) {
    throw Error(Code::kUnsupported, cat(what, " has ", sizes.size(), " axes; at most ", kMaxRank, " are supported"));
  }
  try {
    return Shape(std::vector<int64_t>(sizes.begin(), sizes.end()));
  } catch (const Error& error) {
    damaged(what, error.what());
  }
}

HostValue to_value(const proto::Tensor& tensor, const Origin& origin, std::span<const std::byte> raw_data) {
  const std::string what = cat(origin.source, ": tensor '", tensor.name(), "'");
  const Shape shape = checked_shape(tensor.dims(), what);
  const auto elem = static_cast<Elem>(tensor.data_type());
  if (elem == Elem::kString) {
    if (tensor.string_data_size() != shape.elements()) {
      damaged(what,
              cat("shape ", shape, " needs ", shape.elements(), " strings; the file has ", tensor.string_data_size()));
    }
    return HostValue(Text{shape, {tensor.string_data().begin(), tensor.string_data().end()}});
  }
  if (elem == Elem::kNone) damaged(what, "has no element type");
  carrier(elem);  // throws for what no tensor can carry
  if (tensor.data_location() == 1) return {elem, from_external(tensor, elem, shape, origin, what)};
  if (raw_data.empty()) raw_data = std::as_bytes(std::span(tensor.raw_data()));
  if (tensor.has_raw_data() || !raw_data.empty()) {
    const int64_t size = packed_bytes(elem, shape.elements());
    if (static_cast<int64_t>(raw_data.size()) != size) {
      damaged(what,
              cat("shape ", shape, " of ", name(elem), " needs ", size, " bytes; the file has ", raw_data.size()));
    }
    return {elem, from_bytes(elem, shape, reinterpret_cast<const char*>(raw_data.data()), origin.owner)};
  }
  switch (elem) {
    case Elem::kFloat: return {elem, from_list(elem, shape, tensor.float_data(), what)};
    case Elem::kDouble: return {elem, from_list(elem, shape, tensor.double_data(), what)};
    case Elem::kInt64: return {elem, from_list(elem, shape, tensor.int64_data(), what)};
    case Elem::kUint32:
    case Elem::kUint64: return {elem, from_list(elem, shape, tensor.uint64_data(), what)};
    default: return {elem, from_list(elem, shape, tensor.int32_data(), what)};
  }
}

HostValue to_value(const proto::SparseTensor& tensor, const Origin& origin) {
  const std::string what = cat(origin.source, ": sparse tensor '", tensor.values().name(), "'");
  const Shape shape = checked_shape(tensor.dims(), what);
  const HostValue values = to_value(tensor.values(), origin), indices = to_value(tensor.indices(), origin);
  if (values.kind != Kind::kTensor || is_narrow(values.elem) || values.tensor.shape().rank() != 1 ||
      indices.elem != Elem::kInt64 || shape.elements() > (int64_t{1} << 31)) {
    damaged(what, "values must be a vector of numbers, indices int64, the size below 2^31 elements");
  }
  const int64_t count = values.tensor.elements();
  const Shape& places = indices.tensor.shape();
  const bool flat = places == Shape{count};
  if (!flat && !(places == Shape{count, shape.rank()})) damaged(what, "indices do not fit the values");
  Literal out = Literal::zeros(values.tensor.dtype(), shape);
  const size_t size = size_of(out.dtype());
  const Strides strides = dense_strides(shape);
  const auto list = indices.tensor.values<int64_t>();
  for (int64_t k = 0; k < count; ++k) {
    int64_t at = 0;
    if (flat) {
      at = list[static_cast<size_t>(k)];
      if (at < 0 || at >= shape.elements()) damaged(what, cat("index ", at, " is out of range"));
    }
    for (int a = 0; !flat && a < shape.rank(); ++a) {
      const int64_t index = list[static_cast<size_t>(k * shape.rank() + a)];
      if (index < 0 || index >= shape[a]) damaged(what, cat("index ", index, " is out of range"));
      at += index * strides[static_cast<size_t>(a)];
    }
    std::memcpy(static_cast<char*>(out.mutable_data()) + static_cast<size_t>(at) * size,
                static_cast<const char*>(values.tensor.data()) + static_cast<size_t>(k) * size, size);
  }
  return {values.elem, out};
}

HostValue to_value(const proto::Sequence& sequence, const Origin& origin) {
  HostValue out;
  out.kind = Kind::kSequence;
  for (const auto& each : sequence.tensor_values()) out.items.push_back(to_value(each, origin));
  for (const auto& each : sequence.sequence_values()) out.items.push_back(to_value(each, origin));
  for (const auto& each : sequence.optional_values()) out.items.push_back(to_value(each, origin));
  if (!out.items.empty()) out.elem = out.items[0].elem;
  return out;
}

HostValue to_value(const proto::Optional& optional, const Origin& origin) {
  if (optional.has_tensor_value()) return to_value(optional.tensor_value(), origin);
  if (optional.has_sequence_value()) return to_value(optional.sequence_value(), origin);
  if (optional.has_optional_value()) return to_value(optional.optional_value(), origin);
  return {};
}

}  // namespace trireme::formats::onnx
