// Products and convolutions of 8-bit integers on the SDNN units. The library multiplies signed bytes and gives the sums
// as floats, which hold them exactly up to 2^24. So
//
//   sum (x - z) w  =  sum (x' - z') w  =  sum x' w  -  z' sum w,    x' = x - 128 and z' = z - 128 for u8
//
// is cut into pieces of the sum that cannot go beyond; the last term is the bias of a piece. What pads x is z'.
#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "chips/kunlun/kernel.h"

namespace trireme::kunlun {
namespace {

constexpr int64_t kExact = int64_t{1} << 24;
constexpr float kUnit = 127;  // a max-pointer with which a byte stands for itself

// What every piece of a product reads.
struct Bytes {
  int64_t zero;                // z'
  int64_t reach;               // the largest magnitude of x' and of x - z
  uint32_t x;                  // x', row-major and dense
  uint32_t maxima;             // table
  bool known;                  // w
  std::vector<int8_t> weight;  // where it is known, row-major
};

Bytes bytes_of_operands(Builder& b) {
  const int64_t given = b.node().integer("x_zero_point"), low = b.input(0).dtype == TRM_U8 ? 0 : -128;
  Bytes out{};
  out.zero = given - low - 128;
  out.reach = std::max({given - low, low + 255 - given, int64_t{128}});
  out.x = b.dense(0);
  if (low == 0) {  // less 128 is the highest bit the other way
    const int64_t count = chip::elements(b.input(0));
    const uint32_t from = out.x, to = b.temporary(static_cast<size_t>(count));
    const int8_t highest = -128;
    const uint32_t bit = b.table(std::as_bytes(std::span(&highest, 1)));
    b.step("broadcast_bitwise_xor", 2.0 * static_cast<double>(count), [=](const Run& run) {
      return api::broadcast_bitwise_xor<int8_t>(run.context, run.at<int8_t>(from),
                                                reinterpret_cast<const int8_t*>(run.tables[bit]), run.at<int8_t>(to),
                                                {count}, {1});
    });
    out.x = to;
  }
  const std::vector<float> maxima(b.card().sdnn, kUnit);
  out.maxima = b.table(std::as_bytes(std::span(maxima)));
  const TrmValue w = b.program().value(b.node().inputs()[1]);
  out.known = w.known != 0;
  if (out.known) {
    const std::vector<std::byte> bytes = packed(w);
    out.weight.resize(bytes.size());
    std::transform(bytes.begin(), bytes.end(), out.weight.begin(), [](std::byte v) { return static_cast<int8_t>(v); });
  }
  return out;
}

// Where pieces of a sum begin, and its end, in terms. `magnitude(term, result)`: how large the weights of a term are
// together, for each of so many results.
template <class F>
std::vector<int64_t> pieces(int64_t terms, int64_t results, int64_t reach, F magnitude) {
  std::vector<int64_t> bounds = {0}, total(static_cast<size_t>(results), 0);
  for (int64_t term = 0; term < terms; ++term) {
    int64_t most = 0;
    for (int64_t r = 0; r < results; ++r) most = std::max(most, total[static_cast<size_t>(r)] += magnitude(term, r));
    if (most * reach <= kExact) continue;
    want(term > bounds.back(), TRM_REASON_SIZE, "a channel whose sum may be more than a float holds exactly");
    bounds.push_back(term--);
    std::fill(total.begin(), total.end(), 0);
  }
  bounds.push_back(terms);
  return bounds;
}

// -z' times the sums of the weights of a piece, in floats, for each result.
struct Correction {
  uint32_t slot = TRM_ABSENT, table = TRM_ABSENT;
  bool wanted() const { return slot != TRM_ABSENT || table != TRM_ABSENT; }
  const float* at(const Run& run) const {
    if (table != TRM_ABSENT) return reinterpret_cast<const float*>(run.tables[table]);
    return slot == TRM_ABSENT ? nullptr : run.at<float>(slot);
  }
};
template <class F>
Correction known_correction(Builder& b, int64_t zero, int64_t results, F sum) {
  std::vector<float> numbers(static_cast<size_t>(results));
  for (int64_t r = 0; r < results; ++r) numbers[static_cast<size_t>(r)] = static_cast<float>(-zero * sum(r));
  return {TRM_ABSENT, b.table(std::as_bytes(std::span(numbers)))};
}
// The same of weights that are not known: `batch` times those of a row of ones with w, terms x results (or transposed).
Correction found_correction(Builder& b, const Bytes& bytes, uint32_t w, int64_t first, int64_t batch, int64_t stride,
                            int64_t terms, int64_t results, bool transposed) {
  const std::vector<int8_t> ones(static_cast<size_t>(terms), 1);
  const uint32_t row = b.table(std::as_bytes(std::span(ones)));
  const uint32_t to = b.temporary(static_cast<size_t>(batch * results) * sizeof(float));
  const uint32_t maxima = bytes.maxima;
  const auto alpha = static_cast<float>(-bytes.zero);
  const double count = static_cast<double>(batch * terms) * static_cast<double>(results);
  b.integer_product_step("fc_batched", 2 * count, count, 0, [=](const Run& run) {
    const auto* most = reinterpret_cast<const float*>(run.tables[maxima]);
    return api::fc_batched<int8_t, int8_t, float, int8_t>(run.context, batch, false, transposed, 1, results, terms,
                                                          alpha, reinterpret_cast<const int8_t*>(run.tables[row]), 0,
                                                          run.at<int8_t>(w) + first, stride, 0.0f, run.at<float>(to),
                                                          results, most, most);
  });
  return {to, TRM_ABSENT};
}

// Memory for the sums of all pieces, one behind the other; the result itself where it is a float and there is one.
struct Sums {
  uint32_t slot;
  int64_t count, pieces;
};
Sums sums_for(Builder& b, const std::vector<int64_t>& bounds) {
  const auto number = static_cast<int64_t>(bounds.size()) - 1;
  const int64_t count = chip::elements(b.output());
  if (b.take_tail().result != TRM_ABSENT) {
    want(number == 1, TRM_REASON_REGION, "sums that a float does not hold");
    return {b.result(), count, 1};
  }
  return {b.temporary(static_cast<size_t>(count * number) * sizeof(float)), count, number};
}
void add_up(Builder& b, const Sums& sums) {
  if (b.take_tail().result != TRM_ABSENT) return;
  const uint32_t y = b.result(), from = sums.slot;
  const int64_t count = sums.count, number = sums.pieces;
  const uint32_t to = number == 1 ? y : b.temporary(static_cast<size_t>(count * number) * sizeof(int32_t));
  b.step("cast", 8.0 * static_cast<double>(count * number), [=](const Run& run) {
    return api::cast<float, int32_t>(run.context, run.at<float>(from), run.at<int32_t>(to), count * number);
  });
  if (number == 1) return;
  b.step("reduce_sum", 4.0 * static_cast<double>(count * (number + 1)), [=](const Run& run) {
    return api::reduce_sum<int32_t>(run.context, run.at<int32_t>(to), run.at<int32_t>(y), {number, count}, {0});
  });
}

void zero(Builder& b) {
  const uint32_t y = b.result();
  const int64_t count = chip::elements(b.output());
  b.step("constant", 4.0 * static_cast<double>(count),
         [=](const Run& run) { return api::constant<int32_t>(run.context, run.at<int32_t>(y), count, 0); });
}

void dot_general(Builder& b) {
  const TrmValue x = b.input(0);
  const int64_t batch = x.dims[0], m = x.dims[1], k = x.dims[2], n = b.input(1).dims[2];
  if (k == 0) return zero(b);
  const Bytes bytes = bytes_of_operands(b);
  const uint32_t w = b.dense(1), maxima = bytes.maxima;
  const auto weight = [&](int64_t each, int64_t l, int64_t j) {
    return int64_t{bytes.weight[static_cast<size_t>((each * k + l) * n + j)]};
  };
  const std::vector<int64_t> bounds =
      bytes.known
          ? pieces(k, batch * n, bytes.reach, [&](int64_t l, int64_t r) { return std::abs(weight(r / n, l, r % n)); })
          : pieces(k, 1, bytes.reach, [](int64_t, int64_t) { return 128; });
  const Sums sums = sums_for(b, bounds);
  for (size_t p = 0; p + 1 < bounds.size(); ++p) {
    const int64_t first = bounds[p], terms = bounds[p + 1] - first, begin = static_cast<int64_t>(p) * sums.count;
    Correction correction;
    if (bytes.zero != 0 && bytes.known) {
      correction = known_correction(b, bytes.zero, batch * n, [&](int64_t r) {
        int64_t sum = 0;
        for (int64_t l = first; l < first + terms; ++l) sum += weight(r / n, l, r % n);
        return sum;
      });
    } else if (bytes.zero != 0) {
      correction = found_correction(b, bytes, w, first * n, batch, k * n, terms, n, false);
    }
    const double operations = 2.0 * static_cast<double>(batch * m * n) * static_cast<double>(terms);
    const double weights = static_cast<double>(terms) * static_cast<double>(n),
                 moved = static_cast<double>(m * terms + 4 * m * n);
    const uint32_t to = sums.slot;
    if (batch == 1) {
      const uint32_t from = bytes.x;
      b.integer_product_step("fc_fusion", operations, weights, moved, [=](const Run& run) {
        const auto* most = reinterpret_cast<const float*>(run.tables[maxima]);
        return api::fc_fusion<int8_t, int8_t, float, int8_t>(run.context, run.at<int8_t>(from) + first,
                                                             run.at<int8_t>(w) + first * n, run.at<float>(to) + begin,
                                                             m, n, terms, false, false, most, most, nullptr, k, n, n,
                                                             1.0f, 0.0f, correction.at(run), api::Activation_t::LINEAR);
      });
      continue;
    }
    TrmValue part = dense_value(TRM_I8, shape_of(x));
    part.dims[2] = terms;
    const uint32_t from = b.dense(bytes.x, part, first);
    b.integer_product_step(
        "fc_batched", operations, 0, static_cast<double>(batch) * (weights + moved), [=](const Run& run) {
          const auto* most = reinterpret_cast<const float*>(run.tables[maxima]);
          return api::fc_batched<int8_t, int8_t, float, int8_t>(
              run.context, batch, false, false, m, n, terms, 1.0f, run.at<int8_t>(from), m * terms,
              run.at<int8_t>(w) + first * n, k * n, 0.0f, run.at<float>(to) + begin, m * n, most, most);
        });
    if (!correction.wanted()) continue;
    b.step("broadcast_add", 8.0 * static_cast<double>(sums.count), [=](const Run& run) {
      float* sum = run.at<float>(to) + begin;
      return api::broadcast_add<float>(run.context, sum, correction.at(run), sum, {batch, m, n}, {batch, 1, n});
    });
  }
  add_up(b, sums);
}

// [N, C, spatial...] with zeros between and around the elements, where that is more than the library pads by itself:
// a dense slot of such extents.
uint32_t spread_out(Builder& b, const Bytes& bytes, const TrmValue& from, const api::Shape& low,
                    const api::Shape& dilation, TrmValue* to) {
  const auto zero = static_cast<int8_t>(bytes.zero);
  const int64_t count = chip::elements(*to);
  const uint32_t slot = b.temporary(static_cast<size_t>(count)), x = bytes.x;
  b.step("constant", static_cast<double>(count),
         [=](const Run& run) { return api::constant<int8_t>(run.context, run.at<int8_t>(slot), count, zero); });
  api::Shape write(to->strides, to->strides + to->rank);
  int64_t first = 0;
  for (size_t i = 0; i < low.size(); ++i) {
    first += low[i] * write[i + 2];
    write[i + 2] *= dilation[i];
  }
  const api::Shape shape = shape_of(from), read(from.strides, from.strides + from.rank);
  b.step("strided_copy", 2.0 * static_cast<double>(chip::elements(from)), [=](const Run& run) {
    return api::strided_copy<int8_t>(run.context, run.at<int8_t>(x), run.at<int8_t>(slot) + first, shape, shape, read,
                                     write);
  });
  return slot;
}

void convolution(Builder& b) {
  const size_t spatial = b.input(0).rank - 2;
  const auto list = [&](const char* name) {
    const auto given = b.node().integers(name);
    return given.size() == 1 ? api::Shape(spatial, given[0]) : api::Shape(given.begin(), given.end());
  };
  api::Shape stride = list("strides"), low = list("low"), high = list("high"), dilation = list("dilation");
  const api::Shape input_dilation = list("input_dilation");
  const int64_t groups = b.node().integer("groups");
  const TrmValue given = dense_value(TRM_I8, shape_of(b.input(0))), w = dense_value(TRM_I8, shape_of(b.input(1)));
  const int64_t n = given.dims[0], f = w.dims[0], channels = w.dims[1];
  if (chip::elements(given) == 0 || chip::elements(w) == 0) return zero(b);
  int64_t taps = 1;
  for (uint32_t a = 2; a < w.rank; ++a) taps *= w.dims[a];

  const Bytes bytes = bytes_of_operands(b);
  const uint32_t ws = b.dense(1), maxima = bytes.maxima;
  TrmValue x = given;
  uint32_t xs = bytes.x;
  const auto any_but = [](const api::Shape& values, int64_t usual) {
    return std::any_of(values.begin(), values.end(), [&](int64_t v) { return v != usual; });
  };
  if (any_but(input_dilation, 1) || (bytes.zero != 0 && (any_but(low, 0) || any_but(high, 0)))) {
    api::Shape extents = shape_of(given);
    for (size_t i = 0; i < spatial; ++i) {
      extents[i + 2] = low[i] + (extents[i + 2] - 1) * input_dilation[i] + 1 + high[i];
    }
    x = dense_value(TRM_I8, extents);
    xs = spread_out(b, bytes, given, low, input_dilation, &x);
    low.assign(spatial, 0), high.assign(spatial, 0);
  }
  const auto weight_sum = [&](int64_t result, int64_t channel, auto value) {
    int64_t sum = 0;
    for (int64_t t = 0; t < taps; ++t) {
      sum += value(int64_t{bytes.weight[static_cast<size_t>((result * channels + channel) * taps + t)]});
    }
    return sum;
  };
  const std::vector<int64_t> bounds =
      bytes.known
          ? pieces(channels, f, bytes.reach,
                   [&](int64_t c, int64_t r) { return weight_sum(r, c, [](int64_t v) { return std::abs(v); }); })
          : pieces(channels, 1, bytes.reach, [&](int64_t, int64_t) { return 128 * taps; });
  const Sums sums = sums_for(b, bounds);
  const uint32_t to = sums.slot;

  // A single spatial axis becomes the second of two.
  api::Shape kernel(w.dims + 2, w.dims + w.rank), extent(x.dims + 2, x.dims + x.rank);
  if (spatial == 1) {
    for (api::Shape* values : {&kernel, &extent, &stride, &dilation}) values->insert(values->begin(), 1);
    low.insert(low.begin(), 0), high.insert(high.begin(), 0);
  }
  api::Shape pad;
  for (size_t i = 0; i < low.size(); ++i) pad.insert(pad.end(), {low[i], high[i]});

  for (size_t p = 0; p + 1 < bounds.size(); ++p) {
    const int64_t first = bounds[p], some = bounds[p + 1] - first, begin = static_cast<int64_t>(p) * sums.count;
    uint32_t x_part = xs, w_part = ws;
    if (some < channels) {
      const int64_t pixels = chip::elements(x) / (n * groups * channels);
      const api::Shape cut = {n, groups, some, pixels};
      TrmValue view = dense_value(TRM_I8, cut);
      view.strides[1] = channels * pixels, view.strides[0] = groups * channels * pixels;
      x_part = b.dense(xs, view, first * pixels);
      TrmValue of_weight = dense_value(TRM_I8, {f, some, taps});
      of_weight.strides[0] = channels * taps;
      w_part = b.dense(ws, of_weight, first * taps);
    }
    Correction correction;
    if (bytes.zero != 0 && bytes.known) {
      correction = known_correction(b, bytes.zero, f, [&](int64_t r) {
        int64_t sum = 0;
        for (int64_t c = first; c < first + some; ++c) sum += weight_sum(r, c, [](int64_t v) { return v; });
        return sum;
      });
    } else if (bytes.zero != 0) {
      correction = found_correction(b, bytes, w_part, 0, 1, 0, some * taps, f, true);
    }
    const double weights = static_cast<double>(f * some * taps), results = static_cast<double>(sums.count);
    const double operations = 2.0 * results * static_cast<double>(some * taps);
    const double moved = static_cast<double>(chip::elements(x)) + 4.0 * results;
    if (spatial == 3) {
      b.integer_product_step("conv3d", operations, weights, moved, [=](const Run& run) {
        const auto* most = reinterpret_cast<const float*>(run.tables[maxima]);
        return api::conv3d<int8_t, int8_t, float, int8_t>(
            run.context, run.at<int8_t>(x_part), run.at<int8_t>(w_part), run.at<float>(to) + begin, n, groups * some,
            extent[0], extent[1], extent[2], f, kernel, stride, pad, dilation, groups, most, most, nullptr, true);
      });
      if (!correction.wanted()) continue;
      const int64_t places = sums.count / (n * f);
      b.step("broadcast_add", 8.0 * results, [=](const Run& run) {
        float* sum = run.at<float>(to) + begin;
        return api::broadcast_add<float>(run.context, sum, correction.at(run), sum, {n, f, places}, {1, f, 1});
      });
      continue;
    }
    b.integer_product_step("conv2d_fusion", operations, weights, moved, [=](const Run& run) {
      const auto* most = reinterpret_cast<const float*>(run.tables[maxima]);
      return api::conv2d_fusion<int8_t, int8_t, float, int8_t>(
          run.context, run.at<int8_t>(x_part), run.at<int8_t>(w_part), run.at<float>(to) + begin, n, groups * some,
          extent[0], extent[1], f, kernel, stride, pad, dilation, groups, most, most, nullptr, true, correction.at(run),
          nullptr, api::Activation_t::LINEAR);
    });
  }
  add_up(b, sums);
}

constexpr DTypeSet kBytes = only(i8) | only(u8);
constexpr KernelEntry kEntries[] = {
    {"integer_dot_general", kBytes, dot_general},
    {"integer_convolution", kBytes, convolution},
};

}  // namespace

std::span<const KernelEntry> integer_product_kernels() { return kEntries; }

}  // namespace trireme::kunlun
