// What ops that drop parts of a tensor at random share.
#pragma once

#include "trireme/ops/numerics.h"

namespace trireme {

inline constexpr std::string_view kStateShape = "state has shape [4]";
inline constexpr std::string_view kProbability = "probability is within 0 .. 1";

inline void infer_dropping(Infer& i) {
  i.require(1, i.shape(1) == Shape{4});
  i.require(2, i.number("probability") >= 0 && i.number("probability") <= 1);
  i.output(i.dtype(0), i.shape(0));
}

// x / (1 - probability) where the word of `mask_shape` (broadcast to x) is at least probability * 2^32, else 0.
inline Value kept_elements(const Value& x, const Value& state, const Ints& mask_shape, double probability) {
  const double threshold = std::round(std::ldexp(probability, 32));
  if (threshold == 0.0) return x;
  if (threshold >= 4294967296.0) return ops::filled_like(x, 0.0);
  const Value bits = ops::rng_bits(state, mask_shape);
  const Value keep = ops::compare(bits, threshold, "ge");
  const Value scaled = ops::as_type(ops::widen(x) * (1.0 / (1.0 - probability)), x.dtype());
  return ops::select(keep, scaled, ops::scalar(x.dtype(), 0.0));
}

}  // namespace trireme
