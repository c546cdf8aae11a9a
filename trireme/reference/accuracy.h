// How far a correct chip may be from the meaning of a graph, element by element.
//
// No fixed tolerance fits all graphs: exp(x) loses nothing, a sum of a million terms or a difference of nearly equal
// numbers loses a lot, and both are right. So the allowance is measured, by Monte Carlo arithmetic (Parker 1997): the
// graph is evaluated in double several times, each time with every operation's result disturbed at random by as much
// as the op's declared accuracy allows (evaluate_unrounded's `perturbation`). How far these results y_k scatter around
// the undisturbed y_0 is how much the roundings of a correct chip can matter at that element:
//
//   allowed = 16 max_k |y_k - y_0|  +  2 ulp |y_0|  +  2 denormals          (ulp = 2 roundoff of the output's type)
//
// 16 covers what few draws miss (the largest of four uniform draws passes 1/16 with probability 0.99998); the second
// term is the final rounding, the third is underflow. Where every operation is exact (copies, max, integer
// arithmetic), nothing is allowed: the chip's value is the rounded truth.
//
// An integer or boolean that comes out of floats by a jump (argmax of near ties, x < y) may be any of the values seen.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "trireme/core/literal.h"
#include "trireme/ir/evaluation.h"
#include "trireme/ir/graph.h"

namespace trireme::reference {

struct Bound {
  std::vector<double> allowed;             // of a floating output; infinity: anything, the meaning itself is a jump
  std::vector<std::vector<int64_t>> seen;  // of another output: for each evaluation, its elements
};

// What a graph gives and how exactly: one of each per output.
struct Expectation {
  std::vector<Evaluated> values;  // y_0, not rounded
  std::vector<Bound> bounds;
};
// `fixed_point_bits`: of the chip's products (TrmAnswer in chip.h); their inputs are then disturbed by half a step of
// fixed point as well.
Expectation expect(const Graph& graph, std::span<const Evaluated> inputs, int evaluations = 4,
                   uint32_t fixed_point_bits = 0);

// True when every operation behind the outputs is exact.
bool is_exact(const Graph& graph);

// The element that deviates most.
struct Mismatch {
  int64_t index = 0;
  double got = 0.0, expected = 0.0, allowed = 0.0;
  int64_t elements = 0;  // how many are out of bounds
  // "element 7 is 0.25, expected 0.5 +- 1e-07 (2.5e+06 times the allowance); 3 of 12 elements are out of bounds".
  std::string text(int64_t of) const;
};

// NaN matches NaN, infinity matches infinity of the same sign; a value too large for the type may be infinity.
// Nothing when all elements are within bounds. The types must be equal.
std::optional<Mismatch> compare(const Evaluated& expected, const Bound& bound, const Literal& got);

}  // namespace trireme::reference
