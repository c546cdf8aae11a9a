// RunState: the outcomes of a long run in a file, so that an interrupted one goes on where it was.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "trireme/certify/cases.h"

namespace trireme::certify {

class RunState {
 public:
  // `run` tells apart what must not be mixed (the chip, its build, the seed). An empty path keeps nothing. Throws
  // kInvalidArgument for a file of another run, kDataLoss for one that holds no such state.
  RunState(std::string path, const std::map<std::string, std::string>& run);
  ~RunState();
  RunState(const RunState&) = delete;
  RunState& operator=(const RunState&) = delete;

  // False when the case is not done yet.
  bool restore(const std::string& name, Outcome& outcome) const;
  // The file is written whole, about every three seconds.
  void keep(const std::string& name, const Outcome& outcome);
  void write();

 private:
  struct Content;
  std::string path_;
  std::unique_ptr<Content> content_;
  std::chrono::steady_clock::time_point written_;
};

}  // namespace trireme::certify
