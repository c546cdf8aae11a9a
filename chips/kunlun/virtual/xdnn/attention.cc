// Attention, of xpu/refactor/fusion.h: the scores of a head never leave the chip.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "chips/kunlun/virtual/xdnn/gemm.h"
#include "chips/kunlun/virtual/xdnn/rows.h"
#include "xpu/refactor/fusion.h"

namespace baidu::xpu::api {
namespace {

using namespace detail;

// A broadcast mask over batch x heads x queries x keys.
struct Mask {
  int64_t count = 0;
  int64_t strides[4] = {};
};

// A row of scores to probabilities; of nothing but -inf to zeros.
void to_probabilities(float* row, int64_t count) {
  const float greatest = greatest_of(row, count);
  if (greatest == -std::numeric_limits<float>::infinity()) {
    std::fill_n(row, count, 0.0f);
    return;
  }
  for (int64_t i = 0; i < count; ++i) row[i] = std::exp(row[i] - greatest);
  const float sum = sum_over<float>(count, [&](int64_t i) { return row[i]; });
  for (int64_t i = 0; i < count; ++i) row[i] /= sum;
}

// One head. `limits` are the absolute maxima of all of q, k and v.
template <class T, class TGEMM>
void attend(const T* q, const T* k, const T* v, T* y, const double (&limits)[3], const AttentionParam& p, float alpha,
            const float* mask, const int64_t (&mask_strides)[4], std::vector<float>& scores) {
  using Acc = Accumulator<TGEMM>;
  const int64_t q_step = p.head_num * p.head_dim, k_step = p.kv_head_num * p.head_dim;
  const double q_scale = scale_of<TGEMM>(limits[0]), k_scale = scale_of<TGEMM>(limits[1]);
  const double unit = unit_of<TGEMM>(limits[0]) * unit_of<TGEMM>(limits[1]);
  multiply<Acc>({p.q_len, p.kv_len, p.head_dim,
                 [&](int64_t i, int64_t from, int64_t count, Acc* row) {
                   for (int64_t l = 0; l < count; ++l) row[l] = operand<TGEMM>(q[i * q_step + from + l], q_scale);
                 },
                 [&](int64_t l, int64_t from, int64_t count, Acc* row) {
                   for (int64_t j = 0; j < count; ++j) row[j] = operand<TGEMM>(k[(from + j) * k_step + l], k_scale);
                 },
                 [&](int64_t i, int64_t from, int64_t count, const Acc* row) {
                   for (int64_t j = 0; j < count; ++j) {
                     float score = alpha * static_cast<float>(row[j] * unit);
                     if (mask) score += mask[i * mask_strides[2] + (from + j) * mask_strides[3]];
                     if (p.causal && from + j > i + p.kv_len - p.q_len) score = -std::numeric_limits<float>::infinity();
                     scores[i * p.kv_len + from + j] = score;
                   }
                 }});
  for (int64_t i = 0; i < p.q_len; ++i) to_probabilities(scores.data() + i * p.kv_len, p.kv_len);
  const double s_limit = is_fixed<TGEMM> ? absolute_maximum(scores.data(), p.q_len * p.kv_len) : 1;
  const double s_scale = scale_of<TGEMM>(s_limit), v_scale = scale_of<TGEMM>(limits[2]);
  const double y_unit = unit_of<TGEMM>(s_limit) * unit_of<TGEMM>(limits[2]);
  multiply<Acc>({p.q_len, p.head_dim, p.kv_len,
                 [&](int64_t i, int64_t from, int64_t count, Acc* row) {
                   for (int64_t l = 0; l < count; ++l) {
                     row[l] = operand<TGEMM>(scores[i * p.kv_len + from + l], s_scale);
                   }
                 },
                 [&](int64_t l, int64_t from, int64_t count, Acc* row) {
                   for (int64_t j = 0; j < count; ++j) row[j] = operand<TGEMM>(v[l * k_step + from + j], v_scale);
                 },
                 [&](int64_t i, int64_t from, int64_t count, const Acc* row) {
                   for (int64_t j = 0; j < count; ++j) {
                     y[i * q_step + from + j] = T(static_cast<float>(row[j] * y_unit));
                   }
                 }});
}

}  // namespace

template <class T, class TGEMM>
int qkv_attention(Context* ctx, const T* q, const T* k, const T* v, T* qkv, const float* max_q, const float* max_k,
                  const float* max_v, float* max_qkv, const AttentionParam& param, const float* mask,
                  const std::vector<int64_t>& mask_shape) {
  const char* op = "qkv_attention";
  XDNN_CHECK(ctx, "the context is null");
  if (ctx->dev().type() != kCPU && ctx->dev().type() < first_with<TGEMM>()) {
    return refuse(op, NOT_IMPLEMENT, "the arithmetic is not there on this generation");
  }
  const AttentionParam p = param;
  const int64_t q_count = count_of({p.batch, p.q_len, p.head_num, p.head_dim});
  const int64_t k_count = count_of({p.batch, p.kv_len, p.kv_head_num, p.head_dim});
  XDNN_CHECK(q_count >= 0 && k_count >= 0 && count_of({p.head_num, p.q_len, p.kv_len}) >= 0,
             "extents must not be negative nor absurd");
  XDNN_CHECK(p.kv_head_num > 0 && p.head_num % p.kv_head_num == 0, p.kv_head_num, " heads of keys do not divide ",
             p.head_num, " heads");
  XDNN_CHECK(p.kv_len > 0 || q_count == 0, "there are no keys to attend to");
  Mask masked;
  if (mask) {
    const std::vector<int64_t> full = {p.batch, p.head_num, p.q_len, p.kv_len};
    Strides strides;
    XDNN_CHECK(mask_shape.size() == 4 && broadcast_strides(mask_shape, full, &strides), "the mask ", text(mask_shape),
               " does not broadcast to ", text(full));
    masked.count = count_of(mask_shape);
    std::copy(strides.begin(), strides.end(), masked.strides);
  }
  if (q_count == 0) return SUCCESS;
  const float alpha = p.alpha != 0 ? p.alpha : 1 / std::sqrt(static_cast<float>(std::max<int64_t>(1, p.head_dim)));
  const int64_t maxima = ctx->max_ptr_size();
  const double pairs = static_cast<double>(p.batch * p.head_num) * static_cast<double>(p.q_len * p.kv_len);
  Work work{.vector_ops = 2 * kFunction * pairs,
            .operations = 4 * pairs * static_cast<double>(p.head_dim),
            .arithmetic = arithmetic_of<TGEMM>};
  add_pass<TGEMM, T>(&work, max_q, q_count);
  add_pass<TGEMM, T>(&work, max_k, k_count);
  add_pass<TGEMM, T>(&work, max_v, k_count);
  const auto run = [=](const T* q, const T* k, const T* v, T* y, const float* max_q, const float* max_k,
                       const float* max_v, const float* mask, float* max_y) {
    double limits[3] = {1, 1, 1};
    if (is_fixed<TGEMM>) {
      limits[0] = max_q ? maximum_of(max_q, maxima) : absolute_maximum(q, q_count);
      limits[1] = max_k ? maximum_of(max_k, maxima) : absolute_maximum(k, k_count);
      limits[2] = max_v ? maximum_of(max_v, maxima) : absolute_maximum(v, k_count);
    }
    const int64_t group = p.head_num / p.kv_head_num;
    parallel(p.batch * p.head_num, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> scores(static_cast<size_t>(p.q_len * p.kv_len));
      for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t b = unit / p.head_num, h = unit % p.head_num;
        const int64_t at = (b * p.q_len * p.head_num + h) * p.head_dim;
        const int64_t key = (b * p.kv_len * p.kv_head_num + h / group) * p.head_dim;
        const float* its_mask = mask ? mask + b * masked.strides[0] + h * masked.strides[1] : nullptr;
        attend<T, TGEMM>(q + at, k + key, v + key, y + at, limits, p, alpha, its_mask, masked.strides, scores);
      }
    });
    write_maximum(y, q_count, max_y, maxima);
  };
  return launch(ctx, op, work, run, In<T>{q, q_count}, In<T>{k, k_count}, In<T>{v, k_count}, Out<T>{qkv, q_count},
                In<float>{max_q, maxima, true}, In<float>{max_k, maxima, true}, In<float>{max_v, maxima, true},
                In<float>{mask, masked.count, true}, Out<float>{max_qkv, maxima, true});
}

#define XDNN_ATTENTION(T, TW, TY, TGEMM)                                                                       \
  template int qkv_attention<T, TGEMM>(Context*, const T*, const T*, const T*, T*, const float*, const float*, \
                                       const float*, float*, const AttentionParam&, const float*,              \
                                       const std::vector<int64_t>&);
XDNN_FOR_SAME_TYPES(XDNN_ATTENTION)

}  // namespace baidu::xpu::api
