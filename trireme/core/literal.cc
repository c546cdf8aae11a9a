#include "trireme/core/literal.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#include "trireme/base/strings.h"

namespace trireme {

namespace {

constexpr size_t kAlignment = 64;

template <class To, class From>
To convert_one(From value) {
  constexpr bool from_float = !std::is_integral_v<From>;
  constexpr bool to_small_float = std::is_same_v<To, Half> || std::is_same_v<To, BFloat16>;
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (std::is_same_v<To, bool>) {
    if constexpr (from_float) return static_cast<double>(value) != 0.0;
    else return value != From{};
  } else if constexpr (to_small_float) {
    if constexpr (std::is_same_v<From, float>) {
      return To(value);
    } else {
      const double wide = static_cast<double>(value);
      if constexpr (std::is_same_v<To, Half>) return half_from_double(wide);
      else return bfloat16_from_double(wide);
    }
  } else if constexpr (std::is_floating_point_v<To>) {
    if constexpr (std::is_same_v<From, Half> || std::is_same_v<From, BFloat16>)
      return static_cast<To>(static_cast<float>(value));
    else return static_cast<To>(value);
  } else if constexpr (from_float) {
    const double wide = static_cast<double>(value);
    if (std::isnan(wide)) return 0;
    constexpr double low = static_cast<double>(std::numeric_limits<To>::lowest());
    constexpr double high = static_cast<double>(std::numeric_limits<To>::max());
    if (wide <= low) return std::numeric_limits<To>::lowest();
    if (wide >= high) return std::numeric_limits<To>::max();
    return static_cast<To>(wide);
  } else {
    return static_cast<To>(value);
  }
}

}  // namespace

void convert_elements(DType from, const void* source, DType to, void* target, int64_t count) {
  if (from == to) {
    if (count > 0) std::memcpy(target, source, static_cast<size_t>(count) * size_of(from));
    return;
  }
  visit_dtype(from, [&]<class From>() {
    visit_dtype(to, [&]<class To>() {
      const From* in = static_cast<const From*>(source);
      To* out = static_cast<To*>(target);
      for (int64_t i = 0; i < count; ++i) out[i] = convert_one<To, From>(in[i]);
    });
  });
}

Literal::Literal(DType dtype, const Shape& shape, std::shared_ptr<const void> owner, const void* data)
    : dtype_(dtype), shape_(shape), owner_(std::move(owner)), data_(data) {}

Literal Literal::zeros(DType dtype, const Shape& shape) {
  const size_t bytes = static_cast<size_t>(shape.elements()) * size_of(dtype);
  const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* memory = std::aligned_alloc(kAlignment, rounded == 0 ? kAlignment : rounded);
  if (memory == nullptr) {
    throw Error(Code::kOutOfMemory, cat("cannot allocate ", bytes, " bytes on the host for ", dtype, shape.text()));
  }
  std::memset(memory, 0, bytes);
  Literal out(dtype, shape, std::shared_ptr<const void>(memory, [](const void* p) { std::free(const_cast<void*>(p)); }),
              memory);
  out.own_ = true;
  return out;
}

Literal Literal::from_doubles(DType dtype, const Shape& shape, std::span<const double> values) {
  if (static_cast<int64_t>(values.size()) != shape.elements()) {
    throw Error(Code::kInvalidArgument,
                cat("shape ", shape, " needs ", shape.elements(), " values; given ", values.size()));
  }
  Literal out = zeros(dtype, shape);
  convert_elements(f64, values.data(), dtype, out.mutable_data(), out.elements());
  return out;
}

Literal Literal::filled(DType dtype, const Shape& shape, double value) {
  return from_doubles(dtype, shape, std::vector<double>(static_cast<size_t>(shape.elements()), value));
}

void* Literal::mutable_data() {
  TRIREME_CHECK(own_ && owner_.use_count() == 1, "a literal that is shared or borrows its bytes may not be written");
  return const_cast<void*>(data_);
}

std::vector<double> Literal::to_doubles() const {
  std::vector<double> out(static_cast<size_t>(elements()));
  convert_elements(dtype_, data_, f64, out.data(), elements());
  return out;
}

double Literal::at(int64_t index) const {
  double out = 0.0;
  convert_elements(dtype_, static_cast<const std::byte*>(data_) + static_cast<size_t>(index) * size_of(dtype_), f64,
                   &out, 1);
  return out;
}

bool Literal::same_bytes(const Literal& other) const {
  if (dtype_ != other.dtype_ || !(shape_ == other.shape_)) return false;
  return data_ == other.data_ || bytes() == 0 || std::memcmp(data_, other.data_, bytes()) == 0;
}

std::string Literal::text(int64_t limit) const {
  std::string out = cat(dtype_, shape_, " {");
  const int64_t shown = std::min(limit, elements());
  for (int64_t i = 0; i < shown; ++i) {
    if (i) out += ", ";
    const bool wide_int = dtype_ == i64 || dtype_ == u64;
    if (wide_int && dtype_ == i64) append(out, values<int64_t>()[static_cast<size_t>(i)]);
    else if (wide_int) append(out, values<uint64_t>()[static_cast<size_t>(i)]);
    else append(out, at(i));
  }
  if (shown < elements()) append(out, cat(", ... ", elements() - shown, " more"));
  return out + "}";
}

}  // namespace trireme
