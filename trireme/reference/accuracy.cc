#include "trireme/reference/accuracy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_set>

#include "trireme/base/strings.h"
#include "trireme/ir/op_decl.h"
#include "trireme/reference/evaluator.h"

namespace trireme::reference {

namespace {

constexpr double kSpreadFactor = 16.0, kUlps = 2.0, kDenormals = 2.0;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

double smallest_denormal(DType type) {
  switch (type) {
    case f32: return 0x1p-149;
    case f16: return 0x1p-24;
    case bf16: return 0x1p-133;
    default: return std::numeric_limits<double>::denorm_min();
  }
}

// Distance that tells nan and infinity apart from numbers.
double distance(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0.0;
  const double d = std::fabs(a - b);
  return std::isfinite(d) ? d : kInfinity;
}

}  // namespace

bool is_exact(const Graph& graph) {
  std::unordered_set<const Node*> seen;
  std::vector<Value> kept = graph.outputs();  // bodies live as long as their addresses are compared
  for (size_t at = 0; at < kept.size(); ++at) {
    const Value value = kept[at];
    if (!value || !seen.insert(&value.node()).second) continue;
    const OpDecl& op = value.node().op();
    if (op.kind.value == Kind::kControl) return false;
    if (op.meaning.truth == nullptr) {
      for (const Value& v : decomposition_of(value.node())) kept.push_back(v);
      continue;
    }
    if (op.accuracy.ulp != 0.0 || op.accuracy.accumulates) {
      if (is_float(value.dtype())) return false;
    }
    for (const Value& v : value.node().inputs()) kept.push_back(v);
  }
  return true;
}

Expectation expect(const Graph& graph, std::span<const Evaluated> inputs, int evaluations, uint32_t fixed_point_bits) {
  Expectation out;
  out.values = evaluate_unrounded(graph, inputs);
  std::vector<std::vector<Evaluated>> disturbed;
  const bool exact = is_exact(graph);
  for (int k = 1; k <= evaluations && !exact; ++k) {
    disturbed.push_back(evaluate_unrounded(graph, inputs, static_cast<uint64_t>(k) << 32, fixed_point_bits));
  }
  for (size_t i = 0; i < out.values.size(); ++i) {
    const Evaluated& value = out.values[i];
    Bound bound;
    if (value.floating()) {
      const DType type = value.type.dtype;
      for (size_t e = 0; e < value.real.size(); ++e) {
        double spread = 0.0;
        for (const auto& other : disturbed) spread = std::max(spread, distance(other[i].real[e], value.real[e]));
        const double size = std::isfinite(value.real[e]) ? std::fabs(value.real[e]) : 0.0;
        bound.allowed.push_back(exact ? 0.0
                                      : kSpreadFactor * spread + kUlps * 2.0 * unit_roundoff(type) * size +
                                            kDenormals * smallest_denormal(type));
      }
    } else {
      bound.seen.push_back(value.integer);
      for (const auto& other : disturbed) bound.seen.push_back(other[i].integer);
    }
    out.bounds.push_back(std::move(bound));
  }
  return out;
}

std::string Mismatch::text(int64_t of) const {
  const double ratio = distance(got, expected) / allowed;
  return cat("element ", index, " is ", got, ", expected ", expected,
             allowed > 0 ? cat(" +- ", allowed, " (", ratio, " times the allowance)") : " exactly", "; ", elements,
             " of ", of, " elements are out of bounds");
}

std::optional<Mismatch> compare(const Evaluated& expected, const Bound& bound, const Literal& got) {
  TRIREME_CHECK(
      got.dtype() == expected.type.dtype && got.shape() == expected.shape(),
      cat("compared with a value of another type: got ", got.dtype(), got.shape(), ", expected ", expected.type));
  const DType type = got.dtype();
  Mismatch worst;
  double worst_ratio = -1.0;
  const Evaluated given = to_evaluated(got);
  for (int64_t e = 0; e < expected.elements(); ++e) {
    const auto i = static_cast<size_t>(e);
    double allowed = 0.0, ratio = 0.0;
    bool fits = true;
    if (expected.floating()) {
      const double y = expected.real[i], g = given.real[i], rounded = round_real(type, y);
      allowed = bound.allowed[i];
      fits = distance(g, y) <= allowed || distance(g, rounded) == 0.0;
      // Too large for the type within the allowance: infinity is what a chip must give, the largest number what it may.
      if (!fits && std::isinf(g) && std::isfinite(y)) fits = round_real(type, y + std::copysign(allowed, g)) == g;
      if (!fits && std::isinf(rounded) && std::isfinite(y) && std::fabs(g) == highest(type)) {
        fits = std::signbit(g) == std::signbit(y) && distance(std::copysign(highest(type), y), y) <= allowed;
      }
      ratio = allowed > 0 ? distance(g, y) / allowed : kInfinity;
    } else {
      fits = std::any_of(bound.seen.begin(), bound.seen.end(), [&](const auto& s) { return s[i] == given.integer[i]; });
      ratio = kInfinity;
    }
    if (fits) continue;
    ++worst.elements;
    if (ratio <= worst_ratio) continue;
    worst_ratio = ratio;
    worst.index = e;
    worst.got = given.as_double(e);
    worst.expected = expected.as_double(e);
    worst.allowed = allowed;
  }
  if (worst.elements == 0) return std::nullopt;
  return worst;
}

}  // namespace trireme::reference
