#include "trireme/formats/model.h"

#include "trireme/base/strings.h"

namespace trireme::formats {

std::string Declared::text() const {
  std::string out = formats::name(elem);
  if (kind == Kind::kSequence) return cat("sequence of ", out);
  if (kind == Kind::kNothing) out = "optional " + out;
  if (!has_shape) return out;
  std::vector<std::string> parts;
  for (size_t a = 0; a < sizes.size(); ++a) {
    parts.push_back(sizes[a] >= 0 ? std::to_string(sizes[a]) : size_names[a].empty() ? "?" : size_names[a]);
  }
  return cat(out, "[", join(parts, ", "), "]");
}

Binding::Binding(const HostValue& value)
    : kind(value.kind), elem(value.elem), tensor(value.tensor), text(value.text), given(true) {
  if (value.kind == Kind::kTensor) shape = value.tensor.shape();
  for (const HostValue& each : value.items) items.emplace_back(each);
}

Binding Binding::of_type(Elem elem, const Shape& shape) {
  Binding out;
  out.kind = Kind::kTensor;
  out.elem = elem;
  out.shape = shape;
  out.given = true;
  return out;
}

Imported Model::import_with(int64_t free) const {
  std::vector<Binding> bindings;
  for (const Declared& declared : inputs()) {
    Binding binding;
    if (!declared.optional) {
      if (declared.kind == Kind::kTensor && !declared.has_shape) {
        throw Error(Code::kUnsupported,
                    cat("input '", declared.name, "' declares no shape; import the model with one"));
      }
      std::vector<int64_t> sizes = declared.sizes;
      for (int64_t& size : sizes) size = size < 0 ? free : size;
      if (declared.kind != Kind::kTensor) {
        throw Error(Code::kUnsupported, cat("input '", declared.name, "' is ", declared.text(), "; give its value"));
      }
      binding = Binding::of_type(declared.elem, Shape(sizes));
    }
    bindings.push_back(std::move(binding));
  }
  return import(bindings);
}

}  // namespace trireme::formats
