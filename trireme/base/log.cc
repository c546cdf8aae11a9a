#include "trireme/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <iterator>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/progress.h"
#include "trireme/base/strings.h"

namespace trireme {

namespace {

struct LevelName {
  const char* name;
  spdlog::level::level_enum level;
};
constexpr LevelName kLevels[] = {{"debug", spdlog::level::debug},
                                 {"info", spdlog::level::info},
                                 {"warn", spdlog::level::warn},
                                 {"error", spdlog::level::err},
                                 {"off", spdlog::level::off}};

std::unique_ptr<spdlog::logger> make_logger() {
  auto logger = std::make_unique<spdlog::logger>("trireme", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_pattern("%H:%M:%S %^%L%$ %v");
  logger->flush_on(spdlog::level::debug);
  const std::string wanted = environment("TRIREME_LOG", "info");
  std::vector<std::string> names;
  for (const LevelName& level : kLevels) {
    names.emplace_back(level.name);
    if (wanted == level.name) {
      logger->set_level(level.level);
      return logger;
    }
  }
  const std::string near = nearest_name(wanted, names);
  logger->warn("TRIREME_LOG={} is no level; use one of {}{}; going on with info", wanted, join(names, ", "),
               near.empty() ? "" : " (nearest: " + near + ")");
  return logger;
}

void write(spdlog::level::level_enum level, const std::string& message) {
  // Never destroyed: other static objects may log while the program ends.
  static spdlog::logger* const logger = make_logger().release();
  if (!logger->should_log(level)) return;
  clear_live_progress();
  logger->log(level, spdlog::string_view_t(message.data(), message.size()));
}

}  // namespace

void log_debug(const std::string& message) { write(spdlog::level::debug, message); }
void log_info(const std::string& message) { write(spdlog::level::info, message); }
void log_warn(const std::string& message) { write(spdlog::level::warn, message); }
void log_error(const std::string& message) { write(spdlog::level::err, message); }

}  // namespace trireme
