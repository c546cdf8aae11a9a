#include "trireme/ir/registry.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include "trireme/base/strings.h"

namespace trireme {

namespace {

struct Table {
  std::vector<const OpDecl*> ops;
  std::vector<OpDecl*> mutable_ops;
  std::vector<std::string_view> families;
  std::once_flag families_set;
};

Table& installed() {
  static Table table;
  return table;
}

// The families are written at the first look and not at installation: the declarations live in other files, whose
// initialisation may come later and would wipe them out.
const std::vector<const OpDecl*>& table() {
  Table& t = installed();
  std::call_once(t.families_set, [&] {
    for (size_t i = 0; i < t.mutable_ops.size(); ++i) t.mutable_ops[i]->family = t.families[i];
  });
  return t.ops;
}

}  // namespace

bool install_ops(std::span<OpDecl* const> ops, std::span<const std::string_view> families) {
  Table& t = installed();
  t.ops.insert(t.ops.end(), ops.begin(), ops.end());
  t.mutable_ops.insert(t.mutable_ops.end(), ops.begin(), ops.end());
  t.families.insert(t.families.end(), families.begin(), families.end());
  return true;
}

std::span<const OpDecl* const> all_ops() { return table(); }

const OpDecl* find_op(std::string_view name) {
  const auto& ops = table();
  const auto at =
      std::lower_bound(ops.begin(), ops.end(), name, [](const OpDecl* op, std::string_view n) { return op->id() < n; });
  return at != ops.end() && (*at)->id() == name ? *at : nullptr;
}

const OpDecl& get_op(std::string_view name) {
  if (const OpDecl* op = find_op(name)) return *op;
  std::vector<std::string_view> known;
  for (const OpDecl* op : table()) known.push_back(op->id());
  const std::string near = nearest_name(name, known);
  throw Error(Code::kNotFound,
              cat("unknown op '", name, "'; ",
                  near.empty() ? "`trireme ops` lists the known ones" : "did you mean '" + near + "'?"));
}

}  // namespace trireme
