// Axes folded into one number each, running sums, the largest and their places, sorting.
#include "trireme/base/strings.h"
#include "trireme/formats/paddle/call.h"

namespace trireme::formats::paddle {

namespace {

// The axes of `dim`, or all.
Ints reduced_axes(Call& c, int rank) {
  const Ints dim = c.integers("dim");
  if (c.flag("reduce_all") || dim.empty()) return ops::iota_axes(rank);
  return ops::normal_axes(c.axes(dim, rank), rank);
}

template <Value (*f)(const Value&, const Ints&, bool)>
void reduce(Call& c) {
  Value x = c.x("X");
  const DType type = c.type("out_dtype", x.dtype());
  x = ops::as_type(x, type);
  const Ints axes = reduced_axes(c, x.shape().rank());
  const bool keep = c.flag("keep_dim");
  c.result(axes.empty() ? x : in_wide(x, [&](const Value& v) { return f(v, axes, keep); }));
}

void mean_all(Call& c) {
  const Value x = c.x("X");
  c.result(in_wide(x, [&](const Value& v) { return ops::mean(v, ops::iota_axes(v.shape().rank()), false); }));
}

void log_sum_exp(Call& c) {
  const Value x = c.x("X");
  Ints axes = ops::iota_axes(x.shape().rank());
  if (!c.flag("reduce_all") && !c.integers("axis").empty()) {
    axes = ops::normal_axes(c.axes(c.integers("axis"), x.shape().rank()), x.shape().rank());
  }
  c.result(in_wide(x, [&](const Value& v) { return ops::log_sum_exp(v, axes, c.flag("keepdim")); }));
}

template <Value (*f)(const Value&, int64_t, bool)>
void place_of(Call& c) {
  Value x = c.x("X");
  const bool flat = c.flag("flatten"), keep = c.flag("keepdims");
  if (flat) x = ops::reshape(x, {x.shape().elements()});
  const int64_t axis = flat ? 0 : c.axis(c.integer("axis", -1), x.shape().rank());
  Value y = f(x, axis, keep && !flat);
  if (flat && keep) y = ops::reshape(y, Ints(static_cast<size_t>(c.x("X").shape().rank()), 1));
  const int64_t type = c.integer("dtype", -1);
  c.result(ops::as_type(y, type < 0 ? i64 : element_type(type)));
}

// Values and their places, in order along an axis.
Values sorted(const Value& x, int64_t axis, bool descending) {
  return ops::sort({x, ops::iota(x.shape().vector(), i64, axis)}, axis, descending);
}

void top(Call& c, int64_t axis, bool largest) {
  const Value x = c.x("X");
  axis = c.axis(axis, x.shape().rank());
  const int64_t k = c.size("K", "k", 1);
  c.require(k >= 1 && k <= x.shape()[static_cast<int>(axis)], cat("k is ", k, " of ", x.shape()));
  const Values both = sorted(x, axis, largest);
  c.result("Out", ops::slice_axis(both[0], static_cast<int>(axis), 0, k));
  c.result("Indices", ops::slice_axis(both[1], static_cast<int>(axis), 0, k));
}
void top_k(Call& c) { top(c, -1, true); }
void top_k_v2(Call& c) { top(c, c.integer("axis", -1), c.flag("largest", true)); }

void argsort(Call& c) {
  const Value x = c.x("X");
  const Values both = sorted(x, c.axis(c.integer("axis", -1), x.shape().rank()), c.flag("descending"));
  c.result("Out", both[0]);
  c.result("Indices", both[1]);
}

void cumsum(Call& c) {
  Value x = c.x("X");
  if (c.flag("flatten")) x = ops::reshape(x, {x.shape().elements()});
  const int64_t axis = c.axis(c.integer("axis", -1), x.shape().rank());
  c.result(ops::cumsum(x, axis, c.flag("exclusive"), c.flag("reverse")));
}
void cumprod(Call& c) {
  const Value x = c.x("X");
  c.result(ops::cumprod(x, c.axis(c.integer("dim", -1), x.shape().rank())));
}

}  // namespace

std::span<const Mapping> reduction_mappings() {
  static constexpr Mapping table[] = {
      {"arg_max", place_of<ops::argmax>},
      {"arg_min", place_of<ops::argmin>},
      {"argsort", argsort},
      {"cumprod", cumprod},
      {"cumsum", cumsum},
      {"logsumexp", log_sum_exp},
      {"mean", mean_all},
      {"reduce_all", reduce<ops::all>},
      {"reduce_any", reduce<ops::any>},
      {"reduce_max", reduce<ops::reduce_max>},
      {"reduce_mean", reduce<ops::mean>},
      {"reduce_min", reduce<ops::reduce_min>},
      {"reduce_prod", reduce<ops::reduce_prod>},
      {"reduce_sum", reduce<ops::reduce_sum>},
      {"top_k", top_k},
      {"top_k_v2", top_k_v2},
  };
  return table;
}

}  // namespace trireme::formats::paddle
