// Attributes: the constant arguments of a node ("axes", "keepdims"). An op declares them once, in order; a node holds
// one value per declared attribute, in that order. Equality, hash, printing and parsing follow from the kind.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "trireme/core/dtype.h"
#include "trireme/core/literal.h"

namespace trireme {

class Graph;

using Ints = std::vector<int64_t>;

// The order of the alternatives is the order of AttributeKind.
using Attribute = std::variant<int64_t, double, bool, std::string, DType, Ints, std::shared_ptr<const Literal>,
                               std::shared_ptr<const Graph>>;
enum class AttributeKind : uint8_t { kInt, kFloat, kBool, kString, kDType, kInts, kLiteral, kGraph };

inline AttributeKind kind_of(const Attribute& value) { return static_cast<AttributeKind>(value.index()); }
std::string_view name(AttributeKind kind);

// Doubles compare by bits, so that nan equals nan and 0.0 differs from -0.0; literals and graphs by content.
bool same(const Attribute& a, const Attribute& b);
uint64_t hash(const Attribute& value);
// "3", "0.5", "true", "\"lt\"", "f32", "[1, 2]"; literals and graphs print in full (see text.h).
std::string text(const Attribute& value);

inline uint64_t mix_hash(uint64_t seed, uint64_t value) {
  uint64_t x = seed ^ (value + 0x9E3779B97F4A7C15ull + (seed << 6) + (seed >> 2));
  x ^= x >> 32;
  x *= 0xD6E8FEB86659FD93ull;
  return x ^ (x >> 29);
}
uint64_t hash_bytes(const void* data, size_t bytes, uint64_t seed);

}  // namespace trireme
