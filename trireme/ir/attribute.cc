#include "trireme/ir/attribute.h"

#include <bit>
#include <cstring>

#include "trireme/base/strings.h"
#include "trireme/ir/graph.h"
#include "trireme/ir/text.h"

namespace trireme {

std::string_view name(AttributeKind kind) {
  switch (kind) {
    case AttributeKind::kInt: return "int";
    case AttributeKind::kFloat: return "float";
    case AttributeKind::kBool: return "bool";
    case AttributeKind::kString: return "string";
    case AttributeKind::kDType: return "dtype";
    case AttributeKind::kInts: return "ints";
    case AttributeKind::kLiteral: return "literal";
    case AttributeKind::kGraph: return "graph";
  }
  return "?";
}

bool same(const Attribute& a, const Attribute& b) {
  if (a.index() != b.index()) return false;
  switch (kind_of(a)) {
    case AttributeKind::kFloat:
      return std::bit_cast<uint64_t>(std::get<double>(a)) == std::bit_cast<uint64_t>(std::get<double>(b));
    case AttributeKind::kLiteral:
      return std::get<std::shared_ptr<const Literal>>(a)->same_bytes(*std::get<std::shared_ptr<const Literal>>(b));
    case AttributeKind::kGraph: {
      const auto &graph_a = std::get<std::shared_ptr<const Graph>>(a),
                 &graph_b = std::get<std::shared_ptr<const Graph>>(b);
      return graph_a == graph_b || same_structure(*graph_a, *graph_b);
    }
    default: return a == b;
  }
}

uint64_t hash_bytes(const void* data, size_t bytes, uint64_t seed) {
  const auto* at = static_cast<const unsigned char*>(data);
  uint64_t h = mix_hash(seed, bytes);
  for (; bytes >= 8; bytes -= 8, at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    h = (h ^ word) * 0x9FB21C651E98DF25ull;
    h ^= h >> 35;
  }
  uint64_t word = 0;
  if (bytes > 0) std::memcpy(&word, at, bytes);
  return mix_hash(h, word);
}

uint64_t hash(const Attribute& value) {
  const uint64_t seed = value.index() + 1;
  switch (kind_of(value)) {
    case AttributeKind::kInt: return mix_hash(seed, static_cast<uint64_t>(std::get<int64_t>(value)));
    case AttributeKind::kFloat: return mix_hash(seed, std::bit_cast<uint64_t>(std::get<double>(value)));
    case AttributeKind::kBool: return mix_hash(seed, std::get<bool>(value));
    case AttributeKind::kString: {
      const auto& s = std::get<std::string>(value);
      return hash_bytes(s.data(), s.size(), seed);
    }
    case AttributeKind::kDType: return mix_hash(seed, static_cast<uint64_t>(std::get<DType>(value)));
    case AttributeKind::kInts: {
      const auto& v = std::get<Ints>(value);
      return hash_bytes(v.data(), v.size() * sizeof(int64_t), seed);
    }
    case AttributeKind::kLiteral: {
      const Literal& l = *std::get<std::shared_ptr<const Literal>>(value);
      uint64_t h = mix_hash(seed, static_cast<uint64_t>(l.dtype()));
      for (int64_t size : l.shape()) h = mix_hash(h, static_cast<uint64_t>(size));
      return hash_bytes(l.data(), l.bytes(), h);
    }
    case AttributeKind::kGraph: return mix_hash(seed, std::get<std::shared_ptr<const Graph>>(value)->structural_hash());
  }
  return seed;
}

}  // namespace trireme
