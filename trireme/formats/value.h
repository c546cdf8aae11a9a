// Values of imported models, as ONNX knows them: tensors of all its element types, tensors of text, sequences, and
// optionals (a value or nothing). Models of other formats use tensors only.
//
// Element types that Trireme has no arithmetic for are carried in a wider type that holds each of their values exactly:
// 8-bit and 4-bit floats in f32, 4-bit and 2-bit integers in i8 and u8. `elem` remembers what they are.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "trireme/core/literal.h"

namespace trireme::formats {

// ONNX's numbers.
enum class Elem : int32_t {
  kNone = 0,
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
  kUint32 = 12,
  kUint64 = 13,
  kComplex64 = 14,
  kComplex128 = 15,
  kBFloat16 = 16,
  kFloat8E4M3FN = 17,
  kFloat8E4M3FNUZ = 18,
  kFloat8E5M2 = 19,
  kFloat8E5M2FNUZ = 20,
  kUint4 = 21,
  kInt4 = 22,
  kFloat4E2M1 = 23,
  kFloat8E8M0 = 24,
  kUint2 = 25,
  kInt2 = 26,
};

// "float16", "int4", as in the format's documentation.
std::string name(Elem elem);
// The type that carries its values. Throws kUnsupported for complex numbers and unknown types, and for text.
DType carrier(Elem elem);
// The element type of a plain tensor.
Elem elem_of(DType dtype);
// True for the types whose carrier is not the type itself.
bool is_narrow(Elem elem);
// Bits of one element in a file.
int bits_of(Elem elem);

struct Text {
  Shape shape;
  std::vector<std::string> strings;  // row-major
};

enum class Kind : uint8_t {
  kNothing,  // an optional without a value
  kTensor,
  kText,
  kSequence,
};

struct HostValue {
  Kind kind = Kind::kNothing;
  Elem elem = Elem::kNone;  // of a tensor, or of a sequence's tensors where known
  Literal tensor;           // in the carrier type
  std::shared_ptr<const Text> text;
  std::vector<HostValue> items;  // of a sequence

  HostValue() = default;
  explicit HostValue(Literal literal)
      : kind(Kind::kTensor), elem(elem_of(literal.dtype())), tensor(std::move(literal)) {}
  HostValue(Elem e, Literal literal) : kind(Kind::kTensor), elem(e), tensor(std::move(literal)) {}
  explicit HostValue(Text t)
      : kind(Kind::kText), elem(Elem::kString), text(std::make_shared<const Text>(std::move(t))) {}
};

}  // namespace trireme::formats
