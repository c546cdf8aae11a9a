// A StableHLO file, and its functions as Trireme graphs.
//
//   const auto program = formats::stablehlo::Program::load("model.mlir");
//   const auto& module = program.modules()[0];
//   const auto imported = Program::import(module, Program::entry(module));
//   auto outputs = run(imported.graph, inputs);
//
// Functions that are called become part of the graph. Sizes written "?" follow from the types of the arguments. The
// checks of the dialect `check`, which test files hold, come out beside the graph.
#pragma once

#include <string>
#include <vector>

#include "trireme/formats/stablehlo/syntax.h"
#include "trireme/ir/graph.h"

namespace trireme::formats::stablehlo {

// One demand of the file on its own values.
struct Check {
  enum class Kind : uint8_t {
    kEqual,   // check.expect_eq: a == b; NaN equals NaN
    kAlmost,  // check.expect_almost_eq: |a - b| <= tolerance with equal signs; NaN equals NaN
    kClose,   // check.expect_close: min_ulp .. max_ulp representable values apart; NaN equals NaN
  };
  Kind kind = Kind::kEqual;
  Value actual, expected;
  double tolerance = 0.0;
  uint64_t min_ulp = 0, max_ulp = 0;
  std::string where;  // "line 9: check.expect_eq"
};

struct Imported {
  Graph graph;
  std::vector<Check> checks;
};

class Program {
 public:
  // Throws kDataLoss where the text breaks the grammar.
  static Program parse(std::string text);
  static Program load(const std::string& path);

  const std::vector<Module>& modules() const { return file_.modules; }
  // The function that a module is there for: main, else the first that is not private.
  static const Function& entry(const Module& module);
  // The names of the ops of a function and of those it calls, sorted, without those that only hold the test together
  // (return, call, constants, checks).
  static std::vector<std::string> operators(const Module& module, const Function& function);

  // The graph of a function; its inputs have the declared types, or where given `arguments`, which need sizes where the
  // declared ones are free. Throws kUnsupported for what is sound but has no mapping here, kInvalidArgument for
  // operations that break their rules, kDataLoss for values that are used and never made and literals that do not fit.
  static Imported import(const Module& module, const Function& function, const std::vector<TensorType>& arguments = {});

 private:
  File file_;
};

// All mapped ops, sorted.
std::vector<std::string> supported_ops();

}  // namespace trireme::formats::stablehlo
