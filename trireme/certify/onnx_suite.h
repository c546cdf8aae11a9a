// The ONNX backend conformance suite on a chip: folders <kind>/<case>/model.onnx with test_data_set_<n>/{input,output}
// files. Outputs are compared as the suite's own runner does: types and shapes equal, |got - expected| <= 1e-7 + 1e-3
// |expected|, infinities and nans in the same places. A few cases whose expected values are coarser than that have a
// wider tolerance of their own; their outcome says so.
#pragma once

#include <string>

#include "trireme/certify/suite.h"
#include "trireme/formats/value.h"

namespace trireme::certify {

struct OnnxSuiteOptions : SuiteOptions {
  bool random = false;  // the models have no vectors: run each on random inputs
};

// Throws kNotFound when the folder holds no case.
SuiteResult run_onnx_suite(const std::string& folder, const OnnxSuiteOptions& options);

// One case, by its model file, on the current device, in this process.
Outcome run_onnx_case(const std::string& path);

// A model of which no outputs are known: it must run on random inputs (free sizes 2). Outputs that differ from what the
// model declares are named in the outcome's detail.
Outcome run_onnx_random(const std::string& path);

// Empty when the value is as expected, else what differs.
std::string difference(const formats::HostValue& got, const formats::HostValue& expected, double relative = 1e-3,
                       double absolute = 1e-7);

}  // namespace trireme::certify
