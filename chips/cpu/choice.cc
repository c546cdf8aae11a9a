#include "chips/cpu/choice.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "chips/cpu/features.h"
#include "chips/cpu/large_memory.h"
#include "chips/cpu/rates.h"
#include "trireme/base/error.h"
#include "trireme/base/file.h"

namespace trireme::cpu {
namespace {

using Json = nlohmann::json;

constexpr int kFormat = 1;
constexpr double kLongest = 0.02;  // seconds of measuring one way, but at least two runs
constexpr int kMostRuns = 7;
constexpr double kClearly = 0.97;  // of the time of an earlier way: what a later one must stay below

std::string path_of_choices() {
  const std::string given = environment("TRIREME_CPU_CHOICES");
  if (!given.empty()) return given == "off" ? std::string() : given;
  const std::string home = environment("HOME");
  const std::string cache = environment("XDG_CACHE_HOME", home.empty() ? std::string() : home + "/.cache");
  return cache.empty() ? std::string() : cache + "/trireme/cpu_choices.json";
}

// What the times depend on, besides the number of threads.
std::string machine() { return processor() + ", " + machine_rates().name + ", " + kBuildId; }

class Choices {
 public:
  static Choices& instance() {
    static auto* choices = new Choices;
    return *choices;
  }

  std::optional<std::string> find(const std::string& path, const std::string& key) {
    const std::lock_guard lock(mutex_);
    if (path != path_) {
      path_ = path;
      kept_ = read_file_of_choices();
    }
    const auto at = kept_.find(key);
    return at != kept_.end() && at->is_string() ? std::optional(at->get<std::string>()) : std::nullopt;
  }

  void keep(const std::string& key, const std::string& way) {
    const std::lock_guard lock(mutex_);
    try {
      Json others = read_file_of_choices();  // with what other processes have kept meanwhile
      others.update(kept_);
      kept_ = std::move(others);
      kept_[key] = way;
      make_folders(path_.substr(0, path_.rfind('/') + 1));
      const Json file = {{"format", kFormat}, {"machine", machine_}, {"choices", kept_}};
      write_file_atomically(path_, file.dump(1) + "\n");
    } catch (const Error& error) {
      say(std::string("choices of kernels are not kept: ") + error.what());
    }
  }

 private:
  Choices() : machine_(machine()) {}

  Json read_file_of_choices() {
    if (!file_exists(path_)) return Json::object();
    try {
      const Json file = Json::parse(read_file(path_));
      if (file.is_object() && file.value("format", 0) == kFormat && file.contains("choices") &&
          file["choices"].is_object()) {
        if (file.value("machine", "") == machine_) return file["choices"];
        return Json::object();  // of another machine, or of an older build
      }
      say(path_ + " holds no choices of kernels of format " + std::to_string(kFormat) + "; they are measured again");
    } catch (const Json::exception&) {
      say(path_ + " is not JSON; choices of kernels are measured again");
    } catch (const Error& error) {
      say(std::string("choices of kernels are measured again: ") + error.what());
    }
    return Json::object();
  }

  void say(const std::string& text) {
    if (!said_) host->log(TRM_LOG_WARN, text.c_str());
    said_ = true;
  }

  std::string path_, machine_;
  std::mutex mutex_;
  bool said_ = false;
  Json kept_ = Json::object();
};

// Memory for each operand, as the program lays it out.
class Operands {
 public:
  explicit Operands(const Program& program) : values_(program.value_count(), nullptr) {
    for (uint32_t v = 0; v < program.value_count(); ++v) {
      const TrmValue value = program.value(v);
      if (value.known) values_[v] = const_cast<void*>(value.constant_data);
    }
    for (uint32_t i = 0; i < program.input_count(); ++i) add(program, program.input(i));
    for (uint32_t i = 0; i < program.output_count(); ++i) add(program, program.output(i));
  }
  void* const* values() const { return values_.data(); }

 private:
  void add(const Program& program, uint32_t value) {
    const TrmValue v = program.value(value);
    int64_t low = 0, high = 0;
    for (uint32_t axis = 0; axis < v.rank; ++axis) {
      const int64_t reach = (std::max<int64_t>(v.dims[axis], 1) - 1) * v.strides[axis];
      (reach < 0 ? low : high) += reach;
    }
    const auto item = static_cast<int64_t>(chip::size_of(v.dtype));
    LargeVector<std::byte>& memory = memory_.emplace_back(static_cast<size_t>((high - low + 1) * item));
    // Ordinary numbers: 1 in each float type is nothing that a multiplication would slow down for.
    const auto fill = [&](auto one) {
      auto* items = reinterpret_cast<decltype(one)*>(memory.data());
      std::fill_n(items, high - low + 1, one);
    };
    if (dtype_of(v) == f32) fill(1.0F);
    else if (dtype_of(v) == f64) fill(1.0);
    else if (dtype_of(v) == f16) fill(uint16_t{0x3C00});
    else if (dtype_of(v) == bf16) fill(uint16_t{0x3F80});
    values_[value] = memory.data() - low * item;
  }

  std::vector<void*> values_;
  std::vector<LargeVector<std::byte>> memory_;
};

double seconds_of(const Run& run, void* const* values) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  run(values);
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

}  // namespace

Run fastest_of(const Program& program, const std::string& what, std::span<const Way> ways) {
  const std::string path = path_of_choices(), key = what + ", " + std::to_string(host->threads()) + " threads";
  if (ways.size() == 1 || path.empty()) return ways.front().prepare();
  Choices& choices = Choices::instance();
  if (const std::optional<std::string> kept = choices.find(path, key)) {
    for (const Way& way : ways) {
      if (way.name == *kept) return way.prepare();
    }
  }
  const Operands operands(program);
  std::vector<Run> runs;
  std::vector<double> best(ways.size(), std::numeric_limits<double>::infinity());
  for (const Way& way : ways) {
    runs.push_back(way.prepare());
    runs.back()(operands.values());  // the first run pays for memory and caches
  }
  double spent = 0.0;
  for (int round = 0; round < kMostRuns && (round < 2 || spent < kLongest); ++round) {
    for (size_t w = 0; w < ways.size(); ++w) {
      const double seconds = seconds_of(runs[w], operands.values());
      best[w] = std::min(best[w], seconds);
      spent += seconds / static_cast<double>(ways.size());
    }
  }
  size_t chosen = 0;
  for (size_t w = 1; w < ways.size(); ++w) {
    if (best[w] < kClearly * best[chosen]) chosen = w;
  }
  choices.keep(key, ways[chosen].name);
  return runs[chosen];
}

}  // namespace trireme::cpu
