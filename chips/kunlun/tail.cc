#include "chips/kunlun/tail.h"

#include <algorithm>

namespace trireme::kunlun {
namespace {

bool is_product(std::string_view op) {
  return op == "conv1d" || op == "conv2d" || op == "convolution" || op == "linear" || op == "dot_general";
}

bool is_integer_product(std::string_view op) { return op == "integer_dot_general" || op == "integer_convolution"; }

struct Row {
  std::string_view op;
  api::Activation_t::act_enum act;
};
constexpr Row kActivations[] = {
    {"relu", api::Activation_t::RELU},
    {"relu6", api::Activation_t::RELU6},
    {"sigmoid", api::Activation_t::SIGMOID},
    {"logistic", api::Activation_t::SIGMOID},
    {"tanh", api::Activation_t::TANH},
    {"silu", api::Activation_t::SWISH},
    {"gelu", api::Activation_t::GELU},
    {"hard_swish", api::Activation_t::HARD_SWISH},
    {"leaky_relu", api::Activation_t::LEAKY_RELU},
};

}  // namespace

bool has_tail(const Program& program, Tail* tail) {
  if (is_integer_product(program.node(0).op())) {  // the library's sums are floats: that conversion costs nothing
    const NodeView next = program.node(1);
    if (program.node_count() != 2 || next.op() != "convert" || next.inputs()[0] != program.node(0).outputs()[0]) {
      return false;
    }
    tail->result = next.outputs()[0];
    return program.value(tail->result).dtype == TRM_F32 && program.output_count() == 1 &&
           program.output(0) == tail->result;
  }
  if (!is_product(program.node(0).op())) return false;
  uint32_t value = program.node(0).outputs()[0];
  const TrmValue shape = program.value(value);
  for (uint32_t n = 1; n < program.node_count(); ++n) {
    const NodeView node = program.node(n);
    const auto inputs = node.inputs();
    const bool activated = tail->act.type != api::Activation_t::LINEAR;
    if (node.outputs().size() != 1) return false;
    if (node.op() == "add") {
      uint32_t& other = activated ? tail->addend : tail->branch;
      if (other != TRM_ABSENT || (inputs[0] == value) == (inputs[1] == value)) return false;
      other = inputs[0] == value ? inputs[1] : inputs[0];
      const TrmValue added = program.value(other);
      if (shape_of(added) != shape_of(shape) || added.dtype != shape.dtype) return false;
    } else if (activated) {
      return false;
    } else {
      const auto* row = std::find_if(std::begin(kActivations), std::end(kActivations),
                                     [&](const Row& each) { return each.op == node.op(); });
      if (row == std::end(kActivations) || inputs[0] != value) return false;
      if (node.op() == "gelu" && node.string("approximate") == "tanh") return false;
      tail->act = row->act;
      if (node.op() == "leaky_relu") tail->act.leaky_alpha = static_cast<float>(node.number("slope"));
    }
    value = node.outputs()[0];
  }
  tail->result = value;
  return program.output_count() == 1 && program.output(0) == value;
}

}  // namespace trireme::kunlun
