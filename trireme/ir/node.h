// Node: one operation in the graph. Immutable, and hash-consed: building the same (op, inputs, attributes) twice gives
// the same node, so equal work is found for free and passes cannot corrupt one another. Types and shapes of the
// outputs are derived from the op's rule when the node is made.
//
// Nodes are counted by reference and live as long as a Value points to them. All functions are thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "trireme/core/dtype.h"
#include "trireme/core/shape.h"
#include "trireme/ir/attribute.h"

namespace trireme {

struct OpDecl;
class Node;

struct TensorType {
  DType dtype = f32;
  Shape shape;
  bool operator==(const TensorType&) const = default;
  size_t bytes() const { return static_cast<size_t>(shape.elements()) * size_of(dtype); }
  std::string text() const { return std::string(name(dtype)) + shape.text(); }
};

// Where the user wrote the operation; carried for messages, not part of a node's identity.
struct SourceLine {
  const char* file = nullptr;
  int line = 0;
  std::string text() const { return file ? std::string(file) + ":" + std::to_string(line) : "unknown line"; }
};

// Output `index` of a node; empty when default-made.
class Value {
 public:
  Value() = default;
  explicit Value(const Node& node, uint32_t index = 0);
  Value(const Value& other);
  Value(Value&& other) noexcept : node_(std::exchange(other.node_, nullptr)), index_(other.index_) {}
  Value& operator=(Value other) noexcept {
    std::swap(node_, other.node_);
    std::swap(index_, other.index_);
    return *this;
  }
  ~Value();

  explicit operator bool() const { return node_ != nullptr; }
  bool operator==(const Value& other) const { return node_ == other.node_ && index_ == other.index_; }
  const Node& node() const { return *node_; }
  uint32_t index() const { return index_; }
  const TensorType& type() const;
  const Shape& shape() const { return type().shape; }
  DType dtype() const { return type().dtype; }

 private:
  const Node* node_ = nullptr;
  uint32_t index_ = 0;
};

// One or several values; a rule may return a single Value where Values is asked.
struct Values : std::vector<Value> {
  using std::vector<Value>::vector;
  Values(Value one) { push_back(std::move(one)); }  // NOLINT: meant to be implicit
};

class Node {
 public:
  const OpDecl& op() const { return *op_; }
  const std::vector<Value>& inputs() const { return inputs_; }
  const std::vector<Attribute>& attributes() const { return attributes_; }
  const std::vector<TensorType>& outputs() const { return outputs_; }
  uint64_t hash() const { return hash_; }
  // The line of the first user code that made this node.
  const SourceLine& source() const { return source_; }
  std::string_view name() const;
  bool is(std::string_view op_name) const { return name() == op_name; }
  // How many values point here.
  uint32_t references() const { return references_.load(std::memory_order_relaxed); }
  // What the runtime hung on this node (a leaf's bytes, results already computed). Not part of its identity.
  std::shared_ptr<void> attachment() const { return attachment_.load(std::memory_order_acquire); }
  void attach(std::shared_ptr<void> what) const { attachment_.store(std::move(what), std::memory_order_release); }

  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

 private:
  friend class NodeTable;
  friend class Value;
  Node() = default;
  ~Node() = default;
  static void release(const Node* node);

  const OpDecl* op_ = nullptr;
  std::vector<Value> inputs_;
  std::vector<Attribute> attributes_;
  std::vector<TensorType> outputs_;
  uint64_t hash_ = 0;
  SourceLine source_;
  mutable const Node* next_ = nullptr;  // in its chain of the node table
  mutable std::atomic<std::shared_ptr<void>> attachment_;
  mutable std::atomic<uint32_t> references_{0};
};

// Makes (or finds) a node and returns its first output. Checks the number of inputs, the type rules (<op>_t<i>), the
// kinds of the attributes and the numbered rules; throws Error kInvalidArgument with the rule's label.
Value make_node(const OpDecl& op, std::vector<Value> inputs, std::vector<Attribute> attributes);
// All outputs of the node behind `first`.
Values all_outputs(const Value& first);

// The same with the op's argument coercion (promotion, broadcasting); what the generated functions call.
Value make_coerced(const OpDecl& op, std::vector<Value> inputs, std::vector<Attribute> attributes);

// While alive, nodes made by this thread carry this line as their source; of user lines, the outermost.
class SourceScope {
 public:
  SourceScope(const char* file, int line);
  // The line of a node that the new ones stand for, whoever asks for them.
  explicit SourceScope(const SourceLine& line);
  ~SourceScope();
  SourceScope(const SourceScope&) = delete;
  SourceScope& operator=(const SourceScope&) = delete;

 private:
  SourceLine previous_;
};

// Number of live nodes, for leak tests.
size_t live_nodes();

inline Value::Value(const Node& node, uint32_t index) : node_(&node), index_(index) {
  node.references_.fetch_add(1, std::memory_order_relaxed);
}
inline Value::Value(const Value& other) : node_(other.node_), index_(other.index_) {
  if (node_) node_->references_.fetch_add(1, std::memory_order_relaxed);
}
inline Value::~Value() {
  if (node_ && node_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) Node::release(node_);
}
inline const TensorType& Value::type() const { return node_->outputs()[index_]; }

}  // namespace trireme
