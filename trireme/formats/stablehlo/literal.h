// dense<...>: nested lists, one value for all elements, or "0x..." raw bytes.
#pragma once

#include "trireme/core/literal.h"
#include "trireme/formats/stablehlo/syntax.h"

namespace trireme::formats::stablehlo {

struct DenseValue {
  Literal literal;     // of the type's shape, or one element where splat
  bool splat = false;  // every element of the shape is this one; takes no memory however large the shape
  Shape shape;
};

// Throws kUnsupported for element types that Trireme lacks and shapes beyond its limits, kDataLoss for values that do
// not fit the type: another nesting than the sizes, too few or too many bytes, numbers out of range.
DenseValue decode(const Dense& dense);

// The shape of a type without free sizes, with its element type known; kUnsupported else.
Shape shape_of(const Type& type);
DType dtype_of(const Type& type);

}  // namespace trireme::formats::stablehlo
