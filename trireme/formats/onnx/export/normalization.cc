// Normalisations, resizing and sampling of images. ONNX holds epsilon in 32 bits and keeps statistics in f32, so that
// f64 is decomposed; its LayerNormalization rounds to 16 bits in between, so that those are computed in f32.
#include "trireme/formats/onnx/emit.h"

namespace trireme::formats::onnx {

namespace {

// Operand i, or `value` for each channel.
std::string per_channel(Emit& e, int i, double value, int64_t channels) {
  return e.has(i) ? e.in(i) : e.constant(Literal::filled(e.type(), {channels}, value));
}

// Operands of another type than the first would not be converted.
bool one_type(const Emit& e) {
  for (int i = 1; i < e.inputs(); ++i) {
    if (e.has(i) && e.x(i).dtype() != e.x(0).dtype()) return false;
  }
  return true;
}

bool batch_norm_inference(Emit& e) {
  const int64_t channels = e.shape(0)[1];
  if (!one_type(e)) return false;
  e.give("BatchNormalization",
         {e.in(0), per_channel(e, 3, 1, channels), per_channel(e, 4, 0, channels), e.in(1), e.in(2)},
         {{"epsilon", e.number("epsilon")}});
  return true;
}

bool layer_norm(Emit& e) {
  const int64_t axes = e.integer("axes");
  const int rank = e.shape(0).rank();
  if (!one_type(e) || axes < 1) return false;
  const Shape normalised(e.shape(0).sizes().subspan(static_cast<size_t>(rank - axes)));
  Names operands = {e.in(0), e.has(1) ? e.in(1) : e.constant(Literal::filled(e.type(), normalised, 1))};
  if (e.has(2)) operands.push_back(e.in(2));
  e.give("LayerNormalization", operands, {{"axis", -axes}, {"epsilon", e.number("epsilon")}});
  return true;
}

bool instance_norm(Emit& e) {
  const int64_t channels = e.shape(0)[1];
  if (!one_type(e) || e.shape(0).rank() < 3) return false;
  e.give("InstanceNormalization", {e.in(0), per_channel(e, 1, 1, channels), per_channel(e, 2, 0, channels)},
         {{"epsilon", e.number("epsilon")}});
  return true;
}

bool group_norm(Emit& e) {
  const int64_t channels = e.shape(0)[1];
  if (!one_type(e) || e.shape(0).rank() < 3) return false;
  e.give("GroupNormalization", {e.in(0), per_channel(e, 1, 1, channels), per_channel(e, 2, 0, channels)},
         {{"num_groups", e.integer("groups")}, {"epsilon", e.number("epsilon")}});
  return true;
}

// ONNX puts the odd channel of an even window on the other side.
bool local_response_norm(Emit& e) {
  if (e.integer("size") % 2 == 0 || e.shape(0).rank() < 3) return false;
  e.give(
      "LRN", {e.in(0)},
      {{"size", e.integer("size")}, {"alpha", e.number("alpha")}, {"beta", e.number("beta")}, {"bias", e.number("k")}});
  return true;
}

bool interpolate(Emit& e) {
  const std::string& mode = e.string("mode");
  Properties properties;
  if (mode == "nearest") {
    // Other ratios are divided in floating point, which may fall on the wrong side of a pixel's edge.
    for (int a = 2; a < 4; ++a) {
      if (e.y().shape()[a] % e.shape(0)[a] != 0) return false;
    }
    properties = {{"mode", mode},
                  {"coordinate_transformation_mode", std::string("asymmetric")},
                  {"nearest_mode", std::string("floor")}};
  } else {
    properties = {
        {"mode", std::string(mode == "bilinear" ? "linear" : "cubic")},
        {"coordinate_transformation_mode", std::string(e.flag("align_corners") ? "align_corners" : "half_pixel")},
        {"cubic_coeff_a", -0.75}};
  }
  e.give("Resize", {e.in(0), "", "", e.list(e.y().shape().vector())}, properties);
  return true;
}

bool grid_sample(Emit& e) {
  if (!one_type(e)) return false;
  e.give("GridSample", {e.in(0), e.in(1)},
         {{"mode", std::string("linear")},
          {"padding_mode", std::string(e.flag("border") ? "border" : "zeros")},
          {"align_corners", int64_t{e.flag("align_corners")}}});
  return true;
}

}  // namespace

std::span<const ExportRule> normalization_export_rules() {
  static constexpr DTypeSet singles = only(f32) | only(f16);
  static const ExportRule rules[] = {
      {"batch_norm_inference", {}, singles, batch_norm_inference},
      {"grid_sample", {}, only(f32), grid_sample},
      {"group_norm", {}, singles, group_norm},
      {"instance_norm", {}, singles, instance_norm},
      {"interpolate", {}, singles, interpolate},
      {"layer_norm", {}, only(f32), layer_norm},
      {"local_response_norm", {}, singles, local_response_norm},
  };
  return rules;
}

}  // namespace trireme::formats::onnx
