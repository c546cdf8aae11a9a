// Element types, their names and the promotion rules.
//
// Promotion of two types (docs/guide/types.md), in this order:
//   1. equal types stay;
//   2. bool gives way to any other type;
//   3. a floating type wins over an integer type;
//   4. two floating types: the wider one; f16 with bf16 gives f32 (neither holds the other);
//   5. two integers of the same signedness: the wider one;
//   6. signed with unsigned: the narrowest signed type that holds both; u64 with a signed type gives f32.
// A plain C++ number in an expression never widens a tensor: it takes the tensor's type (a floating number with an
// integer tensor gives f32).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "trireme/base/error.h"
#include "trireme/core/float16.h"

namespace trireme {

// The numbers are part of the chip ABI (TrmDType in chip.h) and of saved files: append only.
enum class DType : uint8_t {
  kF64 = 1,
  kF32 = 2,
  kF16 = 3,
  kBF16 = 4,
  kI8 = 5,
  kI16 = 6,
  kI32 = 7,
  kI64 = 8,
  kU8 = 9,
  kU16 = 10,
  kU32 = 11,
  kU64 = 12,
  kBool = 13,
};

inline constexpr DType f64 = DType::kF64, f32 = DType::kF32, f16 = DType::kF16, bf16 = DType::kBF16;
inline constexpr DType i8 = DType::kI8, i16 = DType::kI16, i32 = DType::kI32, i64 = DType::kI64;
inline constexpr DType u8 = DType::kU8, u16 = DType::kU16, u32 = DType::kU32, u64 = DType::kU64;
inline constexpr DType boolean = DType::kBool;
inline constexpr DType kAllDTypes[] = {f64, f32, f16, bf16, i8, i16, i32, i64, u8, u16, u32, u64, boolean};

// clang-format off
constexpr size_t size_of(DType t) {
  switch (t) {
    case f64: case i64: case u64: return 8;
    case f32: case i32: case u32: return 4;
    case f16: case bf16: case i16: case u16: return 2;
    default: return 1;
  }
}
// clang-format on
constexpr bool is_float(DType t) { return t >= f64 && t <= bf16; }
constexpr bool is_signed_int(DType t) { return t >= i8 && t <= i64; }
constexpr bool is_unsigned_int(DType t) { return t >= u8 && t <= u64; }
constexpr bool is_int(DType t) { return t >= i8 && t <= u64; }

// "f32", "bf16", "i64", "bool".
std::string_view name(DType t);
// Inverse of name(). Throws kInvalidArgument naming the nearest type.
DType parse_dtype(std::string_view text);
// Rules above.
DType promote(DType a, DType b);
// Unit roundoff 2^-p of a floating type (f32: 2^-24); 0 for others.
double unit_roundoff(DType t);
// Largest and lowest finite value as double (integers: as near as double can).
double highest(DType t);
double lowest(DType t);

inline void append(std::string& out, DType t) { out.append(name(t)); }

// A set of types, for instance `floats | ints`.
struct DTypeSet {
  uint32_t bits = 0;
  constexpr bool has(DType t) const { return (bits >> static_cast<int>(t)) & 1u; }
  constexpr DTypeSet operator|(DTypeSet o) const { return {bits | o.bits}; }
  // "f64, f32, f16, bf16".
  std::string text() const;
};
constexpr DTypeSet only(DType t) { return {1u << static_cast<int>(t)}; }
inline constexpr DTypeSet floats = only(f64) | only(f32) | only(f16) | only(bf16);
inline constexpr DTypeSet signed_ints = only(i8) | only(i16) | only(i32) | only(i64);
inline constexpr DTypeSet unsigned_ints = only(u8) | only(u16) | only(u32) | only(u64);
inline constexpr DTypeSet ints = signed_ints | unsigned_ints;
inline constexpr DTypeSet bools = only(boolean);
inline constexpr DTypeSet numbers = floats | ints;
inline constexpr DTypeSet any_dtype = numbers | bools;
inline constexpr DTypeSet index_ints = only(i32) | only(i64);

// C++ type to DType.
template <class T>
constexpr DType dtype_of();
// clang-format off
template <> constexpr DType dtype_of<double>() { return f64; }
template <> constexpr DType dtype_of<float>() { return f32; }
template <> constexpr DType dtype_of<Half>() { return f16; }
template <> constexpr DType dtype_of<BFloat16>() { return bf16; }
template <> constexpr DType dtype_of<int8_t>() { return i8; }
template <> constexpr DType dtype_of<int16_t>() { return i16; }
template <> constexpr DType dtype_of<int32_t>() { return i32; }
template <> constexpr DType dtype_of<int64_t>() { return i64; }
template <> constexpr DType dtype_of<uint8_t>() { return u8; }
template <> constexpr DType dtype_of<uint16_t>() { return u16; }
template <> constexpr DType dtype_of<uint32_t>() { return u32; }
template <> constexpr DType dtype_of<uint64_t>() { return u64; }
template <> constexpr DType dtype_of<bool>() { return boolean; }
// clang-format on

// Calls f.template operator()<T>() with the C++ type of `t`.
template <class F>
decltype(auto) visit_dtype(DType t, F&& f) {
  switch (t) {
    case f64: return f.template operator()<double>();
    case f32: return f.template operator()<float>();
    case f16: return f.template operator()<Half>();
    case bf16: return f.template operator()<BFloat16>();
    case i8: return f.template operator()<int8_t>();
    case i16: return f.template operator()<int16_t>();
    case i32: return f.template operator()<int32_t>();
    case i64: return f.template operator()<int64_t>();
    case u8: return f.template operator()<uint8_t>();
    case u16: return f.template operator()<uint16_t>();
    case u32: return f.template operator()<uint32_t>();
    case u64: return f.template operator()<uint64_t>();
    case boolean: return f.template operator()<bool>();
  }
  internal_error(__FILE__, __LINE__, "known dtype", "element type out of range");
}

}  // namespace trireme
