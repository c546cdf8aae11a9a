// What transformer_encoder_layer and transformer_decoder_step share: the rules of a layer's weights, and its two
// halves, attention and a feed-forward network, each with a layer norm and added to what came in.
//
// The weights are twelve inputs in a row: of the query, key and value together (weight, bias), the output, the norm of
// the attention half, the two feed-forward matrices, the norm of the feed-forward half.
#pragma once

#include <array>

#include "trireme/ops/numerics.h"

namespace trireme {

// Rules 2 to 6 of both ops; `first` is the first weight, `width` the features of x.
inline void require_transformer_weights(const Infer& i, int first, int64_t width) {
  const auto is = [&](int weight, const Shape& shape) { return i.shape(first + weight) == shape; };
  i.require(2, is(0, {3 * width, width}) && is(1, {3 * width}) && is(2, {width, width}) && is(3, {width}));
  i.require(3, is(4, {width}) && is(5, {width}) && is(10, {width}) && is(11, {width}));
  const int64_t inner = i.rank(first + 6) == 2 ? i.shape(first + 6)[0] : 0;
  i.require(4, is(6, {inner, width}) && is(7, {inner}) && is(8, {width, inner}) && is(9, {width}));
  const std::string_view activation = i.string("activation");
  i.require(5, activation == "gelu" || activation == "gelu_tanh" || activation == "relu");
  i.require(6, i.number("epsilon") >= 0);
}

class TransformerLayer {
 public:
  TransformerLayer(const Decompose& d, int first, int64_t heads)
      : d_(d), first_(first), heads_(heads), pre_norm_(d.flag("pre_norm")) {}

  // Queries, keys and values of x [N, T, D], each [N, heads, T, D / heads].
  std::array<Value, 3> projected(const Value& x) const {
    const int64_t batch = x.shape()[0], time = x.shape()[1], width = x.shape()[2];
    const Value joint = ops::linear(pre_norm_ ? norm(x, 4) : x, weight(0), weight(1));
    std::array<Value, 3> parts;
    for (int k = 0; k < 3; ++k) {
      const Value part = ops::slice_axis(joint, 2, k * width, (k + 1) * width);
      parts[static_cast<size_t>(k)] =
          ops::transpose(ops::reshape(part, {batch, time, heads_, width / heads_}), {0, 2, 1, 3});
    }
    return parts;
  }

  // The layer's result from its input x [N, T, D] and what the heads gave, [N, heads, T, D / heads].
  Value result(const Value& x, const Value& attended) const {
    const Value joined = ops::reshape(ops::transpose(attended, {0, 2, 1, 3}), x.shape().vector());
    Value y = x + ops::linear(joined, weight(2), weight(3));
    if (!pre_norm_) y = norm(y, 4);
    const Value inner = activated(ops::linear(pre_norm_ ? norm(y, 10) : y, weight(6), weight(7)));
    y = y + ops::linear(inner, weight(8), weight(9));
    return pre_norm_ ? y : norm(y, 10);
  }

 private:
  const Value& weight(int k) const { return d_.x(first_ + k); }
  Value norm(const Value& x, int k) const {
    return ops::layer_norm(x, weight(k), weight(k + 1), 1, d_.number("epsilon"));
  }
  Value activated(const Value& x) const {
    const std::string_view activation = d_.string("activation");
    if (activation == "relu") return ops::relu(x);
    return ops::gelu(x, activation == "gelu" ? "none" : "tanh");
  }

  const Decompose& d_;
  int first_;
  int64_t heads_;
  bool pre_norm_;
};

}  // namespace trireme
