// A Paddle program as the importer sees it, whichever file it came from: blocks of operations on named variables.
// Internal to formats/paddle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "trireme/core/dtype.h"

namespace trireme::formats::paddle {

// Names of variables that hold an attribute's value.
struct VariableNames {
  std::vector<std::string> names;
};
// Blocks that belong to an operation (its branches), by index.
struct BlockIndices {
  std::vector<int64_t> indices;
};
using Attribute = std::variant<int64_t, double, std::string, std::vector<int64_t>, std::vector<double>,
                               std::vector<std::string>, VariableNames, BlockIndices>;  // flags are integers

// The variables given for one parameter: {"X", {"a", "b"}}.
struct Arguments {
  std::string parameter;
  std::vector<std::string> variables;
};

struct Operation {
  int64_t index = 0;  // in its block, as the file counts
  std::string type;
  std::vector<Arguments> inputs, outputs;
  std::map<std::string, Attribute, std::less<>> attributes;
};

struct Variable {
  std::string name;
  int64_t data_type = -1;      // the format's number; -1: no tensor
  std::vector<int64_t> sizes;  // -1 is free
  bool parameter = false;      // its value comes with the model
};

struct Block {
  std::vector<Variable> variables;
  std::vector<Operation> operations;
  std::vector<std::string> results;  // of a PIR branch: what its yield names
};

struct Program {
  std::vector<Block> blocks;  // 0 is the main one; an operation's blocks come after its own
  // The parameters of all blocks, sorted by name: the order of a combined file.
  std::vector<Variable> parameters() const;
};

// The element type of a number of the format. Throws kUnsupported for those without a counterpart.
DType element_type(int64_t data_type);
// The number of an element type; of a name of PIR ("float32"), -1 when it is not known.
int64_t data_type_of(DType dtype);
int64_t data_type_named(std::string_view name);

// Reads a ProgramDesc. `source` names the file in messages. Throws kDataLoss for what is no sound program (blocks that
// contain themselves among it), kUnsupported for a version that is not known.
Program read_program(std::span<const std::byte> bytes, const std::string& source);
// Reads a program of Paddle 3 (PIR) in JSON; same errors. Its operators get the names and parameters that they have in
// a ProgramDesc.
Program read_pir_program(std::span<const std::byte> bytes, const std::string& source);

}  // namespace trireme::formats::paddle
