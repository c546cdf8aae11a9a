// A node by the name of its op, for tests that build graphs.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "trireme/ir/graph.h"
#include "trireme/ir/registry.h"

namespace trireme::testing {

// Attributes by name, defaults elsewhere.
inline Value op(std::string_view name, std::vector<Value> inputs,
                const std::vector<std::pair<std::string_view, Attribute>>& given = {}) {
  const OpDecl& decl = get_op(name);
  std::vector<Attribute> attributes;
  for (const AttributeSpec& spec : decl.attributes.list) {
    attributes.push_back(spec.fallback);
    for (const auto& [key, value] : given) {
      if (key == spec.name) attributes.back() = value;
    }
  }
  return make_node(decl, std::move(inputs), std::move(attributes));
}

}  // namespace trireme::testing
