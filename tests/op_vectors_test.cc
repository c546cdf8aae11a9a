// Composites against what other programs compute: tests/peer/*_vectors.json, written by the scripts beside them
// (make_vectors.py documents the format). Each vector runs through the reference evaluator, in double where the vector
// is f64; a vector with a cotangent checks the gradient too.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/ir/graph.h"
#include "trireme/ir/registry.h"
#include "trireme/passes/gradient.h"
#include "trireme/reference/evaluator.h"

namespace trireme {
namespace {

using nlohmann::json;

struct Vector {
  std::string file;
  int number = 0;  // from 1
  json content;
};

std::vector<Vector> all_vectors() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(TRIREME_SOURCE_DIR) + "/tests/peer")) {
    if (entry.path().filename().string().ends_with("_vectors.json")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<Vector> out;
  for (const auto& path : files) {
    int number = 0;
    for (const json& each : json::parse(std::ifstream(path))) out.push_back({path.stem().string(), ++number, each});
  }
  return out;
}

double number_of(const json& value) {
  if (value.is_boolean()) return value.get<bool>() ? 1.0 : 0.0;
  if (value.is_number()) return value.get<double>();
  const auto text = value.get<std::string>();
  if (text == "inf") return std::numeric_limits<double>::infinity();
  if (text == "-inf") return -std::numeric_limits<double>::infinity();
  if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  throw std::invalid_argument("not a number: " + text);
}

std::vector<double> numbers_of(const json& values) {
  std::vector<double> out;
  for (const json& v : values) out.push_back(number_of(v));
  return out;
}

TensorType type_of(const json& tensor) {
  return {parse_dtype(tensor.at("dtype").get<std::string>()), Shape(tensor.at("shape").get<Ints>())};
}

Literal literal_of(const json& tensor) {
  const TensorType type = type_of(tensor);
  return Literal::from_doubles(type.dtype, type.shape, numbers_of(tensor.at("values")));
}

std::vector<Attribute> attributes_of(const OpDecl& op, const json& given) {
  for (const auto& [name, value] : given.items()) {
    if (op.attribute_index(name) < 0) throw std::invalid_argument(cat("op ", op.id(), " has no attribute ", name));
  }
  std::vector<Attribute> out;
  for (const AttributeSpec& spec : op.attributes.list) {
    const std::string name(spec.name);
    if (!given.contains(name)) {
      if (spec.required) throw std::invalid_argument(cat("op ", op.id(), ": attribute ", name, " is required"));
      out.push_back(spec.fallback);
      continue;
    }
    const json& value = given.at(name);
    switch (spec.kind) {
      case AttributeKind::kInt: out.emplace_back(value.get<int64_t>()); break;
      case AttributeKind::kFloat: out.emplace_back(number_of(value)); break;
      case AttributeKind::kBool: out.emplace_back(value.get<bool>()); break;
      case AttributeKind::kString: out.emplace_back(value.get<std::string>()); break;
      case AttributeKind::kDType: out.emplace_back(parse_dtype(value.get<std::string>())); break;
      case AttributeKind::kInts: out.emplace_back(value.get<Ints>()); break;
      default: throw std::invalid_argument(cat("op ", op.id(), ": attribute ", name, " has no form in a vector"));
    }
  }
  return out;
}

// Floats to 1e-10 of the value where the peer is f64, 1e-6 where it is f32 or less; everything else exactly.
void expect_near(const Literal& given, const json& peer, const std::string& what) {
  const TensorType type = type_of(peer);
  ASSERT_EQ(TensorType(given.dtype(), given.shape()).text(), type.text()) << what;
  const std::vector<double> expected = numbers_of(peer.at("values")), actual = given.to_doubles();
  ASSERT_EQ(actual.size(), expected.size()) << what;
  const double relative = !is_float(type.dtype) ? 0.0 : type.dtype == f64 ? 1e-10 : 1e-6;
  // Results that should cancel to 0 keep the roundoff of terms of size 1.
  const double absolute = relative * 1e-4;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i]) && std::isnan(actual[i])) continue;
    if (expected[i] == actual[i]) continue;  // infinities too
    EXPECT_LE(std::abs(actual[i] - expected[i]), relative * std::abs(expected[i]) + absolute)
        << what << ", element " << i << ": " << number_text(actual[i]) << ", peer " << number_text(expected[i]);
  }
}

void check(const json& vector) {
  const OpDecl& op = get_op(vector.at("op").get<std::string>());
  std::vector<Value> operands, parameters;
  std::vector<Literal> literals;
  for (const json& input : vector.at("inputs")) {
    operands.emplace_back();
    if (input.is_null()) continue;
    literals.push_back(literal_of(input));
    parameters.push_back(parameter(literals.back().dtype(), literals.back().shape()));
    operands.back() = parameters.back();
  }
  while (!operands.empty() && !operands.back()) operands.pop_back();
  const Value first = make_coerced(op, operands, attributes_of(op, vector.at("attributes")));
  const Graph graph(parameters, all_outputs(first));
  verify(graph, "op_vectors_test");
  const auto outputs = reference::evaluate(graph, literals);
  ASSERT_EQ(outputs.size(), vector.at("outputs").size());
  for (size_t i = 0; i < outputs.size(); ++i) expect_near(outputs[i], vector.at("outputs")[i], cat("output ", i));

  if (!vector.contains("gradients")) return;
  std::vector<Value> wrt;
  std::vector<json> peers;
  for (size_t i = 0; i < operands.size(); ++i) {
    if (vector.at("gradients")[i].is_null()) continue;
    wrt.push_back(operands[i]);
    peers.push_back(vector.at("gradients")[i]);
  }
  const Value seed = parameter(first.dtype(), first.shape());
  literals.push_back(Literal::from_doubles(first.dtype(), first.shape(), numbers_of(vector.at("cotangent"))));
  parameters.push_back(seed);
  const Graph backward(parameters, passes::gradient({first}, wrt, {seed}));
  verify(backward, "op_vectors_test");
  const auto gradients = reference::evaluate(backward, literals);
  for (size_t i = 0; i < gradients.size(); ++i) expect_near(gradients[i], peers[i], cat("gradient ", i));
}

TEST(OpVectors, AgreeWithThePeer) {
  const auto vectors = all_vectors();
  ASSERT_FALSE(vectors.empty());
  for (const Vector& each : vectors) {
    SCOPED_TRACE(cat(each.file, " case ", each.number, ", op ", each.content.at("op").get<std::string>(), ", source ",
                     each.content.at("source").get<std::string>()));
    try {
      check(each.content);
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }
}

// A composite is only as right as its decomposition, and nothing else says what it should compute: each needs a peer.
// A new op need not bring vectors of a peer (it is one file); but hardly any goes without.
TEST(OpVectors, CompositesHavePeers) {
  std::set<std::string> covered;
  for (const Vector& each : all_vectors()) covered.insert(each.content.at("op").get<std::string>());
  std::string missing;
  size_t composites = 0, with_peer = 0;
  for (const OpDecl* op : all_ops()) {
    if (!op->is_composite()) continue;
    ++composites;
    if (covered.contains(std::string(op->id()))) ++with_peer;
    else append(missing, cat(" ", op->id()));
  }
  std::cout << with_peer << " of " << composites << " composites agree with a peer; without:" << missing << "\n";
  EXPECT_GE(with_peer, composites * 95 / 100);
}

}  // namespace
}  // namespace trireme
