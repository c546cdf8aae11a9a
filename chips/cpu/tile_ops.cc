#include "chips/cpu/tile_ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <type_traits>

#include "chips/cpu/tile_convert.h"
#include "chips/cpu/tile_float.h"
#include "chips/cpu/tile_integer.h"

namespace trireme::cpu {

std::span<const TileOpName> tile_op_names() {
  constexpr DTypeSet bits = ints | bools, singles = only(f32) | only(f16) | only(bf16);
  static constexpr TileOpName kNames[] = {
      {"fill", any_dtype},
      {"iota", numbers},
      {"convert", any_dtype},
      {"select", any_dtype},
      {"compare", any_dtype},
      {"is_finite", floats},
      {"reduce_precision", floats},
      {"neg", numbers},
      {"abs", numbers},
      {"sign", numbers},
      {"not", bits},
      {"popcount", ints},
      {"clz", ints},
      {"exp", floats},
      {"log", floats},
      {"expm1", floats},
      {"log1p", floats},
      {"sqrt", floats},
      {"rsqrt", floats},
      {"cbrt", floats},
      {"sin", floats},
      {"cos", floats},
      {"tan", floats},
      {"tanh", floats},
      {"erf", floats},
      {"erfc", singles},
      {"gelu", singles},
      {"gelu_gradient", singles},
      {"silu", singles},
      {"hard_swish", singles},
      {"logistic", floats},
      {"floor", floats},
      {"ceil", floats},
      {"round_even", floats},
      {"add", numbers},
      {"sub", numbers},
      {"mul", numbers},
      {"div", numbers},
      {"rem", numbers},
      {"pow", numbers},
      {"max", numbers},
      {"min", numbers},
      {"atan2", floats},
      {"and", bits},
      {"or", bits},
      {"xor", bits},
      {"shift_left", ints},
      {"shift_right_logical", ints},
      {"shift_right_arith", ints},
      {"reduce_sum", numbers},
      {"reduce_prod", numbers},
      {"reduce_max", numbers},
      {"reduce_min", numbers},
      {"reduce_and", bools},
      {"reduce_or", bools},
  };
  return kNames;
}

TileFunction find_tile_function(std::string_view op, std::string_view form, DType type) {
  const auto names = tile_op_names();
  const auto known = std::find_if(names.begin(), names.end(), [&](const TileOpName& row) { return op == row.name; });
  if (known == names.end() || !known->dtypes.has(type)) return nullptr;
  const DType held = register_type(type);
  const std::string name = form.empty() ? std::string(op) : std::string(op) + " " + std::string(form);
  return is_float(held) ? find_float_tile_function(name, held) : find_integer_tile_function(name, held);
}

// ---- conversions --------------------------------------------------------------------------------------------------

namespace {

// The C++ type of a register: bool as uint8_t, 16-bit floats as float.
template <class F>
decltype(auto) visit_register(DType type, F&& f) {
  switch (register_type(type)) {
    case f64: return f.template operator()<double>();
    case f32: return f.template operator()<float>();
    case i8: return f.template operator()<int8_t>();
    case i16: return f.template operator()<int16_t>();
    case i32: return f.template operator()<int32_t>();
    case i64: return f.template operator()<int64_t>();
    case u16: return f.template operator()<uint16_t>();
    case u32: return f.template operator()<uint32_t>();
    case u64: return f.template operator()<uint64_t>();
    default: return f.template operator()<uint8_t>();
  }
}

template <class R, class T>
R convert_one(T x) {
  if constexpr (std::is_floating_point_v<T> && std::is_integral_v<R>) {
    // 2^bits of the type is exact in T, the largest integer may not be.
    constexpr T above = static_cast<T>(std::numeric_limits<R>::max() / 2 + 1) * 2;
    if (x >= above) return std::numeric_limits<R>::max();
    if (x <= static_cast<T>(std::numeric_limits<R>::lowest())) return std::numeric_limits<R>::lowest();
    return x == x ? static_cast<R>(x) : R{0};
  } else {
    return static_cast<R>(x);
  }
}
template <class T, class R>
void convert(void* out, const void* const* in, size_t count, const TileParameters&) {
  const T* x = static_cast<const T*>(in[0]);
  R* y = static_cast<R*>(out);
  for (size_t i = 0; i < count; ++i) y[i] = convert_one<R>(x[i]);
}
template <class T>
void convert_to_bool(void* out, const void* const* in, size_t count, const TileParameters&) {
  const T* x = static_cast<const T*>(in[0]);
  uint8_t* y = static_cast<uint8_t*>(out);
  for (size_t i = 0; i < count; ++i) y[i] = x[i] != T{0};
}
// To a 16-bit float in one rounding, held as f32. A 64-bit integer keeps its low bits' trace in one sticky bit, so that
// the step through double does not round.
template <class T, class H>
void convert_to_half(void* out, const void* const* in, size_t count, const TileParameters&) {
  const T* x = static_cast<const T*>(in[0]);
  float* y = static_cast<float*>(out);
  for (size_t i = 0; i < count; ++i) {
    if constexpr (std::is_same_v<T, float>) {
      y[i] = static_cast<float>(H(x[i]));
    } else {
      double wide;
      if constexpr (std::is_integral_v<T> && sizeof(T) == 8) {
        const bool negative = std::is_signed_v<T> && x[i] < 0;
        uint64_t magnitude = negative ? 0 - static_cast<uint64_t>(x[i]) : static_cast<uint64_t>(x[i]);
        if (magnitude >> 53) magnitude = (magnitude & ~uint64_t{0xFFF}) | (magnitude & 0xFFF ? 0x800 : 0);
        wide = negative ? -static_cast<double>(magnitude) : static_cast<double>(magnitude);
      } else {
        wide = static_cast<double>(x[i]);
      }
      if constexpr (std::is_same_v<H, Half>) y[i] = static_cast<float>(half_from_double(wide));
      else y[i] = static_cast<float>(bfloat16_from_double(wide));
    }
  }
}
void round_halves(void* out, const void* const* in, size_t count, bool brain) {
  uint16_t bits[kTile];
  store_half_floats(bits, static_cast<const float*>(in[0]), count, brain);
  load_half_floats(static_cast<float*>(out), bits, count, brain);
}

}  // namespace

TileFunction find_tile_conversion(DType from, DType to) {
  if (TileFunction f = find_quantized_conversion(from, to)) return f;
  return visit_register(from, [&]<class T>() -> TileFunction {
    if (to == boolean) return convert_to_bool<T>;
    if (to == f16 || to == bf16) {
      if (register_type(from) == f32) {
        if (to == f16)
          return [](void* o, const void* const* in, size_t n, const TileParameters&) { round_halves(o, in, n, false); };
        return [](void* o, const void* const* in, size_t n, const TileParameters&) { round_halves(o, in, n, true); };
      }
      return to == f16 ? convert_to_half<T, Half> : convert_to_half<T, BFloat16>;
    }
    return visit_register(to, [&]<class R>() -> TileFunction { return convert<T, R>; });
  });
}

// ---- memory ---------------------------------------------------------------------------------------------------------

namespace {

template <class T>
void load_items(void* tile, const void* memory, int64_t stride, size_t count) {
  T* y = static_cast<T*>(tile);
  const T* x = static_cast<const T*>(memory);
  if (stride == 1) std::memcpy(y, x, count * sizeof(T));
  else if (stride == 0) std::fill_n(y, count, *x);
  else
    for (size_t i = 0; i < count; ++i) y[i] = x[static_cast<int64_t>(i) * stride];
}
template <class T>
void store_items(void* memory, int64_t stride, const void* tile, size_t count) {
  T* y = static_cast<T*>(memory);
  const T* x = static_cast<const T*>(tile);
  if (stride == 1) std::memcpy(y, x, count * sizeof(T));
  else
    for (size_t i = 0; i < count; ++i) y[static_cast<int64_t>(i) * stride] = x[i];
}
template <bool kBrain>
void load_16(void* tile, const void* memory, int64_t stride, size_t count) {
  if (stride == 1) return load_half_floats(static_cast<float*>(tile), memory, count, kBrain);
  uint16_t bits[kTile];
  load_items<uint16_t>(bits, memory, stride, count);
  load_half_floats(static_cast<float*>(tile), bits, count, kBrain);
}
template <bool kBrain>
void store_16(void* memory, int64_t stride, const void* tile, size_t count) {
  if (stride == 1) return store_half_floats(memory, static_cast<const float*>(tile), count, kBrain);
  uint16_t bits[kTile];
  store_half_floats(bits, static_cast<const float*>(tile), count, kBrain);
  store_items<uint16_t>(memory, stride, bits, count);
}

}  // namespace

TileLoad find_tile_load(DType type) {
  if (type == f16) return load_16<false>;
  if (type == bf16) return load_16<true>;
  switch (size_of(type)) {
    case 1: return load_items<uint8_t>;
    case 2: return load_items<uint16_t>;
    case 4: return load_items<uint32_t>;
    default: return load_items<uint64_t>;
  }
}
TileStore find_tile_store(DType type) {
  if (type == f16) return store_16<false>;
  if (type == bf16) return store_16<true>;
  switch (size_of(type)) {
    case 1: return store_items<uint8_t>;
    case 2: return store_items<uint16_t>;
    case 4: return store_items<uint32_t>;
    default: return store_items<uint64_t>;
  }
}

// ---- folds ----------------------------------------------------------------------------------------------------------

DType accumulator_type(Fold fold, DType type) {
  return is_float(type) && (fold == Fold::kSum || fold == Fold::kProduct) ? f64 : register_type(type);
}

namespace {

template <class T, Fold kFold>
T fold_one(T a, T b) {
  if constexpr (kFold == Fold::kSum || kFold == Fold::kProduct) {
    if constexpr (std::is_integral_v<T>) {
      const uint64_t x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
      return static_cast<T>(kFold == Fold::kSum ? x + y : x * y);
    } else {
      return kFold == Fold::kSum ? a + b : a * b;
    }
  } else if constexpr (kFold == Fold::kMax || kFold == Fold::kOr) {
    return a > b || a != a ? a : b;
  } else {
    return a < b || a != a ? a : b;
  }
}
template <class T, class A, Fold kFold>
void fold_columns(void* accumulator, const void* tile, size_t count) {
  A* a = static_cast<A*>(accumulator);
  const T* x = static_cast<const T*>(tile);
  for (size_t i = 0; i < count; ++i) a[i] = fold_one<A, kFold>(a[i], static_cast<A>(x[i]));
}
template <class T, class A, Fold kFold>
void fold_row(void* accumulator, const void* tile, size_t count) {
  A value = *static_cast<A*>(accumulator);
  const T* x = static_cast<const T*>(tile);
  for (size_t i = 0; i < count; ++i) value = fold_one<A, kFold>(value, static_cast<A>(x[i]));
  *static_cast<A*>(accumulator) = value;
}
template <class A, Fold kFold>
void fold_start(void* accumulator, size_t count) {
  using Limits = std::numeric_limits<A>;
  A identity{};
  if constexpr (kFold == Fold::kProduct) identity = 1;
  if constexpr (kFold == Fold::kMax) identity = std::is_floating_point_v<A> ? -Limits::infinity() : Limits::lowest();
  if constexpr (kFold == Fold::kMin) identity = std::is_floating_point_v<A> ? Limits::infinity() : Limits::max();
  if constexpr (kFold == Fold::kAnd) identity = 1;
  std::fill_n(static_cast<A*>(accumulator), count, identity);
}
template <class T, class A>
void fold_finish(void* tile, const void* accumulator, size_t count) {
  const A* a = static_cast<const A*>(accumulator);
  T* y = static_cast<T*>(tile);
  for (size_t i = 0; i < count; ++i) y[i] = static_cast<T>(a[i]);
}
template <Fold kFold>
FoldFunctions fold_of(DType type) {
  return visit_register(type, [&]<class T>() -> FoldFunctions {
    constexpr bool kWide = std::is_floating_point_v<T> && (kFold == Fold::kSum || kFold == Fold::kProduct);
    using A = std::conditional_t<kWide, double, T>;
    FoldFunctions f = is_float(type) ? find_float_fold(kFold, register_type(type)) : FoldFunctions{};
    if (!f.columns) f.columns = fold_columns<T, A, kFold>;
    if (!f.row) f.row = fold_row<T, A, kFold>;
    f.start = fold_start<A, kFold>;
    f.finish = fold_finish<T, A>;
    return f;
  });
}

}  // namespace

FoldFunctions find_fold(Fold fold, DType type) {
  switch (fold) {
    case Fold::kSum: return fold_of<Fold::kSum>(type);
    case Fold::kProduct: return fold_of<Fold::kProduct>(type);
    case Fold::kMax: return fold_of<Fold::kMax>(type);
    case Fold::kMin: return fold_of<Fold::kMin>(type);
    case Fold::kAnd: return fold_of<Fold::kAnd>(type);
    default: return fold_of<Fold::kOr>(type);
  }
}

}  // namespace trireme::cpu
