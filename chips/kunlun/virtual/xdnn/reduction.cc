// Reductions and scans over axes, of xpu/refactor/math.h.
#include <algorithm>
#include <memory>

#include "chips/kunlun/virtual/xdnn/rows.h"
#include "xpu/refactor/math.h"

namespace baidu::xpu::api {

using namespace detail;

namespace {

// Which elements make up each result.
struct Axes {
  Shape kept, kept_strides, reduced, reduced_strides;
  int64_t results = 1, length = 1;
  bool contiguous;  // a result's elements lie side by side
};

// y = f(elements, count) for each result, where the elements are a row in the type they are computed in.
template <class T, class F>
int reduce(Context* ctx, const char* op, const T* x, T* y, const Shape& xshape, const Shape& rdims, double cost, F f) {
  const int64_t count = count_of(xshape);
  XDNN_CHECK(count >= 0, text(xshape), " is no shape");
  std::vector<bool> gone(xshape.size(), rdims.empty());
  for (int64_t axis : rdims) {
    const int64_t given = axis;
    XDNN_CHECK(normalize_axis(&axis, xshape.size()), "there is no axis ", given, " of ", text(xshape));
    XDNN_CHECK(!gone[axis], "axis ", given, " is there twice in ", text(rdims));
    gone[axis] = true;
  }
  Axes axes;
  const Strides strides = dense_strides(xshape);
  for (size_t i = 0; i < xshape.size(); ++i) {
    (gone[i] ? axes.reduced : axes.kept).push_back(xshape[i]);
    (gone[i] ? axes.reduced_strides : axes.kept_strides).push_back(strides[i]);
  }
  axes.results = count_of(axes.kept);
  axes.length = count_of(axes.reduced);
  axes.contiguous = true;  // unless a kept axis comes behind a reduced one
  for (size_t i = 0; i + 1 < xshape.size(); ++i) {
    for (size_t j = i + 1; j < xshape.size(); ++j) axes.contiguous &= !gone[i] || gone[j];
  }
  const auto run = [=](const T* x, T* y) {
    using C = Compute<T>;
    if (axes.contiguous) {
      parallel(axes.results, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, axes.length)),
               [&](int64_t begin, int64_t end) {
                 std::vector<C> buffer;
                 for (int64_t i = begin; i < end; ++i) {
                   y[i] = T(f(computed(x + i * axes.length, axes.length, &buffer), axes.length));
                 }
               });
      return;
    }
    // Several results at once, so that what lies side by side is read together.
    const int64_t together = std::clamp<int64_t>((int64_t{1} << 20) / std::max<int64_t>(1, axes.length), 1, 16);
    const Walk<1> reduced(axes.reduced, {axes.reduced_strides});
    parallel((axes.results + together - 1) / together, 1, [&](int64_t begin, int64_t end) {
      // Not a vector: there is none of bool that could be handed on.
      const auto buffer = std::make_unique<C[]>(static_cast<size_t>(together * axes.length));
      for (int64_t group = begin; group < end; ++group) {
        const int64_t first = group * together, width = std::min(together, axes.results - first);
        int64_t offsets[16];
        for (int64_t i = 0; i < width; ++i) {
          offsets[i] = 0;
          for (size_t axis = axes.kept.size(), rest = static_cast<size_t>(first + i); axis-- > 0;) {
            const auto extent = static_cast<size_t>(axes.kept[axis]);
            offsets[i] += static_cast<int64_t>(rest % extent) * axes.kept_strides[axis];
            rest /= extent;
          }
        }
        int64_t at = 0;
        reduced.in_order([&](const auto& offset, const auto& step, int64_t length) {
          for (int64_t l = 0; l < length; ++l, ++at) {
            const T* from = x + offset[0] + l * step[0];
            for (int64_t i = 0; i < width; ++i) buffer[i * axes.length + at] = static_cast<C>(from[offsets[i]]);
          }
        });
        for (int64_t i = 0; i < width; ++i) y[first + i] = T(f(buffer.get() + i * axes.length, axes.length));
      }
    });
  };
  if (axes.results == 0) return SUCCESS;
  return launch(ctx, op, {.vector_ops = cost * static_cast<double>(count)}, run, In<T>{x, count},
                Out<T>{y, axes.results});
}

float logsumexp_of(const float* row, int64_t count) {
  const float greatest = greatest_of(row, count);
  if (!std::isfinite(greatest)) return greatest;  // NaN, all -inf, or an inf among them
  return greatest + std::log(sum_over<float>(count, [&](int64_t i) { return std::exp(row[i] - greatest); }));
}

}  // namespace

#define XDNN_REDUCE(name, cost, expression)                                                                      \
  template <class T>                                                                                             \
  int name(Context* ctx, const T* x, T* y, const Shape& xshape, const Shape& rdims) {                            \
    using C = Compute<T>;                                                                                        \
    return reduce<T>(ctx, #name, x, y, xshape, rdims, cost, [](const C* row, int64_t n) { return expression; }); \
  }
XDNN_REDUCE(reduce_sum, kCheap, sum_over<C>(n, [&](int64_t i) { return row[i]; }))
XDNN_REDUCE(reduce_mean, kCheap, sum_over<C>(n, [&](int64_t i) { return row[i]; }) / static_cast<float>(n))
XDNN_REDUCE(reduce_max, kCheap, greatest_of<C>(row, n))
XDNN_REDUCE(reduce_min, kCheap, least_of<C>(row, n))
XDNN_REDUCE(logsumexp, kFunction, logsumexp_of(row, n))
XDNN_REDUCE(reduce_all, kCheap, std::all_of(row, row + n, [](C v) { return v; }))
XDNN_REDUCE(reduce_any, kCheap, std::any_of(row, row + n, [](C v) { return v; }))
#undef XDNN_REDUCE

template <class T>
int reduce_prod(Context* ctx, const T* x, T* y, const Shape& xshape, const Shape& rdims) {
  using C = Compute<T>;
  return reduce<T>(ctx, "reduce_prod", x, y, xshape, rdims, kCheap, [](const C* row, int64_t n) {
    C product = 1;
    for (int64_t i = 0; i < n; ++i) product = product_of<C>(product, row[i]);
    return product;
  });
}

template <class T>
int cumsum(Context* ctx, const T* x, T* y, const Shape& xshape, bool reverse, bool exclusive, int64_t axis) {
  const char* op = "cumsum";
  const int64_t count = count_of(xshape);
  XDNN_CHECK(count >= 0, text(xshape), " is no shape");
  XDNN_CHECK(normalize_axis(&axis, xshape.size()), "there is no axis ", axis, " of ", text(xshape));
  const Cut cut = cut_at(xshape, axis);
  const auto run = [=](const T* x, T* y) {
    using C = Compute<T>;
    parallel(cut.outer, 1, [&](int64_t begin, int64_t end) {
      for (int64_t line = begin * cut.inner; line < end * cut.inner; ++line) {
        const int64_t first = line / cut.inner * cut.extent * cut.inner + line % cut.inner;
        C total = 0;
        for (int64_t i = 0; i < cut.extent; ++i) {
          const int64_t at = first + (reverse ? cut.extent - 1 - i : i) * cut.inner;
          const C before = total;
          total = sum_of<C>(total, static_cast<C>(x[at]));
          y[at] = T(exclusive ? before : total);
        }
      }
    });
  };
  return launch(ctx, op, {.vector_ops = 2 * static_cast<double>(count)}, run, In<T>{x, count}, Out<T>{y, count});
}

namespace {

template <class T, class TY, class Better>
int position(Context* ctx, const char* op, const T* x, TY* y, const Shape& xshape, int64_t axis, Better better) {
  const int64_t count = count_of(xshape);
  XDNN_CHECK(count >= 0, text(xshape), " is no shape");
  XDNN_CHECK(normalize_axis(&axis, xshape.size()), "there is no axis ", axis, " of ", text(xshape));
  const Cut cut = cut_at(xshape, axis);
  XDNN_CHECK(cut.extent > 0 || count_of({cut.outer, cut.inner}) == 0, "axis ", axis, " of ", text(xshape),
             " is empty: it has no greatest and no least");
  const auto run = [=](const T* x, TY* y) {
    parallel(cut.outer * cut.inner, 256, [&](int64_t begin, int64_t end) {
      for (int64_t line = begin; line < end; ++line) {
        const T* row = x + line / cut.inner * cut.extent * cut.inner + line % cut.inner;
        int64_t best = 0;
        auto value = static_cast<Compute<T>>(row[0]);
        for (int64_t i = 1; i < cut.extent && value == value; ++i) {
          const auto other = static_cast<Compute<T>>(row[i * cut.inner]);
          if (better(other, value) || other != other) best = i, value = other;
        }
        y[line] = static_cast<TY>(best);
      }
    });
  };
  return launch(ctx, op, {.vector_ops = 2 * static_cast<double>(count)}, run, In<T>{x, count},
                Out<TY>{y, cut.outer * cut.inner});
}

}  // namespace

template <class T, class TY>
int argmax(Context* ctx, const T* x, TY* y, const Shape& xshape, int64_t axis) {
  return position(ctx, "argmax", x, y, xshape, axis, [](auto a, auto b) { return a > b; });
}
template <class T, class TY>
int argmin(Context* ctx, const T* x, TY* y, const Shape& xshape, int64_t axis) {
  return position(ctx, "argmin", x, y, xshape, axis, [](auto a, auto b) { return a < b; });
}

#define XDNN_ONE(name, T) template int name<T>(Context*, const T*, T*, const Shape&, const Shape&)
#define XDNN_NUMBERS(T)                                                                 \
  XDNN_ONE(reduce_sum, T);                                                              \
  XDNN_ONE(reduce_prod, T);                                                             \
  XDNN_ONE(reduce_max, T);                                                              \
  XDNN_ONE(reduce_min, T);                                                              \
  template int cumsum<T>(Context*, const T*, T*, const Shape&, bool, bool, int64_t);    \
  template int argmax<T, int>(Context*, const T*, int*, const Shape&, int64_t);         \
  template int argmax<T, int64_t>(Context*, const T*, int64_t*, const Shape&, int64_t); \
  template int argmin<T, int>(Context*, const T*, int*, const Shape&, int64_t);         \
  template int argmin<T, int64_t>(Context*, const T*, int64_t*, const Shape&, int64_t);
XDNN_FOR_NUMBERS(XDNN_NUMBERS)
#define XDNN_FLOATS(T)      \
  XDNN_ONE(reduce_mean, T); \
  XDNN_ONE(logsumexp, T);
XDNN_FOR_FLOATS(XDNN_FLOATS)
XDNN_ONE(reduce_all, bool);
XDNN_ONE(reduce_any, bool);

}  // namespace baidu::xpu::api
