#include "trireme/train/anomaly.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/ir/graph.h"
#include "trireme/ir/op_decl.h"

namespace trireme::train {

namespace {

// "element 3 = nan", or nothing.
std::string bad_element(const Literal& value) {
  if (!is_float(value.dtype())) return "";
  if (value.dtype() == f32) {  // the usual case, quickly
    const auto all = value.values<float>();
    if (std::all_of(all.begin(), all.end(), [](float x) { return std::isfinite(x); })) return "";
  }
  for (int64_t i = 0; i < value.elements(); ++i) {
    if (!std::isfinite(value.at(i))) return cat("element ", i, " = ", value.at(i));
  }
  return "";
}

}  // namespace

std::string first_not_finite(const std::vector<nn::NamedTensor>& state) {
  for (const auto& each : state) {
    const std::string found = bad_element(each.tensor.literal());
    if (!found.empty()) return cat(each.name, ", ", found);
  }
  return "";
}

void explain_anomaly(const std::string& head, const std::vector<Value>& outputs,
                     const std::vector<nn::NamedTensor>& leaves) {
  const std::string leaf = first_not_finite(leaves);
  if (!leaf.empty()) throw Error(Code::kInvalidArgument, cat(head, ": it was there before the step, in ", leaf));
  std::vector<Tensor> kept;  // results stay alive, so that each is computed once
  std::unordered_set<const Node*> bad;
  for (const Node* node : Graph({}, outputs).nodes()) {
    if (node->is("parameter")) continue;
    bool clean = true;  // -inf in a mask and what comes of it is meant
    for (const Value& v : node->inputs()) clean = clean && !(v && bad.contains(&v.node()));
    for (uint32_t k = 0; k < node->outputs().size(); ++k) {
      kept.emplace_back(Value(*node, k));
      const std::string found = bad_element(kept.back().literal());
      if (found.empty()) continue;
      bad.insert(node);
      if (!clean || node->inputs().empty()) continue;
      throw Error(Code::kInvalidArgument, cat(head, ": the first value that is not finite comes from ", node->name(),
                                              " ", node->outputs()[k], " at ", node->source(), ", ", found));
    }
  }
  throw Error(Code::kInvalidArgument,
              head +
                  ": the loss and its gradients are finite, so the update made it; lower the learning rate or clip "
                  "gradients (clip_norm)");
}

}  // namespace trireme::train
