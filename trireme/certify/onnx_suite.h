// The ONNX backend conformance suite on a chip: folders <kind>/<case>/model.onnx with test_data_set_<n>/{input,output}
// files. Outputs are compared as the suite's own runner does: types and shapes equal, |got - expected| <= 1e-7 + 1e-3
// |expected|, infinities and nans in the same places. A few cases whose expected values are coarser than that have a
// wider tolerance of their own; their outcome says so.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "trireme/certify/cases.h"
#include "trireme/formats/value.h"

namespace trireme::certify {

struct OnnxSuiteOptions {
  std::string device;              // where the graphs run
  std::string fallback = "allow";  // "error", "warn" or "allow"
  std::string filter;              // part of the case's path, else all
  bool random = false;             // the models have no vectors: run each on random inputs
  GuardOptions guard;
};

struct OnnxCase {
  std::string path;  // "node/test_abs", below the suite's folder
  std::vector<std::string> operators;
  Outcome outcome;
};

struct OnnxSuiteResult {
  std::vector<OnnxCase> cases;  // by path
  std::map<Verdict, int> totals() const;
  // Per operator how its cases ended.
  std::map<std::string, std::map<Verdict, int>> per_operator() const;
};

// Throws kNotFound when the folder holds no case.
OnnxSuiteResult run_onnx_suite(const std::string& folder, const OnnxSuiteOptions& options);

// One case, by its model file, on the current device, in this process.
Outcome run_onnx_case(const std::string& path);

// A model of which no outputs are known: it must run on random inputs (free sizes 2). Outputs that differ from what the
// model declares are named in the outcome's detail.
Outcome run_onnx_random(const std::string& path);

// Empty when the value is as expected, else what differs.
std::string difference(const formats::HostValue& got, const formats::HostValue& expected, double relative = 1e-3,
                       double absolute = 1e-7);

}  // namespace trireme::certify
