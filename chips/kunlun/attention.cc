// Attention as one call: the scores are never in memory. The library wants heads inside of positions, which is how a
// linear layer leaves them and the next one takes them.
#include <algorithm>

#include "chips/kunlun/arithmetic.h"

namespace trireme::kunlun {
namespace {

// [N, H, T, D] seen as [N, T, H, D].
TrmValue turned(TrmValue v) {
  std::swap(v.dims[1], v.dims[2]);
  std::swap(v.strides[1], v.strides[2]);
  return v;
}

void attention(Builder& b) {
  const TrmValue q = b.input(0), k = b.input(1), v = b.input(2);
  want(q.dims[3] == v.dims[3], TRM_REASON_SHAPE, "values of another width than keys");
  const auto operand = [&](uint32_t index) { return b.dense(b.raw(index), turned(b.input(index))); };
  const uint32_t qs = operand(0), ks = operand(1), vs = operand(2);
  uint32_t mask = TRM_ABSENT;
  api::Shape mask_shape;
  if (b.has(3)) {
    want(b.input(3).dtype == TRM_F32 && b.input(3).rank == 4, TRM_REASON_ATTRIBUTE, "masks of f32 and four axes only");
    mask = b.dense(3);
    mask_shape = shape_of(b.input(3));
  }
  constexpr uint8_t kTurned[] = {0, 2, 1, 3};
  const uint32_t y = b.result_in_order(0, kTurned);
  const api::AttentionParam param{.batch = q.dims[0],
                                  .q_len = q.dims[2],
                                  .kv_len = k.dims[2],
                                  .head_num = q.dims[1],
                                  .kv_head_num = k.dims[1],
                                  .head_dim = q.dims[3],
                                  .causal = b.node().flag("causal"),
                                  .alpha = static_cast<float>(b.node().number("scale"))};
  double bytes = static_cast<double>(bytes_of(q) + bytes_of(k) + bytes_of(v) + bytes_of(b.output()));
  if (q.dtype == TRM_F32) bytes += static_cast<double>(bytes_of(q) + bytes_of(k) + bytes_of(v));
  const double operations =
      4.0 * static_cast<double>(q.dims[0] * q.dims[1] * q.dims[3]) * static_cast<double>(q.dims[2] * k.dims[2]);
  by_product(b, q.dtype, [&]<class T, class TGEMM>(T, TGEMM) {
    b.product_step("qkv_attention", operations, 0, bytes, [=](const Run& run) {
      return api::qkv_attention<T, TGEMM>(run.context, run.at<T>(qs), run.at<T>(ks), run.at<T>(vs), run.at<T>(y),
                                          nullptr, nullptr, nullptr, nullptr, param, floats_at(run, mask), mask_shape);
    });
  });
}

constexpr KernelEntry kEntries[] = {
    {"attention", chip_floats, attention},
};

}  // namespace

std::span<const KernelEntry> attention_kernels() { return kEntries; }

}  // namespace trireme::kunlun
