#include "trireme/certify/special_values.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "trireme/ir/evaluation.h"

namespace trireme::certify {

std::vector<double> special_values(DType type, bool sums) {
  if (type == boolean) return {0.0, 1.0};
  if (!is_float(type)) {
    std::vector<double> out = {0, 1, 2, 3, 7};
    for (double v : {-1.0, -2.0, -3.0, -7.0}) {
      if (!is_unsigned_int(type)) out.push_back(v);
    }
    // Beyond 2^53 a double does not hold the ends of the range; these are what a narrower type loses.
    const double most = size_of(type) == 8 ? 0x1p40 + 5 : highest(type);
    for (double v : {most, most - 1}) {
      if (!sums) out.push_back(v);
      if (!sums && !is_unsigned_int(type)) out.push_back(-v);
    }
    return out;
  }
  constexpr double infinity = std::numeric_limits<double>::infinity();
  std::vector<double> out = {
      std::numeric_limits<double>::quiet_NaN(), infinity, -infinity, 0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 2.5};
  if (sums) return out;  // of finite numbers only the order of additions decides whether a sum overflows
  const double least = type == f64 ? 0x1p-1022 : type == f16 ? 0x1p-14 : 0x1p-126;
  for (double v : {highest(type), least, 6.0, 1e-3, 100.0, 3.0, 0.99, std::numbers::sqrt2 - 1.0}) {
    out.push_back(v);
    out.push_back(-v);
  }
  for (double& v : out) v = round_real(type, v);
  return out;
}

std::vector<double> denormals(DType type) {
  const double least = type == f64    ? std::numeric_limits<double>::denorm_min()
                       : type == f32  ? 0x1p-149
                       : type == bf16 ? 0x1p-133
                                      : 0x1p-24;
  std::vector<double> out;
  for (double times : {1.0, 3.0, 5.0, 17.0, 60.0}) {
    out.push_back(times * least);
    out.push_back(-times * least);
  }
  return out;
}

std::vector<Literal> inputs_from(const OpCase& given, std::vector<double> (*pool)(DType), uint64_t seed) {
  std::vector<Literal> out = instantiate(given, seed).inputs;
  size_t present = 0;
  for (size_t i = 0; i < given.operands.size(); ++i) {
    const Operand& operand = given.operands[i];
    if (operand.absent) continue;
    Literal& literal = out[present++];
    const InputSpec& spec = given.op->inputs.list[std::min(i, given.op->inputs.list.size() - 1)];
    const bool free = operand.low == spec.domain.low && operand.high == spec.domain.high;
    const DType type = operand.type.dtype;
    if (!is_float(type) && (!free || given.op->kind.value != Kind::kElementwise)) continue;
    const std::vector<double> values = pool(type);
    std::vector<double> drawn(static_cast<size_t>(literal.elements()));
    for (size_t k = 0; k < drawn.size(); ++k) {
      const double at = uniform(seed * 31 + i, k, 0.0, static_cast<double>(values.size()));
      drawn[k] = values[static_cast<size_t>(at)];
    }
    literal = Literal::from_doubles(type, literal.shape(), drawn);
  }
  return out;
}

}  // namespace trireme::certify
