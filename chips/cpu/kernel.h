// What every kernel file of the chip shares: the host's services, the shape of a prepared kernel, and the table through
// which a family of kernels announces itself. Adding a kernel is one row in its family's table.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "trireme/chip/chip.hpp"
#include "trireme/core/dtype.h"
#include "trireme/core/shape.h"

namespace trireme::cpu {

using chip::Failure;
using chip::NodeView;
using chip::Program;

// Changes with the kernels: what was kept of another build counts no more.
inline constexpr const char* kBuildId = "cpu-4";

// Set once by the entry function.
extern const TrmHost* host;

inline DType dtype_of(const TrmValue& v) { return static_cast<DType>(v.dtype); }

// Runs body(begin, end) over pieces of [0, count), each at least `grain` long, on the host's pool.
template <class F>
void parallel_for(int64_t count, int64_t grain, const F& body) {
  if (count <= grain) {
    if (count > 0) body(int64_t{0}, count);
    return;
  }
  host->parallel_for(
      static_cast<uint64_t>(count), static_cast<uint64_t>(grain),
      [](void* context, uint64_t begin, uint64_t end) {
        (*static_cast<const F*>(context))(static_cast<int64_t>(begin), static_cast<int64_t>(end));
      },
      const_cast<void*>(static_cast<const void*>(&body)));
}

// A prepared kernel. values[v] is the address of element [0, 0, ...] of value v of the program, for its inputs, outputs
// and known constants; null for what only lives inside.
using Run = std::function<void(void* const* values)>;

struct KernelEntry {
  std::string_view op;
  DTypeSet dtypes;       // of the first input (of the first output where there are no inputs)
  bool strided_outputs;  // false: outputs row-major; inputs may have any strides
  // Prepares the program's one node. Throws Failure (TRM_UNSUPPORTED) when this form of the op is not done.
  Run (*prepare)(const Program&, const NodeView&);
  // Floating operations of the node; null: `flops_per_element` times the elements of the first output.
  double (*flops)(const Program&, const NodeView&) = nullptr;
  double flops_per_element = 1.0;
  // Throws Failure (TRM_UNSUPPORTED) when `prepare` does not take the elementwise nodes around this node: after and
  // beside a contraction (its epilogue), before a normalisation. Null: never takes any.
  void (*check_fused)(const Program&, const NodeView&) = nullptr;
  // Puts what the kernel wants laid out otherwise into the answer (ask_order). Null: dense outputs, unless
  // `strided_outputs`.
  void (*ask_layouts)(const Program&, const NodeView&, TrmAnswer&) = nullptr;
  bool takes_several = false;  // `prepare` takes programs of several such nodes
};

// Orders of axes, from the outermost in memory to the innermost: 0, 1, 2, ..., or with axis 1, the channels, last.
using AxisOrder = std::array<uint8_t, TRM_MAX_RANK>;
AxisOrder row_major_order();
AxisOrder channels_last_order(uint32_t rank);
// Dense in that order; strides of axes of size 1 do not matter.
bool is_dense_in(const TrmValue& v, const AxisOrder& order);
// The strides that make it so.
Strides strides_in(const TrmValue& v, const AxisOrder& order);
// The order that dense memory has; row-major where it is none of these.
AxisOrder order_of(const TrmValue& v);
// Asks for an operand in that order.
void ask_order(const Program& program, uint32_t operand, const AxisOrder& order, TrmAnswer& answer);
void ask_dense_outputs(const Program& program, TrmAnswer& answer);
// Asks for outputs with channels last when the inputs are.
void ask_order_of_inputs(const Program& program, TrmAnswer& answer);

// The families.
std::span<const KernelEntry> movement_kernels();
std::span<const KernelEntry> indexing_kernels();
std::span<const KernelEntry> contraction_kernels();
std::span<const KernelEntry> convolution_kernels();
std::span<const KernelEntry> int8_contraction_kernels();
std::span<const KernelEntry> int8_convolution_kernels();
std::span<const KernelEntry> window_kernels();
std::span<const KernelEntry> order_kernels();
std::span<const KernelEntry> random_kernels();
std::span<const KernelEntry> normalization_kernels();
std::span<const KernelEntry> attention_kernels();
std::span<const KernelEntry> optimizer_kernels();

// An input as row-major memory: the memory itself, or a copy when it has other strides.
class DenseInput {
 public:
  DenseInput(const TrmValue& v, const void* memory);
  DenseInput(DenseInput&&) = default;
  const void* data() const { return data_; }

 private:
  std::vector<std::byte> copy_;
  const void* data_;
};

// A tensor seen as [outer, size, inner] around one axis: how kernels along an axis see dense memory.
struct AxisView {
  int64_t outer = 1, size = 1, inner = 1;
  AxisView(const TrmValue& v, int64_t axis, const AxisOrder& order = row_major_order()) {
    bool inside = false;
    for (uint32_t k = 0; k < v.rank; ++k) {
      if (order[k] == axis) size = v.dims[axis];
      else (inside ? inner : outer) *= v.dims[order[k]];
      inside |= order[k] == axis;
    }
  }
};
// An axis attribute, counted from the back when negative.
inline int64_t axis_of(const NodeView& node, const char* name, uint32_t rank) {
  const int64_t axis = node.integer(name);
  return axis < 0 ? axis + rank : axis;
}

// Elements a piece of parallel work should have to pay for waking a thread.
constexpr int64_t kGrainElements = 16384;
inline int64_t grain_for(int64_t work_per_item) {
  return std::max<int64_t>(1, kGrainElements / std::max<int64_t>(1, work_per_item));
}

}  // namespace trireme::cpu
