// Runs the command `trireme` as a user does.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace trireme::testing {

struct CommandResult {
  int status = -1;  // exit code; -1: ended by a signal
  std::string output, errors;
  std::string last_line() const;  // of the output
};

struct CommandOptions {
  double kill_after = -1.0;                        // seconds until SIGKILL, unless it ends before; negative: never
  std::map<std::string, std::string> environment;  // besides this process's
};

// `words` follow the program's name.
CommandResult run_command(const std::vector<std::string>& words, const CommandOptions& options = {});

}  // namespace trireme::testing
