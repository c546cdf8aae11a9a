// Evaluation: what a primitive's truth sees. Floating tensors are vectors of double, integers and booleans vectors of
// int64_t (u64 by bit pattern). The truth writes exact or double results; the caller rounds them to the output types.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "trireme/ir/attribute.h"
#include "trireme/ir/node.h"

namespace trireme {

struct Evaluated {
  TensorType type;
  std::vector<double> real;      // of floating types
  std::vector<int64_t> integer;  // of the others
  explicit Evaluated(const TensorType& t = {});
  bool floating() const { return is_float(type.dtype); }
  const Shape& shape() const { return type.shape; }
  int64_t elements() const { return type.shape.elements(); }
  double as_double(int64_t index) const;
  // Copies element `from` of `source` (same kind of storage) to element `to` here.
  void copy_element(int64_t to, const Evaluated& source, int64_t from) {
    if (floating()) real[static_cast<size_t>(to)] = source.real[static_cast<size_t>(from)];
    else integer[static_cast<size_t>(to)] = source.integer[static_cast<size_t>(from)];
  }
  // Stores with the type's rounding or wrap-around.
  void round();
};

class Evaluation {
 public:
  Evaluation(const OpDecl& op, std::span<const Attribute> attributes, std::span<const Evaluated* const> inputs,
             std::span<Evaluated> outputs)
      : op_(&op), attributes_(attributes), inputs_(inputs), outputs_(outputs) {}
  int inputs() const { return static_cast<int>(inputs_.size()); }
  bool has(int input) const { return input < inputs() && inputs_[static_cast<size_t>(input)] != nullptr; }
  const Evaluated& x(int input) const { return *inputs_[static_cast<size_t>(input)]; }
  Evaluated& y(int output = 0) { return outputs_[static_cast<size_t>(output)]; }
  const OpDecl& op() const { return *op_; }
  std::span<const Attribute> attributes() const { return attributes_; }
  // Attributes by name, as in AttributeReader (defined in op_decl.cc to keep this header light).
  int64_t integer(std::string_view name) const;
  double number(std::string_view name) const;
  bool flag(std::string_view name) const;
  const std::string& string(std::string_view name) const;
  DType type(std::string_view name) const;
  const Ints& integers(std::string_view name) const;

 private:
  const OpDecl* op_;
  std::span<const Attribute> attributes_;
  std::span<const Evaluated* const> inputs_;
  std::span<Evaluated> outputs_;
};

// Wraps an integer to the range of its type (bool: 0 or 1).
int64_t wrap_integer(DType type, int64_t value);
// Rounds a double to the nearest value of a floating type.
double round_real(DType type, double value);

template <class F>
void evaluate_elementwise(Evaluation& e) {
  const F f{};
  Evaluated& y = e.y();
  const auto count = static_cast<size_t>(y.elements());
  const auto store = [&](size_t i, auto result) {
    if (y.floating()) y.real[i] = static_cast<double>(result);
    else y.integer[i] = wrap_integer(y.type.dtype, static_cast<int64_t>(result));
  };
  const auto run = [&]<class T>(const auto& storage) {
    for (size_t i = 0; i < count; ++i) {
      const auto get = [&](int k) { return static_cast<T>(storage(e.x(k))[i]); };
      if constexpr (std::is_invocable_v<F, T>) store(i, f(get(0)));
      else if constexpr (std::is_invocable_v<F, T, T>) store(i, f(get(0), get(1)));
      else if constexpr (std::is_invocable_v<F, T, T, T>) store(i, f(get(0), get(1), get(2)));
      else if constexpr (std::is_invocable_v<F, T, T, const Evaluation&>) store(i, f(get(0), get(1), e));
      else if constexpr (std::is_invocable_v<F, T, const Evaluation&>) store(i, f(get(0), e));
    }
  };
  const auto reals = [](const Evaluated& x) -> const std::vector<double>& { return x.real; };
  const auto integers = [](const Evaluated& x) -> const std::vector<int64_t>& { return x.integer; };
  if (e.x(0).floating()) run.template operator()<double>(reals);
  else if (is_unsigned_int(e.x(0).type.dtype)) run.template operator()<uint64_t>(integers);
  else run.template operator()<int64_t>(integers);
}

}  // namespace trireme
