// Whole Transformer layers, by the library of fused ones (XFT): one launch each.
#include <algorithm>
#include <cstring>

#include "chips/kunlun/arithmetic.h"
#include "xpu/xft.h"

namespace trireme::kunlun {
namespace {

namespace xft = baidu::xpu::xft;

// A vector as floats: memory of a value, or a table where a known one of 16 bits was made so ahead.
struct Vector {
  uint32_t slot = TRM_ABSENT, table = TRM_ABSENT;
  int64_t size = 0;

  xft::xftVec<float> at(const Run& run) const {
    std::byte* memory = table == TRM_ABSENT ? run.slots[slot] : run.tables[table];
    return {reinterpret_cast<float*>(memory), {size}};
  }
};

Vector vector_of(Builder& b, uint32_t index) {
  const uint32_t value = b.node().inputs()[index];
  const TrmValue v = b.program().value(value);
  if (!v.known || v.dtype == TRM_F32) return {as_floats(b, index), TRM_ABSENT, v.dims[0]};
  const std::vector<std::byte> bytes = packed(v);
  std::vector<float> floats(static_cast<size_t>(v.dims[0]));
  by_float(v.dtype, [&]<class T>(T) {
    for (size_t i = 0; i < floats.size(); ++i) {
      T number;
      std::memcpy(&number, bytes.data() + i * sizeof(T), sizeof(T));
      floats[i] = static_cast<float>(number);
    }
  });
  b.inline_constant(value);
  return {TRM_ABSENT, b.table(std::as_bytes(std::span(floats))), v.dims[0]};
}

struct Matrix {
  Weight weight;
  int64_t rows, columns;

  template <class TW>
  xft::xftMat<TW> at(const Run& run) const {
    return {const_cast<TW*>(weight.at<TW>(run)), const_cast<float*>(weight.maxima_at(run)), {rows, columns}};
  }
};

// The weights of a layer, operands `first` to `first` + 11 of its op.
struct Layer {
  Matrix qkv, output, up, down;
  Vector qkv_bias, output_bias, norm_weight, norm_bias, up_bias, down_bias, inner_norm_weight, inner_norm_bias;
  double weight_bytes;

  template <class TW>
  xft::LayerWeights<TW> at(const Run& run) const {
    return {.ln_scale = {norm_weight.at(run)},
            .ln_bias = {norm_bias.at(run)},
            .qkv_weight = {qkv.at<TW>(run)},
            .qkv_bias = {qkv_bias.at(run)},
            .out_linear_weight = {output.at<TW>(run)},
            .out_linear_bias = {output_bias.at(run)},
            .ffn_ln_scale = {inner_norm_weight.at(run)},
            .ffn_ln_bias = {inner_norm_bias.at(run)},
            .ffn1_weight = {up.at<TW>(run)},
            .ffn1_bias = {up_bias.at(run)},
            .ffn2_weight = {down.at<TW>(run)},
            .ffn2_bias = {down_bias.at(run)}};
  }
};

Layer layer_of(Builder& b, uint32_t first) {
  bool known = true;
  for (const uint32_t k : {0u, 2u, 6u, 8u}) known &= b.program().value(b.node().inputs()[first + k]).known != 0;
  const auto matrix = [&](uint32_t k) -> Matrix {
    const TrmValue v = b.input(first + k);
    want(v.dims[0] > 0, TRM_REASON_SHAPE, "a layer without inner features");
    const Weight weight = known ? weight_of(b, first + k)
                                : Weight{b.dense(first + k), TRM_ABSENT, TRM_ABSENT, static_cast<double>(bytes_of(v))};
    return {weight, v.dims[0], v.dims[1]};
  };
  const auto vector = [&](uint32_t k) { return vector_of(b, first + k); };
  Layer layer{matrix(0), matrix(2), matrix(6), matrix(8),  vector(1),  vector(3), vector(4),
              vector(5), vector(7), vector(9), vector(10), vector(11), 0};
  for (const Matrix* each : {&layer.qkv, &layer.output, &layer.up, &layer.down}) {
    want(each->weight.is_fixed() == layer.qkv.weight.is_fixed(), TRM_REASON_OTHER, "a weight is not finite");
    layer.weight_bytes += each->weight.bytes;
  }
  return layer;
}

xft::NlpParam param_of(const Builder& b, int64_t heads, int64_t width) {
  xft::NlpParam param;
  param.n_head = static_cast<int>(heads);
  param.size_per_head = static_cast<int>(width / heads);
  param.hidden_act = b.node().string("activation");
  param.is_pre_norm = b.node().flag("pre_norm");
  param.epsilon = static_cast<float>(b.node().number("epsilon"));
  return param;
}

// What a layer takes beyond its launch, as xpu/xft.h says it; each row sees `positions`, and `more` bytes of its own
// are read or written.
struct Cost {
  double operations, bytes;
  Cost(Builder& b, const Layer& layer, const xft::NlpParam& param, int64_t positions, double more) {
    const TrmValue x = b.input(0);
    const double item = static_cast<double>(chip::size_of(x.dtype)), features = static_cast<double>(chip::elements(x));
    const auto width = static_cast<double>(x.dims[2]);
    const double hidden = static_cast<double>(x.dims[0] * x.dims[1] * layer.up.rows);
    operations = features * (8 * width + 4 * static_cast<double>(positions)) + 4 * hidden * width;
    const double between = item * (15 * features + 2 * hidden);
    const double kept = item * (2 * features + std::max(3 * features, hidden));
    bytes = item * 3 * features + more;
    if (kept <= static_cast<double>(b.card().l3_of_a_stream())) {  // side by side with device memory
      b.use_l3();
      bytes = std::max(bytes, between * b.card().memory_bandwidth / b.card().l3_bandwidth);
    } else {
      bytes += between;
    }
    // Vector instructions, which run meanwhile: of norms and sums, a softmax, an approximate gelu.
    const double scores = features / width * static_cast<double>(param.n_head * positions);
    const double vectors = 10 * features + 40 * scores + (param.hidden_act == "gelu_tanh" ? 20 * hidden : 0);
    const auto cores = static_cast<double>(b.card().clusters * static_cast<uint64_t>(b.card().cores()));
    const double vector_seconds = vectors / (kLanes * cores * kClockGhz * 1e9);
    bytes = std::max(bytes, vector_seconds * b.card().memory_bandwidth);
    if (x.dtype != TRM_F32) return;  // else maxima are searched
    if (!param.is_pre_norm) bytes += item * features;
    if (!layer.qkv.weight.is_fixed()) bytes += layer.weight_bytes;
  }
};

void encoder_layer(Builder& b) {
  const TrmValue x = b.input(0);
  const std::array<int64_t, 3> dims = {x.dims[0], x.dims[1], x.dims[2]};
  xft::NlpParam param = param_of(b, b.node().integer("heads"), dims[2]);
  param.is_causal = b.node().flag("causal");
  uint32_t mask = TRM_ABSENT;
  api::Shape mask_shape;
  double mask_bytes = 0;
  if (b.has(13)) {
    const TrmValue given = b.input(13);
    want(given.dtype == TRM_F32, TRM_REASON_ATTRIBUTE, "masks of f32 only");
    mask = b.dense(13);
    mask_shape = shape_of(given);
    mask_shape.insert(mask_shape.begin(), 4 - mask_shape.size(), 1);
    mask_bytes = static_cast<double>(bytes_of(given));
  }
  const Layer layer = layer_of(b, 1);
  const uint32_t from = b.dense(0), to = b.result();
  const Cost cost(b, layer, param, dims[1], mask_bytes);
  by_product(b, x.dtype, layer.qkv.weight, [&]<class T, class TW, class TGEMM>(T, TW, TGEMM) {
    b.product_step("transformer_encoder", cost.operations, layer.weight_bytes, cost.bytes, [=](const Run& run) {
      xft::xftTensor<T, 3> y(run.at<T>(to), dims);
      return xft::transformer_encoder<T, TW, TGEMM>(run.context, {run.at<T>(from), dims}, layer.at<TW>(run), &y, param,
                                                    floats_at(run, mask), mask_shape);
    });
  });
}

void decoder_step(Builder& b) {
  const TrmValue x = b.input(0), cache = b.input(1);
  const std::array<int64_t, 3> dims = {x.dims[0], x.dims[1], x.dims[2]};
  const std::array<int64_t, 4> cached = {cache.dims[0], cache.dims[1], cache.dims[2], cache.dims[3]};
  want(b.input(3).dtype == TRM_I32, TRM_REASON_DTYPE, "positions of i32 only");
  const xft::NlpParam param = param_of(b, cached[1], dims[2]);
  const Layer layer = layer_of(b, 4);
  const uint32_t from = b.dense(0), keys_in = b.dense(1), values_in = b.dense(2), position = b.dense(3);
  const uint32_t to = b.result(0), keys = b.result(1), values = b.result(2);
  b.offer_in_place(1, 1);
  b.offer_in_place(2, 2);
  // Both caches are read and written, and those of f32 read once more for their maxima.
  const auto cache_bytes = static_cast<double>(bytes_of(cache));
  const Cost cost(b, layer, param, cached[2], 4 * cache_bytes);
  const double searched_bytes = x.dtype == TRM_F32 ? 2 * cache_bytes : 0;
  by_product(b, x.dtype, layer.qkv.weight, [&]<class T, class TW, class TGEMM>(T, TW, TGEMM) {
    b.product_step("fused_multi_transformer_gpt", cost.operations, layer.weight_bytes, cost.bytes + searched_bytes,
                   [=](const Run& run) {
                     xft::xftTensor<T, 3> y(run.at<T>(to), dims);
                     const auto lies = [&](uint32_t slot) {
                       return std::vector{xft::xftTensor<T, 4>(run.at<T>(slot), cached)};
                     };
                     return xft::fused_multi_transformer_gpt<T, TW, TGEMM>(
                         run.context, {run.at<T>(from), dims}, layer.at<TW>(run), &y, lies(keys), lies(values), param,
                         run.at<int>(position), "BHLD", lies(keys_in), lies(values_in));
                   });
  });
}

constexpr KernelEntry kEntries[] = {
    {"transformer_encoder_layer", chip_floats, encoder_layer},
    {"transformer_decoder_step", chip_floats, decoder_step},
};

}  // namespace

std::span<const KernelEntry> transformer_kernels() { return kEntries; }

}  // namespace trireme::kunlun
