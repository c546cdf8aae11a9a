// The parts of attention and of its gradient. Heads of queries that share a head of keys are rows of one matrix:
// q [N, Hk*G, T, D] is seen as [N*Hk, G*T, D], so that keys and values are never copied per query head.
#pragma once

#include "trireme/ops/numerics.h"

namespace trireme {

struct AttentionSizes {
  int64_t batch, heads, key_heads, group, queries, keys, width, value_width;
  AttentionSizes(const Shape& q, const Shape& k, const Shape& v)
      : batch(q[0]),
        heads(q[1]),
        key_heads(k[1]),
        group(k[1] == 0 ? 0 : q[1] / k[1]),
        queries(q[2]),
        keys(k[2]),
        width(q[3]),
        value_width(v[3]) {}
  Value query_rows(const Value& x, int64_t columns) const {
    return ops::reshape(x, {batch * key_heads, group * queries, columns});
  }
  Value key_rows(const Value& x, int64_t columns) const { return ops::reshape(x, {batch * key_heads, keys, columns}); }
};

// The factor of the scores in two parts. 16-bit queries take a power of two, which rounds nothing and keeps f16 scores
// from overflowing; the rest, rounded to 16 bits, would be off by the same share everywhere, so the f32 scores take it.
struct AttentionScale {
  double of_queries, of_scores = 1.0;
  AttentionScale(const AttributeReader& a, int64_t width, DType type) {
    const double given = a.number("scale");
    of_queries = given != 0.0 ? given : 1.0 / std::sqrt(static_cast<double>(std::max<int64_t>(width, 1)));
    if (ops::wide_type(type) == type) return;
    int exponent = 0;
    of_scores = 2.0 * std::frexp(of_queries, &exponent);
    of_queries = std::ldexp(1.0, exponent - 1);
  }
  Value scores(const Value& x) const { return of_scores == 1.0 ? x : x * of_scores; }
};

inline Value swapped(const Value& x) { return ops::transpose(x, {0, 2, 1}); }

// Softmax of scores, [N*Hk, G*T, S], in the wide type; `q` already carries its part of the scale. A query that may
// attend to no key has probabilities 0.
inline Value attention_probabilities(const AttributeReader& a, const AttentionSizes& s, const AttentionScale& scale,
                                     const Value& q, const Value& k, const Value& mask) {
  const Value product = ops::dot_general(s.query_rows(q, s.width), swapped(s.key_rows(k, s.width)));
  Value scores = ops::reshape(scale.scores(ops::widen(product)), {s.batch, s.key_heads, s.group, s.queries, s.keys});
  const DType type = scores.dtype();
  const Value nothing = ops::scalar(type, -std::numeric_limits<double>::infinity());
  if (mask) {
    const Shape full{s.batch, s.heads, s.queries, s.keys};
    Value each = ops::reshape(ops::broadcast_to(mask, full.vector()), scores.shape().vector());
    scores = mask.dtype() == boolean ? ops::select(each, scores, nothing) : scores + ops::as_type(each, type);
  }
  if (a.flag("causal")) {
    const Ints plane = {s.queries, s.keys};
    const Value query = ops::iota(plane, i32, 0) + static_cast<double>(s.keys - s.queries);
    scores = ops::select(ops::compare(ops::iota(plane, i32, 1), query, "le"), scores, nothing);
  }
  const bool may_be_empty = mask || (a.flag("causal") && s.keys < s.queries);
  Value top = ops::reduce_max(scores, {4}, true);
  if (may_be_empty) top = ops::max(top, lowest(type));
  const Value weights = ops::exp(scores - top);
  Value sum = ops::sum_kept(weights, {4});
  if (may_be_empty) {
    sum = ops::select(ops::compare(sum, 0.0, "eq"), 1.0, sum);
  }
  return ops::reshape(weights / sum, {s.batch * s.key_heads, s.group * s.queries, s.keys});
}

// Gradient with respect to the scores: p (dp - sum p dp), where sum p dp = sum dy y, which needs no second pass over p.
inline Value attention_score_gradient(const AttentionSizes& s, const Value& p, const Value& v, const Value& y,
                                      const Value& dy) {
  const Value rows = s.query_rows(dy, s.value_width);
  const Value dp = ops::widen(ops::dot_general(rows, swapped(s.key_rows(v, s.value_width))));
  const Value sum = ops::sum_kept(ops::widen(rows) * ops::widen(s.query_rows(y, s.value_width)), {2});
  return p * (dp - sum);
}

}  // namespace trireme
