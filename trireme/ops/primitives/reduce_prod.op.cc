#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

namespace {
struct Product {
  template <class T>
  T start(DType) const {
    return 1;
  }
  template <class T>
  T operator()(T product, T x) const {
    return wrapping([](auto a, auto b) { return a * b; }, product, x);
  }
};

// Multiplies the second half onto the first until one element is left. The derivative is exact even beside zeros, where
// y / x would fail.
Values product_by_halves(const Decompose& d) {
  const int rank = d.x(0).shape().rank();
  const Ints axes = ops::normal_axes(d.integers("axes"), rank);
  Ints order;
  for (int64_t a = 0; a < rank; ++a) {
    if (std::find(axes.begin(), axes.end(), a) == axes.end()) order.push_back(a);
  }
  order.insert(order.end(), axes.begin(), axes.end());
  int64_t count = 1;
  for (int64_t a : axes) count *= d.x(0).shape()[static_cast<int>(a)];
  const int64_t rows = d.y().shape().elements();
  if (count == 0) return ops::filled_like(d.y(), 1.0);
  Value x = ops::reshape(ops::transpose(ops::widen(d.x(0)), order), {rows, count});
  while (count > 1) {
    const int64_t half = (count + 1) / 2;
    const Value first = ops::slice_axis(x, 1, 0, half);
    Value second = ops::slice_axis(x, 1, half, count);
    if (count % 2 != 0) second = ops::pad(second, {0, 0}, {0, 1}, {0, 0}, 1.0);
    x = first * second;
    count = half;
  }
  return ops::as_type(ops::reshape(x, d.y().shape().vector()), d.x(0).dtype());
}
}  // namespace

OpDecl reduce_prod_decl{
    .name = "reduce_prod",
    .doc = "Product over axes (all axes when the list is empty); 16-bit floats accumulate in f32, integers wrap.",
    .tier = Tier::kExpected,
    .kind = Kind::kReduction,
    .inputs = {{"x", numbers}},
    .outputs = {"y"},
    .attributes = {{"axes", Ints{}, "axes to multiply over; empty: all"}, {"keepdims", false, "keep them with size 1"}},
    .coerce = Coerce::kNone,
    .rules = {kAxesInRange},
    .infer = infer_reduction,
    .gradient = gradient_of_decomposition,
    .meaning = evaluate([](Evaluation& e) { evaluate_reduction(e, Product{}); }, product_by_halves),
    .accuracy = accumulated,
    .cost = flops([](const OpView& v) { return static_cast<double>(v.x(0).shape().elements()); }),
    .cases = {"[2,3]", "[2,3] axes=[1]", "[2,3] axes=[0] keepdims=true", "[2,3,4] axes=[0,-1]", "[]", "[0,3] axes=[0]",
              "[0,3] axes=[1]", "[3,17] axes=[-1]"},
    .rejects = {"1: [2,3] axes=[2]", "1: [2,3] axes=[0,-2]"},
};

}  // namespace trireme
