// Tensors of the file format as values on the host. Internal to formats/onnx: it sees the protobuf classes.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "trireme/formats/onnx/onnx.pb.h"
#include "trireme/formats/value.h"

namespace trireme::formats::onnx {

// Where a message lies: for messages of errors, and for external data.
struct Origin {
  std::string source;                 // the file's name
  std::string folder;                 // external data lies in here; empty: refused
  std::shared_ptr<const void> owner;  // keeps the message alive; empty: bytes are copied
};

// `raw_data`: where it is not in the message itself; its owner is the origin's.
HostValue to_value(const proto::Tensor& tensor, const Origin& origin, std::span<const std::byte> raw_data = {});
// A sparse tensor, made dense.
HostValue to_value(const proto::SparseTensor& tensor, const Origin& origin);
HostValue to_value(const proto::Sequence& sequence, const Origin& origin);
HostValue to_value(const proto::Optional& optional, const Origin& origin);

// A shape from untrusted sizes. Throws kDataLoss naming `what`.
Shape checked_shape(const google::protobuf::RepeatedField<int64_t>& sizes, const std::string& what);

}  // namespace trireme::formats::onnx
