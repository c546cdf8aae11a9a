// Kernels of our own, in the vendor's kernel language, for what the operator library lacks: integers of every width,
// conversions to and from unsigned types, random words, and scattering that ignores an index out of range.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

#include "chips/kunlun/cores.h"
#include "trireme/core/philox.h"

namespace trireme::kunlun {
namespace {

constexpr int kChunk = 64;  // elements in LM at a time

// ---- integers, element by element

enum Op : int { kAdd, kSub, kMul, kDiv, kRem, kMax, kMin, kPow, kNeg, kAbs, kSign, kClz, kPopcount, kShiftArith };
enum Order : int { kLess, kLessEqual, kGreater, kGreaterEqual };

template <class T>
T power(T base, T exponent) {
  if constexpr (std::is_signed_v<T>) {
    if (exponent < 0) return base == 1 ? T{1} : base == -1 ? (exponent % 2 == 0 ? T{1} : T{-1}) : T{0};
  }
  uint64_t result = 1, factor = static_cast<uint64_t>(base), left = static_cast<uint64_t>(exponent);
  for (; left; left >>= 1, factor *= factor) {
    if (left & 1) result *= factor;
  }
  return static_cast<T>(result);
}

template <class T>
T integer(int op, T x, T w) {
  using U = std::make_unsigned_t<T>;
  const uint64_t a = static_cast<uint64_t>(x), b = static_cast<uint64_t>(w);  // wrap around
  switch (op) {
    case kAdd: return static_cast<T>(a + b);
    case kSub: return static_cast<T>(a - b);
    case kMul: return static_cast<T>(a * b);
    case kDiv:
      if (w == 0) return 0;
      if constexpr (std::is_signed_v<T>) {
        if (w == -1) return static_cast<T>(0 - a);
      }
      return static_cast<T>(x / w);
    case kRem:
      if (w == 0) return 0;
      if constexpr (std::is_signed_v<T>) {
        if (w == -1) return 0;
      }
      return static_cast<T>(x % w);
    case kMax: return x > w ? x : w;
    case kMin: return x < w ? x : w;
    case kPow: return power(x, w);
    case kNeg: return static_cast<T>(0 - a);
    case kAbs: return x < 0 ? static_cast<T>(0 - a) : x;
    case kSign: return static_cast<T>((x > 0) - (x < 0));
    case kClz: return static_cast<T>(std::countl_zero(static_cast<U>(x)));
    case kPopcount: return static_cast<T>(std::popcount(static_cast<U>(x)));
    default: {  // kShiftArith; of an unsigned type the sign is 0
      constexpr int kBits = std::numeric_limits<U>::digits;
      if (w < 0 || b >= kBits) return static_cast<T>(x < 0 ? -1 : 0);
      return static_cast<T>(x >> w);
    }
  }
}

// w may be x where the op has one input.
template <class T>
__global__ void integers(int op, const T* x, const T* w, T* y, int64_t count) {
  XTDK_LOCAL(T, a, kChunk);
  XTDK_LOCAL(T, b, kChunk);
  const int64_t thread = core_num() * cluster_id() + core_id(), threads = core_num() * cluster_num();
  for (int64_t at = thread * kChunk; at < count; at += threads * kChunk) {
    const int64_t n = min<int64_t>(kChunk, count - at);
    GM2LM(x + at, a, n * sizeof(T));
    GM2LM(w + at, b, n * sizeof(T));
    for (int64_t i = 0; i < n; ++i) a[i] = integer<T>(op, a[i], b[i]);
    LM2GM(a, y + at, n * sizeof(T));
  }
}

template <class T>
__global__ void order(int kind, const T* x, const T* w, bool* y, int64_t count) {
  XTDK_LOCAL(T, a, kChunk);
  XTDK_LOCAL(T, b, kChunk);
  XTDK_LOCAL(bool, c, kChunk);
  const int64_t thread = core_num() * cluster_id() + core_id(), threads = core_num() * cluster_num();
  for (int64_t at = thread * kChunk; at < count; at += threads * kChunk) {
    const int64_t n = min<int64_t>(kChunk, count - at);
    GM2LM(x + at, a, n * sizeof(T));
    GM2LM(w + at, b, n * sizeof(T));
    for (int64_t i = 0; i < n; ++i) {
      const T p = a[i], q = b[i];
      c[i] = kind == kLess ? p < q : kind == kLessEqual ? p <= q : kind == kGreater ? p > q : p >= q;
    }
    LM2GM(c, y + at, n);
  }
}

template <class From, class To>
To converted(From x) {
  if constexpr (std::is_same_v<To, bool>) {
    return x != From(0);
  } else if constexpr (std::is_integral_v<From>) {
    if constexpr (std::is_integral_v<To>) return static_cast<To>(x);  // wraps
    else return To(static_cast<float>(x));
  } else {
    const auto value = static_cast<float>(x);
    if constexpr (!std::is_integral_v<To>) return To(value);
    // Cut off and saturated. The largest integer need not be a float: the power of two behind it is.
    constexpr float kEnd = 2.0f * static_cast<float>(std::numeric_limits<To>::max() / 2 + 1);
    if (std::isnan(value)) return To(0);
    if (value >= kEnd) return std::numeric_limits<To>::max();
    if (value <= static_cast<float>(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
    return static_cast<To>(value);
  }
}

template <class From, class To>
__global__ void conversion(const From* x, To* y, int64_t count) {
  XTDK_LOCAL(From, a, kChunk);
  XTDK_LOCAL(To, b, kChunk);
  const int64_t thread = core_num() * cluster_id() + core_id(), threads = core_num() * cluster_num();
  for (int64_t at = thread * kChunk; at < count; at += threads * kChunk) {
    const int64_t n = min<int64_t>(kChunk, count - at);
    GM2LM(x + at, a, n * sizeof(From));
    for (int64_t i = 0; i < n; ++i) b[i] = converted<From, To>(a[i]);
    LM2GM(b, y + at, n * sizeof(To));
  }
}

double traffic(const Builder& b) {
  double bytes = static_cast<double>(bytes_of(b.output()));
  for (uint32_t i = 0; i < b.node().inputs().size(); ++i) bytes += static_cast<double>(bytes_of(b.input(i)));
  return bytes;
}

template <class F>
void by_integer(uint32_t dtype, F&& f) {
  visit_dtype(static_cast<DType>(dtype), [&]<class T>() {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) f(T{});
  });
}

template <int kOp, bool kTwo>
void integer_op(Builder& b) {
  want_cores(b);
  const uint32_t x = b.dense(0), w = kTwo ? b.dense(1) : x, y = b.result();
  const int64_t count = chip::elements(b.output());
  const Grid grid = grid_for(b.card(), (count + kChunk - 1) / kChunk);
  by_integer(b.output().dtype, [&]<class T>(T) {
    b.step("integers", traffic(b), [=](const Run& run) {
      return launched(XTDK_LAUNCH(integers<T>, grid.clusters, grid.cores, run.context->xpu_stream)(
          kOp, run.at<T>(x), run.at<T>(w), run.at<T>(y), count));
    });
  });
}

void compare(Builder& b) {
  want_cores(b);
  const std::string_view name = b.node().string("kind");
  const int kind = name == "lt"   ? kLess
                   : name == "le" ? kLessEqual
                   : name == "gt" ? kGreater
                                  : kGreaterEqual;  // eq and ne are the library's
  const uint32_t x = b.dense(0), w = b.dense(1), y = b.result();
  const int64_t count = chip::elements(b.output());
  const Grid grid = grid_for(b.card(), (count + kChunk - 1) / kChunk);
  by_integer(b.input(0).dtype, [&]<class T>(T) {
    b.step("order", traffic(b), [=](const Run& run) {
      return launched(XTDK_LAUNCH(order<T>, grid.clusters, grid.cores, run.context->xpu_stream)(
          kind, run.at<T>(x), run.at<T>(w), run.at<bool>(y), count));
    });
  });
}

// Types of data, floats as the library stores them.
template <class F>
void by_type(uint32_t dtype, F&& f) {
  if (chip_floats.has(static_cast<DType>(dtype))) return by_float(dtype, f);
  visit_dtype(static_cast<DType>(dtype), [&]<class T>() {
    if constexpr (std::is_integral_v<T>) f(T{});
  });
}

void convert(Builder& b) {
  want_cores(b);
  const uint32_t x = b.dense(0), y = b.result();
  const int64_t count = chip::elements(b.output());
  const Grid grid = grid_for(b.card(), (count + kChunk - 1) / kChunk);
  by_type(b.input(0).dtype, [&]<class From>(From) {
    by_type(b.output().dtype, [&]<class To>(To) {
      constexpr auto kOwn = []<class T>(T) { return std::is_unsigned_v<T> && sizeof(T) > 1; };
      if constexpr (kOwn(From{}) || kOwn(To{})) {  // the others are the library's
        b.step("conversion", traffic(b), [=](const Run& run) {
          return launched(XTDK_LAUNCH((conversion<From, To>), grid.clusters, grid.cores, run.context->xpu_stream)(
              run.at<From>(x), run.at<To>(y), count));
        });
      } else {
        throw Refusal{TRM_REASON_DTYPE, "no such conversion"};
      }
    });
  });
}

// ---- random words

__global__ void random_words(const uint32_t* state, uint32_t* y, int64_t count) {
  XTDK_LOCAL(uint32_t, key, 4);
  XTDK_LOCAL(uint32_t, words, kChunk);
  GM2LM(state, key, 4 * sizeof(uint32_t));
  const int64_t thread = core_num() * cluster_id() + core_id(), threads = core_num() * cluster_num();
  for (int64_t at = thread * kChunk; at < count; at += threads * kChunk) {
    const int64_t n = min<int64_t>(kChunk, count - at);
    for (int64_t i = 0; i < n; i += 4) {
      const auto block = static_cast<uint64_t>(at + i) / 4;
      const auto four = philox4x32({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), key[2], key[3]},
                                   {key[0], key[1]});
      for (int64_t k = 0; k < min<int64_t>(4, n - i); ++k) words[i + k] = four[static_cast<size_t>(k)];
    }
    LM2GM(words, y + at, n * sizeof(uint32_t));
  }
}

void rng_bits(Builder& b) {
  want_cores(b);
  const uint32_t state = b.dense(0), y = b.result();
  const int64_t count = chip::elements(b.output());
  const Grid grid = grid_for(b.card(), (count + kChunk - 1) / kChunk);
  b.step("random_words", traffic(b), [=](const Run& run) {
    return launched(XTDK_LAUNCH(random_words, grid.clusters, grid.cores, run.context->xpu_stream)(
        run.at<uint32_t>(state), run.at<uint32_t>(y), count));
  });
}

// ---- scattering

enum Scatter : int { kSet, kAccumulate, kRaise, kLower };

constexpr int kSlice = 128;  // elements of a row in LM at a time

template <class T>
T scattered(int kind, T old, T update) {
  if (kind == kSet) return update;
  if constexpr (std::is_same_v<T, float>) {
    if (kind == kAccumulate) return old + update;
    if (std::isnan(old) || std::isnan(update)) return std::numeric_limits<float>::quiet_NaN();
  } else {
    if (kind == kAccumulate) return integer<T>(kAdd, old, update);
  }
  return kind == kRaise ? max(old, update) : min(old, update);
}

// y [outer, size, inner] gets updates [outer, n, inner] at the rows that `index` names. A core owns a part of the rows
// and of the columns and goes through all indices in order, so nothing depends on who comes first.
template <class T, class TID>
__global__ void scatter(int kind, const T* updates, const TID* index, T* y, int64_t outer, int64_t size, int64_t inner,
                        int64_t n, int64_t parts) {
  XTDK_LOCAL(TID, at, kChunk);
  XTDK_LOCAL(T, row, kSlice);
  XTDK_LOCAL(T, update, kSlice);
  const int64_t thread = core_num() * cluster_id() + core_id(), threads = core_num() * cluster_num();
  const int64_t slices = (inner + kSlice - 1) / kSlice, rows = (size + parts - 1) / parts;
  for (int64_t unit = thread; unit < outer * slices * parts; unit += threads) {
    const int64_t part = unit % parts, slice = unit / parts % slices, o = unit / parts / slices;
    const int64_t first = part * rows, last = min(size, first + rows), column = slice * kSlice;
    const int64_t width = min<int64_t>(kSlice, inner - column);
    for (int64_t begin = 0; begin < n; begin += kChunk) {
      const int64_t count = min<int64_t>(kChunk, n - begin);
      GM2LM(index + begin, at, count * sizeof(TID));
      for (int64_t i = 0; i < count; ++i) {
        const int64_t r = static_cast<TID>(at[i]);
        if (r < first || r >= last) continue;
        T* target = y + (o * size + r) * inner + column;
        GM2LM(target, row, width * sizeof(T));
        GM2LM(updates + (o * n + begin + i) * inner + column, update, width * sizeof(T));
        for (int64_t j = 0; j < width; ++j) row[j] = scattered<T>(kind, row[j], update[j]);
        LM2GM(row, target, width * sizeof(T));
      }
    }
  }
}

template <int kKind>
void scatter_op(Builder& b) {
  want_cores(b);
  const TrmValue x = b.input(0);
  const auto axis = static_cast<uint32_t>(axis_of(b.node(), "axis", x.rank));
  int64_t outer = 1, inner = 1;
  for (uint32_t a = 0; a < x.rank; ++a) {
    if (a < axis) outer *= x.dims[a];
    if (a > axis) inner *= x.dims[a];
  }
  const int64_t size = x.dims[axis], n = chip::elements(b.input(1)), total = chip::elements(x);
  const uint32_t from = b.dense(0), index = b.dense(1), updates = b.dense(2), y = b.result();
  // Rows are shared out among cores as far as columns leave them idle and there are indices to pay for the search.
  const int64_t cores = static_cast<int64_t>(b.card().clusters) * b.card().cores();
  const int64_t parts =
      std::clamp<int64_t>(std::min(cores / std::max<int64_t>(1, outer * ((inner + kSlice - 1) / kSlice)), n / 32), 1,
                          std::max<int64_t>(1, size));
  const Grid grid = grid_for(b.card(), outer * ((inner + kSlice - 1) / kSlice) * parts);
  const auto call = [&]<class T, class TID>(T, TID) {
    b.step("copy", 2.0 * static_cast<double>(bytes_of(x)),
           [=](const Run& run) { return api::copy<T>(run.context, run.at<T>(from), run.at<T>(y), total); });
    if (n == 0 || size == 0) return;
    b.step("scatter", 3.0 * static_cast<double>(bytes_of(b.input(2))), [=](const Run& run) {
      return launched(XTDK_LAUNCH((scatter<T, TID>), grid.clusters, grid.cores, run.context->xpu_stream)(
          kKind, run.at<T>(updates), run.at<TID>(index), run.at<T>(y), outer, size, inner, n, parts));
    });
  };
  const auto with_index = [&]<class T>(T value) {
    if (b.input(1).dtype == TRM_I64) call(value, int64_t{});
    else call(value, int32_t{});
  };
  if (kKind == kSet || kKind == kAccumulate) {  // bits, wrapped
    if (x.dtype != TRM_F32 || kKind == kSet) return by_size(x.dtype, with_index);
  }
  if (x.dtype == TRM_F32) return with_index(float{});
  switch (x.dtype) {
    case TRM_I32: return with_index(int32_t{});
    case TRM_I64: return with_index(int64_t{});
    default: throw Refusal{TRM_REASON_DTYPE, "no scattering of this type"};
  }
}

constexpr DTypeSet kNarrow = only(i8) | only(i16) | only(u8) | only(u16);
constexpr DTypeSet kUnsigned = only(u16) | only(u32) | only(u64);
constexpr DTypeSet kLacking = kNarrow | kUnsigned;  // integers the library does not compute with

constexpr KernelEntry kEntries[] = {
    {"add", kLacking, integer_op<kAdd, true>},
    {"sub", kLacking, integer_op<kSub, true>},
    {"mul", kLacking, integer_op<kMul, true>},
    {"div", kLacking, integer_op<kDiv, true>},
    {"rem", kLacking, integer_op<kRem, true>},
    {"max", kLacking, integer_op<kMax, true>},
    {"min", kLacking, integer_op<kMin, true>},
    {"pow", ints, integer_op<kPow, true>},
    {"neg", kLacking, integer_op<kNeg, false>},
    {"abs", kLacking, integer_op<kAbs, false>},
    {"sign", kLacking, integer_op<kSign, false>},
    {"clz", ints, integer_op<kClz, false>},
    {"popcount", ints, integer_op<kPopcount, false>},
    {"shift_right_arith", kUnsigned, integer_op<kShiftArith, true>},
    {"compare", kUnsigned, compare},
    {"convert", chip_floats | ints | bools, convert},
    {"rng_bits", only(u32), rng_bits},
    {"scatter_set", any_dtype, scatter_op<kSet>},
    {"scatter_add", only(f32) | ints, scatter_op<kAccumulate>},
    {"scatter_max", only(f32) | wide_ints, scatter_op<kRaise>},
    {"scatter_min", only(f32) | wide_ints, scatter_op<kLower>},
};

}  // namespace

std::span<const KernelEntry> own_kernels() { return kEntries; }

}  // namespace trireme::kunlun
