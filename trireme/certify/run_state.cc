#include "trireme/certify/run_state.h"

#include <nlohmann/json.hpp>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"

namespace trireme::certify {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

struct RunState::Content {
  Json run, cases = Json::object();
};

RunState::RunState(std::string path, const std::map<std::string, std::string>& run)
    : path_(std::move(path)), content_(new Content), written_(Clock::now()) {
  content_->run = run;
  if (path_.empty() || !file_exists(path_)) return;
  const Json found = Json::parse(read_file(path_), nullptr, false);
  if (!found.is_object() || !found.contains("run") || !found.contains("cases") || !found["cases"].is_object()) {
    throw Error(Code::kDataLoss, cat(path_, " does not hold the state of a certification; give another file"));
  }
  if (found["run"] != content_->run) {
    throw Error(Code::kInvalidArgument, cat(path_, " belongs to another run, ", found["run"].dump(), ", not ",
                                            content_->run.dump(), "; give another file, or delete it to begin anew"));
  }
  content_->cases = found["cases"];
}

RunState::~RunState() = default;

bool RunState::restore(const std::string& name, Outcome& outcome) const {
  const auto found = content_->cases.find(name);
  if (found == content_->cases.end() || !found->is_array() || found->size() != 3 || !(*found)[0].is_string() ||
      !(*found)[1].is_string() || !(*found)[2].is_number()) {
    return false;
  }
  outcome = {parse_verdict((*found)[0].get<std::string>()), (*found)[1], (*found)[2], {}};
  return true;
}

void RunState::keep(const std::string& name, const Outcome& outcome) {
  if (path_.empty()) return;
  content_->cases[name] = {certify::name(outcome.verdict), outcome.detail, outcome.seconds};
  if (Clock::now() - written_ > std::chrono::seconds(3)) write();
}

void RunState::write() {
  if (path_.empty()) return;
  write_file_atomically(path_, Json{{"run", content_->run}, {"cases", content_->cases}}.dump(
                                   1, ' ', false, Json::error_handler_t::replace));
  written_ = Clock::now();
}

}  // namespace trireme::certify
