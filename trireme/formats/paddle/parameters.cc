#include "trireme/formats/paddle/parameters.h"

#include <cstring>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/path.h"
#include "trireme/base/strings.h"
#include "trireme/formats/paddle/paddle.pb.h"

namespace trireme::formats::paddle {

namespace {

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, std::string source) : bytes_(bytes), source_(std::move(source)) {}

  Literal record(const Variable& declared) {
    what_ = cat(source_, ", parameter '", declared.name, "'");
    check_version(number<uint32_t>("version"), "record");
    const auto levels = number<uint64_t>("count of lod levels");
    for (uint64_t level = 0; level < levels; ++level) {  // which sentence a row belongs to: no concern of weights
      take(number<uint64_t>("size of a lod level"), "lod level");
    }
    check_version(number<uint32_t>("version of the tensor"), "tensor");
    const auto size = number<int32_t>("size of the description");
    if (size < 0) damaged(cat("its description has ", size, " bytes"));
    const auto text = take(static_cast<uint64_t>(size), "description");
    proto::Tensor description;
    if (!description.ParseFromArray(text.data(), size)) damaged("its description is no tensor's");
    const DType dtype = type_of(description);
    const Shape shape = shape_of(description);
    check_declared(declared, description, shape);
    const auto data = take(static_cast<uint64_t>(shape.elements()) * size_of(dtype), "elements");
    Literal out = Literal::zeros(dtype, shape);  // records are not aligned
    if (!data.empty()) std::memcpy(out.mutable_data(), data.data(), data.size());
    return out;
  }
  void expect_end(const std::string& after) const {
    if (!bytes_.empty()) {
      throw Error(Code::kDataLoss, cat(source_, ": ", bytes_.size(), " bytes are left after ", after,
                                       "; program and parameters do not belong together"));
    }
  }

 private:
  [[noreturn]] void damaged(const std::string& why) const { throw Error(Code::kDataLoss, cat(what_, ": ", why)); }

  std::span<const std::byte> take(uint64_t size, std::string_view part) {
    if (size > bytes_.size()) {
      damaged(cat("its ", part, " takes ", size, " bytes; the file has ", bytes_.size(), " more"));
    }
    const auto out = bytes_.first(static_cast<size_t>(size));
    bytes_ = bytes_.subspan(static_cast<size_t>(size));
    return out;
  }
  template <class T>
  T number(std::string_view part) {
    T out;
    std::memcpy(&out, take(sizeof out, part).data(), sizeof out);
    return out;
  }
  void check_version(uint32_t version, std::string_view part) const {
    if (version == 0) return;
    throw Error(Code::kUnsupported, cat(what_, ": its ", part, " is of version ", version, "; version 0 is supported"));
  }
  DType type_of(const proto::Tensor& description) const {
    try {
      return element_type(description.data_type());
    } catch (const Error& error) {
      throw Error(error.code(), cat(what_, ": ", error.what()));
    }
  }
  Shape shape_of(const proto::Tensor& description) const {
    try {
      return Shape(std::vector<int64_t>(description.dims().begin(), description.dims().end()));
    } catch (const Error& error) {
      damaged(error.what());
    }
  }
  void check_declared(const Variable& declared, const proto::Tensor& description, const Shape& shape) const {
    bool fits =
        description.data_type() == declared.data_type && shape.rank() == static_cast<int>(declared.sizes.size());
    for (int a = 0; fits && a < shape.rank(); ++a) {
      const int64_t size = declared.sizes[static_cast<size_t>(a)];
      fits = size < 0 || size == shape[a];
    }
    if (fits) return;
    damaged(cat("the file has ", name(element_type(description.data_type())), shape, ", the program declares ",
                name(element_type(declared.data_type)), declared.sizes,
                "; program and parameters do not belong together"));
  }

  std::span<const std::byte> bytes_;
  std::string source_, what_;
};

}  // namespace

Parameters read_combined_parameters(const std::vector<Variable>& declared, std::span<const std::byte> bytes,
                                    const std::string& source) {
  Reader reader(bytes, source);
  Parameters out;
  for (const Variable& each : declared) out[each.name] = reader.record(each);
  reader.expect_end(cat("the last of ", declared.size(), " parameters"));
  return out;
}

Parameters read_separate_parameters(const std::vector<Variable>& declared, const std::string& folder) {
  Parameters out;
  for (const Variable& each : declared) {
    const std::string path = path_inside(folder, each.name);
    if (path.empty()) {
      throw Error(Code::kDataLoss, cat(folder, ": the program names a parameter '", each.name,
                                       "', whose file would lie outside the model's folder, where it is not read"));
    }
    const auto file = MappedFile::open(path);
    Reader reader(file->bytes(), path);
    out[each.name] = reader.record(each);
    reader.expect_end("the parameter");
  }
  return out;
}

}  // namespace trireme::formats::paddle
