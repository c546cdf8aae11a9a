#include "trireme/formats/onnx/outline.h"

#include <google/protobuf/io/coded_stream.h>

#include "trireme/formats/onnx/onnx.pb.h"

namespace trireme::formats::onnx {

namespace {

using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;

constexpr size_t kLarge = 4096;  // bytes of a tensor that stays in the file

// Protobuf's wire types.
enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

class Outliner {
 public:
  explicit Outliner(std::span<const std::byte> file)
      : file_(file), input_(reinterpret_cast<const uint8_t*>(file.data()), static_cast<int>(file.size())) {}

  // The fields up to `end`. `inside` says whether a field of bytes is looked into, and does so.
  template <class F>
  bool fields(int end, std::string& out, F inside) {
    while (input_.CurrentPosition() < end) {
      const int begin = input_.CurrentPosition();
      const uint32_t tag = input_.ReadTag();
      uint32_t length = 0;
      uint64_t number = 0;
      bool sound = tag != 0;
      switch (tag & 7u) {
        case kVarint: sound = sound && input_.ReadVarint64(&number); break;
        case kFixed64: sound = sound && input_.Skip(8); break;
        case kFixed32: sound = sound && input_.Skip(4); break;
        case kBytes: {
          sound = sound && input_.ReadVarint32(&length);
          const int content = input_.CurrentPosition();
          sound = sound && length <= static_cast<uint32_t>(end - content);
          if (!sound) return false;
          const Looked looked = inside(static_cast<int>(tag >> 3), content, content + static_cast<int>(length), out);
          if (looked == Looked::kBroken) return false;
          if (looked == Looked::kYes) continue;
          sound = input_.Skip(static_cast<int>(length));
          break;
        }
        default: return false;
      }
      if (!sound || input_.CurrentPosition() > end) return false;
      copy(begin, input_.CurrentPosition(), out);
    }
    return true;
  }

  enum class Looked : uint8_t { kNo, kYes, kBroken };

  // A message in which something was left out takes the place of the whole one.
  template <class F>
  Looked message(int field, int end, std::string& out, F inside) {
    std::string shorter;
    if (!fields(end, shorter, inside)) return Looked::kBroken;
    uint8_t head[16];
    uint8_t* past = CodedOutputStream::WriteVarint32ToArray(static_cast<uint32_t>(field) << 3 | kBytes, head);
    past = CodedOutputStream::WriteVarint32ToArray(static_cast<uint32_t>(shorter.size()), past);
    out.append(reinterpret_cast<const char*>(head), static_cast<size_t>(past - head));
    out += shorter;
    return Looked::kYes;
  }

  bool skip_to(int end) { return input_.Skip(end - input_.CurrentPosition()); }
  std::span<const std::byte> piece(int begin, int end) const {
    return file_.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
  }

 private:
  void copy(int begin, int end, std::string& out) const {
    out.append(reinterpret_cast<const char*>(file_.data()) + begin, static_cast<size_t>(end - begin));
  }
  std::span<const std::byte> file_;
  CodedInputStream input_;
};

}  // namespace

std::optional<Outline> outline_of(std::span<const std::byte> file) {
  using Looked = Outliner::Looked;
  if (file.size() > INT32_MAX) return std::nullopt;
  Outline out;
  Outliner outliner(file);
  const auto in_tensor = [&](int field, int begin, int end, std::string&) {
    if (field != proto::Tensor::kRawDataFieldNumber) return Looked::kNo;
    const bool large = static_cast<size_t>(end - begin) >= kLarge;
    out.raw_data.back() = large ? outliner.piece(begin, end) : std::span<const std::byte>();  // the last one counts
    if (!large) return Looked::kNo;
    return outliner.skip_to(end) ? Looked::kYes : Looked::kBroken;
  };
  const auto in_graph = [&](int field, int, int end, std::string& bytes) {
    if (field != proto::Graph::kInitializerFieldNumber) return Looked::kNo;
    out.raw_data.emplace_back();
    return outliner.message(field, end, bytes, in_tensor);
  };
  const auto in_model = [&](int field, int, int end, std::string& bytes) {
    if (field != proto::Model::kGraphFieldNumber) return Looked::kNo;
    return outliner.message(field, end, bytes, in_graph);
  };
  if (!outliner.fields(static_cast<int>(file.size()), out.bytes, in_model)) return std::nullopt;
  return out;
}

}  // namespace trireme::formats::onnx
