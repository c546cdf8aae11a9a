// Pooling of images, of xpu/refactor/nn.h.
#include <algorithm>
#include <limits>

#include "chips/kunlun/virtual/xdnn/elementwise.h"
#include "xpu/refactor/nn.h"

namespace baidu::xpu::api {

using namespace detail;

namespace {

// Windows over planes of h x w.
struct Pool {
  int64_t n, c, h, w, yh, yw, kh, kw, stride_h, stride_w, top, left;
  bool is_nchw;

  int64_t x_count() const { return n * c * h * w; }
  int64_t y_count() const { return n * c * yh * yw; }
  // Of the first element of a plane, and from one element to the next.
  int64_t x_plane(int64_t plane) const { return is_nchw ? plane * h * w : plane / c * h * w * c + plane % c; }
  int64_t y_plane(int64_t plane) const { return is_nchw ? plane * yh * yw : plane / c * yh * yw * c + plane % c; }
  int64_t step() const { return is_nchw ? 1 : c; }
};

int make_pool(const char* op, int64_t n, int64_t c, int64_t h, int64_t w, const std::vector<int64_t>& ksize,
              const std::vector<int64_t>& stride, const std::vector<int64_t>& pad, bool is_nchw, Pool* pool) {
  const auto all = [](const std::vector<int64_t>& values, int64_t least) {
    return std::all_of(values.begin(), values.end(), [=](int64_t v) { return v >= least && v < int64_t{1} << 31; });
  };
  XDNN_CHECK(count_of({n, c, h, w}) >= 0, text({n, c, h, w}), " is no shape");
  XDNN_CHECK(ksize.size() == 2 && stride.size() == 2 && all(ksize, 1) && all(stride, 1), "window ", text(ksize),
             ", stride ", text(stride), ": both need two values from 1 on");
  XDNN_CHECK((pad.size() == 2 || pad.size() == 4) && all(pad, 0), "pad ", text(pad),
             " needs two or four values from 0 on");
  const int64_t top = pad[0], bottom = pad.size() == 4 ? pad[1] : pad[0];
  const int64_t left = pad.size() == 4 ? pad[2] : pad[1], right = pad.size() == 4 ? pad[3] : pad[1];
  XDNN_CHECK(std::max(top, bottom) < ksize[0] && std::max(left, right) < ksize[1], "pad ", text(pad),
             " makes windows of ", text(ksize), " that hold no element");
  XDNN_CHECK(h + top + bottom >= ksize[0] && w + left + right >= ksize[1], "the window ", text(ksize),
             " is larger than ", text({h, w}), " with pad ", text(pad));
  *pool = {n,
           c,
           h,
           w,
           (h + top + bottom - ksize[0]) / stride[0] + 1,
           (w + left + right - ksize[1]) / stride[1] + 1,
           ksize[0],
           ksize[1],
           stride[0],
           stride[1],
           top,
           left,
           is_nchw};
  return SUCCESS;
}

// f(plane, element of y, first and last row and column of its window) for all windows; planes on several threads.
template <class F>
void for_windows(const Pool& pool, F f) {
  parallel(pool.n * pool.c, std::max<int64_t>(1, 4096 / (pool.yh * pool.yw)), [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      for (int64_t i = 0; i < pool.yh; ++i) {
        const int64_t row = i * pool.stride_h - pool.top;
        for (int64_t j = 0; j < pool.yw; ++j) {
          const int64_t column = j * pool.stride_w - pool.left;
          f(plane, pool.y_plane(plane) + (i * pool.yw + j) * pool.step(), std::max<int64_t>(row, 0),
            std::min(row + pool.kh, pool.h), std::max<int64_t>(column, 0), std::min(column + pool.kw, pool.w));
        }
      }
    }
  });
}

// The place of the first maximum of a window in its plane; NaN is greater than all.
template <class T>
int64_t maximum_at(const Pool& pool, const T* plane, int64_t row, int64_t row_end, int64_t column, int64_t column_end) {
  int64_t found = row * pool.w + column;
  auto greatest = static_cast<float>(plane[found * pool.step()]);
  for (int64_t i = row; i < row_end; ++i) {
    for (int64_t j = column; j < column_end; ++j) {
      const auto value = static_cast<float>(plane[(i * pool.w + j) * pool.step()]);
      if (value > greatest || (value != value && greatest == greatest)) {
        greatest = value;
        found = i * pool.w + j;
      }
    }
  }
  return found;
}

// The place of the first element of a window that equals `value`; -1 where there is none.
template <class T>
int64_t place_of(const Pool& pool, const T* plane, T value, int64_t row, int64_t row_end, int64_t column,
                 int64_t column_end) {
  for (int64_t i = row; i < row_end; ++i) {
    for (int64_t j = column; j < column_end; ++j) {
      const int64_t at = i * pool.w + j;
      if (static_cast<float>(plane[at * pool.step()]) == static_cast<float>(value)) return at;
    }
  }
  return -1;
}

double work_of(const Pool& pool) {
  return static_cast<double>(pool.y_count()) * static_cast<double>(pool.kh * pool.kw);
}

}  // namespace

template <class T, class TID>
int max_pool2d(Context* ctx, const T* x, T* y, TID* indices, int64_t n, int64_t c, int64_t h, int64_t w,
               const std::vector<int64_t>& ksize, const std::vector<int64_t>& stride, const std::vector<int64_t>& pad,
               bool is_nchw, const float*, float* y_maxptr) {
  Pool pool;
  const int code = make_pool("max_pool2d", n, c, h, w, ksize, stride, pad, is_nchw, &pool);
  if (code != SUCCESS) return code;
  const int64_t maxima = ctx ? ctx->max_ptr_size() : 0;
  const auto run = [=](const T* x, T* y, TID* indices, float* y_maxptr) {
    for_windows(pool, [&](int64_t plane, int64_t at, int64_t row, int64_t row_end, int64_t column, int64_t column_end) {
      const T* values = x + pool.x_plane(plane);
      const int64_t place = maximum_at(pool, values, row, row_end, column, column_end);
      y[at] = values[place * pool.step()];
      if (indices) indices[at] = static_cast<TID>(place);
    });
    write_maximum(y, pool.y_count(), y_maxptr, maxima);
  };
  return launch(ctx, "max_pool2d", {.vector_ops = work_of(pool)}, run, In<T>{x, pool.x_count()},
                Out<T>{y, pool.y_count()}, Out<TID>{indices, pool.y_count(), true}, Out<float>{y_maxptr, maxima, true});
}

template <class T, class TID>
int max_pool2d_grad(Context* ctx, const T* x, const T* y, const TID* indices, const T* dy, T* dx, int64_t n, int64_t c,
                    int64_t h, int64_t w, const std::vector<int64_t>& ksize, const std::vector<int64_t>& stride,
                    const std::vector<int64_t>& pad, bool is_nchw) {
  const char* op = "max_pool2d_grad";
  Pool pool;
  const int code = make_pool(op, n, c, h, w, ksize, stride, pad, is_nchw, &pool);
  if (code != SUCCESS) return code;
  XDNN_CHECK((x && y) || indices, "either x and y or the indices must be given");
  const auto run = [=](const T* x, const T* y, const TID* indices, const T* dy, T* dx) {
    std::vector<float> sums(static_cast<size_t>(pool.x_count()));
    for_windows(pool, [&](int64_t plane, int64_t at, int64_t row, int64_t row_end, int64_t column, int64_t column_end) {
      const int64_t first = pool.x_plane(plane);
      int64_t place;
      if (indices) {
        place = static_cast<int64_t>(indices[at]);
        if (place < 0 || place >= pool.h * pool.w) throw Fault(cat("max_pool2d_grad: index ", place, " is no place"));
      } else {
        place = place_of(pool, x + first, y[at], row, row_end, column, column_end);
      }
      if (place >= 0) sums[first + place * pool.step()] += static_cast<float>(dy[at]);
    });
    for (size_t i = 0; i < sums.size(); ++i) dx[i] = T(sums[i]);
  };
  return launch(ctx, op, {.vector_ops = 2 * work_of(pool)}, run, In<T>{x, indices ? 0 : pool.x_count()},
                In<T>{y, indices ? 0 : pool.y_count()}, In<TID>{indices, pool.y_count(), true},
                In<T>{dy, pool.y_count()}, Out<T>{dx, pool.x_count()});
}

template <class T>
int avg_pool2d(Context* ctx, const T* x, T* y, int64_t n, int64_t c, int64_t h, int64_t w,
               const std::vector<int64_t>& ksize, const std::vector<int64_t>& stride, const std::vector<int64_t>& pad,
               bool count_include_pad, bool is_nchw, const float*, float* y_maxptr) {
  Pool pool;
  const int code = make_pool("avg_pool2d", n, c, h, w, ksize, stride, pad, is_nchw, &pool);
  if (code != SUCCESS) return code;
  const int64_t maxima = ctx ? ctx->max_ptr_size() : 0;
  const auto run = [=](const T* x, T* y, float* y_maxptr) {
    for_windows(pool, [&](int64_t plane, int64_t at, int64_t row, int64_t row_end, int64_t column, int64_t column_end) {
      const T* values = x + pool.x_plane(plane);
      float sum = 0;
      for (int64_t i = row; i < row_end; ++i) {
        for (int64_t j = column; j < column_end; ++j) sum += static_cast<float>(values[(i * pool.w + j) * pool.step()]);
      }
      const int64_t size = count_include_pad ? pool.kh * pool.kw : (row_end - row) * (column_end - column);
      y[at] = T(sum / static_cast<float>(size));
    });
    write_maximum(y, pool.y_count(), y_maxptr, maxima);
  };
  return launch(ctx, "avg_pool2d", {.vector_ops = work_of(pool)}, run, In<T>{x, pool.x_count()},
                Out<T>{y, pool.y_count()}, Out<float>{y_maxptr, maxima, true});
}

template <class T>
int adaptive_avg_pool2d(Context* ctx, const T* x, T* y, int64_t n, int64_t c, int64_t xh, int64_t xw, int64_t yh,
                        int64_t yw, bool is_nchw, const float*, float* y_maxptr) {
  const char* op = "adaptive_avg_pool2d";
  const int64_t x_count = count_of({n, c, xh, xw}), y_count = count_of({n, c, yh, yw});
  XDNN_CHECK(x_count >= 0 && y_count >= 0, text({n, c, xh, xw}), " or ", text({n, c, yh, yw}), " is no shape");
  XDNN_CHECK(x_count > 0 || y_count == 0, "planes of ", text({xh, xw}), " have no mean");
  const int64_t maxima = ctx ? ctx->max_ptr_size() : 0;
  const Pool planes{n, c, xh, xw, yh, yw, 0, 0, 0, 0, 0, 0, is_nchw};
  const auto run = [=](const T* x, T* y, float* y_maxptr) {
    parallel(n * c, 1, [&](int64_t begin, int64_t end) {
      for (int64_t plane = begin; plane < end; ++plane) {
        const T* values = x + planes.x_plane(plane);
        for (int64_t i = 0; i < yh * yw; ++i) {
          const int64_t row = i / yw * xh / yh, row_end = ((i / yw + 1) * xh + yh - 1) / yh;
          const int64_t column = i % yw * xw / yw, column_end = ((i % yw + 1) * xw + yw - 1) / yw;
          float sum = 0;
          for (int64_t r = row; r < row_end; ++r) {
            for (int64_t k = column; k < column_end; ++k) {
              sum += static_cast<float>(values[(r * xw + k) * planes.step()]);
            }
          }
          const auto size = static_cast<float>((row_end - row) * (column_end - column));
          y[planes.y_plane(plane) + i * planes.step()] = T(sum / size);
        }
      }
    });
    write_maximum(y, y_count, y_maxptr, maxima);
  };
  return launch(ctx, op, {.vector_ops = static_cast<double>(x_count)}, run, In<T>{x, x_count}, Out<T>{y, y_count},
                Out<float>{y_maxptr, maxima, true});
}

#define XDNN_INTS const std::vector<int64_t>&
#define XDNN_POOLS(T)                                                                                               \
  template int max_pool2d<T, int>(Context*, const T*, T*, int*, int64_t, int64_t, int64_t, int64_t, XDNN_INTS,      \
                                  XDNN_INTS, XDNN_INTS, bool, const float*, float*);                                \
  template int max_pool2d_grad<T, int>(Context*, const T*, const T*, const int*, const T*, T*, int64_t, int64_t,    \
                                       int64_t, int64_t, XDNN_INTS, XDNN_INTS, XDNN_INTS, bool);                    \
  template int avg_pool2d<T>(Context*, const T*, T*, int64_t, int64_t, int64_t, int64_t, XDNN_INTS, XDNN_INTS,      \
                             XDNN_INTS, bool, bool, const float*, float*);                                          \
  template int adaptive_avg_pool2d<T>(Context*, const T*, T*, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, \
                                      bool, const float*, float*);
XDNN_FOR_FLOATS(XDNN_POOLS)
#undef XDNN_INTS

}  // namespace baidu::xpu::api
