// What a certificate is made of: parts C0 to C8, each a list of cases, and the levels that ask for them. Which cases
// there are is decided by the op registry and the seed alone, before the chip is loaded; each then runs in a child
// process that has it. Guide: docs/guide/certify-a-chip.md.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/certify/cases.h"
#include "trireme/certify/open_chip.h"
#include "trireme/chip/loader.h"

namespace trireme::certify {

enum class Part : uint8_t { kAbi, kRuntime, kOps, kHonesty, kComposites, kEngine, kModels, kSpeed };
// "C0", "C1", "C2", "C3", "C4", "C6", "C7", "C8".
std::string_view name(Part part);

// In rising order. The parts below a level belong to it.
enum class Level : uint8_t { kNone, kBoots, kTrains, kComplete, kEngine };
// "boots", "trains", "complete", "engine"; "none".
std::string_view name(Level level);
// Throws kInvalidArgument naming the nearest; for "scales", why it is not offered.
Level parse_level(std::string_view word);

// The chip in the process of the cases.
struct Subject {
  const chip::Chip& chip;
  TrmChipEntry entry = nullptr;  // of the same chip, to be called again
  uint64_t seed = 1;
  // Opened at the first call; the same for all cases of the process.
  OpenChip& open() const;
};

struct Case {
  Part part;
  Level level;  // the lowest that asks for it
  std::string name;
  std::string op, dtype;  // of C2 to C4: what it says about which op; else empty
  bool required = false;  // a refusal by name keeps the chip from the level
  // Returns a phrase for a pass ("native"); throws Finding for anything else.
  std::function<std::string(const Subject&)> run;
  // The program in text form, for a case that ended its process; may be empty.
  std::function<std::string()> program;
  bool alone = false;  // takes much memory or time: nothing else runs beside it, and samples leave it out
};

// The cases of one part, in a fixed order.
std::vector<Case> abi_cases();                    // C0
std::vector<Case> runtime_cases(uint64_t seed);   // C1
std::vector<Case> op_cases(uint64_t seed);        // C2, and the composites of C4
std::vector<Case> honesty_cases(uint64_t seed);   // C3
std::vector<Case> gradient_cases(uint64_t seed);  // the rest of C4
std::vector<Case> engine_cases(uint64_t seed);    // C6
std::vector<Case> model_cases(uint64_t seed);     // C7
std::vector<Case> speed_cases();                  // C8

}  // namespace trireme::certify
