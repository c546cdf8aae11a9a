// A region, which may end in a reduction, becomes a list of instructions over registers, each of which holds a chunk of
// elements in the local memory of a core (LM). One kernel of ours runs any such list: a core loads a chunk of every
// operand, goes through the list and stores the results. Floats are f32 in registers whatever they are in memory;
// integers have 32 bits, bytes too, truth values are integers 0 and 1.
#include "chips/kunlun/region.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "chips/kunlun/cores.h"
#include "xpu/kernel/xtdk_simd.h"

namespace trireme::kunlun {
namespace {

constexpr int kChunk = 64;  // elements of a register
constexpr int kRegisters = 18;
constexpr int kCores = 64;  // of a cluster
constexpr int kOperands = 12;
constexpr int kInstructions = 64;

// ---- instructions

// Of a large negative x it is e^x, which 1 / (1 + e^-x) would lose.
float logistic(float x) {
  const float e = std::exp(-std::fabs(x));
  return x < 0 ? e / (1 + e) : 1 / (1 + e);
}

// Scalar functions of floats: the op's name, then what it computes of x (and y).
#define REGION_UNARY(OP)                                       \
  OP(sign, x > 0 ? 1.0f : x < 0 ? -1.0f : x)                   \
  OP(neg, -x)                                                  \
  OP(square, x* x)                                             \
  OP(acos, std::acos(x))                                       \
  OP(acosh, std::acosh(x))                                     \
  OP(asin, std::asin(x))                                       \
  OP(asinh, std::asinh(x))                                     \
  OP(atan, std::atan(x))                                       \
  OP(atanh, std::atanh(x))                                     \
  OP(cbrt, std::cbrt(x))                                       \
  OP(ceil, std::ceil(x))                                       \
  OP(cos, std::cos(x))                                         \
  OP(cosh, std::cosh(x))                                       \
  OP(erf, std::erf(x))                                         \
  OP(exp2, std::exp2(x))                                       \
  OP(expm1, std::expm1(x))                                     \
  OP(floor, std::floor(x))                                     \
  OP(log10, std::log10(x))                                     \
  OP(log1p, std::log1p(x))                                     \
  OP(log2, std::log2(x))                                       \
  OP(logistic, logistic(x))                                    \
  OP(reciprocal, 1 / x)                                        \
  OP(round_even, std::nearbyint(x))                            \
  OP(rsqrt, 1 / std::sqrt(x))                                  \
  OP(sin, std::sin(x))                                         \
  OP(sinh, std::sinh(x))                                       \
  OP(tan, std::tan(x))                                         \
  OP(tanh, std::tanh(x))                                       \
  OP(trunc, std::trunc(x))                                     \
  OP(relu, x < 0 ? 0.0f : x)                                   \
  OP(relu6, x<0 ? 0.0f : x> 6 ? 6.0f : x)                      \
  OP(sigmoid, logistic(x))                                     \
  OP(silu, x* logistic(x))                                     \
  OP(hard_swish, x*(x < -3 ? 0.0f : x > 3 ? 6.0f : x + 3) / 6) \
  OP(softsign, x / (1 + std::fabs(x)))
#define REGION_BINARY(OP)                              \
  OP(div, x / y)                                       \
  OP(max, std::isnan(x) ? x : x > y || x == y ? x : y) \
  OP(min, std::isnan(x) ? x : x < y || x == y ? x : y) \
  OP(pow, std::pow(x, y))                              \
  OP(rem, std::fmod(x, y))                             \
  OP(atan2, std::atan2(x, y))
// The ops that the vector unit has.
#define REGION_VECTOR_UNARY(OP) \
  OP(abs, vabs_float32x16) OP(exp, vexp_float32x16) OP(log, vlog_float32x16) OP(sqrt, vsqrt_float32x16)
#define REGION_VECTOR_BINARY(OP) OP(add, vvadd_float32x16) OP(sub, vvsub_float32x16) OP(mul, vvmul_float32x16)
// Of integers; they wrap.
#define REGION_INTEGER(OP)                                                                                \
  OP(add, static_cast<int32_t>(static_cast<uint32_t>(x) + static_cast<uint32_t>(y)))                      \
  OP(sub, static_cast<int32_t>(static_cast<uint32_t>(x) - static_cast<uint32_t>(y)))                      \
  OP(mul, static_cast<int32_t>(static_cast<uint32_t>(x) * static_cast<uint32_t>(y)))                      \
  OP(max, x > y ? x : y)                                                                                  \
  OP(min, x < y ? x : y)                                                                                  \
  OP(and, x& y)                                                                                           \
  OP(or, x | y)                                                                                           \
  OP(xor, x ^ y)                                                                                          \
  OP(shift_left, static_cast<uint32_t>(y) < 32 ? static_cast<int32_t>(static_cast<uint32_t>(x) << y) : 0) \
  OP(shift_right_logical, static_cast<uint32_t>(y) < 32 ? static_cast<int32_t>(static_cast<uint32_t>(x) >> y) : 0)
#define REGION_COMPARE(OP) OP(eq, x == y) OP(ne, x != y) OP(lt, x < y) OP(le, x <= y) OP(gt, x > y) OP(ge, x >= y)

enum class Code : uint8_t {
  kNumber,    // target = bits
  kSelect,    // target = a ? b : c
  kNot,       // of truth values
  kIsFinite,  // float to truth value
  kToFloat,   // from a signed integer or a truth value
  kUnsignedToFloat,
  kToTruth,    // float to whether it is not 0
  kToInteger,  // float, cut off, to the nearest number of 32 bits; NaN is 0
  kToSigned8,  // of 8 bits, kept in 32
  kToUnsigned8,
  kToHalf,   // rounds to float16
  kToBrain,  // rounds to bfloat16
#define REGION_CODE(name, ...) kFloat_##name,
  REGION_UNARY(REGION_CODE) REGION_BINARY(REGION_CODE) REGION_VECTOR_UNARY(REGION_CODE)
      REGION_VECTOR_BINARY(REGION_CODE) REGION_COMPARE(REGION_CODE)
#undef REGION_CODE
#define REGION_CODE(name, ...) kInteger_##name,
          REGION_INTEGER(REGION_CODE) REGION_COMPARE(REGION_CODE)
#undef REGION_CODE
};

struct Instruction {
  Code code;
  uint8_t target, a, b, c;
  uint32_t bits = 0;  // of kNumber
};

// How an operand lies in memory: bits of its element type, and strides over the axes of the region.
struct Operand {
  uint32_t dtype, reg;
  int64_t strides[TRM_MAX_RANK];
};

// What becomes of the value in a register: it is stored, or folded over the innermost axis or over all elements.
enum class Fold : uint8_t { kNone, kSum, kMax, kMin };

// What the kernel reads from GM before it begins.
struct Description {
  int32_t rank, inputs, outputs, instructions;
  Fold fold;
  bool whole;             // over all elements, one result for each cluster
  uint8_t folded, total;  // registers: what is folded, and what of it a core has so far
  int64_t dims[TRM_MAX_RANK];
  Operand operands[kOperands];  // inputs first; those that are the same everywhere before the others
  int32_t steady;               // how many of them are the same everywhere
  Instruction list[kInstructions];
};

// ---- the kernel

using Floats = xtdk::Pointer<float>;
using Integers = xtdk::Pointer<int32_t>;

Integers as_integers(const Floats& p) { return {p.array(), p.at()}; }

template <class To, class From, class F>
void each(int n, const To& to, const From& x, F f) {
  for (int i = 0; i < n; ++i) to[i] = f(x[i]);
}
template <class To, class From, class F>
void each(int n, const To& to, const From& x, const From& y, F f) {
  for (int i = 0; i < n; ++i) to[i] = f(x[i], y[i]);
}
template <class F>
void vectors(int n, const Floats& to, const Floats& x, F f) {
  for (int i = 0; i < n; i += 16) vstore_lm_float32x16(to + i, f(vload_lm_float32x16(x + i)));
}
template <class F>
void vectors(int n, const Floats& to, const Floats& x, const Floats& y, F f) {
  for (int i = 0; i < n; i += 16) {
    vstore_lm_float32x16(to + i, f(vload_lm_float32x16(x + i), vload_lm_float32x16(y + i)));
  }
}

template <class T>
int32_t cut_off(float value) {
  constexpr float kLow = static_cast<float>(std::numeric_limits<T>::min());
  constexpr float kHigh = static_cast<float>(std::numeric_limits<T>::max());  // of 32 bits it is one more
  if (value >= kHigh) return std::numeric_limits<T>::max();
  return value > kLow ? static_cast<int32_t>(value) : value <= kLow ? std::numeric_limits<T>::min() : 0;
}

void splat(const Floats& to, float value) {
  for (int i = 0; i < kChunk; i += 16) vstore_lm_float32x16(to + i, xtdk::all_lanes<float32x16_t>(value));
}

void execute(const Instruction& in, const Floats& registers, int n) {
  const Floats to = registers + in.target * kChunk, x = registers + in.a * kChunk, y = registers + in.b * kChunk;
  const Integers to_i = as_integers(to), x_i = as_integers(x), y_i = as_integers(y);
  switch (in.code) {
    case Code::kNumber: return splat(to, std::bit_cast<float>(in.bits));
    case Code::kSelect: {
      const Floats z = registers + in.c * kChunk;
      for (int i = 0; i < n; ++i) to[i] = x_i[i] != 0 ? static_cast<float>(y[i]) : static_cast<float>(z[i]);
      return;
    }
    case Code::kNot: return each(n, to_i, x_i, [](int32_t v) { return v ^ 1; });
    case Code::kIsFinite: return each(n, to_i, x, [](float v) { return static_cast<int32_t>(std::isfinite(v)); });
    case Code::kToFloat: return each(n, to, x_i, [](int32_t v) { return static_cast<float>(v); });
    case Code::kUnsignedToFloat:
      return each(n, to, x_i, [](int32_t v) { return static_cast<float>(static_cast<uint32_t>(v)); });
    case Code::kToTruth: return each(n, to_i, x, [](float v) { return static_cast<int32_t>(v != 0); });
    case Code::kToInteger: return each(n, to_i, x, cut_off<int32_t>);
    case Code::kToSigned8: return each(n, to_i, x, cut_off<int8_t>);
    case Code::kToUnsigned8: return each(n, to_i, x, cut_off<uint8_t>);
    case Code::kToHalf: return each(n, to, x, [](float v) { return static_cast<float>(api::float16(v)); });
    case Code::kToBrain: return each(n, to, x, [](float v) { return static_cast<float>(api::bfloat16(v)); });
#define REGION_CASE(name, expression) \
  case Code::kFloat_##name: return each(n, to, x, [](float x) -> float { return expression; });
      REGION_UNARY(REGION_CASE)
#undef REGION_CASE
#define REGION_CASE(name, expression) \
  case Code::kFloat_##name: return each(n, to, x, y, [](float x, float y) -> float { return expression; });
      REGION_BINARY(REGION_CASE)
#undef REGION_CASE
#define REGION_CASE(name, function) \
  case Code::kFloat_##name: return vectors(n, to, x, [](const auto& v) { return function(v); });
      REGION_VECTOR_UNARY(REGION_CASE)
#undef REGION_CASE
#define REGION_CASE(name, function) \
  case Code::kFloat_##name: return vectors(n, to, x, y, [](const auto& v, const auto& w) { return function(v, w); });
      REGION_VECTOR_BINARY(REGION_CASE)
#undef REGION_CASE
#define REGION_CASE(name, expression) \
  case Code::kFloat_##name: return each(n, to_i, x, y, [](float x, float y) -> int32_t { return expression; });
      REGION_COMPARE(REGION_CASE)
#undef REGION_CASE
#define REGION_CASE(name, expression) \
  case Code::kInteger_##name:         \
    return each(n, to_i, x_i, y_i, [](int32_t x, int32_t y) -> int32_t { return expression; });
      REGION_INTEGER(REGION_CASE) REGION_COMPARE(REGION_CASE)
#undef REGION_CASE
  }
}

// `n` elements side by side to a register, or one to all its elements. `stage` is LM for one chunk of any type.
void load(const Operand& operand, const std::byte* gm, int64_t n, bool one, const Floats& to,
          const xtdk::Pointer<uint8_t>& stage) {
  const int64_t count = one ? 1 : n;
  switch (operand.dtype) {
    case TRM_F16:
    case TRM_BF16: {
      const xtdk::Pointer<uint16_t> halves(stage.array(), stage.at());
      GM2LM(gm, halves, count * sizeof(uint16_t));
      const bool brain = operand.dtype == TRM_BF16;
      each(static_cast<int>(count), to, halves, [brain](uint16_t bits) {
        return brain ? std::bit_cast<float>(static_cast<uint32_t>(bits) << 16) : api::float16::to_float(bits);
      });
      break;
    }
    case TRM_BOOL:
      GM2LM(gm, stage, count);
      each(static_cast<int>(count), as_integers(to), stage, [](uint8_t v) { return static_cast<int32_t>(v != 0); });
      break;
    case TRM_I8:
      GM2LM(gm, stage, count);
      each(static_cast<int>(count), as_integers(to), stage,
           [](uint8_t v) { return static_cast<int32_t>(static_cast<int8_t>(v)); });
      break;
    case TRM_U8:
      GM2LM(gm, stage, count);
      each(static_cast<int>(count), as_integers(to), stage, [](uint8_t v) { return static_cast<int32_t>(v); });
      break;
    default: GM2LM(gm, to, count * sizeof(float)); break;
  }
  if (one) splat(to, to[0]);
}

void store(const Operand& operand, std::byte* gm, int64_t n, const Floats& from, const xtdk::Pointer<uint8_t>& stage) {
  switch (operand.dtype) {
    case TRM_F16:
    case TRM_BF16: {
      const xtdk::Pointer<uint16_t> halves(stage.array(), stage.at());
      const bool brain = operand.dtype == TRM_BF16;
      each(static_cast<int>(n), halves, from,
           [brain](float v) { return brain ? api::bfloat16(v).bits : api::float16(v).bits; });
      return LM2GM(halves, gm, n * sizeof(uint16_t));
    }
    case TRM_I8:
    case TRM_U8:
    case TRM_BOOL:
      each(static_cast<int>(n), stage, as_integers(from), [](int32_t v) { return static_cast<uint8_t>(v); });
      return LM2GM(stage, gm, n);
    default: return LM2GM(from, gm, n * sizeof(float));
  }
}

float start_of(Fold kind) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  return kind == Fold::kSum ? 0.0f : kind == Fold::kMax ? -kInfinity : kInfinity;
}
float folded_with(Fold kind, float x, float y) {
  if (kind == Fold::kSum) return x + y;
  if (std::isnan(x)) return x;
  return kind == Fold::kMax ? (x > y ? x : y) : x < y ? x : y;
}
void fold(Fold kind, const Floats& total, const Floats& x, int n) {
  if (kind == Fold::kSum && n == kChunk) {
    return vectors(n, total, total, x, [](const auto& a, const auto& b) { return vvadd_float32x16(a, b); });
  }
  for (int i = 0; i < n; ++i) total[i] = folded_with(kind, total[i], x[i]);
}
float fold_all(Fold kind, const Floats& x, int n) {
  float result = x[0];
  for (int i = 1; i < n; ++i) result = folded_with(kind, result, x[i]);
  return result;
}

// Pointers may not lie in memory in this language: they come as parameters, kOperands of them. Cores from number `busy`
// on have nothing to do.
__global__ void region(const Description* description, int64_t busy, std::byte* p0, std::byte* p1, std::byte* p2,
                       std::byte* p3, std::byte* p4, std::byte* p5, std::byte* p6, std::byte* p7, std::byte* p8,
                       std::byte* p9, std::byte* p10, std::byte* p11) {
  const int64_t thread = core_num() * cluster_id() + core_id(), threads = core_num() * cluster_num();
  if (thread >= busy) return;
  std::byte* const memory[kOperands] = {p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11};
  XTDK_LOCAL(Description, program, 1);
  XTDK_LOCAL(float, registers, kRegisters* kChunk);
  XTDK_LOCAL(uint8_t, stage, 2 * kChunk);
  XTDK_SHARED(float, partial, kCores);
  GM2LM(description, program, sizeof(Description));
  const Description d = program[0];
  const auto at_register = [&](const Operand& operand) { return registers + static_cast<int>(operand.reg) * kChunk; };
  const int64_t inner = d.dims[d.rank - 1], pieces = (inner + kChunk - 1) / kChunk;
  if (inner % 16 != 0) {  // the last vector of a row reaches behind it
    for (int r = 0; r < kRegisters; ++r) splat(registers + r * kChunk, 0);
  }
  for (int i = 0; i < d.steady; ++i) load(d.operands[i], memory[i], kChunk, true, at_register(d.operands[i]), stage);
  int64_t rows = 1;
  for (int axis = 0; axis + 1 < d.rank; ++axis) rows *= d.dims[axis];
  const auto address = [&](int i, int64_t row, int64_t first) {
    const Operand& operand = d.operands[i];
    int64_t offset = first * operand.strides[d.rank - 1];
    for (int axis = d.rank - 1; axis-- > 0; row /= d.dims[axis]) offset += row % d.dims[axis] * operand.strides[axis];
    const uint32_t dtype = operand.dtype;
    const bool byte = dtype == TRM_BOOL || dtype == TRM_I8 || dtype == TRM_U8;
    return memory[i] + offset * (byte ? 1 : dtype == TRM_F16 || dtype == TRM_BF16 ? 2 : 4);
  };
  const auto evaluate = [&](int64_t row, int64_t first, int n) {
    for (int i = d.steady; i < d.inputs; ++i) {
      const Operand& operand = d.operands[i];
      load(operand, address(i, row, first), n, operand.strides[d.rank - 1] == 0, at_register(operand), stage);
    }
    for (int i = 0; i < d.instructions; ++i) execute(d.list[i], registers, n);
  };
  const auto size_of_piece = [&](int64_t first) { return static_cast<int>(min<int64_t>(kChunk, inner - first)); };
  const Floats folded = registers + d.folded * kChunk, total = registers + d.total * kChunk;

  if (d.fold != Fold::kNone && !d.whole) {  // a row to a core
    for (int64_t row = thread; row < rows; row += threads) {
      splat(total, start_of(d.fold));
      for (int64_t first = 0; first < inner; first += kChunk) {
        evaluate(row, first, size_of_piece(first));
        fold(d.fold, total, folded, size_of_piece(first));
      }
      total[0] = fold_all(d.fold, total, kChunk);
      store(d.operands[d.inputs], address(d.inputs, row, 0), 1, total, stage);
    }
    return;
  }
  if (d.whole) splat(total, start_of(d.fold));
  for (int64_t unit = thread; unit < rows * pieces; unit += threads) {
    const int64_t row = unit / pieces, first = unit % pieces * kChunk;
    const int n = size_of_piece(first);
    evaluate(row, first, n);
    if (d.whole) {
      fold(d.fold, total, folded, n);
      continue;
    }
    for (int i = d.inputs; i < d.inputs + d.outputs; ++i) {
      store(d.operands[i], address(i, row, first), n, at_register(d.operands[i]), stage);
    }
  }
  if (!d.whole) return;
  partial[core_id()] = fold_all(d.fold, total, kChunk);
  sync_cluster();
  if (core_id() != 0) return;
  total[0] = fold_all(d.fold, partial, core_num());
  LM2GM(total, memory[d.inputs] + cluster_id() * sizeof(float), sizeof(float));
}

// ---- compiling

enum class Kind { kFloat, kSigned, kUnsigned, kByte, kTruth };

Kind kind_of(uint32_t dtype) {
  switch (dtype) {
    case TRM_F32:
    case TRM_F16:
    case TRM_BF16: return Kind::kFloat;
    case TRM_I32: return Kind::kSigned;
    case TRM_U32: return Kind::kUnsigned;
    case TRM_I8:
    case TRM_U8: return Kind::kByte;
    case TRM_BOOL: return Kind::kTruth;
    default: throw Refusal{TRM_REASON_REGION, "regions hold elements of 32 and 8 bits, floats of 16"};
  }
}

struct Name {
  std::string_view op;
  Code code;
};
#define REGION_NAME(name, ...) {#name, Code::kFloat_##name},
constexpr Name kFloatOps[] = {REGION_UNARY(REGION_NAME) REGION_BINARY(REGION_NAME) REGION_VECTOR_UNARY(REGION_NAME)
                                  REGION_VECTOR_BINARY(REGION_NAME)};
constexpr Name kFloatCompares[] = {REGION_COMPARE(REGION_NAME)};
#undef REGION_NAME
#define REGION_NAME(name, ...) {#name, Code::kInteger_##name},
constexpr Name kIntegerOps[] = {REGION_INTEGER(REGION_NAME)};
constexpr Name kIntegerCompares[] = {REGION_COMPARE(REGION_NAME)};
#undef REGION_NAME

Code find(std::span<const Name> names, std::string_view op) {
  for (const Name& row : names) {
    if (row.op == op) return row.code;
  }
  throw Refusal{TRM_REASON_REGION, std::string(op) + " is not for a region"};
}

class Compiler {
 public:
  Compiler(const Program& program, const Card& card)
      : program_(program), builder_(program, program.node(0), card), register_of_(program.value_count(), -1) {}

  Kernel build() {
    find_fold();
    find_last_uses();
    collect_operands();
    if (fold_ != Fold::kNone) total_ = take();  // no instruction may write there
    for (uint32_t n = 0; n < elementwise_; ++n) add_node(n);
    if (fold_ == Fold::kNone) {
      for (Sink& sink : sinks_) sink.operand.reg = static_cast<uint32_t>(at(sink.value));
    }
    return finish();
  }

 private:
  struct Source {
    uint32_t slot;
    Operand operand;
    bool steady;
  };
  struct Sink {
    uint32_t value, slot;
    Operand operand;
  };

  // The reduction at the end, if there is one.
  void find_fold() {
    elementwise_ = program_.node_count();
    shape_ = program_.value(program_.output(0));
    const NodeView last = program_.node(elementwise_ - 1);
    const std::string_view op = last.op();
    fold_ = op == "reduce_sum"   ? Fold::kSum
            : op == "reduce_max" ? Fold::kMax
            : op == "reduce_min" ? Fold::kMin
                                 : Fold::kNone;
    if (fold_ == Fold::kNone) return;
    --elementwise_;
    folded_ = last.inputs()[0];
    shape_ = program_.value(folded_);
    want(kind_of(shape_.dtype) == Kind::kFloat, TRM_REASON_REGION, "a reduction of integers");
    want(program_.output_count() == 1, TRM_REASON_REGION, "a reduction and other results");
    reduced_.fill(last.integers("axes").empty());
    for (const int64_t axis : last.integers("axes"))
      reduced_[static_cast<size_t>(axis < 0 ? axis + shape_.rank : axis)] = true;
  }

  // How the result of the reduction lies over the axes of what is reduced.
  TrmValue spread_result() const {
    TrmValue view = shape_;
    view.dtype = program_.value(program_.output(0)).dtype;
    int64_t step = 1;
    for (uint32_t a = shape_.rank; a-- > 0;) {
      view.strides[a] = reduced_[a] ? 0 : step;
      if (!reduced_[a]) step *= shape_.dims[a];
    }
    return view;
  }

  void find_last_uses() {
    const api::Shape shape = shape_of(shape_);
    last_use_.assign(program_.value_count(), -1);
    const auto check = [&](uint32_t value) {
      want(value != TRM_ABSENT, TRM_REASON_REGION, "an operand that is not given");
      const TrmValue v = program_.value(value);
      kind_of(v.dtype);
      want(shape_of(v) == shape, TRM_REASON_REGION, "values of unlike shapes");
    };
    for (uint32_t n = 0; n < elementwise_; ++n) {
      for (const uint32_t value : program_.node(n).outputs()) check(value);
      for (const uint32_t value : program_.node(n).inputs()) {
        check(value);
        last_use_[value] = static_cast<int>(n);
      }
    }
    stored_and_read_.assign(program_.value_count(), false);
    for (uint32_t i = 0; i < program_.output_count(); ++i) {
      int& last = last_use_[program_.output(i)];
      stored_and_read_[program_.output(i)] = last >= 0;
      last = kToTheEnd;
    }
    if (fold_ != Fold::kNone) last_use_[folded_] = kToTheEnd;
  }

  int take() {
    for (int r = 0; r < kRegisters; ++r) {
      if (!used_[static_cast<size_t>(r)]) {
        used_[static_cast<size_t>(r)] = true;
        return r;
      }
    }
    throw Refusal{TRM_REASON_REGION, "more values at once than the memory of a core holds"};
  }
  int at(uint32_t value) const {
    want(register_of_[value] >= 0, TRM_REASON_REGION, "a value of the region is made outside of it");
    return register_of_[value];
  }

  // Operands whose innermost stride is neither 0 nor 1 are made dense first, and results that lie otherwise afterwards.
  void collect_operands() {
    const TrmValue& shape = shape_;
    std::vector<TrmValue> views;
    std::vector<uint32_t> values;
    for (uint32_t v = 0; v < program_.value_count(); ++v) {
      bool outside = program_.value(v).known != 0;
      for (uint32_t i = 0; i < program_.input_count(); ++i) outside |= program_.input(i) == v;
      if (outside && last_use_[v] >= 0 && !add_number(v)) values.push_back(v);
    }
    want(values.size() + program_.output_count() <= kOperands, TRM_REASON_REGION, "more operands than a launch takes");
    for (const uint32_t v : values) views.push_back(builder_.view(v));
    for (uint32_t i = 0; i < program_.output_count(); ++i) {
      TrmValue view = program_.value(program_.output(i));
      if (!chip::is_dense(view)) view = dense_value(view.dtype, shape_of(view));
      views.push_back(fold_ == Fold::kNone ? view : spread_result());
    }
    // Axes of extent 1 say nothing; an axis goes up in the one before it where all operands go through both as one.
    std::vector<uint32_t> axes;
    for (uint32_t a = 0; a < shape.rank; ++a) {
      if (shape.dims[a] != 1) axes.push_back(a);
    }
    for (size_t i = 0; i < values.size() && !axes.empty(); ++i) {
      const int64_t inner = views[i].strides[axes.back()];
      if (inner == 0 || inner == 1) continue;
      slots_.emplace_back(values[i], builder_.dense(values[i], views[i]));
      views[i] = dense_value(views[i].dtype, shape_of(views[i]));
    }
    std::vector<std::vector<int64_t>> strides(views.size());
    for (const uint32_t a : axes) {
      bool merges = !dims_.empty();
      for (size_t i = 0; i < views.size() && merges; ++i) {
        merges = strides[i].back() == views[i].strides[a] * shape.dims[a];
      }
      if (merges) dims_.back() *= shape.dims[a];
      else dims_.push_back(shape.dims[a]);
      for (size_t i = 0; i < views.size(); ++i) {
        if (merges) strides[i].back() = views[i].strides[a];
        else strides[i].push_back(views[i].strides[a]);
      }
    }
    if (dims_.empty()) {
      dims_ = {1};
      for (auto& list : strides) list = {1};
    }
    for (size_t i = 0; i < views.size(); ++i) {
      Operand operand{views[i].dtype, 0, {}};
      std::copy(strides[i].begin(), strides[i].end(), operand.strides);
      const bool steady = std::all_of(strides[i].begin(), strides[i].end(), [](int64_t s) { return s == 0; });
      if (i < values.size()) {
        register_of_[values[i]] = take();
        operand.reg = static_cast<uint32_t>(register_of_[values[i]]);
        sources_.push_back({slot_of(values[i]), operand, steady});
        if (steady) last_use_[values[i]] = kToTheEnd;  // loaded once
      } else {
        const auto index = static_cast<uint32_t>(i - values.size());
        sinks_.push_back({program_.output(index), builder_.result_of(program_.output(index)), operand});
      }
    }
    std::stable_partition(sources_.begin(), sources_.end(), [](const Source& s) { return s.steady; });
  }
  // A constant that is the same everywhere becomes an instruction.
  bool add_number(uint32_t value) {
    const TrmValue v = program_.value(value);
    if (!v.known || chip::elements(v) == 0) return false;
    for (uint32_t a = 0; a < v.rank; ++a) {
      if (v.dims[a] != 1 && v.strides[a] != 0) return false;
    }
    uint32_t bits = 0;
    std::memcpy(&bits, v.constant_data, std::min<size_t>(sizeof bits, chip::size_of(v.dtype)));
    if (v.dtype == TRM_I8) bits = static_cast<uint32_t>(static_cast<int8_t>(bits));
    if (v.dtype == TRM_F16) bits = std::bit_cast<uint32_t>(api::float16::to_float(static_cast<uint16_t>(bits)));
    if (v.dtype == TRM_BF16) bits <<= 16;
    register_of_[value] = take();
    last_use_[value] = kToTheEnd;
    add(Code::kNumber, register_of_[value], 0, 0, 0, bits);
    builder_.inline_constant(value);
    return true;
  }

  uint32_t slot_of(uint32_t value) const {
    for (const auto& [number, slot] : slots_) {
      if (number == value) return slot;
    }
    return value;
  }

  void add(Code code, int target, int a = 0, int b = 0, int c = 0, uint32_t bits = 0) {
    want(list_.size() < kInstructions, TRM_REASON_REGION, "more instructions than the memory of a core holds");
    list_.push_back({code, static_cast<uint8_t>(target), static_cast<uint8_t>(a), static_cast<uint8_t>(b),
                     static_cast<uint8_t>(c), bits});
  }

  void add_node(uint32_t number) {
    const NodeView node = program_.node(number);
    want(node.outputs().size() == 1, TRM_REASON_REGION, "an op of several results");
    const uint32_t value = node.outputs()[0];
    const std::string_view op = node.op();
    const TrmValue result = program_.value(value);
    std::vector<int> in;
    for (const uint32_t input : node.inputs()) in.push_back(at(input));
    const auto kind = [&](uint32_t i) { return kind_of(program_.value(node.inputs()[i]).dtype); };
    // The registers of values that end here are free for the result: an instruction reads an element before it writes.
    for (const uint32_t input : node.inputs()) {
      if (last_use_[input] == static_cast<int>(number)) used_[static_cast<size_t>(register_of_[input])] = false;
    }
    const int to = register_of_[value] = take();
    if (last_use_[value] < 0) used_[static_cast<size_t>(to)] = false;

    if (op == "fill") {
      const double number_value = node.number("value");
      auto bits = std::bit_cast<uint32_t>(static_cast<float>(number_value));
      const Kind made = kind_of(result.dtype);
      if (made == Kind::kTruth) bits = number_value != 0;
      want(made == Kind::kFloat || made == Kind::kTruth, TRM_REASON_REGION, "a fill with integers");
      add(Code::kNumber, to, 0, 0, 0, bits);
      if (result.dtype != TRM_F32) round_to(result.dtype, to);
    } else if (op == "strided_copy") {
      add(Code::kSelect, to, in[0], in[0], in[0]);
    } else if (op == "select") {
      add(Code::kSelect, to, in[0], in[1], in[2]);
    } else if (op == "convert") {
      convert(kind(0), result.dtype, to, in[0]);
    } else if (op == "not") {
      want(kind(0) == Kind::kTruth, TRM_REASON_REGION, "not of integers");
      add(Code::kNot, to, in[0]);
    } else if (op == "is_finite") {
      convert(kind(0), program_.value(node.inputs()[0]).dtype, to, in[0]);  // what is finite in f32 may not be in f16
      add(Code::kIsFinite, to, to);
    } else if (op == "compare") {
      const std::string_view relation = node.string("kind");
      const bool floats = kind(0) == Kind::kFloat;
      want(kind(0) != Kind::kUnsigned || relation == "eq" || relation == "ne", TRM_REASON_REGION,
           "the order of unsigned integers");
      add(floats ? find(kFloatCompares, relation) : find(kIntegerCompares, relation), to, in[0], in[1]);
    } else {
      const bool floats = kind(0) == Kind::kFloat;
      const bool bits = op == "and" || op == "or" || op == "xor";
      want(floats || bits || kind(0) != Kind::kTruth, TRM_REASON_REGION, "arithmetic of truth values");
      const bool order = op == "max" || op == "min";
      want(kind(0) != Kind::kByte || bits || order, TRM_REASON_REGION, "arithmetic of bytes");
      want(kind(0) != Kind::kUnsigned || !order, TRM_REASON_REGION, "the order of unsigned integers");
      add(floats ? find(kFloatOps, op) : find(kIntegerOps, op), to, in[0], in.size() > 1 ? in[1] : in[0]);
    }
    // Who reads it here must see what others read from memory.
    if (stored_and_read_[value]) round_to(result.dtype, to);
  }

  void round_to(uint32_t dtype, int reg) {
    if (dtype == TRM_F16) add(Code::kToHalf, reg, reg);
    if (dtype == TRM_BF16) add(Code::kToBrain, reg, reg);
  }

  void convert(Kind from, uint32_t dtype, int to, int a) {
    const Kind kind = kind_of(dtype);
    if (kind == Kind::kFloat) {
      if (from == Kind::kFloat) add(Code::kSelect, to, a, a, a);
      else add(from == Kind::kUnsigned ? Code::kUnsignedToFloat : Code::kToFloat, to, a);
      return round_to(dtype, to);
    }
    want(kind != Kind::kTruth || from == Kind::kFloat, TRM_REASON_REGION, "integers as truth values");
    if (from == Kind::kFloat) {
      want(kind != Kind::kUnsigned, TRM_REASON_REGION, "floats as unsigned integers");
      return add(kind == Kind::kTruth ? Code::kToTruth
                 : dtype == TRM_I8    ? Code::kToSigned8
                 : dtype == TRM_U8    ? Code::kToUnsigned8
                                      : Code::kToInteger,
                 to, a);
    }
    want(kind != Kind::kByte, TRM_REASON_REGION, "integers as bytes");
    add(Code::kSelect, to, a, a, a);
  }

  // Cycles of a core: it waits for each of its copies, and works on LM an element or a vector at a time.
  static double cost_of(const Description& d, const Grid& grid, int64_t rows, int64_t pieces) {
    double piece = 0;
    for (int i = d.steady; i < d.inputs; ++i) piece += kReadCycles + kChunk * 4 / kLocalBytesPerCycle;
    if (d.fold == Fold::kNone) piece += d.outputs * (kWriteCycles + kChunk * 4 / kLocalBytesPerCycle);
    for (int i = 0; i < d.instructions; ++i) piece += is_vector(d.list[i].code) ? kChunk / 16 * 4 : kChunk * 3;
    const int64_t units = d.fold != Fold::kNone && !d.whole ? rows : rows * pieces;
    const int64_t each = (units + grid.clusters * grid.cores - 1) / (grid.clusters * grid.cores);
    double cycles = kReadCycles + static_cast<double>(each) * piece;
    if (d.fold != Fold::kNone && !d.whole)
      cycles = static_cast<double>(each) * (static_cast<double>(pieces) * (piece + kChunk) + 2 * kChunk);
    return cycles;
  }
  static bool is_vector(Code code) {
    switch (code) {
#define REGION_CASE(name, ...) case Code::kFloat_##name:
      REGION_VECTOR_UNARY(REGION_CASE)
      REGION_VECTOR_BINARY(REGION_CASE)
#undef REGION_CASE
      case Code::kNumber: return true;
      default: return false;
    }
  }

  Kernel finish() {
    Description d{};
    d.rank = static_cast<int32_t>(dims_.size());
    d.inputs = static_cast<int32_t>(sources_.size());
    d.outputs = static_cast<int32_t>(sinks_.size());
    d.instructions = static_cast<int32_t>(list_.size());
    std::copy(dims_.begin(), dims_.end(), d.dims);
    std::copy(list_.begin(), list_.end(), d.list);
    std::array<uint32_t, kOperands> slots{};
    double bytes = 0;
    for (size_t i = 0; i < sources_.size(); ++i) {
      d.operands[i] = sources_[i].operand;
      d.steady += sources_[i].steady;
      slots[i] = sources_[i].slot;
    }
    for (size_t i = 0; i < sinks_.size(); ++i) {
      d.operands[sources_.size() + i] = sinks_[i].operand;
      slots[sources_.size() + i] = sinks_[i].slot;
    }
    const int64_t elements = chip::elements(shape_);
    if (elements == 0) {
      want(fold_ == Fold::kNone, TRM_REASON_REGION, "a reduction of nothing");
      return Kernel{};
    }
    const size_t moved = sources_.size() + (fold_ == Fold::kNone ? sinks_.size() : 0);
    for (size_t i = static_cast<size_t>(d.steady); i < moved; ++i) {
      bytes += static_cast<double>(elements) * static_cast<double>(chip::size_of(d.operands[i].dtype));
    }
    const size_t used = sources_.size() + sinks_.size();
    const int64_t inner = dims_.back(), rows = elements / inner, pieces = (inner + kChunk - 1) / kChunk;
    Grid grid = grid_for(builder_.card(), rows * pieces);
    if (fold_ != Fold::kNone) {
      const Operand& result = sinks_[0].operand;
      d.fold = fold_;
      d.folded = static_cast<uint8_t>(at(folded_));
      d.total = static_cast<uint8_t>(total_);
      d.whole = std::all_of(result.strides, result.strides + d.rank, [](int64_t step) { return step == 0; });
      if (d.whole) {
        want(result.dtype == TRM_F32, TRM_REASON_REGION, "a reduction to one element of 16 bits");
        if (elements <= kOfOneCluster) grid.clusters = 1;
      } else {
        const bool last_alone =
            result.strides[d.rank - 1] == 0 &&
            std::all_of(result.strides, result.strides + d.rank - 1, [](int64_t s) { return s != 0; });
        want(last_alone, TRM_REASON_REGION, "a reduction of other axes than the last");
        want(rows >= grid.cores || inner <= kLongRow, TRM_REASON_REGION, "a reduction of few long rows");
        grid = grid_for(builder_.card(), rows);
      }
    }
    // Several clusters leave a result each, which the library folds.
    const bool folded_twice = d.whole && grid.clusters > 1;
    const uint32_t result_slot = slots[sources_.size()];
    if (folded_twice) slots[sources_.size()] = builder_.temporary(static_cast<size_t>(grid.clusters) * sizeof(float));
    const uint32_t table = builder_.table(std::as_bytes(std::span(&d, 1)));
    // All cores of a whole reduction meet at a barrier.
    const int64_t busy = d.whole ? grid.clusters * grid.cores : d.fold != Fold::kNone ? rows : rows * pieces;
    builder_.own_step("region", grid, cost_of(d, grid, rows, pieces), bytes, [=](const Run& run) {
      const auto p = [&](size_t i) { return i < used ? run.at<std::byte>(slots[i]) : nullptr; };
      return launched(XTDK_LAUNCH(region, grid.clusters, grid.cores, run.context->xpu_stream)(
          reinterpret_cast<const Description*>(run.tables[table]), busy, p(0), p(1), p(2), p(3), p(4), p(5), p(6), p(7),
          p(8), p(9), p(10), p(11)));
    });
    if (folded_twice) {
      const uint32_t parts = slots[sources_.size()];
      const auto reduce = fold_ == Fold::kSum   ? api::reduce_sum<float>
                          : fold_ == Fold::kMax ? api::reduce_max<float>
                                                : api::reduce_min<float>;
      builder_.step("reduce", 0, [=](const Run& run) {
        return reduce(run.context, run.at<float>(parts), run.at<float>(result_slot), {grid.clusters}, {0});
      });
    }
    return std::move(builder_).finish();
  }

  static constexpr int kToTheEnd = 1 << 30;
  static constexpr int64_t kOfOneCluster = 1 << 16;  // elements that one cluster reduces sooner than all and a launch
  static constexpr int64_t kLongRow = 4096;
  const Program& program_;
  Builder builder_;
  uint32_t elementwise_ = 0;  // nodes before the reduction
  TrmValue shape_{};          // of the elementwise nodes
  Fold fold_ = Fold::kNone;
  uint32_t folded_ = 0;  // the value that is reduced
  int total_ = 0;        // register
  std::array<bool, TRM_MAX_RANK> reduced_{};
  std::vector<int> register_of_, last_use_;
  std::vector<bool> stored_and_read_;
  std::array<bool, kRegisters> used_{};
  std::vector<int64_t> dims_;
  std::vector<Source> sources_;
  std::vector<Sink> sinks_;
  std::vector<std::pair<uint32_t, uint32_t>> slots_;  // value, slot with its dense copy
  std::vector<Instruction> list_;
};

}  // namespace

Kernel build_region(const Program& program, const Card& card) {
  want(card.architecture >= 2, TRM_REASON_REGION, "own kernels are for the second generation on");
  return Compiler(program, card).build();
}

}  // namespace trireme::kunlun
