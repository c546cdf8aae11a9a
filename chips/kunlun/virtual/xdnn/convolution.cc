// Convolutions and transposed convolutions, of xpu/refactor/fusion.h, as matrix products over gathered elements.
#include <algorithm>
#include <array>
#include <vector>

#include "chips/kunlun/virtual/xdnn/arithmetic.h"
#include "chips/kunlun/virtual/xdnn/gemm.h"
#include "xpu/refactor/fusion.h"

namespace baidu::xpu::api {
namespace {

using namespace detail;

using Extents = std::array<int64_t, 3>;  // depth, height, width

// c channels of `in` become f channels of `out`, at each place from a window of `kernel`. A transposed one spreads an
// element of `in` over a window of `out` instead.
struct Geometry {
  int64_t n, c, f, group;
  Extents in, out, kernel, stride, low, dilation;
  bool transposed, channels_first;

  int64_t in_pixels() const { return in[0] * in[1] * in[2]; }
  int64_t out_pixels() const { return out[0] * out[1] * out[2]; }
  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t x_count() const { return n * c * in_pixels(); }
  int64_t y_count() const { return n * f * out_pixels(); }
  int64_t weight_count() const { return c / group * f * taps(); }
  double operations() const {
    const auto places = static_cast<double>(n * (transposed ? in_pixels() * c : out_pixels() * f));
    return 2 * places * static_cast<double>((transposed ? f : c) / group * taps());
  }
};

// The element of `in` that place `out` of an axis sees through `tap`; -1 where there is none.
int64_t seen(const Geometry& g, size_t axis, int64_t out, int64_t tap) {
  if (!g.transposed) {
    const int64_t at = out * g.stride[axis] - g.low[axis] + tap * g.dilation[axis];
    return at >= 0 && at < g.in[axis] ? at : -1;
  }
  const int64_t at = out + g.low[axis] - tap * g.dilation[axis];
  return at >= 0 && at % g.stride[axis] == 0 && at / g.stride[axis] < g.in[axis] ? at / g.stride[axis] : -1;
}

// What `count` places, counted through all images from `first` on, see of a channel through a tap.
template <class Acc>
void gather(const Geometry& g, const Acc* x, int64_t channel, int64_t tap, int64_t first, int64_t count, Acc* row) {
  const int64_t tap_w = tap % g.kernel[2], tap_h = tap / g.kernel[2] % g.kernel[1];
  const int64_t tap_d = tap / g.kernel[2] / g.kernel[1];
  for (int64_t at = first; at < first + count;) {
    const int64_t w = at % g.out[2], line = at / g.out[2];
    const int64_t h = line % g.out[1], d = line / g.out[1] % g.out[0], image = line / g.out[1] / g.out[0];
    const int64_t length = std::min(g.out[2] - w, first + count - at);
    const int64_t from_d = seen(g, 0, d, tap_d), from_h = seen(g, 1, h, tap_h);
    if (from_d < 0 || from_h < 0) {
      std::fill_n(row, length, Acc{0});
    } else {
      const Acc* source = x + (((image * g.c + channel) * g.in[0] + from_d) * g.in[1] + from_h) * g.in[2];
      if (!g.transposed && g.stride[2] == 1) {
        const int64_t shift = w - g.low[2] + tap_w * g.dilation[2];  // of the first place
        const int64_t begin = std::clamp<int64_t>(-shift, 0, length);
        const int64_t end = std::clamp<int64_t>(g.in[2] - shift, begin, length);
        std::fill_n(row, begin, Acc{0});
        std::copy(source + shift + begin, source + shift + end, row + begin);
        std::fill(row + end, row + length, Acc{0});
      } else {
        for (int64_t i = 0; i < length; ++i) {
          const int64_t from = seen(g, 2, w + i, tap_w);
          row[i] = from < 0 ? Acc{0} : source[from];
        }
      }
    }
    row += length;
    at += length;
  }
}

// Sums into write(image, channel, first place, count, sums). x is n x c x in, the weight f x c / group x kernel
// (transposed: c x f / group x kernel).
template <class Acc, class Write>
void convolve(const Geometry& g, const Acc* x, const Acc* weight, Write write) {
  const int64_t m = g.f / g.group, channels = g.c / g.group, taps = g.taps(), pixels = g.out_pixels();
  const auto factor = [&](int64_t group, int64_t i, int64_t l) {
    if (!g.transposed) return weight[(group * m + i) * channels * taps + l];
    return weight[((group * channels + l / taps) * m + i) * taps + l % taps];
  };
  constexpr int64_t kFew = 4;  // results of a place, for which blocks of a product would be mostly empty
  if (m < kFew) {
    parallel(g.n * g.group, 1, [&](int64_t begin, int64_t end) {
      std::vector<Acc> sums(static_cast<size_t>(m * pixels)), row(static_cast<size_t>(pixels));
      for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t image = unit / g.group, group = unit % g.group;
        std::fill(sums.begin(), sums.end(), Acc{0});
        for (int64_t l = 0; l < channels * taps; ++l) {
          gather(g, x, group * channels + l / taps, l % taps, image * pixels, pixels, row.data());
          for (int64_t i = 0; i < m; ++i) {
            const Acc w = factor(group, i, l);
            Acc* sum = sums.data() + i * pixels;
            for (int64_t p = 0; p < pixels; ++p) sum[p] += w * row[p];
          }
        }
        for (int64_t i = 0; i < m; ++i) write(image, group * m + i, 0, pixels, sums.data() + i * pixels);
      }
    });
    return;
  }
  for (int64_t group = 0; group < g.group; ++group) {
    multiply<Acc>({
        m,
        g.n * pixels,
        channels * taps,
        [&](int64_t i, int64_t from, int64_t count, Acc* row) {
          for (int64_t l = 0; l < count; ++l) row[l] = factor(group, i, from + l);
        },
        [&](int64_t l, int64_t from, int64_t count, Acc* row) {
          gather(g, x, group * channels + l / taps, l % taps, from, count, row);
        },
        [&](int64_t i, int64_t from, int64_t count, const Acc* row) {
          for (int64_t at = from; at < from + count;) {
            const int64_t length = std::min(pixels - at % pixels, from + count - at);
            write(at / pixels, group * m + i, at % pixels, length, row + (at - from));
            at += length;
          }
        },
    });
  }
}

// A tensor of `outer` blocks of `channels` x `pixels` (or pixels x channels) as it is multiplied, channels first.
template <class TGEMM, class T>
std::vector<Accumulator<TGEMM>> operands(const T* x, double scale, int64_t outer, int64_t channels, int64_t pixels,
                                         bool channels_first) {
  std::vector<Accumulator<TGEMM>> made(static_cast<size_t>(outer * channels * pixels));
  parallel(outer * channels, std::max<int64_t>(1, 16384 / pixels), [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t first = channels_first ? plane * pixels : plane / channels * pixels * channels + plane % channels;
      const int64_t step = channels_first ? 1 : channels;
      for (int64_t p = 0; p < pixels; ++p) made[plane * pixels + p] = operand<TGEMM>(x[first + p * step], scale);
    }
  });
  return made;
}

using Ints = std::vector<int64_t>;

// Two or three values for three axes.
Extents three(const Ints& values, int64_t first) {
  return values.size() == 3 ? Extents{values[0], values[1], values[2]} : Extents{first, values[0], values[1]};
}

struct Window {
  const Ints &ksize, &stride, &pad, &dilation;
};

// `axes` is 2 or 3. Of a transposed convolution the extents of both sides are given, of others `out` is told.
int make_geometry(const char* op, Geometry* g, const Window& window, size_t axes) {
  constexpr int64_t kMost = int64_t{1} << 31;
  const auto all = [&](const Ints& values, int64_t least) {
    return std::all_of(values.begin(), values.end(), [&](int64_t v) { return v >= least && v < kMost; });
  };
  for (const Ints* list : {&window.ksize, &window.stride, &window.dilation}) {
    XDNN_CHECK(list->size() == axes && all(*list, 1), "ksize ", text(window.ksize), ", stride ", text(window.stride),
               ", dilation ", text(window.dilation), ": each needs ", axes, " values from 1 on");
  }
  XDNN_CHECK((window.pad.size() == axes || window.pad.size() == 2 * axes) && all(window.pad, 0), "pad ",
             text(window.pad), " needs ", axes, " or ", 2 * axes, " values from 0 on");
  XDNN_CHECK(g->n >= 0 && g->c > 0 && g->f > 0 && g->group > 0 && g->c % g->group == 0 && g->f % g->group == 0, g->c,
             " and ", g->f, " channels do not fall into ", g->group, " groups");
  g->kernel = three(window.ksize, 1), g->stride = three(window.stride, 1), g->dilation = three(window.dilation, 1);
  const bool both = window.pad.size() == 2 * axes;
  g->low = {}, g->out[0] = g->transposed ? g->out[0] : 1;
  for (size_t i = 0; i < axes; ++i) {
    const size_t axis = 3 - axes + i;
    g->low[axis] = both ? window.pad[2 * i] : window.pad[i];
    const int64_t pads = g->low[axis] + (both ? window.pad[2 * i + 1] : window.pad[i]);
    const int64_t reach = g->dilation[axis] * (g->kernel[axis] - 1) + 1;
    const int64_t wide = g->transposed ? g->out[axis] : g->in[axis];
    XDNN_CHECK(wide > 0 && wide < kMost && wide + pads >= reach, "a window that reaches over ", reach,
               " does not fit into ", wide, " with pad ", text(window.pad));
    (g->transposed ? g->in : g->out)[axis] = (wide + pads - reach) / g->stride[axis] + 1;
  }
  XDNN_CHECK(count_of({g->n, g->c, g->in[0], g->in[1], g->in[2]}) >= 0 &&
                 count_of({g->n, g->f, g->out[0], g->out[1], g->out[2]}) >= 0 &&
                 count_of({g->c, g->f, g->kernel[0], g->kernel[1], g->kernel[2]}) >= 0,
             "the convolution is too large");
  return SUCCESS;
}

template <class TX, class TW, class TY, class TGEMM>
int convolution(Context* ctx, const char* op, Geometry g, const Window& window, size_t axes, const TX* x, const TW* w,
                TY* y, const float* x_maxptr, const float* w_maxptr, float* y_maxptr, const float* bias,
                const TY* branch, Activation_t act, const TY* addend = nullptr) {
  XDNN_CHECK(ctx, "the context is null");
  if (ctx->dev().type() != kCPU && ctx->dev().type() < first_with<TGEMM>()) {
    return refuse(op, NOT_IMPLEMENT, "the arithmetic is not there on this generation");
  }
  XDNN_CHECK((!std::is_integral_v<TX> || x_maxptr) && (!std::is_integral_v<TW> || w_maxptr),
             "operands of an integer type need their max-pointers");
  const int code = make_geometry(op, &g, window, axes);
  if (code != SUCCESS) return code;
  if (g.y_count() == 0) return SUCCESS;
  const int64_t maxima = ctx->max_ptr_size();
  Work work{.operations = g.operations(), .arithmetic = arithmetic_of<TGEMM>};
  add_pass<TGEMM, TX>(&work, x_maxptr, g.x_count());
  add_pass<TGEMM, TW>(&work, w_maxptr, g.weight_count());
  const auto run = [=](const TX* x, const TW* w, TY* y, const float* x_maxptr, const float* w_maxptr, const float* bias,
                       const TY* branch, const TY* addend, float* y_maxptr) {
    double x_max = 1, w_max = 1;
    if (is_fixed<TGEMM>) {
      x_max = x_maxptr ? maximum_of(x_maxptr, maxima) : absolute_maximum(x, g.x_count());
      w_max = w_maxptr ? maximum_of(w_maxptr, maxima) : absolute_maximum(w, g.weight_count());
    }
    const auto xs = operands<TGEMM>(x, scale_of<TGEMM>(x_max), g.n, g.c, g.in_pixels(), g.channels_first);
    // f x c / group, or when transposed c x f / group
    const int64_t rows = g.transposed ? g.c : g.f, columns = (g.transposed ? g.f : g.c) / g.group;
    const auto ws = operands<TGEMM>(w, scale_of<TGEMM>(w_max), rows, columns, g.taps(), g.channels_first);
    const double unit = unit_of<TGEMM>(x_max) * unit_of<TGEMM>(w_max);
    const int64_t pixels = g.out_pixels();
    convolve(
        g, xs.data(), ws.data(), [&](int64_t image, int64_t channel, int64_t first, int64_t count, const auto* sums) {
          const int64_t step = g.channels_first ? 1 : g.f;
          const int64_t at =
              g.channels_first ? (image * g.f + channel) * pixels + first : (image * pixels + first) * g.f + channel;
          for (int64_t i = 0; i < count; ++i) {
            float value = static_cast<float>(sums[i] * unit) + (bias ? bias[channel] : 0.0f);
            if (branch) value += static_cast<float>(branch[at + i * step]);
            value = activate(act, value);
            if (addend) value += static_cast<float>(addend[at + i * step]);
            y[at + i * step] = TY(value);
          }
        });
    write_maximum(y, g.y_count(), y_maxptr, maxima);
  };
  return launch(ctx, op, work, run, In<TX>{x, g.x_count()}, In<TW>{w, g.weight_count(), false, true},
                Out<TY>{y, g.y_count()}, In<float>{x_maxptr, maxima, true}, In<float>{w_maxptr, maxima, true},
                In<float>{bias, g.f, true}, In<TY>{branch, g.y_count(), true}, In<TY>{addend, g.y_count(), true},
                Out<float>{y_maxptr, maxima, true});
}

}  // namespace

template <class TX, class TW, class TY, class TGEMM>
int conv2d_fusion(Context* ctx, const TX* x, const TW* weight, TY* y, int64_t n, int64_t c, int64_t h, int64_t w,
                  int64_t f, const Ints& ksize, const Ints& stride, const Ints& pad, const Ints& dilation,
                  int64_t group, const float* x_maxptr, const float* weight_maxptr, float* y_maxptr, bool is_nchw,
                  const float* bias, const TY* branch, const Activation_t& act, const TY* addend) {
  const Geometry g{.n = n, .c = c, .f = f, .group = group, .in = {1, h, w}, .channels_first = is_nchw};
  return convolution<TX, TW, TY, TGEMM>(ctx, "conv2d_fusion", g, {ksize, stride, pad, dilation}, 2, x, weight, y,
                                        x_maxptr, weight_maxptr, y_maxptr, bias, branch, act, addend);
}

template <class TX, class TW, class TY, class TGEMM>
int conv2d(Context* ctx, const TX* x, const TW* weight, TY* y, int64_t n, int64_t c, int64_t h, int64_t w, int64_t f,
           const Ints& ksize, const Ints& stride, const Ints& pad, const Ints& dilation, int64_t group,
           const float* x_maxptr, const float* weight_maxptr, float* y_maxptr, bool is_nchw) {
  return conv2d_fusion<TX, TW, TY, TGEMM>(ctx, x, weight, y, n, c, h, w, f, ksize, stride, pad, dilation, group,
                                          x_maxptr, weight_maxptr, y_maxptr, is_nchw, nullptr, nullptr,
                                          Activation_t::LINEAR);
}

template <class TY, class TW, class TX, class TGEMM>
int conv2d_transpose_v2(Context* ctx, const TY* y, const TW* weight, TX* x, int64_t n, int64_t yc, int64_t xh,
                        int64_t xw, int64_t xc, const Ints& ksize, const Ints& stride, const Ints& pad,
                        const Ints& dilation, int64_t group, const float* y_maxptr, const float* weight_maxptr,
                        float* x_maxptr, bool is_nchw) {
  const Geometry g{.n = n,
                   .c = yc,
                   .f = xc,
                   .group = group,
                   .in = {1, 0, 0},
                   .out = {1, xh, xw},
                   .transposed = true,
                   .channels_first = is_nchw};
  return convolution<TY, TW, TX, TGEMM>(ctx, "conv2d_transpose_v2", g, {ksize, stride, pad, dilation}, 2, y, weight, x,
                                        y_maxptr, weight_maxptr, x_maxptr, nullptr, nullptr, Activation_t::LINEAR);
}

template <class TX, class TW, class TY, class TGEMM>
int conv3d(Context* ctx, const TX* x, const TW* weight, TY* y, int64_t n, int64_t c, int64_t d, int64_t h, int64_t w,
           int64_t f, const Ints& ksize, const Ints& stride, const Ints& pad, const Ints& dilation, int64_t group,
           const float* x_maxptr, const float* weight_maxptr, float* y_maxptr, bool is_ncdhw) {
  const Geometry g{.n = n, .c = c, .f = f, .group = group, .in = {d, h, w}, .channels_first = is_ncdhw};
  return convolution<TX, TW, TY, TGEMM>(ctx, "conv3d", g, {ksize, stride, pad, dilation}, 3, x, weight, y, x_maxptr,
                                        weight_maxptr, y_maxptr, nullptr, nullptr, Activation_t::LINEAR);
}

#define XDNN_CONVOLUTIONS(TX, TW, TY, TGEMM)                                                                           \
  template int conv2d<TX, TW, TY, TGEMM>(Context*, const TX*, const TW*, TY*, int64_t, int64_t, int64_t, int64_t,      \
                                         int64_t, const Ints&, const Ints&, const Ints&, const Ints&, int64_t,         \
                                         const float*, const float*, float*, bool);                                    \
  template int conv2d_fusion<TX, TW, TY, TGEMM>(Context*, const TX*, const TW*, TY*, int64_t, int64_t, int64_t,        \
                                                int64_t, int64_t, const Ints&, const Ints&, const Ints&, const Ints&,  \
                                                int64_t, const float*, const float*, float*, bool, const float*,       \
                                                const TY*, const Activation_t&, const TY*);                            \
  template int conv2d_transpose_v2<TX, TW, TY, TGEMM>(Context*, const TX*, const TW*, TY*, int64_t, int64_t, int64_t,  \
                                                      int64_t, int64_t, const Ints&, const Ints&, const Ints&,         \
                                                      const Ints&, int64_t, const float*, const float*, float*, bool); \
  template int conv3d<TX, TW, TY, TGEMM>(Context*, const TX*, const TW*, TY*, int64_t, int64_t, int64_t, int64_t,      \
                                         int64_t, int64_t, const Ints&, const Ints&, const Ints&, const Ints&,         \
                                         int64_t, const float*, const float*, float*, bool);
XDNN_FOR_PRODUCTS(XDNN_CONVOLUTIONS)

}  // namespace baidu::xpu::api
