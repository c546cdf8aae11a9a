// Ops that read by index. Trireme clamps an index that is out of range, where the library fails: so indices are clipped
// first.
#include "chips/kunlun/kernel.h"

namespace trireme::kunlun {
namespace {

template <class TID>
uint32_t clipped(Builder& b, uint32_t index, int64_t size) {
  const uint32_t from = b.dense(index);
  const int64_t count = chip::elements(b.input(index));
  const uint32_t to = b.temporary(static_cast<size_t>(count) * sizeof(TID));
  b.step("clip", 2.0 * static_cast<double>(count) * sizeof(TID), [=](const Run& run) {
    return api::clip<TID>(run.context, run.at<TID>(from), run.at<TID>(to), count, TID{0}, static_cast<TID>(size - 1));
  });
  return to;
}

void gather_along(Builder& b, int64_t axis) {
  const TrmValue x = b.input(0);
  const uint32_t table = b.dense(0), y = b.result();
  const api::Shape shape = shape_of(x);
  const int64_t count = chip::elements(b.input(1));
  const auto call = [&]<class TID>(TID) {
    const uint32_t index = clipped<TID>(b, 1, x.dims[axis]);
    by_size(x.dtype, [&]<class T>(T) {
      b.step("gather", 2.0 * static_cast<double>(bytes_of(b.output())), [=](const Run& run) {
        return api::gather<T, TID>(run.context, run.at<T>(table), run.at<TID>(index), run.at<T>(y), shape, count, axis);
      });
    });
  };
  if (b.input(1).dtype == TRM_I64) call(int64_t{});
  else call(int32_t{});
}

void gather(Builder& b) { gather_along(b, axis_of(b.node(), "axis", b.input(0).rank)); }
void embedding(Builder& b) { gather_along(b, 0); }

constexpr KernelEntry kEntries[] = {
    {"gather", any_dtype, gather},
    {"embedding", chip_floats, embedding},
};

}  // namespace

std::span<const KernelEntry> indexing_kernels() { return kEntries; }

}  // namespace trireme::kunlun
