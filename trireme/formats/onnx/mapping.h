// The table of ONNX operators: which function turns a node of which op and opset into nodes of Trireme. The entries lie
// beside those functions, in ops/<family>.cc; the list of families is generated from the files.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace trireme::formats::onnx {

class Call;

// The newest opset of each domain whose rules are known here.
inline constexpr int kMaxOpset = 27;

struct Mapping {
  std::string_view op;
  void (*build)(Call&);
  int since = 1;          // the first opset with this meaning
  int until = kMaxOpset;  // and the last
  std::string_view domain = {};
};

// Generated.
std::vector<std::span<const Mapping>> all_mappings();

}  // namespace trireme::formats::onnx
