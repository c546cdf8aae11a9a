// Named tensors in whatever file they come: one table from suffix to reader and writer, so that a new format is one
// line.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "trireme/core/literal.h"

namespace trireme::formats {

struct Weights {
  std::map<std::string, Literal> tensors;
  // What the file says besides ("epoch" -> "12"); formats without a place for it drop it.
  std::map<std::string, std::string> facts;
};

struct WeightsFormat {
  std::string_view suffix;  // ".npz"
  std::string_view name;    // "NumPy archive"
  std::function<Weights(const std::string& path)> read;
  // Empty: only read. `compress` is kUnsupported where the format has no such thing.
  std::function<void(const std::string& path, const Weights& weights, bool compress)> write;
};
std::span<const WeightsFormat> weights_formats();

// The format of a path by its suffix; kUnsupported, listing the suffixes, when there is none.
const WeightsFormat& weights_format(const std::string& path);

// The tensors of a file, by name. Errors are those of the format's own header.
std::map<std::string, Literal> load_weights(const std::string& path);

}  // namespace trireme::formats
