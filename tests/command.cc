#include "command.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"

extern char** environ;

namespace trireme::testing {

std::string CommandResult::last_line() const {
  const size_t end = output.find_last_not_of('\n');
  if (end == std::string::npos) return "";
  const size_t before = output.rfind('\n', end);
  const size_t begin = before == std::string::npos ? 0 : before + 1;
  return output.substr(begin, end + 1 - begin);
}

CommandResult run_command(const std::vector<std::string>& words, const CommandOptions& options) {
  const TemporaryFolder folder;
  std::vector<std::string> all = {TRIREME_COMMAND};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<std::string> settings;
  for (char** at = environ; *at != nullptr; ++at) {
    const std::string line = *at;
    if (!options.environment.contains(line.substr(0, line.find('=')))) settings.push_back(line);
  }
  for (const auto& [name, value] : options.environment) settings.push_back(name + "=" + value);
  const auto pointers = [](std::vector<std::string>& list) {
    std::vector<char*> out;
    for (std::string& each : list) out.push_back(each.data());
    out.push_back(nullptr);
    return out;
  };
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  for (const auto& [descriptor, name] : {std::pair(1, "output"), std::pair(2, "errors")}) {
    posix_spawn_file_actions_addopen(&actions, descriptor, (folder / name).c_str(), O_WRONLY | O_CREAT, 0600);
  }
  pid_t child = -1;
  const int reason =
      ::posix_spawn(&child, all[0].c_str(), &actions, nullptr, pointers(all).data(), pointers(settings).data());
  posix_spawn_file_actions_destroy(&actions);
  TRIREME_CHECK(reason == 0, cat("cannot start ", all[0], ": error ", reason));
  int status = 0;
  if (options.kill_after >= 0) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(options.kill_after);
    while (::waitpid(child, &status, WNOHANG) == 0) {
      if (std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        continue;
      }
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      break;
    }
  } else {
    ::waitpid(child, &status, 0);
  }
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(folder / "output"), read_file(folder / "errors")};
}

}  // namespace trireme::testing
