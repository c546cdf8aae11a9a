// Autocast: contractions (Kind::kContraction) of f32 take their operands as bf16 or f16 and give their results back as
// f32. Everything else stays as it is, so parameters, the optimizer's state and the update are f32: the parameters are
// the master weights. Each value is narrowed once, whoever reads it, through views too: a weight that the forward pass
// reads as it is and the backward pass transposed is one conversion. Products of 16-bit operands are summed in f32 (see
// dot_general); a result has the precision of the narrow type.
//
// An operand with types of its own (the mask of attention) stays. Bodies of control flow are treated alike.
#pragma once

#include "trireme/ir/graph.h"

namespace trireme::passes {

// `type` is bf16 or f16; f16 needs a scaled loss (optim::LossScale), since its small gradients vanish.
Graph autocast(const Graph& graph, DType type);

}  // namespace trireme::passes
