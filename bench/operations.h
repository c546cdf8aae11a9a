// Single operations that the comparison times, through the same calls that a program makes; bench/peers/operations.py
// does the same in PyTorch.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "trireme/tensor/tensor.h"

namespace trireme::bench {

struct Operation {
  std::function<std::vector<Literal>()> run;  // once, and reads the results
  std::function<void()> iterate;              // once, on inputs that stay where they are
  std::function<const Graph&()> graph;        // of one run, after the first
};

// product_f32_MxNxK   x [M, K] times w [K, N], known ahead; product_bf16: of operands rounded to bf16; product_int8: of
//                     u8 x and i8 w, sums in i32. Results are f32
// bias_gelu           gelu(x + bias) of x [N, C], bias [C]
// add_layer_norm      layer_norm(x + y) with weight and bias of x, y [N, C]; inputs x, y, weight, bias
// scale_softmax       softmax(x / 8) over the last axis
// attention           of q, k, v [N, H, T, D]
// attention_step      the sum of attention's result, and the gradients of q, k and v
// adamw               one step on a parameter and its gradient; the result is the parameter after one step
// adds_compiled       x + y, 100 times after one another, of one element, as a compiled function
// adds_lazy           the same, op by op, from a new x each time, read at the end
// Throws kInvalidArgument for other names.
Operation operation(const std::string& name, const std::vector<Literal>& inputs);

}  // namespace trireme::bench
