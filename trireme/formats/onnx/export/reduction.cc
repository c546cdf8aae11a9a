// Reductions over axes, scans, sorting, softmax.
#include <cmath>

#include "trireme/formats/onnx/emit.h"
#include "trireme/ops/declare.h"

namespace trireme::formats::onnx {

namespace {

// `nothing`: what comes of no elements, where runtimes differ.
bool reduce(Emit& e, const char* op, double nothing) {
  if (e.shape(0).rank() == 0) {
    e.give(e.in(0));
    return true;
  }
  if (e.shape(0).elements() == 0) {
    e.give("Expand", {e.scalar(nothing), e.list(e.y().shape().vector())});
    return true;
  }
  // An empty list of axes is "all" here and there.
  const Ints axes = ops::normal_axes(e.integers("axes"), e.shape(0).rank());
  e.give(op, {e.in(0), e.list(axes.empty() ? ops::iota_axes(e.shape(0).rank()) : axes)},
         {{"keepdims", int64_t{e.flag("keepdims")}}});
  return true;
}
double lowest_of(const Emit& e) { return is_float(e.type()) ? -INFINITY : lowest(e.x(0).dtype()); }
double highest_of(const Emit& e) { return is_float(e.type()) ? INFINITY : highest(e.x(0).dtype()); }
bool reduce_sum(Emit& e) { return reduce(e, "ReduceSum", 0); }
bool reduce_prod(Emit& e) { return reduce(e, "ReduceProd", 1); }
bool reduce_max(Emit& e) { return reduce(e, "ReduceMax", lowest_of(e)); }
bool reduce_min(Emit& e) { return reduce(e, "ReduceMin", highest_of(e)); }
bool mean(Emit& e) { return reduce(e, "ReduceMean", NAN); }
bool log_sum_exp(Emit& e) { return reduce(e, "ReduceLogSumExp", -INFINITY); }

// Flags count as 0 and 1; the least of nothing is the largest number. Some is not none.
bool reduce_flags(Emit& e, bool negated) {
  const int rank = e.shape(0).rank();
  if (rank == 0) {
    e.give(e.in(0));
    return true;
  }
  const Ints axes = ops::normal_axes(e.integers("axes"), rank);
  const std::string flags = negated ? e.add("Not", {e.in(0)}) : e.in(0);
  const std::string least =
      e.add("ReduceMin", {e.cast(flags, boolean, i32), e.list(axes.empty() ? ops::iota_axes(rank) : axes)},
            {{"keepdims", int64_t{e.flag("keepdims")}}});
  const std::string all = e.cast(least, i32, boolean);
  e.give(negated ? e.add("Not", {all}) : all);
  return true;
}
bool reduce_and(Emit& e) { return reduce_flags(e, false); }
bool reduce_or(Emit& e) { return reduce_flags(e, true); }

bool arg(Emit& e, const char* op) {
  if (e.shape(0).rank() == 0) return false;
  const std::string index =
      e.add(op, {e.in(0)}, {{"axis", e.integer("axis")}, {"keepdims", int64_t{e.flag("keepdims")}}});
  e.give(e.cast(index, i64, e.y().dtype()));
  return true;
}
bool argmax(Emit& e) { return arg(e, "ArgMax"); }
bool argmin(Emit& e) { return arg(e, "ArgMin"); }

bool cumsum(Emit& e) {
  const Literal axis = Literal::scalar(e.integer("axis"));
  e.give("CumSum", {e.in(0), e.constant(axis)},
         {{"exclusive", int64_t{e.flag("exclusive")}}, {"reverse", int64_t{e.flag("reverse")}}});
  return true;
}

bool top_k(Emit& e) {
  const Names found =
      e.add("TopK", {e.in(0), e.list({e.integer("k")})},
            {{"axis", int64_t{-1}}, {"largest", int64_t{e.flag("largest")}}, {"sorted", int64_t{1}}}, 2);
  e.give(found[0], 0);
  e.give(e.cast(found[1], i64, e.y(1).dtype()), 1);
  return true;
}

// The k largest or smallest where k is all of them, and the others in that order.
bool sort(Emit& e) {
  const int rank = e.shape(0).rank();
  if (rank == 0) return false;
  const int axis = static_cast<int>(normal_axis(e.integer("axis"), rank));
  const Names sorted =
      e.add("TopK", {e.in(0), e.list({e.shape(0)[axis]})},
            {{"axis", int64_t{axis}}, {"largest", int64_t{e.flag("descending")}}, {"sorted", int64_t{1}}}, 2);
  e.give(sorted[0], 0);
  for (int k = 1; k < e.inputs(); ++k) {
    e.give(e.add("GatherElements", {e.in(k), sorted[1]}, {{"axis", int64_t{axis}}}), k);
  }
  return true;
}

bool along_axis(Emit& e, const char* op) {
  if (e.shape(0).rank() == 0) return false;
  e.give(op, {e.in(0)}, {{"axis", e.integer("axis")}});
  return true;
}
bool softmax(Emit& e) { return along_axis(e, "Softmax"); }
bool log_softmax(Emit& e) { return along_axis(e, "LogSoftmax"); }

}  // namespace

std::span<const ExportRule> reduction_export_rules() {
  static constexpr DTypeSet but_bf16{numbers.bits & ~only(bf16).bits};
  static const ExportRule rules[] = {
      {"argmax", {}, numbers, argmax},
      {"argmin", {}, numbers, argmin},
      {"cumsum", {}, wide_numbers, cumsum},
      {"log_softmax", {}, floats, log_softmax},
      {"log_sum_exp", {}, floats, log_sum_exp},
      {"mean", {}, floats, mean},
      {"reduce_and", {}, bools, reduce_and},
      {"reduce_max", {}, wide_numbers | only(i8) | only(u8), reduce_max},
      {"reduce_min", {}, wide_numbers | only(i8) | only(u8), reduce_min},
      {"reduce_or", {}, bools, reduce_or},
      {"reduce_prod", {}, wide_numbers, reduce_prod},
      {"reduce_sum", {}, wide_numbers, reduce_sum},
      {"softmax", {}, floats, softmax},
      {"sort", {}, but_bf16, sort},
      {"top_k", {}, but_bf16, top_k},
  };
  return rules;
}

}  // namespace trireme::formats::onnx
