// What losses share: reduction "mean", "sum" or "none", and class labels. A loss of 16-bit inputs is computed and given
// in f32: as a bf16 number it would have less than three digits.
#pragma once

#include "trireme/ops/numerics.h"

namespace trireme {

inline constexpr std::string_view kReductionNames = "reduction is mean, sum or none";

inline bool is_reduction(std::string_view r) { return r == "mean" || r == "sum" || r == "none"; }

// States the output of a loss whose single losses have shape `each`; rule `number`: kReductionNames.
inline void infer_loss(Infer& i, int number, const Shape& each) {
  const std::string& reduction = i.string("reduction");
  i.require(number, is_reduction(reduction));
  i.output(ops::wide_type(i.dtype(0)), reduction == "none" ? each : Shape{});
}

// Losses of two or more inputs of one shape. Rule 1: equal shapes; rule 2: the reduction.
inline void infer_paired_loss(Infer& i) {
  for (int k = 1; k < i.inputs(); ++k) i.require(1, i.shape(k) == i.shape(0));
  infer_loss(i, 2, i.shape(0));
}

inline Value reduced_loss(const Value& each, std::string_view reduction) {
  if (reduction == "none") return each;
  const Value sum = ops::reduce_sum(each);
  return reduction == "sum" ? sum : sum * (1.0 / static_cast<double>(each.shape().elements()));
}

// The gradient of the single losses, broadcastable to `shape`, from that of the reduced one.
inline Value loss_seed(const Value& dy, std::string_view reduction, const Shape& shape) {
  return reduction == "mean" ? dy * (1.0 / static_cast<double>(shape.elements())) : dy;
}

// Logits or log-probabilities as rows [M, C] with the class axis last, and labels as [M].
struct LabelledRows {
  Value x;
  Value label;   // within 0 .. C-1, also where ignored
  Value counts;  // bool: the label is not ignore_index
};

inline LabelledRows labelled_rows(const Value& x, const Value& labels, int64_t axis, int64_t ignore_index) {
  const int rank = x.shape().rank();
  const int64_t at = normal_axis(axis, rank), classes = x.shape()[static_cast<int>(at)];
  const int64_t rows = labels.shape().elements();
  const Value last = at == rank - 1 ? x : ops::transpose(x, ops::axis_to_end(at, rank));
  const Value label = ops::reshape(labels, {rows});
  // ignore_index may lie outside 0 .. C-1; the clamp keeps what is read for it inside.
  const Value bounded = ops::min(ops::max(label, 0.0), static_cast<double>(classes - 1));
  const Value counts = ops::compare(label, static_cast<double>(ignore_index), "ne");
  return {ops::reshape(last, {rows, classes}), bounded, counts};
}

// x[m, label[m]] of each row: [M].
inline Value picked(const LabelledRows& r) {
  const int64_t rows = r.x.shape()[0], classes = r.x.shape()[1];
  const bool narrow = rows * classes < int64_t{1} << 31;  // positions fit i32
  const DType type = narrow ? i32 : i64;
  const Value position = ops::iota({rows}, type) * static_cast<double>(classes) + ops::as_type(r.label, type);
  return ops::gather(ops::reshape(r.x, {rows * classes}), position);
}

// Bool [M, C]: true at each row's label.
inline Value at_label(const LabelledRows& r) {
  const int64_t rows = r.x.shape()[0], classes = r.x.shape()[1];
  return ops::compare(ops::iota({rows, classes}, r.label.dtype(), 1), ops::reshape(r.label, {rows, 1}), "eq");
}

// Rules of losses with labels: 1 axis, 2 labels' shape, 3 at least one class, 4 reduction.
inline constexpr std::string_view kLabelShape = "labels has the shape of the first input without the class axis";
inline constexpr std::string_view kSomeClass = "there is at least one class";
inline void infer_labelled_loss(Infer& i) {
  const int axis = i.axis(1, i.integer("axis"), i.rank(0));
  const Shape rows = i.shape(0).without(axis);
  i.require(2, i.shape(1) == rows, "labels are class numbers, not one-hot vectors");
  i.require(3, i.shape(0)[axis] >= 1);
  infer_loss(i, 4, rows);
}

// Single losses [M] of rows, 0 where the label is ignored; "mean" divides by the number of rows that count, at least 1.
inline Value reduced_rows(const Value& each, const Value& counts, std::string_view reduction, const Shape& rows) {
  const Value kept = ops::select(counts, each, 0.0);
  if (reduction == "none") return ops::reshape(kept, rows.vector());
  const Value sum = ops::reduce_sum(kept);
  if (reduction == "sum") return sum;
  const Value number = ops::reduce_sum(ops::convert(counts, each.dtype()));
  return sum / ops::max(number, 1.0);
}

// Gradient of the single losses [M] from that of the reduced one.
inline Value row_seed(const Value& dy, const Value& counts, std::string_view reduction) {
  const int64_t rows = counts.shape().elements();
  Value seed = reduction == "none" ? ops::reshape(dy, {rows}) : dy;
  if (reduction == "mean") {
    const Value number = ops::reduce_sum(ops::convert(counts, dy.dtype()));
    seed = seed / ops::max(number, 1.0);
  }
  return ops::select(counts, ops::broadcast_to(seed, {rows}), 0.0);
}

// Undoes what labelled_rows did to x.
inline Value from_rows(const Value& rows, const Shape& shape, int64_t axis) {
  const int rank = shape.rank();
  const int64_t at = normal_axis(axis, rank);
  if (at == rank - 1) return ops::reshape(rows, shape.vector());
  const Ints order = ops::axis_to_end(at, rank);
  Ints moved;
  for (int64_t a : order) moved.push_back(shape[static_cast<int>(a)]);
  return ops::transpose(ops::reshape(rows, moved), ops::inverse_order(order));
}

// log sum exp of each row, [M, 1].
inline Value log_sum_exp_rows(const Value& x) {
  const Value top = ops::reduce_max(x, {1}, true);
  return top + ops::log(ops::sum_kept(ops::exp(x - top), {1}));
}

}  // namespace trireme
