#include "persona.h"

#include <algorithm>
#include <bit>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "broken.h"
#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::refchip {
namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse(const std::string& what) { throw Error(Code::kInvalidArgument, what); }

// One JSON object with the keys it may have.
class Section {
 public:
  Section(const Json& json, std::string where, const std::vector<std::string>& keys)
      : json_(json), where_(std::move(where)) {
    if (!json.is_object()) refuse(cat(where_, ": expected an object with the keys ", join(keys, ", ")));
    for (const auto& [key, value] : json.items()) {
      if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
      const std::string near = nearest_name(key, keys);
      refuse(cat(where_, ": unknown key \"", key, "\"; ",
                 near.empty() ? cat("known keys: ", join(keys, ", ")) : cat("did you mean \"", near, "\"?")));
    }
  }

  bool has(const char* key) const { return json_.contains(key); }
  const Json& at(const char* key) const { return json_.at(key); }
  std::string place(const char* key) const { return cat(where_, ".", key); }

  void read(const char* key, std::string& out) const {
    if (!has(key)) return;
    if (!at(key).is_string()) refuse(cat(place(key), ": expected a string"));
    out = at(key).get<std::string>();
  }
  void read(const char* key, bool& out) const {
    if (!has(key)) return;
    if (!at(key).is_boolean()) refuse(cat(place(key), ": expected true or false"));
    out = at(key).get<bool>();
  }
  template <std::unsigned_integral T>
  void read(const char* key, T& out, uint64_t low, uint64_t high) const {
    if (!has(key)) return;
    if (!at(key).is_number_unsigned() || at(key).get<uint64_t>() < low || at(key).get<uint64_t>() > high) {
      refuse(cat(place(key), ": expected a whole number from ", low, " to ", high));
    }
    out = at(key).get<T>();
  }
  void read_rate(const char* key, double& out, bool zero_allowed) const {
    if (!has(key)) return;
    if (!at(key).is_number() || !(at(key).get<double>() >= 0) || (!zero_allowed && at(key).get<double>() == 0)) {
      refuse(cat(place(key), ": expected a number ", zero_allowed ? "of at least 0" : "above 0"));
    }
    out = at(key).get<double>();
  }
  void read(const char* key, std::vector<std::string>& out) const {
    if (!has(key)) return;
    const auto is_text = [](const Json& item) { return item.is_string(); };
    if (!at(key).is_array() || !std::all_of(at(key).begin(), at(key).end(), is_text)) {
      refuse(cat(place(key), ": expected a list of strings"));
    }
    out = at(key).get<std::vector<std::string>>();
  }
  // One word of a short list; returns its position, or `fallback` when the key is absent.
  size_t read_word(const char* key, const std::vector<std::string>& words, size_t fallback) const {
    std::string word = words[fallback];
    read(key, word);
    const auto found = std::find(words.begin(), words.end(), word);
    if (found == words.end()) refuse(cat(place(key), ": \"", word, "\" is not one of ", join(words, ", ")));
    return static_cast<size_t>(found - words.begin());
  }

 private:
  const Json& json_;
  std::string where_;
};

constexpr uint64_t kMost = uint64_t{1} << 62;

void read_memory(const Section& memory, Persona& p) {
  p.addressing = static_cast<TrmAddressing>(memory.read_word("addressing", {"flat", "handle", "whole"}, 0) + TRM_FLAT);
  memory.read("bytes", p.memory_bytes, 1, kMost);
  memory.read("pinned_bytes", p.pinned_bytes, 0, kMost);
  memory.read("alignment", p.alignment, 1, 4096);
  if (!std::has_single_bit(p.alignment)) {
    refuse(cat(memory.place("alignment"), ": ", p.alignment, " is not a power of two"));
  }
}

void read_compute(const Json& json, const std::string& where, Persona& p) {
  if (json.is_boolean()) {
    p.compute = json.get<bool>();
    return;
  }
  const Section compute(
      json, where, {"ops", "dtypes", "convert", "operands", "channels_last", "nodes", "partition", "workspace_bytes"});
  if (compute.has("ops")) {
    const Section ops(compute.at("ops"), compute.place("ops"), {"only", "except"});
    if (ops.has("only") == ops.has("except")) refuse(cat(compute.place("ops"), ": give either only or except"));
    p.all_ops = ops.has("except");
    ops.read("only", p.ops);
    ops.read("except", p.ops);
  }
  if (compute.has("dtypes")) {
    std::vector<std::string> names;
    compute.read("dtypes", names);
    p.dtypes = {};
    for (const std::string& name : names) p.dtypes = p.dtypes | trireme::only(parse_dtype(name));
  }
  if (compute.has("convert")) {
    if (!compute.at("convert").is_object()) refuse(cat(compute.place("convert"), ": expected {\"from\": \"to\"}"));
    for (const auto& [from, to] : compute.at("convert").items()) {
      if (!to.is_string()) refuse(cat(compute.place("convert"), ".", from, ": expected the name of a type"));
      const DType wanted = parse_dtype(to.get<std::string>());
      if (p.dtypes.has(parse_dtype(from)) || !p.dtypes.has(wanted)) {
        refuse(cat(compute.place("convert"), ".", from, ": converts from a type in dtypes or to one that is not"));
      }
      p.convert[parse_dtype(from)] = wanted;
    }
  }
  p.dense_operands = compute.read_word("operands", {"any", "dense"}, 0) == 1;
  compute.read("channels_last", p.channels_last);
  if (compute.has("nodes")) {
    const Section nodes(compute.at("nodes"), compute.place("nodes"), {"min", "max"});
    nodes.read("min", p.min_nodes, 1, 65535);
    nodes.read("max", p.max_nodes, p.min_nodes, 65535);
  }
  compute.read("partition", p.partition);
  compute.read("workspace_bytes", p.workspace_bytes, 0, uint64_t{1} << 30);
}

PlannedFault read_fault(const Json& json, const std::string& where) {
  const Section section(json, where, {"kind", "tag", "command", "op", "count"});
  PlannedFault fault;
  fault.kind = static_cast<TrmFault>(section.read_word("kind", {"command", "late", "lost", "out_of_memory"}, 0) +
                                     TRM_FAULT_NEXT_COMMAND);
  section.read("tag", fault.tag, 1, UINT64_MAX);
  section.read("command", fault.command, 1, kMost);
  section.read("op", fault.op);
  section.read("count", fault.count, 1, kMost);
  if ((fault.tag != 0) + (fault.command != 0) + !fault.op.empty() != 1) {
    refuse(cat(where, ": give either tag or command or op"));
  }
  if (fault.kind == TRM_FAULT_OUT_OF_MEMORY && fault.command == 0) {
    refuse(cat(where, ": allocations have no tag and no op; give command, counted in allocations"));
  }
  return fault;
}

}  // namespace

bool Persona::has_op(std::string_view op) const {
  const bool listed = std::find(ops.begin(), ops.end(), op) != ops.end();
  return listed != all_ops;
}

bool Persona::withholds(std::string_view slot) const {
  return std::any_of(withhold.begin(), withhold.end(), [&](const std::string& pattern) {
    return pattern.ends_with('*') ? slot.starts_with(pattern.substr(0, pattern.size() - 1)) : slot == pattern;
  });
}

std::string Persona::chip_name() const {
  std::string out = "refchip_";
  for (size_t i = 0; i < name.size(); ++i) {
    const bool before_digit = i + 1 < name.size() && name[i + 1] >= '0' && name[i + 1] <= '9';
    if (name[i] != '-') out += name[i];
    else if (!before_digit) out += '_';
  }
  return out;
}

Persona parse_persona(std::string_view json, const std::string& origin) {
  Json document;
  try {
    document = Json::parse(json);
  } catch (const Json::exception& e) {
    refuse(cat("persona ", origin, " is not JSON: ", e.what()));
  }
  const Section root(document, cat("persona ", origin),
                     {"name", "description", "devices", "units", "seed", "max_delay_us", "synchronous",
                      "error_precision", "withhold", "memory", "compute", "rates", "faults", "broken"});
  Persona p;
  root.read("name", p.name);
  const auto legal = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  if (p.name.empty() || p.name.size() > 40 || !std::all_of(p.name.begin(), p.name.end(), legal)) {
    refuse(cat(root.place("name"), ": \"", p.name, "\" is not a name of up to 40 of a-z, 0-9 and '-'"));
  }
  root.read("description", p.description);
  root.read("devices", p.devices, 0, 64);
  root.read("units", p.units, 1, 1 << 20);
  root.read("seed", p.seed, 0, UINT64_MAX);
  root.read("max_delay_us", p.max_delay_us, 0, 1000000);
  root.read("synchronous", p.synchronous);
  p.error_precision =
      static_cast<TrmPrecision>(root.read_word("error_precision", {"unknown", "exact", "window"}, TRM_TAG_EXACT));
  root.read("withhold", p.withhold);
  if (root.has("memory")) {
    read_memory(Section(root.at("memory"), root.place("memory"), {"addressing", "bytes", "pinned_bytes", "alignment"}),
                p);
  }
  if (root.has("compute")) read_compute(root.at("compute"), root.place("compute"), p);
  if (root.has("rates")) {
    const Section rates(
        root.at("rates"), root.place("rates"),
        {"flops_f32", "flops_low", "memory_bandwidth", "link_bandwidth", "link_latency_ns", "launch_latency_ns"});
    rates.read_rate("flops_f32", p.flops_f32, false);
    rates.read_rate("flops_low", p.flops_low, true);
    rates.read_rate("memory_bandwidth", p.memory_bandwidth, false);
    rates.read_rate("link_bandwidth", p.link_bandwidth, false);
    rates.read_rate("link_latency_ns", p.link_latency_ns, true);
    rates.read_rate("launch_latency_ns", p.launch_latency_ns, true);
  }
  if (root.has("faults")) {
    if (!root.at("faults").is_array()) refuse(cat(root.place("faults"), ": expected a list"));
    for (const Json& fault : root.at("faults")) p.faults.push_back(read_fault(fault, root.place("faults")));
  }
  if (root.has("broken")) {
    std::string defect;
    root.read("broken", defect);
    p.defect = &find_defect(defect);
  }
  for (const char c : json) p.hash = (p.hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return p;
}

Persona load_persona(const std::string& name_or_path) {
  if (name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".json")) {
    std::ifstream file(name_or_path, std::ios::binary);
    std::ostringstream text;
    if (!file || !(text << file.rdbuf())) {
      throw Error(Code::kNotFound, cat("cannot read the persona file ", name_or_path,
                                       "; give the path of a JSON file "
                                       "or the name of a built-in persona"));
    }
    return parse_persona(text.str(), name_or_path);
  }
  constexpr std::string_view kBroken = "broken-";
  if (name_or_path.starts_with(kBroken)) {
    const std::string defect = name_or_path.substr(kBroken.size());
    const int delay_us = find_defect(defect).slots ? 50 : 0;  // a wrong kernel needs no race to show
    return parse_persona(
        cat(R"({"name": ")", name_or_path, R"(", "max_delay_us": )", delay_us,
            R"(, "memory": {"bytes": 68719476736}, "compute": {"workspace_bytes": 256}, "broken": ")", defect, R"("})"),
        name_or_path);
  }
  std::vector<std::string> names;
  for (const BuiltinPersona& persona : builtin_personas()) {
    if (persona.name == name_or_path) return parse_persona(persona.json, name_or_path);
    names.emplace_back(persona.name);
  }
  const std::string near = nearest_name(name_or_path, names);
  throw Error(Code::kNotFound,
              cat("no persona \"", name_or_path, "\"; ",
                  near.empty() ? cat("built in: ", join(names, ", "), "; or give a path ending in .json")
                               : cat("did you mean \"", near, "\"?")));
}

}  // namespace trireme::refchip
