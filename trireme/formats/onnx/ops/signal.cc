// Spectra and windows.
#include <cmath>
#include <numbers>

#include "trireme/base/strings.h"
#include "trireme/formats/onnx/call.h"

namespace trireme::formats::onnx {

namespace {

// cos and sin of 2 pi n k / length, as [n, k].
struct Waves {
  Value cosine, sine;
};
Waves waves(DType type, int64_t n, int64_t k, int64_t length) {
  std::vector<double> cosine, sine;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < k; ++j) {
      const double angle = 2 * std::numbers::pi * static_cast<double>((i * j) % length) / static_cast<double>(length);
      cosine.push_back(std::cos(angle));
      sine.push_back(std::sin(angle));
    }
  }
  const Shape shape = {n, k};
  return {ops::constant(Literal::from_doubles(type, shape, cosine)),
          ops::constant(Literal::from_doubles(type, shape, sine))};
}

constexpr int64_t kMaxTable = 1 << 24;  // elements of the table of waves

// The transform of the last axis but one of x [rows, length, 1 or 2]; `keep` frequencies.
Value transformed(Call& c, const Value& x, int64_t length, int64_t keep, bool inverse) {
  const int64_t rows = x.shape()[0];
  if (bounded(Wide{length} * keep) > kMaxTable) c.unsupported(cat("a transform of ", length, " elements"));
  const Waves w = waves(x.dtype(), length, keep, length);
  const auto part = [&](int64_t k) { return ops::reshape(ops::slice_axis(x, 2, k, k + 1), {rows, length}); };
  const Value real = part(0);
  const double sign = inverse ? 1.0 : -1.0;
  Value re = ops::matmul(real, w.cosine), im = ops::matmul(real, w.sine) * sign;
  if (x.shape()[2] == 2) {
    const Value imaginary = part(1);
    re = re - ops::matmul(imaginary, w.sine) * sign;
    im = im + ops::matmul(imaginary, w.cosine);
  }
  const double scale = inverse ? 1.0 / static_cast<double>(length) : 1.0;
  const Ints one = {rows, keep, 1};
  return ops::concat({ops::reshape(re * scale, one), ops::reshape(im * scale, one)}, 2);
}

// Cut, or filled up with zeros.
Value to_length(const Value& x, int axis, int64_t length) {
  const int64_t size = x.shape()[axis];
  if (size >= length) return ops::slice_axis(x, axis, 0, length);
  Ints none(static_cast<size_t>(x.shape().rank()), 0), high = none;
  high[static_cast<size_t>(axis)] = length - size;
  return ops::pad(x, none, high, none, 0.0);
}

void dft(Call& c) {
  const int rank = c.rank(0);
  c.require(rank >= 2, "the input has a signal axis and one of real and imaginary parts");
  const int64_t given = c.opset() < 20 ? c.integer("axis", 1) : c.has(2) ? c.known_int(2) : -2;
  const int axis = static_cast<int>(c.axis(given, rank));
  c.require(axis < rank - 1, "the last axis holds real and imaginary parts");
  const bool inverse = c.integer("inverse", 0) != 0, one_sided = c.integer("onesided", 0) != 0;
  Value x = ops::widen(c.x(0));
  const int64_t parts = x.shape()[rank - 1];
  c.require(parts == 1 || parts == 2, "the last axis has size 1 or 2");
  int64_t length = c.has(1) ? c.known_int(1) : inverse && one_sided ? 2 * (x.shape()[axis] - 1) : x.shape()[axis];
  c.require(length >= 1, cat("a transform of ", length));
  const bool back_to_real = inverse && one_sided;  // the other half of the spectrum mirrors the given one
  x = to_length(x, axis, back_to_real ? length / 2 + 1 : length);
  Ints order;
  for (int a = 0; a < rank - 1; ++a) {
    if (a != axis) order.push_back(a);
  }
  order.push_back(axis);
  order.push_back(rank - 1);
  const Value moved = ops::transpose(x, order);
  const int64_t size = moved.shape()[rank - 2];
  int64_t rows = 1;
  for (int a = 0; a < rank - 2; ++a) rows *= moved.shape()[a];
  Value signal = ops::reshape(moved, {rows, size, parts});
  if (back_to_real) {
    if (parts == 1) signal = ops::concat({signal, ops::filled_like(signal, 0.0)}, 2);
    const int64_t mirrored = length - size;
    if (mirrored > 0) {
      const Value rest = ops::reverse(ops::slice_axis(signal, 1, 1, 1 + mirrored), {1});
      const Value re = ops::slice_axis(rest, 2, 0, 1), im = ops::slice_axis(rest, 2, 1, 2);
      signal = ops::concat({signal, ops::concat({re, -im}, 2)}, 1);
    }
  }
  const int64_t keep = one_sided && !inverse ? length / 2 + 1 : length;
  Value y = transformed(c, signal, length, keep, inverse);
  if (back_to_real) y = ops::slice_axis(y, 2, 0, 1);
  Ints sizes(moved.shape().begin(), moved.shape().end() - 2);
  sizes.push_back(keep);
  sizes.push_back(y.shape()[2]);
  c.result(ops::as_type(ops::transpose(ops::reshape(y, sizes), ops::inverse_order(order)), c.dtype(0)));
}

void stft(Call& c) {
  Value x = ops::widen(c.x(0));
  if (x.shape().rank() == 2) x = ops::reshape(x, {x.shape()[0], x.shape()[1], 1});
  c.require(x.shape().rank() == 3, "the signal is [batch, length, 1 or 2]");
  const int64_t step = c.known_int(1), total = x.shape()[1];
  const int64_t length = c.has(3) ? c.known_int(3) : c.has(2) ? c.shape(2).elements() : total;
  c.require(step >= 1 && length >= 1 && length <= total, cat("frames of ", length, " every ", step, " of ", total));
  const bool one_sided = c.integer("onesided", 1) != 0;
  const int64_t frames = (total - length) / step + 1, batch = x.shape()[0], parts = x.shape()[2];
  const Ints grid = {frames, length};
  const Value places = ops::iota(grid, i64, 0) * static_cast<double>(step) + ops::iota(grid, i64, 1);
  Value framed = ops::gather(x, places, 1);  // [batch, frames, length, parts]
  if (c.has(2)) {
    const Value window = ops::as_type(c.x(2), x.dtype());
    framed = framed * broadcast(ops::reshape(window, {1, 1, length, 1}), framed.shape());
  }
  const int64_t keep = one_sided ? length / 2 + 1 : length;
  const Value y = transformed(c, ops::reshape(framed, {batch * frames, length, parts}), length, keep, false);
  c.result(ops::as_type(ops::reshape(y, {batch, frames, keep, 2}), c.dtype(0)));
}

// sum of a_k cos(2 pi k n / size).
void cosine_window(Call& c, const std::vector<double>& terms) {
  const int64_t size = c.known_int(0);
  c.require(size >= 0 && size <= (1 << 24), cat("a window of ", size));
  const double period = static_cast<double>(c.integer("periodic", 1) != 0 ? size : size - 1);
  std::vector<double> values;
  for (int64_t n = 0; n < size; ++n) {
    double sum = 0.0;
    for (size_t k = 0; k < terms.size(); ++k) {
      sum += terms[k] * std::cos(2 * std::numbers::pi * static_cast<double>(k) * static_cast<double>(n) / period);
    }
    values.push_back(size == 1 ? 1.0 : sum);
  }
  const auto elem = static_cast<Elem>(c.integer("output_datatype", 1));
  c.result(0, Item(elem, ops::constant(Literal::from_doubles(carrier(elem), Shape{size}, values))));
}
void hann(Call& c) { cosine_window(c, {0.5, -0.5}); }
void hamming(Call& c) { cosine_window(c, {25.0 / 46.0, -21.0 / 46.0}); }
void blackman(Call& c) { cosine_window(c, {0.42, -0.5, 0.08}); }

// Triangles of height 1 between places evenly spaced on the mel scale.
void mel_weights(Call& c) {
  const int64_t bands = c.known_int(0), length = c.known_int(1), rate = c.known_int(2);
  const double low = c.known_numbers(3).at(0), high = c.known_numbers(4).at(0);
  c.require(bands >= 1 && length >= 1 && rate >= 1 && bands < (1 << 16) && length < (1 << 20), "sizes are 1 or more");
  const int64_t bins = length / 2 + 1;
  const auto mel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  const double from = mel(low), step = (mel(high) - from) / static_cast<double>(bands + 2);
  std::vector<int64_t> edges;
  for (int64_t k = 0; k < bands + 2; ++k) {
    const double hertz = 700 * (std::pow(10.0, (from + static_cast<double>(k) * step) / 2595) - 1);
    edges.push_back(
        static_cast<int64_t>(std::floor(static_cast<double>(length + 1) * hertz / static_cast<double>(rate))));
  }
  std::vector<double> weights(static_cast<size_t>(bins * bands), 0.0);
  const auto set = [&](int64_t bin, int64_t band, double value) {
    if (bin >= 0 && bin < bins) weights[static_cast<size_t>(bin * bands + band)] = value;
  };
  for (int64_t k = 0; k < bands; ++k) {
    const auto i = static_cast<size_t>(k);
    const int64_t begin = edges[i], centre = edges[i + 1], end = edges[i + 2];
    if (centre == begin) set(centre, k, 1.0);
    for (int64_t j = begin; j <= centre && centre > begin; ++j) {
      set(j, k, static_cast<double>(j - begin) / static_cast<double>(centre - begin));
    }
    for (int64_t j = centre; j < end && end > centre; ++j) {
      set(j, k, static_cast<double>(end - j) / static_cast<double>(end - centre));
    }
  }
  const auto elem = static_cast<Elem>(c.integer("output_datatype", 1));
  c.result(0, Item(elem, ops::constant(Literal::from_doubles(carrier(elem), Shape{bins, bands}, weights))));
}

}  // namespace

std::span<const Mapping> signal_mappings() {
  static constexpr Mapping table[] = {
      {"BlackmanWindow", blackman, 17},     {"DFT", dft, 17},
      {"HammingWindow", hamming, 17},       {"HannWindow", hann, 17},
      {"MelWeightMatrix", mel_weights, 17}, {"STFT", stft, 17},
  };
  return table;
}

}  // namespace trireme::formats::onnx
