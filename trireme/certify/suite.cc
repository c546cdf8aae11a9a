#include "trireme/certify/suite.h"

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/tensor/tensor.h"

namespace trireme::certify {

std::map<Verdict, int> SuiteResult::totals() const {
  std::map<Verdict, int> out = {
      {Verdict::kPass, 0}, {Verdict::kWrong, 0}, {Verdict::kUnsupported, 0}, {Verdict::kCrash, 0}, {Verdict::kHang, 0}};
  for (const SuiteCase& each : cases) ++out[each.outcome.verdict];
  return out;
}

std::map<std::string, std::map<Verdict, int>> SuiteResult::per_operator() const {
  std::map<std::string, std::map<Verdict, int>> out;
  for (const SuiteCase& each : cases) {
    for (const std::string& op : each.operators) ++out[op][each.outcome.verdict];
  }
  return out;
}

void run_cases(std::vector<SuiteCase>& cases, const std::function<Outcome(size_t)>& work, const SuiteOptions& options) {
  const auto start = [&] {
    set_device(options.device);
    set_fallback(options.fallback == "error"   ? Fallback::kError
                 : options.fallback == "allow" ? Fallback::kAllow
                                               : Fallback::kWarn);
  };
  const auto outcomes = run_guarded(cases.size(), start, work, options.guard);
  for (size_t i = 0; i < cases.size(); ++i) cases[i].outcome = outcomes[i];
}

Outcome judged(const std::function<Outcome()>& work) {
  try {
    return work();
  } catch (const Error& error) {
    const bool refused = error.code() == Code::kUnsupported;
    return {refused ? Verdict::kUnsupported : Verdict::kWrong, cat(refused ? "" : "error: ", error.what()), 0.0, {}};
  } catch (const std::exception& error) {
    return {Verdict::kWrong, cat("error: ", error.what()), 0.0, {}};
  }
}

}  // namespace trireme::certify
