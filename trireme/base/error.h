// How failures travel. Two kinds (docs/adr/0002):
//   - the user's mistake or a missing resource: `Error`, with a code, a sentence that names what was given, the rule
//     it broke and what to do, and where there is one the rule's label ("matmul_c2");
//   - our own bug: TRIREME_CHECK, which throws an Error with code kInternal and the source position.
// Nothing here aborts the process.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace trireme {

enum class Code : uint8_t {
  kInvalidArgument,  // the caller gave something that breaks a rule
  kNotFound,         // a name, file or device that does not exist
  kUnsupported,      // legal, but no chip here can do it
  kOutOfMemory,
  kDeviceFault,  // a chip reported a failure
  kDataLoss,     // a file is truncated or corrupt
  kIo,           // the operating system refused a read or write
  kTimeout,
  kInterrupted,
  kInternal,  // a bug in Trireme
};

// Stable lower-case name, for instance "invalid_argument"; used in JSON output and tests.
std::string_view code_name(Code code);

class Error : public std::runtime_error {
 public:
  Error(Code code, const std::string& message, std::string rule = {})
      : std::runtime_error(message), code_(code), rule_(std::move(rule)) {}

  Code code() const { return code_; }
  // Label of the broken rule ("matmul_c2"), or empty.
  const std::string& rule() const { return rule_; }

 private:
  Code code_;
  std::string rule_;
};

[[noreturn]] void internal_error(const char* file, int line, const char* condition, const std::string& what);

// The name in `known` nearest to `given` by edit distance, or empty when none is near enough to be a likely typo.
template <class Range>
std::string nearest_name(std::string_view given, const Range& known);

// Number of single-character edits between two names.
int edit_distance(std::string_view a, std::string_view b);

template <class Range>
std::string nearest_name(std::string_view given, const Range& known) {
  std::string best;
  int best_distance = static_cast<int>(given.size()) / 2 + 2;
  for (const auto& name : known) {
    const int distance = edit_distance(given, name);
    if (distance < best_distance) {
      best_distance = distance;
      best = std::string(name);
    }
  }
  return best;
}

}  // namespace trireme

#define TRIREME_CHECK(condition, what)                                                 \
  do {                                                                                 \
    if (!(condition)) ::trireme::internal_error(__FILE__, __LINE__, #condition, what); \
  } while (false)
