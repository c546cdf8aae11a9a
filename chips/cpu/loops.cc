#include "chips/cpu/loops.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "chips/cpu/kernel.h"

namespace trireme::cpu {

int Loops::normalize(bool keep_order, int fence) {
  std::array<int, kMaxRank> axes{};
  int count = 0, new_fence = 0;
  for (int axis = 0; axis < rank; ++axis) {
    if (dims[axis] == 1) continue;
    if (axis < fence) ++new_fence;
    axes[count++] = axis;
  }
  if (!keep_order && !strides.empty()) {
    const Strides& leader = strides[0];
    const auto outside = [&](int a, int b) { return std::llabs(leader[a]) > std::llabs(leader[b]); };
    std::stable_sort(axes.begin(), axes.begin() + new_fence, outside);
    std::stable_sort(axes.begin() + new_fence, axes.begin() + count, outside);
  }
  Loops out;
  out.strides.resize(strides.size());
  fence = 0;
  for (int i = 0; i < count; ++i) {
    const int axis = axes[i];
    const auto gapless = [&] {
      for (size_t k = 0; k < strides.size(); ++k) {
        if (out.strides[k][out.rank - 1] != strides[k][axis] * dims[axis]) return false;
      }
      return true;
    };
    const bool merge = out.rank > 0 && i != new_fence && gapless();
    if (!merge) ++out.rank;
    out.dims[out.rank - 1] = merge ? out.dims[out.rank - 1] * dims[axis] : dims[axis];
    for (size_t k = 0; k < strides.size(); ++k) out.strides[k][out.rank - 1] = strides[k][axis];
    if (i < new_fence) fence = out.rank;
  }
  if (out.rank == 0) {
    out.rank = 1;
    out.dims[0] = 1;
  }
  *this = std::move(out);
  return fence;
}

namespace {

template <class T>
void copy_row(T* dst, int64_t dst_stride, const T* src, int64_t src_stride, int64_t count) {
  if (dst_stride == 1 && src_stride == 1) {
    std::memcpy(dst, src, static_cast<size_t>(count) * sizeof(T));
  } else if (dst_stride == 1 && src_stride == 0) {
    std::fill_n(dst, count, *src);
  } else {
    for (int64_t i = 0; i < count; ++i) dst[i * dst_stride] = src[i * src_stride];
  }
}

// dst is contiguous along columns, src along rows: copied in square blocks so both sides use whole cache lines.
template <class T>
void transpose_block(T* dst, int64_t dst_row, const T* src, int64_t src_column, int64_t rows, int64_t columns) {
  constexpr int64_t kBlock = 16;
  for (int64_t i = 0; i < rows; i += kBlock) {
    const int64_t i_end = std::min(rows, i + kBlock);
    for (int64_t j = 0; j < columns; j += kBlock) {
      const int64_t j_end = std::min(columns, j + kBlock);
      for (int64_t r = i; r < i_end; ++r) {
        for (int64_t c = j; c < j_end; ++c) dst[r * dst_row + c] = src[c * src_column + r];
      }
    }
  }
}

template <class T>
void copy_typed(Loops& loops, T* dst, const T* src) {
  const Strides& to = loops.strides[0];
  const Strides& from = loops.strides[1];
  const int inner = loops.rank - 1;
  if (loops.rank == 1) {
    parallel_for(loops.dims[0], kGrainElements, [&](int64_t begin, int64_t end) {
      copy_row(dst + begin * to[0], to[0], src + begin * from[0], from[0], end - begin);
    });
    return;
  }
  int rows = -1;  // the axis along which the source is contiguous, when it is not the innermost
  if (to[inner] == 1 && from[inner] != 1 && from[inner] != 0) {
    for (int axis = 0; axis < inner; ++axis) {
      if (from[axis] == 1 && loops.dims[axis] > 3) rows = axis;
    }
  }
  if (rows < 0) {
    const int64_t outer = loops.elements() / std::max<int64_t>(1, loops.dims[inner]);
    parallel_for(outer, grain_for(loops.dims[inner]), [&](int64_t begin, int64_t end) {
      Position at(loops, begin * loops.dims[inner]);
      for (int64_t row = begin; row < end; ++row, at.step(loops, 0, inner)) {
        copy_row(dst + at.offset(to, inner), to[inner], src + at.offset(from, inner), from[inner], loops.dims[inner]);
      }
    });
    return;
  }
  // Blocks of 64 rows of one transposition; the other axes outside.
  constexpr int64_t kRows = 64;
  Loops outside = loops;
  const int64_t row_count = loops.dims[rows];
  outside.dims[rows] = (row_count + kRows - 1) / kRows;
  outside.dims[inner] = 1;
  parallel_for(outside.elements(), grain_for(kRows * loops.dims[inner]), [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      Position at(outside, block);
      at.index[rows] *= kRows;
      transpose_block(dst + at.offset(to, inner), to[rows], src + at.offset(from, inner), from[inner],
                      std::min(kRows, row_count - at.index[rows]), loops.dims[inner]);
    }
  });
}

}  // namespace

DenseInput::DenseInput(const TrmValue& v, const void* memory) : data_(memory) {
  if (chip::is_dense(v)) return;
  copy_.resize(static_cast<size_t>(chip::elements(v)) * chip::size_of(v.dtype));
  std::array<int64_t, TRM_MAX_RANK> dense{};
  int64_t stride = 1;
  for (uint32_t axis = v.rank; axis-- > 0; stride *= v.dims[axis]) dense[axis] = stride;
  copy_items(chip::size_of(v.dtype), chip::dims(v), copy_.data(), {dense.data(), v.rank}, memory, chip::strides(v));
  data_ = copy_.data();
}

void copy_items(size_t item_bytes, std::span<const int64_t> dims, void* dst, std::span<const int64_t> dst_strides,
                const void* src, std::span<const int64_t> src_strides) {
  Loops loops;
  loops.rank = static_cast<int>(dims.size());
  std::copy(dims.begin(), dims.end(), loops.dims.begin());
  if (loops.elements() == 0) return;
  loops.add_operand(dst_strides);
  loops.add_operand(src_strides);
  loops.normalize();
  switch (item_bytes) {
    case 1: return copy_typed(loops, static_cast<uint8_t*>(dst), static_cast<const uint8_t*>(src));
    case 2: return copy_typed(loops, static_cast<uint16_t*>(dst), static_cast<const uint16_t*>(src));
    case 4: return copy_typed(loops, static_cast<uint32_t*>(dst), static_cast<const uint32_t*>(src));
    case 8: return copy_typed(loops, static_cast<uint64_t*>(dst), static_cast<const uint64_t*>(src));
    default: throw Failure(TRM_INVALID, "items have 1, 2, 4 or 8 bytes");
  }
}

}  // namespace trireme::cpu
