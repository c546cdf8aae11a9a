// The table of Paddle operators: which function turns an operation into nodes of Trireme. The entries lie beside those
// functions, in ops/<family>.cc; the list of families is generated from the files.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace trireme::formats::paddle {

class Call;

struct Mapping {
  std::string_view op;
  void (*build)(Call&);
};

// Generated.
std::vector<std::span<const Mapping>> all_mappings();

}  // namespace trireme::formats::paddle
