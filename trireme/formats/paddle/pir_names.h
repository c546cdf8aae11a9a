// Operators of Paddle 3's programs (PIR) under the names they have in a ProgramDesc. Internal to formats/paddle.
#pragma once

#include <string_view>

namespace trireme::formats::paddle {

struct PirName {
  std::string_view pir;         // without its dialect: "conv2d"
  std::string_view type;        // in a ProgramDesc
  std::string_view inputs;      // parameters of its operands, "X Y"; "@axis": a constant that becomes an attribute
  std::string_view outputs;     // parameters of its results
  std::string_view attributes;  // those with another name: "perm=axis"
};

// Null when the operator is not known.
const PirName* find_pir_name(std::string_view pir);

}  // namespace trireme::formats::paddle
