#include "trireme/ops/declare.h"

namespace trireme {

OpDecl logaddexp_decl{
    .name = "logaddexp",
    .doc = "Logarithm of a sum of exponentials, y = log(e^x + e^w), without overflow.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}, {"w", same_as_first}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) {
      const Value difference = ops::select(ops::compare(p.x(0), p.x(1), "ne"), p.x(0) - p.x(1), 0.0);
      p.dx(0) = p.dy() * ops::logistic(difference);
      p.dx(1) = p.dy() * ops::logistic(-difference);
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      // max + log1p(e^-|x - w|); equal infinities have distance 0, not NaN
      const Value apart = ops::compare(d.x(0), d.x(1), "ne");
      const Value distance = ops::select(apart, ops::abs(d.x(0) - d.x(1)), 0.0);
      return ops::max(d.x(0), d.x(1)) + ops::log1p(ops::exp(-distance));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[] []", "[0,4] [0,4]", "[17] [17]"},
    .rejects = {"1: [2,3] [3,2]"},
};

}  // namespace trireme
