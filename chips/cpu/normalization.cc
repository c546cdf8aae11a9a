// softmax, log_softmax, layer_norm and rms_norm whole: each line is loaded once, widened to the register type, worked
// on tile by tile while it sits in the cache, and stored.
#include <algorithm>
#include <cmath>

#include "chips/cpu/kernel.h"
#include "chips/cpu/tile_ops.h"
#include "chips/cpu/tile_program.h"

namespace trireme::cpu {
namespace {

// Operations on a line of T (float or double) with another line or one number.
template <class T>
class LineOps {
 public:
  static constexpr DType kType = sizeof(T) == 4 ? f32 : f64;

  void unary(TileFunction f, T* line, int64_t count) const {
    for_tiles(line, count, [&](T* tile, int64_t, size_t n) {
      const void* in[] = {tile};
      f(tile, in, n, {});
    });
  }
  void with_number(TileFunction f, T* line, int64_t count, double number) const {
    alignas(64) T splat[kTile];
    std::fill_n(splat, std::min(kTile, count), static_cast<T>(number));
    for_tiles(line, count, [&](T* tile, int64_t, size_t n) {
      const void* in[] = {tile, splat};
      f(tile, in, n, {});
    });
  }
  // `other`: dense memory of any floating type.
  void with_line(TileFunction f, T* line, int64_t count, const void* other, DType type) const {
    alignas(64) std::byte held[kTile * 8];
    const TileLoad load = find_tile_load(type);
    const TileFunction widen = find_tile_conversion(type, kType);
    for_tiles(line, count, [&](T* tile, int64_t at, size_t n) {
      alignas(64) T right[kTile];
      load(held, static_cast<const std::byte*>(other) + at * static_cast<int64_t>(size_of(type)), 1, n);
      const void* loaded[] = {held};
      widen(right, loaded, n, {});
      const void* in[] = {tile, right};
      f(tile, in, n, {});
    });
  }
  double max_of(const T* line, int64_t count) const {
    T best = -std::numeric_limits<T>::infinity();
    for_tiles(line, count, [&](const T* tile, int64_t, size_t n) { max_fold.row(&best, tile, n); });
    return static_cast<double>(best);
  }
  double sum_of(const T* line, int64_t count) const {
    double sum = 0.0;
    for_tiles(line, count, [&](const T* tile, int64_t, size_t n) { sum_fold.row(&sum, tile, n); });
    return sum;
  }
  double squares_of(const T* line, int64_t count) const {
    double sum = 0.0;
    for_tiles(line, count, [&](const T* tile, int64_t, size_t n) {
      alignas(64) T squares[kTile];
      const void* in[] = {tile, tile};
      mul(squares, in, n, {});
      sum_fold.row(&sum, squares, n);
    });
    return sum;
  }

  TileFunction add = find_tile_function("add", {}, kType), sub = find_tile_function("sub", {}, kType),
               mul = find_tile_function("mul", {}, kType), div = find_tile_function("div", {}, kType),
               exp = find_tile_function("exp", {}, kType);
  FoldFunctions max_fold = find_fold(Fold::kMax, kType), sum_fold = find_fold(Fold::kSum, kType);

 private:
  template <class P, class F>
  static void for_tiles(P* line, int64_t count, F f) {
    for (int64_t at = 0; at < count; at += kTile) f(line + at, at, static_cast<size_t>(std::min(kTile, count - at)));
  }
};

// Runs work(ops, line, length) on every line of x along the view's axis and stores what it leaves there.
template <class Work>
Run run_lines(const Program& program, const NodeView& node, const AxisView& view, const Work& work) {
  const uint32_t in = node.inputs()[0], out = node.outputs()[0];
  const TrmValue x = program.value(in);
  const DType type = dtype_of(x);
  const auto with = [&]<class T>() -> Run {
    return [=, ops = LineOps<T>(), load = find_tile_load(type), store = find_tile_store(type)](void* const* values) {
      const DenseInput dense(x, values[in]);
      const auto* from = static_cast<const std::byte*>(dense.data());
      auto* to = static_cast<std::byte*>(values[out]);
      const auto item = static_cast<int64_t>(size_of(type));
      parallel_for(view.outer * view.inner, grain_for(view.size * 8), [&](int64_t begin, int64_t end) {
        auto* line = reinterpret_cast<T*>(thread_scratch(kBlockScratch, static_cast<size_t>(view.size) * sizeof(T)));
        for (int64_t i = begin; i < end; ++i) {
          const int64_t base = i / view.inner * view.size * view.inner + i % view.inner;
          const auto each_tile = [&](auto f) {
            for (int64_t at = 0; at < view.size; at += kTile) {
              f(line + at, (base + at * view.inner) * item, static_cast<size_t>(std::min(kTile, view.size - at)));
            }
          };
          each_tile([&](T* tile, int64_t offset, size_t n) { load(tile, from + offset, view.inner, n); });
          work(ops, line, view.size, values);
          each_tile([&](const T* tile, int64_t offset, size_t n) { store(to + offset, view.inner, tile, n); });
        }
      });
    };
  };
  return type == f64 ? with.template operator()<double>() : with.template operator()<float>();
}

Run prepare_softmax(const Program& program, const NodeView& node) {
  const TrmValue x = program.value(node.inputs()[0]);
  return run_lines(program, node, AxisView(x, axis_of(node, "axis", x.rank)),
                   [](const auto& ops, auto* line, int64_t count, void* const*) {
                     ops.with_number(ops.sub, line, count, ops.max_of(line, count));
                     ops.unary(ops.exp, line, count);
                     ops.with_number(ops.div, line, count, ops.sum_of(line, count));
                   });
}

Run prepare_log_softmax(const Program& program, const NodeView& node) {
  const TrmValue x = program.value(node.inputs()[0]);
  return run_lines(program, node, AxisView(x, axis_of(node, "axis", x.rank)),
                   [](const auto& ops, auto* line, int64_t count, void* const*) {
                     using T = std::remove_pointer_t<decltype(line)>;
                     ops.with_number(ops.sub, line, count, ops.max_of(line, count));
                     double sum = 0.0;
                     for (int64_t at = 0; at < count; at += kTile) {
                       alignas(64) T powers[kTile];
                       const int64_t here = std::min(kTile, count - at);
                       std::copy_n(line + at, here, powers);
                       ops.unary(ops.exp, powers, here);
                       sum += ops.sum_of(powers, here);
                     }
                     ops.with_number(ops.sub, line, count, std::log(sum));
                   });
}

// The last `axes` axes as one line.
AxisView trailing(const TrmValue& x, int64_t axes) {
  AxisView view(x, static_cast<int64_t>(x.rank) - axes);
  view.size *= view.inner;
  view.inner = 1;
  return view;
}

Run prepare_norm(const Program& program, const NodeView& node, bool centred) {
  const double epsilon = node.number("epsilon");
  struct Factor {  // weight or bias
    bool given = false;
    uint32_t value = 0;
    TrmValue v{};
  };
  const auto factor = [&](uint32_t input) {
    Factor f;
    if (node.has(input)) f = {true, node.inputs()[input], program.value(node.inputs()[input])};
    return f;
  };
  const Factor weight = factor(1), bias = centred ? factor(2) : Factor{};
  const TrmValue x = program.value(node.inputs()[0]);
  return run_lines(program, node, trailing(x, node.integer("axes")),
                   [=](const auto& ops, auto* line, int64_t count, void* const* values) {
                     const double n = static_cast<double>(count);
                     if (centred) ops.with_number(ops.sub, line, count, ops.sum_of(line, count) / n);
                     ops.with_number(ops.mul, line, count, 1.0 / std::sqrt(ops.squares_of(line, count) / n + epsilon));
                     const auto apply = [&](TileFunction f, const Factor& factor) {
                       if (!factor.given) return;
                       const DenseInput dense(factor.v, values[factor.value]);
                       ops.with_line(f, line, count, dense.data(), dtype_of(factor.v));
                     };
                     apply(ops.mul, weight);
                     apply(ops.add, bias);
                   });
}
Run prepare_layer_norm(const Program& program, const NodeView& node) { return prepare_norm(program, node, true); }
Run prepare_rms_norm(const Program& program, const NodeView& node) { return prepare_norm(program, node, false); }

constexpr KernelEntry kTable[] = {
    {"softmax", floats, false, prepare_softmax, nullptr, 24.0},
    {"log_softmax", floats, false, prepare_log_softmax, nullptr, 24.0},
    {"layer_norm", floats, false, prepare_layer_norm, nullptr, 16.0},
    {"rms_norm", floats, false, prepare_rms_norm, nullptr, 12.0},
};

}  // namespace

std::span<const KernelEntry> normalization_kernels() { return kTable; }

}  // namespace trireme::cpu
