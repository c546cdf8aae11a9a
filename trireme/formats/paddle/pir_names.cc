#include "trireme/formats/paddle/pir_names.h"

namespace trireme::formats::paddle {

namespace {

constexpr PirName kNames[] = {
    {"abs", "abs", "X", "Out", ""},
    {"add", "elementwise_add", "X Y", "Out", ""},
    {"arange", "range", "Start End Step", "Out", ""},
    {"argmax", "arg_max", "X @axis", "Out", ""},
    {"assign", "assign", "X", "Out", ""},
    {"batch_norm", "batch_norm", "X Mean Variance Scale Bias", "Y", "data_format=data_layout"},
    {"batch_norm_", "batch_norm", "X Mean Variance Scale Bias", "Y", "data_format=data_layout"},
    {"bilinear_interp", "bilinear_interp_v2", "X OutSize SizeTensor Scale", "Out", "data_format=data_layout"},
    {"bmm", "bmm", "X Y", "Out", ""},
    {"cast", "cast", "X", "Out", "dtype=out_dtype"},
    {"clip", "clip", "X Min Max", "Out", ""},
    {"concat", "concat", "X AxisTensor", "Out", ""},
    {"conv2d", "conv2d", "Input Filter", "Output", ""},
    {"conv2d_transpose", "conv2d_transpose", "Input Filter @output_size", "Output", ""},
    {"depthwise_conv2d", "depthwise_conv2d", "Input Filter", "Output", ""},
    {"divide", "elementwise_div", "X Y", "Out", ""},
    {"elementwise_pow", "elementwise_pow", "X Y", "Out", ""},
    {"embedding", "lookup_table_v2", "Ids W", "Out", ""},
    {"equal", "equal", "X Y", "Out", ""},
    {"exp", "exp", "X", "Out", ""},
    {"expand", "expand_v2", "X Shape", "Out", ""},
    {"flatten", "flatten_contiguous_range", "X", "Out", ""},
    {"floor", "floor", "X", "Out", ""},
    {"floor_divide", "elementwise_floordiv", "X Y", "Out", ""},
    {"full", "fill_constant", "", "Out", ""},
    {"gather", "gather", "X Index Axis", "Out", ""},
    {"gather_nd", "gather_nd", "X Index", "Out", ""},
    {"gelu", "gelu", "X", "Out", ""},
    {"greater_equal", "greater_equal", "X Y", "Out", ""},
    {"greater_than", "greater_than", "X Y", "Out", ""},
    {"group_norm", "group_norm", "X Scale Bias", "Y", "data_format=data_layout"},
    {"hardsigmoid", "hard_sigmoid", "X", "Out", ""},
    {"hardswish", "hard_swish", "X", "Out", ""},
    {"instance_norm", "instance_norm", "X Scale Bias", "Y", ""},
    {"layer_norm", "layer_norm", "X Scale Bias", "Y", ""},
    {"leaky_relu", "leaky_relu", "X", "Out", "negative_slope=alpha"},
    {"less_equal", "less_equal", "X Y", "Out", ""},
    {"less_than", "less_than", "X Y", "Out", ""},
    {"log", "log", "X", "Out", ""},
    {"log_softmax", "log_softmax", "X", "Out", ""},
    {"logical_and", "logical_and", "X Y", "Out", ""},
    {"logical_not", "logical_not", "X", "Out", ""},
    {"logical_or", "logical_or", "X Y", "Out", ""},
    {"matmul", "matmul_v2", "X Y", "Out", "transpose_x=trans_x transpose_y=trans_y"},
    {"max", "reduce_max", "X @dim", "Out", "keepdim=keep_dim"},
    {"maximum", "elementwise_max", "X Y", "Out", ""},
    {"mean", "reduce_mean", "X", "Out", "axis=dim keepdim=keep_dim"},
    {"min", "reduce_min", "X @dim", "Out", "keepdim=keep_dim"},
    {"minimum", "elementwise_min", "X Y", "Out", ""},
    {"multiply", "elementwise_mul", "X Y", "Out", ""},
    {"nearest_interp", "nearest_interp_v2", "X OutSize SizeTensor Scale", "Out", "data_format=data_layout"},
    {"not_equal", "not_equal", "X Y", "Out", ""},
    {"pool2d", "pool2d", "X @ksize", "Out", ""},
    {"remainder", "elementwise_mod", "X Y", "Out", ""},
    {"relu", "relu", "X", "Out", ""},
    {"relu6", "relu6", "X", "Out", ""},
    {"reshape", "reshape2", "X Shape", "Out", ""},
    {"rsqrt", "rsqrt", "X", "Out", ""},
    {"scale", "scale", "X ScaleTensor", "Out", ""},
    {"shape", "shape", "Input", "Out", ""},
    {"shape64", "shape", "Input", "Out", ""},
    {"sigmoid", "sigmoid", "X", "Out", ""},
    {"silu", "silu", "X", "Out", ""},
    {"slice", "slice", "Input StartsTensor EndsTensor", "Out", ""},
    {"softmax", "softmax", "X", "Out", ""},
    {"split", "split", "X @sections AxisTensor", "Out", ""},
    {"split_with_num", "split", "X AxisTensor", "Out", ""},
    {"sqrt", "sqrt", "X", "Out", ""},
    {"square", "square", "X", "Out", ""},
    {"squeeze", "squeeze2", "X AxesTensor", "Out", "axis=axes"},
    {"stack", "stack", "X", "Y", ""},
    {"subtract", "elementwise_sub", "X Y", "Out", ""},
    {"sum", "reduce_sum", "X @dim", "Out", "keepdim=keep_dim"},
    {"swish", "swish", "X", "Out", ""},
    {"tanh", "tanh", "X", "Out", ""},
    {"tile", "tile", "X RepeatTimes", "Out", ""},
    {"topk", "top_k_v2", "X K", "Out Indices", ""},
    {"transpose", "transpose2", "X", "Out", "perm=axis"},
    {"unsqueeze", "unsqueeze2", "X AxesTensor", "Out", "axis=axes"},
    {"where", "where", "Condition X Y", "Out", ""},
};

}  // namespace

const PirName* find_pir_name(std::string_view pir) {
  for (const PirName& each : kNames) {
    if (each.pir == pir) return &each;
  }
  return nullptr;
}

}  // namespace trireme::formats::paddle
