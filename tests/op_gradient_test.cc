// Gradients of every op of the registry against finite differences in double, first and second order.
//
// L(x) = sum_i <y_i(x), r_i> with random r. Each element of dL/dx is compared with central differences at steps h and
// h/2, extrapolated (Richardson) to an error of order h^4. Where L has a kink or a jump nearby the two steps disagree,
// or the slopes left and right of the point do not come together; smaller steps are tried, then the point is left out.
// An op whose points are all left out fails, unless its gradient is zero wherever it exists.
// ctest: timeout=900
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "op_case.h"
#include "trireme/base/strings.h"
#include "trireme/passes/gradient.h"
#include "trireme/reference/evaluator.h"

namespace trireme::testing {
namespace {

constexpr double kFirstOrder = 1e-5, kSecondOrder = 1e-4;
constexpr int64_t kMostElements = 24;  // of one input; of larger ones so many are drawn

// Expands composites, so that one evaluation costs the primitives only.
class Expander {
 public:
  Graph operator()(const Graph& graph) {
    std::vector<Value> outputs;
    for (const Value& v : graph.outputs()) outputs.push_back(expand(v));
    return {graph.inputs(), outputs};
  }

 private:
  Value expand(const Value& value) {
    if (!value) return value;
    const Node& node = value.node();
    if (const auto at = done_.find(&node); at != done_.end()) return at->second[value.index()];
    kept_.push_back(value);
    std::vector<Value> inputs;
    for (const Value& v : node.inputs()) inputs.push_back(expand(v));
    const Value first = inputs == node.inputs() ? Value(node) : make_node(node.op(), inputs, node.attributes());
    std::vector<Value> outputs = all_outputs(first);
    if (node.op().meaning.truth == nullptr && node.op().meaning.decompose != nullptr) {
      kept_.push_back(first);
      outputs = decomposition_of(first.node());
      for (Value& v : outputs) v = expand(v);
    }
    done_[&node] = outputs;
    return outputs[value.index()];
  }

  std::map<const Node*, std::vector<Value>> done_;
  std::vector<Value> kept_;
};

struct Slope {
  double value = 0.0;
  bool smooth = false;
};

// Derivative of f at 0; `size`: the magnitude of the terms that f sums, which sets its rounding noise.
template <class F>
Slope slope_of(F f, double size, double tolerance) {
  Slope out;
  const double middle = f(0.0);
  for (const double h : {0x1p-9, 0x1p-12, 0x1p-15}) {
    const double up = f(h), down = f(-h), up_near = f(h / 2), down_near = f(-h / 2);
    const double wide = (up - down) / (2 * h), narrow = (up_near - down_near) / h;
    out.value = (4 * narrow - wide) / 3;
    if (!std::isfinite(out.value)) continue;
    const double noise = 256 * size * 0x1p-52 / h;
    const double allowed = tolerance * std::fabs(out.value) + noise;
    // The right slope minus the left one is h f'' + O(h^3) where f is smooth, and stays where it has a corner.
    const double bend = (up - 2 * middle + down) / h, bend_near = (up_near - 2 * middle + down_near) / (h / 2);
    // The steps' difference is 4 times the error that the extrapolation removes; what it leaves is far smaller.
    if (std::fabs(narrow - wide) <= 30 * allowed && std::fabs(bend_near) <= 0.6 * std::fabs(bend) + allowed) {
      out.smooth = true;
      return out;
    }
  }
  return out;
}

double sum_of_products(const std::vector<Evaluated>& values, const std::vector<Evaluated>& weights, double* size) {
  double sum = 0.0, terms = 0.0;
  for (size_t i = 0; i < values.size(); ++i) {
    for (size_t k = 0; k < values[i].real.size(); ++k) {
      sum += values[i].real[k] * weights[i].real[k];
      terms += std::fabs(values[i].real[k] * weights[i].real[k]);
    }
  }
  if (size != nullptr) *size = terms;
  return sum;
}

Evaluated random_like(const TensorType& type, uint64_t seed) {
  Evaluated out(type);
  for (size_t k = 0; k < out.real.size(); ++k) out.real[k] = uniform(seed, k, -1.0, 1.0);
  return out;
}

// Printed when all tests have run.
struct Total : ::testing::Environment {
  int points = 0, left_out = 0, ops = 0;
  void TearDown() override {
    std::printf("%d derivatives of %d ops compared, %d at kinks left out\n", points - left_out, ops, left_out);
  }
};
Total& total = *static_cast<Total*>(::testing::AddGlobalTestEnvironment(new Total));

class OpGradient : public ::testing::TestWithParam<const OpDecl*> {
 protected:
  const OpDecl& op() const { return *GetParam(); }

  void compare(const std::string& where, double given, const Slope& slope, double size, double tolerance) {
    ++points_;
    if (!slope.smooth) {
      ++left_out_;
      return;
    }
    const double scale = std::max(std::fabs(given), std::fabs(slope.value));
    if (std::fabs(given - slope.value) <= tolerance * scale + 1e-10 * size) return;
    if (++failures_ <= 5) {
      ADD_FAILURE() << where << ": the gradient is " << given << ", differences give " << slope.value;
    }
  }

  void check(const OpCase& given);
  int points_ = 0, left_out_ = 0, failures_ = 0;
};

// The case in double as far as the op allows.
std::vector<OpCase> double_cases(const OpDecl& op) {
  std::vector<OpCase> out;
  for (std::string_view text : op.cases.texts) {
    const auto cases = cases_of(op, text);
    const auto in_double = std::find_if(cases.begin(), cases.end(), [](const OpCase& c) { return c.dtype == f64; });
    OpCase chosen = in_double != cases.end() ? *in_double : cases.at(0);
    OpCase wide = parse_case(op, text, chosen.dtype, true);
    try {
      instantiate(wide).make();
      chosen = std::move(wide);
    } catch (const Error&) {  // the op wants the types as they are written
    }
    out.push_back(std::move(chosen));
  }
  return out;
}

void OpGradient::check(const OpCase& given) {
  const Instance instance = instantiate(given);
  std::vector<Value> y, x, seeds, directions, inputs = instance.parameters;
  std::vector<Evaluated> values, weights, second_weights;
  std::vector<size_t> positions;  // of x among the inputs
  for (const Literal& literal : instance.inputs) values.push_back(reference::to_evaluated(literal));
  for (const Value& v : all_outputs(instance.make())) {
    if (is_float(v.dtype())) y.push_back(v);
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!is_float(inputs[i].dtype())) continue;
    x.push_back(inputs[i]);
    positions.push_back(i);
  }
  if (y.empty() || x.empty()) return;
  const uint64_t seed = seed_of(given.text);
  for (const Value& v : y) {
    seeds.push_back(parameter(v.dtype(), v.shape()));
    weights.push_back(random_like(v.type(), seed + 100 + weights.size()));
  }
  for (const Value& v : x) {
    directions.push_back(parameter(v.dtype(), v.shape()));
    second_weights.push_back(random_like(v.type(), seed + 200 + second_weights.size()));
  }
  const std::vector<Value> gradients = passes::gradient(y, x, seeds);
  for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(gradients[i].type(), x[i].type());
  const Graph forward = Expander()(Graph(inputs, y));
  inputs.insert(inputs.end(), seeds.begin(), seeds.end());
  values.insert(values.end(), weights.begin(), weights.end());
  verify(Graph(inputs, gradients), "gradient");
  const Graph backward = Expander()(Graph(inputs, gradients));
  const std::vector<Evaluated> dx = reference::evaluate_unrounded(backward, values);

  // L at a point moved by t along element k of input x[i], or along `move` for all of x.
  const auto moved = [&](const std::vector<Evaluated>& move, double t) {
    std::vector<Evaluated> at = values;
    for (size_t i = 0; i < x.size(); ++i) {
      for (size_t k = 0; k < move[i].real.size(); ++k) at[positions[i]].real[k] += t * move[i].real[k];
    }
    return at;
  };
  double size = 0.0;
  sum_of_products(reference::evaluate_unrounded(forward, std::span(values).first(instance.parameters.size())), weights,
                  &size);
  for (size_t i = 0; i < x.size(); ++i) {
    const int64_t count = x[i].shape().elements();
    for (int64_t n = 0; n < std::min(count, kMostElements); ++n) {
      const auto k = static_cast<size_t>(
          count <= kMostElements ? n
                                 : static_cast<int64_t>(uniform(seed + i, static_cast<uint64_t>(n), 0.0, 1.0) *
                                                        static_cast<double>(count)));
      std::vector<Evaluated> at(values.begin(),
                                values.begin() + static_cast<std::ptrdiff_t>(instance.parameters.size()));
      const double start = at[positions[i]].real[k];
      const auto loss = [&](double t) {
        at[positions[i]].real[k] = start + t;
        return sum_of_products(reference::evaluate_unrounded(forward, at), weights, nullptr);
      };
      compare(cat("d/d ", op().inputs.list[std::min(positions[i], op().inputs.list.size() - 1)].name, "[", k, "]"),
              dx[i].real[k], slope_of(loss, size, kFirstOrder), size, kFirstOrder);
    }
  }

  // Second order: the derivative of <dL/dx, v> along u.
  std::vector<Value> second;
  try {
    second = passes::gradient(gradients, x, directions);
  } catch (const Error& failure) {
    ADD_FAILURE() << "the gradient has no gradient: " << failure.what();
    return;
  }
  inputs.insert(inputs.end(), directions.begin(), directions.end());
  const Graph twice = Expander()(Graph(inputs, second));
  std::vector<Evaluated> all = values;
  all.insert(all.end(), second_weights.begin(), second_weights.end());
  const std::vector<Evaluated> hessian_v = reference::evaluate_unrounded(twice, all);
  double slope_size = 0.0;
  sum_of_products(dx, second_weights, &slope_size);
  for (uint64_t draw = 0; draw < 2; ++draw) {
    std::vector<Evaluated> u;
    for (size_t i = 0; i < x.size(); ++i) u.push_back(random_like(x[i].type(), seed + 300 + 10 * draw + i));
    const auto along = [&](double t) {
      return sum_of_products(reference::evaluate_unrounded(backward, moved(u, t)), second_weights, nullptr);
    };
    double terms = 0.0;
    const double exact_slope = sum_of_products(hessian_v, u, &terms);
    const Slope slope = slope_of(along, slope_size, kSecondOrder);
    if (slope.smooth) compare("second order", exact_slope, slope, slope_size + terms, kSecondOrder);
  }
}

TEST_P(OpGradient, FiniteDifferences) {
  if (op().gradient.way == Gradient::Way::kNone) GTEST_SKIP() << "no gradient: " << op().gradient.reason;
  for (const OpCase& given : double_cases(op())) {
    if (given.surrogate) continue;
    SCOPED_TRACE(given.name());
    try {
      check(given);
    } catch (const std::exception& failure) {
      ADD_FAILURE() << failure.what();
    }
  }
  total.points += points_;
  total.left_out += left_out_;
  total.ops += points_ > 0;
  EXPECT_LE(left_out_, points_ / 2) << "of " << points_ << " points " << left_out_ << " are at kinks";
}

// In every floating type the gradient's graph is legal and gives each input its own type.
TEST_P(OpGradient, Types) {
  if (op().gradient.way == Gradient::Way::kNone) GTEST_SKIP() << "no gradient: " << op().gradient.reason;
  for (const OpCase& given : cases_of(op())) {
    SCOPED_TRACE(given.name());
    try {
      const Instance instance = instantiate(given);
      std::vector<Value> y, x;
      for (const Value& v : all_outputs(instance.make())) {
        if (is_float(v.dtype())) y.push_back(v);
      }
      for (const Value& v : instance.parameters) {
        if (is_float(v.dtype())) x.push_back(v);
      }
      if (y.empty() || x.empty()) continue;
      const auto gradients = passes::gradient(y, x);
      for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(gradients[i].type(), x[i].type());
      verify(Graph(instance.parameters, gradients), "gradient");
    } catch (const std::exception& failure) {
      ADD_FAILURE() << failure.what();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, OpGradient, ::testing::ValuesIn(registered_ops()), OpName());

}  // namespace
}  // namespace trireme::testing
