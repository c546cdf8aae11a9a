// Elementwise ops that the operator library has: one call each. Operands that are broadcast over whole axes stay small.
#include "chips/kunlun/kernel.h"

namespace trireme::kunlun {
namespace {

constexpr DTypeSet kNumbers = chip_floats | wide_ints;
// Where the sign does not matter, unsigned integers are signed ones.
constexpr DTypeSet kWrapping = kNumbers | only(u32) | only(u64);

double traffic(const Builder& b, std::initializer_list<uint32_t> inputs) {
  double bytes = static_cast<double>(bytes_of(b.output()));
  for (uint32_t i : inputs) bytes += static_cast<double>(bytes_of(b.input(i)));
  return bytes;
}

// An operand for a call that broadcasts: its memory, and its extents with 1 where it repeats.
struct Spread {
  uint32_t slot;
  api::Shape shape;
};
Spread spread(Builder& b, uint32_t index) {
  TrmValue v = b.input(index);
  for (uint32_t a = 0; a < v.rank; ++a) {
    if (v.strides[a] == 0) v.dims[a] = 1;
  }
  if (chip::is_dense(v)) return {b.raw(index), shape_of(v)};
  return {b.dense(index), shape_of(b.input(index))};
}

template <class F>
void unary_call(Builder& b, const char* name, F call) {
  const uint32_t x = b.dense(0), y = b.result();
  const int64_t count = chip::elements(b.output());
  b.step(name, traffic(b, {0}), [=](const Run& run) { return call(run, x, y, count); });
}

template <class F>
void binary_call(Builder& b, const char* name, F call) {
  const Spread x = spread(b, 0), w = spread(b, 1);
  const uint32_t y = b.result();
  // The library spreads the two over each other; an axis that neither has is spread by a copy of one.
  const TrmValue out = b.output();
  api::Shape together(out.rank);
  for (uint32_t a = 0; a < out.rank; ++a) together[a] = std::max(x.shape[a], w.shape[a]);
  const bool whole = together == shape_of(out);
  const uint32_t xs = whole ? x.slot : b.dense(0);
  const api::Shape x_shape = whole ? x.shape : shape_of(out), w_shape = w.shape;
  b.step(name, traffic(b, {0, 1}), [=](const Run& run) { return call(run, xs, w.slot, y, x_shape, w_shape); });
}

#define UNARY(op_name, function, types, dispatch)                                        \
  {                                                                                      \
    op_name, types, [](Builder& b) {                                                     \
      dispatch(b.input(0).dtype, [&]<class T>(T) {                                       \
        unary_call(b, #function, [](const Run& run, uint32_t x, uint32_t y, int64_t n) { \
          return api::function<T>(run.context, run.at<T>(x), run.at<T>(y), n);           \
        });                                                                              \
      });                                                                                \
    }                                                                                    \
  }
#define FLOAT(op_name, function) UNARY(op_name, function, chip_floats, by_float)
#define TEST(op_name, function)                                                          \
  {                                                                                      \
    op_name, chip_floats, [](Builder& b) {                                               \
      by_float(b.input(0).dtype, [&]<class T>(T) {                                       \
        unary_call(b, #function, [](const Run& run, uint32_t x, uint32_t y, int64_t n) { \
          return api::function<T>(run.context, run.at<T>(x), run.at<bool>(y), n);        \
        });                                                                              \
      });                                                                                \
    }                                                                                    \
  }
#define BINARY(op_name, function, types, dispatch)                                                                \
  {                                                                                                               \
    op_name, types, [](Builder& b) {                                                                              \
      dispatch(b.input(0).dtype, [&]<class T>(T) {                                                                \
        binary_call(                                                                                              \
            b, #function,                                                                                         \
            [](const Run& run, uint32_t x, uint32_t w, uint32_t y, const api::Shape& xs, const api::Shape& ws) {  \
              return api::broadcast_##function<T>(run.context, run.at<T>(x), run.at<T>(w), run.at<T>(y), xs, ws); \
            });                                                                                                   \
      });                                                                                                         \
    }                                                                                                             \
  }

template <class T, class F>
void compare_call(Builder& b, F f) {
  binary_call(b, "compare",
              [f](const Run& run, uint32_t x, uint32_t w, uint32_t y, const api::Shape& xs, const api::Shape& ws) {
                return f(run.context, run.at<T>(x), run.at<T>(w), run.at<bool>(y), xs, ws);
              });
}

template <class F>
void by_comparable(uint32_t dtype, F&& f) {
  if (dtype == TRM_BOOL || chip::size_of(dtype) < 4) {
    if (chip_floats.has(static_cast<DType>(dtype))) by_float(dtype, f);
    else by_bits(dtype, f);
  } else {
    by_number(dtype, f);
  }
}

void compare(Builder& b) {
  const std::string_view kind = b.node().string("kind");
  const uint32_t dtype = b.input(0).dtype;
  const bool unsigned_type = dtype == TRM_U16 || dtype == TRM_U32 || dtype == TRM_U64;
  want(!unsigned_type || kind == "eq" || kind == "ne", TRM_REASON_DTYPE, "the library has no order of this type");
  by_comparable(dtype, [&]<class T>(T) {
    using Call = int (*)(api::Context*, const T*, const T*, bool*, const api::Shape&, const api::Shape&);
    Call call = api::broadcast_equal<T>;
    if (kind == "ne") call = api::broadcast_not_equal<T>;
    else if (kind == "lt") call = api::broadcast_less_than<T>;
    else if (kind == "le") call = api::broadcast_less_equal<T>;
    else if (kind == "gt") call = api::broadcast_greater_than<T>;
    else if (kind == "ge") call = api::broadcast_greater_equal<T>;
    compare_call<T>(b, call);
  });
}

void select(Builder& b) {
  const uint32_t condition = b.dense(0), x = b.dense(1), w = b.dense(2), y = b.result();
  const api::Shape shape = shape_of(b.output());
  by_size(b.output().dtype, [&]<class T>(T) {
    b.step("select", traffic(b, {0, 1, 2}), [=](const Run& run) {
      return api::select<T>(run.context, run.at<bool>(condition), run.at<T>(x), run.at<T>(w), run.at<T>(y), shape,
                            shape);
    });
  });
}

template <class F>
void by_any(uint32_t dtype, F&& f) {
  if (chip_floats.has(static_cast<DType>(dtype))) by_float(dtype, f);
  else by_bits(dtype, f);
}
constexpr DTypeSet kCastable = chip_floats | bit_types | bools;

void convert(Builder& b) {
  want(kCastable.has(dtype_of(b.output())), TRM_REASON_DTYPE, "the library converts to no such type");
  by_any(b.input(0).dtype, [&]<class From>(From) {
    by_any(b.output().dtype, [&]<class To>(To) {
      unary_call(b, "cast", [](const Run& run, uint32_t x, uint32_t y, int64_t n) {
        return api::cast<From, To>(run.context, run.at<From>(x), run.at<To>(y), n);
      });
    });
  });
}

void clamp(Builder& b) {
  const double low = b.node().number("low"), high = b.node().number("high");
  by_number(b.input(0).dtype, [&]<class T>(T) {
    unary_call(b, "clip", [=](const Run& run, uint32_t x, uint32_t y, int64_t n) {
      return api::clip<T>(run.context, run.at<T>(x), run.at<T>(y), n, static_cast<T>(static_cast<float>(low)),
                          static_cast<T>(static_cast<float>(high)));
    });
  });
}

void gelu(Builder& b) {
  const bool tanh = b.node().string("approximate") == "tanh";
  by_float(b.input(0).dtype, [&]<class T>(T) {
    unary_call(b, tanh ? "approximate_gelu" : "gelu", [tanh](const Run& run, uint32_t x, uint32_t y, int64_t n) {
      return tanh ? api::approximate_gelu<T>(run.context, run.at<T>(x), run.at<T>(y), n)
                  : api::gelu<T>(run.context, run.at<T>(x), run.at<T>(y), n);
    });
  });
}

void leaky_relu(Builder& b) {
  const auto slope = static_cast<float>(b.node().number("slope"));
  by_float(b.input(0).dtype, [&]<class T>(T) {
    unary_call(b, "leaky_relu", [=](const Run& run, uint32_t x, uint32_t y, int64_t n) {
      return api::leaky_relu<T>(run.context, run.at<T>(x), run.at<T>(y), n, slope);
    });
  });
}

void elu(Builder& b) {
  const auto alpha = static_cast<float>(b.node().number("alpha"));
  by_float(b.input(0).dtype, [&]<class T>(T) {
    unary_call(b, "elu", [=](const Run& run, uint32_t x, uint32_t y, int64_t n) {
      return api::elu<T>(run.context, run.at<T>(x), run.at<T>(y), n, alpha);
    });
  });
}

void logical_not(Builder& b) {
  if (b.input(0).dtype == TRM_BOOL) {
    unary_call(b, "logical_not", [](const Run& run, uint32_t x, uint32_t y, int64_t n) {
      return api::logical_not<bool>(run.context, run.at<bool>(x), run.at<bool>(y), n);
    });
    return;
  }
  by_bits(b.input(0).dtype, [&]<class T>(T) {
    unary_call(b, "bitwise_not", [](const Run& run, uint32_t x, uint32_t y, int64_t n) {
      return api::bitwise_not<T>(run.context, run.at<T>(x), run.at<T>(y), n);
    });
  });
}

// Bits of an integer, whatever its sign, but for u8, of which the library shifts both.
template <class F>
void by_shifted(uint32_t dtype, F&& f) {
  if (dtype == TRM_U8) f(uint8_t{});
  else by_size(dtype, f);
}

constexpr DTypeSet kBits = ints | bools;
constexpr DTypeSet kShifts = bit_types | only(u16) | only(u32) | only(u64);  // as bits
constexpr DTypeSet kSignedShifts = bit_types;

constexpr KernelEntry kEntries[] = {
    UNARY("abs", abs, kNumbers, by_number),
    UNARY("neg", neg, kWrapping, by_number),
    UNARY("sign", sign, kNumbers, by_number),
    UNARY("square", square, kWrapping, by_number),
    FLOAT("acos", arccos),
    FLOAT("acosh", acosh),
    FLOAT("asin", arcsin),
    FLOAT("asinh", asinh),
    FLOAT("atan", arctan),
    FLOAT("atanh", atanh),
    FLOAT("cbrt", cbrt),
    FLOAT("ceil", ceil),
    FLOAT("cos", cos),
    FLOAT("cosh", cosh),
    FLOAT("erf", erf),
    FLOAT("exp", exp),
    FLOAT("exp2", exp2),
    FLOAT("expm1", expm1),
    FLOAT("floor", floor),
    FLOAT("hard_swish", hard_swish),
    FLOAT("log", log),
    FLOAT("log10", log10),
    FLOAT("log1p", log1p),
    FLOAT("log2", log2),
    FLOAT("log_sigmoid", log_sigmoid),
    FLOAT("logistic", sigmoid),
    FLOAT("mish", mish),
    FLOAT("quick_gelu", quick_gelu),
    FLOAT("reciprocal", reciprocal),
    FLOAT("relu", relu),
    FLOAT("relu6", relu6),
    FLOAT("round_even", round_half_even),
    FLOAT("rsqrt", rsqrt),
    FLOAT("selu", selu),
    FLOAT("sigmoid", sigmoid),
    FLOAT("silu", swish),
    FLOAT("sin", sin),
    FLOAT("sinh", sinh),
    FLOAT("softsign", softsign),
    FLOAT("sqrt", sqrt),
    FLOAT("tan", tan),
    FLOAT("tanh", tanh),
    FLOAT("tanh_shrink", tanh_shrink),
    FLOAT("trunc", trunc),
    {"gelu", chip_floats, gelu},
    {"leaky_relu", chip_floats, leaky_relu},
    {"elu", chip_floats, elu},
    {"clamp", kNumbers, clamp},
    TEST("is_finite", isfinite),
    TEST("is_inf", isinf),
    TEST("is_nan", isnan),
    {"not", kBits, logical_not},
    BINARY("add", add, kWrapping, by_number),
    BINARY("sub", sub, kWrapping, by_number),
    BINARY("mul", mul, kWrapping, by_number),
    BINARY("div", div, kNumbers, by_number),
    BINARY("max", max, kNumbers, by_number),
    BINARY("min", min, kNumbers, by_number),
    BINARY("pow", pow, chip_floats, by_float),
    BINARY("rem", fmod, kNumbers, by_number),
    BINARY("atan2", arctan2, chip_floats, by_float),
    BINARY("and", bitwise_and, kBits, by_bits),
    BINARY("or", bitwise_or, kBits, by_bits),
    BINARY("xor", bitwise_xor, kBits, by_bits),
    BINARY("shift_left", left_shift, kShifts, by_shifted),
    BINARY("shift_right_logical", right_shift_logical, kShifts, by_shifted),
    BINARY("shift_right_arith", right_shift, kSignedShifts, by_shifted),
    {"compare", chip_floats | ints | bools, compare},
    {"select", any_dtype, select},
    {"convert", kCastable, convert},
};

}  // namespace

std::span<const KernelEntry> elementwise_kernels() { return kEntries; }

}  // namespace trireme::kunlun
