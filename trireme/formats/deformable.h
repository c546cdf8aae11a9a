// Deformable convolution, as ONNX and Paddle have it.
#pragma once

#include "trireme/ir/attribute.h"
#include "trireme/ir/node.h"

namespace trireme::formats {

struct Deformable {
  Ints strides, low, dilations;  // two entries each; low: the padding before
  int64_t groups = 1;            // channel groups that do not mix
  int64_t areas = 1;             // channel groups with offsets of their own
};

// x [n, c, h, w] sampled bilinearly (0 outside) where the kernel w [filters, c / groups, kh, kw] lies, each element's
// place moved by offset [n, areas kh kw 2, rows, columns] (down, across); weighed by mask [n, areas kh kw, rows,
// columns], which may be empty. Result [n, filters, rows, columns]. Throws kInvalidArgument for shapes that do not fit,
// kUnsupported for kernels of more than 4096 elements.
Value deformable_convolution(const Value& x, const Value& w, const Value& offset, const Value& mask,
                             const Deformable& how);

}  // namespace trireme::formats
