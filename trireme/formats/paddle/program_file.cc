// A ProgramDesc: .pdmodel and __model__.
#include <algorithm>
#include <limits>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/formats/paddle/paddle.pb.h"
#include "trireme/formats/paddle/program.h"

namespace trireme::formats::paddle {

namespace {

// Types of attributes.
constexpr int kInt = 0, kFloat = 1, kString = 2, kInts = 3, kFloats = 4, kStrings = 5, kFlag = 6, kFlags = 7,
              kBlock = 8, kLong = 9, kBlocks = 10, kLongs = 11, kDoubles = 12, kVariable = 13, kVariables = 14,
              kDouble = 15, kScalar = 16, kScalars = 17;
// Types of variables: of a tensor, and of what feeds and fetches.
constexpr int kLodTensor = 7;
// 0 is written by builds without a version; else a million times the major version and so on.
constexpr int64_t kLeastVersion = 1'000'000, kVersionsEnd = 4'000'000;

[[noreturn]] void damaged(const std::string& source, const std::string& why) {
  throw Error(Code::kDataLoss, cat(source, ": ", why));
}

double number_of(const proto::Scalar& scalar) {
  return scalar.has_r() ? scalar.r() : scalar.has_i() ? static_cast<double>(scalar.i()) : scalar.b() ? 1.0 : 0.0;
}

template <class T, class List>
std::vector<T> list_of(const List& list) {
  return {list.begin(), list.end()};
}

Attribute attribute_of(const proto::Attribute& a, const std::string& what) {
  switch (a.type()) {
    case kInt: return int64_t{a.i()};
    case kFloat: return double{a.f()};
    case kString: return a.s();
    case kInts: return list_of<int64_t>(a.ints());
    case kFloats: return list_of<double>(a.floats());
    case kStrings: return list_of<std::string>(a.strings());
    case kFlag: return int64_t{a.b()};
    case kFlags: return list_of<int64_t>(a.bools());
    case kBlock: return BlockIndices{{a.block()}};
    case kLong: return a.l();
    case kBlocks: return BlockIndices{list_of<int64_t>(a.blocks())};
    case kLongs: return list_of<int64_t>(a.longs());
    case kDoubles: return list_of<double>(a.doubles());
    case kVariable: return VariableNames{{a.variable()}};
    case kVariables: return VariableNames{list_of<std::string>(a.variables())};
    case kDouble: return a.d();
    case kScalar: return number_of(a.scalar());
    case kScalars: {
      std::vector<double> out;
      for (const auto& each : a.scalars()) out.push_back(number_of(each));
      return out;
    }
    default:
      throw Error(Code::kUnsupported, cat(what, ": attribute '", a.name(), "' has type ", a.type(), "; types 0 to ",
                                          kScalars, " are supported"));
  }
}

std::vector<Arguments> arguments_of(const google::protobuf::RepeatedPtrField<proto::Arguments>& list) {
  std::vector<Arguments> out;
  for (const auto& each : list) {
    if (each.arguments_size() > 0) out.push_back({each.parameter(), list_of<std::string>(each.arguments())});
  }
  return out;
}

// What Python wrote for its own use.
bool is_note(const std::string& attribute) {
  return attribute == "op_callstack" || attribute == "op_namescope" || attribute == "op_role_var";
}

Operation operation_of(const proto::Operation& operation, const std::string& what) {
  Operation out;
  out.type = operation.type();
  out.inputs = arguments_of(operation.inputs());
  out.outputs = arguments_of(operation.outputs());
  for (const auto& each : operation.attributes()) {
    if (!is_note(each.name())) out.attributes[each.name()] = attribute_of(each, cat(what, " (", out.type, ")"));
  }
  return out;
}

Variable variable_of(const proto::Variable& variable) {
  Variable out;
  out.name = variable.name();
  if (variable.type().type() != kLodTensor) return out;
  const auto& tensor = variable.type().lod_tensor().tensor();
  out.data_type = tensor.data_type();
  for (int64_t size : tensor.dims()) out.sizes.push_back(std::max<int64_t>(size, -1));
  out.parameter = variable.persistable();
  return out;
}

void check_version(int64_t version, const std::string& source) {
  if (version == 0 || (version >= kLeastVersion && version < kVersionsEnd)) return;
  throw Error(Code::kUnsupported, cat(source, ": the program is of version ", version, "; versions 0 and ",
                                      kLeastVersion, " (1.0.0) to ", kVersionsEnd - 1, " are supported"));
}

}  // namespace

Program read_program(std::span<const std::byte> bytes, const std::string& source) {
  proto::Program file;
  if (bytes.size() > std::numeric_limits<int>::max() ||
      !file.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    damaged(source, "no Paddle program, or one that was cut short");
  }
  if (file.blocks_size() == 0) damaged(source, "the program has no block");
  check_version(file.version().version(), source);
  Program out;
  for (int b = 0; b < file.blocks_size(); ++b) {
    const proto::Block& block = file.blocks(b);
    if (block.index() != b) damaged(source, cat("block ", b, " says it is block ", block.index()));
    if (b > 0 && (block.parent() < 0 || block.parent() >= b)) {
      damaged(source, cat("block ", b, " lies in block ", block.parent(), "; it must lie in an earlier one"));
    }
    Block& to = out.blocks.emplace_back();
    for (const auto& each : block.variables()) {
      if (each.name().find('\0') != std::string::npos) damaged(source, "a variable's name holds a zero byte");
      to.variables.push_back(variable_of(each));
    }
    for (const auto& each : block.operations()) {
      const std::string what = cat(source, ": block ", b, ", op ", to.operations.size());
      to.operations.push_back(operation_of(each, what));
      to.operations.back().index = static_cast<int64_t>(to.operations.size()) - 1;
      for (const auto& [name, attribute] : to.operations.back().attributes) {
        const auto* inner = std::get_if<BlockIndices>(&attribute);
        if (inner == nullptr) continue;
        for (int64_t index : inner->indices) {
          if (index > b && index < file.blocks_size()) continue;
          damaged(source, cat("block ", b, ", op ", to.operations.size() - 1, " (", each.type(), ") has block ", index,
                              " as its '", name, "'; it must be a later one of the ", file.blocks_size(), " blocks"));
        }
      }
    }
  }
  return out;
}

}  // namespace trireme::formats::paddle
