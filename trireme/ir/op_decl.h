// OpDecl: everything Trireme knows about an op, in one place (docs/guide/add-an-op.md).
//
// The typed C++ functions, the documentation page, the generated tests and the coverage tables all come from the
// declaration; no other list of ops exists. A question left out does not compile, because the types of the answers
// have no default; "there is no gradient" is said as none("reason").
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "trireme/ir/attribute.h"
#include "trireme/ir/evaluation.h"
#include "trireme/ir/node.h"

namespace trireme {

// --- inputs -----------------------------------------------------------------------------------------------------

enum class Arity : uint8_t {
  kOne,
  kOptional,  // may be absent (an empty Value)
  kVariadic,  // one or more; only as the last input
};

// Values that the generated tests draw for an input, uniformly from [low, high].
struct Domain {
  double low = -2.0, high = 2.0;
};

// "Of the same element type as the first input".
inline constexpr DTypeSet same_as_first{1u << 31};

struct InputSpec {
  std::string_view name;
  DTypeSet types;  // rule <op>_t<i>: the element type of input i (counted from 1) is one of these
  Domain domain = {};
  Arity arity = Arity::kOne;
};

// What the typed function does to its arguments before it makes a node. Nodes themselves are always exact.
enum class Coerce : uint8_t {
  kNone,
  kPromote,    // inputs declared same_as_first, and the first, are converted to their promoted type
  kBroadcast,  // kPromote, then they are broadcast to one shape
};

// --- attributes -------------------------------------------------------------------------------------------------

struct Required {
  AttributeKind kind;
};
inline constexpr Required required_int{AttributeKind::kInt}, required_float{AttributeKind::kFloat},
    required_bool{AttributeKind::kBool}, required_string{AttributeKind::kString}, required_dtype{AttributeKind::kDType},
    required_ints{AttributeKind::kInts}, required_literal{AttributeKind::kLiteral},
    required_graph{AttributeKind::kGraph};

struct AttributeSpec {
  AttributeSpec(std::string_view n, Required r, std::string_view d) : name(n), doc(d), kind(r.kind) {}
  template <class T>
  AttributeSpec(std::string_view n, T value, std::string_view d) : name(n), doc(d), required(false) {
    if constexpr (std::is_same_v<T, bool>) fallback = value;
    else if constexpr (std::is_integral_v<T>) fallback = static_cast<int64_t>(value);
    else if constexpr (std::is_floating_point_v<T>) fallback = static_cast<double>(value);
    else if constexpr (std::is_convertible_v<T, std::string_view>) fallback = std::string(std::string_view(value));
    else fallback = std::move(value);
    kind = kind_of(fallback);
  }
  std::string_view name, doc;
  AttributeKind kind;
  bool required = true;
  Attribute fallback;  // the value when it is not given
};

// --- what an op is ----------------------------------------------------------------------------------------------

enum class Tier : uint8_t {
  kBringUp,    // primitive; with the other bring-up primitives enough to train a transformer by decomposition
  kMandatory,  // primitive; needed for the level "Trains"
  kExpected,   // primitive with a decomposition into the two tiers above
  kHost,       // primitive that the host runs (control flow) or turns into views and never sends to a chip
  kComposite,  // made of other ops
};

// The shape of the work. Autocast, fusion and the cost model look at this and never at names.
enum class Kind : uint8_t {
  kElementwise,  // output element i depends on input elements i only
  kContraction,  // matrix products and convolutions: autocast runs them in bf16
  kReduction,    // reductions, scans, windows, normalisations and what is made of them
  kView,         // metadata: the output is the input's bytes seen with other sizes and strides
  kMovement,     // copies elements without arithmetic
  kIndexing,     // gather and scatter
  kOrder,        // sorting and selection
  kRandom,
  kSource,  // has no tensor inputs: parameter, constant, fill, iota
  kControl,
};

// Deviation from the exact result a chip is allowed, in units of the output type's roundoff (see reference/accuracy.h).
struct Accuracy {
  constexpr explicit Accuracy(double ulps, bool accumulates_terms = false)
      : ulp(ulps), accumulates(accumulates_terms) {}
  double ulp;        // 0: bits must agree
  bool accumulates;  // inputs count as uncertain by one roundoff each, for sums of many terms
};
inline constexpr Accuracy exact{0.0};
inline constexpr Accuracy correctly_rounded{0.5};
constexpr Accuracy ulps(double n) { return Accuracy(n); }
inline constexpr Accuracy accumulated{1.0, true};
inline constexpr Accuracy by_decomposition{0.0};  // composites: follows from the parts

// --- the questions ----------------------------------------------------------------------------------------------

// Reads one node from inside a rule: attributes by name. Asking for a name that is not declared is a bug (kInternal).
class AttributeReader {
 public:
  AttributeReader(const OpDecl& op, std::span<const Attribute> attributes) : op_(&op), attributes_(attributes) {}
  int64_t integer(std::string_view name) const { return std::get<int64_t>(get(name)); }
  double number(std::string_view name) const { return std::get<double>(get(name)); }
  bool flag(std::string_view name) const { return std::get<bool>(get(name)); }
  const std::string& string(std::string_view name) const { return std::get<std::string>(get(name)); }
  DType type(std::string_view name) const { return std::get<DType>(get(name)); }
  const Ints& integers(std::string_view name) const { return std::get<Ints>(get(name)); }
  const Literal& literal(std::string_view name) const { return *std::get<std::shared_ptr<const Literal>>(get(name)); }
  const Graph& graph(std::string_view name) const { return *std::get<std::shared_ptr<const Graph>>(get(name)); }
  const Attribute& get(std::string_view name) const;

 protected:
  const OpDecl* op_;
  std::span<const Attribute> attributes_;
};

// Type and shape rule: reads the input types, checks the numbered rules, states the outputs.
class Infer : public AttributeReader {
 public:
  Infer(const OpDecl& op, std::span<const Value> inputs, std::span<const Attribute> attributes,
        std::vector<TensorType>& outputs)
      : AttributeReader(op, attributes), inputs_(inputs), outputs_(&outputs) {}

  int inputs() const { return static_cast<int>(inputs_.size()); }
  bool has(int input) const { return input < inputs() && inputs_[static_cast<size_t>(input)]; }
  const Shape& shape(int input) const { return inputs_[static_cast<size_t>(input)].shape(); }
  DType dtype(int input) const { return inputs_[static_cast<size_t>(input)].dtype(); }
  int rank(int input) const { return shape(input).rank(); }

  // Rule `number` (counted from 1) of the declaration must hold; else Error kInvalidArgument with the label
  // "<op>_c<number>", the rule's text, every input type and attribute, and the hint.
  void require(int number, bool holds, std::string_view hint = {}) const {
    if (!holds) fail(number, hint);
  }
  // An axis counted from the front, from one that may be counted from the back; rule `number` says it is in range.
  int axis(int number, int64_t axis, int rank) const {
    require(number, axis >= -rank && axis < rank);
    return static_cast<int>(axis < 0 ? axis + rank : axis);
  }
  // Distinct axes, sorted; an empty list means all.
  std::vector<int> axes(int number, const Ints& axes, int rank) const;

  void output(DType dtype, const Shape& shape) { outputs_->push_back({dtype, shape}); }

 private:
  [[noreturn]] void fail(int number, std::string_view hint) const;
  std::span<const Value> inputs_;
  std::vector<TensorType>* outputs_;
};

// A node seen from a decomposition or a gradient.
class OpView : public AttributeReader {
 public:
  explicit OpView(const Node& node);
  int inputs() const { return static_cast<int>(node_->inputs().size()); }
  bool has(int input) const { return input < inputs() && node_->inputs()[static_cast<size_t>(input)]; }
  const Value& x(int input) const { return node_->inputs()[static_cast<size_t>(input)]; }
  Value y(int output = 0) const { return Value(*node_, static_cast<uint32_t>(output)); }
  const Node& node() const { return *node_; }

 protected:
  const Node* node_;
};

using Decompose = OpView;

// Reverse-mode derivative: given dL/dy, state dL/dx. Inputs left unset have no gradient (index inputs, for instance).
class Pullback : public OpView {
 public:
  Pullback(const Node& node, std::span<const Value> dy) : OpView(node), dy_(dy), dx_(node.inputs().size()) {}
  // Zero-filled when nothing downstream used that output.
  Value dy(int output = 0) const;
  bool has_dy(int output) const { return static_cast<bool>(dy_[static_cast<size_t>(output)]); }
  Value& dx(int input) { return dx_[static_cast<size_t>(input)]; }
  const std::vector<Value>& result() const { return dx_; }

 private:
  std::span<const Value> dy_;
  std::vector<Value> dx_;
};

struct Gradient {
  enum class Way : uint8_t { kPullback, kDecomposition, kNone };
  Way way;
  void (*pullback)(Pullback&);
  std::string_view reason;  // of kNone
  Gradient(Way w, void (*f)(Pullback&), std::string_view r) : way(w), pullback(f), reason(r) {}
};
inline Gradient pullback(void (*rule)(Pullback&)) { return {Gradient::Way::kPullback, rule, {}}; }
inline Gradient none(std::string_view reason) { return {Gradient::Way::kNone, nullptr, reason}; }
inline const Gradient gradient_of_decomposition{Gradient::Way::kDecomposition, nullptr, {}};

// What the op computes: for a composite (and a primitive of tier kExpected) its decomposition; for a primitive its
// truth, in double or exact integers. kExpected primitives give both.
struct Meaning {
  Values (*decompose)(const Decompose&);
  void (*truth)(Evaluation&);
  Meaning(Values (*d)(const Decompose&), void (*t)(Evaluation&)) : decompose(d), truth(t) {}
};
inline Meaning decompose(Values (*rule)(const Decompose&)) { return {rule, nullptr}; }
inline Meaning evaluate(void (*truth)(Evaluation&)) { return {nullptr, truth}; }
inline Meaning evaluate(void (*truth)(Evaluation&), Values (*rule)(const Decompose&)) { return {rule, truth}; }
// Elementwise truth from a function of one, two or three elements, called with double, int64_t or uint64_t as the
// inputs' type demands. `f` may not capture.
template <class F>
Meaning elementwise(F) {
  return {nullptr, &evaluate_elementwise<F>};
}
template <class F>
Meaning elementwise(F, Values (*rule)(const Decompose&)) {
  return {rule, &evaluate_elementwise<F>};
}

// Floating operations of one node. Bytes moved are always inputs plus outputs.
struct Cost {
  double (*flops)(const OpView&);
  double per_element;  // used when flops is null: times the elements of the first output
  bool sum_of_parts;   // composites: the cost of the decomposition
  Cost(double (*f)(const OpView&), double p, bool s) : flops(f), per_element(p), sum_of_parts(s) {}
};
inline Cost flops(double (*f)(const OpView&)) { return {f, 0.0, false}; }
inline Cost flops_per_element(double n) { return {nullptr, n, false}; }
inline const Cost no_flops{nullptr, 0.0, false};
inline const Cost cost_of_decomposition{nullptr, 0.0, true};

// Test cases in a small language (tests/op_case.h): operands "[2,3]", "i32[4]:0..9", "_" (absent), then attributes
// "axis=1". An operand without a type takes each type of the first input in turn.
struct Cases {
  std::vector<std::string_view> texts;
  Cases(std::initializer_list<std::string_view> list) : texts(list) {}
};
// Cases that must be refused, each "<rule number>: <case>".
using Rejects = Cases;

struct Text {
  std::string_view value;
  Text(const char* v) : value(v) {}  // NOLINT: meant to be implicit
};
struct InputList {
  std::vector<InputSpec> list;
  InputList(std::initializer_list<InputSpec> l) : list(l) {}
};
// Names of the outputs; one name ending in "..." stands for as many outputs as the node has inputs.
struct OutputList {
  std::vector<std::string_view> list;
  OutputList(std::initializer_list<std::string_view> l) : list(l) {}
};
struct AttributeList {
  std::vector<AttributeSpec> list;
  AttributeList(std::initializer_list<AttributeSpec> l) : list(l) {}
};
struct RuleList {
  std::vector<std::string_view> list;
  RuleList(std::initializer_list<std::string_view> l) : list(l) {}
};
template <class T>
struct Answer {  // a value without a default: leaving the question out does not compile
  T value;
  Answer(T v) : value(v) {}             // NOLINT: meant to be implicit
  operator T() const { return value; }  // NOLINT: meant to be implicit
};

struct InferRule {
  void (*rule)(Infer&);
  template <class F>
  InferRule(F f) : rule(f) {}  // NOLINT: meant to be implicit
};

struct OpDecl {
  Text name;  // lower_snake_case, the field's usual word
  Text doc;   // one line with the formula; shapes where they matter
  Answer<Tier> tier;
  Answer<Kind> kind;
  InputList inputs;
  OutputList outputs;
  AttributeList attributes;
  Answer<Coerce> coerce;
  RuleList rules;  // numbered from 1: <op>_c1, <op>_c2, ...
  InferRule infer;
  Gradient gradient;
  Meaning meaning;
  Accuracy accuracy;
  Cost cost;
  Cases cases;
  Rejects rejects;

  std::string_view id() const { return name.value; }
  bool is_composite() const { return tier.value == Tier::kComposite; }
  // Position of an attribute, or -1.
  int attribute_index(std::string_view attribute) const;
  std::string_view family = {};  // the folder of the declaration ("activation"), set at registration
};

}  // namespace trireme
