#include "trireme/certify/random_case.h"

#include <algorithm>
#include <string_view>

#include "trireme/base/error.h"
#include "trireme/ir/registry.h"

namespace trireme::certify {

namespace {
constexpr int64_t kMostElements = 1 << 18;  // of one operand: the reference must take it in its stride
}

std::optional<OpCase> resized(const OpCase& given, int64_t from, int64_t to) {
  OpCase out = given;
  bool changed = false;
  for (Operand& operand : out.operands) {
    std::vector<int64_t> sizes = operand.type.shape.vector();
    for (int64_t& size : sizes) {
      changed = changed || size == from;
      if (size == from) size = to;
    }
    operand.type.shape = Shape(sizes);
    if (operand.type.shape.elements() > kMostElements) return std::nullopt;
  }
  if (!changed) return std::nullopt;
  try {
    instantiate(out).make();
    return out;
  } catch (const Error&) {
    return std::nullopt;
  }
}

Program random_program(uint64_t seed, int count) {
  constexpr std::string_view unary[] = {"neg", "exp", "tanh", "abs"}, binary[] = {"add", "sub", "mul", "max"};
  const Shape shapes[] = {{3, 5}, {7, 600}, {130, 3}, {2, 3, 4, 33}};
  const Shape& shape = shapes[seed % std::size(shapes)];
  std::vector<Value> parameters = {parameter(f32, shape), parameter(f32, shape)}, values = parameters;
  uint64_t draws = 0;
  const auto pick = [&](size_t size) {
    return static_cast<size_t>(uniform(seed, draws++, 0.0, static_cast<double>(size)));
  };
  for (int k = 0; k < count; ++k) {
    const Value x = values[values.size() - 1 - pick(std::min<size_t>(values.size(), 3))];
    const size_t kind = pick(8);
    if (kind < 2) {
      values.push_back(make_node(get_op(unary[pick(4)]), {x}, {}));
    } else if (kind == 2) {
      const Value y = values[pick(values.size())];
      const Value less = make_node(get_op("compare"), {x, y}, {std::string("lt")});
      values.push_back(make_node(get_op("select"), {less, y, x}, {}));
    } else {
      values.push_back(make_node(get_op(binary[pick(4)]), {x, values[pick(values.size())]}, {}));
    }
  }
  if (seed % 3 == 1) {  // over all axes, the last or the first
    const int64_t last = shape.rank() - 1;
    const Ints axes[] = {{}, {last}, {0}};
    const Attribute over = axes[pick(3)], keep = pick(2) == 0;
    values.push_back(make_node(get_op(pick(2) == 0 ? "reduce_sum" : "reduce_max"), {values.back()}, {over, keep}));
  }
  Program out{Graph(parameters, {values.back()}), {}};
  for (size_t i = 0; i < parameters.size(); ++i) {
    std::vector<double> drawn(static_cast<size_t>(shape.elements()));
    for (size_t e = 0; e < drawn.size(); ++e) drawn[e] = uniform(seed + 1 + i, e, -1.0, 1.0);
    out.inputs.push_back(Literal::from_doubles(f32, shape, drawn));
  }
  return out;
}

}  // namespace trireme::certify
