// How an operator of XDNN gets to its device: launch() checks its tensors, queues a function on the stream of the
// context (or runs it at once on a CPU context) and tells the clock how long it takes.
//
//   return launch(ctx, "relu", Work{.vector_ops = len},
//                 [=](const T* x, T* y) { for (...) y[i] = ...; }, In{x, len}, Out{y, len});
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "chips/kunlun/virtual/xre/kernel_code.h"
#include "trireme/base/strings.h"
#include "xpu/refactor/context.h"

namespace baidu::xpu::api::detail {

using trireme::cat;

// Remembers why an operator was refused; returns the code.
int refuse(const char* op, Error_t code, const std::string& rule);

// Leaves the operator unless the condition holds; `op` must be in scope.
#define XDNN_CHECK(condition, ...)                                                              \
  do {                                                                                          \
    if (!(condition)) {                                                                         \
      return ::baidu::xpu::api::detail::refuse(op, INVALID_PARAM, ::trireme::cat(__VA_ARGS__)); \
    }                                                                                           \
  } while (false)

// What a kernel throws when an index it reads is wrong.
using Fault = trireme::xpu::KernelFault;

// ---- types and generations

template <class T>
constexpr bool is_float_type = std::is_same_v<T, float> || std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>;

// Lowest type of device that has data or arithmetic of this type.
template <class T>
constexpr DeviceType first_with() {
  if (std::is_same_v<T, bfloat16> || std::is_same_v<T, tfloat32>) return kXPU3;
  return std::is_same_v<T, float16> ? kXPU2 : kXPU1;
}

// ---- tensors

// One tensor as launch() sees it.
struct Operand {
  const void* pointer;
  int64_t bytes;
  bool optional, weight;
  double touched;  // bytes that are read or written
};

using Resolve = std::function<std::byte*(const void* pointer, int64_t bytes)>;

// `count` elements that the kernel reads. An optional one may be null, and then is null for the kernel too. `touched`
// is how many are really read, when not all are, or not once.
template <class T>
struct In {
  const T* pointer;
  int64_t count;
  bool optional = false, weight = false;
  double touched = -1;

  void list(std::vector<Operand>& operands) const {
    const double elements = touched < 0 ? static_cast<double>(count) : touched;
    operands.push_back({pointer, count * int64_t{sizeof(T)}, optional, weight, elements * sizeof(T)});
  }
  const T* resolve(const Resolve& find) const {
    return reinterpret_cast<const T*>(find(pointer, count * int64_t{sizeof(T)}));
  }
  static constexpr DeviceType needs = first_with<T>();
};
template <class T>
In(const T*, int64_t) -> In<T>;
template <class T>
In(const T*, int64_t, bool) -> In<T>;
template <class T>
In(const T*, int64_t, bool, bool) -> In<T>;
template <class T>
In(const T*, int64_t, bool, bool, double) -> In<T>;

template <class T>
struct Out {
  T* pointer;
  int64_t count;
  bool optional = false;
  double touched = -1;

  void list(std::vector<Operand>& operands) const { In<T>{pointer, count, optional, false, touched}.list(operands); }
  T* resolve(const Resolve& find) const { return reinterpret_cast<T*>(find(pointer, count * int64_t{sizeof(T)})); }
  static constexpr DeviceType needs = first_with<T>();
};
template <class T>
Out(T*, int64_t) -> Out<T>;
template <class T>
Out(T*, int64_t, bool) -> Out<T>;
template <class T>
Out(T*, int64_t, bool, double) -> Out<T>;

// Several inputs or outputs; the kernel gets a vector of pointers. T is const for inputs.
template <class T>
struct Many {
  std::vector<T*> pointers;
  std::vector<int64_t> counts;

  void list(std::vector<Operand>& operands) const {
    for (size_t i = 0; i < pointers.size(); ++i) {
      In<std::remove_const_t<T>>{pointers[i], counts[i]}.list(operands);
    }
  }
  std::vector<T*> resolve(const Resolve& find) const {
    std::vector<T*> found;
    for (size_t i = 0; i < pointers.size(); ++i) {
      found.push_back(reinterpret_cast<T*>(find(pointers[i], counts[i] * int64_t{sizeof(T)})));
    }
    return found;
  }
  static constexpr DeviceType needs = first_with<std::remove_const_t<T>>();
};

// ---- launching

enum class Arithmetic { kNone, kInt8, kHalf, kFloat };  // of the SDNN units, by rate

struct Work {
  double vector_ops = 0;  // lane instructions of the clusters
  double operations = 0;  // of the SDNN units, two for each product and sum
  Arithmetic arithmetic = Arithmetic::kNone;
  double pass_bytes = 0;  // that are read once more, to find a maximum
};

int launch_operands(Context* ctx, const char* op, const Work& work, DeviceType needs, std::vector<Operand> operands,
                    std::function<void(const Resolve&)> run);

template <class Body, class... Operands>
int launch(Context* ctx, const char* op, const Work& work, Body body, Operands... operands) {
  std::vector<Operand> list;
  (operands.list(list), ...);
  const DeviceType needs = std::max({kXPU1, Operands::needs...});
  return launch_operands(ctx, op, work, needs, std::move(list),
                         [body, operands...](const Resolve& find) { body(operands.resolve(find)...); });
}

// Runs f(begin, end) over pieces of [0, count), on several threads of the host.
void parallel(int64_t count, int64_t grain, const std::function<void(int64_t begin, int64_t end)>& f);

// ---- shapes

// The product of the extents; -1 when one is negative or the product absurd.
int64_t count_of(const std::vector<int64_t>& shape);
// Makes a negative axis count from the end; false when there is no such axis.
bool normalize_axis(int64_t* axis, size_t rank);
std::string text(const std::vector<int64_t>& values);

// A tensor cut at an axis: outer x extent x inner.
struct Cut {
  int64_t outer = 1, extent = 1, inner = 1;
};
Cut cut_at(const std::vector<int64_t>& shape, int64_t axis);

}  // namespace baidu::xpu::api::detail

// Explicit instantiations: XDNN_FOR_FLOATS(M) is M(float) M(float16) M(bfloat16), and so on.
#define XDNN_FOR_FLOATS(M) M(float) M(float16) M(bfloat16)
#define XDNN_FOR_NUMBERS(M) XDNN_FOR_FLOATS(M) M(int) M(int64_t)
#define XDNN_FOR_INTEGERS(M) M(int) M(int64_t) M(int16_t) M(int8_t) M(uint8_t)
#define XDNN_FOR_ALL(M) XDNN_FOR_FLOATS(M) XDNN_FOR_INTEGERS(M) M(double) M(bool)
