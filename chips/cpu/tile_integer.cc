// Tile operations on integers and booleans: plain loops, compiled for each instruction set. What does not depend on the
// sign is compiled once per width, on the unsigned type, where wrap-around is defined.
#include "chips/cpu/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "chips/cpu/tile_integer.cc"
#include <hwy/foreach_target.h>
// After foreach_target:
#include <hwy/highway.h>

#include <bit>
#include <limits>
#include <type_traits>

#include "chips/cpu/tile_ops.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::cpu::HWY_NAMESPACE {
namespace {

using Inputs = const void* const*;

template <class T, class R, class Op>
void unary(void* out, Inputs in, size_t count, const TileParameters&) {
  const T* x = static_cast<const T*>(in[0]);
  R* y = static_cast<R*>(out);
  for (size_t i = 0; i < count; ++i) y[i] = static_cast<R>(Op::run(x[i]));
}
template <class T, class R, class Op>
void binary(void* out, Inputs in, size_t count, const TileParameters&) {
  const T* a = static_cast<const T*>(in[0]);
  const T* b = static_cast<const T*>(in[1]);
  R* y = static_cast<R*>(out);
  for (size_t i = 0; i < count; ++i) y[i] = static_cast<R>(Op::run(a[i], b[i]));
}
template <class T>
void select(void* out, Inputs in, size_t count, const TileParameters&) {
  const uint8_t* condition = static_cast<const uint8_t*>(in[0]);
  const T* a = static_cast<const T*>(in[1]);
  const T* b = static_cast<const T*>(in[2]);
  T* y = static_cast<T*>(out);
  for (size_t i = 0; i < count; ++i) y[i] = condition[i] ? a[i] : b[i];
}

#define TRIREME_UNARY(Name, expression)  \
  struct Name {                          \
    template <class T>                   \
    static HWY_INLINE T run(T x) {       \
      return static_cast<T>(expression); \
    }                                    \
  }
#define TRIREME_BINARY(Name, expression)   \
  struct Name {                            \
    template <class T>                     \
    static HWY_INLINE auto run(T a, T b) { \
      return expression;                   \
    }                                      \
  }

template <class T>
constexpr int kBits = static_cast<int>(sizeof(T) * 8);

TRIREME_UNARY(Neg, T{0} - x);
TRIREME_UNARY(Not, ~x);
TRIREME_UNARY(NotBool, x ^ 1);
TRIREME_UNARY(Abs, x < 0 ? T{0} - static_cast<std::make_unsigned_t<T>>(x) : static_cast<std::make_unsigned_t<T>>(x));
TRIREME_UNARY(Same, x);
TRIREME_UNARY(Sign, (x > 0) - (x < 0));
TRIREME_UNARY(PopCount, std::popcount(x));
TRIREME_UNARY(CountLeadingZeros, std::countl_zero(x));

TRIREME_BINARY(Add, a + b);
TRIREME_BINARY(Sub, a - b);
TRIREME_BINARY(And, a& b);
TRIREME_BINARY(Or, a | b);
TRIREME_BINARY(Xor, a ^ b);
TRIREME_BINARY(Max, a > b ? a : b);
TRIREME_BINARY(Min, a < b ? a : b);
TRIREME_BINARY(Eq, a == b);
TRIREME_BINARY(Ne, a != b);
TRIREME_BINARY(Lt, a < b);
TRIREME_BINARY(Le, a <= b);
TRIREME_BINARY(Gt, a > b);
TRIREME_BINARY(Ge, a >= b);
struct Mul {  // u16 times u16 would be a signed int product
  template <class T>
  static HWY_INLINE T run(T a, T b) {
    return static_cast<T>(uint64_t{a} * b);
  }
};
struct Div {
  template <class T>
  static HWY_INLINE T run(T a, T b) {
    if (b == 0) return 0;
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return Neg::run(static_cast<std::make_unsigned_t<T>>(a));
    }
    return static_cast<T>(a / b);
  }
};
struct Rem {
  template <class T>
  static HWY_INLINE T run(T a, T b) {
    if (b == 0) return 0;
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return 0;
    }
    return static_cast<T>(a % b);
  }
};
struct Pow {
  template <class T>
  static HWY_INLINE T run(T base, T exponent) {
    if constexpr (std::is_signed_v<T>) {
      if (exponent < 0) return static_cast<T>(base == 1 ? 1 : base == -1 ? (exponent & 1 ? -1 : 1) : 0);
    }
    uint64_t power = static_cast<uint64_t>(base), result = 1;
    for (auto e = static_cast<uint64_t>(exponent); e != 0; e >>= 1, power *= power) {
      if (e & 1) result *= power;
    }
    return static_cast<T>(result);
  }
};
// Amounts outside [0, bits) shift everything out; a negative amount reads as a large unsigned one.
struct ShiftLeft {
  template <class T>
  static HWY_INLINE T run(T x, T amount) {
    return amount < static_cast<T>(kBits<T>) ? static_cast<T>(uint64_t{x} << amount) : T{0};
  }
};
struct ShiftRightLogical {
  template <class T>
  static HWY_INLINE T run(T x, T amount) {
    return amount < static_cast<T>(kBits<T>) ? static_cast<T>(x >> amount) : T{0};
  }
};
struct ShiftRightArith {  // of signed types; filled with the sign
  template <class T>
  static HWY_INLINE T run(T x, T amount) {
    const bool inside = static_cast<std::make_unsigned_t<T>>(amount) < kBits<T>;
    return static_cast<T>(x >> (inside ? static_cast<int>(amount) : kBits<T> - 1));
  }
};

struct Row {
  std::string_view op;
  TileFunction function;
};
template <size_t N>
TileFunction pick(const Row (&rows)[N], std::string_view op) {
  for (const Row& row : rows) {
    if (row.op == op) return row.function;
  }
  return nullptr;
}

// Operations that do not look at the sign, on unsigned U.
template <class U>
TileFunction find_by_width(std::string_view op) {
  static constexpr Row kRows[] = {
      {"neg", unary<U, U, Neg>},
      {"not", unary<U, U, Not>},
      {"popcount", unary<U, U, PopCount>},
      {"clz", unary<U, U, CountLeadingZeros>},
      {"add", binary<U, U, Add>},
      {"sub", binary<U, U, Sub>},
      {"mul", binary<U, U, Mul>},
      {"and", binary<U, U, And>},
      {"or", binary<U, U, Or>},
      {"xor", binary<U, U, Xor>},
      {"shift_left", binary<U, U, ShiftLeft>},
      {"shift_right_logical", binary<U, U, ShiftRightLogical>},
      {"select", select<U>},
      {"compare eq", binary<U, uint8_t, Eq>},
      {"compare ne", binary<U, uint8_t, Ne>},
  };
  return pick(kRows, op);
}
template <class T>
TileFunction find_by_type(std::string_view op) {
  constexpr bool kSigned = std::is_signed_v<T>;
  static constexpr Row kRows[] = {
      {"abs", unary<T, T, std::conditional_t<kSigned, Abs, Same>>},
      {"sign", unary<T, T, Sign>},
      {"div", binary<T, T, Div>},
      {"rem", binary<T, T, Rem>},
      {"pow", binary<T, T, Pow>},
      {"max", binary<T, T, Max>},
      {"min", binary<T, T, Min>},
      {"shift_right_arith", binary<T, T, std::conditional_t<kSigned, ShiftRightArith, ShiftRightLogical>>},
      {"compare lt", binary<T, uint8_t, Lt>},
      {"compare le", binary<T, uint8_t, Le>},
      {"compare gt", binary<T, uint8_t, Gt>},
      {"compare ge", binary<T, uint8_t, Ge>},
  };
  if (TileFunction f = pick(kRows, op)) return f;
  return find_by_width<std::make_unsigned_t<T>>(op);
}

TileFunction find(std::string_view op, DType type) {
  switch (type) {
    case i8: return find_by_type<int8_t>(op);
    case i16: return find_by_type<int16_t>(op);
    case i32: return find_by_type<int32_t>(op);
    case i64: return find_by_type<int64_t>(op);
    case u8: return find_by_type<uint8_t>(op);
    case u16: return find_by_type<uint16_t>(op);
    case u32: return find_by_type<uint32_t>(op);
    case u64: return find_by_type<uint64_t>(op);
    case boolean: return op == "not" ? unary<uint8_t, uint8_t, NotBool> : find_by_type<uint8_t>(op);
    default: return nullptr;
  }
}

}  // namespace
}  // namespace trireme::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "chips/cpu/tile_integer.h"

namespace trireme::cpu {

HWY_EXPORT(find);

TileFunction find_integer_tile_function(std::string_view op, DType type) {
  return HWY_DYNAMIC_DISPATCH(find)(op, type);
}

}  // namespace trireme::cpu
#endif
