// The header a user reads: tensors, every op, gradients, compiled functions, devices.
//
//   #include "trireme/tensor/tensor.h"
//   using namespace trireme;
//   set_device("xpu:0");
//   Tensor w(Literal::zeros(f32, {3, 1}));
//   auto step = compile([&](const Tensor& x, const Tensor& y) {
//     Tensor loss = mean(square(matmul(x, w) - y));
//     w.assign(w - 0.1 * grad(loss, {w})[0]);
//     return loss;
//   });
//   for (...) printf("%f\n", step(x, y).item());
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "trireme/ir/graph.h"
#include "trireme/runtime/ledger.h"
#include "trireme/tensor/handle.h"
#include "trireme/tensor/ops.h"  // generated: one function per op

namespace trireme {

// --- making tensors ---------------------------------------------------------------------------------------------

template <class T>
Tensor tensor(const std::vector<T>& values, const Shape& shape) {
  return Tensor(Literal::from(std::span<const T>(values), shape));
}
Tensor tensor(std::initializer_list<float> values);

// --- arithmetic -------------------------------------------------------------------------------------------------

// An operand of + - * / and of the comparisons: a tensor, or a plain number that takes the other operand's type. It
// also carries the user's line, which operators cannot take as an argument.
struct Operand {
  // NOLINTBEGIN(google-explicit-constructor): meant to be implicit
  Operand(const Tensor& t, std::source_location w = std::source_location::current()) : tensor(&t), where(w) {}
  Operand(double n, std::source_location w = std::source_location::current()) : number(n), where(w) {}
  Operand(float n, std::source_location w = std::source_location::current()) : number(n), where(w) {}
  Operand(int n, std::source_location w = std::source_location::current()) : number(n), whole(true), where(w) {}
  // NOLINTEND(google-explicit-constructor)
  const Tensor* tensor = nullptr;
  double number = 0.0;
  bool whole = false;  // an integer literal: an integer tensor stays integer
  std::source_location where;
};

Tensor operator+(const Operand& x, const Operand& y);
Tensor operator-(const Operand& x, const Operand& y);
Tensor operator*(const Operand& x, const Operand& y);
Tensor operator/(const Operand& x, const Operand& y);
Tensor operator-(const Tensor& x);
Tensor operator<(const Operand& x, const Operand& y);
Tensor operator<=(const Operand& x, const Operand& y);
Tensor operator>(const Operand& x, const Operand& y);
Tensor operator>=(const Operand& x, const Operand& y);

// --- computing --------------------------------------------------------------------------------------------------

// Computes these tensors now (together: shared work once) and waits until they are ready or have failed.
void eval(const std::vector<Tensor>& tensors);

// d(loss)/d(x) for each x; loss is a scalar. Adds nodes to the graph; derivatives of any order work.
std::vector<Tensor> grad(const Tensor& loss, const std::vector<Tensor>& wrt,
                         std::source_location where = std::source_location::current());

// --- compiled functions -----------------------------------------------------------------------------------------

struct CompileOptions {
  // bf16 or f16: contractions run on operands of this type and parameters stay f32 (passes/autocast.h); f32: as
  // written. Inside another compiled function the outer one's options hold.
  DType autocast = f32;
};

// The engine behind compile(): traces `body` once per signature (types and shapes of the arguments, current device),
// plans once, then runs the plan. Tensors that the body uses from outside are read anew at each call; tensors it
// assigns are written at each call and their memory is reused. A body must not read values (item(), literal()).
class Compiled {
 public:
  using Body = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;
  explicit Compiled(Body body, const CompileOptions& options = {});
  std::vector<Tensor> operator()(const std::vector<Tensor>& arguments) const;
  // Number of traces so far: a loop that keeps retracing sees it grow.
  int traces() const;
  // The ledger of the plan that ran last. Throws kInvalidArgument before the first call.
  const runtime::Ledger& ledger() const;
  // Its graph, as it was traced, after recompute and autocast.
  const Graph& graph() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

namespace detail {

// f(a, b, ...), which gives a Tensor or a std::vector<Tensor>, as a function from list to list.
template <size_t count, class Result, class F>
Compiled::Body on_list(F f) {
  static_assert(std::is_same_v<Result, Tensor> || std::is_same_v<Result, std::vector<Tensor>>,
                "the function returns a Tensor or a std::vector<Tensor>");
  return [f = std::move(f)](const std::vector<Tensor>& list) -> std::vector<Tensor> {
    return [&]<size_t... i>(std::index_sequence<i...>)->std::vector<Tensor> {
      if constexpr (std::is_same_v<Result, Tensor>) return {f(list[i]...)};
      else return f(list[i]...);
    }
    (std::make_index_sequence<count>());
  };
}

std::vector<Tensor> run_segment(const Compiled::Body& body, const std::vector<Tensor>& arguments);

}  // namespace detail

// A function of tensors that returns a Tensor or a std::vector<Tensor>, compiled.
template <class F>
class CompiledFunction {
 public:
  explicit CompiledFunction(F f, const CompileOptions& options = {}) : f_(std::move(f)), options_(options) {}

  template <class... Arguments>
  auto operator()(const Arguments&... arguments) {
    using Result = std::invoke_result_t<const F&, const Arguments&...>;
    if (!engine_) {
      engine_.emplace(detail::on_list<sizeof...(Arguments), Result>(f_), options_);
    }
    auto results = (*engine_)({arguments...});
    if constexpr (std::is_same_v<Result, Tensor>) return results[0];
    else return results;
  }

  // The engine, once the function has been called.
  const Compiled* engine() const { return engine_ ? &*engine_ : nullptr; }

 private:
  F f_;
  CompileOptions options_;
  std::optional<Compiled> engine_;
};

template <class F>
CompiledFunction<F> compile(F f, const CompileOptions& options = {}) {
  return CompiledFunction<F>(std::move(f), options);
}

// f, with less memory in training: within a compiled function the values inside f are not kept from the forward to the
// backward pass but computed again (activation checkpointing; passes/recompute.h). Results are the same bits, random
// masks included. Variables that f assigns are assigned once. f may keep no tensor but those it returns and assigns.
// Outside a compiled function it is f.
template <class F>
auto checkpointed(F f) {
  return [f = std::move(f)](const auto&... arguments) {
    using Result = std::invoke_result_t<const F&, decltype(arguments)...>;
    auto results = detail::run_segment(detail::on_list<sizeof...(arguments), Result>(f), {arguments...});
    if constexpr (std::is_same_v<Result, Tensor>) return results[0];
    else return results;
  };
}

// True while a compiled function is being traced.
bool is_tracing();

// The graph from `inputs` (tensors that hold values) to `outputs`; leaves other than the inputs become constants.
Graph capture(const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs,
              const std::vector<std::string>& input_names = {}, const std::vector<std::string>& output_names = {});
// Runs a graph on tensors, on the current device.
std::vector<Tensor> run(const Graph& graph, const std::vector<Tensor>& inputs);

// --- devices ----------------------------------------------------------------------------------------------------

// "cpu", "xpu:1", "refchip:0?persona=slow-link". The current device of this process; tensors made from now on live
// there and graphs are planned for it. Throws kNotFound naming what there is.
void set_device(std::string_view name);
std::string current_device();

// What happens when a graph needs help from the CPU: kError refuses it naming the ops, kWarn (the default) prints the
// ledger line, kAllow stays silent; the ledger can always be asked.
using runtime::Fallback;
void set_fallback(Fallback mode);

// --- randomness -------------------------------------------------------------------------------------------------

// The process's generator (Philox 4x32-10). The same seed gives the same numbers on every chip.
void seed(uint64_t value);
// A fresh key, u32[4]: advances the generator. Inside a compiled function each call draws anew at each run.
Tensor next_key();
// The generator's state variable, u32[4], for checkpoints.
Tensor generator_state();

}  // namespace trireme
