// The import of one model for one set of input types. Internal to formats/onnx.
#pragma once

#include <map>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "trireme/base/file.h"
#include "trireme/formats/onnx/call.h"
#include "trireme/formats/onnx/model.h"
#include "trireme/formats/onnx/onnx.pb.h"
#include "trireme/formats/onnx/tensor_file.h"

namespace trireme::formats::onnx {

struct Model::Impl {
  proto::Model file;
  std::string source, folder;
  std::vector<Declared> inputs, outputs;
  std::map<std::string, int64_t> opsets;                    // by domain; the main one is ""
  std::map<std::string, const proto::Function*> functions;  // by "domain::name"
  std::unordered_map<std::string, size_t> initializers;     // of the main graph, by name
  std::shared_ptr<const MappedFile> weights;                // holds what is in the file still
  std::unordered_map<const proto::Tensor*, std::span<const std::byte>> in_file;
  mutable std::mutex mutex;
  mutable std::unordered_map<const proto::Tensor*, HostValue> read;  // of those, what was used so far

  Origin origin(std::shared_ptr<const Impl> self) const { return {source, folder, std::move(self)}; }
  // An initializer of the main graph.
  HostValue initializer(const proto::Tensor& tensor, const Origin& origin) const;
};

// Names of values in one graph, on top of those of the graph around it.
class Scope {
 public:
  explicit Scope(Scope* parent = nullptr) : parent_(parent) {}
  // Null when there is none.
  const Item* find(const std::string& name);
  void set(const std::string& name, Item item) { items_[name] = std::move(item); }

  // For Call::close: values from outside that are no constants become parameters, recorded here.
  struct Capture {
    std::vector<Value> outside, parameters;
  };
  Capture* capture = nullptr;
  const std::map<std::string, int64_t>* opsets = nullptr;  // of a function's body

  Scope* parent() const { return parent_; }

 private:
  friend class Importer;
  Item captured(const Item& item);
  Scope* parent_;
  std::unordered_map<std::string, Item> items_;
};

class Importer : public KnownValues {
 public:
  Importer(std::shared_ptr<const Model::Impl> model, const Evaluate& evaluate)
      : KnownValues(evaluate), model_(std::move(model)) {}

  Imported import(const std::vector<Binding>& inputs);

  std::vector<Item> build(const proto::Graph& graph, Scope& scope);
  std::vector<Item> build_nodes(const google::protobuf::RepeatedPtrField<proto::Node>& nodes, Scope& scope);
  Value random_key(double seed);
  Origin origin() const { return model_->origin(model_); }
  const Item& lookup(Scope& scope, const std::string& name, const std::string& who);

 private:
  void build_node(const proto::Node& node, Scope& scope);
  void expand(const proto::Function& function, const proto::Node& node, Scope& scope);
  Item bind(const Binding& binding, const std::string& name);
  void add_initializers(const proto::Graph& graph, Scope& scope, const std::map<std::string, bool>& skip);
  Layout lay_out(const Item& item, std::vector<Value>& outputs);
  void fold_small(Scope& scope, const proto::Node& node);
  int64_t opset_of(const std::string& domain, const Scope& scope) const;

  std::shared_ptr<const Model::Impl> model_;
  int depth_ = 0;
  int64_t built_ = 0;
  uint64_t keys_ = 0;
  bool random_ = false;
};

}  // namespace trireme::formats::onnx
