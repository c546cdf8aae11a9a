// Attention in its variants.
#include <cmath>

#include "trireme/base/strings.h"
#include "trireme/formats/onnx/call.h"

namespace trireme::formats::onnx {

namespace {

// [B, S, heads D] as [B, heads, S, D].
Value with_heads(Call& c, const Value& x, int64_t heads) {
  const Shape& shape = x.shape();
  c.require(shape.rank() == 3 && heads >= 1 && shape[2] % heads == 0, cat(heads, " heads in ", shape));
  return ops::transpose(ops::reshape(x, {shape[0], shape[1], heads, shape[2] / heads}), {0, 2, 1, 3});
}
Value without_heads(const Value& x) {
  const Shape& shape = x.shape();
  return ops::reshape(ops::transpose(x, {0, 2, 1, 3}), {shape[0], shape[2], shape[1] * shape[3]});
}

// Each of the heads `times` over, side by side.
Value repeated_heads(const Value& x, int64_t times) {
  if (times == 1) return x;
  const Shape& s = x.shape();
  return ops::reshape(ops::broadcast_to(ops::reshape(x, {s[0], s[1], 1, s[2], s[3]}), {s[0], s[1], times, s[2], s[3]}),
                      {s[0], s[1] * times, s[2], s[3]});
}

Value transposed(const Value& x) { return ops::transpose(x, {0, 1, 3, 2}); }

void attention(Call& c) {
  Value q = c.x(0), k = c.x(1), v = c.x(2);
  const DType result = q.dtype(), type = ops::wide_type(result);
  const bool packed = q.shape().rank() == 3;
  if (packed) {
    q = with_heads(c, q, c.integer("q_num_heads"));
    k = with_heads(c, k, c.integer("kv_num_heads"));
    v = with_heads(c, v, c.integer("kv_num_heads"));
  }
  c.require(q.shape().rank() == 4 && k.shape().rank() == 4 && v.shape().rank() == 4,
            "Q, K and V have three or four axes");
  const int64_t past = c.has(4) ? c.shape(4)[2] : 0;
  if (c.has(4)) {
    k = ops::concat({c.x(4), k}, 2);
    v = ops::concat({c.x(5), v}, 2);
  }
  c.result(1, k);
  c.result(2, v);
  const int64_t batch = q.shape()[0], heads = q.shape()[1], queries = q.shape()[2], keys = k.shape()[2],
                size = q.shape()[3];
  c.require(k.shape()[1] >= 1 && heads % k.shape()[1] == 0, cat(heads, " query heads for ", k.shape()[1], " of keys"));
  k = repeated_heads(k, heads / k.shape()[1]);
  v = repeated_heads(v, heads / v.shape()[1]);
  // The root of the scale goes to either side, as products of 16-bit floats could overflow.
  const double root = std::sqrt(c.number("scale", 1.0 / std::sqrt(static_cast<double>(size))));
  q = ops::as_type(q, type) * root;
  k = ops::as_type(k, type) * root;
  Value scores = ops::matmul(q, transposed(k));
  const int64_t mode = c.integer("qk_matmul_output_mode", 0);
  const auto show = [&](int64_t which, const Value& value) {
    if (mode == which) c.result(3, ops::as_type(value, result));
  };
  show(0, scores);
  const Shape shape = scores.shape();
  const double softcap = c.number("softcap", 0.0);
  if (softcap != 0.0) scores = ops::tanh(scores / ops::filled_like(scores, softcap)) * softcap;
  show(1, scores);
  // What a query may see: where the mask, the causal order and the number of valid keys allow it.
  Value seen;
  const auto allow = [&](const Value& mask) {
    const Value wide = broadcast(mask, shape);
    seen = seen ? ops::and_(seen, wide) : wide;
  };
  const auto place = [&](int axis) { return ops::iota(shape.vector(), i64, axis); };
  Value valid;
  if (c.has(6)) valid = broadcast(ops::reshape(ops::as_type(c.x(6), i64), {batch, 1, 1, 1}), shape);
  if (c.integer("is_causal", 0) != 0) {
    Value last = place(2) + static_cast<double>(past);
    if (valid && !c.has(4)) last = place(2) + valid - static_cast<double>(queries);
    allow(ops::compare(place(3), last, "le"));
  }
  if (valid) allow(ops::compare(place(3), valid, "lt"));
  if (c.has(3)) {
    Value mask = c.x(3);
    const int64_t width = mask.shape().rank() == 0 ? 1 : mask.shape()[mask.shape().rank() - 1];
    const bool flags = mask.dtype() == boolean;
    if (width < keys && width != 1) {  // keys that the mask does not name are not seen
      Ints none(static_cast<size_t>(mask.shape().rank()), 0), high = none;
      high.back() = keys - width;
      mask = ops::pad(mask, none, high, none, flags ? 0.0 : -std::numeric_limits<double>::infinity());
    }
    if (flags) allow(mask);
    else scores = scores + broadcast(ops::as_type(mask, type), shape);
  }
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (seen) scores = ops::select(seen, scores, -infinity);
  show(2, scores);
  DType precise = type;
  if (c.given("softmax_precision")) precise = carrier(static_cast<Elem>(c.integer("softmax_precision")));
  Value shares = ops::as_type(ops::softmax(ops::as_type(scores, ops::wide_type(precise)), 3), type);
  // A query that sees nothing gives zeros.
  const Value blind = ops::compare(ops::reduce_max(scores, {3}, true), -infinity, "eq");
  shares = ops::select(broadcast(blind, shape), 0.0, shares);
  show(3, shares);
  Value y = ops::as_type(ops::matmul(shares, ops::as_type(v, type)), result);
  c.result(0, packed ? without_heads(y) : y);
}

void flex_attention(Call& c) {
  Value q = c.x(0), k = c.x(1), v = c.x(2);
  c.require(q.shape().rank() == 4 && k.shape().rank() == 4 && v.shape().rank() == 4, "Q, K and V have four axes");
  const DType result = q.dtype();
  const DType type = c.given("softmax_precision") ? carrier(static_cast<Elem>(c.integer("softmax_precision")))
                     : result == f64              ? f64
                                                  : f32;
  const int64_t heads = q.shape()[1];
  c.require(k.shape()[1] >= 1 && heads % k.shape()[1] == 0, "query heads are a multiple of key heads");
  k = repeated_heads(k, heads / k.shape()[1]);
  v = repeated_heads(v, heads / v.shape()[1]);
  const double scale = c.number("scale", 1.0 / std::sqrt(static_cast<double>(q.shape()[3])));
  const DType wide = ops::wide_type(type);
  Value scores = ops::as_type(ops::matmul(ops::as_type(q, wide), transposed(ops::as_type(k, wide))) * scale, type);
  const auto changed = [&](std::string_view name, const Value& x) {
    if (!c.given(name)) return x;
    const auto out = c.build(c.subgraph(name), {Item(x)});
    c.require(out.size() == 1 && out[0].kind == Kind::kTensor && out[0].value.type() == x.type(),
              cat(name, " keeps type and shape"));
    return out[0].value;
  };
  scores = changed("score_mod", scores);
  Value shares = ops::as_type(ops::softmax(ops::as_type(scores, wide), 3), type);
  shares = changed("prob_mod", shares);
  c.result(ops::as_type(ops::matmul(ops::as_type(shares, wide), ops::as_type(v, wide)), result));
}

// A state per head that each token updates and each query reads.
void linear_attention(Call& c) {
  const std::string rule = c.string("update_rule", "gated_delta");
  const bool gated = rule == "gated" || rule == "gated_delta", delta = rule == "delta" || rule == "gated_delta";
  c.require(gated || delta || rule == "linear", cat("update_rule '", rule, "'"));
  const int64_t q_heads = c.integer("q_num_heads"), heads = c.integer("kv_num_heads");
  const DType result = c.dtype(0), type = ops::wide_type(result);
  const auto unpacked = [&](int input, int64_t count) { return with_heads(c, ops::as_type(c.x(input), type), count); };
  const Value q = unpacked(0, q_heads), k = unpacked(1, heads), v = unpacked(2, heads);
  const int64_t batch = q.shape()[0], steps = q.shape()[2], dk = q.shape()[3], dv = v.shape()[3];
  c.require(heads >= 1 && q_heads % heads == 0 && k.shape()[3] == dk, cat(q_heads, " query heads for ", heads));
  if (steps > 4096) c.unsupported(cat(steps, " steps; at most 4096"));
  const double given = c.number("scale", 0.0), scale = given == 0.0 ? 1.0 / std::sqrt(static_cast<double>(dk)) : given;
  Value decay, beta;
  if (gated) {
    c.require(c.has(4), "decay is missing");
    decay = unpacked(4, heads);  // [B, H, T, dk or 1]
  }
  if (delta) {
    c.require(c.has(5), "beta is missing");
    const Value b = ops::as_type(c.x(5), type);
    beta = b.shape()[2] == heads ? with_heads(c, b, heads)
                                 : ops::broadcast_to(ops::reshape(b, {batch, 1, steps, 1}), {batch, heads, steps, 1});
  }
  Value state = c.has(3) ? ops::as_type(c.x(3), type) : ops::filled(type, {batch, heads, dk, dv}, 0.0);
  const Shape full = state.shape();
  const auto at = [&](const Value& x, int64_t t) { return ops::slice_axis(x, 2, t, t + 1); };  // [B, H, 1, D]
  std::vector<Value> outputs;
  for (int64_t t = 0; t < steps; ++t) {
    if (gated) {
      const Value g = ops::exp(at(decay, t));  // [B, H, 1, dk or 1], over the rows of the state
      state = state * broadcast(transposed(g), full);
    }
    const Value key = at(k, t);
    Value value = at(v, t);
    if (delta) value = (value - ops::matmul(key, state)) * broadcast(at(beta, t), value.shape());
    state = state + ops::matmul(transposed(key), value);
    outputs.push_back(ops::matmul(at(q, t), repeated_heads(state, q_heads / heads)) * scale);
  }
  const Value y = outputs.empty()       ? ops::filled(type, {batch, q_heads, 0, dv}, 0.0)
                  : outputs.size() == 1 ? outputs[0]
                                        : ops::concat(outputs, 2);
  c.result(0, ops::as_type(without_heads(y), result));
  c.result(1, ops::as_type(state, c.has(3) ? c.dtype(3) : result));
}

void rotary_embedding(Call& c) {
  Value x = c.x(0);
  const bool packed = x.shape().rank() == 3;
  if (packed) x = with_heads(c, x, c.integer("num_heads"));
  c.require(x.shape().rank() == 4, "X has three or four axes");
  const int64_t batch = x.shape()[0], heads = x.shape()[1], steps = x.shape()[2], size = x.shape()[3];
  const int64_t given = c.integer("rotary_embedding_dim", 0), turned = given == 0 ? size : given;
  c.require(turned >= 2 && turned <= size && turned % 2 == 0, cat("rotary_embedding_dim ", turned, " of ", size));
  const auto angles = [&](int input) {
    Value table = c.x(input);
    if (c.has(3)) table = ops::gather(table, ops::as_type(c.x(3), i64), 0);
    c.require(table.shape() == Shape({batch, steps, turned / 2}), cat("the table is ", table.shape()));
    return ops::broadcast_to(ops::reshape(table, {batch, 1, steps, turned / 2}), {batch, heads, steps, turned / 2});
  };
  const Value cosine = angles(1), sine = angles(2);
  const bool interleaved = c.integer("interleaved", 0) != 0;
  const Value front = ops::slice_axis(x, 3, 0, turned);
  const auto part = [&](int64_t k) {
    if (!interleaved) return ops::slice_axis(front, 3, k * (turned / 2), (k + 1) * (turned / 2));
    const Value pairs = ops::reshape(front, {batch, heads, steps, turned / 2, 2});
    return ops::reshape(ops::slice_axis(pairs, 4, k, k + 1), {batch, heads, steps, turned / 2});
  };
  const Value a = part(0), b = part(1), real = cosine * a - sine * b, imaginary = sine * a + cosine * b;
  Value y;
  if (interleaved) {
    const Ints one = {batch, heads, steps, turned / 2, 1};
    y = ops::reshape(ops::concat({ops::reshape(real, one), ops::reshape(imaginary, one)}, 4),
                     {batch, heads, steps, turned});
  } else {
    y = ops::concat({real, imaginary}, 3);
  }
  if (turned < size) y = ops::concat({y, ops::slice_axis(x, 3, turned, size)}, 3);
  c.result(packed ? without_heads(y) : y);
}

}  // namespace

std::span<const Mapping> attention_mappings() {
  static constexpr Mapping table[] = {
      {"Attention", attention, 23},
      {"FlexAttention", flex_attention, 1, kMaxOpset, "ai.onnx.preview"},
      {"LinearAttention", linear_attention, 27},
      {"RotaryEmbedding", rotary_embedding, 23},
  };
  return table;
}

}  // namespace trireme::formats::onnx
