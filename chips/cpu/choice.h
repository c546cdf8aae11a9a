// Several ways to compute one thing: the fastest on this machine for these sizes is found by running them when a kernel
// is prepared, once, and kept on disk.
//
// The file is $TRIREME_CPU_CHOICES, else $XDG_CACHE_HOME/trireme/cpu_choices.json, else the same under ~/.cache; "off"
// measures nothing, reads nothing and takes the first way. A file that cannot be read, or of another machine, counts as
// empty and is replaced. Ways must give the same bits: which one runs is not to be seen in results.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "chips/cpu/kernel.h"

namespace trireme::cpu {

struct Way {
  std::string name;
  std::function<Run()> prepare;
};

// `what` is computed: equal texts, equal choice. The program's operands are made up to measure on.
Run fastest_of(const Program& program, const std::string& what, std::span<const Way> ways);

}  // namespace trireme::cpu
