// Call: one operation as the function that maps it sees it: operands, attributes, regions, and where results go.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/formats/stablehlo/mapping.h"
#include "trireme/formats/stablehlo/program.h"
#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"
#include "trireme/ops/sizes.h"

namespace trireme::formats::stablehlo {

class Importer;
class Scope;

// A region as a graph of its own: what it uses from outside became further inputs.
struct Closure {
  Graph graph;
  std::vector<Value> captured;  // the values of the further inputs
};

class Call {
 public:
  Call(Importer& importer, Scope& scope, const Operation& operation);

  const Operation& operation() const { return *operation_; }
  // The op stands in a region that is applied to whole tensors.
  bool elementwise() const;
  // Sound, but not supported here.
  [[noreturn]] void unsupported(const std::string& why) const;
  // Breaks a rule of the op.
  [[noreturn]] void invalid(const std::string& why) const;
  void require(bool holds, const std::string& why) const {
    if (!holds) invalid(why);
  }

  // --- operands ---
  int inputs() const { return static_cast<int>(inputs_.size()); }
  const Value& x(int input) const;
  const std::vector<Value>& all() const { return inputs_; }
  const Shape& shape(int input) const { return x(input).shape(); }
  DType dtype(int input) const { return x(input).dtype(); }
  int rank(int input) const { return shape(input).rank(); }
  // What a value is, where a shape depends on it; throws kUnsupported where it follows from the function's arguments.
  Literal known(const Value& value) const;
  Ints known_ints(int input) const;
  // The value, if it needs no arguments and is cheap to compute.
  std::optional<Literal> constant(const Value& value) const;

  // --- attributes ---
  bool given(std::string_view name) const;
  const Attribute& attribute(std::string_view name) const;
  int64_t integer(std::string_view name) const;
  int64_t integer(std::string_view name, int64_t missing) const;
  bool flag(std::string_view name, bool missing = false) const;
  // A list, array<...> or dense<...> of integers.
  Ints integers(std::string_view name) const;
  Ints integers(std::string_view name, const Ints& missing) const;
  // The same, of the pretty or the generic name of the attribute.
  Ints integers_of(std::string_view pretty, std::string_view generic) const;
  std::string string(std::string_view name) const;
  // The keyword at a place between name and types, or the attribute of that name.
  std::string word(size_t place, std::string_view name) const;
  // A list of integers that belongs to no Call attribute.
  Ints as_integers(const Attribute& attribute) const;

  // --- regions ---
  int regions() const { return static_cast<int>(operation_->regions.size()); }
  const Region& region(int index) const;
  // "stablehlo.add" where the region is that op on its two arguments, "first" or "second" where it returns one of them,
  // else empty.
  std::string simple_region(int index) const;
  // The region's results for these arguments, as part of the graph that is being made; with `elementwise`, tensors in
  // the place of the region's scalars.
  std::vector<Value> apply(int index, const std::vector<Value>& arguments, bool elementwise) const;
  Closure close(int index, const std::vector<Value>& arguments, bool elementwise = false) const;
  // The results of a function of this module.
  std::vector<Value> call(const std::string& function, const std::vector<Value>& arguments) const;
  void check(Check check) const;

  // --- results ---
  int results() const { return static_cast<int>(operation_->result_count()); }
  const Type& type(int result) const;
  DType result_dtype(int result = 0) const;
  void result(int index, const Value& value);
  void result(const Value& value) { result(0, value); }
  const std::vector<Value>& made() const { return results_; }

 private:
  Importer* importer_;
  Scope* scope_;
  const Operation* operation_;
  std::vector<Value> inputs_, results_;
};

// --- what many families use ---

inline Value broadcast(const Value& x, const Shape& shape) {
  return x.shape() == shape ? x : ops::broadcast_to(x, shape.vector());
}
// Bits of a float as integers in the total order -NaN < -inf < ... < -0 < 0 < ... < inf < NaN.
Value total_order(const Value& x);
// x of any type, padded by a scalar; negative low and high cut.
Value pad_with(const Value& x, const Value& scalar, const Ints& low, const Ints& high, const Ints& interior);
// x[places], where places are positions in row-major order; any shape.
Value take(const Value& x, const Value& places);
// The index type of our primitives; what is too large for it stays too large for any axis.
Value as_index(const Value& x);
// A copy of x in which the places (positions in row-major order; those below 0 are ignored) hold combine(old, update),
// the two-argument region `index` of `call`. Updates of one place follow one another in their order; where they are
// `unique`, all happen at once.
Value put(const Call& call, int index, const Value& x, const Value& places, const Value& updates, bool unique);

}  // namespace trireme::formats::stablehlo
