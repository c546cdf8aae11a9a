#include "trireme/core/dtype.h"

#include <array>
#include <limits>
#include <vector>

#include "trireme/base/strings.h"

namespace trireme {

namespace {
constexpr std::array<std::string_view, 14> kNames = {"?",   "f64", "f32", "f16", "bf16", "i8",  "i16",
                                                     "i32", "i64", "u8",  "u16", "u32",  "u64", "bool"};
}

std::string_view name(DType t) { return kNames[static_cast<size_t>(t) < kNames.size() ? static_cast<size_t>(t) : 0]; }

DType parse_dtype(std::string_view text) {
  for (DType t : kAllDTypes) {
    if (name(t) == text) return t;
  }
  std::vector<std::string_view> known;
  for (DType t : kAllDTypes) known.push_back(name(t));
  const std::string near = nearest_name(text, known);
  throw Error(Code::kInvalidArgument,
              cat("unknown element type '", text, "'; ",
                  near.empty() ? "known types: " + DTypeSet{any_dtype}.text() : cat("did you mean '", near, "'?")));
}

DType promote(DType a, DType b) {
  if (a == b) return a;
  if (a == boolean) return b;
  if (b == boolean) return a;
  if (is_float(a) != is_float(b)) return is_float(a) ? a : b;
  if (is_float(a)) {
    if (size_of(a) == size_of(b)) return f32;
    return size_of(a) > size_of(b) ? a : b;
  }
  if (is_signed_int(a) == is_signed_int(b)) return size_of(a) > size_of(b) ? a : b;
  const DType with_sign = is_signed_int(a) ? a : b;
  const DType without = is_signed_int(a) ? b : a;
  if (size_of(with_sign) > size_of(without)) return with_sign;
  switch (size_of(without)) {
    case 1: return i16;
    case 2: return i32;
    case 4: return i64;
    default: return f32;
  }
}

double unit_roundoff(DType t) {
  switch (t) {
    case f64: return 0x1p-53;
    case f32: return 0x1p-24;
    case f16: return 0x1p-11;
    case bf16: return 0x1p-8;
    default: return 0.0;
  }
}

namespace {
template <class T>
double limit(bool high) {
  return static_cast<double>(high ? std::numeric_limits<T>::max() : std::numeric_limits<T>::lowest());
}
double limit_of(DType t, bool high) {
  switch (t) {
    case f16: return high ? 65504.0 : -65504.0;
    case bf16: return high ? 0x1.fep127 : -0x1.fep127;
    case boolean: return high ? 1.0 : 0.0;
    default:
      return visit_dtype(t, [&]<class T>() -> double {
        if constexpr (std::is_arithmetic_v<T>) return limit<T>(high);
        return 0.0;
      });
  }
}
}  // namespace

double highest(DType t) { return limit_of(t, true); }
double lowest(DType t) { return limit_of(t, false); }

std::string DTypeSet::text() const {
  std::vector<std::string> names;
  for (DType t : kAllDTypes) {
    if (has(t)) names.emplace_back(name(t));
  }
  return join(names, ", ");
}

}  // namespace trireme
