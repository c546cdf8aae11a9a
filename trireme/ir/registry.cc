#include "trireme/ir/registry.h"

#include <algorithm>
#include <vector>

#include "trireme/base/strings.h"

namespace trireme {

namespace {
std::vector<const OpDecl*>& table() {
  static std::vector<const OpDecl*> ops;
  return ops;
}
}  // namespace

bool install_ops(std::span<OpDecl* const> ops, std::span<const std::string_view> families) {
  for (size_t i = 0; i < ops.size(); ++i) {
    ops[i]->family = families[i];
    table().push_back(ops[i]);
  }
  return true;
}

std::span<const OpDecl* const> all_ops() { return table(); }

const OpDecl* find_op(std::string_view name) {
  const auto& ops = table();
  const auto at = std::lower_bound(ops.begin(), ops.end(), name,
                                   [](const OpDecl* op, std::string_view n) { return op->id() < n; });
  return at != ops.end() && (*at)->id() == name ? *at : nullptr;
}

const OpDecl& get_op(std::string_view name) {
  if (const OpDecl* op = find_op(name)) return *op;
  std::vector<std::string_view> known;
  for (const OpDecl* op : table()) known.push_back(op->id());
  const std::string near = nearest_name(name, known);
  throw Error(Code::kNotFound, cat("unknown op '", name, "'; ",
                                   near.empty() ? "`trireme ops` lists the known ones" : "did you mean '" + near + "'?"));
}

}  // namespace trireme
