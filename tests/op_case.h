// The cases of the ops' declarations (trireme/certify/op_case.h) as parameters of GoogleTest.
#pragma once

#include <ostream>
#include <string>

#include "trireme/certify/op_case.h"

namespace trireme {

namespace testing {
using namespace certify;  // NOLINT(google-build-using-namespace): the tests speak of the certifier's cases

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
