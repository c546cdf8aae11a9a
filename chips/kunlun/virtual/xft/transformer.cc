// Whole Transformer layers as one launch each. The kernel calls the operators of XDNN on a CPU context, which computes
// with the arithmetic of the device bit for bit; the clock is told once, for all of them.
#include "xpu/xft.h"

#include <algorithm>

#include "chips/kunlun/virtual/xdnn/arithmetic.h"
#include "chips/kunlun/virtual/xdnn/elementwise.h"
#include "xpu/refactor/fusion.h"
#include "xpu/refactor/math.h"
#include "xpu/refactor/nn.h"

namespace baidu::xpu::xft {
namespace {

using namespace api;
using namespace api::detail;

template <class T, int N>
int64_t count_of(const xftTensor<T, N>& tensor) {
  return detail::count_of(std::vector<int64_t>(tensor.dims.begin(), tensor.dims.end()));
}

// The weights of one layer as an operand of launch(), with its matrices counted as weights.
template <class TW>
struct Weights {
  xftVec<float> ln_scale, ln_bias, ffn_ln_scale, ffn_ln_bias, qkv_bias, out_bias, ffn1_bias, ffn2_bias;
  xftMat<TW> qkv, out, ffn1, ffn2;
  int64_t maxima = 0;  // floats of a max-pointer

  Weights(const LayerWeights<TW>& all, size_t layer, int64_t max_ptr_size)
      : ln_scale(all.ln_scale[layer]),
        ln_bias(all.ln_bias[layer]),
        ffn_ln_scale(all.ffn_ln_scale[layer]),
        ffn_ln_bias(all.ffn_ln_bias[layer]),
        qkv_bias(all.qkv_bias[layer]),
        out_bias(all.out_linear_bias[layer]),
        ffn1_bias(all.ffn1_bias[layer]),
        ffn2_bias(all.ffn2_bias[layer]),
        qkv(all.qkv_weight[layer]),
        out(all.out_linear_weight[layer]),
        ffn1(all.ffn1_weight[layer]),
        ffn2(all.ffn2_weight[layer]),
        maxima(max_ptr_size) {}

  static constexpr DeviceType needs = first_with<TW>();
  void list(std::vector<Operand>& operands) const {
    for (const auto* vec : vectors(*this)) In<float>{vec->data, count_of(*vec)}.list(operands);
    for (const auto* mat : matrices(*this)) {
      In<TW>{mat->data, count_of(*mat), false, true}.list(operands);
      In<float>{mat->max, maxima, true}.list(operands);
    }
  }
  Weights resolve(const Resolve& find) const {
    Weights found = *this;
    const auto here = [&]<class E>(E*& pointer, int64_t count) {
      pointer = reinterpret_cast<E*>(find(pointer, count * int64_t{sizeof(E)}));
    };
    for (auto* vec : vectors(found)) here(vec->data, count_of(*vec));
    for (auto* mat : matrices(found)) {
      here(mat->data, count_of(*mat));
      here(mat->max, maxima);
    }
    return found;
  }
  // Of a Weights or a const one.
  template <class Self>
  static auto vectors(Self& w) {
    return std::array{&w.ln_scale, &w.ln_bias,  &w.ffn_ln_scale, &w.ffn_ln_bias,
                      &w.qkv_bias, &w.out_bias, &w.ffn1_bias,    &w.ffn2_bias};
  }
  template <class Self>
  static auto matrices(Self& w) {
    return std::array{&w.qkv, &w.out, &w.ffn1, &w.ffn2};
  }
};

struct Sizes {
  int64_t batch, length, keys, heads, head_size, width, inner;
  int64_t rows() const { return batch * length; }
  int64_t features() const { return rows() * width; }
  int64_t hidden() const { return rows() * inner; }
  int64_t scratch() const { return 2 * features() + std::max(3 * features(), hidden()); }
};

// What is the same for all layers of a call.
struct Form {
  Activation_t act;
  bool tanh_gelu, pre_norm;
  float epsilon;
};

int form_of(const char* op, const NlpParam& param, Form* form) {
  XDNN_CHECK(param.hidden_act == "gelu" || param.hidden_act == "gelu_tanh" || param.hidden_act == "relu",
             "hidden_act is '", param.hidden_act, "'; there are gelu, gelu_tanh and relu");
  if (!param.is_fuse_qkv) return refuse(op, NOT_IMPLEMENT, "queries, keys and values must be one matrix");
  XDNN_CHECK(param.epsilon >= 0, "epsilon ", param.epsilon, " is negative");
  form->act = param.hidden_act == "relu"   ? Activation_t::RELU
              : param.hidden_act == "gelu" ? Activation_t::GELU
                                           : Activation_t::LINEAR;
  form->tanh_gelu = param.hidden_act == "gelu_tanh";
  form->pre_norm = param.is_pre_norm;
  form->epsilon = param.epsilon;
  return SUCCESS;
}

// The rules for x, out and the weights; sets what follows from them.
template <class T, class TW, class TGEMM>
int sizes_of(Context* ctx, const char* op, const xftTensor<T, 3>& x, const LayerWeights<TW>& weights,
             const xftTensor<T, 3>* out, const NlpParam& param, Sizes* sizes) {
  XDNN_CHECK(ctx, "the context is null");
  XDNN_CHECK(out, "out is null");
  if (ctx->dev().type() != kCPU && ctx->dev().type() < first_with<TGEMM>()) {
    return refuse(op, NOT_IMPLEMENT, "the arithmetic is not there on this generation");
  }
  const auto [batch, length, width] = x.dims;
  XDNN_CHECK(count_of(x) >= 0 && x.dims == out->dims, "x and out must have the same extents");
  XDNN_CHECK(param.n_head > 0 && param.size_per_head > 0 && width == int64_t{param.n_head} * param.size_per_head,
             param.n_head, " heads of ", param.size_per_head, " are no ", width, " features");
  const auto layers = static_cast<size_t>(std::max(0, param.num_layer));
  XDNN_CHECK(param.num_layer > 0, param.num_layer, " layers");
  for (const auto* list : {&weights.ln_scale, &weights.ln_bias, &weights.qkv_bias, &weights.out_linear_bias,
                           &weights.ffn_ln_scale, &weights.ffn_ln_bias, &weights.ffn1_bias, &weights.ffn2_bias}) {
    XDNN_CHECK(list->size() == layers, list->size(), " vectors of a kind for ", layers, " layers");
  }
  for (const auto* list :
       {&weights.qkv_weight, &weights.out_linear_weight, &weights.ffn1_weight, &weights.ffn2_weight}) {
    XDNN_CHECK(list->size() == layers, list->size(), " matrices of a kind for ", layers, " layers");
  }
  const int64_t inner = weights.ffn1_weight[0].dims[0];
  for (size_t k = 0; k < layers; ++k) {
    const Weights<TW> w(weights, k, ctx->max_ptr_size());
    const auto vec = [](const xftVec<float>& given, int64_t size) { return given.dims[0] == size; };
    const auto mat = [](const xftMat<TW>& given, int64_t rows, int64_t columns) {
      return given.dims[0] == rows && given.dims[1] == columns;
    };
    XDNN_CHECK(vec(w.ln_scale, width) && vec(w.ln_bias, width) && vec(w.ffn_ln_scale, width) &&
                   vec(w.ffn_ln_bias, width) && vec(w.qkv_bias, 3 * width) && vec(w.out_bias, width) &&
                   vec(w.ffn1_bias, inner) && vec(w.ffn2_bias, width),
               "a vector of layer ", k, " does not fit ", width, " features and ", inner, " inner ones");
    XDNN_CHECK(inner > 0 && mat(w.qkv, 3 * width, width) && mat(w.out, width, width) && mat(w.ffn1, inner, width) &&
                   mat(w.ffn2, width, inner),
               "a matrix of layer ", k, " does not fit ", width, " features and ", inner, " inner ones");
    for (const auto* matrix : Weights<TW>::matrices(w)) {
      XDNN_CHECK(!std::is_integral_v<TW> || matrix->max, "weights of an integer type need their max-pointer");
    }
  }
  *sizes = {batch, length, length, param.n_head, param.size_per_head, width, inner};
  XDNN_CHECK(detail::count_of({batch, length, inner}) >= 0 && detail::count_of({batch, length, 3 * width}) >= 0,
             "the intermediate values are too large");
  return SUCCESS;
}

template <class TW, class TGEMM>
Work work_of(const Sizes& s, const Form& form, const Weights<TW>& weights) {
  const auto features = static_cast<double>(s.features()), hidden = static_cast<double>(s.hidden());
  const double pairs = static_cast<double>(s.batch * s.heads) * static_cast<double>(s.length * s.keys);
  constexpr double kNorm = 4 * kCheap;
  Work work{.vector_ops =
                (2 * kNorm + 2 * kCheap) * features + 2 * kFunction * pairs + (form.tanh_gelu ? kFunction * hidden : 0),
            .operations = 8 * features * static_cast<double>(s.width) + 4 * hidden * static_cast<double>(s.width) +
                          4 * pairs * static_cast<double>(s.head_size),
            .arithmetic = arithmetic_of<TGEMM>};
  for (const auto* matrix : Weights<TW>::matrices(weights)) add_pass<TGEMM, TW>(&work, matrix->max, count_of(*matrix));
  return work;
}

// The maximum of x: known of what a norm or the layer before wrote.
template <class T, class TGEMM>
void add_input_pass(Work* work, const Sizes& s, const Form& form) {
  if (!form.pre_norm) add_pass<TGEMM, T>(work, nullptr, s.features());
}

// The intermediate values of a layer: each is written once, then read by a product, a norm or a sum. Both forms of
// layers have the same number of them.
template <class T>
Out<T> scratch_operand(T* scratch, const Sizes& s) {
  return {scratch, s.scratch(), false, 15 * static_cast<double>(s.features()) + 2 * static_cast<double>(s.hidden())};
}

void call(int code) {
  if (code != SUCCESS) throw Fault(xdnn_last_error());
}

// One layer on memory of the host. attend(q, k, v, y) has rows x width elements in each.
template <class T, class TW, class TGEMM>
class Layer {
 public:
  Layer(const Sizes& sizes, const Form& form, const Weights<TW>& weights)
      : s_(sizes), form_(form), w_(weights), host_(kCPU) {}
  Context* host() { return &host_; }

  // y may be x.
  template <class Attend>
  void run(const T* x, T* scratch, T* y, Attend attend) {
    const int64_t features = s_.features();
    T *rows = scratch, *sum = rows + features, *wide = sum + features;
    const T* in = x;
    if (form_.pre_norm) in = norm(x, rows, w_.ln_scale, w_.ln_bias);
    const float* qkv_max = greatest(w_.qkv, &qkv_max_);
    for (int64_t part = 0; part < 3; ++part) {
      const int64_t first = part * s_.width;
      product(in, w_.qkv.data + first * s_.width, qkv_max, w_.qkv_bias.data + first, wide + part * features, s_.width,
              s_.width, Activation_t::LINEAR);
    }
    attend(wide, wide + features, wide + 2 * features, rows);
    product(rows, w_.out.data, greatest(w_.out, &out_max_), w_.out_bias.data, sum, s_.width, s_.width,
            Activation_t::LINEAR);
    call(add<T>(&host_, x, sum, sum, features));
    in = sum;
    if (form_.pre_norm) in = norm(sum, rows, w_.ffn_ln_scale, w_.ffn_ln_bias);
    else norm(sum, sum, w_.ln_scale, w_.ln_bias);
    product(in, w_.ffn1.data, greatest(w_.ffn1, &ffn1_max_), w_.ffn1_bias.data, wide, s_.inner, s_.width, form_.act);
    if (form_.tanh_gelu) call(approximate_gelu<T>(&host_, wide, wide, s_.hidden()));
    product(wide, w_.ffn2.data, greatest(w_.ffn2, &ffn2_max_), w_.ffn2_bias.data, rows, s_.width, s_.inner,
            Activation_t::LINEAR);
    call(add<T>(&host_, sum, rows, y, features));
    if (!form_.pre_norm) norm(y, y, w_.ffn_ln_scale, w_.ffn_ln_bias);
  }

 private:
  const T* norm(const T* x, T* y, const xftVec<float>& scale, const xftVec<float>& bias) {
    call(layer_norm<T>(&host_, x, y, s_.rows(), s_.width, form_.epsilon, scale.data, bias.data, nullptr, nullptr));
    return y;
  }
  // The max-pointer of a matrix for the CPU context, one float; null where the arithmetic has none.
  const float* greatest(const xftMat<TW>& matrix, float* memory) const {
    if (!is_fixed<TGEMM>) return nullptr;
    *memory = static_cast<float>(matrix.max ? maximum_of(matrix.max, w_.maxima)
                                            : absolute_maximum(matrix.data, count_of(matrix)));
    return memory;
  }
  void product(const T* x, const TW* weight, const float* weight_max, const float* bias, T* y, int64_t n, int64_t k,
               const Activation_t& act) {
    call(fc_fusion<T, TW, T, TGEMM>(&host_, x, weight, y, s_.rows(), n, k, false, true, nullptr, weight_max, nullptr, k,
                                    k, n, 1, 0, bias, act));
  }

  const Sizes s_;
  const Form form_;
  const Weights<TW> w_;
  Context host_;
  float qkv_max_ = 0, out_max_ = 0, ffn1_max_ = 0, ffn2_max_ = 0;
};

}  // namespace

template <class T, class TW, class TGEMM>
int transformer_encoder(Context* ctx, const xftTensor<T, 3>& x, const LayerWeights<TW>& weights, xftTensor<T, 3>* out,
                        const NlpParam& param, const float* mask, const std::vector<int64_t>& mask_shape) {
  const char* op = "transformer_encoder";
  Sizes s{};
  Form form{};
  if (const int code = sizes_of<T, TW, TGEMM>(ctx, op, x, weights, out, param, &s)) return code;
  if (const int code = form_of(op, param, &form)) return code;
  XDNN_CHECK(detail::count_of({s.batch, s.heads, s.length, s.length}) >= 0, "the scores are too large");
  int64_t mask_count = 0;
  if (mask) {
    const std::vector<int64_t> full = {s.batch, s.heads, s.length, s.length};
    Strides strides;
    XDNN_CHECK(mask_shape.size() == 4 && broadcast_strides(mask_shape, full, &strides), "the mask ", text(mask_shape),
               " does not broadcast to ", text(full));
    mask_count = detail::count_of(mask_shape);
  }
  if (s.features() == 0) return SUCCESS;
  ctx_guard guard(ctx);
  T* scratch = guard.alloc_l3_or_gm<T>(static_cast<size_t>(s.scratch()));
  if (!scratch) return refuse(op, NO_ENOUGH_WORKSPACE, "no memory for intermediate values");
  const AttentionParam attention{s.batch, s.length, s.length, s.heads, s.heads, s.head_size, param.is_causal, 0};
  for (size_t k = 0; k < static_cast<size_t>(param.num_layer); ++k) {
    const Weights<TW> layer_weights(weights, k, ctx->max_ptr_size());
    Work work = work_of<TW, TGEMM>(s, form, layer_weights);
    if (k == 0) add_input_pass<T, TGEMM>(&work, s, form);
    const auto run = [=](const T* x, const Weights<TW>& weights, T* scratch, T* y, const float* mask) {
      Layer<T, TW, TGEMM> layer(s, form, weights);
      layer.run(x, scratch, y, [&](const T* q, const T* k, const T* v, T* attended) {
        call(qkv_attention<T, TGEMM>(layer.host(), q, k, v, attended, nullptr, nullptr, nullptr, nullptr, attention,
                                     mask, mask_shape));
      });
    };
    const T* in = k == 0 ? x.data : out->data;
    const int code =
        launch(ctx, op, work, run, In<T>{in, s.features(), false, false, 2.0 * s.features()}, layer_weights,
               scratch_operand(scratch, s), Out<T>{out->data, s.features()}, In<float>{mask, mask_count, true});
    if (code != SUCCESS) return code;
  }
  return SUCCESS;
}

template <class T, class TW, class TGEMM>
int fused_multi_transformer_gpt(Context* ctx, const xftTensor<T, 3>& x, const LayerWeights<TW>& weights,
                                xftTensor<T, 3>* out, const std::vector<xftTensor<T, 4>>& cache_k,
                                const std::vector<xftTensor<T, 4>>& cache_v, const NlpParam& param,
                                const int* time_step, const std::string& attn_layout,
                                const std::vector<xftTensor<T, 4>>& cache_k_in,
                                const std::vector<xftTensor<T, 4>>& cache_v_in) {
  const char* op = "fused_multi_transformer_gpt";
  Sizes s{};
  Form form{};
  if (const int code = sizes_of<T, TW, TGEMM>(ctx, op, x, weights, out, param, &s)) return code;
  if (const int code = form_of(op, param, &form)) return code;
  if (attn_layout != "BHLD") return refuse(op, NOT_IMPLEMENT, cat("caches lie as BHLD, not as ", attn_layout));
  XDNN_CHECK(s.length == 1, "a step has one new position, x has ", s.length);
  XDNN_CHECK(time_step, "time_step is null");
  const auto layers = static_cast<size_t>(param.num_layer);
  XDNN_CHECK(cache_k.size() == layers && cache_v.size() == layers && cache_k_in.size() == cache_v_in.size() &&
                 (cache_k_in.empty() || cache_k_in.size() == layers),
             "caches of ", cache_k.size(), " and ", cache_v.size(), " layers for ", layers);
  s.keys = cache_k[0].dims[2];
  XDNN_CHECK(s.keys > 0, "caches have no positions");
  const std::array<int64_t, 4> lies = {s.batch, s.heads, s.keys, s.head_size};
  for (const auto* list : {&cache_k, &cache_v, &cache_k_in, &cache_v_in}) {
    for (const auto& cache : *list) {
      XDNN_CHECK(cache.dims == lies, "a cache is not ", text({lies.begin(), lies.end()}));
    }
  }
  const int64_t cached = count_of(cache_k[0]);
  XDNN_CHECK(cached >= 0, "the caches are too large");
  if (s.features() == 0) return SUCCESS;
  ctx_guard guard(ctx);
  T* scratch = guard.alloc_l3_or_gm<T>(static_cast<size_t>(s.scratch()));
  if (!scratch) return refuse(op, NO_ENOUGH_WORKSPACE, "no memory for intermediate values");
  for (size_t k = 0; k < layers; ++k) {
    const Weights<TW> layer_weights(weights, k, ctx->max_ptr_size());
    Work work = work_of<TW, TGEMM>(s, form, layer_weights);
    if (k == 0) add_input_pass<T, TGEMM>(&work, s, form);
    for (int each = 0; each < 2; ++each) add_pass<TGEMM, T>(&work, nullptr, cached);  // maxima of the caches
    const auto run = [=](const T* x, const Weights<TW>& weights, T* scratch, T* y, T* keys, T* values, const T* keys_in,
                         const T* values_in, const int* time_step) {
      if (keys_in) std::copy_n(keys_in, cached, keys);
      if (values_in) std::copy_n(values_in, cached, values);
      const int64_t position = std::clamp<int64_t>(*time_step, 0, s.keys - 1), seen = position + 1;
      Layer<T, TW, TGEMM> layer(s, form, weights);
      layer.run(x, scratch, y, [&](const T* q, const T* k, const T* v, T* attended) {
        float maxima[3] = {static_cast<float>(absolute_maximum(q, s.features())), 0, 0};
        // `fresh` goes to its position of the cache.
        const auto keep = [&](const T* fresh, T* cache, float* greatest) {
          double found = 0;
          for (int64_t unit = 0; unit < s.batch * s.heads; ++unit) {
            T* lines = cache + unit * s.keys * s.head_size;
            std::copy_n(fresh + unit * s.head_size, s.head_size, lines + position * s.head_size);
            const double one = absolute_maximum(lines, seen * s.head_size);
            if (found == found && !(one <= found)) found = one;  // NaN stays
          }
          *greatest = static_cast<float>(found);
        };
        keep(k, keys, maxima + 1);
        keep(v, values, maxima + 2);
        const AttentionParam one{1, 1, seen, 1, 1, s.head_size};
        for (int64_t unit = 0; unit < s.batch * s.heads; ++unit) {
          const int64_t at = unit * s.head_size, lines = at * s.keys;
          call(qkv_attention<T, TGEMM>(layer.host(), q + at, keys + lines, values + lines, attended + at, maxima,
                                       maxima + 1, maxima + 2, nullptr, one));
        }
      });
    };
    // A cache is read whole; written is one position of it, or all where it is a copy.
    const T* keys_in = cache_k_in.empty() || cache_k_in[k].data == cache_k[k].data ? nullptr : cache_k_in[k].data;
    const T* values_in = cache_v_in.empty() || cache_v_in[k].data == cache_v[k].data ? nullptr : cache_v_in[k].data;
    const auto cache_operand = [&](T* cache, const T* from) {
      return Out<T>{cache, cached, false, static_cast<double>(from ? cached : cached + s.features())};
    };
    const T* in = k == 0 ? x.data : out->data;
    const int code = launch(ctx, op, work, run, In<T>{in, s.features(), false, false, 2.0 * s.features()},
                            layer_weights, scratch_operand(scratch, s), Out<T>{out->data, s.features()},
                            cache_operand(cache_k[k].data, keys_in), cache_operand(cache_v[k].data, values_in),
                            In<T>{keys_in, cached, true}, In<T>{values_in, cached, true}, In<int>{time_step, 1});
    if (code != SUCCESS) return code;
  }
  return SUCCESS;
}

#define XFT_LAYERS(T, TW, TGEMM)                                                                             \
  template int transformer_encoder<T, TW, TGEMM>(Context*, const xftTensor<T, 3>&, const LayerWeights<TW>&,  \
                                                 xftTensor<T, 3>*, const NlpParam&, const float*,            \
                                                 const std::vector<int64_t>&);                               \
  template int fused_multi_transformer_gpt<T, TW, TGEMM>(                                                    \
      Context*, const xftTensor<T, 3>&, const LayerWeights<TW>&, xftTensor<T, 3>*,                           \
      const std::vector<xftTensor<T, 4>>&, const std::vector<xftTensor<T, 4>>&, const NlpParam&, const int*, \
      const std::string&, const std::vector<xftTensor<T, 4>>&, const std::vector<xftTensor<T, 4>>&);
XFT_LAYERS(float, float, int16_t)
XFT_LAYERS(float, int16_t, int16_t)
XFT_LAYERS(api::float16, api::float16, api::float16)
XFT_LAYERS(api::float16, int16_t, int16_t)
XFT_LAYERS(bfloat16, bfloat16, tfloat32)

}  // namespace baidu::xpu::xft
