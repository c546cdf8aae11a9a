// What the conformance suites of others share: their cases, how each ended, and the counts.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "trireme/certify/cases.h"

namespace trireme::certify {

struct SuiteOptions {
  std::string device;              // where the graphs run
  std::string fallback = "allow";  // "error", "warn" or "allow"
  std::string filter;              // part of the case's path, else all
  GuardOptions guard;
};

struct SuiteCase {
  std::string path;                    // "node/test_abs", below the suite's folder
  std::vector<std::string> operators;  // that it uses
  Outcome outcome;
};

struct SuiteResult {
  std::vector<SuiteCase> cases;  // by path
  std::map<Verdict, int> totals() const;
  // Per operator how its cases ended.
  std::map<std::string, std::map<Verdict, int>> per_operator() const;
};

// Runs work(i) for each case, guarded, on the device of the options, and keeps how it ended.
void run_cases(std::vector<SuiteCase>& cases, const std::function<Outcome(size_t)>& work, const SuiteOptions& options);

// The outcome of `work`; a refusal by name (kUnsupported) is no failure.
Outcome judged(const std::function<Outcome()>& work);

}  // namespace trireme::certify
