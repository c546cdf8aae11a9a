// Kernels that walk along axes: reduce_window (pooling), max_pool_gradient, cumsum, argmax and argmin.
#include <algorithm>
#include <limits>
#include <memory>
#include <optional>

#include "chips/cpu/kernel.h"
#include "chips/cpu/max_pool_gradient.h"
#include "chips/cpu/tile_float.h"
#include "chips/cpu/tile_program.h"
#include "chips/cpu/window_kernel.h"

namespace trireme::cpu {
namespace {

// Calls f.operator()<T>() with the type values of `type` are held in: 16-bit floats as float.
template <class F>
decltype(auto) visit_held(DType type, F&& f) {
  return visit_dtype(register_type(type), [&]<class T>() {
    if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16> || std::is_same_v<T, bool>) {
      return f.template operator()<uint8_t>();  // bool; the others do not occur
    } else {
      return f.template operator()<T>();
    }
  });
}

// An input as row-major values of T: in place, or copied and widened.
template <class T>
class Held {
 public:
  Held(const TrmValue& v, const void* memory) : dense_(v, memory) {
    const DType type = dtype_of(v);
    if constexpr (std::is_same_v<T, float>) {
      if (type != f32) {
        widened_.resize(static_cast<size_t>(chip::elements(v)));
        load_half_floats(widened_.data(), dense_.data(), widened_.size(), type == bf16);
        values_ = widened_.data();
        return;
      }
    }
    values_ = static_cast<const T*>(dense_.data());
  }
  const T* values() const { return values_; }

 private:
  DenseInput dense_;
  std::vector<T> widened_;
  const T* values_;
};

// ---- windows --------------------------------------------------------------------------------------------------------

// Lines of integers are pooled one by one; bool and the 16-bit floats do not occur here.
template <class T, Pool kPool>
T pooled(T a, T b) {
  if constexpr (kPool == Pool::kSum) return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  else return kPool == Pool::kMax ? std::max(a, b) : std::min(a, b);
}
template <class T, Pool kPool>
T identity() {
  using Limits = std::numeric_limits<T>;
  if constexpr (kPool == Pool::kSum) return T{0};
  else if constexpr (kPool == Pool::kMax) return Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
  else return Limits::has_infinity ? Limits::infinity() : Limits::max();
}
// to[i] = to[i] pooled with from[i stride].
template <class T, Pool kPool>
void fold(int64_t count, const T* from, int64_t stride, T* to) {
  if constexpr (std::is_floating_point_v<T>) {
    const WindowKernel<T>& kernel = window_kernel<T>(kPool);
    if (stride == 1) return kernel.fold(count, from, to);
    if (stride == 2) return kernel.fold_every_other(count, from, to);
    for (int64_t i = 0; i < count; ++i) kernel.fold(1, from + i * stride, to + i);
  } else if (stride == 1 || stride == 2) {  // loops that the compiler turns into vectors
    if (stride == 1) {
      for (int64_t i = 0; i < count; ++i) to[i] = pooled<T, kPool>(to[i], from[i]);
      return;
    }
    for (int64_t i = 0; i < count; ++i) to[i] = pooled<T, kPool>(to[i], from[2 * i]);
  } else {
    for (int64_t i = 0; i < count; ++i) to[i] = pooled<T, kPool>(to[i], from[i * stride]);
  }
}

// A window over several axes is a window over each axis in turn: one pass per axis, [outer, from, inner] to
// [outer, to, inner].
struct WindowPass {
  int64_t outer, from, inner, to;
  int64_t window, stride, low, dilation;
};

// Lines [begin, end) of the `outer to` of the result.
template <class T, Pool kPool>
void run_lines(const WindowPass& p, const T* x, T* y, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const int64_t start = i % p.to * p.stride - p.low;
    const T* lines = x + i / p.to * p.from * p.inner;
    T* line = y + i * p.inner;
    std::fill_n(line, p.inner, identity<T, kPool>());
    for (int64_t t = 0; t < p.window; ++t) {
      const int64_t at = start + t * p.dilation;
      if (at >= 0 && at < p.from) fold<T, kPool>(p.inner, lines + at * p.inner, 1, line);
    }
  }
}
// Rows [begin, end) of the `outer` of a pass along the innermost axis: each in a frame, so that no element needs a
// test.
template <class T, Pool kPool>
void run_rows(const WindowPass& p, const T* x, T* y, int64_t begin, int64_t end) {
  if (p.low == 0 && p.from == p.to * p.stride && (p.window - 1) * p.dilation < p.stride) {
    // Windows that stay apart, without a margin: all rows are one.
    const int64_t count = (end - begin) * p.to;
    T* line = y + begin * p.to;
    std::fill_n(line, count, identity<T, kPool>());
    for (int64_t t = 0; t < p.window; ++t) fold<T, kPool>(count, x + begin * p.from + t * p.dilation, p.stride, line);
    return;
  }
  const int64_t width = (p.to - 1) * p.stride + (p.window - 1) * p.dilation + 1;
  const int64_t copied = std::clamp<int64_t>(width - p.low, 0, p.from);
  T* frame = reinterpret_cast<T*>(thread_scratch(kTileScratch, static_cast<size_t>(width) * sizeof(T)));
  std::fill_n(frame, width, identity<T, kPool>());
  for (int64_t i = begin; i < end; ++i) {
    if (copied > 0) std::copy_n(x + i * p.from, copied, frame + p.low);
    T* row = y + i * p.to;
    std::fill_n(row, p.to, identity<T, kPool>());
    for (int64_t t = 0; t < p.window; ++t) fold<T, kPool>(p.to, frame + t * p.dilation, p.stride, row);
  }
}
template <class T, Pool kPool>
void run_pass(const WindowPass& p, const T* x, T* y) {
  const bool rows = p.inner == 1;
  const int64_t work = p.window * (rows ? p.to : p.inner);
  parallel_for(rows ? p.outer : p.outer * p.to, grain_for(work), [&](int64_t begin, int64_t end) {
    (rows ? run_rows<T, kPool> : run_lines<T, kPool>)(p, x, y, begin, end);
  });
}

template <Pool kPool>
Run window_run(const Program& program, const NodeView& node) {
  const uint32_t in = node.inputs()[0], out = node.outputs()[0];
  const TrmValue x = program.value(in), y = program.value(out);
  const auto window = node.integers("window"), strides = node.integers("strides"), low = node.integers("low"),
             dilation = node.integers("dilation");
  const auto order = order_of(x);
  // Last axes first: they shrink the most memory-friendly side.
  std::vector<WindowPass> passes;
  int64_t inner = 1;
  for (uint32_t k = x.rank; k-- > 0; inner *= y.dims[order[k]]) {
    const uint8_t axis = order[k];
    if (window[axis] == 1 && x.dims[axis] == y.dims[axis] && strides[axis] == 1 && low[axis] == 0) continue;
    int64_t outer = 1;
    for (uint32_t a = 0; a < k; ++a) outer *= x.dims[order[a]];
    passes.push_back(
        {outer, x.dims[axis], inner, y.dims[axis], window[axis], strides[axis], low[axis], dilation[axis]});
  }
  if (passes.empty()) passes.push_back({1, 1, chip::elements(x), 1, 1, 1, 0, 1});
  const DType type = dtype_of(x);
  const bool as_it_lies = order != row_major_order();
  return visit_held(type, [&]<class T>() -> Run {
    return [=, results = chip::elements(y), elements = chip::elements(x)](void* const* values) {
      if (results == 0) return;
      std::optional<DenseInput> dense;
      const void* memory = values[in];
      if (!as_it_lies) memory = dense.emplace(x, memory).data();
      const bool direct = register_type(type) == type;
      const auto scratch = [](int slot, int64_t count) {
        return reinterpret_cast<T*>(thread_scratch(slot, static_cast<size_t>(count) * sizeof(T)));
      };
      const T* from = static_cast<const T*>(memory);
      if constexpr (std::is_same_v<T, float>) {
        if (!direct) {
          T* wide = scratch(kPackScratchA, elements);
          load_half_floats(wide, memory, static_cast<size_t>(elements), type == bf16);
          from = wide;
        }
      }
      for (size_t i = 0; i < passes.size(); ++i) {
        const WindowPass& pass = passes[i];
        T* to = static_cast<T*>(values[out]);
        if (i + 1 < passes.size() || !direct) {
          to = scratch(i % 2 == 0 ? kPackScratchB : kBlockScratch, pass.outer * pass.to * pass.inner);
        }
        run_pass<T, kPool>(pass, from, to);
        from = to;
      }
      if constexpr (std::is_same_v<T, float>) {
        if (!direct) store_half_floats(values[out], from, static_cast<size_t>(results), type == bf16);
      }
    };
  });
}

void ask_window_layouts(const Program& program, const NodeView& node, TrmAnswer& answer) {
  const auto order = order_of(program.value(node.inputs()[0]));
  if (!is_dense_in(program.value(node.outputs()[0]), order)) ask_order(program, program.input_count(), order, answer);
}

Run prepare_reduce_window(const Program& program, const NodeView& node) {
  const std::string_view kind = node.string("kind");
  if (kind == "max") return window_run<Pool::kMax>(program, node);
  if (kind == "min") return window_run<Pool::kMin>(program, node);
  if (kind == "sum") return window_run<Pool::kSum>(program, node);
  throw Failure(TRM_UNSUPPORTED, "reduce_window of kind '" + std::string(kind) + "'");
}

// ---- running sums ---------------------------------------------------------------------------------------------------

Run prepare_cumsum(const Program& program, const NodeView& node) {
  const uint32_t in = node.inputs()[0], out = node.outputs()[0];
  const TrmValue x = program.value(in);
  const AxisView view(x, axis_of(node, "axis", x.rank));
  const bool exclusive = node.flag("exclusive"), reverse = node.flag("reverse");
  const DType type = dtype_of(x);
  return visit_held(type, [&]<class T>() -> Run {
    using Sum = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;
    return [=, count = chip::elements(x)](void* const* values) {
      const Held<T> input(x, values[in]);
      std::vector<T> wide;
      T* y = static_cast<T*>(values[out]);
      if (register_type(type) != type) {
        wide.resize(static_cast<size_t>(count));
        y = wide.data();
      }
      parallel_for(view.outer * view.inner, grain_for(view.size), [&](int64_t begin, int64_t end) {
        for (int64_t line = begin; line < end; ++line) {
          const int64_t base = line / view.inner * view.size * view.inner + line % view.inner;
          Sum sum = 0;
          for (int64_t i = 0; i < view.size; ++i) {
            const int64_t at = base + (reverse ? view.size - 1 - i : i) * view.inner;
            const Sum term = static_cast<Sum>(input.values()[at]);
            y[at] = static_cast<T>(exclusive ? sum : sum + term);
            sum += term;
          }
        }
      });
      if constexpr (std::is_same_v<T, float>) {
        if (!wide.empty()) store_half_floats(values[out], y, wide.size(), type == bf16);
      }
    };
  });
}

// ---- positions of extremes ------------------------------------------------------------------------------------------

// The first of equals; NaN beats everything, and the first NaN stays.
template <bool kMax>
Run prepare_arg(const Program& program, const NodeView& node) {
  const uint32_t in = node.inputs()[0], out = node.outputs()[0];
  const TrmValue x = program.value(in);
  const AxisView view(x, axis_of(node, "axis", x.rank));
  const DType type = dtype_of(x);
  return visit_held(type, [&]<class T>() -> Run {
    return [=](void* const* values) {
      const Held<T> input(x, values[in]);
      auto* y = static_cast<int32_t*>(values[out]);
      parallel_for(view.outer * view.inner, grain_for(view.size), [&](int64_t begin, int64_t end) {
        for (int64_t line = begin; line < end; ++line) {
          const T* first = input.values() + line / view.inner * view.size * view.inner + line % view.inner;
          T best = *first;
          int64_t place = 0;
          for (int64_t i = 1; i < view.size && best == best; ++i) {
            const T candidate = first[i * view.inner];
            if (candidate != candidate || (kMax ? candidate > best : candidate < best)) best = candidate, place = i;
          }
          y[line] = static_cast<int32_t>(place);
        }
      });
    };
  });
}

constexpr KernelEntry kTable[] = {
    {"reduce_window", numbers, false, prepare_reduce_window, nullptr, 9.0, nullptr, ask_window_layouts},
    {"max_pool_gradient", only(f32) | only(f64), false, prepare_max_pool_gradient, nullptr, 9.0, nullptr,
     ask_layouts_for_max_pool_gradient},
    {"cumsum", numbers, false, prepare_cumsum, nullptr, 4.0},
    {"argmax", numbers, false, prepare_arg<true>},
    {"argmin", numbers, false, prepare_arg<false>},
};

}  // namespace

std::span<const KernelEntry> window_kernels() { return kTable; }

}  // namespace trireme::cpu
