// Every command on a chip carries a 64-bit tag. This table leads from a tag back to the op, its shapes and the user's
// source line, so that an error that surfaces much later still names its cause. It remembers the last 1024 plan runs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace trireme::runtime {

// One text per step of a plan: "conv2d f32[8, 3, 32, 32] (train.cc:41)".
using StepTexts = std::vector<std::string>;

// Reserves texts->size() consecutive tags and returns the first.
uint64_t reserve_tags(std::shared_ptr<const StepTexts> texts);
// "matmul f32[8, 10] (main.cc:7)", or empty when the tag is unknown or too old.
std::string tag_text(uint64_t tag);

}  // namespace trireme::runtime
