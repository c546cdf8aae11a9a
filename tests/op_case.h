// The cases of the ops' declarations (trireme/certify/op_case.h) as parameters of GoogleTest.
#pragma once

#include <ostream>
#include <string>

#include "trireme/certify/op_case.h"

namespace trireme {

namespace testing {
using certify::cases_of, certify::instantiate, certify::parse_case, certify::parse_reject, certify::registered_ops;
using certify::Instance, certify::OpCase, certify::Operand, certify::Reject;
using certify::seed_of, certify::uniform;

struct OpName {
  template <class Info>
  std::string operator()(const Info& info) const {
    return std::string(info.param->id());
  }
};
}  // namespace testing

// How GoogleTest prints a parameter.
inline void PrintTo(const OpDecl* op, std::ostream* out) { *out << op->id(); }  // NOLINT: GoogleTest's name

}  // namespace trireme
