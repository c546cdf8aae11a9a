// Kernels that move elements without arithmetic: all of them strided copies into or out of parts of a tensor.
#include <algorithm>
#include <array>
#include <memory>

#include "chips/cpu/kernel.h"
#include "chips/cpu/loops.h"
#include "chips/cpu/tile_ops.h"

namespace trireme::cpu {
namespace {

std::byte* shifted(void* memory, int64_t elements, uint32_t dtype) {
  return static_cast<std::byte*>(memory) + elements * static_cast<int64_t>(chip::size_of(dtype));
}
// Copies a block of `dims` elements between element offsets of two values.
void copy_block(std::span<const int64_t> dims, const TrmValue& to, void* dst, int64_t dst_offset,
                std::span<const int64_t> dst_strides, const TrmValue& from, const void* src, int64_t src_offset) {
  copy_items(chip::size_of(to.dtype), dims, shifted(dst, dst_offset, to.dtype), dst_strides,
             shifted(const_cast<void*>(src), src_offset, to.dtype), chip::strides(from));
}

Run prepare_strided_copy(const Program& program, const NodeView& node) {
  const uint32_t in = node.inputs()[0], out = node.outputs()[0];
  return [x = program.value(in), y = program.value(out), in, out](void* const* values) {
    copy_block(chip::dims(y), y, values[out], 0, chip::strides(y), x, values[in], 0);
  };
}

Run prepare_concat(const Program& program, const NodeView& node) {
  struct Part {
    uint32_t value;
    TrmValue x;
    int64_t offset;  // in y, in elements
  };
  const uint32_t out = node.outputs()[0];
  const TrmValue y = program.value(out);
  const int64_t axis = axis_of(node, "axis", y.rank);
  std::vector<Part> parts;
  int64_t begin = 0;
  for (uint32_t value : node.inputs()) {
    const TrmValue x = program.value(value);
    parts.push_back({value, x, begin * y.strides[axis]});
    begin += x.dims[axis];
  }
  return [parts, y, out](void* const* values) {
    for (const Part& part : parts) {
      copy_block(chip::dims(part.x), y, values[out], part.offset, chip::strides(y), part.x, values[part.value], 0);
    }
  };
}

// One element of a type, converted from a double as the op fill does.
struct Element {
  alignas(8) std::byte bytes[8];
};
Element element_of(double number, uint32_t dtype) {
  Element element{}, tile{};
  const void* in[] = {&number};
  const auto type = static_cast<DType>(dtype);
  find_tile_conversion(f64, type)(tile.bytes, in, 1, {});
  find_tile_store(type)(element.bytes, 1, tile.bytes, 1);
  return element;
}

Run prepare_pad(const Program& program, const NodeView& node) {
  const uint32_t in = node.inputs()[0], out = node.outputs()[0];
  const TrmValue x = program.value(in), y = program.value(out);
  const auto low = node.integers("low"), interior = node.integers("interior");
  int64_t offset = 0;
  std::array<int64_t, TRM_MAX_RANK> spread{};
  for (uint32_t axis = 0; axis < x.rank; ++axis) {
    offset += low[axis] * y.strides[axis];
    spread[axis] = (interior[axis] + 1) * y.strides[axis];
  }
  const auto item = element_of(node.number("value"), y.dtype);
  return [=](void* const* values) {
    const std::array<int64_t, TRM_MAX_RANK> zeros{};
    copy_items(chip::size_of(y.dtype), chip::dims(y), values[out], chip::strides(y), item.bytes,
               {zeros.data(), y.rank});
    copy_block(chip::dims(x), y, values[out], offset, {spread.data(), x.rank}, x, values[in], 0);
  };
}

// Where a block of `block` sizes starts inside `whole`, clamped so that it fits; in elements of whole's memory.
int64_t start_offset(const TrmValue& whole, std::span<const int64_t> block, const TrmValue& start, const void* memory) {
  int64_t offset = 0;
  for (uint32_t axis = 0; axis < whole.rank; ++axis) {
    const int64_t at = static_cast<int64_t>(axis) * start.strides[0];
    const int64_t wanted =
        start.dtype == TRM_I32 ? static_cast<const int32_t*>(memory)[at] : static_cast<const int64_t*>(memory)[at];
    offset += std::clamp<int64_t>(wanted, 0, whole.dims[axis] - block[axis]) * whole.strides[axis];
  }
  return offset;
}

Run prepare_dynamic_slice(const Program& program, const NodeView& node) {
  const uint32_t in = node.inputs()[0], at = node.inputs()[1], out = node.outputs()[0];
  return [=, x = program.value(in), start = program.value(at), y = program.value(out)](void* const* values) {
    copy_block(chip::dims(y), y, values[out], 0, chip::strides(y), x, values[in],
               start_offset(x, chip::dims(y), start, values[at]));
  };
}

Run prepare_dynamic_update_slice(const Program& program, const NodeView& node) {
  const uint32_t in = node.inputs()[0], part = node.inputs()[1], at = node.inputs()[2], out = node.outputs()[0];
  return [=, x = program.value(in), update = program.value(part), start = program.value(at),
          y = program.value(out)](void* const* values) {
    copy_block(chip::dims(y), y, values[out], 0, chip::strides(y), x, values[in], 0);
    copy_block(chip::dims(update), y, values[out], start_offset(y, chip::dims(update), start, values[at]),
               chip::strides(y), update, values[part], 0);
  };
}

void follow_inputs(const Program& program, const NodeView&, TrmAnswer& answer) { ask_order_of_inputs(program, answer); }

constexpr KernelEntry kTable[] = {
    {"strided_copy", any_dtype, true, prepare_strided_copy},
    {"concat", any_dtype, true, prepare_concat, nullptr, 1.0, nullptr, follow_inputs},
    {"pad", any_dtype, true, prepare_pad, nullptr, 1.0, nullptr, follow_inputs},
    {"dynamic_slice", any_dtype, true, prepare_dynamic_slice},
    {"dynamic_update_slice", any_dtype, true, prepare_dynamic_update_slice},
};

}  // namespace

std::span<const KernelEntry> movement_kernels() { return kTable; }

}  // namespace trireme::cpu
