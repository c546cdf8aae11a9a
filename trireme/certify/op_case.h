// The language of .cases and .rejects in the declarations of ops, and the graphs and inputs made from it.
//
//   case      = { operand } { attribute } [ "surrogate" ]  separated by spaces
//   operand   = "_"                                       an absent optional input
//             | [ type ] "[" sizes "]" [ ":" low ".." high ]
//   attribute = name "=" value                            3  0.5  true  "lt"  f32  [1,-2]
//   surrogate = the gradient is by intention not the derivative (a straight-through or a stopped gradient), so finite
//               differences are not asked
//
// A case runs once for each element type T that the first input allows. An operand without a type takes T when its
// input is declared same_as_first or allows T (a first operand with a written type is the first input's type then),
// else the first type its input allows of f32, i32, i64, bool, u32, ...
//
// Values are uniform in the range written behind the operand, else in the input's domain; a function of the op's name,
// the case and the seed alone. Floats are rounded to the type, integers rounded and clipped to its range, booleans are
// random.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/core/literal.h"
#include "trireme/ir/graph.h"
#include "trireme/ir/op_decl.h"

namespace trireme::certify {

struct Operand {
  bool absent = false;
  TensorType type;
  double low = 0.0, high = 0.0;
};

// A case with every type decided.
struct OpCase {
  const OpDecl* op = nullptr;
  std::string text;
  DType dtype = f32;  // T
  std::vector<Operand> operands;
  std::vector<Attribute> attributes;
  bool uses_dtype = false;  // false: the same for every T
  bool surrogate = false;
  // `add "[2,3] [2,3]" f32`: what a failure names.
  std::string name() const;
  // The element type of its first operand, of its result where it has none: what it tells about the op.
  DType leading_dtype() const;
};

// `all_double`: every floating operand is f64, whatever is written.
// Throws std::invalid_argument, naming op and case, for text that is not in the language, an unknown attribute, too
// many operands, a required attribute that is missing.
OpCase parse_case(const OpDecl& op, std::string_view text, DType dtype, bool all_double = false);

// The case for each T that makes a difference; for ops without inputs once.
std::vector<OpCase> cases_of(const OpDecl& op, std::string_view text);
// All cases of the op.
std::vector<OpCase> cases_of(const OpDecl& op);

struct Reject {
  int rule = 0;
  OpCase given;
};
// "<rule>: <case>", for the first T.
Reject parse_reject(const OpDecl& op, std::string_view text);

// The one-node graph of a case and values for its inputs.
struct Instance {
  std::vector<Value> operands;    // what the node is made from; absent ones are empty
  std::vector<Value> parameters;  // the present ones: the graph's inputs
  std::vector<Literal> inputs;    // a value for each parameter
  std::vector<Attribute> attributes;
  const OpDecl* op = nullptr;

  Value make() const { return make_node(*op, operands, attributes); }
  // Inputs: the parameters. Outputs: all of the node.
  Graph graph() const { return {parameters, all_outputs(make())}; }
};
Instance instantiate(const OpCase& given, uint64_t seed = 0);

// Every op of the registry.
std::vector<const OpDecl*> registered_ops();

// Uniform in [low, high): number `index` of the stream of `seed`.
double uniform(uint64_t seed, uint64_t index, double low, double high);
uint64_t seed_of(std::string_view text);

}  // namespace trireme::certify
