// Tile operations on f32 and f64, vectorised. Simple operations and the hot functions run on vectors; f64 functions and
// the rare f32 ones call the C library element by element.
#include "chips/cpu/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "chips/cpu/tile_float.cc"
#include <hwy/foreach_target.h>
// After foreach_target:
#include <hwy/highway.h>

#include <bit>
#include <cmath>
#include <type_traits>

#include "chips/cpu/math-inl.h"
#include "chips/cpu/tile_ops.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::cpu::HWY_NAMESPACE {
namespace {

using Inputs = const void* const*;

// y = Op(x), whole vectors; the rest goes through a padded copy.
template <class T, class Op>
void unary(void* out, Inputs in, size_t count, const TileParameters&) {
  const hn::ScalableTag<T> d;
  const T* x = static_cast<const T*>(in[0]);
  T* y = static_cast<T*>(out);
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {  // two at a time hide the latency of long functions
    const auto first = Op::run(d, hn::LoadU(d, x + i)), second = Op::run(d, hn::LoadU(d, x + i + lanes));
    hn::StoreU(first, d, y + i);
    hn::StoreU(second, d, y + i + lanes);
  }
  for (; i + lanes <= count; i += lanes) hn::StoreU(Op::run(d, hn::LoadU(d, x + i)), d, y + i);
  if (i < count) {
    HWY_ALIGN T padded[hn::MaxLanes(d)] = {};
    for (size_t k = i; k < count; ++k) padded[k - i] = x[k];
    hn::Store(Op::run(d, hn::Load(d, padded)), d, padded);
    for (size_t k = i; k < count; ++k) y[k] = padded[k - i];
  }
}
template <class T, class Op>
void binary(void* out, Inputs in, size_t count, const TileParameters& parameters) {
  const hn::ScalableTag<T> d;
  const T* a = static_cast<const T*>(in[0]);
  const T* b = static_cast<const T*>(in[1]);
  T* y = static_cast<T*>(out);
  const size_t lanes = hn::Lanes(d), whole = count / lanes * lanes;
  // A number repeated stays in a register.
  if (whole > 0 && parameters.repeats[0]) {
    const auto left = hn::Set(d, a[0]);
    for (size_t i = 0; i < whole; i += lanes) hn::StoreU(Op::run(d, left, hn::LoadU(d, b + i)), d, y + i);
  } else if (whole > 0 && parameters.repeats[1]) {
    const auto right = hn::Set(d, b[0]);
    for (size_t i = 0; i < whole; i += lanes) hn::StoreU(Op::run(d, hn::LoadU(d, a + i), right), d, y + i);
  } else {
    for (size_t i = 0; i < whole; i += lanes) {
      hn::StoreU(Op::run(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, y + i);
    }
  }
  if (whole < count) {
    HWY_ALIGN T left[hn::MaxLanes(d)] = {}, right[hn::MaxLanes(d)] = {};
    for (size_t k = whole; k < count; ++k) left[k - whole] = a[k], right[k - whole] = b[k];
    hn::Store(Op::run(d, hn::Load(d, left), hn::Load(d, right)), d, left);
    for (size_t k = whole; k < count; ++k) y[k] = left[k - whole];
  }
}
// Element by element: Op::scalar for one or two values, the result of any type.
template <class T, class R, class Op>
void each(void* out, Inputs in, size_t count, const TileParameters&) {
  const T* x = static_cast<const T*>(in[0]);
  R* y = static_cast<R*>(out);
  for (size_t i = 0; i < count; ++i) y[i] = Op::scalar(x[i]);
}
template <class T, class R, class Op>
void each_pair(void* out, Inputs in, size_t count, const TileParameters&) {
  const T* a = static_cast<const T*>(in[0]);
  const T* b = static_cast<const T*>(in[1]);
  R* y = static_cast<R*>(out);
  for (size_t i = 0; i < count; ++i) y[i] = Op::scalar(a[i], b[i]);
}
// f32 angles through f64 vectors; beyond 2^50, where the reduction runs out of digits, and without fused
// multiply-add, the C library.
template <class Op>
void angle(void* out, Inputs in, size_t count, const TileParameters& parameters) {
#if TRIREME_PORTABLE_TARGET
  each<float, float, Op>(out, in, count, parameters);
#else
  (void)parameters;
  const hn::ScalableTag<double> dd;
  const hn::Rebind<float, decltype(dd)> df;
  const float* x = static_cast<const float*>(in[0]);
  float* y = static_cast<float*>(out);
  const size_t lanes = hn::Lanes(dd);
  const auto limit = hn::Set(df, 0x1p50f);
  // One vector of arguments that lies in memory whole.
  const auto one = [&](const float* from, float* to) HWY_ATTR {
    const auto v = hn::LoadU(df, from);
    if (hn::AllFalse(df, hn::Ge(hn::Abs(v), limit))) {
      hn::StoreU(hn::DemoteTo(df, Op::run(dd, hn::PromoteTo(dd, v))), df, to);
    } else {
      for (size_t k = 0; k < lanes; ++k) to[k] = Op::scalar(from[k]);
    }
  };
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) one(x + i, y + i);
  if (i < count) {
    HWY_ALIGN float padded[hn::MaxLanes(dd)] = {};
    for (size_t k = i; k < count; ++k) padded[k - i] = x[k];
    one(padded, padded);
    for (size_t k = i; k < count; ++k) y[k] = padded[k - i];
  }
#endif
}

#define TRIREME_UNARY(Name, expression)                  \
  struct Name {                                          \
    template <class D, class V>                          \
    static HWY_INLINE V run([[maybe_unused]] D d, V x) { \
      return expression;                                 \
    }                                                    \
  }
#define TRIREME_BINARY(Name, expression)                      \
  struct Name {                                               \
    template <class D, class V>                               \
    static HWY_INLINE V run([[maybe_unused]] D d, V a, V b) { \
      return expression;                                      \
    }                                                         \
  }
#define TRIREME_SCALAR(Name, expression) \
  struct Name {                          \
    template <class T>                   \
    static auto scalar(T x) {            \
      return expression;                 \
    }                                    \
  }
#define TRIREME_SCALAR_PAIR(Name, expression) \
  struct Name {                               \
    template <class T>                        \
    static auto scalar(T a, T b) {            \
      return expression;                      \
    }                                         \
  }

TRIREME_UNARY(Neg, hn::Neg(x));
TRIREME_UNARY(Abs, hn::Abs(x));
TRIREME_UNARY(Sqrt, hn::Sqrt(x));
TRIREME_UNARY(Rsqrt, hn::Div(hn::Set(d, 1), hn::Sqrt(x)));
TRIREME_BINARY(Add, hn::Add(a, b));
TRIREME_BINARY(Sub, hn::Sub(a, b));
TRIREME_BINARY(Mul, hn::Mul(a, b));
TRIREME_BINARY(Div, hn::Div(a, b));
TRIREME_BINARY(Max, hn::IfThenElse(hn::Or(hn::IsNaN(a), hn::Gt(a, b)), a, b));
TRIREME_BINARY(Min, hn::IfThenElse(hn::Or(hn::IsNaN(a), hn::Lt(a, b)), a, b));
struct Sign {  // of 0, -0 and NaN: itself
  template <class D, class V>
  static HWY_INLINE V run(D d, V x) {
    const auto self = hn::Or(hn::IsNaN(x), hn::Eq(x, hn::Zero(d)));
    return hn::IfThenElse(self, x, hn::CopySign(hn::Set(d, 1), x));
  }
};
TRIREME_UNARY(Floor, hn::Floor(x));
TRIREME_UNARY(Ceil, hn::Ceil(x));
TRIREME_UNARY(RoundEven, hn::Round(x));

// On the portable target Highway rounds through integers; the C library keeps -0 and large values.
TRIREME_SCALAR(FloorOne, std::floor(x));
TRIREME_SCALAR(CeilOne, std::ceil(x));
TRIREME_SCALAR(RoundEvenOne, std::nearbyint(x));
TRIREME_SCALAR(ExpOne, std::exp(x));
TRIREME_SCALAR(LogOne, std::log(x));
TRIREME_SCALAR(TanhOne, std::tanh(x));
TRIREME_SCALAR(SinOne, std::sin(x));
TRIREME_SCALAR(CosOne, std::cos(x));
TRIREME_SCALAR(TanOne, std::tan(x));
TRIREME_SCALAR(ErfOne, std::erf(x));
TRIREME_SCALAR(Expm1One, std::expm1(x));
TRIREME_SCALAR(Log1pOne, std::log1p(x));
TRIREME_SCALAR(CbrtOne, std::cbrt(x));
struct LogisticOne {
  static double scalar(double x) {
    const double e = std::exp(-std::fabs(x));
    return (x < 0 ? e : 1.0) / (1.0 + e);
  }
};
TRIREME_SCALAR(IsFinite, static_cast<uint8_t>(std::fabs(x) <= std::numeric_limits<T>::max()));
TRIREME_SCALAR_PAIR(Pow, std::pow(a, b));
TRIREME_SCALAR_PAIR(Rem, std::fmod(a, b));
TRIREME_SCALAR_PAIR(Atan2, std::atan2(a, b));
TRIREME_SCALAR_PAIR(Eq, static_cast<uint8_t>(a == b));
TRIREME_SCALAR_PAIR(Ne, static_cast<uint8_t>(a != b));
TRIREME_SCALAR_PAIR(Lt, static_cast<uint8_t>(a < b));
TRIREME_SCALAR_PAIR(Le, static_cast<uint8_t>(a <= b));
TRIREME_SCALAR_PAIR(Gt, static_cast<uint8_t>(a > b));
TRIREME_SCALAR_PAIR(Ge, static_cast<uint8_t>(a >= b));

// Rounds to a format of fewer exponent and mantissa bits: to nearest even, with denormals, overflow to infinity.
template <class T>
void reduce_precision(void* out, Inputs in, size_t count, const TileParameters& parameters) {
  const int bias = (1 << (parameters.integers[0] - 1)) - 1, mantissa = static_cast<int>(parameters.integers[1]);
  const double largest = std::ldexp(2.0 - std::ldexp(1.0, -mantissa), bias);
  const T* x = static_cast<const T*>(in[0]);
  T* y = static_cast<T*>(out);
  for (size_t i = 0; i < count; ++i) {
    const double value = static_cast<double>(x[i]);
    if (!std::isfinite(value) || value == 0.0) {
      y[i] = x[i];
      continue;
    }
    const int exponent = std::max(std::ilogb(value), 1 - bias);
    const double rounded = std::ldexp(std::nearbyint(std::ldexp(value, mantissa - exponent)), exponent - mantissa);
    y[i] = std::fabs(rounded) > largest ? std::copysign(std::numeric_limits<T>::infinity(), x[i])
                                        : static_cast<T>(rounded);
  }
}

template <class T>
void select(void* out, Inputs in, size_t count, const TileParameters&) {
  const uint8_t* condition = static_cast<const uint8_t*>(in[0]);
  const T* a = static_cast<const T*>(in[1]);
  const T* b = static_cast<const T*>(in[2]);
  T* y = static_cast<T*>(out);
  for (size_t i = 0; i < count; ++i) y[i] = condition[i] ? a[i] : b[i];
}

struct Row {
  std::string_view op;
  TileFunction f32, f64;
};

#undef TRIREME_ROUNDING
#if TRIREME_PORTABLE_TARGET
#define TRIREME_ROUNDING(Name) each<float, float, Name##One>, each<double, double, Name##One>
#else
#define TRIREME_ROUNDING(Name) unary<float, Name>, unary<double, Name>
#endif

TileFunction find(std::string_view op, DType type) {
  static constexpr Row kRows[] = {
      {"neg", unary<float, Neg>, unary<double, Neg>},
      {"abs", unary<float, Abs>, unary<double, Abs>},
      {"sign", unary<float, Sign>, unary<double, Sign>},
      {"sqrt", unary<float, Sqrt>, unary<double, Sqrt>},
      {"rsqrt", unary<float, Rsqrt>, unary<double, Rsqrt>},
      {"floor", TRIREME_ROUNDING(Floor)},
      {"ceil", TRIREME_ROUNDING(Ceil)},
      {"round_even", TRIREME_ROUNDING(RoundEven)},
      {"exp", unary<float, Exp>, each<double, double, ExpOne>},
      {"log", unary<float, Log>, each<double, double, LogOne>},
      {"tanh", unary<float, Tanh>, each<double, double, TanhOne>},
      {"logistic", unary<float, Logistic>, each<double, double, LogisticOne>},
      {"erf", unary<float, Erf>, each<double, double, ErfOne>},
      {"erfc", unary<float, Erfc>, nullptr},
      {"gelu none", unary<float, Gelu>, nullptr},
      {"gelu tanh", unary<float, GeluTanh>, nullptr},
      {"gelu_gradient none", binary<float, GeluGradient>, nullptr},
      {"gelu_gradient tanh", binary<float, GeluTanhGradient>, nullptr},
      {"silu", unary<float, Silu>, nullptr},
      {"hard_swish", unary<float, HardSwish>, nullptr},
      {"expm1", unary<float, Expm1>, each<double, double, Expm1One>},
      {"log1p", unary<float, Log1p>, each<double, double, Log1pOne>},
      {"sin", angle<Sin>, each<double, double, SinOne>},
      {"cos", angle<Cos>, each<double, double, CosOne>},
      {"tan", angle<Tan>, each<double, double, TanOne>},
      {"cbrt", each<float, float, CbrtOne>, each<double, double, CbrtOne>},
      {"is_finite", each<float, uint8_t, IsFinite>, each<double, uint8_t, IsFinite>},
      {"reduce_precision", reduce_precision<float>, reduce_precision<double>},
      {"add", binary<float, Add>, binary<double, Add>},
      {"sub", binary<float, Sub>, binary<double, Sub>},
      {"mul", binary<float, Mul>, binary<double, Mul>},
      {"div", binary<float, Div>, binary<double, Div>},
      {"max", binary<float, Max>, binary<double, Max>},
      {"min", binary<float, Min>, binary<double, Min>},
      {"pow", each_pair<float, float, Pow>, each_pair<double, double, Pow>},
      {"rem", each_pair<float, float, Rem>, each_pair<double, double, Rem>},
      {"atan2", each_pair<float, float, Atan2>, each_pair<double, double, Atan2>},
      {"select", select<float>, select<double>},
      {"compare eq", each_pair<float, uint8_t, Eq>, each_pair<double, uint8_t, Eq>},
      {"compare ne", each_pair<float, uint8_t, Ne>, each_pair<double, uint8_t, Ne>},
      {"compare lt", each_pair<float, uint8_t, Lt>, each_pair<double, uint8_t, Lt>},
      {"compare le", each_pair<float, uint8_t, Le>, each_pair<double, uint8_t, Le>},
      {"compare gt", each_pair<float, uint8_t, Gt>, each_pair<double, uint8_t, Gt>},
      {"compare ge", each_pair<float, uint8_t, Ge>, each_pair<double, uint8_t, Ge>},
  };
  for (const Row& row : kRows) {
    if (row.op == op) return type == f32 ? row.f32 : row.f64;
  }
  return nullptr;
}

// ---- folds ----

// Sum of a tile: f32 lanes over at most kTile values, then double.
template <class T>
void sum_row(void* accumulator, const void* tile, size_t count) {
#if TRIREME_PORTABLE_TARGET  // few lanes would be long sums: all in double
  double total = *static_cast<double*>(accumulator);
  for (size_t k = 0; k < count; ++k) total += static_cast<double>(static_cast<const T*>(tile)[k]);
  *static_cast<double*>(accumulator) = total;
#else
  const hn::ScalableTag<T> d;
  const T* x = static_cast<const T*>(tile);
  const size_t lanes = hn::Lanes(d);
  auto s0 = hn::Zero(d), s1 = hn::Zero(d), s2 = hn::Zero(d), s3 = hn::Zero(d);
  size_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    s0 = hn::Add(s0, hn::LoadU(d, x + i));
    s1 = hn::Add(s1, hn::LoadU(d, x + i + lanes));
    s2 = hn::Add(s2, hn::LoadU(d, x + i + 2 * lanes));
    s3 = hn::Add(s3, hn::LoadU(d, x + i + 3 * lanes));
  }
  for (; i + lanes <= count; i += lanes) s0 = hn::Add(s0, hn::LoadU(d, x + i));
  HWY_ALIGN T lane[hn::MaxLanes(d)];
  hn::Store(hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)), d, lane);
  double sum = 0.0;
  for (size_t k = 0; k < lanes; ++k) sum += lane[k];
  for (; i < count; ++i) sum += x[i];
  *static_cast<double*>(accumulator) += sum;
#endif
}
template <class T>
void sum_columns(void* accumulator, const void* tile, size_t count) {
  double* HWY_RESTRICT sums = static_cast<double*>(accumulator);
  const T* HWY_RESTRICT x = static_cast<const T*>(tile);
  for (size_t i = 0; i < count; ++i) sums[i] += static_cast<double>(x[i]);
}
template <class T, class Op>
void extreme_row(void* accumulator, const void* tile, size_t count) {
  const hn::ScalableTag<T> d;
  const T* x = static_cast<const T*>(tile);
  T* best = static_cast<T*>(accumulator);
  const size_t lanes = hn::Lanes(d);
  auto a = hn::Set(d, *best), b = a;
  size_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    a = Op::run(d, a, hn::LoadU(d, x + i));
    b = Op::run(d, b, hn::LoadU(d, x + i + lanes));
  }
  HWY_ALIGN T lane[hn::MaxLanes(d)];
  hn::Store(Op::run(d, a, b), d, lane);
  const hn::CappedTag<T, 1> one;
  auto result = hn::Set(one, lane[0]);
  for (size_t k = 1; k < lanes; ++k) result = Op::run(one, result, hn::Set(one, lane[k]));
  for (; i < count; ++i) result = Op::run(one, result, hn::Set(one, x[i]));
  *best = hn::GetLane(result);
}
template <class T, class Op>
void extreme_columns(void* accumulator, const void* tile, size_t count) {
  const void* in[] = {accumulator, tile};
  binary<T, Op>(accumulator, in, count, {});
}

// The vectorised folds; the others are plain loops elsewhere.
FoldFunctions find_fold_kernels(Fold fold, DType type) {
  FoldFunctions f;
  if (fold == Fold::kSum) {
    f.columns = type == f32 ? sum_columns<float> : sum_columns<double>;
    f.row = type == f32 ? sum_row<float> : sum_row<double>;
  } else if (fold == Fold::kMax) {
    f.columns = type == f32 ? extreme_columns<float, Max> : extreme_columns<double, Max>;
    f.row = type == f32 ? extreme_row<float, Max> : extreme_row<double, Max>;
  } else if (fold == Fold::kMin) {
    f.columns = type == f32 ? extreme_columns<float, Min> : extreme_columns<double, Min>;
    f.row = type == f32 ? extreme_row<float, Min> : extreme_row<double, Min>;
  }
  return f;
}

// ---- 16-bit floats in memory ----

void load_halves(float* y, const Half* x, size_t count) {
  size_t i = 0;
#if !TRIREME_PORTABLE_TARGET
  const hn::ScalableTag<float> d;
  const hn::Rebind<hwy::float16_t, decltype(d)> dh;
  const size_t lanes = hn::Lanes(d);
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(hn::PromoteTo(d, hn::LoadU(dh, reinterpret_cast<const hwy::float16_t*>(x + i))), d, y + i);
  }
#endif
  for (; i < count; ++i) y[i] = static_cast<float>(x[i]);
}
void store_halves(Half* y, const float* x, size_t count) {
  size_t i = 0;
#if !TRIREME_PORTABLE_TARGET
  const hn::ScalableTag<float> d;
  const hn::Rebind<hwy::float16_t, decltype(d)> dh;
  const size_t lanes = hn::Lanes(d);
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(hn::DemoteTo(dh, hn::LoadU(d, x + i)), dh, reinterpret_cast<hwy::float16_t*>(y + i));
  }
#endif
  for (; i < count; ++i) y[i] = Half(x[i]);
}
void load_bfloats(float* y, const BFloat16* x, size_t count) {
  for (size_t i = 0; i < count; ++i) y[i] = std::bit_cast<float>(static_cast<uint32_t>(x[i].bits) << 16);
}
void store_bfloats(BFloat16* y, const float* x, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const uint32_t word = std::bit_cast<uint32_t>(x[i]);
    const uint32_t rounded = (word + 0x7fffu + ((word >> 16) & 1u)) >> 16;
    y[i].bits = static_cast<uint16_t>((word & 0x7fffffffu) > 0x7f800000u ? (word >> 16) | 0x40u : rounded);
  }
}
void half_tile_load(void* tile, const void* memory, size_t count, bool brain) {
  if (brain) load_bfloats(static_cast<float*>(tile), static_cast<const BFloat16*>(memory), count);
  else load_halves(static_cast<float*>(tile), static_cast<const Half*>(memory), count);
}
void half_tile_store(void* memory, const void* tile, size_t count, bool brain) {
  if (brain) store_bfloats(static_cast<BFloat16*>(memory), static_cast<const float*>(tile), count);
  else store_halves(static_cast<Half*>(memory), static_cast<const float*>(tile), count);
}

}  // namespace
}  // namespace trireme::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "chips/cpu/tile_float.h"

namespace trireme::cpu {

HWY_EXPORT(find);
HWY_EXPORT(find_fold_kernels);
HWY_EXPORT(half_tile_load);
HWY_EXPORT(half_tile_store);

TileFunction find_float_tile_function(std::string_view op, DType type) { return HWY_DYNAMIC_DISPATCH(find)(op, type); }
FoldFunctions find_float_fold(Fold fold, DType type) { return HWY_DYNAMIC_DISPATCH(find_fold_kernels)(fold, type); }
void load_half_floats(float* tile, const void* memory, size_t count, bool brain) {
  HWY_DYNAMIC_DISPATCH(half_tile_load)(tile, memory, count, brain);
}
void store_half_floats(void* memory, const float* tile, size_t count, bool brain) {
  HWY_DYNAMIC_DISPATCH(half_tile_store)(memory, tile, count, brain);
}

}  // namespace trireme::cpu
#endif
