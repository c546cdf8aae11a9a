// The lattice of connectionist temporal classification (Graves, Fernandez, Gomez, Schmidhuber: "Connectionist temporal
// classification", ICML 2006), in logarithms, unrolled over time.
//
// Positions l = 0 .. L-1, L = 2 S + 1, alternate blanks (even) and labels (odd). A path moves from l to l, l + 1, or
// from a label to the next label that differs from it. Impossible paths carry a large negative number, not -inf, so
// that no difference is NaN; sums of T such numbers stay finite in f32.
#pragma once

#include <cstdlib>

#include "trireme/ops/loss/loss_rules.h"

namespace trireme {

inline constexpr double kCtcImpossible = -1e30;

class CtcLattice {
 public:
  int64_t steps, batch, classes, positions;

  // Inputs of the op ctc_loss.
  explicit CtcLattice(const OpView& op)
      : steps(op.x(0).shape()[0]),
        batch(op.x(0).shape()[1]),
        classes(op.x(0).shape()[2]),
        positions(2 * op.x(1).shape()[1] + 1),
        x_(ops::widen(op.x(0))) {
    const int64_t labels = op.x(1).shape()[1];
    const Value targets = ops::min(ops::max(ops::convert(op.x(1), i32), 0.0), static_cast<double>(classes - 1));
    const auto blank = static_cast<double>(op.integer("blank"));
    input_length_ = ops::reshape(ops::convert(op.x(2), i32), {batch, 1});
    target_length_ = ops::reshape(ops::convert(op.x(3), i32), {batch, 1});

    // The class at each position: blank, label 0, blank, ..., blank.
    const Value pairs =
        ops::concat({ops::filled(i32, Shape{batch, labels, 1}, blank), ops::reshape(targets, {batch, labels, 1})}, 2);
    class_ = ops::concat({ops::reshape(pairs, {batch, 2 * labels}), ops::filled(i32, Shape{batch, 1}, blank)}, 1);
    // A path may skip the position before l when l holds a label other than that at l - 2; blanks equal each other.
    const Value before = shifted(class_, 2, blank);
    may_skip_ = ops::and_(ops::compare(class_, before, "ne"), ops::compare(class_, blank, "ne"));

    // Position of x[t, n, class] in row-major order.
    const Ints all = {steps, batch, positions};
    const DType type = steps * batch * classes < int64_t{1} << 31 ? i32 : i64;
    const Value row =
        ops::iota({steps, batch, 1}, type, 0) * static_cast<double>(batch) + ops::iota({steps, batch, 1}, type, 1);
    const Value index =
        row * static_cast<double>(classes) + ops::reshape(ops::as_type(class_, type), {1, batch, positions});
    index_ = ops::reshape(index, {steps * batch * positions});
    const Value emission = ops::gather(ops::reshape(x_, {steps * batch * classes}), index_);
    emission_ = ops::max(ops::reshape(emission, all), kCtcImpossible);
  }

  // log of the sum over paths that start correctly and are at l at time t, what is read at t included: [T, N, L].
  Value alpha() const {
    const Value place = ops::iota({batch, positions}, i32, 1);
    std::vector<Value> rows;
    Value now = ops::select(ops::compare(place, 2.0, "lt"), emission_at(0), kCtcImpossible);
    rows.push_back(now);
    for (int64_t t = 1; t < steps; ++t) {
      const Value one = shifted(now, 1, kCtcImpossible), two = shifted(now, 2, kCtcImpossible);
      now = log_sum(now, one, ops::select(may_skip_, two, kCtcImpossible)) + emission_at(t);
      rows.push_back(now);
    }
    return stacked(rows);
  }

  // log of the sum over ways from l at time t to a correct end, what is read at t excluded: [T, N, L].
  Value beta() const {
    std::vector<Value> rows(static_cast<size_t>(steps));
    const Value end = ops::select(at_end(), ops::filled(x_.dtype(), Shape{batch, positions}, 0.0), kCtcImpossible);
    Value next = end;
    rows[static_cast<size_t>(steps - 1)] = end;
    for (int64_t t = steps - 2; t >= 0; --t) {
      const Value from = next + emission_at(t + 1);
      const Value skipping = ops::select(may_skip_, from, kCtcImpossible);
      const Value on = log_sum(from, shifted(from, -1, kCtcImpossible), shifted(skipping, -2, kCtcImpossible));
      // The last step that counts, and those after it, end here.
      next = ops::select(ops::compare(input_length_, static_cast<double>(t + 1), "gt"), on, end);
      rows[static_cast<size_t>(t)] = next;
    }
    return stacked(rows);
  }

  // log P of each sample, [N]: alpha at the last step that counts, at the last label or the blank after it.
  Value log_likelihood(const Value& alpha) const {
    const Value last =
        ops::compare(ops::iota({steps, batch, 1}, i32, 0) + 1.0, ops::reshape(input_length_, {1, batch, 1}), "eq");
    const Value ends = ops::and_(last, ops::reshape(at_end(), {1, batch, positions}));
    const Value kept = ops::select(ends, alpha, kCtcImpossible);
    const Value top = ops::reduce_max(kept, {0, 2}, true);
    const Value sum = ops::reduce_sum(ops::exp(kept - top), {0, 2}, true);
    return ops::reshape(top + ops::log(sum), {batch});
  }

  Value possible(const Value& log_likelihood) const { return ops::compare(log_likelihood, 0.5 * kCtcImpossible, "gt"); }
  // Bool [T, N, 1]: the step counts.
  Value within_input() const {
    return ops::compare(ops::iota({steps, batch, 1}, i32, 0), ops::reshape(input_length_, {1, batch, 1}), "lt");
  }
  // Adds what belongs to positions [T, N, L] up by class: [T, N, C].
  Value by_class(const Value& parts) const {
    const Value zero = ops::filled(parts.dtype(), Shape{steps * batch * classes}, 0.0);
    const Value flat = ops::reshape(parts, {steps * batch * positions});
    return ops::reshape(ops::scatter_add(zero, index_, flat), {steps, batch, classes});
  }
  // What the mean divides each loss by, [N]: the target length, at least 1, times the batch size.
  Value mean_divisor() const {
    const Value length = ops::convert(ops::reshape(ops::max(target_length_, 1.0), {batch}), x_.dtype());
    return length * static_cast<double>(batch);
  }

 private:
  // Element l becomes v[l - by]; what enters is `fill`.
  Value shifted(const Value& v, int64_t by, double fill) const {
    const int64_t distance = std::min(std::abs(by), positions);
    const Value edge = ops::filled(v.dtype(), Shape{batch, distance}, fill);
    const Value rest =
        by > 0 ? ops::slice_axis(v, 1, 0, positions - distance) : ops::slice_axis(v, 1, distance, positions);
    return by > 0 ? ops::concat({edge, rest}, 1) : ops::concat({rest, edge}, 1);
  }
  Value emission_at(int64_t t) const {
    return ops::reshape(ops::slice_axis(emission_, 0, t, t + 1), {batch, positions});
  }
  Value stacked(const std::vector<Value>& rows) const {
    std::vector<Value> parts;
    for (const Value& row : rows) parts.push_back(ops::reshape(row, {1, batch, positions}));
    return ops::concat(parts, 0);
  }
  // Bool [N, L]: the last label and the blank after it.
  Value at_end() const {
    const Value place = ops::iota({batch, positions}, i32, 1), length = target_length_ * 2.0;
    return ops::or_(ops::compare(place, length, "eq"), ops::compare(place + 1.0, length, "eq"));
  }
  static Value log_sum(const Value& a, const Value& b, const Value& c) {
    const Value top = ops::max(ops::max(a, b), c);
    return top + ops::log(ops::exp(a - top) + ops::exp(b - top) + ops::exp(c - top));
  }

  Value x_, input_length_, target_length_, class_, may_skip_, index_, emission_;
};

}  // namespace trireme
