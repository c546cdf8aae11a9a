// Reductions over axes, scans along one, softmax and its relatives.
#include "trireme/base/strings.h"
#include "trireme/formats/onnx/call.h"

namespace trireme::formats::onnx {

namespace {

// Axes became an input: of ReduceSum at opset 13, of the others at 18. Nothing to reduce: the input itself.
struct Reduced {
  Ints axes;
  bool keep;
  bool nothing;
};
Reduced reduced(Call& c, int since) {
  Reduced out;
  Ints axes;
  if (c.opset() < since) axes = c.integers("axes");
  else if (c.has(1)) axes = c.known_ints(1);
  out.keep = c.integer("keepdims", 1) != 0;
  out.nothing = axes.empty() && c.integer("noop_with_empty_axes", 0) != 0;
  out.axes = axes.empty() ? ops::iota_axes(c.rank(0)) : ops::normal_axes(c.axes(axes, c.rank(0)), c.rank(0));
  return out;
}

// f(x, axes, keep) in the type of statistics; a scalar and a reduction of nothing are left to `alone`.
template <class F, class Alone>
void reduce(Call& c, int since, F f, Alone alone) {
  const Reduced r = reduced(c, since);
  const Value x = ops::widen(c.x(0));
  const Value y = r.nothing || r.axes.empty() ? alone(x) : f(x, r.axes, r.keep);
  c.result(ops::as_type(y, c.dtype(0)));
}
const auto as_is = [](const Value& x) { return x; };

void reduce_sum(Call& c) {
  reduce(
      c, 13, [](const Value& x, const Ints& axes, bool keep) { return ops::reduce_sum(x, axes, keep); }, as_is);
}
void reduce_prod(Call& c) {
  reduce(
      c, 18, [](const Value& x, const Ints& axes, bool keep) { return ops::reduce_prod(x, axes, keep); }, as_is);
}
void reduce_mean(Call& c) {
  reduce(
      c, 18,
      [](const Value& x, const Ints& axes, bool keep) {
        const Value sum = ops::reduce_sum(x, axes, keep);
        return sum / ops::filled_like(sum, ops::folded(x, axes));
      },
      as_is);
}
void reduce_l1(Call& c) {
  reduce(
      c, 18, [](const Value& x, const Ints& a, bool keep) { return ops::reduce_sum(ops::abs(x), a, keep); },
      [](const Value& x) { return ops::abs(x); });
}
Value root(const Value& x) {  // of integers in f64
  return is_float(x.dtype()) ? ops::sqrt(x) : ops::convert(ops::sqrt(ops::convert(x, f64)), x.dtype());
}
void reduce_l2(Call& c) {
  reduce(
      c, 18, [](const Value& x, const Ints& a, bool keep) { return root(ops::reduce_sum(x * x, a, keep)); },
      [](const Value& x) { return ops::abs(x); });
}
void reduce_sum_square(Call& c) {
  reduce(
      c, 18, [](const Value& x, const Ints& a, bool keep) { return ops::reduce_sum(x * x, a, keep); },
      [](const Value& x) { return x * x; });
}
void reduce_log_sum(Call& c) {
  reduce(
      c, 18, [](const Value& x, const Ints& a, bool keep) { return ops::log(ops::reduce_sum(x, a, keep)); },
      [](const Value& x) { return ops::log(x); });
}
void reduce_log_sum_exp(Call& c) {
  reduce(
      c, 18,
      [](const Value& x, const Ints& a, bool keep) {
        for (int64_t axis : a) {
          if (x.shape()[static_cast<int>(axis)] == 0) return ops::log(ops::reduce_sum(x, a, keep));
        }
        return ops::log_sum_exp(x, a, keep);
      },
      as_is);
}

template <Value (*of_numbers)(const Value&, const Ints&, bool), Value (*of_bools)(const Value&, const Ints&, bool)>
void reduce_extreme(Call& c) {
  const Reduced r = reduced(c, 18);
  const Value& x = c.x(0);
  if (r.nothing || r.axes.empty()) c.result(x);
  else c.result(x.dtype() == boolean ? of_bools(x, r.axes, r.keep) : of_numbers(x, r.axes, r.keep));
}

template <Value (*f)(const Value&, int64_t, bool)>
void arg_extreme(Call& c) {
  const Value& x = c.x(0);
  const int64_t axis = c.axis(c.integer("axis", 0), x.shape().rank());
  const bool keep = c.integer("keepdims", 1) != 0;
  if (c.integer("select_last_index", 0) == 0) {
    c.result(ops::convert(f(x, axis, keep), i64));
    return;
  }
  const double last = static_cast<double>(x.shape()[static_cast<int>(axis)] - 1);
  c.result(last - ops::convert(f(ops::reverse(x, {axis}), axis, keep), i64));
}

void cumulative(Call& c, bool product) {
  const Value& x = c.x(0);
  const int64_t axis = c.axis(c.known_int(1), x.shape().rank());
  const bool exclusive = c.integer("exclusive", 0) != 0, reverse = c.integer("reverse", 0) != 0;
  if (!product) {
    c.result(ops::cumsum(x, axis, exclusive, reverse));
    return;
  }
  Value y = reverse ? ops::reverse(x, {axis}) : x;
  const auto a = static_cast<size_t>(axis);
  if (exclusive && x.shape().elements() > 0) {  // 1, then all but the last
    Ints low(static_cast<size_t>(x.shape().rank()), 0), none = low;
    low[a] = 1;
    const int64_t size = x.shape()[static_cast<int>(axis)];
    y = ops::pad(ops::slice_axis(y, static_cast<int>(axis), 0, size - 1), low, none, none, 1.0);
  }
  y = ops::cumprod(y, axis);
  c.result(reverse ? ops::reverse(y, {axis}) : y);
}
void cum_sum(Call& c) { cumulative(c, false); }
void cum_prod(Call& c) { cumulative(c, true); }

// Until opset 12 over all axes from `axis` on, flattened.
template <Value (*f)(const Value&, int64_t)>
void normalised_exp(Call& c) {
  const Value x = ops::widen(c.x(0));
  const Shape& shape = x.shape();
  if (c.opset() >= 13) {
    c.result(ops::as_type(f(x, c.axis(c.integer("axis", -1), shape.rank())), c.dtype(0)));
    return;
  }
  int64_t axis = c.integer("axis", 1);
  if (axis != shape.rank()) axis = c.axis(axis, shape.rank());
  const int64_t outer = Shape(shape.sizes().first(static_cast<size_t>(axis))).elements();
  const int64_t inner = Shape(shape.sizes().subspan(static_cast<size_t>(axis))).elements();
  c.result(ops::as_type(ops::reshape(f(ops::reshape(x, {outer, inner}), 1), shape.vector()), c.dtype(0)));
}

}  // namespace

std::span<const Mapping> reduction_mappings() {
  static constexpr Mapping table[] = {
      {"ArgMax", arg_extreme<ops::argmax>},
      {"ArgMin", arg_extreme<ops::argmin>},
      {"CumProd", cum_prod, 26},
      {"CumSum", cum_sum, 11},
      {"LogSoftmax", normalised_exp<ops::log_softmax>},
      {"ReduceL1", reduce_l1},
      {"ReduceL2", reduce_l2},
      {"ReduceLogSum", reduce_log_sum},
      {"ReduceLogSumExp", reduce_log_sum_exp},
      {"ReduceMax", reduce_extreme<ops::reduce_max, ops::reduce_or>},
      {"ReduceMean", reduce_mean},
      {"ReduceMin", reduce_extreme<ops::reduce_min, ops::reduce_and>},
      {"ReduceProd", reduce_prod},
      {"ReduceSum", reduce_sum},
      {"ReduceSumSquare", reduce_sum_square},
      {"Softmax", normalised_exp<ops::softmax>},
  };
  return table;
}

}  // namespace trireme::formats::onnx
