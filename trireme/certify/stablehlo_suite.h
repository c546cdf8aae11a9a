// StableHLO's own test files on a chip: each module of a .mlir file computes something and compares it with what it
// expects by ops of the dialect `check`, in the tolerance that the check names (formats/stablehlo/program.h):
//   expect_eq          equal values; NaN equals NaN
//   expect_almost_eq   within 1e-4, or `tolerance`; as a custom call within 1e-3
//   expect_close       at most 3 representable values apart, or `max_ulp_difference`
// Constants become inputs of the graph, so that the chip computes and not the simplifier. Modules that check nothing
// have no known outputs and count as unsupported. A few cases whose expected values are coarser than their check have a
// wider tolerance of their own; their outcome says so.
#pragma once

#include <string>

#include "trireme/certify/suite.h"
#include "trireme/formats/stablehlo/program.h"

namespace trireme::certify {

// A case is a module: "testdata/abs.mlir", or of a file of several "interpret/abs.mlir:abs_op_test_f64" by the name of
// its function. Throws kNotFound when the folder holds no .mlir file.
SuiteResult run_stablehlo_suite(const std::string& folder, const SuiteOptions& options);

// Empty when the value is as the check demands, else what differs. `ulp` widens expect_close and expect_almost_eq.
std::string difference(const formats::stablehlo::Check& check, const Literal& got, const Literal& expected,
                       uint64_t ulp = 0);

}  // namespace trireme::certify
