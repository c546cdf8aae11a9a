#include "trireme/certify/tipc_table.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"

namespace trireme::certify {

namespace {

constexpr std::array<std::string_view, 4> kModes = {"normal", "bf16", "f16", "int8"};
constexpr const char* kAll = "all";

// What a chip must keep to where the table says nothing. Measured on chips that are right, with room:
// docs/guide/tipc.md.
TipcBands default_bands(TipcMode mode) {
  switch (mode) {
    case TipcMode::kNormal: return {.loss = 0.01, .accuracy = 0.03, .outputs = 1e-3, .cpu_share = 0.25};
    case TipcMode::kBf16: return {.loss = 0.03, .accuracy = 0.05, .outputs = 1e-3, .cpu_share = 0.25};
    case TipcMode::kF16: return {.loss = 0.03, .accuracy = 0.05, .outputs = 1e-3, .cpu_share = 0.25};
    default: return {.loss = 0.01, .accuracy = 0.05, .outputs = 0.1, .cpu_share = 0.25};
  }
}

// FNV-1a (Fowler, Noll, Vo).
uint64_t digest_of(const std::string& text, uint64_t value) {
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return value;
}

class Reader {
 public:
  explicit Reader(std::string path) : path_(std::move(path)) {}

  TipcTable read() {
    const std::string text = read_file(path_);
    digest_ = digest_of(text, digest_);
    try {
      table(YAML::Load(text));
    } catch (const YAML::Exception& failure) {
      throw Error(Code::kInvalidArgument, cat(path_, ":", failure.mark.line + 1, ": this is not YAML: ", failure.msg));
    }
    return {std::move(rows_), cat(digest_)};
  }

 private:
  using BandsByMode = std::map<std::string, TipcBands>;

  [[noreturn]] void refuse(const YAML::Node& node, const std::string& what) const {
    throw Error(Code::kInvalidArgument,
                cat(path_, node.Mark().is_null() ? "" : cat(":", node.Mark().line + 1), ": ", what));
  }

  // Calls read(key, value) for each entry of a map whose keys are all known and there once.
  template <class F>
  void each(const YAML::Node& map, const std::string& what, const std::vector<std::string>& known, const F& read) {
    if (!map.IsMap()) refuse(map, cat(what, " must be a map of: ", join(known, ", ")));
    std::set<std::string> seen;
    for (const auto& entry : map) {
      const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
      if (std::find(known.begin(), known.end(), key) == known.end()) {
        const std::string near = nearest_name(key, known);
        refuse(entry.first, cat("unknown key '", key, "' in ", what, "; ",
                                near.empty() ? "known: " + join(known, ", ") : cat("did you mean '", near, "'?")));
      }
      if (!seen.insert(key).second) refuse(entry.first, cat(key, " is given twice in ", what, "; keep one"));
      read(key, entry.second);
    }
  }

  std::string text(const YAML::Node& node, const std::string& what) const {
    if (!node.IsScalar() || node.Scalar().empty()) refuse(node, cat(what, " must be a text"));
    return node.Scalar();
  }
  std::vector<std::string> texts(const YAML::Node& node, const std::string& what) const {
    if (!node.IsSequence()) refuse(node, cat(what, " must be a list of texts"));
    std::vector<std::string> out;
    for (const YAML::Node& each : node) out.push_back(text(each, what));
    return out;
  }

  // Figures of a map of bands, laid over those in `to`.
  void bands(const YAML::Node& node, const std::string& what, TipcBands& to) {
    const auto number = [&](const YAML::Node& value, const std::string& key, double most) {
      double out = 0.0;
      if (!value.IsScalar() || !YAML::convert<double>::decode(value, out) || !std::isfinite(out) || out < 0 ||
          out > most) {
        refuse(value, cat(what, ": ", key, " must be a number from 0", std::isfinite(most) ? cat(" to ", most) : "",
                          "; given ", value.IsScalar() ? "'" + value.Scalar() + "'" : "no number"));
      }
      return out;
    };
    each(node, what, {"loss", "accuracy", "outputs", "cpu_share"}, [&](const std::string& key, const YAML::Node& v) {
      if (key == "loss") to.loss = number(v, key, HUGE_VAL);
      if (key == "accuracy") to.accuracy = number(v, key, 1.0);
      if (key == "outputs") to.outputs = number(v, key, HUGE_VAL);
      if (key == "cpu_share") to.cpu_share = number(v, key, 1.0);
    });
  }

  // What holds for all modes first, then what is said of one.
  void bands_by_mode(const YAML::Node& node, const std::string& what, BandsByMode& to) {
    std::vector<std::string> known(kModes.begin(), kModes.end());
    known.emplace_back(kAll);
    for (const bool general : {true, false}) {
      each(node, what, known, [&](const std::string& key, const YAML::Node& value) {
        if ((key == kAll) != general) return;
        for (auto& [mode, figures] : to) {
          if (general || mode == key) bands(value, what + "." + key, figures);
        }
      });
    }
  }

  void table(const YAML::Node& root) {
    BandsByMode figures;
    for (size_t i = 0; i < kModes.size(); ++i) figures[std::string(kModes[i])] = default_bands(TipcMode(i));
    YAML::Node models;
    each(root, "the table", {"bands", "models"}, [&](const std::string& key, const YAML::Node& value) {
      if (key == "bands") bands_by_mode(value, key, figures);
      if (key == "models") models.reset(value);
    });
    if (!models.IsSequence() || models.size() == 0) refuse(root, "models is missing: a list of what is to be run");
    for (const YAML::Node& each : models) model(each, figures);
  }

  void model(const YAML::Node& node, BandsByMode figures) {
    std::string called, config;
    std::vector<std::string> options, modes(kModes.begin(), kModes.end());
    YAML::Node own;
    each(node, "a model", {"name", "config", "options", "modes", "bands"},
         [&](const std::string& key, const YAML::Node& value) {
           if (key == "name") called = text(value, "name");
           if (key == "config") config = text(value, "config");
           if (key == "options") options = texts(value, "options");
           if (key == "modes") modes = texts(value, "modes");
           if (key == "bands") own.reset(value);
         });
    for (const auto& [key, value] : {std::pair("name", called), std::pair("config", config)}) {
      if (value.empty()) refuse(node, cat("a model has no ", key));
    }
    const auto fits = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-'; };
    if (!std::all_of(called.begin(), called.end(), fits)) {
      refuse(node, cat("the name '", called, "' may have letters, digits, - and _ only"));
    }
    if (!names_.insert(called).second) refuse(node, cat("two models are called ", called, "; rename one"));
    if (own.IsDefined() && !own.IsNull()) bands_by_mode(own, cat("bands of ", called), figures);
    std::set<std::string> seen;
    for (const std::string& word : modes) {
      const auto at = std::find(kModes.begin(), kModes.end(), word);
      if (at == kModes.end()) {
        const std::string near = nearest_name(word, kModes);
        refuse(node, cat("unknown mode '", word, "' of ", called, "; ",
                         near.empty() ? "known: normal, bf16, f16, int8" : cat("did you mean '", near, "'?")));
      }
      if (!seen.insert(word).second) refuse(node, cat(called, " has the mode ", word, " twice; keep one"));
      const auto mode = TipcMode(at - kModes.begin());
      rows_.push_back(
          {called + "/" + word, called, mode, read_config(node, called, config, options, mode), figures.at(word)});
    }
    if (modes.empty()) refuse(node, cat(called, " has no modes; leave the key out for all of them"));
  }

  train::Config read_config(const YAML::Node& node, const std::string& called, const std::string& file,
                            const std::vector<std::string>& options, TipcMode mode) {
    const std::string where = (std::filesystem::path(path_).parent_path() / file).string();
    if (!file_exists(where)) refuse(node, cat("the configuration of ", called, " does not exist: ", where));
    digest_ = digest_of(read_file(where), digest_);
    train::Config config = train::read_config(where, options);
    config.global.amp = mode == TipcMode::kBf16 ? "bf16" : mode == TipcMode::kF16 ? "f16" : "none";
    const bool text = config.data_loader.dataset == "text";
    if (text ? config.data_loader.validation_share == 0 : config.data_loader.hold_back == 0) {
      refuse(node, cat(called, " holds back no examples to evaluate on: set DataLoader.",
                       text ? "validation_share" : "hold_back", " in ", where));
    }
    return config;
  }

  std::string path_;
  std::vector<TipcRow> rows_;
  std::set<std::string> names_;
  uint64_t digest_ = 0xcbf29ce484222325;
};

}  // namespace

std::string_view name(TipcMode mode) { return kModes[static_cast<size_t>(mode)]; }

TipcTable read_tipc_table(const std::string& path) { return Reader(path).read(); }

std::vector<TipcRow> chosen_rows(const std::vector<TipcRow>& rows, const std::vector<std::string>& names) {
  const auto is = [](const TipcRow& row, const std::string& name) { return row.name == name || row.model == name; };
  std::vector<std::string> known;
  for (const TipcRow& row : rows) known.push_back(row.name);
  for (const std::string& name : names) {
    if (std::any_of(rows.begin(), rows.end(), [&](const TipcRow& row) { return is(row, name); })) continue;
    const std::string near = nearest_name(name, known);
    throw Error(Code::kInvalidArgument,
                cat("the table has no row '", name, "'; ",
                    near.empty() ? "it has: " + join(known, ", ") : cat("did you mean '", near, "'?")));
  }
  std::vector<TipcRow> out;
  for (const TipcRow& row : rows) {
    const auto matches = [&](const std::string& name) { return is(row, name); };
    if (names.empty() || std::any_of(names.begin(), names.end(), matches)) out.push_back(row);
  }
  return out;
}

}  // namespace trireme::certify
