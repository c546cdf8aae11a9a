// trireme ops: every op from its declaration; with --markdown the reference pages of docs.
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "trireme/base/strings.h"
#include "trireme/ir/registry.h"
#include "trireme/tensor/tensor.h"

namespace trireme::cli {

namespace {

const char* tier_name(Tier tier) {
  switch (tier) {
    case Tier::kBringUp: return "bring-up";
    case Tier::kMandatory: return "mandatory";
    case Tier::kExpected: return "expected";
    case Tier::kHost: return "host";
    case Tier::kComposite: return "composite";
  }
  return "?";
}

std::string gradient_text(const OpDecl& op) {
  switch (op.gradient.way) {
    case Gradient::Way::kPullback: return "its own rule";
    case Gradient::Way::kDecomposition: return "by its decomposition";
    case Gradient::Way::kNone: return cat("none: ", op.gradient.reason);
  }
  return {};
}

void print_json() {
  nlohmann::json primitives = nlohmann::json::array(), composites = nlohmann::json::array();
  for (const OpDecl* op : all_ops()) (op->is_composite() ? composites : primitives).push_back(op->id());
  std::printf("%s\n", nlohmann::json{{"primitives", primitives}, {"composites", composites}}.dump().c_str());
}

void print_one(const OpDecl& op) {
  std::printf("## %s\n\n%s\n\n", std::string(op.id()).c_str(), op.doc.value.data());
  std::printf("| | |\n|---|---|\n| tier | %s |\n| gradient | %s |\n", tier_name(op.tier.value),
              gradient_text(op).c_str());
  for (const InputSpec& input : op.inputs.list) {
    const bool same = (input.types.bits & same_as_first.bits) != 0;
    std::printf("| input `%s` | %s%s |\n", std::string(input.name).c_str(),
                same ? "type of the first input" : input.types.text().c_str(),
                input.arity == Arity::kOptional   ? ", optional"
                : input.arity == Arity::kVariadic ? ", any number"
                                                  : "");
  }
  for (const AttributeSpec& attribute : op.attributes.list) {
    std::printf("| attribute `%s` | %s%s: %s |\n", std::string(attribute.name).c_str(),
                std::string(name(attribute.kind)).c_str(),
                attribute.required ? "" : (" = " + text(attribute.fallback)).c_str(),
                std::string(attribute.doc).c_str());
  }
  int number = 0;
  for (std::string_view rule : op.rules.list) {
    std::printf("| `%s_c%d` | %s |\n", std::string(op.id()).c_str(), ++number, std::string(rule).c_str());
  }
  std::printf("\n");
}

void print_table() {
  std::map<std::string, int> counts;
  for (const OpDecl* op : all_ops()) {
    ++counts[tier_name(op->tier.value)];
    std::printf("%-26s %-10s %-15s %s\n", std::string(op->id()).c_str(), tier_name(op->tier.value),
                std::string(op->family).c_str(), op->doc.value.data());
  }
  std::vector<std::string> parts;
  for (const auto& [tier, count] : counts) parts.push_back(cat(count, " ", tier));
  std::printf("%zu ops: %s\n", all_ops().size(), join(parts, ", ").c_str());
}

}  // namespace

void add_ops(CLI::App& app) {
  struct Options {
    bool json = false, markdown = false;
    std::string name;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("ops", "List the ops, or describe one");
  command->add_option("op", options->name, "one op to describe");
  command->add_flag("--json", options->json, "print one JSON line with the names");
  command->add_flag("--markdown", options->markdown, "print the reference page of every op");
  command->callback([options] {
    if (options->json) return print_json();
    if (!options->name.empty()) return print_one(get_op(options->name));
    if (!options->markdown) return print_table();
    std::printf("# Ops\n\nWritten by `trireme ops --markdown` from the declarations.\n\n");
    for (const OpDecl* op : all_ops()) print_one(*op);
  });
}

}  // namespace trireme::cli
