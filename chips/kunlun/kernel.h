// What the families of kernels share. A kernel is a list of steps, each one call of the operator library or one launch
// of a kernel of ours, queued one after the other on a stream. The library wants dense memory: Builder puts a strided
// copy in front of a step where an operand has other strides, and behind it where a result has.
//
// Adding an op is one row in its family's table.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "chips/kunlun/card.h"
#include "chips/kunlun/device.h"
#include "trireme/chip/chip.hpp"

namespace trireme::kunlun {

using chip::NodeView;
using chip::Program;

inline DType dtype_of(const TrmValue& v) { return static_cast<DType>(v.dtype); }
inline api::Shape shape_of(const TrmValue& v) { return {v.dims, v.dims + v.rank}; }

// Thrown while a kernel is built: the chip does not do this, for the ledger.
struct Refusal {
  TrmReason reason;
  std::string text;
};

// The memory of one run: an address for each slot. Slots 0, 1, ... are the values of the program.
struct Run {
  api::Context* context;
  const Card* card;
  std::vector<std::byte*> slots;
  std::span<std::byte* const> tables;  // of the kernel, on the device
  template <class T>
  T* at(uint32_t slot) const {
    return reinterpret_cast<T*>(slots[slot]);
  }
};

struct Step {
  const char* name;  // of the operator, for errors
  std::function<int(const Run&)> call;
};

struct Kernel {
  std::vector<Step> steps;
  std::vector<size_t> temporaries;             // bytes of the slots behind the values
  std::vector<std::vector<std::byte>> tables;  // what the steps read from the device's memory
  std::vector<uint32_t> inlined;               // constants that became part of the steps
  std::vector<TrmConversion> conversions;      // of operands that must lie otherwise; it runs when there are none
  double ns = 0;                               // beyond the launches
  std::vector<std::pair<uint32_t, int32_t>>
      in_place;                   // an output of the program, and the input whose memory it may take
  bool uses_l3 = false;           // the library keeps intermediate values there
  uint32_t fixed_point_bits = 0;  // TrmAnswer
};

// As many clusters as have something to do for `units` pieces of work, one for each core at a time. All cores of a
// cluster start: the runtime takes no fewer.
struct Grid {
  int clusters, cores;
};
inline Grid grid_for(const Card& card, int64_t units) {
  const int64_t all = card.cores(), clusters = static_cast<int64_t>(card.clusters);
  return {static_cast<int>(std::clamp<int64_t>((units + all - 1) / all, 1, clusters)), card.cores()};
}

// What follows a product or convolution in the same launch: its result, plus a tensor of the same shape, activated,
// plus another.
struct Tail {
  uint32_t result = TRM_ABSENT;  // the value that it makes; absent: there is no tail
  uint32_t branch = TRM_ABSENT, addend = TRM_ABSENT;
  api::Activation_t act = api::Activation_t::LINEAR;
};

class Builder {
 public:
  Builder(const Program& program, const NodeView& node, const Card& card, const Tail& tail = {});

  const Program& program() const { return program_; }
  const NodeView& node() const { return node_; }
  const Card& card() const { return card_; }

  bool has(uint32_t input) const { return node_.has(input); }
  // As the operand lies; constants are dense.
  TrmValue input(uint32_t index) const { return view(node_.inputs()[index]); }
  TrmValue view(uint32_t value) const;
  TrmValue output(uint32_t index = 0) const { return program_.value(node_.outputs()[index]); }
  // A slot with the operand, row-major and dense; TRM_ABSENT where it is not given.
  uint32_t dense(uint32_t index);
  // The same of any value of the program.
  uint32_t dense_value_of(uint32_t value);
  // A slot with the operand as it lies.
  uint32_t raw(uint32_t index) const { return node_.inputs()[index]; }
  // A slot with memory laid out as `view`, strides and all, made row-major and dense. `first` is where its element
  // [0, 0, ...] lies in the slot, in elements.
  uint32_t dense(uint32_t slot, const TrmValue& view, int64_t first = 0);
  // A slot for a result, row-major and dense.
  uint32_t result(uint32_t index = 0) {
    return result_of(tail_.result != TRM_ABSENT ? tail_.result : node_.outputs()[index]);
  }
  uint32_t result_of(uint32_t value);
  // A slot for result `index`, dense with its axes in this order, outermost first: the host is asked for such memory.
  uint32_t result_in_order(uint32_t index, std::span<const uint8_t> order);
  // The steps may find result `output` in the memory of operand `input`, where that is dense.
  void offer_in_place(uint32_t output, uint32_t input);
  // A slot that is memory of this kernel only.
  uint32_t temporary(size_t bytes);
  // Memory with these bytes, made once; its number among Run::tables.
  uint32_t table(std::span<const std::byte> bytes);
  // The steps know this constant: it needs no memory.
  void inline_constant(uint32_t value) { kernel_.inlined.push_back(value); }

  // One more call; `bytes` it reads and writes.
  void step(const char* name, double bytes, std::function<int(const Run&)> call);
  // A launch of a kernel of ours, on whose cores it takes `cycles`; it cannot end before its `bytes` have moved.
  void own_step(const char* name, const Grid& grid, double cycles, double bytes, std::function<int(const Run&)> call);
  // A call that multiplies on the SDNN units: so many operations, two for each product and sum.
  void product_step(const char* name, double operations, double weight_bytes, double bytes,
                    std::function<int(const Run&)> call);
  // The same of bytes.
  void integer_product_step(const char* name, double operations, double weight_bytes, double bytes,
                            std::function<int(const Run&)> call);
  // The tail of the node, for a kernel that can append it; without the call it must not be there.
  const Tail& take_tail() {
    tail_taken_ = true;
    return tail_;
  }
  void fixed_point(uint32_t bits) { kernel_.fixed_point_bits = bits; }
  void use_l3() { kernel_.uses_l3 = true; }

  Kernel finish() &&;

 private:
  const Program& program_;
  const NodeView& node_;
  const Card& card_;
  const Tail tail_;
  bool tail_taken_ = false;
  Kernel kernel_;
  std::vector<Step> copies_out_;
  std::vector<std::pair<uint32_t, uint32_t>> made_dense_;  // value, slot

  void product_at(double per_second, const char* name, double operations, double weight_bytes, double bytes,
                  std::function<int(const Run&)> call);
};

struct KernelEntry {
  std::string_view op;
  DTypeSet dtypes;  // of the first input (of the first output where there are no inputs), where the card has them
  void (*build)(Builder&);
};

// The families.
std::span<const KernelEntry> elementwise_kernels();
std::span<const KernelEntry> own_kernels();
std::span<const KernelEntry> movement_kernels();
std::span<const KernelEntry> reduction_kernels();
std::span<const KernelEntry> product_kernels();
std::span<const KernelEntry> convolution_kernels();
std::span<const KernelEntry> integer_product_kernels();
std::span<const KernelEntry> pooling_kernels();
std::span<const KernelEntry> normalization_kernels();
std::span<const KernelEntry> indexing_kernels();
std::span<const KernelEntry> optimizer_kernels();
std::span<const KernelEntry> attention_kernels();
std::span<const KernelEntry> loss_kernels();
std::span<const KernelEntry> transformer_kernels();

// Throws a Refusal unless the condition holds.
inline void want(bool holds, TrmReason reason, const char* text) {
  if (!holds) throw Refusal{reason, text};
}

inline constexpr DTypeSet chip_floats = only(f32) | only(f16) | only(bf16);
// Integers that the operator library computes with.
inline constexpr DTypeSet wide_ints = only(i32) | only(i64);
inline constexpr DTypeSet bit_types = wide_ints | only(i16) | only(i8) | only(u8);

// A constant, packed row-major.
std::vector<std::byte> packed(const TrmValue& v);
inline size_t bytes_of(const TrmValue& v) { return static_cast<size_t>(chip::elements(v)) * chip::size_of(v.dtype); }
// An axis attribute, counted from the back when negative.
inline int64_t axis_of(const NodeView& node, const char* name, uint32_t rank) {
  const int64_t axis = node.integer(name);
  return axis < 0 ? axis + rank : axis;
}
inline TrmValue dense_value(uint32_t dtype, const api::Shape& shape) {
  TrmValue v = chip::sized<TrmValue>();
  v.dtype = dtype;
  v.rank = static_cast<uint32_t>(shape.size());
  int64_t step = 1;
  for (size_t a = shape.size(); a-- > 0;) {
    v.dims[a] = shape[a];
    v.strides[a] = step;
    step *= shape[a];
  }
  return v;
}

// Calls f(T{}) with the library's type of the same bits: for what moves without arithmetic.
template <class F>
decltype(auto) by_size(uint32_t dtype, F&& f) {
  switch (chip::size_of(dtype)) {
    case 1: return f(int8_t{});
    case 2: return f(int16_t{});
    case 4: return f(int32_t{});
    default: return f(int64_t{});
  }
}
template <class F>
decltype(auto) by_float(uint32_t dtype, F&& f) {
  switch (dtype) {
    case TRM_F16: return f(api::float16{});
    case TRM_BF16: return f(api::bfloat16{});
    default: return f(float{});
  }
}
// Number types of the library; unsigned ones of 32 and 64 bits as the signed ones of the same size.
template <class F>
decltype(auto) by_number(uint32_t dtype, F&& f) {
  switch (dtype) {
    case TRM_I32:
    case TRM_U32: return f(int32_t{});
    case TRM_I64:
    case TRM_U64: return f(int64_t{});
    default: return by_float(dtype, f);
  }
}
template <class F>
decltype(auto) by_bits(uint32_t dtype, F&& f) {
  switch (dtype) {
    case TRM_BOOL: return f(bool{});
    case TRM_U8: return f(uint8_t{});
    default: return by_size(dtype, f);
  }
}

}  // namespace trireme::kunlun
