#include "trireme/ir/node.h"

#include <mutex>
#include <utility>

#include "trireme/base/strings.h"
#include "trireme/ir/graph.h"
#include "trireme/ir/op_decl.h"
#include "trireme/ir/registry.h"

namespace trireme {

namespace {
thread_local SourceLine current_source;

// What a node would be, for looking it up before making it.
struct Candidate {
  const OpDecl* op;
  const std::vector<Value>* inputs;
  const std::vector<Attribute>* attributes;
  uint64_t hash;

  bool is(const Node& n) const {
    if (hash != n.hash() || op != &n.op() || *inputs != n.inputs()) return false;
    for (size_t i = 0; i < attributes->size(); ++i) {
      if (!same((*attributes)[i], n.attributes()[i])) return false;
    }
    return true;
  }
};

}  // namespace

// All live nodes, in shards so that threads rarely meet. A node whose count fell to zero is never handed out again: its
// last owner is about to remove and delete it.
class NodeTable {
 public:
  static NodeTable& instance() {
    static auto* table = new NodeTable;  // never destroyed: values in static storage may outlive main
    return *table;
  }

  Value find_or_make(const OpDecl& op, std::vector<Value>&& inputs, std::vector<Attribute>&& attributes) {
    uint64_t h = reinterpret_cast<uintptr_t>(&op);
    for (const Value& v : inputs) {
      h = mix_hash(h, v ? v.node().hash() * 8 + v.index() : 1);
      if (v) h = mix_hash(h, reinterpret_cast<uintptr_t>(&v.node()));
    }
    for (const Attribute& a : attributes) h = mix_hash(h, trireme::hash(a));
    Shard& shard = shards_[h >> 60];
    {
      const std::lock_guard lock(shard.mutex);
      if (Value found = find(shard, {&op, &inputs, &attributes, h})) return found;
    }
    // The shape rule runs outside the lock: it may make nodes itself (a rule that inspects a subgraph).
    std::vector<TensorType> outputs;
    Infer infer(op, inputs, attributes, outputs);
    op.infer.rule(infer);
    TRIREME_CHECK(!outputs.empty(), cat("shape rule of ", op.id(), " states no output"));
    auto* node = new Node;
    node->op_ = &op;
    node->inputs_ = std::move(inputs);
    node->attributes_ = std::move(attributes);
    node->outputs_ = std::move(outputs);
    node->hash_ = h;
    node->source_ = current_source;
    const Value made(*node);
    Value faster;  // what another thread made meanwhile; ours, not in the table, is then freed outside the lock
    {
      const std::lock_guard lock(shard.mutex);
      faster = find(shard, {&op, &node->inputs_, &node->attributes_, h});
      if (!faster) shard.insert(node);
    }
    return faster ? faster : made;
  }

  void remove(const Node* node) {
    Shard& shard = shards_[node->hash() >> 60];
    const std::lock_guard lock(shard.mutex);
    shard.remove(node);
  }

  size_t size() {
    size_t count = 0;
    for (Shard& shard : shards_) {
      const std::lock_guard lock(shard.mutex);
      count += shard.count;
    }
    return count;
  }

 private:
  // Chains through the nodes themselves, so that a node is one allocation less.
  struct Shard {
    std::mutex mutex;
    std::vector<const Node*> chains = std::vector<const Node*>(64);  // a power of two
    size_t count = 0;

    const Node*& chain(uint64_t hash) { return chains[hash & (chains.size() - 1)]; }
    void insert(const Node* node) {
      if (count == chains.size()) grow();
      const Node*& first = chain(node->hash_);
      node->next_ = first;
      first = node;
      ++count;
    }
    void remove(const Node* node) {
      for (const Node** at = &chain(node->hash_); *at != nullptr; at = &(*at)->next_) {
        if (*at != node) continue;
        *at = node->next_;
        --count;
        return;
      }
    }
    void grow() {
      const std::vector<const Node*> before = std::exchange(chains, std::vector<const Node*>(chains.size() * 2));
      for (const Node* node : before) {
        while (node != nullptr) {
          const Node*& first = chain(node->hash_);
          const Node* rest = std::exchange(node->next_, first);
          first = std::exchange(node, rest);
        }
      }
    }
  };

  static Value find(Shard& shard, const Candidate& candidate) {
    for (const Node* node = shard.chain(candidate.hash); node != nullptr; node = node->next_) {
      if (!candidate.is(*node)) continue;
      uint32_t count = node->references_.load(std::memory_order_relaxed);
      while (count != 0) {
        if (node->references_.compare_exchange_weak(count, count + 1, std::memory_order_acq_rel)) {
          Value value(*node);
          node->references_.fetch_sub(1, std::memory_order_relaxed);
          return value;
        }
      }
    }
    return {};
  }

  Shard shards_[16];
};

void Node::release(const Node* node) {
  // Long chains would overflow the stack if each node freed its inputs recursively: inner calls only add to the list of
  // the outermost. (A plain pointer, because values in static storage are freed after thread-local objects are gone.)
  thread_local std::vector<const Node*>* pending = nullptr;
  if (pending != nullptr) {
    pending->push_back(node);
    return;
  }
  std::vector<const Node*> list{node};
  pending = &list;
  while (!list.empty()) {
    const Node* dead = list.back();
    list.pop_back();
    NodeTable::instance().remove(dead);
    delete dead;
  }
  pending = nullptr;
}

std::string_view Node::name() const { return op_->id(); }

namespace {

void check_inputs(const OpDecl& op, const std::vector<Value>& inputs) {
  const auto& specs = op.inputs.list;
  size_t most = specs.size(), least = 0;
  for (const InputSpec& spec : specs) {
    if (spec.arity == Arity::kVariadic) most = SIZE_MAX;
    if (spec.arity != Arity::kOptional) ++least;
  }
  if (inputs.size() < least || inputs.size() > most) {
    throw Error(Code::kInvalidArgument,
                cat("op ", op.id(), " takes ", least,
                    most == least      ? ""
                    : most == SIZE_MAX ? " or more"
                                       : cat(" to ", most),
                    " inputs; given ", inputs.size()),
                cat(op.id(), "_inputs"));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const InputSpec& spec = specs[std::min(i, specs.size() - 1)];
    const std::string_view input_name = spec.name;
    if (!inputs[i]) {
      if (spec.arity == Arity::kOptional) continue;
      throw Error(Code::kInvalidArgument, cat("op ", op.id(), ": input ", input_name, " is missing"),
                  cat(op.id(), "_inputs"));
    }
    const DType type = inputs[i].dtype();
    // Variadic arguments that are promoted share one type; the others (state of a loop, keys and values of a sort) do
    // not.
    const bool bound =
        (spec.types.bits & same_as_first.bits) != 0 || (i >= specs.size() && op.coerce.value != Coerce::kNone);
    const bool holds = bound ? type == inputs[0].dtype() : spec.types.has(type);
    if (!holds) {
      const std::string label = cat(op.id(), "_t", std::min(i, specs.size() - 1) + 1);
      throw Error(Code::kInvalidArgument,
                  cat("[", label, "] ", op.id(), ": input ", input_name, " is ", type, "; expected ",
                      bound ? cat("the type of the first input, ", inputs[0].dtype()) : "one of " + spec.types.text(),
                      "; use convert(x, type)"),
                  label);
    }
  }
}

void check_attributes(const OpDecl& op, const std::vector<Attribute>& attributes) {
  const auto& specs = op.attributes.list;
  if (attributes.size() != specs.size()) {
    throw Error(Code::kInvalidArgument,
                cat("op ", op.id(), " has ", specs.size(), " attributes; given ", attributes.size()));
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    if (kind_of(attributes[i]) != specs[i].kind) {
      throw Error(Code::kInvalidArgument, cat("op ", op.id(), ": attribute ", specs[i].name, " is ",
                                              name(kind_of(attributes[i])), "; expected ", name(specs[i].kind)));
    }
  }
}

}  // namespace

Value make_node(const OpDecl& op, std::vector<Value> inputs, std::vector<Attribute> attributes) {
  check_inputs(op, inputs);
  check_attributes(op, attributes);
  return NodeTable::instance().find_or_make(op, std::move(inputs), std::move(attributes));
}

Values all_outputs(const Value& first) {
  Values out;
  for (uint32_t i = 0; i < first.node().outputs().size(); ++i) out.emplace_back(first.node(), i);
  return out;
}

Value make_coerced(const OpDecl& op, std::vector<Value> inputs, std::vector<Attribute> attributes) {
  if (op.coerce.value != Coerce::kNone && inputs.size() > 1) {
    const auto& specs = op.inputs.list;
    const auto bound = [&](size_t i) {
      return inputs[i] && (i == 0 || i >= specs.size() || (specs[i].types.bits & same_as_first.bits) != 0);
    };
    DType type = inputs[0] ? inputs[0].dtype() : f32;
    Shape shape = inputs[0] ? inputs[0].shape() : Shape{};
    bool fits = true;
    for (size_t i = 1; i < inputs.size(); ++i) {
      if (bound(i)) type = promote(type, inputs[i].dtype());
      if (inputs[i] && op.coerce.value == Coerce::kBroadcast && !(inputs[i].shape() == shape))
        fits &= broadcast_shapes(shape, inputs[i].shape(), &shape);
    }
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i]) continue;
      if (bound(i) && inputs[i].dtype() != type) {
        inputs[i] = make_node(get_op("convert"), {inputs[i]}, {type});
      }
      if (fits && op.coerce.value == Coerce::kBroadcast && !(inputs[i].shape() == shape)) {
        inputs[i] = make_node(get_op("broadcast_to"), {inputs[i]}, {shape.vector()});
      }
    }
  }
  return make_node(op, std::move(inputs), std::move(attributes));
}

SourceScope::SourceScope(const char* file, int line) : previous_(current_source) {
  if (previous_.file == nullptr) current_source = {file, line};  // the outermost scope is the user's
}
SourceScope::SourceScope(const SourceLine& line) : previous_(current_source) {
  if (line.file != nullptr) current_source = line;
}
SourceScope::~SourceScope() { current_source = previous_; }

size_t live_nodes() { return NodeTable::instance().size(); }

}  // namespace trireme
