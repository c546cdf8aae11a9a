// The table of StableHLO's ops: which function turns an operation into nodes of Trireme. The entries lie beside those
// functions, in ops/<family>.cc; the list of families is generated from the files.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace trireme::formats::stablehlo {

class Call;

struct Mapping {
  std::string_view op;
  void (*build)(Call&);
  // The op works element by element, so that a region written for scalars may be applied to whole tensors.
  bool elementwise = false;
};

// Generated.
std::vector<std::span<const Mapping>> all_mappings();

}  // namespace trireme::formats::stablehlo
