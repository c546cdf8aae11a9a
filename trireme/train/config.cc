#include "trireme/train/config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <variant>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"

namespace trireme::train {

namespace {

using Target = std::variant<std::string*, bool*, int64_t*, double*, std::vector<std::string>*, std::vector<int64_t>*>;

struct Key {
  std::string path;  // "Optimizer.schedule.name"
  Target target;
  double least = 0.0;               // of a number
  std::vector<std::string> values;  // of a text; empty: any
  std::string selector;             // the key has a meaning only when this one...
  std::vector<std::string> chosen;  // ...is one of these
  double most = std::numeric_limits<double>::infinity();
};

// Everything a configuration may say.
std::vector<Key> schema(Config& c) {
  auto& [global, arch, loss, optimizer, loader] = c;
  auto& schedule = optimizer.schedule;
  const std::string kSchedule = "Optimizer.schedule.name", kDataset = "DataLoader.dataset";
  return {
      {"Global.device", &global.device},
      {"Global.use_xpu", &global.use_xpu},
      {"Global.seed", &global.seed},
      {"Global.epochs", &global.epochs, 1},
      {"Global.output_dir", &global.output_dir},
      {"Global.save_interval", &global.save_interval},
      {"Global.print_interval", &global.print_interval, 1},
      {"Global.resume", &global.resume},
      {"Global.detect_anomaly", &global.detect_anomaly},
      {"Global.fallback", &global.fallback, 0, {"error", "warn", "allow"}},
      {"Global.patience", &global.patience},
      {"Global.amp", &global.amp, 0, {"none", "bf16", "f16"}},
      {"Global.accumulate_steps", &global.accumulate_steps, 1},
      {"Arch.name", &arch.name, 0, {"mlp", "lenet", "resnet18", "mobilenet", "gpt", "lstm", "bert"}},
      {"Arch.hidden", &arch.hidden, 1, {}, "Arch.name", {"mlp"}},
      {"Arch.width", &arch.width, 1, {}, "Arch.name", {"resnet18", "mobilenet"}, 4096},
      {"Arch.layers", &arch.layers, 1, {}, "Arch.name", {"gpt", "lstm", "bert"}},
      {"Arch.heads", &arch.heads, 1, {}, "Arch.name", {"gpt", "bert"}},
      {"Arch.features", &arch.features, 1, {}, "Arch.name", {"gpt", "lstm", "bert"}},
      {"Arch.recompute", &arch.recompute, 0, {}, "Arch.name", {"gpt", "bert"}},
      {"Arch.classes", &arch.classes},
      {"Arch.dropout", &arch.dropout, 0, {}, {}, {}, 0.99},
      {"Loss.name", &loss.name, 0, {"cross_entropy", "mse"}},
      {"Loss.label_smoothing", &loss.label_smoothing, 0, {}, "Loss.name", {"cross_entropy"}, 1.0},
      {"Optimizer.name", &optimizer.name, 0, {"sgd", "momentum", "adam", "adamw", "lamb", "rmsprop"}},
      {"Optimizer.learning_rate", &optimizer.learning_rate},
      {"Optimizer.momentum", &optimizer.momentum, 0, {}, "Optimizer.name", {"momentum", "rmsprop"}, 1.0},
      {"Optimizer.schedule.name", &schedule.name, 0, {"constant", "step", "cosine", "polynomial"}},
      {"Optimizer.schedule.period", &schedule.period, 1, {}, kSchedule, {"step"}},
      {"Optimizer.schedule.gamma", &schedule.gamma, 0, {}, kSchedule, {"step"}},
      {"Optimizer.schedule.steps", &schedule.steps, 0, {}, kSchedule, {"cosine", "polynomial"}},
      {"Optimizer.schedule.power", &schedule.power, 0, {}, kSchedule, {"polynomial"}},
      {"Optimizer.schedule.last", &schedule.last, 0, {}, kSchedule, {"cosine", "polynomial"}},
      {"Optimizer.warm_up", &optimizer.warm_up},
      {"Optimizer.weight_decay", &optimizer.weight_decay},
      {"Optimizer.clip_value", &optimizer.clip_value},
      {"Optimizer.clip_norm", &optimizer.clip_norm},
      {kDataset,
       &loader.dataset,
       0,
       {"mnist", "csv", "image_folder", "idx", "png_batches", "text", "wave_images", "subject_tokens"}},
      {"DataLoader.path", &loader.path, 0, {}, kDataset, {"csv", "image_folder", "idx", "png_batches", "text"}},
      {"DataLoader.labels", &loader.labels, 0, {}, kDataset, {"idx", "png_batches"}},
      {"DataLoader.label", &loader.label, 0, {}, kDataset, {"csv"}},
      {"DataLoader.ignore", &loader.ignore, 0, {}, kDataset, {"csv"}},
      {"DataLoader.size", &loader.size, 0, {}, kDataset, {"image_folder", "wave_images"}, 4096},
      {"DataLoader.length", &loader.length, 1, {}, kDataset, {"text", "subject_tokens"}},
      {"DataLoader.count", &loader.count, 1, {}, kDataset, {"wave_images", "subject_tokens"}, 1e6},
      {"DataLoader.vocabulary", &loader.vocabulary, 2, {}, kDataset, {"subject_tokens"}, 1e6},
      {"DataLoader.stride", &loader.stride, 1, {}, kDataset, {"text"}},
      {"DataLoader.validation_share", &loader.validation_share, 0, {}, kDataset, {"text"}, 0.99},
      {"DataLoader.hold_back",
       &loader.hold_back,
       0,
       {},
       kDataset,
       {"mnist", "csv", "image_folder", "idx", "png_batches", "wave_images", "subject_tokens"}},
      {"DataLoader.batch_size", &loader.batch_size, 1},
      {"DataLoader.workers", &loader.workers, 0, {}, {}, {}, 256},
  };
}

[[noreturn]] void refuse(const std::string& where, const std::string& what) {
  throw Error(Code::kInvalidArgument, where + ": " + what);
}

std::string suggestion(const std::string& given, const std::vector<std::string>& known) {
  const std::string near = nearest_name(given, known);
  return near.empty() ? "known: " + join(known, ", ") : "did you mean '" + near + "'?";
}

class Reader {
 public:
  Reader(Config& config, std::string source) : keys_(schema(config)), source_(std::move(source)) {}

  void file(const YAML::Node& root) {
    if (root.IsNull()) return;
    if (!root.IsMap()) refuse(where(root), "the file is no map of sections Global, Arch, Loss, Optimizer, DataLoader");
    section("", root);
  }

  void override_with(const std::string& text) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos) refuse("-o " + text, "it is not Section.key=value");
    const std::string path = text.substr(0, equals), value = text.substr(equals + 1);
    // Level by level, so that the nearest name is one of the level that is wrong.
    std::string prefix;
    for (const std::string& name : split(path, '.')) prefix = known_path("-o " + text, prefix, name);
    Key* key = find(path);
    if (key == nullptr) refuse("-o " + text, path + " is a section; its keys: " + join(names_under(path), ", "));
    if (std::holds_alternative<std::string*>(key->target)) return set(*key, YAML::Node(value), "-o " + text);
    try {
      set(*key, YAML::Load(value), "-o " + text);
    } catch (const YAML::Exception& failure) {
      refuse("-o " + text, "the value is not YAML: " + failure.msg);
    }
  }

  // Rules that span keys.
  void finish() {
    for (const std::string path : {"Arch.name", "DataLoader.dataset"}) {
      if (!given_.contains(path)) refuse(source_, path + " is missing; one of: " + join(find(path)->values, ", "));
    }
    for (const Key& key : keys_) {
      if (key.selector.empty() || !given_.contains(key.path)) continue;
      const std::string& choice = *std::get<std::string*>(find(key.selector)->target);
      if (std::find(key.chosen.begin(), key.chosen.end(), choice) != key.chosen.end()) continue;
      refuse(source_, cat(key.path, " has a meaning only when ", key.selector, " is ", join(key.chosen, " or "),
                          "; it is ", choice, ": remove the key"));
    }
    const std::string& dataset = *std::get<std::string*>(find("DataLoader.dataset")->target);
    const auto need = [&](bool needed, const std::string& path, const std::string& reason) {
      if (needed && !given_.contains(path)) refuse(source_, cat(path, " is missing; ", reason, " needs it"));
    };
    const bool made = dataset == "wave_images" || dataset == "subject_tokens",
               sheets = dataset == "idx" || dataset == "png_batches";
    need(dataset != "mnist" && !made, "DataLoader.path", "DataLoader.dataset " + dataset);
    need(dataset == "csv", "DataLoader.label", "DataLoader.dataset csv");
    need(sheets, "DataLoader.labels", "DataLoader.dataset " + dataset);
    need(sheets || made, "Arch.classes", "DataLoader.dataset " + dataset);
    const int64_t classes = *std::get<int64_t*>(find("Arch.classes")->target);
    if (made && classes < 2) refuse(source_, cat("Arch.classes is ", classes, "; ", dataset, " has 2 or more"));
    const int64_t vocabulary = *std::get<int64_t*>(find("DataLoader.vocabulary")->target);
    if (dataset == "subject_tokens" && vocabulary < classes) {
      refuse(source_, cat("DataLoader.vocabulary is ", vocabulary, ", less than Arch.classes, ", classes,
                          ": each class needs tokens of its own"));
    }
    need(*std::get<std::string*>(find("Optimizer.schedule.name")->target) == "step", "Optimizer.schedule.period",
         "the schedule step");
  }

 private:
  std::string where(const YAML::Node& node) const {
    return node.Mark().is_null() ? source_ : cat(source_, ":", node.Mark().line + 1);
  }

  Key* find(const std::string& path) {
    const auto at = std::find_if(keys_.begin(), keys_.end(), [&](const Key& key) { return key.path == path; });
    return at == keys_.end() ? nullptr : &*at;
  }

  // The names one level below a section ("" is the file).
  std::vector<std::string> names_under(const std::string& prefix) const {
    std::vector<std::string> out;
    const std::string head = prefix.empty() ? "" : prefix + ".";
    for (const Key& key : keys_) {
      if (!key.path.starts_with(head)) continue;
      const std::string name = key.path.substr(head.size(), key.path.find('.', head.size()) - head.size());
      if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(name);
    }
    return out;
  }

  std::string known_path(const std::string& at, const std::string& prefix, const std::string& name) const {
    const auto known = names_under(prefix);
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      const std::string kind = prefix.empty()  ? "unknown section '"
                               : known.empty() ? "no section, so no key '"
                                               : "unknown key '";
      refuse(at, cat(prefix.empty() ? "" : prefix + ": ", kind, name, "'; ", suggestion(name, known)));
    }
    return prefix.empty() ? name : prefix + "." + name;
  }

  void section(const std::string& prefix, const YAML::Node& map) {
    std::set<std::string> seen;
    for (const auto& entry : map) {
      if (!entry.first.IsScalar()) refuse(where(entry.first), "a key must be a name");
      const std::string name = entry.first.Scalar();
      const std::string path = known_path(where(entry.first), prefix, name);
      if (!seen.insert(name).second) refuse(where(entry.first), path + " is given twice; keep one");
      if (Key* key = find(path)) {
        set(*key, entry.second, where(entry.first));
      } else if (entry.second.IsMap()) {
        section(path, entry.second);
      } else if (!entry.second.IsNull()) {
        refuse(where(entry.first), cat(path, " is a section; its keys: ", join(names_under(path), ", ")));
      }
    }
  }

  template <class T>
  T scalar(const Key& key, const YAML::Node& node, const std::string& at, const std::string& kind) const {
    T out{};
    if (!node.IsScalar() || !YAML::convert<T>::decode(node, out)) {
      refuse(at, cat(key.path, " must be ", kind, "; given ", node.IsScalar() ? "'" + node.Scalar() + "'" : "a list"));
    }
    if constexpr (std::is_same_v<T, int64_t> || std::is_same_v<T, double>) {
      const auto value = static_cast<double>(out);
      if (!std::isfinite(value) || value < key.least || value > key.most) {
        refuse(at, cat(key.path, " must be ", key.least, " or more",
                       std::isfinite(key.most) ? cat(", at most ", key.most) : "", "; given ", node.Scalar()));
      }
    }
    if constexpr (std::is_same_v<T, std::string>) {
      if (!key.values.empty() && std::find(key.values.begin(), key.values.end(), out) == key.values.end()) {
        refuse(at, cat("unknown ", key.path, " '", out, "'; ", suggestion(out, key.values)));
      }
    }
    return out;
  }

  // A list, or one value that stands for a list of one.
  template <class T>
  std::vector<T> list(const Key& key, const YAML::Node& node, const std::string& at, const std::string& kind) const {
    if (!node.IsSequence()) return {scalar<T>(key, node, at, kind)};
    std::vector<T> out;
    for (const YAML::Node& each : node) out.push_back(scalar<T>(key, each, at, kind));
    return out;
  }

  void set(Key& key, const YAML::Node& node, const std::string& at) {
    std::visit(
        [&](auto* target) {
          using T = std::remove_pointer_t<decltype(target)>;
          if constexpr (std::is_same_v<T, bool>) *target = scalar<bool>(key, node, at, "true or false");
          if constexpr (std::is_same_v<T, int64_t>) *target = scalar<int64_t>(key, node, at, "a whole number");
          if constexpr (std::is_same_v<T, double>) *target = scalar<double>(key, node, at, "a number");
          if constexpr (std::is_same_v<T, std::string>) *target = scalar<std::string>(key, node, at, "a text");
          if constexpr (std::is_same_v<T, std::vector<int64_t>>)
            *target = list<int64_t>(key, node, at, "a list of whole numbers");
          if constexpr (std::is_same_v<T, std::vector<std::string>>)
            *target = list<std::string>(key, node, at, "a list of texts");
        },
        key.target);
    given_.insert(key.path);
  }

  std::vector<Key> keys_;
  std::string source_;
  std::set<std::string> given_;
};

}  // namespace

std::string Config::device() const { return !global.device.empty() ? global.device : global.use_xpu ? "xpu" : "cpu"; }

Config parse_config(const std::string& text, const std::string& source, const std::vector<std::string>& overrides) {
  Config config;
  Reader reader(config, source);
  try {
    reader.file(YAML::Load(text));
  } catch (const YAML::Exception& failure) {
    refuse(cat(source, ":", failure.mark.line + 1), "this is not YAML: " + failure.msg);
  }
  for (const std::string& each : overrides) reader.override_with(each);
  reader.finish();
  return config;
}

Config read_config(const std::string& path, const std::vector<std::string>& overrides) {
  return parse_config(read_file(path), path, overrides);
}

}  // namespace trireme::train
