#include "trireme/formats/value.h"

#include <array>

#include "trireme/base/strings.h"

namespace trireme::formats {

namespace {

struct Entry {
  std::string_view name;
  int bits;  // 0: no tensor of Trireme can carry it
  DType carrier;
  bool narrow;
};

constexpr std::array<Entry, 27> kEntries = {{
    {"undefined", 0, f32, false},     {"float", 32, f32, false},     {"uint8", 8, u8, false},
    {"int8", 8, i8, false},           {"uint16", 16, u16, false},    {"int16", 16, i16, false},
    {"int32", 32, i32, false},        {"int64", 64, i64, false},     {"string", 0, f32, false},
    {"bool", 8, boolean, false},      {"float16", 16, f16, false},   {"double", 64, f64, false},
    {"uint32", 32, u32, false},       {"uint64", 64, u64, false},    {"complex64", 0, f32, false},
    {"complex128", 0, f64, false},    {"bfloat16", 16, bf16, false}, {"float8e4m3fn", 8, f32, true},
    {"float8e4m3fnuz", 8, f32, true}, {"float8e5m2", 8, f32, true},  {"float8e5m2fnuz", 8, f32, true},
    {"uint4", 4, u8, true},           {"int4", 4, i8, true},         {"float4e2m1", 4, f32, true},
    {"float8e8m0", 8, f32, true},     {"uint2", 2, u8, true},        {"int2", 2, i8, true},
}};

const Entry* find(Elem elem) {
  const auto number = static_cast<int64_t>(elem);
  return number >= 0 && number < static_cast<int64_t>(kEntries.size()) ? &kEntries[static_cast<size_t>(number)]
                                                                       : nullptr;
}

}  // namespace

std::string name(Elem elem) {
  const Entry* entry = find(elem);
  return entry != nullptr ? std::string(entry->name) : cat("element type ", static_cast<int64_t>(elem));
}

DType carrier(Elem elem) {
  const Entry* entry = find(elem);
  if (entry == nullptr || entry->bits == 0) {
    throw Error(Code::kUnsupported, cat("tensors of ", name(elem), " are not supported"));
  }
  return entry->carrier;
}

Elem elem_of(DType dtype) {
  switch (dtype) {
    case DType::kF64: return Elem::kDouble;
    case DType::kF32: return Elem::kFloat;
    case DType::kF16: return Elem::kFloat16;
    case DType::kBF16: return Elem::kBFloat16;
    case DType::kI8: return Elem::kInt8;
    case DType::kI16: return Elem::kInt16;
    case DType::kI32: return Elem::kInt32;
    case DType::kI64: return Elem::kInt64;
    case DType::kU8: return Elem::kUint8;
    case DType::kU16: return Elem::kUint16;
    case DType::kU32: return Elem::kUint32;
    case DType::kU64: return Elem::kUint64;
    case DType::kBool: return Elem::kBool;
  }
  return Elem::kNone;
}

bool is_narrow(Elem elem) {
  const Entry* entry = find(elem);
  return entry != nullptr && entry->narrow;
}

int bits_of(Elem elem) {
  const Entry* entry = find(elem);
  return entry != nullptr ? entry->bits : 0;
}

}  // namespace trireme::formats
