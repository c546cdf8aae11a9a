// The operator library of Kunlun (XDNN), under its public names.
//
//   int op<types>(Context* ctx, inputs..., outputs..., lengths or shapes..., attributes..., max-pointers...)
//
// All are in baidu::xpu::api and return SUCCESS or another value of Error_t; xdnn_last_error() then says which argument
// broke which rule. Operators are queued on ctx->xpu_stream: they return before the result is there. A kCPU context
// runs them at once on memory of the host, with the same arithmetic bit for bit.
//
// Arguments. Tensors are dense and row-major. A shape is a vector of extents, empty for a scalar; an extent of 0 is
// allowed and makes the operator do nothing. Axes may be negative. x, y, z, w may not be null unless it is said, and
// y may be x only where the operator is elementwise. What the generation has no arithmetic for gives NOT_IMPLEMENT:
// float16 data before the second, bfloat16 data and tfloat32 before the third generation.
//
// Numbers. Elementwise operators compute in float (integers in their own type, wrapping) and round once to the type of
// the result. Sums are in float, sixteen lanes side by side, then pairwise; integer sums in 64 bits. Products and
// convolutions: see TGEMM in refactor/fusion.h.
//
// Max-pointers (x_maxptr ...) are ctx->max_ptr_size() floats each whose greatest is the absolute maximum of a tensor,
// as findmax writes them. An input's may be null: the library then finds the maximum itself and reads the
// tensor once more for it. An output's may be null: then it is not written.
//
// Time, on the virtual clock: a launch (13.3 us) + 1.83 x weight bytes / memory rate + 0.39 x operations / SDNN rate,
// at least operations / SDNN rate. That is the fit to eleven published networks on an R200. Other data streams at the
// rate of the memory it lies in, GM or L3, while the launch is prepared: it costs only what it takes longer than that.
// Operators of clusters take the longer of their data and their vector instructions.
#ifndef TRIREME_XPU_XDNN_H
#define TRIREME_XPU_XDNN_H

#include "refactor/context.h"
#include "refactor/fusion.h"
#include "refactor/math.h"
#include "refactor/nn.h"
#include "xdnn_types.h"

#endif
