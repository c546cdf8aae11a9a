// StableHLO text as a tree: modules of functions of operations, nothing of it understood yet. One tolerant grammar
// reads MLIR's generic form, "op"(%a) <{...}> ({...}) : (...) -> ..., and the pretty forms of all ops: what stands
// between an op's name and its types is operands, keywords, name = value pairs, groups in parentheses and attribute
// dictionaries.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/core/dtype.h"

namespace trireme::formats::stablehlo {

// "tensor<2x?x3xf32>": sizes {2, -1, 3}, element "f32".
struct Type {
  std::string text;
  bool tensor = false;
  std::vector<int64_t> sizes;  // -1: known only when the function is called
  std::string element;
  std::optional<DType> dtype;  // empty where Trireme has no such element type
};

// dense<...> as it is written; decoded by literal.h.
struct Dense {
  std::string_view text;  // what stands between < and >
  Type type;              // where it was written behind it
};

struct Attribute {
  enum class Kind : uint8_t { kInteger, kFloat, kText, kList, kDictionary, kDense, kOther };
  Kind kind = Kind::kOther;
  int64_t integer = 0;
  double number = 0.0;  // also of integers
  std::string text;     // a string, keyword or symbol; of #stablehlo<kind VALUE> the value
  std::vector<Attribute> list;
  std::map<std::string, Attribute> fields;
  Dense dense;
};

struct Operand {
  std::string name;  // "%0"
  int64_t result = 0;
};

struct Argument {
  std::string name;
  Type type;
};

struct Operation;

// One block.
struct Region {
  std::vector<Argument> arguments;
  std::vector<Operation> operations;
};

struct Operation {
  std::string name;  // "stablehlo.add"; func.return is "return", func.call is "call"
  int line = 0;
  struct Result {
    std::string name;
    int64_t count = 1;  // %0:2
  };
  std::vector<Result> results;
  std::vector<Operand> operands;
  std::vector<std::string> words;               // keywords, symbols and strings, in order
  std::vector<Attribute> values;                // values without a name, in order
  std::map<std::string, Attribute> attributes;  // of all dictionaries, and name = value
  std::vector<std::string> bindings;            // of while(%a = %x, ...): the names its regions know
  std::vector<Region> regions;
  bool functional = false;          // the types were written (...) -> ...
  std::vector<Type> operand_types;  // where functional; else the types in the order written
  std::vector<Type> result_types;

  int64_t result_count() const;
  // "line 12: stablehlo.add".
  std::string where() const;
};

struct Function {
  std::string name;
  int line = 0;
  bool is_private = false;
  std::vector<Type> results;
  Region body;  // its arguments are the function's
};

struct Module {
  std::vector<Function> functions;
  // Null when there is none.
  const Function* find(std::string_view name) const;
};

// The modules of a file, which lines of "// -----" part. They keep the text alive.
struct File {
  std::shared_ptr<const std::string> text;
  std::vector<Module> modules;
};

// Throws kDataLoss with the line where the text is truncated or breaks the grammar, defines a name twice, or nests more
// than 64 levels.
File parse(std::string text);

// The type that is written `text`; the same errors.
Type parse_type(std::string_view text);

}  // namespace trireme::formats::stablehlo
