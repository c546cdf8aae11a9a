#include "trireme/formats/known_values.h"

#include <algorithm>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/ir/op_decl.h"
#include "trireme/ops/ops.h"
#include "trireme/reference/evaluator.h"

namespace trireme::formats {

namespace {

// Values are computed while importing only if all that leads to them stays below this.
constexpr int64_t kMaxKnown = int64_t{1} << 26;
// Results this small are folded at once, so that chains of shape arithmetic stay short.
constexpr int64_t kFoldedElements = 4096;

}  // namespace

void KnownValues::add_input(const std::string& name, const Value& input, const Literal& value) {
  parameters_.push_back(input);
  values_.push_back(value);
  names_.push_back(name);
}

Value KnownValues::folded_if_small(const Value& value) {
  if (value.node().is("constant") || depends(value) || value.shape().elements() > kFoldedElements) return value;
  if (!affordable(value) || !reference::can_evaluate(Graph({}, {value}))) return value;
  return ops::constant(fold(value));
}

bool KnownValues::depends(const Value& value) {
  std::vector<const Node*> stack{&value.node()};
  while (!stack.empty()) {
    const Node* node = stack.back();
    if (depends_.contains(node)) {
      stack.pop_back();
      continue;
    }
    bool ready = true, any = node->is("parameter");
    for (const Value& input : node->inputs()) {
      if (!input) continue;
      const auto at = depends_.find(&input.node());
      if (at == depends_.end()) {
        stack.push_back(&input.node());
        ready = false;
      } else {
        any = any || at->second.second;
      }
    }
    if (!ready) continue;
    stack.pop_back();
    depends_[node] = {Value(*node), any};
  }
  return depends_.at(&value.node()).second;
}

bool KnownValues::affordable(const Value& value) const {
  int64_t elements = 0;
  for (const Node* node : Graph({}, {value}).nodes()) {
    for (const TensorType& type : node->outputs()) {
      if (!node->is("constant")) elements += type.shape.elements();
      if (elements > kMaxKnown) return false;
    }
  }
  return true;
}

void KnownValues::require_affordable(const Value& value) const {
  if (affordable(value)) return;
  throw Error(Code::kUnsupported,
              cat("a shape depends on a value that takes more than ", kMaxKnown, " elements to compute"));
}

Literal KnownValues::fold(const Value& value) {
  if (value.node().is("constant"))
    return AttributeReader(value.node().op(), value.node().attributes()).literal("value");
  const auto key = std::make_pair(&value.node(), value.index());
  const auto at = known_.find(key);
  if (at != known_.end()) return at->second.literal;
  require_affordable(value);
  const Literal literal = reference::evaluate(Graph({}, {value}), {})[0];
  known_[key] = {value, literal};
  return literal;
}

Literal KnownValues::known(const Value& value) {
  if (!depends(value)) return fold(value);
  const auto key = std::make_pair(&value.node(), value.index());
  const auto at = known_.find(key);
  if (at != known_.end()) return at->second.literal;
  require_affordable(value);
  Literal literal;
  const auto direct = std::find(parameters_.begin(), parameters_.end(), value);
  std::vector<Value> used;
  std::vector<Literal> inputs;
  const Graph all({}, {value});
  for (const Node* node : all.nodes()) {
    if (!node->is("parameter")) continue;
    const auto place = std::find(parameters_.begin(), parameters_.end(), Value(*node));
    const size_t index = static_cast<size_t>(place - parameters_.begin());
    if (place == parameters_.end()) {
      throw Error(Code::kUnsupported, "a shape depends on a value that changes from round to round of a loop");
    }
    if (!values_[index]) {
      throw Error(Code::kUnsupported, cat("a shape depends on the value of input '", names_[index],
                                          "', which is not at hand; import the model with that value"));
    }
    used.push_back(parameters_[index]);
    inputs.push_back(values_[index]);
  }
  if (direct != parameters_.end()) {
    literal = values_[static_cast<size_t>(direct - parameters_.begin())];
  } else if (evaluate_) {
    literal = evaluate_(Graph(used, {value}), inputs)[0];
  } else {
    literal = reference::evaluate(Graph(used, {value}), inputs)[0];
  }
  guards_.push_back({Graph(parameters_, {value}), literal});
  known_[key] = {value, literal};
  return literal;
}

}  // namespace trireme::formats
