// f32 functions on vectors, right on infinities, NaN, signed zeros and denormals; within 7 units in the last place
// (tests/chip_cpu_test.cc). Included once per instruction set. Coefficients of polynomials: interpolation at
// Chebyshev nodes of the stated interval; of quotients: the smallest largest relative error.
#if defined(TRIREME_CHIPS_CPU_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TRIREME_CHIPS_CPU_MATH_INL_H_
#undef TRIREME_CHIPS_CPU_MATH_INL_H_
#else
#define TRIREME_CHIPS_CPU_MATH_INL_H_
#endif

#include <hwy/highway.h>

#include <cmath>
#include <limits>

HWY_BEFORE_NAMESPACE();
namespace trireme::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Horner; coefficients from the constant term up.
template <class D, class V, class C, size_t N>
HWY_INLINE V polynomial(D d, V x, const C (&coefficients)[N]) {
  V sum = hn::Set(d, coefficients[N - 1]);
  for (size_t i = N - 1; i-- > 0;) sum = hn::MulAdd(sum, x, hn::Set(d, coefficients[i]));
  return sum;
}

// 2^n for whole n in [-126, 127].
template <class D, class V>
HWY_INLINE V power_of_two(D d, V n) {
  const hn::RebindToSigned<D> di;
  return hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(di, n), hn::Set(di, 127))));
}

// x 2^n for whole n in [-252, 254]; rounds once where the result is a denormal.
template <class D, class V>
HWY_INLINE V times_power_of_two(D d, V x, V n) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (sizeof(V) == 64) return V{_mm512_scalef_ps(x.raw, n.raw)};
#endif
  const hn::RebindToSigned<D> di;  // in two steps, because 2^n itself may not be a float
  const auto power = [&](auto i) HWY_ATTR { return hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(i, hn::Set(di, 127)))); };
  const auto whole = hn::ConvertTo(di, n), half = hn::ShiftRight<1>(whole);
  return hn::Mul(hn::Mul(x, power(half)), power(hn::Sub(whole, half)));
}

// x = n ln 2 + r with |r| <= ln 2 / 2; returns exp(r) - 1.
template <class D, class V>
HWY_INLINE V reduced_expm1(D d, V x, V& n) {
  constexpr float kSeries[] = {0.5f,
                               0.16666666682534345f,
                               0.04166645680967604f,
                               0.008333310024231795f,
                               0.0013934541928436522f,
                               0.00019891981310453516f};  // (e^r - 1 - r) / r^2
  n = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504f)));
  V r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(n, hn::Set(d, -0.00021219444f), r);
  return hn::MulAdd(hn::Mul(r, r), polynomial(d, r, kSeries), r);
}

template <class D, class V>
HWY_INLINE V clamp(D d, V x, float low, float high) {
  return hn::Min(hn::Max(x, hn::Set(d, low)), hn::Set(d, high));
}

struct Exp {
  template <class D, class V>
  static HWY_INLINE V run(D d, V x) {
    V n;
    const V p = reduced_expm1(d, clamp(d, x, -104.5f, 89.0f), n);
    const V e = times_power_of_two(d, hn::Add(p, hn::Set(d, 1.0f)), n);
    return hn::IfThenElse(hn::IsNaN(x), x, e);
  }
};

struct Expm1 {
  template <class D, class V>
  static HWY_INLINE V run(D d, V x) {
    V n;
    const V p = reduced_expm1(d, clamp(d, x, -30.0f, 89.0f), n);
    const V half_scale = power_of_two(d, hn::Sub(n, hn::Set(d, 1.0f)));  // 2^n itself may overflow
    const V scaled = hn::MulAdd(half_scale, p, hn::Sub(half_scale, hn::Set(d, 0.5f)));
    const V y = hn::IfThenElse(hn::Eq(n, hn::Zero(d)), p, hn::Add(scaled, scaled));
    return hn::IfThenElse(hn::IsNaN(x), x, hn::CopySign(y, x));
  }
};

// An odd function that reaches 1: x p(x^2) / q(x^2) up to |x| = `one`, from where on it is 1.
template <class D, class V, size_t N, size_t M>
HWY_INLINE V odd_quotient(D d, V x, const float (&p)[N], const float (&q)[M], float one) {
  const V a = hn::Min(hn::Abs(x), hn::Set(d, one)), z = hn::Mul(a, a);
  const V y = hn::Div(hn::Mul(a, polynomial(d, z, p)), polynomial(d, z, q));
  const V capped = hn::IfThenElse(hn::Ge(a, hn::Set(d, one)), hn::Set(d, 1.0f), hn::Min(y, hn::Set(d, 1.0f)));
  return hn::IfThenElse(hn::IsNaN(x), x, hn::CopySign(capped, x));
}

struct Tanh {
  template <class D, class V>
  static HWY_INLINE V run(D d, V x) {
    constexpr float kUp[] = {1.0f,
                             0.13680868566853938f,
                             0.0038695227609128967f,
                             2.803158364754635e-05f,
                             3.064308609970889e-08f,
                             -1.224657524356649e-11f};
    constexpr float kDown[] = {1.0f, 0.47014200661667804f, 0.027250211761324097f, 0.00039407385111866886f,
                               1.2890528353502547e-06f};
    return odd_quotient(d, x, kUp, kDown, 9.0f);
  }
};

struct Logistic {
  template <class D, class V>
  static HWY_INLINE V run(D d, V x) {
    const V one = hn::Set(d, 1.0f);
    const V e = Exp::run(d, hn::Neg(hn::Abs(x)));
    return hn::Div(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one), hn::Add(one, e));
  }
};

struct Log {  // m in [sqrt 1/2, sqrt 2), x = m 2^k, f = m - 1, s = f / (2 + f): log m = f - (f^2/2 - s (f^2/2 +
              // R(s^2)))
  template <class D, class V>
  static HWY_INLINE V run(D d, V x) {
    constexpr float kSeries[] = {0.666666665519635f, 0.4000012390615411f, 0.2855058703611435f, 0.2333681103404383f};
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const hn::RebindToSigned<D> di;
    const auto tiny = hn::Lt(x, hn::Set(d, 0x1p-126f));
    const auto bits = hn::BitCast(di, hn::IfThenElse(tiny, hn::Mul(x, hn::Set(d, 0x1p25f)), x));
    const auto exponent = hn::ShiftRight<23>(hn::Sub(bits, hn::Set(di, 0x3f3504f3)));
    const V k = hn::Sub(hn::ConvertTo(d, exponent), hn::IfThenElseZero(tiny, hn::Set(d, 25.0f)));
    const V f = hn::Sub(hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<23>(exponent))), hn::Set(d, 1.0f));
    const V s = hn::Div(f, hn::Add(f, hn::Set(d, 2.0f)));
    const V z = hn::Mul(s, s);
    const V half_square = hn::Mul(hn::Mul(f, f), hn::Set(d, 0.5f));
    const V series = hn::MulAdd(z, polynomial(d, z, kSeries), half_square);
    const V low = hn::MulAdd(s, series, hn::Mul(k, hn::Set(d, -0.00021219444f)));
    V y = hn::MulAdd(k, hn::Set(d, 0.693359375f), hn::Sub(f, hn::Sub(half_square, low)));
    y = hn::IfThenElse(hn::Eq(x, hn::Set(d, kInfinity)), x, y);
    y = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), hn::Set(d, -kInfinity), y);
    y = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Set(d, std::numeric_limits<float>::quiet_NaN()), y);
    return hn::IfThenElse(hn::IsNaN(x), x, y);
  }
};

struct Log1p {  // u = 1 + x rounded; log u plus what the rounding lost
  template <class D, class V>
  static HWY_INLINE V run(D d, V x) {
    const V one = hn::Set(d, 1.0f);
    const V u = hn::Add(x, one);
    const V log_u = Log::run(d, u);
    const V y = hn::Add(log_u, hn::Div(hn::Sub(x, hn::Sub(u, one)), u));
    const auto plain = hn::Or(hn::Le(u, hn::Zero(d)), hn::Gt(x, hn::Set(d, 0x1p60f)));
    return hn::IfThenElse(hn::Eq(x, hn::Zero(d)), x, hn::IfThenElse(plain, log_u, y));
  }
};

struct Erf {
  template <class D, class V>
  static HWY_INLINE V run(D d, V x) {
    constexpr float kUp[] = {1.128379145953435f,    0.19056127036215212f,    0.05276538921297417f,
                             0.003771249543711908f, 0.00028483123513315566f, 2.046511937018066e-06f};
    constexpr float kDown[] = {1.0f,
                               0.5022132638748228f,
                               0.11416964262298553f,
                               0.014980597037765095f,
                               0.0011635727973699586f,
                               3.805211954866907e-05f};
    return odd_quotient(d, x, kUp, kDown, 3.92f);
  }
};

// With a = |x| and t = (a - 3.75) / (a + 3.75): erfc(a) = e^(-a^2) p(t) / (1 + 2 a), erfc(-a) = 2 - erfc(a).
struct Erfc {
  template <class D, class V>
  static HWY_INLINE V run(D d, V x) {
    constexpr float kTail[] = {1.2375126f,    -0.14024065f, 0.0035862704f,  0.08227842f,
                               -0.10881427f,  0.092290767f, -0.05864686f,   0.028409252f,
                               -0.009844495f, 0.001675912f, 0.00039630762f, -0.00022411675f};
    const V one = hn::Set(d, 1.0f), a = hn::Min(hn::Abs(x), hn::Set(d, 11.0f));
    const V t = hn::Div(hn::Sub(a, hn::Set(d, 3.75f)), hn::Add(a, hn::Set(d, 3.75f)));
    const V square = hn::Mul(a, a);
#if TRIREME_PORTABLE_TARGET  // what the rounding of the square loses, from halves whose products are exact
    const hn::RebindToUnsigned<D> du;
    const V high = hn::BitCast(d, hn::And(hn::BitCast(du, a), hn::Set(du, 0xFFFFF000U))), low = hn::Sub(a, high);
    const V cross = hn::Mul(hn::Add(high, high), low);
    const V lost = hn::Add(hn::Add(hn::Sub(hn::Mul(high, high), square), cross), hn::Mul(low, low));
#else
    const V lost = hn::MulSub(a, a, square);
#endif
    const V e = Exp::run(d, hn::Neg(square));
    const V tail =
        hn::Div(hn::Mul(hn::NegMulAdd(e, lost, e), polynomial(d, t, kTail)), hn::MulAdd(a, hn::Set(d, 2.0f), one));
    const V y = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Sub(hn::Set(d, 2.0f), tail), tail);
    return hn::IfThenElse(hn::IsNaN(x), x, y);
  }
};

// ---- activations: the formulas of the ops of these names ----

struct Gelu {
  template <class D, class V>
  static HWY_INLINE V run(D d, V x) {
    const V erf = Erf::run(d, hn::Mul(x, hn::Set(d, 0.707106781f)));
    return hn::Mul(hn::Mul(x, hn::Set(d, 0.5f)), hn::Add(erf, hn::Set(d, 1.0f)));
  }
};
struct GeluGradient {
  template <class D, class V>
  static HWY_INLINE V run(D d, V x, V dy) {
    const V near = clamp(d, x, -40.0f, 40.0f);  // the density is 0 beyond; keeps infinity times 0 away
    const V density = hn::Mul(Exp::run(d, hn::Mul(hn::Mul(near, near), hn::Set(d, -0.5f))), hn::Set(d, 0.39894228f));
    const V below = hn::Mul(Erfc::run(d, hn::Mul(x, hn::Set(d, -0.707106781f))), hn::Set(d, 0.5f));
    return hn::Mul(dy, hn::MulAdd(near, density, below));
  }
};
// u = sqrt(2/pi) (x + 0.044715 x^3); beyond 10 the tanh of it is 1.
struct GeluTanh {
  template <class D, class V>
  static HWY_INLINE V run(D d, V x) {
    const V near = clamp(d, x, -10.0f, 10.0f);
    const V cubic = hn::MulAdd(hn::Mul(near, near), hn::Set(d, 0.035677408f), hn::Set(d, 0.797884561f));
    const V y = Tanh::run(d, hn::Mul(near, cubic));
    return hn::IfThenElse(hn::IsNaN(x), x, hn::Mul(hn::Mul(x, hn::Set(d, 0.5f)), hn::Add(y, hn::Set(d, 1.0f))));
  }
};
struct GeluTanhGradient {  // dy (s + x s (1 - s) 2 u') with s = 1 / (1 + e^(-2 u))
  template <class D, class V>
  static HWY_INLINE V run(D d, V x, V dy) {
    const V one = hn::Set(d, 1.0f), near = clamp(d, x, -10.0f, 10.0f), square = hn::Mul(near, near);
    const V s = Logistic::run(d, hn::Mul(near, hn::MulAdd(square, hn::Set(d, 0.071354816f), hn::Set(d, 1.595769122f))));
    const V slope = hn::MulAdd(square, hn::Set(d, 0.214064449f), hn::Set(d, 1.595769122f));
    const V y = hn::Mul(dy, hn::MulAdd(hn::Mul(near, hn::Mul(s, hn::Sub(one, s))), slope, s));
    return hn::IfThenElse(hn::IsNaN(x), x, y);
  }
};
struct Silu {
  template <class D, class V>
  static HWY_INLINE V run(D d, V x) {
    return hn::Mul(x, Logistic::run(d, x));
  }
};
struct HardSwish {
  template <class D, class V>
  static HWY_INLINE V run(D d, V x) {
    const V y = hn::Mul(hn::Mul(x, clamp(d, hn::Add(x, hn::Set(d, 3.0f)), 0.0f, 6.0f)), hn::Set(d, 1.0f / 6.0f));
    return hn::IfThenElse(hn::IsNaN(x), x, y);
  }
};

// sin and cos of r + quarter pi/2 turns, from f64 vectors: |r| <= pi/4.
struct Angle {
  template <class D, class V>
  static HWY_INLINE void sin_cos(D d, V x, V& sine, V& cosine) {
    constexpr double kSine[] = {-0.16666666666663854, 0.008333333331060918, -0.0001984126689931297,
                                2.7555985599582093e-06, -2.48051435884532e-08};  // (sin r - r) / r^3
    constexpr double kCosine[] = {0.04166666666666466, -0.0013888888887264215, 2.480158519828314e-05,
                                  -2.7556365898936947e-07, 2.0700252055507478e-09};  // (cos r - 1 + r^2/2) / r^4
    const V turns = hn::Round(hn::Mul(x, hn::Set(d, 0x1.45f306dc9c883p-1)));
    V r = hn::NegMulAdd(turns, hn::Set(d, 0x1.921fb54442d18p+0), x);
    r = hn::NegMulAdd(turns, hn::Set(d, 0x1.1a62633145c07p-54), r);
    const V z = hn::Mul(r, r);
    const V s = hn::MulAdd(hn::Mul(z, r), polynomial(d, z, kSine), r);
    const V c =
        hn::MulAdd(hn::Mul(z, z), polynomial(d, z, kCosine), hn::NegMulAdd(z, hn::Set(d, 0.5), hn::Set(d, 1.0)));
    // turns mod 4, by halves: odd swaps sine and cosine, two turns negate both.
    const V half = hn::Floor(hn::Mul(turns, hn::Set(d, 0.5)));
    const auto odd = hn::Ne(hn::Sub(turns, hn::Add(half, half)), hn::Zero(d));
    const V quarter = hn::Floor(hn::Mul(half, hn::Set(d, 0.5)));
    const auto flip = hn::Ne(hn::Sub(half, hn::Add(quarter, quarter)), hn::Zero(d));
    const V first = hn::IfThenElse(odd, c, s);
    const V second = hn::IfThenElse(odd, hn::Neg(s), c);
    sine = hn::IfThenElse(flip, hn::Neg(first), first);
    cosine = hn::IfThenElse(flip, hn::Neg(second), second);
  }
};
struct Sin {
  template <class D, class V>
  static HWY_INLINE V run(D d, V x) {
    V s, c;
    Angle::sin_cos(d, x, s, c);
    return s;
  }
  static float scalar(float x) { return std::sin(x); }
};
struct Cos {
  template <class D, class V>
  static HWY_INLINE V run(D d, V x) {
    V s, c;
    Angle::sin_cos(d, x, s, c);
    return c;
  }
  static float scalar(float x) { return std::cos(x); }
};
struct Tan {
  template <class D, class V>
  static HWY_INLINE V run(D d, V x) {
    V s, c;
    Angle::sin_cos(d, x, s, c);
    return hn::Div(s, c);
  }
  static float scalar(float x) { return std::tan(x); }
};

}  // namespace trireme::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
