// Normalisations and softmax. Statistics of 16-bit floats are computed in f32.
#include "trireme/base/strings.h"
#include "trireme/formats/paddle/call.h"

namespace trireme::formats::paddle {

namespace {

void batch_norm(Call& c) {
  if (!c.flag("is_test") && !c.flag("use_global_stats")) {
    c.unsupported("batch normalisation in training mode; export the model for inference");
  }
  const Channels channels(c, "data_layout");
  const Value x = channels.first(c.x("X"));
  c.result("Y", channels.back(ops::batch_norm_inference(x, c.x("Mean"), c.x("Variance"), c.maybe("Scale"),
                                                        c.maybe("Bias"), c.number("epsilon", 1e-5))));
}

void layer_norm(Call& c) {
  const Value x = c.x("X");
  const int rank = x.shape().rank();
  const int64_t first = c.axis(c.integer("begin_norm_axis", 1), rank);
  const Ints normed(x.shape().begin() + first, x.shape().end());
  const auto shaped = [&](std::string_view parameter) {
    return c.has(parameter) ? ops::reshape(c.x(parameter), normed) : Value();
  };
  c.result("Y", ops::layer_norm(x, shaped("Scale"), shaped("Bias"), rank - first, c.number("epsilon", 1e-5)));
}

void instance_norm(Call& c) {
  c.result("Y", ops::instance_norm(c.x("X"), c.maybe("Scale"), c.maybe("Bias"), c.number("epsilon", 1e-5)));
}

void group_norm(Call& c) {
  const Channels channels(c, "data_layout");
  const Value y = ops::group_norm(channels.first(c.x("X")), c.integer("groups", 1), c.maybe("Scale"), c.maybe("Bias"),
                                  c.number("epsilon", 1e-5));
  c.result("Y", channels.back(y));
}

// x / sqrt(sum x^2 + epsilon) along an axis.
void norm(Call& c) {
  const Value x = c.x("X");
  const int64_t axis = c.axis(c.integer("axis", -1), x.shape().rank());
  const double epsilon = c.number("epsilon", 1e-10);
  c.result(in_wide(x, [&](const Value& v) {
    const Value length = ops::sqrt(ops::reduce_sum(v * v, {axis}, true) + epsilon);
    return v / broadcast(length, v.shape());
  }));
}

void p_norm(Call& c) {
  const Value x = c.x("X");
  const double order = c.number("porder", 2.0);
  Ints axes;
  if (!c.flag("asvector")) axes = {c.axis(c.integer("axis", -1), x.shape().rank())};
  c.result(in_wide(x, [&](const Value& v) { return ops::norm(v, order, axes, c.flag("keepdim")); }));
}

// What is left of a normalisation whose statistics are constant.
void affine_channel(Call& c) {
  const Channels channels(c, "data_layout");
  const Value x = channels.first(c.x("X"));
  const int rank = x.shape().rank();
  c.require(rank >= 2, cat("X is ", x.shape()));
  const auto along = [&](const Value& v) { return broadcast(ops::along_axis(v, 1, rank), x.shape()); };
  c.result(channels.back(x * along(c.x("Scale")) + along(c.x("Bias"))));
}

void softmax(Call& c) { c.result(ops::softmax(c.x("X"), c.integer("axis", -1))); }
void log_softmax(Call& c) { c.result(ops::log_softmax(c.x("X"), c.integer("axis", -1))); }

}  // namespace

std::span<const Mapping> normalization_mappings() {
  static constexpr Mapping table[] = {
      {"affine_channel", affine_channel},
      {"batch_norm", batch_norm},
      {"group_norm", group_norm},
      {"instance_norm", instance_norm},
      {"layer_norm", layer_norm},
      {"log_softmax", log_softmax},
      {"norm", norm},
      {"p_norm", p_norm},
      {"softmax", softmax},
      {"sync_batch_norm", batch_norm},
  };
  return table;
}

}  // namespace trireme::formats::paddle
