#include "trireme/formats/paddle/program.h"

#include <algorithm>
#include <array>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::formats::paddle {

namespace {

struct Entry {
  int64_t number;
  std::string_view name;
  DType dtype;
};

constexpr std::array<Entry, 10> kEntries = {{
    {0, "bool", boolean},
    {1, "int16", i16},
    {2, "int32", i32},
    {3, "int64", i64},
    {4, "float16", f16},
    {5, "float32", f32},
    {6, "float64", f64},
    {20, "uint8", u8},
    {21, "int8", i8},
    {22, "bfloat16", bf16},
}};

}  // namespace

DType element_type(int64_t data_type) {
  for (const Entry& each : kEntries) {
    if (each.number == data_type) return each.dtype;
  }
  std::vector<std::string> known;
  for (const Entry& each : kEntries) known.push_back(cat(each.number, " ", each.name));
  throw Error(Code::kUnsupported,
              cat("tensors of element type ", data_type, " are not supported; supported: ", join(known, ", ")));
}

int64_t data_type_of(DType dtype) {
  for (const Entry& each : kEntries) {
    if (each.dtype == dtype) return each.number;
  }
  return -1;
}

int64_t data_type_named(std::string_view name) {
  for (const Entry& each : kEntries) {
    if (each.name == name) return each.number;
  }
  return -1;
}

std::vector<Variable> Program::parameters() const {
  std::vector<Variable> out;
  for (const Block& block : blocks) {
    for (const Variable& variable : block.variables) {
      if (variable.parameter) out.push_back(variable);
    }
  }
  const auto by_name = [](const Variable& a, const Variable& b) { return a.name < b.name; };
  std::sort(out.begin(), out.end(), by_name);
  out.erase(std::unique(out.begin(), out.end(), [](const Variable& a, const Variable& b) { return a.name == b.name; }),
            out.end());
  return out;
}

}  // namespace trireme::formats::paddle
