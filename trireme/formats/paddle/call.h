// Call: one operation of a Paddle program as the function that maps it sees it: its inputs and outputs by parameter
// ("X", "Out") and its attributes. Internal to formats/paddle.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/formats/paddle/mapping.h"
#include "trireme/formats/paddle/program.h"
#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"
#include "trireme/ops/sizes.h"

namespace trireme::formats::paddle {

class Importer;
class Scope;

// Values from outside that a branch uses, and the parameters that stand for them inside.
struct Capture {
  std::vector<Value> outside, parameters;
};

class Call {
 public:
  Call(Importer& importer, Scope& scope, const Operation& operation)
      : importer_(&importer), scope_(&scope), operation_(&operation) {}

  const std::string& op() const { return operation_->type; }
  // Sound, but not supported here.
  [[noreturn]] void unsupported(const std::string& why) const;
  // Breaks a rule of the format.
  [[noreturn]] void invalid(const std::string& why) const;
  void require(bool holds, const std::string& why) const {
    if (!holds) invalid(why);
  }

  // --- inputs ---
  // How many variables are given for a parameter.
  int count(std::string_view parameter) const;
  bool has(std::string_view parameter) const { return count(parameter) > 0; }
  Value x(std::string_view parameter, int index = 0) const;
  std::vector<Value> list(std::string_view parameter) const;
  // The value, or an empty one.
  Value maybe(std::string_view parameter) const { return has(parameter) ? x(parameter) : Value(); }
  // An axis counted from the front; throws when it is out of range.
  int64_t axis(int64_t axis, int64_t rank) const;
  Ints axes(const Ints& axes, int64_t rank) const;

  // What a value is, where a shape depends on it: a constant is folded; otherwise it is computed from the values of the
  // model's inputs, and the graph is right only while it stays the same.
  Literal known(const Value& value) const;
  Ints known_ints(std::string_view parameter) const;
  std::vector<double> known_numbers(std::string_view parameter) const;
  // The value, if it needs no inputs of the model.
  std::optional<Literal> constant(const Value& value) const;

  // --- attributes ---
  bool given(std::string_view name) const;
  int64_t integer(std::string_view name, int64_t missing) const;
  bool flag(std::string_view name, bool missing = false) const { return integer(name, missing ? 1 : 0) != 0; }
  double number(std::string_view name, double missing) const;
  std::string string(std::string_view name, std::string_view missing) const;
  // A list, or one number as a list of one.
  Ints integers(std::string_view name, const Ints& missing = {}) const;
  std::vector<double> numbers(std::string_view name) const;
  // The element type that the attribute numbers.
  DType type(std::string_view name, DType missing) const;

  // The constant of the attributes "shape" and "values"; older files have a list of values for each element type.
  Value values(DType type) const;
  // Integers that are given, in this order of preference, as one tensor, as one tensor each, or as an attribute.
  Ints sizes(std::string_view tensor, std::string_view tensors, std::string_view attribute) const;
  // One integer as a tensor, else as an attribute.
  int64_t size(std::string_view tensor, std::string_view attribute, int64_t missing) const;

  // --- branches ---
  int64_t block(std::string_view name) const;
  // The results of a block, as part of the graph that is being made.
  std::vector<Value> build(int64_t block) const;
  // The same, with parameters in the place of values from outside. Empty where a shape inside depends on such a value.
  std::optional<std::vector<Value>> close(int64_t block, Capture& capture) const;
  // Runs a block that leaves its values in the outer variables `Out`.
  void run(int64_t block);

  // --- outputs ---
  int results(std::string_view parameter) const;
  void result(std::string_view parameter, const Value& value, int index = 0);
  void result(const Value& value) { result("Out", value); }

 private:
  const Arguments* find(const std::vector<Arguments>& list, std::string_view parameter) const;
  const Attribute* find(std::string_view name) const;
  [[noreturn]] void mistyped(std::string_view name, std::string_view wanted) const;

  Importer* importer_;
  Scope* scope_;
  const Operation* operation_;
};

// --- what many families use ---

// Broadcast to one shape, as + does.
Shape broadcast_shape(const Call& call, const Shape& a, const Shape& b);
inline Value broadcast(const Value& x, const Shape& shape) {
  return x.shape() == shape ? x : ops::broadcast_to(x, shape.vector());
}
inline Value int64s(const Ints& values) {
  return ops::constant(Literal::from(std::span<const int64_t>(values), Shape{static_cast<int64_t>(values.size())}));
}
// Computed on 16-bit floats in f32 and rounded once.
template <class F>
Value in_wide(const Value& x, F f) {
  return ops::as_type(f(ops::widen(x)), x.dtype());
}

// An image seen as [N, C, spatial...] and turned back, where the format says channels come last.
class Channels {
 public:
  Channels(const Call& call, std::string_view attribute);
  Value first(const Value& x) const;
  Value back(const Value& y) const;

 private:
  bool last_ = false;
};

}  // namespace trireme::formats::paddle
