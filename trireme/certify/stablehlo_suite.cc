#include "trireme/certify/stablehlo_suite.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/formats/session.h"
#include "trireme/ir/op_decl.h"

namespace trireme::certify {

namespace fs = std::filesystem;
using formats::stablehlo::Check;
using formats::stablehlo::Module;
using formats::stablehlo::Program;

namespace {

// Cases whose expected values are themselves less exact than their check.
struct Exception {
  std::string_view path;
  uint64_t ulp;
  std::string_view why;
};
constexpr std::string_view kCancels = "the order of the sum is free and its terms cancel";
constexpr std::string_view kExponentials = "the exact value is as far from the expected one";
constexpr Exception kExceptions[] = {
    {"conv_general_dilated_float32_2_3_9_float32_12_1_3.mlir", 32, kCancels},
    {"cosh_float32_20_20_chlo.mlir", 4, kExponentials},
    {"cumlogsumexp_float16_8_9.mlir", 8, "the expected values are rounded to f16 at each step"},
    {"cumsum_bfloat16_8_9.mlir", 264, "the expected values are rounded to bf16 at each step"},
    {"cumsum_float32_8_9.mlir", 8, kCancels},
    {"dot_general_int32_4_3_float32_3_6.mlir", 512, kCancels},
    {"dot_general_int8_4_3_float32_3_6.mlir", 128, kCancels},
    {"random_gamma_float64_3_chlo.mlir", 8, "a long chain of roundings"},
    {"reduce_window_add_float32_12_12.mlir", 64, kCancels},
    {"scatter_add_float16_3_5_4_float16_3_2_4.mlir", 16, "the expected values are rounded to f16 at each step"},
    {"select_and_scatter_add_float32_2_3_4_float32_2_4_6.mlir", 4, kCancels},
    {"sinh_float32_20_20_chlo.mlir", 7, kExponentials},
};
const Exception* exception_of(const std::string& path) {
  for (const Exception& each : kExceptions) {
    if (fs::path(path).filename() == each.path) return &each;
  }
  return nullptr;
}

// Positions of floats in the order of all values of their type: neighbours are 1 apart, -0 and 0 are one place.
template <class T>
int64_t place(const T& value) {
  using Bits = std::conditional_t<sizeof(T) == 8, uint64_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint16_t>>;
  Bits bits;
  std::memcpy(&bits, &value, sizeof(T));
  constexpr Bits sign = Bits{1} << (sizeof(T) * 8 - 1);
  const auto magnitude = static_cast<int64_t>(static_cast<Bits>(bits & static_cast<Bits>(sign - 1)));
  return (bits & sign) != 0 ? -magnitude : magnitude;
}

// How many representable values lie between two; the largest number where one is not finite.
template <class T>
uint64_t ulps(const T& a, const T& b) {
  const auto x = static_cast<double>(a), y = static_cast<double>(b);
  if (std::isnan(x) && std::isnan(y)) return 0;
  if (x == y) return 0;
  if (!std::isfinite(x) || !std::isfinite(y)) return ~uint64_t{0};
  const int64_t first = place(a), second = place(b);
  return first > second ? static_cast<uint64_t>(first) - static_cast<uint64_t>(second)
                        : static_cast<uint64_t>(second) - static_cast<uint64_t>(first);
}

template <class T>
bool holds(const Check& check, const T& got, const T& expected, uint64_t ulp) {
  if constexpr (std::is_integral_v<T>) {
    return got == expected;
  } else {
    const auto x = static_cast<double>(got), y = static_cast<double>(expected);
    switch (check.kind) {
      case Check::Kind::kEqual: return x == y || (std::isnan(x) && std::isnan(y));
      case Check::Kind::kAlmost:
        if (x == y || (std::isnan(x) && std::isnan(y)) || ulps(got, expected) <= ulp) return true;
        return std::isfinite(x) && std::isfinite(y) && std::signbit(x) == std::signbit(y) &&
               std::abs(x - y) <= check.tolerance;
      case Check::Kind::kClose: {
        const uint64_t apart = ulps(got, expected);
        return apart >= check.min_ulp && apart <= std::max(check.max_ulp, ulp);
      }
    }
    return false;
  }
}

const Literal& literal_of(const Value& value) {
  return AttributeReader(value.node().op(), value.node().attributes()).literal("value");
}

// The graph with its constants as inputs; their values in order.
Graph with_constants_as_inputs(const Graph& graph, std::vector<Literal>& values) {
  Rewriter rewriter;
  std::vector<Value> inputs;
  for (const Node* node : graph.nodes()) {
    if (!node->is("constant")) continue;
    const Value constant(*node);
    inputs.push_back(parameter(constant.dtype(), constant.shape()));
    values.push_back(literal_of(constant));
    rewriter.replace(constant, inputs.back());
  }
  std::vector<Value> outputs;
  for (const Value& each : graph.outputs()) outputs.push_back(rewriter(each));
  return {inputs, outputs};
}

std::vector<Literal> compute(const std::vector<Value>& values) {
  std::vector<Literal> literals;
  const Graph graph = with_constants_as_inputs(Graph({}, values), literals);
  return formats::compute(graph, literals);
}

Outcome compare_module(const Module& module, const std::string& path) {
  const auto& function = Program::entry(module);
  if (!function.body.arguments.empty()) {
    return {Verdict::kUnsupported, cat("@", function.name, " takes arguments, and the file gives no values for them"),
            0.0};
  }
  const auto imported = Program::import(module, function);
  if (imported.checks.empty()) return {Verdict::kUnsupported, "the module checks nothing", 0.0};
  std::vector<Value> values;
  for (const Check& each : imported.checks) {
    for (const Value* value : {&each.actual, &each.expected}) {
      if (!value->node().is("constant")) values.push_back(*value);
    }
  }
  const std::vector<Literal> computed = values.empty() ? std::vector<Literal>() : compute(values);
  const Exception* exception = exception_of(path);
  size_t next = 0;
  const auto literal = [&](const Value& value) {
    return value.node().is("constant") ? literal_of(value) : computed[next++];
  };
  for (const Check& each : imported.checks) {
    const Literal got = literal(each.actual), expected = literal(each.expected);
    const std::string off = difference(each, got, expected, exception == nullptr ? 0 : exception->ulp);
    if (!off.empty()) return {Verdict::kWrong, cat(each.where, ": ", off), 0.0};
  }
  return {Verdict::kPass, exception == nullptr ? "" : cat(exception->ulp, " ulp: ", exception->why), 0.0};
}

}  // namespace

std::string difference(const Check& check, const Literal& got, const Literal& expected, uint64_t ulp) {
  if (got.dtype() != expected.dtype() || got.shape() != expected.shape()) {
    return cat("is ", got.dtype(), got.shape(), ", expected ", expected.dtype(), expected.shape());
  }
  return visit_dtype(got.dtype(), [&]<class T>() -> std::string {
    const auto a = got.values<T>(), b = expected.values<T>();
    size_t first = 0, count = 0;
    uint64_t most = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      if (holds(check, a[i], b[i], ulp)) continue;
      if constexpr (!std::is_integral_v<T>) most = std::max(most, ulps(a[i], b[i]));
      if (count++ == 0) first = i;
    }
    if (count == 0) return {};
    const auto at = static_cast<int64_t>(first);
    return cat("element ", first, " is ", got.at(at), ", expected ", expected.at(at), "; ", count, " of ", a.size(),
               " elements differ", most == 0 ? "" : cat(", by up to ", most, " ulp"));
  });
}

SuiteResult run_stablehlo_suite(const std::string& folder, const SuiteOptions& options) {
  std::vector<std::string> files;
  std::error_code failed;
  for (const auto& entry : fs::recursive_directory_iterator(folder, failed)) {
    if (entry.is_regular_file() && entry.path().extension() == ".mlir") {
      files.push_back(fs::relative(entry.path(), folder).string());
    }
  }
  if (failed || files.empty()) {
    throw Error(Code::kNotFound, cat("no StableHLO case in '", folder, "': looked for files *.mlir"));
  }
  std::sort(files.begin(), files.end());
  // The file of each case, and which of its modules; none where the file cannot be read.
  struct Place {
    std::string file;
    std::optional<size_t> module;
  };
  std::vector<Place> places;
  SuiteResult result;
  const auto add = [&](const std::string& path, const Place& place, const std::vector<std::string>& operators) {
    if (path.find(options.filter) == std::string::npos) return;
    places.push_back(place);
    result.cases.push_back({path, operators, {}});
  };
  for (const std::string& file : files) {
    const std::string path = (fs::path(folder) / file).string();
    try {
      const auto program = Program::load(path);
      const auto& modules = program.modules();
      for (size_t i = 0; i < modules.size(); ++i) {
        const auto& function = Program::entry(modules[i]);
        add(modules.size() == 1 ? file : cat(file, ":", function.name), {path, i},
            Program::operators(modules[i], function));
      }
    } catch (const Error&) {
      add(file, {path, std::nullopt}, {});  // its case says why
    }
  }
  if (places.empty()) {
    throw Error(Code::kNotFound, cat("no StableHLO case in '", folder, "' with '", options.filter, "' in its path"));
  }
  run_cases(
      result.cases,
      [&](size_t i) {
        return judged([&] {
          const auto program = Program::load(places[i].file);
          return compare_module(program.modules().at(places[i].module.value_or(0)), result.cases[i].path);
        });
      },
      options);
  return result;
}

}  // namespace trireme::certify
